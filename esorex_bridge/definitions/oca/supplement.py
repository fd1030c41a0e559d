"""Rules completed by what is known of recipes: products that rules leave out, and calibrations they do not mention.

The rule files that come with the pipelines are those of the on-line system, where the master calibrations lie on disk
already: they name no products, so that alone no dark would ever join a science frame's cascade.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from msgspec import Struct

from esorex_bridge.definitions.oca.expressions import (
    All,
    Any,
    Compared,
    Constant,
    Expression,
    Keyword,
    Operator,
    keywords_in,
    parts_of,
)
from esorex_bridge.definitions.oca.rules import ActionRule, Assignment, Product, Rules, Selection


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
    """

    category: str
    required: bool = False
    match: tuple[str, ...] = ()
    limit: int | None = 1
    sources: tuple[str, ...] = ()
    strict: tuple[str, ...] = ()


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
    """

    recipe: str
    products: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    main: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()


_CATEGORY_KEYWORDS = ("DO.CATG", "RAW.TYPE", "REFLEX.CATG", "CATG")

EVERY = 10_000
"""Stands for "all" in `maxRet`, which has to be a number."""


def supplemented(rules: Rules, facts: Iterable[RecipeFacts]) -> Rules:
    """Return rules whose actions name the products of their recipes and select all calibrations these take.

    What the rules say themselves stays as it is, but for two things: a calibration that they call optional and that the
    recipe cannot do without is needed; and it agrees in all that the recipe wants, so that what is found is of use.
    Rules made for Reflex that declare products are final: nothing is added to them.
    """
    if rules.is_final:
        return rules
    known = tuple(facts)
    actions = (_supplemented(action, _facts_for(action, rules, known)) for action in rules.actions)
    return replace(rules, actions=tuple(actions))


def _facts_for(action: ActionRule, rules: Rules, facts: tuple[RecipeFacts, ...]) -> tuple[RecipeFacts, ...]:
    """Return what is known of the recipes that an action's files go through.

    The categories of the files tell it first: one recipe may serve two arms of an instrument, with other products and
    needs for each, and the on-line rules may use another recipe than a workflow. The recipe's name tells it otherwise.
    """
    categories = {
        category
        for execution in rules.executions
        if execution.action == action.name
        for category in _categories(execution.condition)
    }
    names = {recipe.name for recipe in action.recipes}
    by_category = tuple(fact for fact in facts if categories.intersection(fact.main))
    both = tuple(fact for fact in by_category if fact.recipe in names)
    by_name = tuple(fact for fact in facts if fact.recipe in names and not (categories and fact.main))
    return both or by_category or by_name


def _categories(condition: Expression) -> Iterator[str]:
    """Yield the categories that a condition compares a file's own with."""
    if isinstance(condition, Compared) and condition.operator == "==" and isinstance(condition.left, Keyword):
        right = condition.right
        if condition.left.name.removeprefix("LF.") in _CATEGORY_KEYWORDS and isinstance(right, Constant):
            yield str(right.value)
    for part in parts_of(condition):
        yield from _categories(part)


def _supplemented(action: ActionRule, known: tuple[RecipeFacts, ...]) -> ActionRule:
    stated = {_stated_category(product) for product in action.products}
    products = [_product(category) for fact in known for category in fact.products if category not in stated]
    required = {need.category for fact in known for need in fact.needs if need.required}
    mentioned = {selection.category for selection in action.selections}
    needs = [need for fact in known for need in fact.needs if mentioned.isdisjoint((need.category, *need.sources))]
    wanted = {name: need for fact in known for need in fact.needs for name in (need.category, *need.sources)}
    stated_first = (_at_least_one(_agreeing(each, wanted), required) for each in action.selections)
    return replace(
        action,
        products=(*action.products, *products),
        selections=(*stated_first, *map(_selection, needs)),
        settings=tuple(dict.fromkeys(key for fact in known for key in fact.group_by)),
    )


def _agreeing(selection: Selection, wanted: Mapping[str, Need]) -> Selection:
    """Return a selection that compares what its recipe wants to agree too, where both headers have it."""
    need = wanted.get(selection.category)
    compared = {keyword.name for keyword in keywords_in(selection.condition) if keyword.of_input}
    missing = [name for name in (need.match if need else ()) if name not in compared]
    if not missing:
        return selection
    parts = selection.condition.parts if isinstance(selection.condition, All) else (selection.condition,)
    return replace(selection, condition=All((*parts, *(_compared(name, "?=") for name in missing))))


def _compared(name: str, operator: Operator) -> Compared:
    return Compared(Keyword(name, of_input=True), operator, Keyword(name))


def _at_least_one(selection: Selection, required: set[str]) -> Selection:
    if selection.category not in required or selection.least > 0:
        return selection
    return replace(selection, min_ret=1, max_ret=max(1, selection.most))


def _stated_category(product: Product) -> str:
    values = (assigned.value for assigned in product.assignments if assigned.name == "PRO.CATG")
    return next(
        (value.value for value in values if isinstance(value, Constant) and isinstance(value.value, str)), product.name
    )


def _product(category: str) -> Product:
    return Product(category, (Assignment("PRO.CATG", Constant(category)),))


def _selection(need: Need) -> Selection:
    categories = (need.category, *need.sources)
    of_category = tuple(Compared(Keyword("DO.CATG"), "==", Constant(category)) for category in categories)
    matching = tuple(_compared(name, "==" if name in need.strict else "?=") for name in need.match)
    wanted: Expression = of_category[0] if len(of_category) == 1 else Any(of_category)
    return Selection(
        category=need.category,
        source="calibFiles",
        condition=All((wanted, *matching)) if matching else wanted,
        min_ret=1 if need.required else 0,
        max_ret=EVERY if need.limit is None else need.limit,
    )
