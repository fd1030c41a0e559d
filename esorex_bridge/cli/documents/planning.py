"""Documents of `plan` and `sof`: the ordered steps of each dataset, and what goes into their SOF files."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from esorex_bridge.cli.documents.base import Document, Part
from esorex_bridge.datasets.association import Match
from esorex_bridge.plan.plan import UnusedGroup
from esorex_bridge.values import Scalar


class InputPart(Part, frozen=True):
    """An input of a step: a file, or the products of a category of an earlier step; how well a calibration fits."""

    category: str
    file: str | UnsetType = UNSET
    step: str | UnsetType = UNSET
    product: str | UnsetType = UNSET
    days: float | UnsetType | None = UNSET
    level: int | UnsetType | None = UNSET
    match: Match | UnsetType | None = UNSET
    certified: bool | UnsetType = UNSET


class AssociationPart(Part, frozen=True):
    """How well a calibration fits the step that takes it."""

    category: str
    source: str
    days: float | None
    level: int | None
    match: Match | None
    certified: bool


class PlannedStepPart(Part, frozen=True):
    """A step of a plan. What follows `associations` is of workflow packages of EDPS alone."""

    step: str
    recipe: str
    purpose: str
    target: bool
    setup: dict[str, str]
    parameters: dict[str, Scalar]
    products: tuple[str, ...]
    gaps: tuple[str, ...]
    warnings: tuple[str, ...]
    inputs: tuple[InputPart, ...]
    associations: tuple[AssociationPart, ...]
    task: str | UnsetType = UNSET
    levels: dict[str, int] | UnsetType = UNSET
    days: dict[str, float] | UnsetType = UNSET
    complete: bool | UnsetType = UNSET
    missing: tuple[str, ...] | UnsetType = UNSET


class UnusedPart(Part, frozen=True):
    """A file that no step takes."""

    file: str
    category: str
    purpose: str
    reason: str
    detail: str


class PlanPart(Part, frozen=True):
    """The plan of a dataset; `not_needed` are groups of files without a step, `not_used` files that no step takes."""

    dataset: str
    workflow: str
    messages: tuple[str, ...]
    steps: tuple[PlannedStepPart, ...]
    not_needed: tuple[UnusedGroup, ...]
    complete: bool
    incomplete: tuple[str, ...]
    not_used: tuple[UnusedPart, ...]


class PlanDocument(Document, frozen=True, kw_only=True):
    """`plan`: the plans of datasets; of a workflow package also all jobs, each once, and files that no job takes."""

    datasets: tuple[PlanPart, ...]
    steps: tuple[PlannedStepPart, ...] | UnsetType = UNSET
    not_used: tuple[UnusedPart, ...] | UnsetType = UNSET


class MistakePart(Part, frozen=True):
    """Something wrong with a workflow definition: file and line, and what it is."""

    place: str
    problem: str


class PlanCheckDocument(Document, frozen=True, kw_only=True):
    """`plan --check`: what is wrong, and how many definitions were looked at."""

    findings: tuple[MistakePart, ...]
    checked: int


class SofPart(Part, frozen=True):
    """A SOF for use by hand: `arguments` go before it on the command line of EsoRex, `parameters` are what they set."""

    dataset: str
    step: str
    recipe: str
    sof: str
    arguments: tuple[str, ...]
    parameters: dict[str, str]
    lacking: tuple[str, ...]


class SofDocument(Document, frozen=True, kw_only=True):
    """`sof`: the SOF files, and whether they were written."""

    written: bool
    sofs: tuple[SofPart, ...]
