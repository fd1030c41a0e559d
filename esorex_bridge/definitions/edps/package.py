"""A workflow package as values: its tasks, data sources and classes, and what was not understood."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

Plain = str | int | float | bool | None
"""A header value as a rule states it."""


class Function(Struct, frozen=True):
    """A function of the package, by name and place; it is asked in the child process, never here."""

    name: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.name} ({self.file.rpartition('/')[2]}:{self.line})"


class MatchRule(Struct, frozen=True):
    """One association rule.

    Parameters
    ----------
    match : tuple of str
        Keywords that must be equal.
    days : tuple of float or None
        Earliest and latest, from the trigger to the calibration; None for no bound.
    level : int
        Quality of an association by it: 0 as the calibration plan wants it, higher is worse.
    function : Function or None
        Decides instead of keywords.
    """

    match: tuple[str, ...]
    days: tuple[float | None, float | None]
    level: int
    function: Function | None = None
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        what = str(self.function) if self.function else ", ".join(self.match) or "anything"
        low, high = self.days
        when = (
            "any time"
            if low is None and high is None
            else f"{_format_bound(low, '-')} … {_format_bound(high, '')} days"
        )
        return f"{what}; {when}; level {self.level}"


def _format_bound(days: float | None, sign: str) -> str:
    return f"{sign}∞" if days is None else f"{days:g}"


class Grouping(Struct, frozen=True):
    """How files or jobs are put together; `keywords` None where nothing is said."""

    keywords: tuple[str, ...] | None = None
    cluster: tuple[str, str | None, str | None] | None = None
    function: Function | None = None
    minimum: int | None = None


class Classification(Struct, frozen=True):
    """A tag and what a file must have to bear it; without keywords and function, the tag as its `PRO.CATG`."""

    tag: str
    keywords: dict[str, Plain | tuple[Plain, ...]] | None = None
    function: Function | None = None
    file: str = ""
    line: int = 0


class PackageSource(Struct, frozen=True):
    """A data source: files of some classes."""

    name: str
    classes: tuple[str, ...]
    setup: tuple[str, ...] = ()
    grouping: Grouping = Grouping()
    rules: tuple[MatchRule, ...] = ()
    file: str = ""
    line: int = 0


class Reference(Struct, frozen=True):
    """The data source or the task that an input is of."""

    kind: str
    name: str


class InputBranch(Struct, frozen=True):
    """One associated input, alone or among alternatives.

    Parameters
    ----------
    kind, name : str
        `source` or `task`, and its name.
    categories : tuple of str
        Classes that may stand in for the task as masters.
    min_ret, max_ret : int
        Fewest and most; 0: optional, -1: no limit.
    rules : tuple of MatchRule
        In the order in which they are tried: its own, or those of the source.
    condition : Function or None
        Where it does not hold, the input does not exist.
    """

    kind: str
    name: str
    categories: tuple[str, ...] = ()
    min_ret: int = 1
    max_ret: int = 1
    rules: tuple[MatchRule, ...] = ()
    condition: Function | None = None
    own_rules: bool = False
    file: str = ""
    line: int = 0


class TaskInput(Struct, frozen=True):
    """An associated input: one branch, or alternatives of which the first that finds something counts."""

    branches: tuple[InputBranch, ...]
    alternatives: bool = False
    sort_keys: tuple[str, ...] = ()


class Filter(Struct, frozen=True):
    """Tags that are kept (`SELECT`) or dropped (`REJECT`)."""

    mode: str
    tags: tuple[str, ...]


class PackageTask(Struct, frozen=True):
    """A task: a recipe with its inputs."""

    name: str
    recipe: str | None = None
    function: Function | None = None
    shell_command: str = ""
    recipes: tuple[str, ...] = ()
    main_input: Reference | None = None
    main_classes: tuple[str, ...] = ()
    inputs: tuple[TaskInput, ...] = ()
    dynamic_parameters: dict[str, Function | None] = {}
    condition: Function | None = None
    job_functions: tuple[Function | None, ...] = ()
    input_filter: Filter | None = None
    output_filter: Filter | None = None
    input_map: dict[str, str] = {}
    grouping: Grouping = Grouping()
    meta_targets: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    subworkflow: str = ""
    file: str = ""
    line: int = 0

    def branches(self) -> Iterator[InputBranch]:
        """Yield all associated inputs, those in alternatives too."""
        for given in self.inputs:
            yield from given.branches

    def functions(self) -> Iterator[Function]:
        """Yield the functions of the package that planning asks for this task."""
        for function in (
            self.condition,
            *self.job_functions,
            *self.dynamic_parameters.values(),
            self.grouping.function,
        ):
            if function is not None:
                yield function
        for branch in self.branches():
            if branch.condition is not None:
                yield branch.condition
            yield from (rule.function for rule in branch.rules if rule.function is not None)


class NotUnderstood(Struct, frozen=True):
    """A name or call that is not known here."""

    name: str
    where: str
    file: str
    line: int

    def __str__(self) -> str:
        place = f" of {self.where}" if self.where else ""
        return f"{self.file}:{self.line}: '{self.name}'{place} is not known and was passed over"


class Description(Struct, frozen=True):
    """All that a workflow says, as the child process returns it."""

    title: str
    tasks: tuple[PackageTask, ...]
    sources: tuple[PackageSource, ...]
    classes: tuple[Classification, ...]
    not_understood: tuple[NotUnderstood, ...] = ()
    remarks: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    def source(self, name: str) -> PackageSource | None:
        """Return a data source by its name."""
        return next((source for source in self.sources if source.name == name), None)

    def task(self, name: str) -> PackageTask | None:
        """Return a task by its name: of several, the one that was made last."""
        return next((task for task in reversed(self.tasks) if task.name == name), None)

    def call_backs(self) -> tuple[Function, ...]:
        """Return the functions of the package that planning asks, once each, by their place."""
        found = [rule.function for rule in self.classes if rule.function is not None]
        for source in self.sources:
            found += [rule.function for rule in source.rules if rule.function is not None]
            found += [source.grouping.function] if source.grouping.function else []
        for task in self.tasks:
            found += task.functions()
        return tuple(sorted(dict.fromkeys(found), key=lambda function: (function.file, function.line, function.name)))


class ParameterSet(Struct, frozen=True):
    """A set of parameters of a package: of its workflow, and of recipes by task; all values as texts."""

    name: str
    is_default: bool = False
    workflow: dict[str, str] = {}
    recipes: dict[str, dict[str, str]] = {}
    file: str = ""


class Package(Struct, frozen=True):
    """A workflow package.

    Parameters
    ----------
    name : str
        `<folder>.<module>`.
    root : str
        The folder that holds the package's folder.
    digest : str
        SHA-256 of all sources that were read, those of imported packages too.
    description : Description
        What it says.
    sets : tuple of ParameterSet
        From `*parameters.yaml`.
    extras : str
        What stands beside the package of a definition that was exported; empty for others.
    """

    name: str
    root: str
    digest: str
    description: Description
    sets: tuple[ParameterSet, ...] = ()
    extras: str = ""

    def unknown_tasks(self) -> tuple[tuple[str, str], ...]:
        """Return (set, task) for each entry of recipe parameters that names no task."""
        known = {task.name for task in self.description.tasks}
        return tuple((each.name, task) for each in self.sets for task in each.recipes if task not in known)
