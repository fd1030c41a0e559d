"""What starts steps: takes a step to be made, says how it stands, cancels it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, NewType, Protocol

from msgspec import Struct

from esorex_bridge.errors import UserError
from esorex_bridge.reuse.key import StepKey

if TYPE_CHECKING:
    from esorex_bridge.run.expected import Setup

Ticket = NewType("Ticket", str)
"""An engine's name for something that was submitted to it: a Slurm job number, for example."""


class EngineError(UserError):
    """An engine refuses, or is not there."""


class EngineBusyError(EngineError):
    """An engine takes nothing more at present: a quota is used up, or it does not answer."""


class Phase(Enum):
    """How something that was submitted stands."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"
    CANCELLED = "cancelled"
    UNMET = "unmet"
    REFUSED = "refused"


class Shortage(Enum):
    """What an attempt was lost for, where more of it would help."""

    MEMORY = "memory"
    TIME = "time"


class TaskStatus(Struct, frozen=True):
    """A phase, with the reason where it needs one.

    `ENDED`: the worker came to its end, and what came of it lies in the batch's folder. `LOST`: the worker died, its
    node vanished, its time was up. `CANCELLED`: somebody cancelled it. `UNMET`: the engine dropped it, because
    something that it was to wait for did not end well. `REFUSED`: the engine has it and will never begin it.
    """

    phase: Phase
    why: str = ""
    shortage: Shortage | None = None


class TaskRequest(Struct, frozen=True):
    """What an engine has to know of a step.

    Parameters
    ----------
    key : StepKey
        The step; the rest of it lies in the batch's folder.
    label : str
        For people: recipe and dataset.
    attempt : int
        Counted from 1.
    threads : int
        Processors that it keeps busy.
    memory_mb : int or None
        Memory that it needs at most; None where that is not known.
    out_of_memory, out_of_time : int
        How many attempts were lost for want of it, so that this one gets more.
    place : int or None
        Where the task lies in the log of the batch's tasks; None where it is written nowhere.
    setup : Setup or None
        What its needs depend on, to ask for what is expected of it.
    """

    key: StepKey
    label: str
    attempt: int = 1
    threads: int = 1
    memory_mb: int | None = None
    out_of_memory: int = 0
    out_of_time: int = 0
    place: int | None = None
    setup: Setup | None = None


class Executor(Protocol):
    """Starts steps, and says how they stand: in this process, in workers, on a cluster.

    A step is never run again by an executor of its own accord: that is the schedule's business.
    """

    @property
    def keeps_order(self) -> bool:
        """Whether it waits by itself for what a step comes after, and goes on when the bridge has ended."""

    @property
    def room(self) -> int:
        """How many more steps it takes at present."""

    def submit(self, order: TaskRequest, after: Sequence[Ticket] = ()) -> Ticket:
        """Take a step, to be begun when the tickets of `after` ended well.

        Raises
        ------
        EngineError
            If it refuses this step.
        EngineBusyError
            If it takes none at present.
        """

    def adopt(self, ticket: Ticket, order: TaskRequest) -> None:
        """Watch over something that was submitted before the bridge was started again."""

    def states(self, patience_s: float) -> Mapping[Ticket, TaskStatus]:
        """Return what changed since the last call, waiting so long for a change; an end is reported once."""

    def cancel(self, tickets: Sequence[Ticket]) -> None:
        """End them, with all that they started; they are reported as cancelled."""

    def close(self) -> None:
        """End all that cannot go on without the bridge."""
