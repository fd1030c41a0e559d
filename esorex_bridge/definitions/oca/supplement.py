"""Rules completed by what is known of recipes: products that rules leave out, and calibrations they do not mention.

The rule files that come with the pipelines are those of the on-line system, where the master calibrations lie on disk
already: they name no products, so that alone no dark would ever join a science frame's cascade; they act on single
exposures as they arrive, and stop after the first recipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import inf, isfinite

from msgspec import Struct, structs

from esorex_bridge.definitions.oca.expressions import (
    All,
    Any,
    Between,
    Calculated,
    Compared,
    Constant,
    Expression,
    Keyword,
    Operator,
    keywords_in,
    parts_of,
)
from esorex_bridge.definitions.oca.rules import (
    TECHNIQUE,
    ActionRule,
    Assignment,
    ClassificationRule,
    RuleProduct,
    Rules,
    Selection,
)
from esorex_bridge.definitions.setting import is_dark, is_exposure, is_template


class Need(Struct, frozen=True):
    """A calibration that a recipe takes.

    Parameters
    ----------
    category : str
        Its tag in the SOF.
    required : bool
        Whether the recipe cannot do without.
    match : tuple of str
        Keywords that must agree with the first main file, where both have them.
    limit : int or None
        Most files taken; None for all.
    sources : tuple of str
        Other categories that serve.
    strict : tuple of str
        Keywords of `match` that it must have where the main file has them.
    days : tuple of (float, float)
        Bounds of its MJD-OBS less that of the main file.
    """

    category: str
    required: bool = False
    match: tuple[str, ...] = ()
    limit: int | None = 1
    sources: tuple[str, ...] = ()
    strict: tuple[str, ...] = ()
    days: tuple[float, float] = (-inf, inf)

    @property
    def names(self) -> tuple[str, ...]:
        """All categories that serve."""
        return (self.category, *self.sources)


class RecipeFacts(Struct, frozen=True):
    """What is known of a recipe.

    Parameters
    ----------
    recipe : str
        EsoRex's name of it.
    products : tuple of str
        Categories that it makes.
    needs : tuple of Need
        Calibrations that it takes.
    main : tuple of str
        Categories of the files that it processes; empty where that is not known.
    group_by : tuple of str
        Keywords in which the files of one run agree.
    each : bool
        Whether every file is a run of its own.
    always : bool
        Whether it runs wherever its files are, though nothing takes its products: standard stars, checks.
    minimum : int
        Fewest files that it runs on.
    """

    recipe: str
    products: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    main: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    each: bool = False
    always: bool = False
    minimum: int = 1


_CATEGORY_KEYWORDS = ("DO.CATG", "RAW.TYPE", "REFLEX.CATG", "CATG")

EVERY = 10_000
"""Stands for "all" in `maxRet`, which has to be a number."""

_EVER = 1e6
"""Days that no two observations lie apart: numbers of rules are finite."""

_NIGHT = (-1.0, 1.0)
"""Days within which a standard star belongs to a dataset."""


def supplement_rules(rules: Rules, facts: Iterable[RecipeFacts]) -> Rules:
    """Return rules whose actions name the products of their recipes and select all calibrations these take.

    What the rules say themselves stays as it is, but for three things: a calibration that they call optional and that
    the recipe cannot do without is needed; what they need and the recipe can do without is marked as dispensable; and
    what is found agrees in all that the recipe wants, so that it is of use. Rules made for Reflex that declare products
    are final: nothing is added to them.
    """
    if rules.is_final:
        return rules
    known = tuple(facts)
    return replace(
        rules,
        classifications=(*_of_named_products(rules, known), *rules.classifications),
        actions=tuple(_with_variants(action, rules, known) for action in rules.actions),
        beside=tuple(map(_selection, _needs_beside(known))),
        companions=_companions(known),
    )


def _of_named_products(rules: Rules, facts: tuple[RecipeFacts, ...]) -> Iterator[ClassificationRule]:
    """Yield rules for files that name themselves what recipes take, where the file has no rule for them."""
    given = {assigned.value for rule in rules.classifications for assigned in rule.assignments}
    names = dict.fromkeys(name for fact in facts for need in fact.needs for name in need.names)
    for name in names:
        if Constant(name) not in given:
            condition = Compared(Keyword("PRO.CATG"), "==", Constant(name))
            yield ClassificationRule(condition, (Assignment("DO.CATG", Constant(name)),))


def _needs_beside(facts: tuple[RecipeFacts, ...]) -> Iterator[Need]:
    """Yield what belongs to a dataset though nothing asks for it: products of what always runs, in its setting."""
    for fact in facts:
        if fact.always and fact.products:
            dark = any(map(is_dark, fact.main))
            keys = (key for key in fact.group_by if not is_template(key) and (dark or not is_exposure(key)))
            yield Need(fact.products[0], match=(TECHNIQUE, *keys), days=_NIGHT)


def _companions(facts: tuple[RecipeFacts, ...]) -> tuple[str, ...]:
    main = {category for fact in facts for category in fact.main}
    names = dict.fromkeys(name for fact in facts for need in fact.needs for name in need.names)
    return tuple(name for name in names if name not in main)


def _with_variants(action: ActionRule, rules: Rules, facts: tuple[RecipeFacts, ...]) -> ActionRule:
    """Return an action with what is known of its recipes, as a whole and for files of each category."""
    categories = _triggers(action, rules)
    whole = _supplement_action(action, _facts_for(action, categories, facts), facts)
    known = {category: _facts_for(action, {category}, facts) for category in sorted(categories)}
    if not any(category in fact.main for category, found in known.items() for fact in found):
        return whole
    # Of files that no recipe begins with, such as darks of the science alone, nothing comes.
    variants = {
        found: _supplement_action(action, found, facts) for found in known.values() if any(map(_main_of, found))
    }
    return replace(whole, of_category=tuple((name, variants.get(found, action)) for name, found in known.items()))


def _main_of(fact: RecipeFacts) -> tuple[str, ...]:
    return fact.main


def _triggers(action: ActionRule, rules: Rules) -> set[str]:
    return {
        category
        for execution in rules.executions
        if execution.action == action.name
        for category in _categories(execution.condition)
    }


def _facts_for(action: ActionRule, categories: set[str], facts: tuple[RecipeFacts, ...]) -> tuple[RecipeFacts, ...]:
    """Return what is known of the recipes that an action's files go through first.

    The categories of the files tell it first: one recipe may serve two arms of an instrument, with other products and
    needs for each, and the on-line rules may use another recipe than a workflow. The recipe's name tells it otherwise.
    """
    names = {recipe.name for recipe in action.recipes}
    by_category = tuple(fact for fact in facts if categories.intersection(fact.main))
    if any(fact.recipe in names for fact in by_category):
        # What other recipes want of the same files holds none of them up.
        return tuple(fact if fact.recipe in names else _undemanding(fact) for fact in by_category)
    return by_category or tuple(fact for fact in facts if fact.recipe in names and not (categories and fact.main))


def _undemanding(fact: RecipeFacts) -> RecipeFacts:
    return structs.replace(fact, needs=tuple(structs.replace(need, required=False) for need in fact.needs))


def _following(first: tuple[RecipeFacts, ...], facts: tuple[RecipeFacts, ...]) -> tuple[RecipeFacts, ...]:
    """Return the recipes that go on with the products of others, to the end of the chain."""
    found: list[RecipeFacts] = []
    while True:
        made = {product for fact in (*first, *found) for product in fact.products}
        more = [fact for fact in facts if made.intersection(fact.main) and not _among(fact, (*first, *found))]
        if not more:
            return tuple(found)
        found += more


def _among(fact: RecipeFacts, facts: Iterable[RecipeFacts]) -> bool:
    return any((fact.recipe, fact.main) == (other.recipe, other.main) for other in facts)


def _categories(condition: Expression) -> Iterator[str]:
    """Yield the categories that a condition compares a file's own with."""
    if isinstance(condition, Compared) and condition.operator == "==" and isinstance(condition.left, Keyword):
        right = condition.right
        if condition.left.name.removeprefix("LF.") in _CATEGORY_KEYWORDS and isinstance(right, Constant):
            yield str(right.value)
    for part in parts_of(condition):
        yield from _categories(part)


