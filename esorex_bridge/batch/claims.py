"""What batches still need of a data root, though the store does not know it: cleaning leaves it alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from esorex_bridge.batch.ledger import earlier_runs
from esorex_bridge.batch.report import read_report, steps_of_last_run
from esorex_bridge.executors.batch_folder import BatchFolder, batches
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import Record
from esorex_bridge.workspace.folders import Workspace

_OPEN = ("running", "detached", "interrupted")
"""In these states a batch goes on, or is to go on, from all that it made so far."""


class Claim(Struct, frozen=True):
    """What one batch needs.

    Parameters
    ----------
    batch, state : str
        Its name, and how it stands.
    folders : frozenset of Path
        Of the runs and products that it named in results.
    """

    batch: str
    state: str
    folders: frozenset[Path]


def claims(workspace: Workspace) -> tuple[Claim, ...]:
    """Return what the batches of a root need: all that an open one made or found, and what nobody has recorded yet.

    Raises
    ------
    UserError
        If a batch was written by another version, so that this is not known.
    """
    found = (_claim(folder) for folder in batches(workspace.batches))
    return tuple(claim for claim in found if claim.folders or claim.state in _OPEN)


def find_needed_by_batches(workspace: Workspace) -> frozenset[StepKey]:
    """Return what datasets of batches need, with the parameters of their jobs, as the last run of each has it."""
    return frozenset(
        StepKey(step["key"]) for folder in batches(workspace.batches) for step in steps_of_last_run(folder)
    )


def _claim(folder: BatchFolder) -> Claim:
    state = read_report(folder).state
    return Claim(folder.name, state, frozenset(path for record in _records(folder, state) for path in _places(record)))


def _records(folder: BatchFolder, state: str) -> Iterator[Record]:
    booked = earlier_runs(folder).booked
    for result in folder.results():
        if result.record is None:
            continue
        if state in _OPEN or (result.attempt and result.key not in booked):  # attempt 0: recorded before
            yield result.record


def _places(record: Record) -> Iterator[Path]:
    yield Path(record.sof_file).parent
    yield from (product.path.parent for product in record.products)
