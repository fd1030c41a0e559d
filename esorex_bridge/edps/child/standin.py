"""The stand-in for the module `edps`: its names, and the objects that call-backs get.

Its builders take down what a package says and run nothing. What is not known is taken down with file and line and
passed over, so that one new name does not cost the whole package.
"""

from __future__ import annotations

from typing import Any

from esorex_bridge.edps.child import rules, sources, tasks
from esorex_bridge.edps.child.files import ClassifiedFile


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
    """Make all inputs outputs; planning hands them on."""


def copy_upstream(*_: Any, **__: Any) -> None:
    """Make the inputs that come from upstream tasks outputs; planning hands them on."""


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
    plain = {
        name: type(name, (), {"__init__": lambda self, *_, **options: self.__dict__.update(options)})
        for name in _OF_FUNCTIONS
    }
    own = (Job, JobParameters, ReportInput, get_parameter, copy_all, copy_upstream)
    return {
        **rules.TIME_RANGES,
        **META_TARGETS,
        **{label: label for label in META_TARGETS.values() if label != "ALL"},
        **plain,
        **{each.__name__: each for each in own},
        **{name: getattr(rules, name) for name in _OF_RULES},
        **{name: getattr(sources, name) for name in ("DataSource", "data_source")},
        **{name: getattr(tasks, name) for name in _OF_TASKS},
        "List": list,
        "ClassifiedFitsFile": ClassifiedFile,
        "alternative_associated_input": tasks.alternative_associated_inputs,
        "alternative_association": tasks.alternative_associated_inputs,
    }


_OF_FUNCTIONS = (
    "InvokerProvider",
    "ProductRenamer",
    "RecipeInvocationArguments",
    "RecipeInvocationResult",
    "RecipeInputs",
    "FitsFile",
    "File",
)
_OF_RULES = (
    "NEGATIVE_INF",
    "INF",
    "ClassificationRule",
    "ProductClassificationRule",
    "RelativeTimeRange",
    "classification_rule",
    "match",
    "match_rules",
)
_OF_TASKS = ("FilterMode", "Task", "alternative_associated_inputs", "associated_input", "subworkflow", "task")
