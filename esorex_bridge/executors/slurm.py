"""The Slurm engine: one `sbatch` job a step, which waits by `afterok`, so that a batch outlives the login.

States come from `squeue --states=all`, which needs no accounting database: an ended job stays there for some minutes
(`MinJobAge`). What came of a step is read from the worker's own result. Slurm never requeues a job of ours: a step that
was lost is submitted anew by the batch, as another attempt.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from esorex_bridge.executors.site import Site
from esorex_bridge.run.executor import EngineError, Phase, TaskRequest, TaskStatus, Ticket

_COMMAND_S = 60.0
_TRIES = 3
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
_CANCELLED_A_TIME = 200
_UNSEEN_S = 30.0
"""A job that `squeue` does not list after so long is gone."""


class SlurmExecutor:
    """Jobs of Slurm.

    Parameters
    ----------
    folder : Path
        The batch's, on a file system that the nodes share.
    site : Site
        How the cluster is asked.

    Raises
    ------
    EngineError
        There is no Slurm.
    """

    keeps_order = True

    def __init__(self, folder: Path, site: Site) -> None:
        self._folder = folder
        self._site = site
        self._watched: dict[Ticket, Phase] = {}
        self._seen: dict[Ticket, float] = {}
        self._asked = 0.0
        self._name = f"eb-{folder.name}"
        (folder / "slurm").mkdir(parents=True, exist_ok=True)
        _run(("sinfo", "--noheader", "--format=%P"))

    @property
    def room(self) -> int:
        """How many more jobs may stand in the queue."""
        return max(0, self._site.slurm.most_queued - len(self._watched))

    def submit(self, order: TaskRequest, after: Sequence[Ticket] = ()) -> Ticket:
        """Hand a job in.

        Raises
        ------
        EngineError
            Slurm refuses it.
        """
        ticket = Ticket(_run(self._command(order, after), self._script(order)).partition(";")[0].strip())
        self._watched[ticket] = Phase.WAITING
        self._seen[ticket] = time.monotonic()
        return ticket

    def _command(self, order: TaskRequest, after: Sequence[Ticket]) -> tuple[str, ...]:
        slurm = self._site.slurm
        memory = order.memory_mb or slurm.memory_mb
        # What was lost for want of time or memory gets more of both.
        sizes = (
            *((f"--mem={memory * order.attempt}M",) if memory else ()),
            *((f"--time={slurm.minutes * order.attempt}",) if slurm.minutes else ()),
        )
        return (
            "sbatch",
            "--parsable",
            "--no-requeue",
            "--kill-on-invalid-dep=yes",
            f"--job-name={self._name}",
            f"--comment={order.label}",
            f"--output={self._folder / 'slurm' / '%j.out'}",
            f"--chdir={self._folder}",
            f"--cpus-per-task={order.threads}",
            *sizes,
            *((f"--dependency=afterok:{':'.join(after)}",) if after else ()),
            *slurm.options,
        )

    def _script(self, order: TaskRequest) -> str:
        words = (sys.executable, "-P", "-m", "esorex_bridge.executors.worker", str(self._folder), order.key)
        lines = ("#!/bin/sh", *self._site.environment, f"exec {shlex.join((*words, str(order.attempt)))}")
        return "\n".join(lines) + "\n"

    def adopt(self, ticket: Ticket, order: TaskRequest) -> None:
        """Watch over a job that was handed in earlier."""
        self._watched[ticket] = Phase.WAITING
        self._seen[ticket] = 0.0

    def states(self, patience_s: float) -> Mapping[Ticket, TaskStatus]:
        """Look at the queue, not more often than the site allows, and return what changed."""
        if not self._watched:
            return {}
        rest = self._asked + min(self._site.slurm.poll_s, max(patience_s, 0.05)) - time.monotonic()
        if rest > 0:
            time.sleep(rest)
        self._asked = time.monotonic()
        listed = dict(self._queue())
        changes: dict[Ticket, TaskStatus] = {}
        for ticket, phase in tuple(self._watched.items()):
            standing = listed.get(ticket) or self._unseen(ticket)
            if ticket in listed:
                self._seen[ticket] = self._asked
            if standing is not None and standing.phase is not phase:
                changes[ticket] = standing
                self._watched[ticket] = standing.phase
                if standing.phase not in (Phase.WAITING, Phase.RUNNING):
                    del self._watched[ticket], self._seen[ticket]
        return changes

    def _queue(self) -> Iterator[tuple[Ticket, TaskStatus]]:
        text = _run(("squeue", "--noheader", "--states=all", f"--name={self._name}", "--format=%i|%T|%r"))
        for line in text.splitlines():
            number, _, rest = line.strip().partition("|")
            state, _, reason = rest.partition("|")
            yield Ticket(number), standing_of(state, reason)

    def _unseen(self, ticket: Ticket) -> TaskStatus | None:
        """Say how a job stands that is not in the queue: it ended long ago, and its result tells the rest."""
        return TaskStatus(Phase.ENDED) if self._asked - self._seen[ticket] > _UNSEEN_S else None

    def cancel(self, tickets: Sequence[Ticket]) -> None:
        """Cancel jobs, with all that they started."""
        for start in range(0, len(tickets), _CANCELLED_A_TIME):
            _run(("scancel", "--quiet", *tickets[start : start + _CANCELLED_A_TIME]))

    def close(self) -> None:
        """Leave the jobs alone: they go on."""


def standing_of(state: str, reason: str) -> TaskStatus:
    """Return what a job's state and reason, as `squeue` words them, mean."""
    if state in _ENDED:
        return TaskStatus(Phase.ENDED)
    if state in _LOST:
        return TaskStatus(Phase.LOST, f"{_LOST[state]} (Slurm: {state})")
    if state == "CANCELLED":
        unmet = "Dependency" in reason
        return TaskStatus(Phase.UNMET if unmet else Phase.CANCELLED, reason if unmet else "cancelled in Slurm")
    return TaskStatus(Phase.RUNNING if state in ("RUNNING", "COMPLETING") else Phase.WAITING)


def _run(command: Sequence[str], text: str = "") -> str:
    """Return what a command of Slurm prints; one that fails is tried again, because the controller may be busy."""
    for attempt in range(1, _TRIES + 1):
        try:
            done = subprocess.run(
                command, input=text, capture_output=True, text=True, timeout=_COMMAND_S, check=False, env=_environment()
            )
        except FileNotFoundError:
            raise EngineError(
                f"'{command[0]}' is not on the search path: this machine has no Slurm, or its module is not loaded"
            ) from None
        except subprocess.TimeoutExpired:
            said = f"no answer within {_COMMAND_S:.0f} s"
        else:
            if done.returncode == 0:
                return done.stdout
            said = done.stderr.strip() or f"exit code {done.returncode}"
            if "Unable to contact" not in said and "timed out" not in said:
                break
        if attempt < _TRIES:
            time.sleep(attempt)
    raise EngineError(f"{command[0]}: {said}")


def _environment() -> dict[str, str]:
    """Return our variables as Slurm may see them.

    Without those by which a user makes its commands behave in another way, and without the login to the archive, which
    `sbatch` would put into the spool of the cluster.
    """
    kept_back = ("SBATCH_", "SQUEUE_", "SCANCEL_", "ESO_")
    return {name: value for name, value in os.environ.items() if not name.startswith(kept_back)}
