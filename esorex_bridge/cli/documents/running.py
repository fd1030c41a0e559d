"""Documents of `run`, `reduce` and `demo`: what was decided about each step, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from esorex_bridge.cli.documents.base import DiskPart, Document, Part, disk_part
from esorex_bridge.datasets.association import Mode
from esorex_bridge.disk.room import DiskNeed
from esorex_bridge.esorex.recipe import Usage
from esorex_bridge.plan.plan import AssociatedInput
from esorex_bridge.provenance.pixels import HduDifference
from esorex_bridge.reuse.record import Product
from esorex_bridge.run.explanation import ExplainedStep
from esorex_bridge.run.report import DatasetReport, DecisionWord, Outcome, StepReport, count, count_started
from esorex_bridge.values import Scalar


class ProductPart(Part, frozen=True):
    """A product: where it lies, and its content."""

    path: str
    category: str
    sha256: str
    size_bytes: int


class StepReportPart(Part, frozen=True):
    """What came of a step; `recipe` is null where the workflow has none for the group."""

    dataset: str
    step: str
    recipe: str | None
    decision: DecisionWord
    reason: str
    outcome: Outcome
    sof: str | None
    products: tuple[ProductPart, ...]
    seconds: float
    warnings: tuple[str, ...]
    error: str | None
    associations: tuple[AssociatedInput, ...]
    usage: Usage | None
    notes: tuple[str, ...]
    expected_seconds: float | None
    expected_memory_bytes: int | None


class DatasetReportPart(Part, frozen=True):
    """What came of a dataset. `requested_mode` is the old name of `requested`, and goes with the next release."""

    dataset: str
    workflow: str
    mode: Mode | None
    requested: Mode | None
    requested_mode: Mode | None
    complete: bool
    secondary: bool
    certified: bool
    messages: tuple[str, ...]
    unreduced: tuple[str, ...]
    steps: tuple[StepReportPart, ...]
    end_products: tuple[ProductPart, ...]


class RunDocument(Document, frozen=True, kw_only=True):
    """`run`: how many recipes were started and how many steps reused, and what came of each dataset.

    `disk` is what was estimated before anything was started.
    """

    executed: int
    reused: int
    datasets: tuple[DatasetReportPart, ...]
    disk: tuple[DiskPart, ...]


class ExplainDocument(Document, frozen=True, kw_only=True):
    """`run --explain`: every step with what it depends on."""

    steps: tuple[ExplainedStep, ...]


class ComparedProductPart(Part, frozen=True):
    """An end product of a variant against that of the first one; `same_data` is null where no sums say."""

    dataset: str
    category: str
    path: str
    same_data: bool | None
    difference: tuple[HduDifference, ...]


class VariantPart(Part, frozen=True):
    """One choice of values: what was run with it, and what came of it; `qc` has the quality values of each product."""

    parameters: dict[str, Scalar]
    executed: int
    datasets: tuple[DatasetReportPart, ...]
    against_first: tuple[ComparedProductPart, ...]
    qc: dict[str, dict[str, Any]]


class GridDocument(Document, frozen=True, kw_only=True):
    """`run --grid`: every choice of values; `disk` is what all of them were estimated to make before they began."""

    variants: tuple[VariantPart, ...]
    disk: tuple[DiskPart, ...]


class NamedFilePart(Part, frozen=True):
    """A file that was wanted: its archive name, what became of it, and where it lies."""

    name: str
    status: str
    reason: str | None
    path: str | None


class AnswerPart(Part, frozen=True):
    """calSelector's answer about a frame. `requested_mode` is the old name of `requested`."""

    asked: str
    covers: tuple[str, ...]
    outcome: str
    requested: Mode
    requested_mode: Mode
    mode: Mode | None
    complete: bool
    certified: bool
    messages: tuple[str, ...]


class SofCommandPart(Part, frozen=True):
    """A SOF for use by hand, where EsoRex is not installed."""

    step: str
    command: str


class ReduceDocument(Document, frozen=True, kw_only=True):
    """`reduce`: what was found, associated and fetched, and what came of each dataset."""

    science_frames: tuple[str, ...]
    associations: tuple[AnswerPart, ...]
    planned_files: tuple[str, ...]
    files: tuple[NamedFilePart, ...]
    executed: int
    reused: int
    datasets: tuple[DatasetReportPart, ...]
    sofs: tuple[SofCommandPart, ...]
    disk: tuple[DiskPart, ...]


class DemoRunPart(Part, frozen=True):
    """One of the two times: the command that would do the same, and what `reduce` says of it."""

    command: str
    science_frames: tuple[str, ...]
    associations: tuple[AnswerPart, ...]
    planned_files: tuple[str, ...]
    files: tuple[NamedFilePart, ...]
    executed: int
    reused: int
    datasets: tuple[DatasetReportPart, ...]
    sofs: tuple[SofCommandPart, ...]
    disk: tuple[DiskPart, ...]


class DemoDocument(Document, frozen=True, kw_only=True):
    """`demo`: where the embedded archive was, and both times."""

    archive: str
    runs: tuple[DemoRunPart, ...]


class DemoServeDocument(Document, frozen=True, kw_only=True):
    """`demo --serve`: where the embedded archive is."""

    archive: str


class ArchiveFaultPart(Part, frozen=True):
    """A fault that the embedded archive can be told to have."""

    name: str
    meaning: str


class DemoFaultsDocument(Document, frozen=True, kw_only=True):
    """`demo --fault list`: the faults that the embedded archive knows."""

    faults: tuple[ArchiveFaultPart, ...]


def run_document(reports: Iterable[DatasetReport], needs: Iterable[DiskNeed]) -> RunDocument:
    """Return what came of a run."""
    listed = tuple(reports)
    return RunDocument(
        executed=count_started(listed),
        reused=count(listed, "reuse"),
        datasets=tuple(map(dataset_report, listed)),
        disk=tuple(map(disk_part, needs)),
    )


def dataset_report(report: DatasetReport) -> DatasetReportPart:
    """Return what came of a dataset."""
    return DatasetReportPart(
        dataset=report.dataset,
        workflow=report.workflow,
        mode=report.mode,
        requested=report.requested,
        requested_mode=report.requested,
        complete=report.complete,
        secondary=report.secondary,
        certified=report.certified,
        messages=report.messages,
        unreduced=report.unreduced,
        steps=tuple(map(_step_report, report.steps)),
        end_products=tuple(map(_product, report.end_products)),
    )


def _step_report(report: StepReport) -> StepReportPart:
    return StepReportPart(
        dataset=report.dataset,
        step=report.step,
        recipe=report.recipe,
        decision=report.decision,
        reason=report.reason,
        outcome=report.outcome,
        sof=str(report.sof) if report.sof else None,
        products=tuple(map(_product, report.products)),
        seconds=round(report.seconds, 3),
        warnings=report.warnings,
        error=report.error or None,
        associations=report.associations,
        usage=report.usage,
        notes=report.notes,
        expected_seconds=round(report.expected.seconds, 3) if report.expected and report.expected.seconds else None,
        expected_memory_bytes=report.expected.memory_bytes if report.expected else None,
    )


def _product(product: Product) -> ProductPart:
    return ProductPart(
        path=str(product.path),
        category=product.category,
        sha256=product.digest.removeprefix("sha256:"),
        size_bytes=product.size_bytes,
    )
