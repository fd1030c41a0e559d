"""Data sources of the stand-in, and how their files, or later the jobs on them, are grouped."""

from __future__ import annotations

import copy
from typing import Any

from esorex_bridge.edps.child.inert import note_unknown, site
from esorex_bridge.edps.child.rules import UNLIMITED, Builder, ClassificationRule, MatchRules, as_list, tag_of, whole

sources_built: list[DataSource] = []
"""Every data source, also those that no task uses."""


class Grouping:
    """How files or jobs are put together, on a data source or again on a task."""

    def __init__(self) -> None:
        self.keywords: list[str] | None = None
        self.cluster: tuple[str, Any, Any] | None = None
        self.function: Any = None
        self.minimum: int | None = None

    @property
    def stated(self) -> bool:
        """Whether anything was said of it."""
        return any(value is not None for value in (self.keywords, self.cluster, self.function))


class Grouped(Builder):
    """What data sources and tasks can both say about groups."""

    grouping: Grouping

    def with_grouping_keywords(self, keywords: Any, **others: Any) -> Any:
        """Group by equal values."""
        self._unknown_options("with_grouping_keywords", others)
        self.grouping.keywords = [str(key) for key in as_list(keywords)]
        return self

    def with_cluster(self, key: Any, a: Any = None, b: Any = None, **options: Any) -> Any:
        """Group by nearness: each member within `a` of another, all within `b`."""
        separation, diameter = options.pop("max_separation", a), options.pop("max_diameter", b)
        self._unknown_options("with_cluster", options)
        self.grouping.cluster = (str(key), separation, diameter)
        return self

    def with_grouping_function(self, function: Any, **others: Any) -> Any:
        """Group by a function that gets files and returns groups."""
        self._unknown_options("with_grouping_function", others)
        self.grouping.function = function
        return self

    with_custom_grouping = with_grouping_function

    def with_min_group_size(self, number: Any) -> Any:
        """Drop smaller groups."""
        self.grouping.minimum = whole(number, 1, self.__dict__.get("name", ""))
        return self

    def with_subworkflow_name(self, name: Any) -> Any:
        """Say where it stands in graphs."""
        self.subworkflow = str(name)
        return self

    def with_description(self, text: Any) -> Any:
        """Describe it to people."""
        self.description = str(text)
        return self


class DataSource(Grouped):
    """Files of some classes, how they are grouped, and whom they calibrate."""

    _kind = "data source"

    def __init__(self, label: str | None = None) -> None:
        self.label = label
        self.site = site()
        self.classification_rules: list[Any] = []
        self.setup: list[str] = []
        self.grouping = Grouping()
        self.match = MatchRules()

    @property
    def name(self) -> str:  # type: ignore[override]
        """The label, or the tag of the first rule."""
        if self.label:
            return self.label
        return tag_of(self.classification_rules[0]) if self.classification_rules else "?"

    def with_classification_rule(self, rule: Any, *more: Any, **others: Any) -> DataSource:
        """Add files of a class."""
        self._unknown_options("with_classification_rule", others)
        for each in (*as_list(rule), *more):
            if isinstance(each, ClassificationRule):
                self.classification_rules.append(each)
            else:
                note_unknown(f"class {type(each).__name__}", f"data source {self.label or ''}")
        return self

    def with_setup_keywords(self, keywords: Any, **others: Any) -> DataSource:
        """Name the keywords that describe the setup."""
        self._unknown_options("with_setup_keywords", others)
        self.setup = [str(key) for key in as_list(keywords)]
        return self

    def with_match_keywords(
        self, keywords: Any, time_range: Any = UNLIMITED, level: Any = 0, **others: Any
    ) -> DataSource:
        """Add an association rule of keywords."""
        self.match.with_match_keywords(keywords, time_range, level, **others)
        return self

    def with_match_function(
        self, function: Any, time_range: Any = UNLIMITED, level: Any = 0, **others: Any
    ) -> DataSource:
        """Add an association rule of a function."""
        self.match.with_match_function(function, time_range, level, **others)
        return self

    def with_match_rules(self, rules: Any) -> DataSource:
        """Add prebuilt association rules."""
        if isinstance(rules, MatchRules):
            self.match.rules.extend(rules.rules)
        else:
            note_unknown(f"rules of type {type(rules).__name__}", f"data source {self.name}")
        return self

    def build(self) -> DataSource:
        """Return what was said so far."""
        made: DataSource = self.snapshot()
        made.grouping = copy.copy(self.grouping)
        sources_built.append(made)
        return made


def data_source(label: str | None = None) -> DataSource:
    """Return a data source to fill."""
    return DataSource(label)
