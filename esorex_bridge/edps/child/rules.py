"""Rules of the stand-in: which tag a file bears, and which calibration goes with which file."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from esorex_bridge.edps.child.inert import Inert, note_unknown, site

NEGATIVE_INF, INF = float("-inf"), float("inf")

rules_built: list[ClassificationRule] = []
"""Every classification rule."""


def keyword(name: str) -> str:
    """Return a keyword in our form: `ins.wlen.id`, `HIERARCH ESO INS WLEN ID` become `INS.WLEN.ID`."""
    text = str(name).strip().upper()
    for prefix in ("HIERARCH ESO ", "HIERARCH ", "ESO "):
        text = text.removeprefix(prefix)
    return text.replace(" ", ".")


class ClassificationRule:
    """A tag, and what a file must have to bear it: keywords, a function, or the tag as its `PRO.CATG`."""

    def __init__(self, classification: str, rule: Any = None, **others: Any) -> None:
        self.classification = classification
        self.site = site()
        self.keywords: dict[str, Any] | None = dict(rule) if isinstance(rule, Mapping) else None
        self.function: Callable[..., Any] | None = rule if callable(rule) and not isinstance(rule, Inert) else None
        self.keyword_values = self.keywords or {}
        if rule is not None and self.keywords is None and self.function is None:
            note_unknown(f"rule of type {type(rule).__name__}", f"classification rule {classification}")
        for name in others:
            note_unknown(name, f"classification rule {classification}")
        rules_built.append(self)

    def __repr__(self) -> str:
        return f"classification_rule({self.classification!r})"


class ProductClassificationRule(ClassificationRule):
    """An older name of the same."""


def classification_rule(classification: str, rule: Any = None, **others: Any) -> ClassificationRule:
    """Return a classification rule."""
    return ClassificationRule(classification, rule, **others)


def tag_of(given: Any) -> str:
    """Return the tag of a rule, or a text as it is."""
    return str(getattr(given, "classification", given))


def as_list(given: Any) -> list[Any]:
    """Return a list of what is one, or of one."""
    if given is None:
        return []
    return list(given) if isinstance(given, list | tuple | set) else [given]


class RelativeTimeRange:
    """Days from a trigger to its calibration, bounds included."""

    def __init__(self, start: float = NEGATIVE_INF, end: float = INF) -> None:
        self.start, self.end = float(start), float(end)
        self.left, self.right = self.start, self.end


TIME_RANGES: dict[str, RelativeTimeRange] = {
    "NEXT_DAY": RelativeTimeRange(0, 1),
    "IN_THE_PAST": RelativeTimeRange(NEGATIVE_INF, 0),
    "UNLIMITED": RelativeTimeRange(),
    **{
        name: RelativeTimeRange(-days, days)
        for name, days in (
            ("ONE_AND_HALF_HOURS", 0.0625),
            ("SAME_NIGHT", 0.4),
            ("ONE_DAY", 1),
            ("TWO_DAYS", 2),
            ("THREE_DAYS", 3),
            ("FOUR_DAYS", 4),
            ("FIVE_DAYS", 5),
            ("ONE_WEEK", 7),
            ("TWO_WEEKS", 14),
            ("THREE_WEEKS", 21),
            ("ONE_MONTH", 30),
            ("QUARTERLY", 90),
        )
    },
}
"""The named ranges."""

UNLIMITED = TIME_RANGES["UNLIMITED"]


class MatchRule:
    """One association rule: keywords that must be equal or a function, a time range, a level."""

    def __init__(self, keywords: Any, function: Any, time_range: Any, level: Any) -> None:
        self.keywords = [str(key) for key in as_list(keywords)]
        self.function = function
        self.site = site()
        if not hasattr(time_range, "start") or isinstance(time_range, Inert):
            note_unknown(f"time range {time_range!r}", "association rule")
            time_range = UNLIMITED
        self.start, self.end = float(time_range.start), float(time_range.end)
        self.level = level if isinstance(level, int) else 0


class Builder:
    """What all builders share: names they do not know are taken down and passed over."""

    _kind = "builder"
    name: str

    def __getattr__(self, attribute: str) -> Any:
        if not attribute.startswith("with_"):
            raise AttributeError(f"{self._kind} has no attribute {attribute!r}")
        note_unknown(attribute, f"{self._kind} {self.__dict__.get('name', '')}".strip())
        return lambda *_, **__: self

    def snapshot(self) -> Any:
        """Return what was said so far: what the builder is told later does not change it."""
        made = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, list | dict):
                setattr(made, name, copy.copy(value))
            elif isinstance(value, MatchRules):
                setattr(made, name, value.snapshot())
        return made

    def _unknown_options(self, method: str, options: Mapping[str, Any]) -> None:
        for option in options:
            note_unknown(f"{method}({option}=…)", f"{self._kind} {self.__dict__.get('name', '')}".strip())


def whole(given: Any, default: int, where: str) -> int:
    """Return a number that a package gives; another one, noted, where it gives none."""
    try:
        return int(given)
    except (TypeError, ValueError):
        note_unknown(f"number {given!r}", where)
        return default


class MatchRules(Builder):
    """Association rules in the order in which they are tried."""

    _kind = "match_rules"

    def __init__(self) -> None:
        self.rules: list[MatchRule] = []

    def with_match_keywords(
        self, keywords: Any, time_range: Any = UNLIMITED, level: Any = 0, **others: Any
    ) -> MatchRules:
        """Add a rule of keywords."""
        self._unknown_options("with_match_keywords", others)
        self.rules.append(MatchRule(keywords, None, time_range, level))
        return self

    def with_match_function(
        self, function: Any, time_range: Any = UNLIMITED, level: Any = 0, **others: Any
    ) -> MatchRules:
        """Add a rule of a function `(trigger, calibration) -> bool`."""
        self._unknown_options("with_match_function", others)
        self.rules.append(MatchRule((), function, time_range, level))
        return self

    def build(self) -> MatchRules:
        """Return it; nobody needs to call this."""
        return self


def match_rules() -> MatchRules:
    """Return association rules to fill."""
    return MatchRules()


def same(left: Any, right: Any) -> bool:
    """Tell whether two header values are equal; numbers and booleans compare as such, also where one is a text."""
    if left == right:
        return True
    if left is None or right is None:
        return False
    if isinstance(left, bool) or isinstance(right, bool):
        return str(left).upper()[:1] == str(right).upper()[:1] and {str(left).upper(), str(right).upper()} <= {
            "TRUE",
            "FALSE",
            "T",
            "F",
        }
    try:
        return float(left) == float(right)
    except (TypeError, ValueError):
        return str(left).strip() == str(right).strip()


def match(ref: Any, f: Any, keywords: Any) -> bool:
    """Tell whether two files agree in all keywords."""
    return all(same(ref[key], f[key]) for key in as_list(keywords))
