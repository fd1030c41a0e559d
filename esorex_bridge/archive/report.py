"""Report: what became of the files that were asked for, and what is told on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import Struct

from esorex_bridge.archive.transfer import FileStatus
from esorex_bridge.disk.digest import Reading
from esorex_bridge.errors import UserError
from esorex_bridge.files import Digest, DpId


class FileReport(Struct, frozen=True):
    """What became of one file.

    Parameters
    ----------
    name : str
        Archive name, as asked for.
    status : FileStatus
        Fetched, kept (it was there, and sound), denied, missing or failed.
    reason : str
        Why, in words; empty where nothing needs saying.
    path : Path or None
        Where it lies; None where it does not.
    size_bytes : int
        On disk.
    digest : Digest or None
        Of its content.
    stamp : str
        What it looked like when it was verified; empty where that is not to be relied on.
    """

    name: DpId
    status: FileStatus
    reason: str = ""
    path: Path | None = None
    size_bytes: int = 0
    digest: Digest | None = None
    stamp: str = ""

    @property
    def here(self) -> bool:
        """Whether the file is there, verified."""
        return self.path is not None


class FetchReport(Struct, frozen=True):
    """What became of all files, in the order in which they were asked for.

    Parameters
    ----------
    files : tuple of FileReport
        One per file.
    """

    files: tuple[FileReport, ...]

    @property
    def complete(self) -> bool:
        """Whether all files are there."""
        return all(file.here for file in self.files)

    def with_status(self, status: FileStatus) -> tuple[FileReport, ...]:
        """Return the files that ended so."""
        return tuple(file for file in self.files if file.status is status)

    @property
    def paths(self) -> dict[DpId, Path]:
        """Where each file that is there lies, by archive name."""
        return {file.name: file.path for file in self.files if file.path is not None}


def readings_of(files: Iterable[FileReport]) -> dict[str, Reading]:
    """Return what was read of the files that are there, by path."""
    return {str(file.path): Reading(file.digest, file.stamp) for file in files if file.path and file.digest}


class Received(Struct, frozen=True):
    """Progress within one file.

    Parameters
    ----------
    name : str
        Archive name.
    size_bytes : int
        How much is there.
    total_bytes : int or None
        Of how much; None where the archive does not say.
    """

    name: str
    size_bytes: int
    total_bytes: int | None


class Listed(Struct, frozen=True):
    """How many files are wanted, as far as is known.

    Parameters
    ----------
    files : int
        So far.
    """

    files: int


Event = Received | FileReport | Listed

Progress = Callable[[Event], None]
"""Told about bytes that came, files that ended, and files that became known; called from several threads."""


class FolderError(UserError):
    """The folder cannot be written: the disk is full or read-only, or the folder belongs to another user.

    Parameters
    ----------
    folder : Path
        The folder.
    reason : str
        What the system says.
    report : FetchReport
        What was done before.
    """

    def __init__(self, folder: Path, reason: str, report: FetchReport | None = None) -> None:
        self.folder, self.reason, self.report = folder, reason, report or FetchReport(())
        done = sum(file.here for file in self.report.files)
        super().__init__(
            f"{folder} cannot be written: {reason}; the {done} files verified so far are kept. "
            "Make room or choose another folder, and run again"
        )