def _supplement_action(
    action: ActionRule, known: tuple[RecipeFacts, ...], facts: tuple[RecipeFacts, ...]
) -> ActionRule:
    chain = (*known, *_following(known, facts))
    stated = {product.category for product in action.products}
    products = dict.fromkeys(category for fact in chain for category in fact.products if category not in stated)
    needs = tuple(_needs(known, chain))
    mentioned = {selection.category for selection in action.selections}
    added = [need for need in needs if need.category not in mentioned]
    same_recipe = not known or any(fact.recipe in {recipe.name for recipe in action.recipes} for fact in known)
    stated_first = (_as_taken(each, needs, same_recipe) if known else each for each in action.selections)
    return replace(
        action,
        products=(*action.products, *map(_product, products)),
        selections=(*stated_first, *(_selection(need, mentioned) for need in added)),
        settings=tuple(dict.fromkeys(key for fact in known for key in fact.group_by)),
        together=any(fact.main for fact in known) and not any(fact.each for fact in known),
        least_files=min((fact.minimum for fact in known if fact.main), default=1),
    )


def _needs(known: tuple[RecipeFacts, ...], chain: tuple[RecipeFacts, ...]) -> Iterator[Need]:
    """Yield what a chain of recipes needs from outside, one a category."""
    made = {product for fact in chain for product in fact.products}
    found: dict[str, Need] = {}
    for fact in chain:
        for need in fact.needs:
            if fact in known or made.isdisjoint(need.names):
                first = found.setdefault(need.category, need)
                if need.required and not first.required:
                    found[need.category] = need
    yield from found.values()


