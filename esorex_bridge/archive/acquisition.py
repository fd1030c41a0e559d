"""From constraints to files on disk: query, associate, keep the trees, fetch what they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from esorex_bridge.archive.calselector import AssociationReply, Outcome, without_tree
from esorex_bridge.archive.download_list import wanted
from esorex_bridge.archive.query import Constraints
from esorex_bridge.archive.trees import save_trees
from esorex_bridge.datasets.association import Mode

if TYPE_CHECKING:
    from esorex_bridge.archive.client import ArchiveClient, Row
    from esorex_bridge.archive.report import FetchReport, Progress


class Watcher(Protocol):
    """Is told what goes on."""

    def found(self, rows: tuple[Row, ...]) -> None:
        """Tell which frames the query found."""

    def associated(self, replies: tuple[AssociationReply, ...], files: tuple[str, ...]) -> None:
        """Tell what calSelector answered, and which files that makes."""

    def fetching(self, files: int) -> AbstractContextManager[Progress]:
        """Give what downloads tell their progress to."""


class Acquisition(Struct, frozen=True):
    """What was found, associated and fetched.

    Parameters
    ----------
    rows : tuple of dict
        The science frames, as the archive lists them.
    replies : tuple of AssociationReply
        calSelector's answers; together they cover all frames.
    files : tuple of str
        The archive names of all that belongs to them, science first.
    report : FetchReport or None
        What became of each file; None where nothing was to be fetched yet.
    """

    rows: tuple[Row, ...]
    replies: tuple[AssociationReply, ...]
    files: tuple[str, ...]
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
    names = tuple(str(row["dp_id"]) for row in rows)
    replies = ask(client, names, mode, {str(row["dp_id"]): row for row in rows}) if rows else ()
    files = wanted(names, replies).names
    watcher.associated(replies, files)
    if dry_run or not files:
        return Acquisition(rows, replies, files, None)
    save_trees(replies, folder, datetime.now(UTC))
    with watcher.fetching(len(files)) as progress:
        return Acquisition(rows, replies, files, client.fetch(files, folder, progress=progress))


def ask(
    client: ArchiveClient, names: Sequence[str], mode: Mode, rows: Mapping[str, Row]
) -> tuple[AssociationReply, ...]:
    """Return calSelector's answers for frames.

    The archive's own rows tell the template of each frame, to ask less, and whether it is a science frame. Others are
    not asked for together with science frames, because they make calSelector call the associations of all incomplete.

    Parameters
    ----------
    client : ArchiveClient
        To the archive.
    names : sequence of str
        Archive names of frames.
    mode : {'Raw2Raw', 'Raw2Master'}
        Kind of calibrations.
    rows : mapping
        `dp_cat` and `tpl_start` by dp_id, as far as they are known. Frames under protection have no row; they pass for
        science.
    """
    other = {name: str(row["dp_cat"]) for name, row in rows.items() if row["dp_cat"] not in (None, "SCIENCE")}
    if len(other) == len(names):
        other = {}
    templates = {name: str(row["tpl_start"]) for name, row in rows.items() if row["tpl_start"]}
    replies = client.associations([name for name in names if name not in other], mode, templates)
    said = "calSelector is not asked about it together with science frames"
    return replies + tuple(
        without_tree(name, mode, Outcome.NOT_SUPPORTED, f"a frame of category {other[name]}: {said}")
        for name in names
        if name in other
    )
