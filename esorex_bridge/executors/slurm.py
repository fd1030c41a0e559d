"""The Slurm engine: one `sbatch` job a step, which waits by `afterok`, so that a batch outlives the login.

States come from `squeue --states=all`, asked by the numbers of the jobs, which needs no accounting database: an ended
job stays there for some minutes (`MinJobAge`). What came of a step is read from the worker's own result. Slurm never
requeues a job of ours: a step that was lost is submitted anew by the batch, as another attempt.
"""

from __future__ import annotations

import math
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from esorex_bridge.executors.site import Site
from esorex_bridge.executors.slurm_commands import SLEEPING, NoAnswerError, run_slurm
from esorex_bridge.executors.slurm_requests import JobRequest, minutes_in, request_of
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.run.executor import (
    EngineBusyError,
    EngineError,
    Phase,
    Shortage,
    TaskRequest,
    TaskStatus,
    Ticket,
)
from esorex_bridge.run.expected import Expected, Setup

_ENDED = {"COMPLETED", "FAILED"}
_LOST = {
    "TIMEOUT": "its time was up",
    "NODE_FAIL": "its node failed",
    "OUT_OF_MEMORY": "it was out of memory",
    "PREEMPTED": "it was preempted",
    "BOOT_FAIL": "its node did not start",
    "DEADLINE": "its deadline was missed",
    "REVOKED": "it was revoked",
}
_SHORTAGES = {"TIMEOUT": Shortage.TIME, "OUT_OF_MEMORY": Shortage.MEMORY}
_KILLED_FOR_MEMORY = ("oom-kill event", "xceeded memory limit", "xceeded job memory limit")
"""What Slurm writes into the output of a job that it killed; where it samples memory, it calls that FAILED."""

_NEVER = frozenset(
    (
        "AccountNotAllowed",
        "BadConstraints",
        "InvalidAccount",
        "InvalidQOS",
        "MaxMemPerLimit",
        "PartitionNodeLimit",
        "PartitionTimeLimit",
        "QOSNotAllowed",
    )
)
"""Reasons for which a job waits until somebody changes the job or the cluster."""

_PER_JOB = "PerJob"
"""In the name of each limit that a single job goes beyond, which does not resolve either."""

_HELD = frozenset(("JobHeldUser", "JobHeldAdmin"))
_ORDINARY = frozenset(("", "None", "Priority", "Resources", "Dependency", "BeginTime", "Prolog", *_HELD))
"""Reasons to wait that resolve by themselves, or are told as they are seen; any other is told."""

_LOOKS = 5
"""In so many looks at the queue a reason must show: a cluster that comes up shows some for a moment."""

_QUOTAS = ("MaxSubmit", "Resource temporarily unavailable", "unable to accept job", SLEEPING)
"""What `sbatch` says where too many jobs are in the queue: a matter of time."""

_POLICY = "violates accounting/QOS policy"
"""What it says of that and of jobs that are too large: taken for the one while others of the batch are in the queue."""

_TAIL_BYTES = 4096
_NAMED_A_TIME = 200
_UNSEEN_S = 30.0
"""A job that `squeue` does not list for so long, while it answers, is gone."""

_PAUSE_S = 5.0
"""After a refusal for a quota nothing is handed in for so long."""


class _Job(Struct):
    """A job that is watched: what it is for, how it stood last, when it was seen last, and in how many looks odd."""

    label: str
    seen: float
    phase: Phase = Phase.WAITING
    odd: int = 0
    held: bool = False


