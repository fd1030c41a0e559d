"""What may be removed: products that no dataset needs, and what killed or failed runs left behind.

Never a raw frame, never an end product, never what a record that is kept refers to.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from msgspec import Struct

from esorex_bridge.reuse.key import StepKey
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
        The recorded step that goes with it; None where nothing is recorded.
    """

    path: Path
    size_bytes: int
    reason: str
    key: StepKey | None = None


def removable(store: SqliteStore, workspace: Workspace, needed: Collection[StepKey]) -> tuple[Removal, ...]:
    """Return the folders that may be removed, given the keys that the datasets of the root need."""
    kept: set[Path] = set()
    removals: list[Removal] = []
    adopted = frozenset(store.adopted_keys())  # their files are Reflex's
    for key in store.all_keys():
        places = _with_logs(store.places(key), workspace)
        if key in needed or key in adopted:
            kept.update(places)
        else:
            removals += [Removal(path, _size(path), "no dataset needs it", key) for path in places if path.is_dir()]
    going = {removal.path for removal in removals}
    for folder in (workspace.tmp_products, workspace.bookkeeping, workspace.logs):
        for path in _run_folders(folder):
            if path not in kept and path not in going and not _goes_on(path, folder, workspace):
                removals.append(Removal(path, _size(path), "left by a run that failed or was killed"))
    return tuple(removal for removal in removals if removal.path.is_relative_to(workspace.root))


def remove(removals: Collection[Removal], store: SqliteStore, workspace: Workspace) -> None:
    """Remove folders, each step's record first: what is recorded is always there."""
    for key in dict.fromkeys(removal.key for removal in removals if removal.key is not None):
        with locked(workspace.locks / key):
            store.forget((key,))
            for removal in removals:
                if removal.key == key:
                    shutil.rmtree(removal.path, ignore_errors=True)
    for removal in removals:
        if removal.key is None:
            shutil.rmtree(removal.path, ignore_errors=True)


def disk_use(workspace: Workspace) -> dict[str, int]:
    """Return how many bytes each folder of a root holds."""
    folders = (workspace.input, workspace.bookkeeping, workspace.logs, workspace.tmp_products, workspace.end_products)
    return {folder.name: _size(folder) for folder in folders}


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


def _run_folders(folder: Path) -> list[Path]:
    pattern = "/".join("*" * _DEPTH)
    return sorted(path for path in folder.glob(pattern) if path.is_dir() and not path.is_symlink())


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
