"""Notes for Reflex, taken beside the recipes: they are a copy, so that no step waits for them.

One thread writes them, because Reflex's database has one writer at a time.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from esorex_bridge.reflex.bookkeeping_writer import FinishedRun


class ReflexNotes:
    """Notes finished runs one after the other, while others go on."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "notes")
        self._noted: dict[Path, Future[tuple[str, ...]]] = {}

    def note(self, run: FinishedRun) -> tuple[str, ...]:
        """Have a run noted; what goes wrong with that is told in the end."""
        from esorex_bridge.reflex.bookkeeping_writer import note_run

        self._noted[run.folders.work] = self._pool.submit(note_run, run)
        return ()

    def finish(self) -> dict[Path, tuple[str, ...]]:
        """Wait until all is noted, and return what went wrong, by the folder of the run."""
        self._pool.shutdown(wait=True)
        problems = {folder: noted.result() for folder, noted in self._noted.items()}
        return {folder: told for folder, told in problems.items() if told}
