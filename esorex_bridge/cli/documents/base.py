"""What all documents of `--json` have in common, and the one for errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from esorex_bridge.disk.room import DiskNeed


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a document: it has these fields, and no others."""


class Document(Part, frozen=True, kw_only=True):
    """What a verb prints."""

    schema: Literal[1] = 1


class DiskPart(Part, frozen=True):
    """What was estimated to come onto a disk, and what was free there before; `folder` is one on it."""

    folder: str
    needed_bytes: int
    fetched_bytes: int
    made_bytes: int
    free_bytes: int
    enough: bool


def disk_part(need: DiskNeed) -> DiskPart:
    """Return what comes onto a disk."""
    return DiskPart(need.folder, need.needed_bytes, need.fetched_bytes, need.made_bytes, need.free_bytes, need.enough)


class ErrorPart(Part, frozen=True):
    """What went wrong: its kind, and one sentence with what to do next."""

    kind: str
    message: str


class ErrorDocument(Document, frozen=True, kw_only=True):
    """Printed by every verb where it is refused or fails as a whole."""

    error: ErrorPart


class FaultPart(Part, frozen=True):
    """A file that cannot be used, or was not fetched, and why."""

    file: str
    reason: str
