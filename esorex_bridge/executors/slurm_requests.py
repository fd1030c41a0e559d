"""What Slurm is asked to give to a step: what somebody named, else what is expected, else what the cluster gives."""

from __future__ import annotations

import math
import sys

from msgspec import Struct

from esorex_bridge.executors.site import SlurmSite
from esorex_bridge.run.executor import EngineError, TaskRequest
from esorex_bridge.run.expected import Expected

WORKER_MB = 150
"""What the worker takes beside its recipe."""

_TIME_MARGIN = 3
_LEAST_MINUTES = 5
"""A node may be slower than the machine on which was measured, and busy; a job that is cut off is worth nothing."""


class JobRequest(Struct, frozen=True):
    """What is asked for; None for what the cluster gives by itself."""

    memory_mb: int | None = None
    minutes: int | None = None


def request_of(
    order: TaskRequest, site: SlurmSite, expected: Expected | None, first: JobRequest | None, shortest_minutes: float
) -> JobRequest:
    """Return what is asked for a step.

    Parameters
    ----------
    order : TaskRequest
        The step, with how often what it got was not enough.
    site : SlurmSite
        What the user says.
    expected : Expected or None
        What the step is expected to take.
    first : JobRequest or None
        What was asked for the first attempt.
    shortest_minutes : float
        The shortest time limit of the partitions. What is expected to take longer is left to the cluster, where a job
        that asks for more than its partition allows would wait for ever.

    Raises
    ------
    EngineError
        If it needs more than before, and cannot get it.
    """
    first = first or JobRequest()
    memory = order.memory_mb or site.memory_mb
    learnt = None
    if expected is not None and memory is None and not any(option.startswith("--mem") for option in site.options):
        learnt = min(expected.memory_mb + WORKER_MB, site.most_memory_mb or sys.maxsize)
    if order.out_of_memory:
        # What was killed is expected to take twice as much as was seen of it.
        size = memory or first.memory_mb or (-(-learnt // 2) if learnt else None)
        given = grow(size, order.out_of_memory, site.most_memory_mb, "memory_mb")
        memory = max(filter(None, (given, learnt)), default=None)
    minutes = site.minutes or first.minutes or _minutes(expected, site, shortest_minutes)
    return JobRequest(memory or learnt, grow(minutes, order.out_of_time, site.most_minutes, "minutes"))


def _minutes(expected: Expected | None, site: SlurmSite, shortest: float) -> int | None:
    if expected is None or expected.longest_seconds is None:
        return None
    minutes = max(_LEAST_MINUTES, math.ceil(expected.longest_seconds * _TIME_MARGIN / 60))
    return min(minutes, site.most_minutes or sys.maxsize) if minutes <= shortest else None


def grow(size: int | None, times: int, most: int | None, name: str) -> int | None:
    """Return how much a step gets, given how often what it got was not enough.

    Raises
    ------
    EngineError
        If it cannot get more than the last time.
    """
    if not times:
        return size
    if size is None:
        raise EngineError(f"it needs more, and nothing says how much it got: give {name} in the site file")
    before, now = (min(size * (count + 1), most or sys.maxsize) for count in (times - 1, times))
    if now <= before:
        raise EngineError(f"{before} ({name}) was not enough, and the site file allows no more (most_{name})")
    return now


def minutes_in(limit: str) -> float:
    """Return the minutes of a time limit as Slurm prints it; infinite where it is none.

    >>> minutes_in("1-02:30:00"), minutes_in("10:00"), minutes_in("infinite")
    (1590.0, 10.0, inf)
    """
    days, dash, clock = limit.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in parts) or (dash and not days.isdigit()):
        return math.inf
    hours, minutes, seconds = (0, 0, 0, *map(int, parts))[-3:]
    return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60
