"""The rules of an OCA file as values, and as text again.

`str(rules)` is an OCA file that reads back as an equal value; comments and the mixing of kinds are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from esorex_bridge.definitions.oca.expressions import Constant, Expression, keywords_in

Source = Literal["inputFiles", "rawFiles", "calibFiles"]
"""Where a rule looks: raw and input files, or calibrations with the products to come."""

TECHNIQUE = "SIG.TECHNIQUE"
"""The first word of DPR.TECH (IMAGE, SPECTRUM, ECHELLE, IFU): a keyword of ours, which every frame has."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """`DO.CATG = "DARK";`: a keyword that a rule gives to a file."""

    name: str
    value: Expression

    def __str__(self) -> str:
        return f"{self.name} = {self.value};"


@dataclass(frozen=True, slots=True)
class ClassificationRule:
    """`if condition then {…}`.

    Parameters
    ----------
    condition : Expression
        What a header must fulfil.
    assignments : tuple of Assignment
        The keywords that the file gets, in order.
    line : int
        Where it stands in its file.
    """

    condition: Expression
    assignments: tuple[Assignment, ...]
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        inner = "\n".join(f"  {assignment}" for assignment in self.assignments)
        return f"if {self.condition} then\n{{\n{inner}\n}}"


@dataclass(frozen=True, slots=True)
class RuleExecution:
    """`select execute(ACTION) from inputFiles where … group by …`.

    Parameters
    ----------
    action : str
        Name of the action that a group triggers.
    source : {'inputFiles', 'rawFiles', 'calibFiles'}
        Where it looks.
    condition : Expression
        Which files belong.
    keys : tuple of str
        Keywords that agree within a group.
    alias : tuple of (str, str) or None
        As in `as (TPL_A,tpl)`: the second goes to the dataset's name.
    min_ret : int or None
        As stated before the rule.
    line : int
        Where it stands in its file.
    """

    action: str
    source: Source
    condition: Expression
    keys: tuple[str, ...] = ()
    alias: tuple[str, str] | None = None
    min_ret: int | None = None
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        limit = "" if self.min_ret is None else f"minRet = {self.min_ret};\n"
        text = f"{limit}select execute({self.action}) from {self.source} where {self.condition}"
        if self.keys:
            text += f"\n  group by {', '.join(self.keys)}"
        if self.alias:
            text += f" as ({self.alias[0]},{self.alias[1]})"
        return f"{text};"


@dataclass(frozen=True, slots=True)
class Selection:
    """`select file as CATEGORY from calibFiles where …` of an action.

    Parameters
    ----------
    category : str
        The tag that the selected files get.
    source : {'inputFiles', 'rawFiles', 'calibFiles'}
        Where it looks.
    condition : Expression
        Which files will do.
    min_ret, max_ret : int or None
        Fewest files needed, most files taken; None where the rule does not say.
    line : int
        Where it stands in its file.
    dispensable : bool
        Whether the recipe can do without what the rule asks for. No part of the file: it is known of the recipe.
    """

    category: str
    source: Source
    condition: Expression
    min_ret: int | None = None
    max_ret: int | None = None
    line: int = field(default=0, compare=False)
    dispensable: bool = field(default=False, compare=False)

    @property
    def least(self) -> int:
        """Fewest files needed; 1 where the rule does not say."""
        return 1 if self.min_ret is None else self.min_ret

    @property
    def most(self) -> int:
        """Most files taken; as many as are needed, and at least 1, where the rule does not say."""
        return max(1, self.least) if self.max_ret is None else self.max_ret

    def __str__(self) -> str:
        limits = [
            f"{name} = {limit};"
            for name, limit in (("minRet", self.min_ret), ("maxRet", self.max_ret))
            if limit is not None
        ]
        text = f"select file as {self.category} from {self.source} where {self.condition};"
        return "\n".join(["  " + " ".join(limits)] * bool(limits) + [f"  {text}"])


@dataclass(frozen=True, slots=True)
class RuleRecipe:
    """`recipe NAME {"--opt=val";}`."""

    name: str
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.options:
            return f"  recipe {self.name};"
        inner = " ".join(f'"{option}";' for option in self.options)
        return f"  recipe {self.name} {{ {inner} }}"


@dataclass(frozen=True, slots=True)
class RuleProduct:
    """`product NAME {…}`: keywords in which a product differs from the first file of its group."""

    name: str
    assignments: tuple[Assignment, ...]

    @property
    def category(self) -> str:
        """PRO.CATG as it is stated, or else its name."""
        values = (assigned.value for assigned in self.assignments if assigned.name == "PRO.CATG")
        stated = (each.value for each in values if isinstance(each, Constant) and isinstance(each.value, str))
        return next(stated, self.name)

    def __str__(self) -> str:
        inner = " ".join(map(str, self.assignments))
        return f"  product {self.name} {{ {inner} }}"


@dataclass(frozen=True, slots=True)
class ActionRule:
    """`action NAME {…}`: what a group needs beside it, the recipes it goes through, and what comes out.

    Parameters
    ----------
    name : str
        As `select execute` calls it.
    selections : tuple of Selection
        Calibrations to associate.
    recipes : tuple of RuleRecipe
        Usually one.
    products : tuple of RuleProduct
        What the recipes make, as far as later rules need it.
    priority : int or None
        As stated.
    line : int
        Where it stands in its file.
    settings : tuple of str
        Keywords in which files of one run agree, beside those that group them; where files of a group differ in these,
        each setting is associated by itself. No part of the file: it is known of the recipes.
    together : bool
        Whether the recipe takes the files of a template together, also where the rule acts on single ones as they
        arrive. Known of the recipes.
    least_files : int
        Fewest files that its recipe runs on. Known of the recipes.
    of_category : tuple of (str, ActionRule)
        The action as it is for files of one category, where recipes do different things with different ones.
    """

    name: str
    selections: tuple[Selection, ...] = ()
    recipes: tuple[RuleRecipe, ...] = ()
    products: tuple[RuleProduct, ...] = ()
    priority: int | None = None
    line: int = field(default=0, compare=False)
    settings: tuple[str, ...] = ()
    together: bool = False
    least_files: int = 1
    of_category: tuple[tuple[str, ActionRule], ...] = ()

    def for_category(self, category: str) -> ActionRule:
        """Return the action as it is for files of a category."""
        return dict(self.of_category).get(category, self)

    def __str__(self) -> str:
        inner = [str(part) for part in (*self.selections, *self.recipes, *self.products)]
        if self.priority is not None:
            inner.append(f"  priority = {self.priority};")
        return "\n".join([f"action {self.name}", "{", *inner, "}"])


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of one file.

    Parameters
    ----------
    classifications, executions, actions : tuple
        Each kind in the order of the file; the order counts among classifications, where the last match wins.
    name : str
        Of the file, for messages.
    remarks : tuple of str
        What is odd in the file, and was read all the same.
    beside : tuple of Selection
        What belongs to every dataset though nothing asks for it, such as standard stars. Known of the recipes.
    companions : tuple of str
        Categories that recipes take beside their main files, and none as main files: they make no dataset.
    """

    classifications: tuple[ClassificationRule, ...] = ()
    executions: tuple[RuleExecution, ...] = ()
    actions: tuple[ActionRule, ...] = ()
    name: str = field(default="", compare=False)
    remarks: tuple[str, ...] = field(default=(), compare=False)
    beside: tuple[Selection, ...] = field(default=(), compare=False)
    companions: tuple[str, ...] = field(default=(), compare=False)

    @property
    def is_final(self) -> bool:
        """Whether they are made for Reflex and declare products: then nothing is added to what they associate."""
        return self.name.endswith("_wkf.oca") and any(action.products for action in self.actions)

    def __str__(self) -> str:
        return "\n\n".join(map(str, (*self.classifications, *self.executions, *self.actions))) + "\n"

    def action(self, name: str) -> ActionRule:
        """Return the action of a name; one that needs and makes nothing where the file describes none."""
        return next((action for action in self.actions if action.name == name), ActionRule(name))

    def assigns(self, keyword: str) -> bool:
        """Tell whether a classification gives files this keyword."""
        return any(assigned.name == keyword for rule in self.classifications for assigned in rule.assignments)


