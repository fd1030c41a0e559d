"""Tasks of the stand-in, with their inputs, alternatives and filters."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

from esorex_bridge.edps.child.inert import note_unknown, site
from esorex_bridge.edps.child.rules import Builder, MatchRules, as_list, tag_of, whole
from esorex_bridge.edps.child.sources import DataSource, Grouped, Grouping

tasks_built: list[Task] = []
"""Every task in the order of creation: a task can only name tasks that exist, so producers come first."""


class AssociatedInput:
    """What a task takes beside its main input."""

    def __init__(
        self,
        source: Any,
        classes: Any = None,
        min_ret: int = 1,
        max_ret: int = 1,
        condition: Any = None,
        match_rules: Any = None,
        **others: Any,
    ) -> None:
        self.source = source
        self.classes = as_list(classes)
        self.min_ret = whole(min_ret, 1, "with_associated_input")
        self.max_ret = whole(max_ret, 1, "with_associated_input")
        self.condition = condition
        self.rules = match_rules.rules if isinstance(match_rules, MatchRules) else None
        self.site = site()
        if not isinstance(source, DataSource | Task):
            note_unknown(f"input of type {type(source).__name__}", "with_associated_input")
        if match_rules is not None and self.rules is None:
            note_unknown(f"match_rules of type {type(match_rules).__name__}", "with_associated_input")
        for option in others:
            note_unknown(f"with_associated_input({option}=…)", getattr(source, "name", ""))

    @property
    def understood(self) -> bool:
        """Whether its source is one."""
        return isinstance(self.source, DataSource | Task)


def associated_input(source: Any, classes: Any = None, **options: Any) -> AssociatedInput:
    """Return an associated input."""
    return AssociatedInput(source, classes, **options)


class Alternatives(Builder):
    """Branches of which the first that finds something is taken."""

    _kind = "alternatives"

    def __init__(self, sort_keys: Any = None) -> None:
        self.sort_keys = [str(key) for key in as_list(sort_keys)]
        self.branches: list[AssociatedInput] = []
        self.site = site()

    def with_associated_input(self, source: Any, classes: Any = None, *args: Any, **options: Any) -> Alternatives:
        """Add a branch."""
        given = source if isinstance(source, AssociatedInput) else AssociatedInput(source, classes, *args, **options)
        if given.understood:
            self.branches.append(given)
        return self

    def build(self) -> Alternatives:
        """Return it; nobody needs to call this."""
        return self


def alternative_associated_inputs(sort_keys: Any = None, **others: Any) -> Alternatives:
    """Return alternatives to fill."""
    for option in others:
        note_unknown(f"alternative_associated_inputs({option}=…)", "")
    return Alternatives(sort_keys)


class Filter(NamedTuple):
    """Tags that are kept (`SELECT`) or dropped (`REJECT`)."""

    mode: str
    tags: tuple[str, ...]


class FilterMode:
    """How a filter works."""

    SELECT = "SELECT"
    ACCEPT = "SELECT"
    REJECT = "REJECT"


def _filter(classes: tuple[Any, ...], mode: Any, where: str) -> Filter:
    word = str(mode).rpartition(".")[2].upper()
    if word not in ("SELECT", "ACCEPT", "REJECT"):
        note_unknown(f"filter mode {mode!r}", where)
    flat = [each for given in classes for each in as_list(given)]
    return Filter("REJECT" if word == "REJECT" else "SELECT", tuple(map(tag_of, flat)))


class Task(Grouped):
    """A recipe with its inputs."""

    _kind = "task"

    def __init__(self, name: str) -> None:
        self.name = str(name)
        self.site = site()
        self.command: str | None = None
        self.function: Any = None
        self.recipes: list[str] = []
        self.shell_command = ""
        self.main_input: DataSource | Task | None = None
        self.main_classes: list[Any] = []
        self.inputs: list[AssociatedInput | Alternatives] = []
        self.dynamic: dict[str, Any] = {}
        self.condition: Any = None
        self.job_functions: list[Any] = []
        self.input_filter: Filter | None = None
        self.output_filter: Filter | None = None
        self.input_map: dict[str, str] = {}
        self.grouping = Grouping()
        self.meta_targets: list[str] = []
        self.reports: list[str] = []
        self.subworkflow = ".".join(_subworkflows)

    def with_main_input(self, source: Any, classes: Any = None, **others: Any) -> Task:
        """Say what it processes."""
        self._unknown_options("with_main_input", others)
        if isinstance(source, DataSource | Task):
            self.main_input, self.main_classes = source, as_list(classes)
        else:
            note_unknown(f"main input of type {type(source).__name__}", f"task {self.name}")
        return self

    def with_associated_input(self, source: Any, classes: Any = None, *args: Any, **options: Any) -> Task:
        """Add what it takes beside."""
        given = source if isinstance(source, AssociatedInput) else AssociatedInput(source, classes, *args, **options)
        if given.understood:
            self.inputs.append(given)
        return self

    def with_alternatives(self, alternatives: Any, **others: Any) -> Task:
        """Add alternatives."""
        self._unknown_options("with_alternatives", others)
        if isinstance(alternatives, Alternatives | AssociatedInput):
            self.inputs.append(alternatives)
        else:
            note_unknown(f"alternatives of type {type(alternatives).__name__}", f"task {self.name}")
        return self

    with_alternative_associated_inputs = with_alternatives

    def with_recipe(self, name: Any, **others: Any) -> Task:
        """Name the recipe."""
        self._unknown_options("with_recipe", others)
        self.command = str(name)
        return self

    def with_function(self, function: Any, recipes: Any = None, **others: Any) -> Task:
        """Run a function of Python instead of a recipe."""
        self._unknown_options("with_function", others)
        self.function, self.recipes = function, [str(name) for name in as_list(recipes)]
        return self

    def with_shell_command(self, command: Any = "", *_: Any, **__: Any) -> Task:
        """Run a command instead of a recipe."""
        self.shell_command = str(command)
        return self

    def with_dynamic_parameter(self, name: Any, function: Any) -> Task:
        """Add a parameter that is computed from the main files of each job."""
        self.dynamic[str(name)] = function
        return self

    def with_condition(self, function: Any) -> Task:
        """Make jobs only where it holds."""
        self.condition = function
        return self

    def with_job_processing(self, function: Any) -> Task:
        """Let a function change each job."""
        self.job_functions.append(function)
        return self

    def with_input_filter(self, *classes: Any, mode: Any = FilterMode.SELECT, **others: Any) -> Task:
        """Say which files come into the SOF."""
        self._unknown_options("with_input_filter", others)
        self.input_filter = _filter(classes, mode, f"task {self.name}")
        return self

    def with_output_filter(self, *classes: Any, mode: Any = FilterMode.SELECT, **others: Any) -> Task:
        """Say which products go to later tasks."""
        self._unknown_options("with_output_filter", others)
        self.output_filter = _filter(classes, mode, f"task {self.name}")
        return self

    def with_input_map(self, mapping: Any, **others: Any) -> Task:
        """Give classes another tag in the SOF."""
        self._unknown_options("with_input_map", others)
        self.input_map.update({tag_of(old): tag_of(new) for old, new in dict(mapping).items()})
        return self

    def with_meta_targets(self, targets: Any) -> Task:
        """Label it for selection."""
        self.meta_targets.extend(str(target) for target in as_list(targets))
        return self

    def with_report(self, name: Any, *_: Any, **__: Any) -> Task:
        """Name a quality report; ignored."""
        self.reports.append(str(name))
        return self

    def build(self) -> Task:
        """Return what was said so far."""
        made: Task = self.snapshot()
        made.grouping = copy.copy(self.grouping)
        tasks_built.append(made)
        return made


def task(name: str) -> Task:
    """Return a task to fill."""
    return Task(name)


_subworkflows: list[str] = []


def subworkflow(name: Any = "", *_: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a function that builds tasks; they bear its name in graphs."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            _subworkflows.append(str(name))
            try:
                return function(*args, **options)
            finally:
                _subworkflows.pop()

        return call

    if callable(name):  # without brackets
        given, name = name, getattr(name, "__name__", "")
        return decorate(given)
    return decorate
