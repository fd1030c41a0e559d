"""Documents of `status`, `log`, `report`, `explore` and `clean`: what a data root holds, and what may go."""

from __future__ import annotations

from collections.abc import Mapping

from esorex_bridge.cli.documents.base import Document, Part
from esorex_bridge.store.audit import State
from esorex_bridge.store.summaries import AdoptedStep, RecipeSummary, RunSummary


class StatusDocument(Document, frozen=True, kw_only=True):
    """`status`: runs, recipes, disk use; what is after `disk_bytes` is null without `--verify`."""

    root: str
    runs: tuple[RunSummary, ...]
    recipes: tuple[RecipeSummary, ...]
    adopted: tuple[AdoptedStep, ...]
    disk_bytes: dict[str, int]
    verified: int | None
    verified_files: int | None
    files: Mapping[str, Mapping[State, int]] | None
    damaged: tuple[str, ...]


class LogDocument(Document, frozen=True, kw_only=True):
    """`log`: what a recipe said."""

    step: str
    folder: str
    exit_code: int | None
    took: str
    warnings: tuple[str, ...]
    lines: tuple[str, ...]


class ReportDocument(Document, frozen=True, kw_only=True):
    """`report`: where the page is, and the state of each dataset."""

    report: str
    size_bytes: int
    datasets: Mapping[str, str]


class ExploreDocument(Document, frozen=True, kw_only=True):
    """`explore`: a file that leads to the page while it is served."""

    address_file: str


class FolderPart(Part, frozen=True):
    """A folder that may go."""

    path: str
    size_bytes: int
    reason: str


class ClaimPart(Part, frozen=True):
    """A batch that needs folders: its name, how it stands, and how many."""

    batch: str
    state: str
    folders: int


class CleanDocument(Document, frozen=True, kw_only=True):
    """`clean`: what no dataset needs, whether it was removed, and what is left alone for batches."""

    removed: bool
    size_bytes: int
    folders: tuple[FolderPart, ...]
    left_alone: tuple[ClaimPart, ...]
    kept_for_batches: int = 0
