"""Trees: calSelector's documents beside the data, with what was asked and when, so that they can be asked for again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import Struct

from esorex_bridge.archive.calselector import AssociationReply, Outcome, reply_of_tree
from esorex_bridge.datasets.association import AssociationTree, Mode
from esorex_bridge.datasets.xml import UnreadableTreeError
from esorex_bridge.disk.atomic import write_bytes_whole
from esorex_bridge.errors import DataError
from esorex_bridge.files import DpId
from esorex_bridge.values import plain
from esorex_bridge.workspace.tree_files import read_tree_file

NAME = ".esorex_bridge_trees.jsonl"
VERSION = 1

FRESH = timedelta(days=1)
"""How long an answer is not asked for again: ESO certifies and completes associations within days, not hours."""

_FINAL = (Outcome.ASSOCIATED, Outcome.INCOMPLETE, Outcome.INCOMPLETE_AUXILIARY, Outcome.NOT_SUPPORTED)
"""Outcomes that are no fault of the service which may have passed."""


class TreeRequest(Struct, frozen=True):
    """What was asked for a tree that lies in a folder.

    Parameters
    ----------
    file : str
        Name of the tree's file.
    dp_id : str
        The science frame that was asked.
    mode : {'Raw2Raw', 'Raw2Master'}
        As requested.
    time : str
        When (UT, ISO 8601).
    """

    file: str
    dp_id: DpId
    mode: Mode
    time: str


class Folders(Struct, frozen=True):
    """Where data go.

    Parameters
    ----------
    asked : Path
        The folder of what was asked for.
    downgraded : Path or None
        The folder of datasets that were asked for with masters and given with raw calibrations: that of raw
        calibrations, as in ESO's packages. None where all goes into one folder.
    """

    asked: Path
    downgraded: Path | None = None

    def of(self, reply: AssociationReply) -> Path:
        """Return the folder for the dataset of an answer."""
        return self.downgraded if self.downgraded is not None and reply.downgraded else self.asked

    @property
    def all(self) -> tuple[Path, ...]:
        """All folders."""
        return (self.asked,) if self.downgraded is None else (self.asked, self.downgraded)


class SavedTree(Struct, frozen=True):
    """A tree in a folder.

    Parameters
    ----------
    path : Path
        Its file.
    tree : AssociationTree
        Its content.
    dp_id : str
        The science frame to ask for it again.
    mode : {'Raw2Raw', 'Raw2Master'}
        The mode that was asked for; the executed one where nobody noted it.
    asked : datetime
        When (UT); the time of the file where nobody noted it.
    """

    path: Path
    tree: AssociationTree
    dp_id: DpId
    mode: Mode
    asked: datetime


def save_trees(replies: Iterable[AssociationReply], folder: Path, now: datetime) -> tuple[Path, ...]:
    """Keep the documents of calSelector's answers in a data folder, under the names that ESO gives them.

    Parameters
    ----------
    replies : iterable of AssociationReply
        Those without a document leave nothing.
    folder : Path
        The data folder; made where it does not exist.
    now : datetime
        When they were asked.

    Raises
    ------
    DataError
        If the folder cannot be written.
    """
    try:
        return tuple(_save(reply, folder, now) for reply in replies if reply.document and reply.file_name)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror or error}; choose another folder") from error


def saved_trees(folder: Path) -> tuple[SavedTree, ...]:
    """Return the trees of a data folder, ours and those of archive packages; other XML is passed over."""
    asked = _read_requests(folder / NAME)
    return tuple(tree for path in sorted(folder.glob("*.xml")) if (tree := _read_saved(path, asked)) is not None)


def requests_in(folder: Path, mode: Mode) -> tuple[TreeRequest, ...]:
    """Return what was ever asked in a mode for the trees of a folder, whatever mode was carried out."""
    noted = map(_read_request, _note_lines(folder / NAME))
    return tuple(request for request in noted if request is not None and request.mode == mode)


def trees_asked_for(folder: Path, mode: Mode) -> tuple[Path, ...]:
    """Return the trees in a folder that were asked for in a mode at any time, whatever mode was carried out."""
    names = dict.fromkeys(Path(request.file).name for request in requests_in(folder, mode))
    return tuple(path for name in names if (path := folder / name).is_file())


def kept_replies(folder: Path, names: Iterable[str], mode: Mode, now: datetime) -> tuple[AssociationReply, ...]:
    """Return the answers for frames that were kept in a folder within the last day.

    Parameters
    ----------
    folder : Path
        The data folder; need not exist.
    names : iterable of str
        Frames.
    mode : {'Raw2Raw', 'Raw2Master'}
        The mode that must have been asked for.
    now : datetime
        With its time zone.
    """
    left = dict.fromkeys(names)
    found = []
    for noted in _read_requests(folder / NAME).values():
        age = now - datetime.fromisoformat(noted.time)
        if noted.mode != mode or not timedelta() <= age < FRESH:
            continue
        reply = _kept_reply(folder / noted.file, noted, mode)
        if reply is not None and any(name in left for name in reply.covers):
            found.append(reply)
            for name in reply.covers:
                left.pop(name, None)
        if not left:
            break
    return tuple(found)


def _kept_reply(path: Path, noted: TreeRequest, mode: Mode) -> AssociationReply | None:
    try:
        tree = read_tree_file(path)
    except UnreadableTreeError:
        return None
    reply = reply_of_tree(tree, path.name, noted.dp_id, mode)
    return reply if reply is not None and reply.outcome in _FINAL else None


def _save(reply: AssociationReply, folder: Path, now: datetime) -> Path:
    assert reply.file_name is not None
    path = folder / reply.file_name
    write_bytes_whole(path, reply.document)
    time = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    line = plain(TreeRequest(path.name, reply.asked, reply.requested, time))
    notes = folder / NAME
    head = "" if notes.exists() else json.dumps({"esorex_bridge_trees": VERSION}) + "\n"
    descriptor = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(descriptor, f"{head}{json.dumps(line)}\n".encode())
    finally:
        os.close(descriptor)
    return path


def _read_saved(path: Path, notes: dict[str, TreeRequest]) -> SavedTree | None:
    try:
        tree = read_tree_file(path)
    except UnreadableTreeError:
        return None
    if not tree.root.files:
        return None
    noted = notes.get(path.name)
    if noted is not None:
        return SavedTree(path, tree, noted.dp_id, noted.mode, datetime.fromisoformat(noted.time))
    time = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    return SavedTree(path, tree, tree.root.files[0].name, tree.mode, time)


def _read_requests(path: Path) -> dict[str, TreeRequest]:
    return {noted.file: noted for line in _note_lines(path) if (noted := _read_request(line)) is not None}


def _note_lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def _read_request(line: str) -> TreeRequest | None:
    """Return what a line notes; None for what is none."""
    try:
        values = json.loads(line)
        mode: Mode = "Raw2Master" if values["mode"] == "Raw2Master" else "Raw2Raw"
        if datetime.fromisoformat(values["time"]).tzinfo is None:
            return None
        return TreeRequest(str(values["file"]), DpId(str(values["dp_id"])), mode, values["time"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
