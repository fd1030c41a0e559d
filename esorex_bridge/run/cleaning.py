"""What may be removed: products that no dataset needs, and what killed or failed runs left behind.

Never a raw frame, never an end product, never what a record that is kept refers to.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable
from contextlib import nullcontext
from pathlib import Path

from msgspec import Struct

from esorex_bridge.errors import DataError
from esorex_bridge.esorex.runner import EXIT_CODE
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.store.rebuild import read_statement_file
from esorex_bridge.store.step_store import SqliteStore
from esorex_bridge.workspace.folders import LOCK_NAME, Workspace
from esorex_bridge.workspace.locks import is_locked, locked

_DEPTH = 3
"""Folders of runs lie at <workflow>/<actor>/<time stamp>."""


class Removal(Struct, frozen=True):
    """A folder that may be removed.

    Parameters
    ----------
    path : Path
        The folder.
    size_bytes : int
        What it holds.
    reason : str
        Why it may go.
    key : StepKey or None
        The recorded step that it belongs to; None where nothing is recorded.
    ends : tuple of Path or None
        None where the record goes with the folder. Where the record stays: the end products that stand for the products
        from then on, empty if none do.
    """

    path: Path
    size_bytes: int
    reason: str
    key: StepKey | None = None
    ends: tuple[Path, ...] | None = None


def removable(
    store: SqliteStore, workspace: Workspace, needed: Collection[StepKey], claimed: Iterable[Path] = ()
) -> tuple[Removal, ...]:
    """Return the folders that may be removed.

    Parameters
    ----------
    store, workspace
        Of the data root.
    needed : collection of StepKey
        What the datasets of the root need.
    claimed : iterable of Path
        Folders of runs and products that batches need.
    """
    kept = set(_with_logs(tuple(claimed), workspace))
    removals: list[Removal] = []
    adopted = frozenset(store.adopted_keys())  # their files are Reflex's
    for key in store.all_keys():
        places = _with_logs(store.places(key), workspace)
        if key in needed or key in adopted or not kept.isdisjoint(places):
            kept.update(places)
        else:
            removals += [
                Removal(path, folder_size(path), "no dataset needs it", key) for path in places if path.is_dir()
            ]
    going = {removal.path for removal in removals}
    for folder in _trees(workspace):
        for path in _run_folders(folder):
            if path not in kept and path not in going and not _goes_on(path, folder, workspace):
                reason = _find_left(workspace.bookkeeping / path.relative_to(folder), store)
                removals += [Removal(path, folder_size(path), reason)] if reason else []
    return tuple(removal for removal in removals if is_run_folder(removal.path, workspace))


def remove(removals: Collection[Removal], store: SqliteStore, workspace: Workspace) -> None:
    """Remove folders, each step's record first: what is recorded is always there."""
    by_key: dict[StepKey | None, list[Removal]] = {}
    for removal in removals:
        by_key.setdefault(removal.key, []).append(removal)
    for key, going in by_key.items():
        with nullcontext() if key is None else locked(workspace.locks / key):
            if key is not None:
                _note(key, going, store)
            for removal in going:
                shutil.rmtree(removal.path, ignore_errors=True)


def _note(key: StepKey, going: Iterable[Removal], store: SqliteStore) -> None:
    """Write down that the folders of a step go."""
    ends = [removal.ends for removal in going]
    if None in ends:
        store.forget((key,))
    else:
        store.give_back(key, next(filter(None, ends), ()))


def disk_use(workspace: Workspace) -> dict[str, int]:
    """Return how many bytes each folder of a root holds."""
    folders = (workspace.input, workspace.bookkeeping, workspace.logs, workspace.tmp_products, workspace.end_products)
    return {folder.name: folder_size(folder) for folder in folders}


def _with_logs(places: tuple[Path, ...], workspace: Workspace) -> tuple[Path, ...]:
    logs = (
        workspace.logs / path.relative_to(workspace.bookkeeping)
        for path in places
        if path.is_relative_to(workspace.bookkeeping)
    )
    return (*places, *logs)


def _goes_on(path: Path, folder: Path, workspace: Workspace) -> bool:
    """Tell whether the run that a folder belongs to still goes on."""
    place = path.relative_to(folder)
    return is_locked(workspace.bookkeeping / place.with_name(place.name.removesuffix(".part")) / LOCK_NAME)


def _trees(workspace: Workspace) -> tuple[Path, ...]:
    return workspace.tmp_products, workspace.bookkeeping, workspace.logs


def is_run_folder(path: Path, workspace: Workspace) -> bool:
    """Tell whether a path is the folder of a run below the root itself, whatever a record says and links lead to."""
    tree = next((tree for tree in _trees(workspace) if path.is_relative_to(tree)), None)
    if tree is None or len(path.relative_to(tree).parts) != _DEPTH or ".." in path.parts:
        return False
    if path.is_relative_to(workspace.batches):
        return False
    return not path.is_symlink() and path.resolve() == tree.resolve() / path.relative_to(tree)


def _find_left(folder: Path, store: SqliteStore) -> str:
    """Return why the folder of a run that is not recorded may go; empty where it may not."""
    if not _has_succeeded(folder):
        return "left by a run that failed or was killed"
    try:
        key = read_statement_file(folder).record.key
    except DataError:
        return ""
    return "made again since" if key in store.all_keys() else ""


def _has_succeeded(folder: Path) -> bool:
    """Tell whether a run ended well, by what it left: its exit code, and products in their place."""
    try:
        return (folder / EXIT_CODE).read_text().strip() == "0" and (folder / "products_dir").is_dir()
    except (OSError, ValueError):
        return False


def _run_folders(folder: Path) -> list[Path]:
    pattern = "/".join("*" * _DEPTH)
    return sorted(path for path in folder.glob(pattern) if path.is_dir() and not path.is_symlink())


def folder_size(folder: Path) -> int:
    """Return how many bytes the files below a folder hold."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