def categories_made(rules: Rules) -> frozenset[str]:
    """Return the categories of the products that recipes of the actions make."""
    actions = (each for action in rules.actions for each in (action, *(variant for _, variant in action.of_category)))
    return frozenset(product.category for action in actions for product in action.products)


def keywords_of(rules: Rules) -> tuple[str, ...]:
    """Return the names of all keywords that rules look at, once each, in the order of the file."""
    return tuple(dict.fromkeys(name.removeprefix("LF.") for name in _keywords_of(rules)))


def keywords_of_last(rules: Rules) -> tuple[str, ...]:
    """Return the names of the keywords that rules look at in the last file of a template (`LF.DO.CATG`)."""
    return tuple(dict.fromkeys(name[3:] for name in _keywords_of(rules) if name.startswith("LF.")))


def _keywords_of(rules: Rules) -> Iterator[str]:
    for classification in rules.classifications:
        yield from _names(classification.condition)
        for assignment in classification.assignments:
            yield from _names(assignment.value)
    for execution in rules.executions:
        yield from _names(execution.condition)
        yield from execution.keys
    for selection in rules.beside:
        yield from _names(selection.condition)
    for action in rules.actions:
        for each in (action, *(variant for _, variant in action.of_category)):
            yield from _keywords_of_action(each)


def _keywords_of_action(action: ActionRule) -> Iterator[str]:
    yield from action.settings
    for selection in action.selections:
        yield from _names(selection.condition)
    for product in action.products:
        for assignment in product.assignments:
            yield from _names(assignment.value)


def _names(expression: Expression) -> Iterator[str]:
    return (keyword.name for keyword in keywords_in(expression))
