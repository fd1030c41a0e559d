"""Documents of the verbs that ask the archive, fetch from it, or take over what came from it by other ways."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, UnsetType

from esorex_bridge.archive.probe import ProbeFinding
from esorex_bridge.archive.transfer import FileStatus
from esorex_bridge.cli.documents.base import Document, Part
from esorex_bridge.datasets.association import AssociatedFile, Match, Mode
from esorex_bridge.values import Scalar


class QueryDocument(Document, frozen=True, kw_only=True):
    """`query`: the ADQL, and without `--adql` the rows, with the columns that were asked for."""

    adql: str
    rows: tuple[dict[str, Any], ...] | UnsetType = UNSET


class CascadePart(Part, frozen=True):
    """A group of files of one category in calSelector's tree, with what calibrates it.

    `level` is 0 for the calibration plan, 1 beyond it, and `days` are those from what the group calibrates; null where
    calSelector or the files' names do not tell.
    """

    category: str
    files: tuple[AssociatedFile, ...]
    match: Match | None
    level: int | None
    days: float | None
    kind: str | None
    complete: bool
    certified: bool
    messages: tuple[str, ...]
    associated: tuple[CascadePart, ...]


class ReplyPart(Part, frozen=True):
    """calSelector's answer about science frames; `tree` is the name of its file, `cascade` null where there is none."""

    asked: str
    science: tuple[str, ...]
    outcome: str
    requested: Mode
    executed: Mode | None
    downgraded: bool
    complete: bool
    certified: bool
    messages: tuple[str, ...]
    tree: str | None
    files: tuple[AssociatedFile, ...]
    cascade: CascadePart | None


class AssociationsDocument(Document, frozen=True, kw_only=True):
    """`associations`: calSelector's answers, with the cascade of each."""

    associations: tuple[ReplyPart, ...]
    trees: tuple[str, ...]


class FetchedFilePart(Part, frozen=True):
    """A file that was wanted. `digest` is the old form of `sha256`, with the name of the algorithm before it."""

    name: str
    status: FileStatus
    reason: str
    path: str | None
    size_bytes: int
    sha256: str | None
    digest: str | None


class FetchDocument(Document, frozen=True, kw_only=True):
    """`fetch`: what became of each file."""

    folder: str
    complete: bool
    answered: bool
    warnings: tuple[str, ...]
    associations: tuple[ReplyPart, ...]
    trees: tuple[str, ...]
    files: tuple[FetchedFilePart, ...]


class ListedFilePart(Part, frozen=True):
    """A file that would be fetched."""

    name: str
    categories: tuple[str, ...]
    role: str
    size_bytes: int | None
    present: bool


class FetchListDocument(Document, frozen=True, kw_only=True):
    """`fetch --list-only`: what would be fetched."""

    files: tuple[ListedFilePart, ...]
    warnings: tuple[str, ...]
    associations: tuple[ReplyPart, ...]


class AncillaryDocument(Document, frozen=True, kw_only=True):
    """`ancillary`: the ADQL; without `--adql` the rows, and with `--fetch` what became of each file."""

    adql: str
    rows: tuple[dict[str, Any], ...] | UnsetType = UNSET
    files: tuple[FetchedFilePart, ...] | UnsetType = UNSET


class DuePart(Part, frozen=True):
    """A tree that is asked for again, and why."""

    tree: str
    reason: str


class ChangedTreePart(Part, frozen=True):
    """What a new answer changes; `replaced` says whether it takes the place of the old one."""

    tree: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    remarks: tuple[str, ...]
    replaced: bool


class RefreshDocument(Document, frozen=True, kw_only=True):
    """`refresh`: which trees were due, and what changed."""

    due: tuple[DuePart, ...]
    changes: tuple[ChangedTreePart, ...]


class LinkPart(Part, frozen=True):
    """Something that belongs to a file, as the service describes it; `target` is the file that the link leads to."""

    id: str
    semantics: str
    access_url: str
    description: str
    content_type: str
    category: str
    file_name: str
    service: str
    error: str
    size_bytes: int | None
    target: str


class LinksDocument(Document, frozen=True, kw_only=True):
    """`datalink`: what belongs to a file."""

    id: str
    links: tuple[LinkPart, ...]


class NightLogDocument(Document, frozen=True, kw_only=True):
    """`night-log`: the observer's grade and report."""

    dp_id: str
    grade: str | None
    grades: tuple[str, ...]
    text: str


class DamagedFilePart(Part, frozen=True):
    """A file of a package that is not whole."""

    name: str
    path: str
    reason: str


class AdoptDocument(Document, frozen=True, kw_only=True):
    """`adopt DIR`: the folders that were read, how many files, what is damaged, and what is missing."""

    folders: tuple[str, ...]
    files: int
    trees: tuple[str, ...]
    linked: int
    damaged: tuple[DamagedFilePart, ...]
    missing: tuple[str, ...]


class AdoptedExecutionPart(Part, frozen=True):
    """An execution of a history of Reflex, and whether what it made is reused."""

    actor: str
    made: str
    result: Literal["adopted", "not adopted"]
    reason: str


class AdoptHistoryDocument(Document, frozen=True, kw_only=True):
    """`adopt --bookkeeping`: the histories that were read, and each execution."""

    histories: tuple[str, ...]
    adopted: int
    executions: tuple[AdoptedExecutionPart, ...]


class TaggedFilePart(Part, frozen=True):
    """A file with its category."""

    file: str
    category: str


class AdoptedJobPart(Part, frozen=True):
    """A job of EDPS, and whether what it made is reused."""

    instrument: str
    task: str
    folder: str
    made: str
    recipe: str | None
    sof: tuple[TaggedFilePart, ...]
    parameters: dict[str, Scalar]
    products: tuple[TaggedFilePart, ...]
    result: Literal["adopted", "not adopted"]
    reason: str | None


class AdoptJobsDocument(Document, frozen=True, kw_only=True):
    """`adopt --edps`: each job of EDPS."""

    adopted: int
    jobs: tuple[AdoptedJobPart, ...]


class WhoDocument(Document, frozen=True, kw_only=True):
    """`whoami`: the user, where the password comes from, and when the token ends."""

    user: str | None
    source: str | None
    token_ends: str | None


class LoginDocument(Document, frozen=True, kw_only=True):
    """`login`: the user, and whether the password is kept."""

    user: str
    kept: bool


class LogoutDocument(Document, frozen=True, kw_only=True):
    """`logout`: the user, and whether a password was removed."""

    user: str | None
    removed: bool


class ProbeDocument(Document, frozen=True, kw_only=True):
    """`doctor --archive-probe`: whether the archive behaves as assumed, question by question."""

    findings: tuple[ProbeFinding, ...]
