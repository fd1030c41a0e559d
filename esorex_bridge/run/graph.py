"""The graph of a run: each distinct step once, what it waits for, and how it stands. Decides only."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct, field

from esorex_bridge.plan.plan import Step, StepName
from esorex_bridge.reuse.decide import Execute
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.resolve import ResolvedPlan
from esorex_bridge.run.executor import Shortage, Ticket

if TYPE_CHECKING:
    from esorex_bridge.run.expected import Setup


class NodeState(Enum):
    """How a step stands."""

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


class Work(Struct, frozen=True):
    """What it takes to make a step: the plan of the first dataset that needs it, and the decision about it there."""

    resolved: ResolvedPlan
    decision: Execute


class Node(Struct):
    """A step that must be made.

    Parameters
    ----------
    key : StepKey
        What it is.
    name : StepName
        Of the step, in the plan of the first dataset that needs it.
    dataset : str
        That dataset.
    needs : tuple of (StepName, StepKey)
        Steps whose products it takes.
    gaps : tuple of str
        What it lacks.
    threads : int
        Processors that it keeps busy.
    memory_mb : int or None
        Memory that it needs at most.
    work : Work or None
        What it takes to make it; None where that was handed on.
    place : int or None
        Where its task lies in the log of tasks; None where it is written nowhere.
    setup : Setup or None
        What its needs depend on; None where it will not be made.
    state : NodeState
        How it stands.
    attempt : int
        Number of the latest attempt; 0 before the first. An attempt may end without having begun.
    lost : int
        Attempts whose worker was lost.
    shortages : list of Shortage
        What attempts were lost for.
    ticket : Ticket or None
        Of the attempt in flight.
    error : str
        Why it failed, is blocked or was cancelled.
    lacking : set of StepKey
        Steps that it needs and that have not ended yet.
    unmade : list of str
        Names of steps that it needs and that will not be made.
    dependents : list of StepKey
        Steps that need it.
    """

    key: StepKey
    name: StepName
    dataset: str
    needs: tuple[tuple[StepName, StepKey], ...] = ()
    gaps: tuple[str, ...] = ()
    threads: int = 1
    memory_mb: int | None = None
    work: Work | None = None
    place: int | None = None
    setup: Setup | None = None
    state: NodeState = NodeState.WAITING
    attempt: int = 0
    lost: int = 0
    shortages: list[Shortage] = field(default_factory=list)
    ticket: Ticket | None = None
    error: str = ""
    lacking: set[StepKey] = field(default_factory=set)
    unmade: list[str] = field(default_factory=list)
    dependents: list[StepKey] = field(default_factory=list)

    @property
    def resolved(self) -> ResolvedPlan:
        """The plan of the first dataset that needs it, where that was not handed on."""
        assert self.work is not None
        return self.work.resolved

    @property
    def decision(self) -> Execute:
        """The decision about it there, where that was not handed on."""
        assert self.work is not None
        return self.work.decision

    @property
    def step(self) -> Step:
        """The step, where that was not handed on."""
        return self.decision.step

    @property
    def label(self) -> str:
        """The step in words."""
        return f"{self.name} of {self.dataset}"

    @property
    def obstacles(self) -> str:
        """Why it cannot be started, as far as that is known; empty where nothing is in its way."""
        return "; ".join((*self.gaps, *(f"{name} was not made" for name in self.unmade)))


class Graph:
    """All steps that a run must make.

    Parameters
    ----------
    keeps_order : bool
        Whether the executor waits by itself for what a step needs, so that all can be handed in at once.
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

    def add(self, resolved: ResolvedPlan, executes: Iterable[Execute]) -> tuple[Node, ...]:
        """Add the steps that a plan must make, and return those that are new, blocked ones among them."""
        new = []
        for decision in executes:
            key = resolved.keys[decision.step.name]
            if key in self.nodes:
                continue
            node = self.nodes[key] = _node(key, resolved, decision)
            self.counts[node.state] += 1
            self._tie(node)
            new.append(node)
        return tuple(new)

    def _tie(self, node: Node) -> None:
        for name, key in node.needs:
            other = self.nodes.get(key)
            if other is None or other.state is NodeState.MADE:
                continue
            if other.state.settled:
                node.unmade.append(name)
            else:
                node.lacking.add(other.key)
                other.dependents.append(node.key)
        if self._is_hopeless(node):
            self._settle(node, NodeState.BLOCKED, node.obstacles)
        elif self._keeps_order or not node.lacking:
            self._ready.append(node.key)

    def _is_hopeless(self, node: Node) -> bool:
        """Tell whether a step will not be made; all that it needs has ended then, so that every obstacle is named."""
        return bool(node.obstacles) and (self._keeps_order or not node.lacking)

    # ----- what may be handed in

    def ready(self, room: int) -> Iterator[Node]:
        """Yield what may be handed in now; each must then be reported as `submitted`, `fail`ed or `put_back`."""
        for _ in range(min(room, len(self._ready))):
            if not self._ready:  # A refusal of one that was handed out stopped the rest.
                return
            node = self.nodes[self._ready.popleft()]
            if node.state is not NodeState.WAITING:
                continue
            if self._keeps_order and any(self.nodes[key].state is NodeState.WAITING for key in node.lacking):
                self._ready.append(node.key)  # What it needs was lost and stands further back in the queue.
                continue
            yield node

    def put_back(self, node: Node) -> None:
        """Note that an executor takes a step later, and nothing that comes after it before that."""
        self._ready.appendleft(node.key)

    def after(self, node: Node) -> tuple[Ticket, ...]:
        """Return the tickets of what a step needs and what is still in flight."""
        return tuple(ticket for key in sorted(node.lacking) if (ticket := self.nodes[key].ticket) is not None)

    def submitted(self, node: Node, ticket: Ticket, attempt: int) -> None:
        """Note that an executor has a step."""
        node.ticket, node.attempt = ticket, attempt
        self._tickets[ticket] = node.key
        self._move(node, NodeState.SUBMITTED)

    def of(self, ticket: Ticket) -> Node | None:
        """Return the step that a ticket stands for; None where it was given up."""
        key = self._tickets.get(ticket)
        return self.nodes[key] if key is not None else None

    @property
    def in_flight(self) -> tuple[Node, ...]:
        """What the executor has."""
        return tuple(self.nodes[key] for key in self._tickets.values())

    # ----- what came of it

    def running(self, node: Node) -> None:
        """Note that a step has begun."""
        self._move(node, NodeState.RUNNING)

    def made(self, node: Node) -> tuple[Node, ...]:
        """Note that a step is made, free those that waited for it, and return those that are blocked all the same."""
        self._settle(node, NodeState.MADE, "")
        return tuple(self._release(node))

    def again(self, node: Node) -> None:
        """Note that an attempt came to nothing and the step is to be handed in anew."""
        self._forget_ticket(node)
        self._move(node, NodeState.WAITING)
        if self._keeps_order or not node.lacking:
            self._ready.append(node.key)

    def fail(self, node: Node, state: NodeState, error: str) -> None:
        """Note that a step will not be made; `release` says what is blocked by that."""
        self._settle(node, state, error)

    def release(self, node: Node, stop: str = "") -> tuple[Node, ...]:
        """Return the steps that are blocked by one that will not be made.

        Where `stop` says why, nothing more is begun: all that was not handed in is given up for that reason.
        """
        stopped = self.block_waiting(stop) if stop else ()
        return (*stopped, *self._release(node))

    def block_waiting(self, why: str, state: NodeState = NodeState.BLOCKED) -> tuple[Node, ...]:
        """Give up all that was not handed in, and return it."""
        waiting = tuple(node for node in self.nodes.values() if node.state is NodeState.WAITING)
        for node in waiting:
            self._settle(node, state, "; ".join((*node.gaps, why)))
        self._ready.clear()
        return waiting

    def _release(self, ended: Node) -> Iterator[Node]:
        """Let go what waited for a step that ended; yield what is blocked by that, and what that blocks in turn."""
        open_nodes = [ended]
        while open_nodes:
            cause = open_nodes.pop()
            for key in cause.dependents:
                other = self.nodes[key]
                if other.state.settled or cause.key not in other.lacking:
                    continue
                other.lacking.discard(cause.key)
                if cause.state is not NodeState.MADE:
                    other.unmade.append(_name_in(other, cause.key))
                if self._is_hopeless(other):
                    self._settle(other, NodeState.BLOCKED, other.obstacles)
                    open_nodes.append(other)
                    yield other
                elif not other.lacking and other.state is NodeState.WAITING and not self._keeps_order:
                    self._ready.append(key)

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


def _name_in(node: Node, key: StepKey) -> str:
    """Return the name that a step has in the plan of another one that needs it."""
    return next(name for name, needed in node.needs if needed == key)


def _node(key: StepKey, resolved: ResolvedPlan, decision: Execute) -> Node:
    step = decision.step
    needs = tuple((name, resolved.keys[name]) for name in step.needs)
    dataset = resolved.plan.dataset
    return Node(key, step.name, dataset, needs, step.gaps, step.threads, step.memory_mb, Work(resolved, decision))
