"""The schedule: hands steps to an executor when what they need is made, and hears what came of them.

The one scheduler of all entrances. They differ in the executor, and in the listener that is told what happens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from esorex_bridge.reuse.decide import Execute
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import Record
from esorex_bridge.reuse.resolve import ResolvedPlan
from esorex_bridge.run.executor import (
    EngineBusyError,
    EngineError,
    Executor,
    Phase,
    Shortage,
    TaskRequest,
    TaskStatus,
    Ticket,
)
from esorex_bridge.run.expected import Expectations, MeasuredRun, setup_of
from esorex_bridge.run.graph import Graph, Node, NodeState
from esorex_bridge.run.result import StepResult
from esorex_bridge.store.summaries import RunEnd


class Listener(Protocol):
    """Is told what happens to steps."""

    def submitted(self, node: Node) -> None:
        """Note that an executor has a step."""

    def begun(self, node: Node) -> None:
        """Note that a step is being made."""

    def made(self, node: Node, result: StepResult, record: Record) -> None:
        """Note that a step is made: here, or by another process meanwhile."""

    def failed(self, node: Node, result: StepResult | None) -> None:
        """Note that a step failed or was cancelled; its error is in the node."""

    def blocked(self, node: Node) -> None:
        """Note that a step will not be begun; why is in the node."""

    def lost(self, node: Node, why: str, again: bool) -> None:
        """Note that a worker was lost, and whether the step is tried again."""

    def go_on(self, node: Node) -> bool:
        """Tell whether to go on, after a step failed, with what does not need it."""


class Schedule:
    """Steps on their way through an executor.

    Parameters
    ----------
    executor : Executor
        Starts them.
    results : callable
        Returns what came of a step that ended; None where nothing was written.
    listener : Listener
        Is told what happens.
    retries : int
        How often a step is tried again whose worker was lost. A recipe that failed is not tried again.
    most_threads : int
        Processors that one step gets at most.
    advice : str
        Appended to the reason why steps are not begun after a failure.
    expectations : Expectations or None
        Is asked what steps take, and told what they took.
    """

    def __init__(
        self,
        executor: Executor,
        results: Callable[[StepKey], StepResult | None],
        listener: Listener,
        retries: int = 0,
        most_threads: int = 1,
        advice: str = "",
        expectations: Expectations | None = None,
    ) -> None:
        self._executor = executor
        self._results = results
        self._listener = listener
        self._retries = retries
        self._most_threads = most_threads
        self._advice = advice
        self._expectations = expectations
        self._stop = ""
        self.graph = Graph(executor.keeps_order)

    def add(self, resolved: ResolvedPlan, executes: tuple[Execute, ...]) -> tuple[Node, ...]:
        """Add the steps that a plan must make, and return those that are new; blocked ones are reported."""
        new = self.graph.add(resolved, executes)
        for node in new:
            if node.state is NodeState.BLOCKED:
                self._listener.blocked(node)
            elif self._expectations is not None:
                self._foresee(node, self._expectations)
        return new

    def _foresee(self, node: Node, expectations: Expectations) -> None:
        """Note what a step's needs depend on, and how many processors it kept busy before where nothing else says."""
        node.setup = setup_of(node.step, node.resolved)
        expected = expectations.of(node.setup)
        if expected is not None and node.threads == 1:
            node.threads = expected.processors

    def adopt(self, node: Node, ticket: Ticket, attempt: int) -> None:
        """Watch over a step that was submitted before the bridge was started again."""
        self._executor.adopt(ticket, self._request(node, attempt))
        self.graph.submitted(node, ticket, attempt)

    def submit(self) -> None:
        """Hand in what may be begun; nothing more after a failure, unless the listener says to go on."""
        if self._stop:
            self._report_blocked(self.graph.block_waiting(self._stop))
            return
        for node in self.graph.ready(self._executor.room):
            request = self._request(node, node.attempt + 1)
            try:
                ticket = self._executor.submit(request, self.graph.after(node))
            except EngineBusyError:
                self.graph.put_back(node)
                return
            except EngineError as refusal:
                self.mark_failed(node, NodeState.FAILED, str(refusal))
                continue
            self.graph.submitted(node, ticket, request.attempt)
            self._listener.submitted(node)

    def hear(self, patience_s: float) -> None:
        """Wait so long for a change, and take account of what changed."""
        for ticket, status in self._executor.states(patience_s).items():
            node = self.graph.of(ticket)
            if node is not None:
                self._take_status(node, status)

    def cancel(self) -> None:
        """Give up what was not handed in, and end what is in flight."""
        for node in self.graph.block_waiting("cancelled", NodeState.CANCELLED):
            self._listener.failed(node, None)
        self._executor.cancel([node.ticket for node in self.graph.in_flight if node.ticket is not None])
        for node in self.graph.in_flight:
            self.mark_failed(node, NodeState.CANCELLED, "cancelled")

    def threads(self, node: Node) -> int:
        """Return how many processors a step gets."""
        return max(1, min(node.threads, self._most_threads))

    def mark_failed(self, node: Node, state: NodeState, error: str, result: StepResult | None = None) -> None:
        """Take account of a step that will not be made, and of what is blocked by that."""
        self.graph.fail(node, state, error)
        self._listener.failed(node, result)
        if not self._stop and not self._listener.go_on(node):
            what = "was cancelled" if state is NodeState.CANCELLED else "failed"
            self._stop = f"stopped, because {node.name} {what}{self._advice}"
        self._report_blocked(self.graph.release(node, self._stop))

    def _request(self, node: Node, attempt: int) -> TaskRequest:
        memory, time = (node.shortages.count(shortage) for shortage in (Shortage.MEMORY, Shortage.TIME))
        threads = self.threads(node)
        return TaskRequest(node.key, node.label, attempt, threads, node.memory_mb, memory, time, node.place, node.setup)

    def _take_status(self, node: Node, status: TaskStatus) -> None:
        if status.phase is Phase.RUNNING:
            self.graph.running(node)
            self._listener.begun(node)
        elif status.phase is Phase.UNMET:
            self.graph.again(node)
        elif status.phase is not Phase.WAITING:
            self._end(node, status)

    def _end(self, node: Node, status: TaskStatus) -> None:
        """Take account of an attempt that came to its end; what it made counts, however it ended afterwards."""
        result = self._results(node.key)
        if result is not None and result.attempt == node.attempt:
            self._learn(node, result)
        if result is not None and result.record is not None:
            blocked = self.graph.made(node)
            self._listener.made(node, result, result.record)
            self._report_blocked(blocked)
        elif status.phase is Phase.CANCELLED:
            self.mark_failed(node, NodeState.CANCELLED, status.why or "cancelled")
        elif status.phase is Phase.REFUSED:
            self.mark_failed(node, NodeState.FAILED, status.why)
        elif result is None or result.attempt != node.attempt or status.phase is Phase.LOST:
            self._lose(node, status.why or "its worker ended without a result", status.shortage)
        elif result.killed and result.outcome == "failed":
            self._lose(node, result.error, Shortage.MEMORY, result)
        else:
            state = NodeState.CANCELLED if result.outcome == "cancelled" else NodeState.FAILED
            self.mark_failed(node, state, result.error, result)

    def _learn(self, node: Node, result: StepResult) -> None:
        """Take account of what a run took; what failed counts for memory, as far as it came."""
        if self._expectations is None or node.setup is None:
            return
        if result.outcome == "made" and result.record is not None and result.record.usage is not None:
            self._expectations.learn(node.setup, MeasuredRun(result.record.seconds, "done", result.record.usage))
        elif result.usage is not None:
            ended: RunEnd = "killed" if result.killed else "failed"
            self._expectations.learn(node.setup, MeasuredRun(result.seconds, ended, result.usage))

    def _lose(self, node: Node, why: str, shortage: Shortage | None, result: StepResult | None = None) -> None:
        """Try a step again whose attempt was lost: for want of memory once, with more of it."""
        node.lost += 1
        again = node.lost <= self._retries
        if shortage is not None:
            again = again if shortage is Shortage.TIME else shortage not in node.shortages
            node.shortages.append(shortage)
        self._listener.lost(node, why, again)
        if again:
            self.graph.again(node)
        else:
            tries = f"killed {node.lost} times, though there was more memory at last: {why}" if result else ""
            self.mark_failed(node, NodeState.FAILED, tries or f"{why}; lost {node.lost} times", result)

    def _report_blocked(self, nodes: tuple[Node, ...]) -> None:
        for node in nodes:
            self._listener.blocked(node)


def run_to_end(schedule: Schedule, patience_s: float) -> None:
    """Hand in and hear until nothing more will come of any step."""
    while not schedule.graph.settled:
        schedule.submit()
        if not schedule.graph.settled:
            schedule.hear(patience_s)
