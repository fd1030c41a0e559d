"""Documents of `batch`: what one would do, and how one stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from esorex_bridge.batch.report import OUTCOMES, BatchReport, DatasetOutcome, RecipeTime
from esorex_bridge.cli.documents.base import DiskPart, Document, FaultPart, disk_part

if TYPE_CHECKING:
    from esorex_bridge.batch.preview import Preview


class BatchDocument(Document, frozen=True, kw_only=True):
    """`batch`, `batch status`, `batch report`: how a batch stands; see the page of batches for the states."""

    name: str
    state: str
    run: int
    began: str
    ended: str
    datasets: tuple[DatasetOutcome, ...]
    recipes: tuple[RecipeTime, ...]
    steps: dict[str, int]
    lost: int
    disk_bytes: int
    unfetched: tuple[FaultPart, ...]
    next: tuple[str, ...]
    verdict: str
    executed: int
    outcomes: dict[str, int]


class BatchPreviewDocument(Document, frozen=True, kw_only=True):
    """`batch --dry-run`: how often each recipe would run for what is here, and what the archive would have to give."""

    datasets: int
    recipes: dict[str, int]
    reused: int
    problems: tuple[str, ...]
    frames: int
    files: int
    expected_seconds: dict[str, float]
    disk: tuple[DiskPart, ...]


def batch_document(report: BatchReport, commands: Iterable[str]) -> BatchDocument:
    """Return how a batch stands, and the commands to type next."""
    counts = Counter(dataset.outcome for dataset in report.datasets)
    return BatchDocument(
        name=report.name,
        state=report.state,
        run=report.run,
        began=report.began,
        ended=report.ended,
        datasets=report.datasets,
        recipes=report.recipes,
        steps=dict(report.steps),
        lost=report.lost,
        disk_bytes=report.disk_bytes,
        unfetched=tuple(FaultPart(file=name, reason=reason) for name, reason in report.unfetched),
        next=tuple(commands),
        verdict=report.verdict,
        executed=sum(recipe.runs for recipe in report.recipes),
        outcomes={outcome: counts[outcome] for outcome in OUTCOMES},
    )


def preview_document(preview: Preview) -> BatchPreviewDocument:
    """Return what a batch would do."""
    return BatchPreviewDocument(
        datasets=preview.datasets,
        recipes=dict(preview.recipes),
        reused=preview.reused,
        problems=preview.problems,
        frames=preview.frames,
        files=preview.files,
        expected_seconds={recipe: round(seconds, 3) for recipe, seconds in preview.expected_seconds.items()},
        disk=tuple(map(disk_part, preview.needs)),
    )
