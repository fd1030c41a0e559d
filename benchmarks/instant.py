"""An executor whose steps are made at once, and a watcher that says nothing: what is measured is the driver's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from esorex_bridge.executors.batch_folder import BatchFolder
from esorex_bridge.run.executor import Phase, TaskRequest, TaskStatus, Ticket
from esorex_bridge.run.graph import Graph
from esorex_bridge.run.result import StepResult


class InstantExecutor:
    """Makes each step when it is handed in, and writes results as workers do.

    Parameters
    ----------
    folder : BatchFolder
        Of the batch.
    make : callable
        Makes a step.
    """

    keeps_order = False
    room = 1_000_000

    def __init__(self, folder: BatchFolder, make: Callable[[TaskRequest], StepResult]) -> None:
        self._folder = folder
        self._make = make
        self._changes: dict[Ticket, TaskStatus] = {}

    def submit(self, order: TaskRequest, after: Sequence[Ticket] = ()) -> Ticket:
        """Make it."""
        self._folder.write_result(self._make(order))
        ticket = Ticket(order.key)
        self._changes[ticket] = TaskStatus(Phase.ENDED)
        return ticket

    def adopt(self, ticket: Ticket, order: TaskRequest) -> None:
        """Know nothing of it."""

    def states(self, patience_s: float) -> Mapping[Ticket, TaskStatus]:
        """Tell that all ended."""
        changes, self._changes = self._changes, {}
        return changes

    def cancel(self, tickets: Sequence[Ticket]) -> None:
        """Have nothing to cancel."""

    def close(self) -> None:
        """Have nothing to end."""


class SilentWatcher:
    """Watches and says nothing."""

    def told(self, line: str) -> None:
        """Pass over it."""

    def begun(self, what: str, expected_seconds: float | None) -> None:
        """Pass over it."""

    def looked(self, graph: Graph, datasets: int, fetching: object) -> None:
        """Pass over it."""
