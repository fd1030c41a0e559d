"""The stand-in for the module `edps`: its builders take down what a workflow package says, and run nothing.

Every `with_…` changes the builder and returns it, because packages call it for its effect alone. What is not known here
is taken down with file and line and passed over, so that one new name does not cost the whole package.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

NEGATIVE_INF, INF = float("-inf"), float("inf")
_OWN_FOLDER = __file__.rpartition("/")[0]


class Site(NamedTuple):
    """Where something stands in a package."""

    file: str
    line: int


class Unknown(NamedTuple):
    """A name or call that is not known here."""

    name: str
    where: str
    site: Site


unknown: list[Unknown] = []
"""All that was not understood, in the order in which it was met."""

tasks_built: list[Task] = []
"""Every task in the order of creation: a task can only name tasks that exist, so producers come first."""


rules_built: list[ClassificationRule] = []
"""Every classification rule."""

sources_built: list[DataSource] = []
"""Every data source, also those that no task uses."""


def site() -> Site:
    """Return the place in the package that is being executed."""
    frame = sys._getframe(1)
    while frame.f_back is not None and (
        frame.f_code.co_filename.startswith((_OWN_FOLDER, "<frozen")) or "importlib" in frame.f_code.co_filename
    ):
        frame = frame.f_back
    return Site(frame.f_code.co_filename, frame.f_lineno)


def note_unknown(name: str, where: str) -> None:
    """Take down a name that is not known, once for each place."""
    found = Unknown(name, where, site())
    if found not in unknown:
        unknown.append(found)


def site_of(function: Any) -> Site:
    """Return where a function stands; an empty place for what is none."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return Site(code.co_filename, code.co_firstlineno) if code else Site("", 0)


# ----- what is not there


