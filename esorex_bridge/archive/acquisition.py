"""From constraints to files on disk: query, associate, keep the trees, fetch what they name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from esorex_bridge.archive.calselector import AssociationReply
from esorex_bridge.archive.query import Constraints
from esorex_bridge.datasets.association import Mode

if TYPE_CHECKING:
    from esorex_bridge.archive.client import ArchiveClient, Row
    from esorex_bridge.archive.download import FetchReport, FileReport, Received


class Watcher(Protocol):
    """Is told what goes on."""

    def found(self, rows: tuple[Row, ...]) -> None:
        """Tell which frames the query found."""

    def associated(self, replies: tuple[AssociationReply, ...], files: tuple[str, ...]) -> None:
        """Tell what calSelector answered, and which files that makes."""

    def fetching(self, event: Received | FileReport) -> None:
        """Tell about bytes that came and files that ended; called from several threads."""


@dataclass(frozen=True, slots=True)
class Acquisition:
    """What was found, associated and fetched.

    Parameters
    ----------
    rows : tuple of dict
        The science frames, as the archive lists them.
    replies : tuple of AssociationReply
        calSelector's answers; together they cover all frames.
    report : FetchReport or None
        What became of each file; None where nothing was to be fetched yet.
    """

    rows: tuple[Row, ...]
    replies: tuple[AssociationReply, ...]
    report: FetchReport | None


def acquire(
    client: ArchiveClient, constraints: Constraints, mode: Mode, folder: Path, watcher: Watcher, dry_run: bool = False
) -> Acquisition:
    """Bring the frames that meet constraints, and all that calibrates them, into a folder.

    Parameters
    ----------
    client : ArchiveClient
        To the archive.
    constraints : Constraints
        Which science frames.
    mode : {'Raw2Raw', 'Raw2Master'}
        Calibrations as raw frames or as processed masters.
    folder : Path
        The data folder.
    watcher : Watcher
        Is told what goes on.
    dry_run : bool
        Ask, but fetch and write nothing.

    Raises
    ------
    ArchiveError
        A service failed.
    UserError
        A constraint is malformed, or the folder cannot be written.
    """
    rows = client.query(constraints)
    watcher.found(rows)
    templates = {str(row["dp_id"]): str(row["tpl_start"]) for row in rows if row.get("tpl_start")}
    replies = client.associations([str(row["dp_id"]) for row in rows], mode, templates) if rows else ()
    files = files_of(replies)
    watcher.associated(replies, files)
    if dry_run or not files:
        return Acquisition(rows, replies, None)
    save_trees(replies, folder)
    return Acquisition(rows, replies, client.fetch(files, folder, progress=watcher.fetching))


def files_of(replies: Iterable[AssociationReply]) -> tuple[str, ...]:
    """Return the names of all files of some answers, once each: science first within each answer."""
    return tuple(dict.fromkeys(name for reply in replies for name in (*reply.covers, *(f.name for f in reply.listed))))


def save_trees(replies: Iterable[AssociationReply], folder: Path) -> tuple[Path, ...]:
    """Keep the association trees beside the data, under the names that ESO gives them, and return where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    saved = []
    for reply in replies:
        if reply.tree is None:
            continue
        path = folder / Path(reply.file_name or f"{reply.asked}_{reply.tree.mode.lower()}.xml").name
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(reply.document)
        part.replace(path)
        saved.append(path)
    return tuple(saved)
