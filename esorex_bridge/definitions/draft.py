"""A draft of a workflow definition, made from a pipeline's rules and from what its recipes say of themselves.

The rules tell which raws trigger which recipe and which calibrations it selects by which keywords; they seldom name
products. A recipe's manual page tells the tags that it takes; a tag that other recipes take, and that stands in a
recipe's plugin though not in its manual page, is what that recipe makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from esorex_bridge.definitions.oca.expressions import Compared, Constant, Expression, Keyword, parts_of
from esorex_bridge.definitions.oca.rules import ActionRule, RuleExecution, Rules, Selection

SERVER_PREFIX = "cdssearch"
"""Parameters whose names begin so make a recipe ask a server for catalogues."""


class RecipeText(Struct, frozen=True):
    """What an installed recipe says of itself.

    Parameters
    ----------
    takes : frozenset of str
        Words in its manual page that look like tags.
    holds : frozenset of str
        Words in its plugin that look like tags.
    parameters : tuple of str
        Names of its parameters as on the command line.
    """

    takes: frozenset[str]
    holds: frozenset[str]
    parameters: tuple[str, ...] = ()


class _Drafted(Struct, frozen=True):
    """A step before it is text."""

    recipe: str
    main: tuple[str, ...]
    group_by: tuple[str, ...]
    selections: tuple[Selection, ...]
    made_by_rules: tuple[str, ...]


def draft_workflow(
    rules: Rules, recipes: Mapping[str, RecipeText], name: str, instruments: Iterable[str], pipeline: str
) -> str:
    """Return a definition as YAML text; actions whose recipe is not among `recipes` are left out and named.

    Parameters
    ----------
    rules : Rules
        Of the pipeline.
    recipes : mapping of str to RecipeText
        The installed recipes of the pipeline.
    name, pipeline : str
        Of the definition, and of the pipeline.
    instruments : iterable of str
        Values of INSTRUME.
    """
    drafted = [step for action in rules.actions for step in _draft(rules, action)]
    kept = [step for step in drafted if step.recipe in recipes]
    left_out = sorted({step.recipe for step in drafted} - set(recipes))
    makers = _makers(recipes, {step.recipe for step in kept})
    lines = [
        f"# Drafted from {rules.name} and the installed recipes: compare it with the pipeline's manual.",
        *([f"# Left out, because not installed: {', '.join(left_out)}."] if left_out else []),
        f"workflow: {name}",
        f"title: {name}, as drafted from its rules",
        f"instruments: [{', '.join(instruments)}]",
        f"pipeline: {pipeline}",
        "state: from documentation",
        f"sources: ['{rules.name} and the manual pages of the recipes']",
        "steps:",
    ]
    for step in kept:
        lines += _step_lines(step, recipes[step.recipe], makers)
    return "\n".join(lines) + "\n"


def _draft(rules: Rules, action: ActionRule) -> Iterator[_Drafted]:
    executions = [execution for execution in rules.executions if execution.action == action.name]
    main = tuple(dict.fromkeys(category for each in executions for category in _categories(each.condition)))
    if not main or not action.recipes:
        return
    made = [
        str(assigned.value.value)
        for product in action.products
        for assigned in product.assignments
        if assigned.name == "PRO.CATG" and isinstance(assigned.value, Constant)
    ]
    # Products take their header from the first frame, which should be an object.
    ordered = tuple(sorted(main, key=lambda category: "SKY" in category))
    yield _Drafted(action.recipes[0].name, ordered, _keys(executions), action.selections, tuple(dict.fromkeys(made)))


def _keys(executions: Iterable[RuleExecution]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for execution in executions for key in execution.keys))


def _makers(recipes: Mapping[str, RecipeText], used: set[str]) -> dict[str, str]:
    """Return the recipe that makes each tag, where just one can."""
    taken = {tag for text in recipes.values() for tag in text.takes}
    makers: dict[str, list[str]] = {}
    for recipe in sorted(used):
        for tag in sorted(recipes[recipe].holds & taken - recipes[recipe].takes):
            makers.setdefault(tag, []).append(recipe)
    return {tag: found[0] for tag, found in makers.items() if len(found) == 1}


def _step_lines(step: _Drafted, text: RecipeText, makers: Mapping[str, str]) -> Iterator[str]:
    products = [*step.made_by_rules, *(tag for tag, maker in makers.items() if maker == step.recipe)]
    selected = dict(_find_selected(step.selections, step.main))
    named = sorted(text.takes - {*step.main, *products, *selected})
    yield f"  - recipe: {step.recipe}"
    yield f"    main: [{', '.join(step.main)}]"
    if step.group_by:
        yield f"    group_by: [{', '.join(step.group_by)}]"
    if selected or named:
        yield "    calibrations:"
        yield from (f"      {category}: {terms}" for category, terms in selected.items())
    if named:
        yield "      # By the manual page alone, which does not say what must match."
        yield from (f"      {category}: {{}}" for category in named)
    asking = [name for name in text.parameters if name.startswith(SERVER_PREFIX)]
    if asking:
        yield "    # Without these the recipe would ask a server."
        yield "    parameters:"
        yield from (f"      {name}: none" for name in asking)
    yield f"    products: [{', '.join(dict.fromkeys(products))}]"


def _find_selected(selections: Iterable[Selection], main: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for selection in selections:
        if selection.category in main:
            continue
        terms = ["required: true"] if selection.least else []
        match = tuple(dict.fromkeys(_find_matched(selection.condition)))
        other = tuple(category for category in _categories(selection.condition) if category != selection.category)
        terms += [f"match: [{', '.join(match)}]"] if match else []
        terms += [f"limit: {selection.most}"] if selection.most > 1 else []
        terms += [f"sources: [{', '.join(dict.fromkeys(other))}]"] if other else []
        yield selection.category, f"{{{', '.join(terms)}}}"


def _categories(expression: Expression) -> Iterator[str]:
    """Yield the categories that a condition asks for (`LF.DO.CATG == "DARK"`)."""
    match expression:
        case Compared(Keyword(name), "==", Constant(str() as value)) if name.endswith("CATG"):
            yield value
        case _:
            for part in parts_of(expression):
                yield from _categories(part)


def _find_matched(expression: Expression) -> Iterator[str]:
    """Yield the keywords in which a calibration must agree with the file that needs it."""
    match expression:
        case Compared(Keyword(left, True), _, Keyword(right, False)) | Compared(
            Keyword(right, False), _, Keyword(left, True)
        ) if left == right and left != "INSTRUME":
            yield left
        case _:
            for part in parts_of(expression):
                yield from _find_matched(part)
