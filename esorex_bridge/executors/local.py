"""The local engine: worker processes on this machine, as many steps at once as processors and memory allow.

A worker lives as long as the batch, so that a step costs a line through a pipe and not a start of Python. Workers end
with the bridge, however it ends, because the pipe closes; and recipes end with their worker.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from esorex_bridge.run.capacity import Capacity
from esorex_bridge.run.executor import Phase, TaskRequest, TaskStatus, Ticket

_PASSED_MOST = 20
"""So many small steps may pass one that waits for room; then it is its turn."""

_LOOKED_AT = 50
"""Steps of the queue that are looked at for one that fits."""

_END_AFTER_S = 5.0
_ROOM = 1_000_000


class LocalExecutor:
    """Worker processes on this machine.

    Parameters
    ----------
    folder : Path
        The batch's.
    capacity : Capacity
        What this machine carries.
    say : callable, optional
        Is told which step waits for memory.
    """

    keeps_order = False
    room = _ROOM

    def __init__(self, folder: Path, capacity: Capacity, say: Callable[[str], None] = lambda _: None) -> None:
        self._folder = folder
        self._capacity = capacity
        self._say = say
        self._told: set[Ticket] = set()
        self._waiting: deque[tuple[Ticket, TaskRequest]] = deque()
        self._idle: list[_Process] = []
        self._busy: dict[Ticket, _Process] = {}
        self._changes: dict[Ticket, TaskStatus] = {}
        self._selector = selectors.DefaultSelector()
        self._passed = 0

    def submit(self, order: TaskRequest, after: Sequence[Ticket] = ()) -> Ticket:
        """Put an order into the queue; `after` must have ended already."""
        ticket = Ticket(f"{order.key[:16]}.{order.attempt}")
        self._waiting.append((ticket, order))
        return ticket

    def adopt(self, ticket: Ticket, order: TaskRequest) -> None:
        """Tell that it is lost: nothing goes on here without the bridge."""
        self._changes[ticket] = TaskStatus(Phase.LOST, "the bridge was stopped")

    def states(self, patience_s: float) -> Mapping[Ticket, TaskStatus]:
        """Begin what there is room for, wait for a change, and return what changed."""
        self._begin()
        if not self._changes and self._busy:
            for selected, _ in self._selector.select(patience_s):
                self._hear(selected.data)
            self._begin()
        changes, self._changes = self._changes, {}
        return changes

    def cancel(self, tickets: Sequence[Ticket]) -> None:
        """Take them from the queue, and end the workers of those that run."""
        wanted = set(tickets)
        self._changes |= {ticket: TaskStatus(Phase.CANCELLED) for ticket, _ in self._waiting if ticket in wanted}
        self._waiting = deque(entry for entry in self._waiting if entry[0] not in wanted)
        for ticket in wanted & self._busy.keys():
            self._capacity.give_back(ticket)
            self._dismiss(self._busy.pop(ticket))
            self._changes[ticket] = TaskStatus(Phase.CANCELLED)

    def close(self) -> None:
        """End all workers."""
        workers = [*self._idle, *self._busy.values()]
        for worker in workers:
            _signal(worker.process, signal.SIGTERM)
        for worker in workers:
            self._dismiss(worker)
        self._idle, self._busy = [], {}
        self._waiting.clear()
        self._selector.close()

    # ----- what runs

    def _begin(self) -> None:
        """Start what there is room for, in order; a step that finds no room lets some smaller ones pass."""
        skipped: list[tuple[Ticket, TaskRequest]] = []
        while self._waiting and self._capacity.has_processor:
            ticket, order = self._waiting.popleft()
            if self._capacity.fits(order):
                self._passed = self._passed + 1 if skipped else 0
                self._start(ticket, order)
            else:
                self._tell_what_lacks(ticket, order)
                skipped.append((ticket, order))
            if skipped and (self._passed >= _PASSED_MOST or len(skipped) >= _LOOKED_AT):
                break
        self._waiting.extendleft(reversed(skipped))

    def _tell_what_lacks(self, ticket: Ticket, order: TaskRequest) -> None:
        """Say once that a step waits for memory."""
        if ticket not in self._told and (lacking := self._capacity.lacks_memory(order)):
            self._told.add(ticket)
            self._say(f"waits {lacking}: {order.label}")

    def _start(self, ticket: Ticket, order: TaskRequest) -> None:
        worker = self._idle.pop() if self._idle else self._hire()
        worker.ticket = ticket
        self._capacity.take(ticket, order)
        self._busy[ticket] = worker
        self._changes[ticket] = TaskStatus(Phase.RUNNING)
        try:
            worker.tell(f"{order.key} {order.attempt} {order.place}\n")
        except BrokenPipeError:
            self._hear(worker)

    def _hire(self) -> _Process:
        worker = _Process(self._folder)
        self._selector.register(worker.out, selectors.EVENT_READ, worker)
        return worker

    def _hear(self, worker: _Process) -> None:
        """Take note that a worker has done its step, or has died."""
        said = os.read(worker.out, 4096)
        if worker.ticket is not None:
            del self._busy[worker.ticket]
            self._capacity.give_back(worker.ticket)
            self._told.discard(worker.ticket)
            self._changes[worker.ticket] = (
                TaskStatus(Phase.ENDED) if said else TaskStatus(Phase.LOST, self._death(worker))
            )
            worker.ticket = None
        if said:
            self._idle.append(worker)
        else:
            if worker in self._idle:
                self._idle.remove(worker)
            self._dismiss(worker)

    def _death(self, worker: _Process) -> str:
        code = worker.process.wait()
        return f"its worker was killed (signal {-code})" if code < 0 else f"its worker ended with {code}"

    def _dismiss(self, worker: _Process) -> None:
        self._selector.unregister(worker.out)
        worker.end()


class _Process:
    """A worker process, and the step that it has in hand."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            (sys.executable, "-P", "-m", "esorex_bridge.executors.worker", str(folder)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
        assert self.process.stdout is not None
        self.out = self.process.stdout.fileno()
        self.ticket: Ticket | None = None

    def tell(self, line: str) -> None:
        """Give it a step."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode())

    def end(self) -> None:
        """End it, first politely."""
        _signal(self.process, signal.SIGTERM)
        try:
            self.process.wait(_END_AFTER_S)
        except subprocess.TimeoutExpired:
            _signal(self.process, signal.SIGKILL)
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def _signal(process: subprocess.Popen[bytes], kind: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(kind)
