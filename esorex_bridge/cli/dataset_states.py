"""What happened to datasets so far, from the folders that the bridge and ESO Reflex leave in a data root."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from esorex_bridge.datasets.dataset import Dataset, files_of
from esorex_bridge.organise.selection import State
from esorex_bridge.workspace.folders import Workspace, safe_name


def dataset_states(root: Path, datasets: Iterable[Dataset]) -> dict[str, State]:
    """Return the state of each dataset that is not new.

    Reduced is what has end products. Failed is what has none, and a file that was input to a run of EsoRex that failed.
    """
    workspace = Workspace(root.absolute())
    reduced = {folder.name for folder in workspace.end_products.glob("*/*") if any(folder.glob("*.fits"))}
    failed = _inputs_of_failed_runs(workspace.bookkeeping)
    states: dict[str, State] = {}
    for dataset in datasets:
        if safe_name(dataset.name) in reduced:
            states[dataset.name] = State.REDUCED
        elif any(str(file.path) in failed for file in files_of(dataset)):
            states[dataset.name] = State.FAILED
    return states


def _inputs_of_failed_runs(bookkeeping: Path) -> set[str]:
    """Return the paths in the SOFs of runs whose exit code is not 0: `<workflow>/<actor>/<time stamp>/`."""
    inputs: set[str] = set()
    for code in bookkeeping.glob("*/*/*/exitcode.txt"):
        sof = code.with_name("data.sof")
        if not code.parent.is_symlink() and code.read_text(errors="replace").strip() != "0" and sof.is_file():
            lines = sof.read_text(errors="replace").splitlines()
            inputs |= {line.rpartition(" ")[0].strip() for line in lines if not line.startswith("#")}
    return inputs
