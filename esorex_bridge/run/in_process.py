"""The executor of `run` and `reduce`: steps are made by threads of this process, each of which waits for its recipe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue

from esorex_bridge.errors import BridgeError
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import Record
from esorex_bridge.run.background import BackgroundCall
from esorex_bridge.run.capacity import Capacity
from esorex_bridge.run.executor import EngineBusyError, Phase, TaskRequest, TaskStatus, Ticket
from esorex_bridge.run.result import StepResult


class InProcessExecutor:
    """Makes steps in threads.

    Parameters
    ----------
    make : callable
        Makes the step of a key, and returns its record and whether it was made here.
    stop : callable
        Ends the recipes that run.
    jobs : int
        How many steps at a time.
    capacity : Capacity
        What this machine carries.
    waits : callable
        Is told which step waits for memory, and for how much.
    """

    keeps_order = False

    def __init__(
        self,
        make: Callable[[StepKey], tuple[Record, bool]],
        stop: Callable[[], None],
        jobs: int,
        capacity: Capacity,
        waits: Callable[[StepKey, str], None],
    ) -> None:
        self._make = make
        self._stop = stop
        self._jobs = max(1, jobs)
        self._capacity = capacity
        self._waits = waits
        self._running: dict[Ticket, BackgroundCall[StepResult]] = {}
        self._ended: SimpleQueue[Ticket] = SimpleQueue()
        self._changes: dict[Ticket, TaskStatus] = {}
        self._results: dict[StepKey, StepResult] = {}

    @property
    def room(self) -> int:
        """How many more steps it takes at present."""
        return self._jobs - len(self._running)

    def submit(self, order: TaskRequest, after: Sequence[Ticket] = ()) -> Ticket:
        """Begin a step; `after` must have ended already.

        Raises
        ------
        EngineBusyError
            If it finds no room beside those that run.
        """
        if not self._capacity.fits(order):
            if lacking := self._capacity.lacks_memory(order):
                self._waits(order.key, lacking)
            raise EngineBusyError(lacking)
        ticket = Ticket(f"{order.key}.{order.attempt}")
        self._capacity.take(ticket, order)
        self._changes[ticket] = TaskStatus(Phase.RUNNING)
        self._running[ticket] = BackgroundCall(partial(self._attempt, order, ticket), "recipe")
        return ticket

    def adopt(self, ticket: Ticket, order: TaskRequest) -> None:
        """Report that it is lost: nothing goes on here without the bridge."""
        self._changes[ticket] = TaskStatus(Phase.LOST, "the bridge was stopped")

    def states(self, patience_s: float) -> Mapping[Ticket, TaskStatus]:
        """Return what changed since the last call, waiting so long for a change; internal errors are raised."""
        changes, self._changes = self._changes, {}
        for ticket in self._await_ended(0 if changes else patience_s):
            if ticket in changes:
                self._changes[ticket] = TaskStatus(Phase.ENDED)  # its beginning is reported first
            else:
                changes[ticket] = TaskStatus(Phase.ENDED)
            self._capacity.give_back(ticket)
            result = self._running.pop(ticket).result()
            self._results[result.key] = result
        return changes

    def _await_ended(self, patience_s: float) -> Iterator[Ticket]:
        """Yield what ended, waiting so long for the first of it."""
        with suppress(Empty):
            yield self._ended.get(timeout=patience_s)
            while True:
                yield self._ended.get_nowait()

    def result(self, key: StepKey) -> StepResult | None:
        """Return what came of a step that ended."""
        return self._results.get(key)

    def cancel(self, tickets: Sequence[Ticket]) -> None:
        """End all recipes that run."""
        self._stop()

    def close(self) -> None:
        """End what still runs, and wait for its threads."""
        if self._running:
            self._stop()
        for running in self._running.values():
            running.join()

    def _attempt(self, order: TaskRequest, ticket: Ticket) -> StepResult:
        try:
            return self._make_step(order)
        finally:
            self._ended.put(ticket)

    def _make_step(self, order: TaskRequest) -> StepResult:
        began = time.monotonic()
        try:
            record, ran = self._make(order.key)
        except BridgeError as error:
            return StepResult(order.key, order.attempt, "failed", None, str(error)).with_failure(error)
        except OSError as error:
            return StepResult(order.key, order.attempt, "failed", None, explain(error))
        seconds = time.monotonic() - began
        return StepResult(order.key, order.attempt, "made" if ran else "found", record, seconds=seconds)


def explain(error: OSError) -> str:
    """Return what the system said about a file, and what to do."""
    return f"{error.strerror or error}: {error.filename or 'the data root'}; mend that and run again"
