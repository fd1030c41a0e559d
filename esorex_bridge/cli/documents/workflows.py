"""Documents of `workflows`: definitions, what is odd about them, and ESO's workflow packages for EDPS."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from esorex_bridge.cli.documents.base import Document, Part
from esorex_bridge.definitions.edps.package import (
    Classification,
    Filter,
    Function,
    Grouping,
    MatchRule,
    NotUnderstood,
    PackageSource,
    ParameterSet,
)
from esorex_bridge.definitions.inspection import DefinitionFinding


class WantedCalibrationPart(Part, frozen=True):
    """A calibration that a step takes, and whether it cannot do without."""

    category: str
    required: bool


class DefinedStepPart(Part, frozen=True):
    """A step of a definition; `command` is null where it runs a recipe."""

    step: str
    recipe: str
    command: tuple[str, ...] | None
    main: tuple[str, ...]
    calibrations: tuple[WantedCalibrationPart, ...]
    parameters: dict[str, Any]
    products: tuple[str, ...]
    state: str


class DefinitionPart(Part, frozen=True):
    """A definition; `steps` with `show` alone."""

    name: str
    title: str
    instruments: tuple[str, ...]
    applies: dict[str, tuple[Any, ...]]
    pipeline: str
    versions: tuple[str, ...]
    state: str
    steps_that_ran: int
    extends: str | None
    sources: tuple[str, ...]
    file: str
    steps: tuple[DefinedStepPart, ...] | UnsetType = UNSET


class FoundPackagePart(Part, frozen=True):
    """A workflow package of EDPS on this machine."""

    name: str
    folder: str
    origin: str


class WorkflowsDocument(Document, frozen=True, kw_only=True):
    """`workflows`, `workflows show`: definitions, and without names the packages of EDPS on this machine."""

    workflows: tuple[DefinitionPart, ...]
    packages: tuple[FoundPackagePart, ...]


class PackageInputPart(Part, frozen=True):
    """An input of a task; `match`, `days` and `level` are those of its first rule, `rules` has all.

    Alternatives have the same `input`.
    """

    input: int
    name: str
    kind: str
    categories: tuple[str, ...]
    match: tuple[str, ...]
    days: tuple[float | None, float | None]
    level: int | None
    rules: tuple[MatchRule, ...]
    condition: str | None
    minimum: int
    maximum: int | None
    alternatives: bool


class PackageTaskPart(Part, frozen=True):
    """A task of a workflow package."""

    name: str
    recipe: str | None
    function: Function | None
    shell_command: str
    recipes: tuple[str, ...]
    main_input: str | None
    main_classes: tuple[str, ...]
    inputs: tuple[PackageInputPart, ...]
    dynamic_parameters: dict[str, Function | None]
    condition: str | None
    job_functions: tuple[Function | None, ...]
    input_filter: Filter | None
    output_filter: Filter | None
    input_map: dict[str, str]
    grouping: Grouping
    meta_targets: tuple[str, ...]
    reports: tuple[str, ...]
    subworkflow: str
    file: str
    line: int
    main_input_kind: str | None


class UnknownTaskPart(Part, frozen=True):
    """An entry of recipe parameters for a task that there is not."""

    set: str
    task: str


class PackagePart(Part, frozen=True):
    """A workflow package of EDPS: what it says, and what was not understood of it."""

    name: str
    title: str
    root: str
    digest: str
    tasks: tuple[PackageTaskPart, ...]
    sources: tuple[PackageSource, ...]
    classes: tuple[Classification, ...]
    parameter_sets: tuple[ParameterSet, ...]
    not_understood: tuple[NotUnderstood, ...]
    unknown_tasks: tuple[UnknownTaskPart, ...]
    call_backs: tuple[Function, ...]
    remarks: tuple[str, ...]
    refused: tuple[str, ...]


class PackagesDocument(Document, frozen=True, kw_only=True):
    """`workflows show edps:NAME`: the first package, and all that were named in `workflows`."""

    name: str
    title: str
    root: str
    digest: str
    tasks: tuple[PackageTaskPart, ...]
    sources: tuple[PackageSource, ...]
    classes: tuple[Classification, ...]
    parameter_sets: tuple[ParameterSet, ...]
    not_understood: tuple[NotUnderstood, ...]
    unknown_tasks: tuple[UnknownTaskPart, ...]
    call_backs: tuple[Function, ...]
    remarks: tuple[str, ...]
    refused: tuple[str, ...]
    workflows: tuple[PackagePart, ...]


class PackageCheckDocument(Document, frozen=True, kw_only=True):
    """`workflows check edps:NAME`: what is wrong or worth a look."""

    checked: tuple[str, ...]
    findings: tuple[DefinitionFinding, ...]
    packages: tuple[PackagePart, ...]


class ComparedAssociationPart(Part, frozen=True):
    """What an association compares, beside what its rules or its maker's grouping compare; `looser` compares less."""

    workflow: str
    step: str
    calibration: str
    match: tuple[str, ...]
    match_from: str | None
    compared: tuple[str, ...]
    compared_by: str | None
    loose: dict[str, str]
    looser: tuple[str, ...]


class WorkflowsCheckDocument(Document, frozen=True, kw_only=True):
    """`workflows check`: what is wrong or worth a look, and what every association compares."""

    checked: tuple[str, ...]
    findings: tuple[DefinitionFinding, ...]
    associations: tuple[ComparedAssociationPart, ...]


class ComparedFieldPart(Part, frozen=True):
    """One thing that two definitions say; `category` is empty for the step itself."""

    same: bool
    recipe: str
    steps: tuple[str, str]
    category: str
    field: str
    left: str
    right: str


class WorkflowsCompareDocument(Document, frozen=True, kw_only=True):
    """`workflows compare`: how much differs, and all that was compared."""

    left: str
    right: str
    differ: int
    compared: tuple[ComparedFieldPart, ...]


class WorkflowsExportDocument(Document, frozen=True, kw_only=True):
    """`workflows export`: the packages that were written."""

    packages: tuple[str, ...]


class WorkflowsImportDocument(Document, frozen=True, kw_only=True):
    """`workflows import`: the text of a draft."""

    workflow: str
    text: str