class SlurmExecutor:
    """Jobs of Slurm.

    Parameters
    ----------
    folder : Path
        The batch's, on a file system that the nodes share.
    site : Site
        How the cluster is asked.
    say : callable
        Is told what a user should know meanwhile.
    expect : callable
        Returns what a step is expected to take; None where nothing is known.

    Raises
    ------
    EngineError
        If there is no Slurm, or its controller does not answer.
    """

    keeps_order = True

    def __init__(
        self,
        folder: Path,
        site: Site,
        say: Callable[[str], None],
        expect: Callable[[Setup], Expected | None] = lambda _: None,
    ) -> None:
        self._expect = expect
        self._first_requests: dict[StepKey, JobRequest] = {}
        self._shortest_minutes: float = math.inf
        self._folder = folder
        self._site = site
        self._say = say
        self._jobs: dict[Ticket, _Job] = {}
        self._asked = 0.0
        self._full_until = 0.0
        self._silent = False
        self._told: set[str] = set()
        (folder / "slurm").mkdir(parents=True, exist_ok=True)
        self._greet(tries=3)

    @property
    def room(self) -> int:
        """How many more jobs may stand in the queue."""
        if self._silent or time.monotonic() < self._full_until:
            return 0
        return max(0, self._site.slurm.most_queued - len(self._jobs))

    # ----- handing in

    def submit(self, order: TaskRequest, after: Sequence[Ticket] = ()) -> Ticket:
        """Hand a job in; errors as `Executor.submit`."""
        try:
            said = self._hand_in(order, after)
        except NoAnswerError as error:
            self._note_silence(error)
            raise EngineBusyError(str(error)) from None
        except EngineError as error:
            if not is_quota(str(error), others=bool(self._jobs)):
                raise
            self._note_quota(error)
            raise EngineBusyError(str(error)) from None
        ticket = Ticket(said.partition(";")[0].strip())
        self._jobs[ticket] = _Job(order.label, time.monotonic())
        return ticket

    def _hand_in(self, order: TaskRequest, after: Sequence[Ticket]) -> str:
        """Hand a job in and return what `sbatch` says; where it is refused, without what is only expected of it."""
        first = self._first_requests.get(order.key)
        expected = self._expect(order.setup) if order.setup is not None else None
        for known in (expected, None):
            request = request_of(order, self._site.slurm, known, first, self._shortest_minutes)
            try:
                said = run_slurm(self._command(order, request, after), self._script(order), tries=1)
                break
            except EngineError as error:
                refused = not isinstance(error, NoAnswerError) and not is_quota(str(error), others=bool(self._jobs))
                if known is None or not refused:
                    raise
        self._first_requests.setdefault(order.key, request)
        return said

    def _command(self, order: TaskRequest, request: JobRequest, after: Sequence[Ticket]) -> tuple[str, ...]:
        out = str(self._folder / "slurm").replace("%", "%%")
        return (
            "sbatch",
            "--parsable",
            "--no-requeue",
            "--kill-on-invalid-dep=yes",
            f"--job-name=eb-{self._folder.name}",
            f"--comment={order.label}",
            f"--output={out}/%j.out",
            f"--chdir={self._folder}",
            f"--cpus-per-task={order.threads}",
            *((f"--mem={request.memory_mb}M",) if request.memory_mb else ()),
            *((f"--time={request.minutes}",) if request.minutes else ()),
            *((f"--dependency=afterok:{':'.join(after)}",) if after else ()),
            *self._site.slurm.options,
        )

    def _script(self, order: TaskRequest) -> str:
        words = (sys.executable, "-P", "-m", "esorex_bridge.executors.worker", str(self._folder), order.key)
        line = shlex.join((*words, str(order.attempt), str(order.place)))
        lines = ("#!/bin/sh", *self._site.environment, f"exec {line}")
        return "\n".join(lines) + "\n"

    def adopt(self, ticket: Ticket, order: TaskRequest) -> None:
        """Watch over a job that was handed in earlier."""
        self._jobs[ticket] = _Job(order.label, 0.0)

    # ----- looking at the queue

    def states(self, patience_s: float) -> Mapping[Ticket, TaskStatus]:
        """Look at the queue, not more often than the site allows, and return what changed.

        A controller that does not answer ends nothing: its jobs go on, and it is asked again.
        """
        rest = self._asked + min(self._site.slurm.poll_s, max(patience_s, 0.05)) - time.monotonic()
        if rest > 0:
            time.sleep(rest)
        self._asked = time.monotonic()
        try:
            listed = dict(self._queue(tuple(self._jobs)))
            if self._silent:
                self._greet(tries=1)
            return self._changes(listed)
        except NoAnswerError as error:
            self._note_silence(error)
            return {}

    def _queue(self, tickets: Sequence[Ticket]) -> Iterator[tuple[Ticket, tuple[str, str]]]:
        """Yield state and reason of the jobs that Slurm still knows."""
        for start in range(0, len(tickets), _NAMED_A_TIME):
            numbers = ",".join(tickets[start : start + _NAMED_A_TIME])
            command = ("squeue", "--noheader", "--states=all", f"--jobs={numbers}", "--format=%i|%T|%r")
            try:
                text = run_slurm(command, tries=1)
            except EngineError as error:
                if "Invalid job id" not in str(error):  # which it says of a single job that it has forgotten
                    raise
                continue
            for line in text.splitlines():
                number, _, rest = line.strip().partition("|")
                state, _, reason = rest.partition("|")
                yield Ticket(number), (state, reason)

    def _changes(self, listed: Mapping[Ticket, tuple[str, str]]) -> dict[Ticket, TaskStatus]:
        changes: dict[Ticket, TaskStatus] = {}
        for ticket, job in self._jobs.items():
            standing = self._standing(ticket, job, listed.get(ticket))
            if standing is not None and standing.phase is not job.phase:
                changes[ticket] = standing
        self.cancel([ticket for ticket, standing in changes.items() if standing.phase is Phase.REFUSED])
        for ticket, standing in changes.items():
            self._jobs[ticket].phase = standing.phase
            if standing.phase not in (Phase.WAITING, Phase.RUNNING):
                del self._jobs[ticket]
                self._remove_empty_output(ticket)
        return changes

    def _standing(self, ticket: Ticket, job: _Job, seen: tuple[str, str] | None) -> TaskStatus | None:
        """Return how a job stands; None where that is not known."""
        if seen is None:  # It ended long ago, and its result tells the rest.
            return TaskStatus(Phase.ENDED) if self._asked - job.seen > _UNSEEN_S else None
        job.seen = self._asked
        state, reason = seen
        job.odd = job.odd + 1 if state == "PENDING" and reason not in _ORDINARY else 0
        if job.odd >= _LOOKS and is_stuck(reason):
            return TaskStatus(Phase.REFUSED, _never(reason))
        if job.odd >= _LOOKS and reason not in self._told:
            self._told.add(reason)
            self._say(f"waiting: {job.label}, and perhaps others, until Slurm's reason {reason} is gone")
        if state in ("FAILED", "CANCELLED") and self._was_killed_for_memory(ticket):
            state = "OUT_OF_MEMORY"
        if reason in _HELD and not job.held:
            self._say(f"held: {job.label}: 'scontrol release {ticket}' lets it begin (Slurm: {reason})")
        job.held = reason in _HELD
        return standing_of(state, reason)

    def _was_killed_for_memory(self, ticket: Ticket) -> bool:
        with suppress(OSError), self._output(ticket).open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL_BYTES))
            tail = stream.read().decode(errors="replace")
            return any(words in tail for words in _KILLED_FOR_MEMORY)
        return False

    def _remove_empty_output(self, ticket: Ticket) -> None:
        """Let the folder not fill with a file for each job that had nothing to say."""
        with suppress(OSError):
            if not self._output(ticket).stat().st_size:
                self._output(ticket).unlink()

    def _output(self, ticket: Ticket) -> Path:
        return self._folder / "slurm" / f"{ticket}.out"

    # ----- a controller that does not answer, or takes no more

    def _greet(self, tries: int) -> None:
        """Ask the controller for as little as can be, and say so where it is back; errors as `run_slurm`."""
        told = run_slurm(("sinfo", "--noheader", "--format=%l"), tries=tries)
        self._shortest_minutes = min(map(minutes_in, told.split()), default=math.inf)
        if self._silent:
            self._say("Slurm's controller answers again")
            now = time.monotonic()
            for job in self._jobs.values():  # Nobody could have seen them meanwhile.
                job.seen = max(job.seen, now)
        self._silent = False

    def _note_silence(self, error: NoAnswerError) -> None:
        if not self._silent:
            self._say(
                f"Slurm's controller does not answer ({error}): jobs that run go on, and what they make is kept; "
                "nothing new begins; it is asked until it answers"
            )
        self._silent = True

    def _note_quota(self, error: EngineError) -> None:
        if not self._full_until:
            self._say(f"Slurm takes no more jobs at present ({error}): the rest is handed in as others end")
        self._full_until = time.monotonic() + _PAUSE_S

    # ----- ending

    def cancel(self, tickets: Sequence[Ticket]) -> None:
        """Cancel jobs, with all that they started."""
        for start in range(0, len(tickets), _NAMED_A_TIME):
            run_slurm(("scancel", "--quiet", *tickets[start : start + _NAMED_A_TIME]))

    def close(self) -> None:
        """Leave the jobs alone: they go on."""