def _as_taken(selection: Selection, needs: tuple[Need, ...], same_recipe: bool) -> Selection:
    """Return a selection that finds what the recipe takes, needed as far as the recipe needs it."""
    need = next((each for each in needs if selection.category in each.names), None)
    if need is None and not same_recipe:
        # The rule is for another recipe, which this pipeline may not even have any more.
        return replace(selection, min_ret=0, max_ret=selection.most)
    found = selection if need is None else _agreeing(selection, need)
    if need is not None and need.category == selection.category and need.required:
        return found if found.least > 0 else replace(found, min_ret=1, max_ret=max(1, found.most))
    return replace(found, dispensable=found.least > 0)


def _agreeing(selection: Selection, need: Need) -> Selection:
    """Return a selection that compares what its recipe wants to agree too, where both headers have it."""
    compared = {keyword.name for keyword in keywords_in(selection.condition) if keyword.of_input}
    more = (*(_find_compared(name, "?=") for name in need.match if name not in compared), *_in_time(need))
    if not more:
        return selection
    parts = selection.condition.parts if isinstance(selection.condition, All) else (selection.condition,)
    return replace(selection, condition=All((*parts, *more)))


def _find_compared(name: str, operator: Operator) -> Compared:
    return Compared(Keyword(name, of_input=True), operator, Keyword(name))


def _in_time(need: Need) -> Iterator[Expression]:
    """Yield what a need says of time; a file without a time is not refused for it."""
    if any(map(isfinite, need.days)):
        low, high = (Constant(min(max(bound, -_EVER), _EVER)) for bound in need.days)
        start = Keyword("MJD-OBS", of_input=True)
        yield Between(Keyword("MJD-OBS"), Calculated(start, "+", low), Calculated(start, "+", high), lenient=True)


def _product(category: str) -> RuleProduct:
    return RuleProduct(category, (Assignment("PRO.CATG", Constant(category)),))


def _selection(need: Need, mentioned: Iterable[str] = ()) -> Selection:
    """Return a selection of what serves a need; where the rules select another name of it, that may serve instead."""
    others = set(mentioned).intersection(need.sources)
    categories = tuple(name for name in need.names if name not in others)
    of_category = tuple(Compared(Keyword("DO.CATG"), "==", Constant(category)) for category in categories)
    matching = tuple(_find_compared(name, "==" if name in need.strict else "?=") for name in need.match)
    wanted: Expression = of_category[0] if len(of_category) == 1 else Any(of_category)
    more = (*matching, *_in_time(need))
    return Selection(
        category=need.category,
        source="calibFiles",
        condition=All((wanted, *more)) if more else wanted,
        min_ret=1 if need.required and not others else 0,
        max_ret=EVERY if need.limit is None else need.limit,
    )
