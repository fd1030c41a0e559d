"""Classification of files by the `if … then {…}` rules: all apply in order, so the last match wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from esorex_bridge.definitions.oca.evaluate import Keywords, evaluate, holds
from esorex_bridge.definitions.oca.expressions import keywords_in
from esorex_bridge.definitions.oca.rules import ClassificationRule, Rules
from esorex_bridge.fits.card import Value

CATEGORY_KEYWORDS = ("REFLEX.CATG", "DO.CATG", "CATG", "RAW.TYPE")
"""Where the category of a file is looked for, in this order: Reflex's own keyword, Gasgano's, and what is left."""

UNCLASSIFIED = ("", "UNDEFINED", "UNKNOWN")
"""Categories that mean none: rule files give them so that Reflex does not stop at a file without."""


class Classified(Struct, frozen=True):
    """What the rules say of a file.

    Parameters
    ----------
    given : mapping
        The keywords that the rules give it.
    rules : tuple of ClassificationRule
        The rules that matched, in order.
    """

    given: Mapping[str, Value]
    rules: tuple[ClassificationRule, ...]

    @property
    def category(self) -> str | None:
        """The tag that the file has in a SOF; None where no rule gave one."""
        return category_of(self.given)

    @property
    def winner(self) -> ClassificationRule | None:
        """The rule that gave the category: the last match that did."""
        decisive = [
            rule for rule in self.rules if any(assigned.name in CATEGORY_KEYWORDS for assigned in rule.assignments)
        ]
        return decisive[-1] if decisive else None


def category_of(keywords: Keywords) -> str | None:
    """Return the category among the keywords that rules gave."""
    values = (keywords.get(name) for name in CATEGORY_KEYWORDS)
    return next((value for value in values if isinstance(value, str) and value not in UNCLASSIFIED), None)


class Classifier:
    """Applies the classification rules of a file, and remembers what it found for equal keywords.

    Thousands of frames differ in a handful of the keywords that rules look at, so most answers are known already.

    A file that names itself a product (PRO.CATG) is tried by those rules alone that do not go by DPR keywords: many
    products keep the DPR cards of the raw file they were made from, and would pass for raws. Some tables write their
    PRO.CATG with a blank where the rules have an underscore.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules.classifications
        self._of_products = tuple(rule for rule in self._rules if not _is_of_raws(rule))
        self.keywords = ("PRO.CATG", *_keywords(self._rules))
        self._known: dict[tuple[Value, ...], Classified] = {}

    def __call__(self, header: Keywords) -> Classified:
        """Return what the rules say of a file with this header."""
        key = tuple(map(header.get, self.keywords))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._classify(header)
        return found

    def _classify(self, header: Keywords) -> Classified:
        product = header.get("PRO.CATG")
        if not isinstance(product, str) or not product:
            return classify(self._rules, header)
        found = classify(self._of_products, header)
        if found.category is None and " " in product:
            return classify(self._of_products, {**header, "PRO.CATG": product.replace(" ", "_")})
        return found


def classify(rules: Iterable[ClassificationRule], header: Keywords) -> Classified:
    """Apply classification rules to one header, in order; later rules see what earlier ones gave."""
    seen: dict[str, Value] = dict(header)
    given: dict[str, Value] = {}
    matched = []
    for rule in rules:
        if not holds(rule.condition, seen):
            continue
        matched.append(rule)
        for assignment in rule.assignments:
            given[assignment.name] = seen[assignment.name] = evaluate(assignment.value, seen)
    return Classified(given, tuple(matched))


def _is_of_raws(rule: ClassificationRule) -> bool:
    names = {keyword.name for keyword in keywords_in(rule.condition)}
    return "PRO.CATG" not in names and any(name.startswith("DPR.") for name in names)


def _keywords(rules: Iterable[ClassificationRule]) -> tuple[str, ...]:
    conditions = (keyword.name for rule in rules for keyword in keywords_in(rule.condition))
    values = (
        keyword.name for rule in rules for assigned in rule.assignments for keyword in keywords_in(assigned.value)
    )
    return tuple(dict.fromkeys((*conditions, *values)))