def standing_of(state: str, reason: str) -> TaskStatus:
    """Return what a job's state and reason, as `squeue` words them, mean."""
    if state == "FAILED" and is_stuck(reason):
        return TaskStatus(Phase.REFUSED, _never(reason))
    if state in _ENDED:
        return TaskStatus(Phase.ENDED)
    if state in _LOST:
        return TaskStatus(Phase.LOST, f"{_LOST[state]} (Slurm: {state})", _SHORTAGES.get(state))
    if state == "CANCELLED":  # A job that somebody cancels while it waits keeps the reason for which it waited.
        unmet = reason == "DependencyNeverSatisfied"
        return TaskStatus(Phase.UNMET if unmet else Phase.CANCELLED, reason if unmet else "cancelled in Slurm")
    return TaskStatus(Phase.RUNNING if state in ("RUNNING", "COMPLETING") else Phase.WAITING)


def is_quota(said: str, others: bool) -> bool:
    """Tell whether a refusal will be none later; `others` says whether jobs of the batch are in the queue."""
    return any(quota in said for quota in _QUOTAS) or (others and _POLICY in said and _PER_JOB not in said)


def is_stuck(reason: str) -> bool:
    """Tell whether a job that waits for this reason waits for ever."""
    return reason in _NEVER or _PER_JOB in reason


def _never(reason: str) -> str:
    return f"Slurm never begins it (reason {reason}): mend the site file, or ask who runs the cluster"
