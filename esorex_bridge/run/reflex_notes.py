"""Notes for Reflex, taken beside the recipes: they are a copy, so that no step waits for them.

One thread writes them, because Reflex's database has one writer at a time. While another step is to begin, they wait
until its recipe runs: Python does one thing at a time, and a recipe that runs leaves it free.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from esorex_bridge.reflex.bookkeeping_writer import FinishedRun


class ReflexNotes:
    """Notes finished runs one after the other, while others go on.

    Parameters
    ----------
    is_urged : callable
        Tells whether a step is to begin as soon as others have ended.
    """

    def __init__(self, is_urged: Callable[[], bool]) -> None:
        self._is_urged = is_urged
        self._pool = ThreadPoolExecutor(1, "notes")
        self._lock = Lock()
        self._waiting: list[FinishedRun] = []
        self._noted: dict[Path, Future[tuple[str, ...]]] = {}

    def note(self, run: FinishedRun) -> tuple[str, ...]:
        """Have a run noted; what goes wrong with that is told in the end."""
        with self._lock:
            self._waiting.append(run)
        if not self._is_urged():
            self.go_on()
        return ()

    def go_on(self, after: Callable[[], None] | None = None) -> None:
        """Note what waits; then do what else is to be done beside the recipes."""
        from esorex_bridge.reflex.bookkeeping_writer import note_run

        with self._lock:
            for run in self._waiting:
                self._noted[run.folders.work] = self._pool.submit(note_run, run)
            self._waiting.clear()
        if after is not None:
            self._pool.submit(after)

    def finish(self) -> dict[Path, tuple[str, ...]]:
        """Wait until all is noted, and return what went wrong, by the folder of the run."""
        self.go_on()
        self._pool.shutdown(wait=True)
        problems = {folder: noted.result() for folder, noted in self._noted.items()}
        return {folder: told for folder, told in problems.items() if told}
