"""Notes for Reflex, taken beside the recipes: they are a copy, so that no step waits for them.

They are written one after the other, because Reflex's database has one writer at a time. While another step is to
begin, they wait until its recipe runs: Python does one thing at a time, and a recipe that runs leaves it free.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from esorex_bridge.errors import BridgeError
from esorex_bridge.run.background import BackgroundCall

if TYPE_CHECKING:
    from esorex_bridge.reflex.finished_run import FinishedRun


class ReflexNotes:
    """Notes finished runs one after the other, while others go on.

    Parameters
    ----------
    is_urged : callable
        Tells whether a step is to begin as soon as others have ended.
    """

    def __init__(self, is_urged: Callable[[], bool]) -> None:
        self._is_urged = is_urged
        self._lock = Lock()
        self._waiting: list[FinishedRun] = []
        self._noting: list[BackgroundCall[None]] = []
        """Each begins when the one before has ended."""
        self._problems: dict[Path, tuple[str, ...]] = {}

    def note(self, run: FinishedRun) -> tuple[str, ...]:
        """Have a run noted; what goes wrong with that is told in the end."""
        with self._lock:
            self._waiting.append(run)
        if not self._is_urged():
            self.go_on()
        return ()

    def go_on(self, after: Callable[[], None] | None = None) -> None:
        """Note what waits; then do what else is to be done beside the recipes."""
        with self._lock:
            runs, self._waiting = self._waiting, []
            if runs or after is not None:
                before = self._noting[-1] if self._noting else None
                self._noting.append(BackgroundCall(lambda: self._note_all(runs, before, after), "notes"))

    def _note_all(
        self, runs: Sequence[FinishedRun], before: BackgroundCall[None] | None, after: Callable[[], None] | None
    ) -> None:
        from esorex_bridge.reflex.bookkeeping_writer import note_run

        if before is not None:
            before.join()
        for run in runs:
            if problems := note_run(run):
                self._problems[run.folders.work] = problems
        if after is not None:
            with suppress(BridgeError, OSError):  # It is said where what was to be done is wanted.
                after()

    def finish(self) -> dict[Path, tuple[str, ...]]:
        """Wait until all is noted, and return what went wrong, by the folder of the run."""
        self.go_on()
        for noting in self._noting:
            noting.result()
        return self._problems