class Inert:
    """Stands for what is not installed or not known: takes every attribute, call and item, and means nothing.

    While call-backs are asked (`evaluating`), its truth is an error: an answer made of nothing is none.
    """

    evaluating = False

    def __init__(self, name: str = "", *_: Any, **__: Any) -> None:
        self._inert_name = name if isinstance(name, str) else ""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Inert(f"{self._inert_name}.{name}")

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Return what is inert too; a function that it decorates stays as it is."""
        if len(args) == 1 and not options and callable(args[0]) and not isinstance(args[0], Inert):
            return args[0]  # used as a decorator
        return Inert(f"{self._inert_name}()")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()

    def __getitem__(self, key: Any) -> Inert:
        return Inert(f"{self._inert_name}[]")

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __enter__(self) -> Inert:
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def __bool__(self) -> bool:
        if Inert.evaluating:
            raise TypeError(f"{self._inert_name or 'something'} is not installed where packages are read")
        return False

    def __hash__(self) -> int:
        return id(self)

    def _same(self, *_: Any) -> Inert:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __neg__ = _same
    __lt__ = __le__ = __gt__ = __ge__ = __and__ = __or__ = __mod__ = __pow__ = __abs__ = _same
    __eq__ = __ne__ = _same  # type: ignore[assignment]

    def __float__(self) -> float:
        raise TypeError(f"{self._inert_name} is not installed where packages are read")

    __int__ = __index__ = __float__


# ----- classification


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


def _rules(given: Any) -> list[Any]:
    if given is None:
        return []
    return list(given) if isinstance(given, list | tuple | set) else [given]


# ----- association


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
        self.keywords = [str(key) for key in _rules(keywords)]
        self.function = function
        self.site = site()
        if not hasattr(time_range, "start") or isinstance(time_range, Inert):
            note_unknown(f"time range {time_range!r}", "association rule")
            time_range = UNLIMITED
        self.start, self.end = float(time_range.start), float(time_range.end)
        self.level = level if isinstance(level, int) else 0


class _Builder:
    """What all builders share: names they do not know are taken down and passed over."""

    _kind = "builder"
    name: str

    def __getattr__(self, attribute: str) -> Any:
        if not attribute.startswith("with_"):
            raise AttributeError(f"{self._kind} has no attribute {attribute!r}")
        note_unknown(attribute, f"{self._kind} {self.__dict__.get('name', '')}".strip())
        return lambda *_, **__: self

    def _unknown_options(self, method: str, options: Mapping[str, Any]) -> None:
        for option in options:
            note_unknown(f"{method}({option}=…)", f"{self._kind} {self.__dict__.get('name', '')}".strip())


class MatchRules(_Builder):
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
    return all(same(ref[key], f[key]) for key in _rules(keywords))


# ----- data sources


class _Grouping:
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


class _Grouped(_Builder):
    grouping: _Grouping

    def with_grouping_keywords(self, keywords: Any, **others: Any) -> Any:
        """Group by equal values."""
        self._unknown_options("with_grouping_keywords", others)
        self.grouping.keywords = [str(key) for key in _rules(keywords)]
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
        self.grouping.minimum = int(number)
        return self

    def with_subworkflow_name(self, name: Any) -> Any:
        """Say where it stands in graphs."""
        self.subworkflow = str(name)
        return self

    def with_description(self, text: Any) -> Any:
        """Describe it to people."""
        self.description = str(text)
        return self


class DataSource(_Grouped):
    """Files of some classes, how they are grouped, and whom they calibrate."""

    _kind = "data source"

    def __init__(self, label: str | None = None) -> None:
        self.label = label
        self.site = site()
        self.classification_rules: list[Any] = []
        self.setup: list[str] = []
        self.grouping = _Grouping()
        self.match = MatchRules()
        sources_built.append(self)

    @property
    def name(self) -> str:  # type: ignore[override]
        """The label, or the tag of the first rule."""
        if self.label:
            return self.label
        return tag_of(self.classification_rules[0]) if self.classification_rules else "?"

    def with_classification_rule(self, rule: Any, *more: Any, **others: Any) -> DataSource:
        """Add files of a class."""
        self._unknown_options("with_classification_rule", others)
        for each in (*_rules(rule), *more):
            if isinstance(each, ClassificationRule):
                self.classification_rules.append(each)
            else:
                note_unknown(f"class {type(each).__name__}", f"data source {self.label or ''}")
        return self

    def with_setup_keywords(self, keywords: Any, **others: Any) -> DataSource:
        """Name the keywords that describe the setup."""
        self._unknown_options("with_setup_keywords", others)
        self.setup = [str(key) for key in _rules(keywords)]
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
        """End the building."""
        return self


def data_source(label: str | None = None) -> DataSource:
    """Return a data source to fill."""
    return DataSource(label)


# ----- tasks


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
        self.classes = _rules(classes)
        self.min_ret, self.max_ret = int(min_ret), int(max_ret)
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


class Alternatives(_Builder):
    """Branches of which the first that finds something is taken."""

    _kind = "alternatives"

    def __init__(self, sort_keys: Any = None) -> None:
        self.sort_keys = [str(key) for key in _rules(sort_keys)]
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
    flat = [each for given in classes for each in _rules(given)]
    return Filter("REJECT" if word == "REJECT" else "SELECT", tuple(map(tag_of, flat)))


class Task(_Grouped):
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
        self.grouping = _Grouping()
        self.meta_targets: list[str] = []
        self.reports: list[str] = []
        self.subworkflow = ".".join(_subworkflows)

    def with_main_input(self, source: Any, classes: Any = None, **others: Any) -> Task:
        """Say what it processes."""
        self._unknown_options("with_main_input", others)
        if isinstance(source, DataSource | Task):
            self.main_input, self.main_classes = source, _rules(classes)
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
        self.function, self.recipes = function, [str(name) for name in _rules(recipes)]
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
        self.meta_targets.extend(str(target) for target in _rules(targets))
        return self

    def with_report(self, name: Any, *_: Any, **__: Any) -> Task:
        """Name a quality report; ignored."""
        self.reports.append(str(name))
        return self

    def build(self) -> Task:
        """End the building."""
        if self not in tasks_built:
            tasks_built.append(self)
        return self


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


# ----- what call-backs get


def keyword(name: str) -> str:
    """Return a keyword in our form: `ins.wlen.id`, `HIERARCH ESO INS WLEN ID` become `INS.WLEN.ID`."""
    text = str(name).strip().upper()
    for prefix in ("HIERARCH ESO ", "HIERARCH ", "ESO "):
        text = text.removeprefix(prefix)
    return text.replace(" ", ".")


class JobParameters:
    """Workflow parameters and dynamic ones, in one pool."""

    def __init__(self, workflow_parameters: dict[str, Any], dynamic: dict[str, Any] | None = None) -> None:
        self.workflow_parameters = workflow_parameters
        self.recipe_parameters: dict[str, Any] = {}
        self._dynamic = dynamic if dynamic is not None else {}

    def get_workflow_param(self, name: str, default: Any = None) -> Any:
        """Return a parameter by its name, with or without `$`; None where there is none."""
        plain = name.removeprefix("$")
        for pool in (self._dynamic, self.workflow_parameters):
            for spelling in (name, plain, f"${plain}"):
                if spelling in pool:
                    return pool[spelling]
        return default

    def get_recipe_param(self, name: str, default: Any = None) -> Any:
        """Return a recipe parameter."""
        return self.recipe_parameters.get(name, default)


def get_parameter(params: Any, name: str, default: Any = None) -> Any:
    """Return a workflow parameter or a dynamic one."""
    return params.get_workflow_param(name, default)


class Job:
    """A job as job functions see it."""

    def __init__(
        self, command: str, task_name: str, input_files: list[Any], associated_files: list[Any], parameters: Any
    ) -> None:
        self.command, self.task_name = command, task_name
        self.input_files, self.associated_files = input_files, associated_files
        self.parameters = parameters
        self.setup: dict[str, Any] = {}


def copy_all(*_: Any, **__: Any) -> None:
    """Make all inputs outputs; not run here."""


def copy_upstream(*_: Any, **__: Any) -> None:
    """Make the inputs that come from upstream tasks outputs; not run here."""


class ReportInput:
    """What a report is made of; ignored."""

    RECIPE_INPUTS = "RECIPE_INPUTS"
    RECIPE_OUTPUTS = "RECIPE_OUTPUTS"
    RECIPE_INPUTS_OUTPUTS = "RECIPE_INPUTS_OUTPUTS"


META_TARGETS = {
    "SCIENCE": "science",
    "QC0": "qc0",
    "QC1_CALIB": "qc1calib",
    "QC1_SCIENCE": "qc1science",
    "CALCHECKER": "calchecker",
    "IDP": "idp",
    "PHASE3": "phase3",
    "ALL": "ALL",
}
"""Names of labels."""


def names() -> dict[str, Any]:
    """Return what the module `edps` offers, by name."""
    from esorex_bridge.edps.child.files import ClassifiedFile

    plain = {each: type(each, (), {"__init__": lambda self, *_, **options: self.__dict__.update(options)})
             for each in ("InvokerProvider", "ProductRenamer", "RecipeInvocationArguments", "RecipeInvocationResult",
                          "RecipeInputs", "FitsFile", "File")}  # fmt: skip
    return {
        **TIME_RANGES,
        **META_TARGETS,
        **{label: label for label in META_TARGETS.values() if label != "ALL"},
        **plain,
        "NEGATIVE_INF": NEGATIVE_INF,
        "INF": INF,
        "List": list,
        "Task": Task,
        "DataSource": DataSource,
        "Job": Job,
        "JobParameters": JobParameters,
        "ClassifiedFitsFile": ClassifiedFile,
        "ClassificationRule": ClassificationRule,
        "ProductClassificationRule": ProductClassificationRule,
        "RelativeTimeRange": RelativeTimeRange,
        "FilterMode": FilterMode,
        "ReportInput": ReportInput,
        "classification_rule": classification_rule,
        "data_source": data_source,
        "task": task,
        "match_rules": match_rules,
        "match": match,
        "get_parameter": get_parameter,
        "associated_input": associated_input,
        "alternative_associated_inputs": alternative_associated_inputs,
        "alternative_associated_input": alternative_associated_inputs,
        "alternative_association": alternative_associated_inputs,
        "subworkflow": subworkflow,
        "copy_all": copy_all,
        "copy_upstream": copy_upstream,
    }
