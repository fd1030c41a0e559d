"""Rules completed by what is known of recipes: products that rules leave out, and calibrations they do not mention.

The rule files that come with the pipelines are those of the on-line system, where the master calibrations lie on disk
already: they name no products, so that alone no dark would ever join a science frame's cascade.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from esorex_bridge.datasets.oca.expressions import All, Any, Compared, Constant, Expression, Keyword
from esorex_bridge.datasets.oca.rules import ActionRule, Assignment, Product, Rules, Selection


@dataclass(frozen=True, slots=True)
class Need:
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
    """

    category: str
    required: bool = False
    match: tuple[str, ...] = ()
    limit: int | None = 1
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecipeFacts:
    """What is known of a recipe.

    Parameters
    ----------
    recipe : str
        EsoRex's name of it.
    products : tuple of str
        Categories that it makes.
    needs : tuple of Need
        Calibrations that it takes.
    """

    recipe: str
    products: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()


EVERY = 10_000
"""Stands for "all" in `maxRet`, which has to be a number."""


def supplemented(rules: Rules, facts: Iterable[RecipeFacts]) -> Rules:
    """Return rules whose actions name the products of their recipes and select all calibrations these take.

    What the rules say themselves stays as it is, but for one thing: a calibration that they call optional and that the
    recipe cannot do without is needed.
    """
    by_recipe: dict[str, RecipeFacts] = {}
    for fact in facts:
        known = by_recipe.get(fact.recipe, RecipeFacts(fact.recipe))
        by_recipe[fact.recipe] = RecipeFacts(
            fact.recipe,
            tuple(dict.fromkeys((*known.products, *fact.products))),
            tuple({need.category: need for need in (*known.needs, *fact.needs)}.values()),
        )
    return replace(rules, actions=tuple(_supplemented(action, by_recipe) for action in rules.actions))


def _supplemented(action: ActionRule, facts: dict[str, RecipeFacts]) -> ActionRule:
    known = [facts[recipe.name] for recipe in action.recipes if recipe.name in facts]
    stated = {_stated_category(product) for product in action.products}
    products = [_product(category) for fact in known for category in fact.products if category not in stated]
    required = {need.category for fact in known for need in fact.needs if need.required}
    mentioned = {selection.category for selection in action.selections}
    needs = [need for fact in known for need in fact.needs if mentioned.isdisjoint((need.category, *need.sources))]
    return replace(
        action,
        products=(*action.products, *products),
        selections=(*(_at_least_one(selection, required) for selection in action.selections), *map(_selection, needs)),
    )


def _at_least_one(selection: Selection, required: set[str]) -> Selection:
    if selection.category not in required or selection.least > 0:
        return selection
    return replace(selection, min_ret=1, max_ret=max(1, selection.most))


def _stated_category(product: Product) -> str:
    values = (assigned.value for assigned in product.assignments if assigned.name == "PRO.CATG")
    return next((value.value for value in values if isinstance(value, Constant) and isinstance(value.value, str)),
                product.name)


def _product(category: str) -> Product:
    return Product(category, (Assignment("PRO.CATG", Constant(category)),))


def _selection(need: Need) -> Selection:
    categories = (need.category, *need.sources)
    of_category = tuple(Compared(Keyword("DO.CATG"), "==", Constant(category)) for category in categories)
    matching = tuple(Compared(Keyword(name, of_input=True), "?=", Keyword(name)) for name in need.match)
    wanted: Expression = of_category[0] if len(of_category) == 1 else Any(of_category)
    return Selection(
        category=need.category,
        source="calibFiles",
        condition=All((wanted, *matching)) if matching else wanted,
        min_ret=1 if need.required else 0,
        max_ret=EVERY if need.limit is None else need.limit,
    )
