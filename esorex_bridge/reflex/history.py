"""A history that ESO Reflex left: found below a folder, moved or not, with what of its products is still there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.errors import UserError
from esorex_bridge.reflex.bookkeeping_db import DATABASE_NAME, read_database
from esorex_bridge.reflex.bookkeeping_records import NotedExecution, NotedFile
from esorex_bridge.reflex.execution_folders import read_folder, read_folders

_DEPTH = 3


class WorkflowHistory(Struct, frozen=True):
    """What was executed in one workflow.

    Parameters
    ----------
    folder : Path
        Its bookkeeping folder, where it lies now.
    executions : tuple of NotedExecution
        The oldest first, with the paths where files lie now, as far as they are found.
    """

    folder: Path
    executions: tuple[NotedExecution, ...]


def read_history(place: Path) -> tuple[WorkflowHistory, ...]:
    """Return what Reflex executed, by workflow.

    Parameters
    ----------
    place : Path
        A `bookkeeping.db`, the bookkeeping folder of a workflow, or a folder that holds several of them. Databases
        come first; execution folders that no database knows (it was lost, or never copied) are read for themselves.

    Raises
    ------
    UserError
        If there is none.
    DataError
        If a database cannot be read.
    """
    folders = [place.parent] if place.is_file() else list(_workflow_folders(place))
    if not folders:
        raise UserError(
            f"{place} holds no bookkeeping of Reflex: neither {DATABASE_NAME} nor execution folders "
            "(<actor>/<time>/exitcode.txt); name the folder that esoreflex.rc or the workflow calls BOOKKEEPING_DIR"
        )
    return tuple(_history(folder, place if place.is_file() else folder / DATABASE_NAME) for folder in folders)


def _workflow_folders(place: Path) -> Iterator[Path]:
    level = [place.absolute()]
    for _ in range(_DEPTH):
        below = []
        for folder in level:
            if (folder / DATABASE_NAME).is_file() or any(folder.glob("*/*T*:*:*.*/exitcode.txt")):
                yield folder
            else:
                below.extend(sorted(each for each in folder.iterdir() if each.is_dir() and not each.is_symlink()))
        level = below


def _history(folder: Path, database: Path) -> WorkflowHistory:
    noted = read_database(database) if database.is_file() else ()
    known = {_place(execution.folder) for execution in noted}
    found = [_move(execution, folder) for execution in noted]
    found += [_move(each, folder) for each in read_folders(folder) if _place(each.folder) not in known]
    return WorkflowHistory(folder, tuple(sorted(found, key=lambda execution: execution.made)))


def _place(folder: Path) -> tuple[str, str]:
    return folder.parent.name, folder.name


def _move(execution: NotedExecution, workflow: Path) -> NotedExecution:
    """Return an execution with the paths where its folder and its files lie now."""
    here = workflow / execution.folder.parent.name / execution.folder.name
    if not here.is_dir():
        return execution
    # What the folder tells of purposes, no database does.
    told = read_folder(here)
    if told is not None and {file.path for file in told.inputs} == {file.path for file in execution.inputs}:
        execution = replace(execution, inputs=told.inputs, outputs=told.outputs or execution.outputs)
    roots = _roots(execution.folder, here)
    return replace(
        execution,
        folder=here,
        inputs=tuple(_locate(file, roots, None) for file in execution.inputs),
        outputs=tuple(_locate(file, roots, here / "products_dir") for file in execution.outputs),
    )


def _roots(before: Path, now: Path) -> tuple[Path, Path]:
    """Return where the data root was and is, from the two paths of an execution folder: what they do not share."""
    old, new = before.parts, now.parts
    shared = 0
    while shared < min(len(old), len(new)) and old[-1 - shared] == new[-1 - shared]:
        shared += 1
    return Path(*old[: len(old) - shared]), Path(*new[: len(new) - shared])


def _locate(file: NotedFile, roots: tuple[Path, Path], products: Path | None) -> NotedFile:
    """Return a file with the first path at which it is; the noted one where it is nowhere."""
    places = [file.path]
    if products is not None:
        places.append(products / file.path.name)
    before, now = roots
    if file.path.is_relative_to(before):
        places.append(now / file.path.relative_to(before))
    return replace(file, path=next((path for path in places if path.is_file()), file.path))
