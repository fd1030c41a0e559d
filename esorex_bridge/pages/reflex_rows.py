"""What ESO Reflex noted in a data root, as the page shows it: executions with their files, and end products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC
from pathlib import Path

from esorex_bridge.errors import BridgeError
from esorex_bridge.esorex.diagnosis import explain_exit
from esorex_bridge.pages.model import ReflexRow
from esorex_bridge.reflex.bookkeeping_db import DATABASE_NAME, read_final_products
from esorex_bridge.reflex.bookkeeping_records import NotedExecution, NotedFile
from esorex_bridge.reflex.history import read_history


def has_bookkeeping(place: Path) -> bool:
    """Tell whether Reflex left a database of a workflow in a folder of bookkeeping."""
    return any(place.glob(f"*/{DATABASE_NAME}"))


def read_rows(place: Path, ours: frozenset[str]) -> Iterator[ReflexRow]:
    """Yield what Reflex noted below a folder and what is not ours, the oldest first.

    Parameters
    ----------
    place : Path
        The folder of bookkeeping.
    ours : frozenset of str
        Folders of runs that the store knows.
    """
    if not place.is_dir():
        return
    with suppress(BridgeError, OSError):
        for history in read_history(place):
            ends = _end_products(history.folder / DATABASE_NAME)
            for execution in history.executions:
                if str(execution.folder) not in ours:
                    yield _row(history.folder.name, execution, ends)


def _end_products(database: Path) -> dict[str, str]:
    """Return the end product that each product was copied to, by the product's path."""
    with suppress(BridgeError):
        return {each.name: each.alias for each in read_final_products(database)}
    return {}


def _row(workflow: str, execution: NotedExecution, ends: dict[str, str]) -> ReflexRow:
    return ReflexRow(
        workflow=workflow,
        actor=execution.actor,
        recipe=execution.recipe,
        made=f"{execution.made.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        state="success" if execution.exit_code == 0 else explain_exit(execution.exit_code),
        inputs=tuple(_pairs(execution.inputs)),
        products=tuple((category, name, ends.get(name, "")) for category, name in _pairs(execution.outputs)),
    )


def _pairs(files: Iterable[NotedFile]) -> Iterator[tuple[str, str]]:
    return ((file.category, str(file.path)) for file in files)
