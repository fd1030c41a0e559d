"""The graph of a batch: each distinct step once, what it waits for, and how it stands. Decides only."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from enum import Enum

from msgspec import Struct, field

from esorex_bridge.plan.plan import Step
from esorex_bridge.reuse.decide import Execute
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.resolve import ResolvedPlan
from esorex_bridge.run.executor import Ticket


class NodeState(Enum):
    """How a step of a batch stands."""

    WAITING = "waiting"
    SUBMITTED = "submitted"
    RUNNING = "running"
    MADE = "made"
    FAILED = "failed"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"

    @property
    def settled(self) -> bool:
        """Whether nothing more will come of it."""
        return self not in (NodeState.WAITING, NodeState.SUBMITTED, NodeState.RUNNING)


class Node(Struct):
    """A step that must be made.

    Parameters
    ----------
    key : StepKey
        What it is.
    foreseen : ResolvedPlan
        The plan of the first dataset that needs it.
    step : Step
        As that plan has it.
    state : NodeState
        How it stands.
    attempt : int
        Number of the latest attempt; 0 before the first.
    ticket : Ticket or None
        Of the attempt that goes on.
    error : str
        Why it failed, is blocked or was cancelled.
    lacking : set of StepKey
        Steps that it needs and that are not made yet.
    dependents : list of StepKey
        Steps that need it.
    """

    key: StepKey
    foreseen: ResolvedPlan
    step: Step
    state: NodeState = NodeState.WAITING
    attempt: int = 0
    ticket: Ticket | None = None
    error: str = ""
    lacking: set[StepKey] = field(default_factory=set)
    dependents: list[StepKey] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The step in words."""
        return f"{self.step.name} of {self.foreseen.plan.dataset}"


class Graph:
    """All steps that a batch must make.

    Parameters
    ----------
    keeps_order : bool
        Whether the engine waits by itself for what a step needs, so that all can be handed in at once.
    """

    def __init__(self, keeps_order: bool) -> None:
        self._keeps_order = keeps_order
        self._ready: deque[StepKey] = deque()
        self._tickets: dict[Ticket, StepKey] = {}
        self.nodes: dict[StepKey, Node] = {}
        self.counts: Counter[NodeState] = Counter()

    @property
    def settled(self) -> bool:
        """Whether nothing more will come of any step."""
        return not any(self.counts[state] for state in NodeState if not state.settled)

    def add(self, foreseen: ResolvedPlan, executes: Iterable[Execute]) -> tuple[Node, ...]:
        """Take in the steps that a plan must make, and return those that are new, blocked ones among them."""
        new = []
        for decision in executes:
            key = foreseen.keys[decision.step.name]
            if key in self.nodes:
                continue
            node = self.nodes[key] = Node(key, foreseen, decision.step)
            self.counts[node.state] += 1
            self._tie(node)
            new.append(node)
        return tuple(new)

    def _tie(self, node: Node) -> None:
        if node.step.gaps:
            self._settle(node, NodeState.BLOCKED, "; ".join(node.step.gaps))
            return
        for need in node.foreseen.needs(node.step):
            other = self.nodes.get(need)
            if other is None or other.state is NodeState.MADE:
                continue
            if other.state.settled:
                self._settle(node, NodeState.BLOCKED, _blocked_by(other))
                return
            node.lacking.add(need)
            other.dependents.append(node.key)
        if self._keeps_order or not node.lacking:
            self._ready.append(node.key)

    # ----- what may be handed in

    def ready(self, room: int) -> Iterator[Node]:
        """Yield what may be handed in now; each must then be reported as `submitted`."""
        for _ in range(min(room, len(self._ready))):
            node = self.nodes[self._ready.popleft()]
            if node.state is not NodeState.WAITING:
                continue
            if self._keeps_order and any(self.nodes[key].state is NodeState.WAITING for key in node.lacking):
                self._ready.append(node.key)  # What it needs was lost and stands further back in the queue.
                continue
            yield node

    def after(self, node: Node) -> tuple[Ticket, ...]:
        """Return the tickets of what a step needs and what still goes on."""
        return tuple(ticket for key in sorted(node.lacking) if (ticket := self.nodes[key].ticket) is not None)

    def submitted(self, node: Node, ticket: Ticket, attempt: int) -> None:
        """Take note that an engine has a step."""
        node.ticket, node.attempt = ticket, attempt
        self._tickets[ticket] = node.key
        self._move(node, NodeState.SUBMITTED)

    def of(self, ticket: Ticket) -> Node | None:
        """Return the step that a ticket stands for; None where it was given up."""
        key = self._tickets.get(ticket)
        return self.nodes[key] if key is not None else None

    @property
    def in_flight(self) -> tuple[Node, ...]:
        """What the engine has."""
        return tuple(self.nodes[key] for key in self._tickets.values())

    # ----- what came of it

    def running(self, node: Node) -> None:
        """Take note that a step has begun."""
        self._move(node, NodeState.RUNNING)

    def made(self, node: Node) -> None:
        """Take note that a step is made, and free those that waited for it."""
        self._settle(node, NodeState.MADE, "")
        for key in node.dependents:
            other = self.nodes[key]
            other.lacking.discard(node.key)
            if not other.lacking and other.state is NodeState.WAITING and not self._keeps_order:
                self._ready.append(key)

    def again(self, node: Node) -> None:
        """Take note that an attempt came to nothing and the step is to be handed in anew."""
        self._forget_ticket(node)
        self._move(node, NodeState.WAITING)
        if self._keeps_order or not node.lacking:
            self._ready.append(node.key)

    def mark_failed(self, node: Node, state: NodeState, error: str) -> tuple[Node, ...]:
        """Take note that a step will not be made, and return those that are blocked by that."""
        self._settle(node, state, error)
        blocked: list[Node] = []
        open_nodes = [node]
        while open_nodes:
            cause = open_nodes.pop()
            for key in cause.dependents:
                other = self.nodes[key]
                if not other.state.settled:
                    self._settle(other, NodeState.BLOCKED, _blocked_by(cause))
                    blocked.append(other)
                    open_nodes.append(other)
        return tuple(blocked)

    def block_waiting(self, why: str, state: NodeState = NodeState.BLOCKED) -> tuple[Node, ...]:
        """Give up all that was not handed in, and return it."""
        waiting = tuple(node for node in self.nodes.values() if node.state is NodeState.WAITING)
        for node in waiting:
            self._settle(node, state, why)
        self._ready.clear()
        return waiting

    def _settle(self, node: Node, state: NodeState, error: str) -> None:
        self._forget_ticket(node)
        node.error = error
        self._move(node, state)

    def _forget_ticket(self, node: Node) -> None:
        if node.ticket is not None:
            self._tickets.pop(node.ticket, None)
            node.ticket = None

    def _move(self, node: Node, state: NodeState) -> None:
        self.counts[node.state] -= 1
        self.counts[state] += 1
        node.state = state


def _blocked_by(cause: Node) -> str:
    what = {NodeState.FAILED: "failed", NodeState.CANCELLED: "was cancelled"}.get(cause.state, "was not made")
    return f"{cause.step.name} {what}"
