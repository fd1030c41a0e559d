"""How many steps this machine carries at once: the one rule for all that starts recipes here.

A step takes the processors and the memory that its definition states, or else those that are expected of it. It begins
when the rest of both is enough; one alone always begins. Of what nothing is known counts as one processor.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from esorex_bridge.run.executor import TaskRequest, Ticket

if TYPE_CHECKING:
    from esorex_bridge.run.expected import Expected, Setup

_PROC, _GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
_NO_LIMIT = 1 << 60


class Limits(Struct, frozen=True):
    """What this machine gives to steps.

    Parameters
    ----------
    processors : int
        For all of them at once.
    memory_mb : int or None
        For all of them at once of which it is known how much they need; None for no limit.
    """

    processors: int
    memory_mb: int | None = None


class _Share(Struct, frozen=True):
    """What a step takes of the machine; all of it where it has it for itself."""

    processors: int
    memory_mb: int
    alone: bool


class Capacity:
    """What there is room for.

    Parameters
    ----------
    limits : Limits
        What the steps may take together.
    expect : callable, optional
        Returns what a step is expected to take that does not state it.
    """

    def __init__(self, limits: Limits, expect: Callable[[Setup], Expected | None] | None = None) -> None:
        self._limits = limits
        self._expect = expect
        self._taken: dict[Ticket, _Share] = {}

    @property
    def has_processor(self) -> bool:
        """Whether a step of one processor finds room."""
        return sum(share.processors for share in self._taken.values()) < self._limits.processors

    def fits(self, order: TaskRequest) -> bool:
        """Tell whether there is room for a step."""
        share = self._share(order)
        return not self._taken or (self._may_begin(share) and not self._lacking(share))

    def lacks_memory(self, order: TaskRequest) -> str:
        """Return in words how much memory a step waits for; empty where it waits for something else, or for nothing."""
        share = self._share(order)
        return self._lacking(share) if self._taken and self._may_begin(share) else ""

    def take(self, ticket: Ticket, order: TaskRequest) -> None:
        """Note that a step begins."""
        self._taken[ticket] = self._share(order)

    def give_back(self, ticket: Ticket) -> None:
        """Note that a step ended."""
        self._taken.pop(ticket, None)

    def _may_begin(self, share: _Share) -> bool:
        """Tell whether a step may begin beside others, as far as memory does not matter."""
        taken = sum(each.processors for each in self._taken.values())
        lonely = share.alone or any(each.alone for each in self._taken.values())
        return not lonely and taken + share.processors <= self._limits.processors

    def _lacking(self, share: _Share) -> str:
        taken, most = sum(each.memory_mb for each in self._taken.values()), self._limits.memory_mb
        if most is None or taken + share.memory_mb <= most:
            return ""
        return f"for memory: about {share.memory_mb} MB, and {taken} of {most} MB are taken"

    def _share(self, order: TaskRequest) -> _Share:
        expected = self._expect(order.setup) if self._expect is not None and order.setup is not None else None
        processors, memory = order.threads, order.memory_mb
        if expected is not None:
            processors = max(processors, expected.processors)
            memory = expected.memory_mb if memory is None else memory
        return _Share(min(processors, self._limits.processors), memory or 0, bool(order.out_of_memory))


def limits_of(jobs: int, memory_mb: int | None) -> Limits:
    """Return what this machine gives to recipes of which so many run at a time at most.

    Parameters
    ----------
    jobs : int
        Recipes at a time.
    memory_mb : int or None
        For all at once; 0 for no limit, None for what is free now.
    """
    processors = max(jobs, os.cpu_count() or 1)
    return Limits(processors, None if jobs == 1 or memory_mb == 0 else memory_mb or free_memory_mb())


def free_memory_mb(proc: Path = _PROC, groups: Path = _GROUPS) -> int | None:
    """Return how much memory this machine, or the control groups that we are in, give at present; None if unknown.

    Parameters
    ----------
    proc, groups : Path
        Where the kernel tells of processes and of control groups.
    """
    try:
        text = (proc / "meminfo").read_text(encoding="ascii")
        sizes = dict(line.split(":", 1) for line in text.splitlines())
        rests = _rest_of_groups((proc / "self/cgroup").read_text(encoding="utf-8"), groups)
        return max(0, min(int(sizes["MemAvailable"].split()[0]) << 10, *rests, _NO_LIMIT)) >> 20
    except (OSError, KeyError, ValueError):
        return None


def _rest_of_groups(ours: str, groups: Path) -> Iterator[int]:
    """Yield how many bytes each control group that limits us may still take; what it can drop counts as free.

    In a container the path of the group may be that on its host: what is not there is passed over.
    """
    for line in ours.splitlines():
        _, kinds, place = line.split(":", 2)
        if not kinds:
            yield from _rest_below(groups, place, _VERSION_2)
        elif "memory" in kinds.split(","):
            yield from _rest_below(groups / "memory", place, _VERSION_1)


class _Names(Struct, frozen=True):
    """The files of a control group, and the line of its statistics with what it can drop."""

    limits: tuple[str, ...]
    usage: str
    droppable: str


_VERSION_1 = _Names(("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_inactive_file")
_VERSION_2 = _Names(("memory.max", "memory.high"), "memory.current", "inactive_file")
"""Above `high` the kernel slows a group down, above `max` it kills."""


def _rest_below(top: Path, place: str, names: _Names) -> Iterator[int]:
    folder = top / place.lstrip("/")
    for group in (folder, *folder.parents):
        if not group.is_relative_to(top):
            return
        with suppress(OSError):
            limits = [most for name in names.limits if (most := _read_limit(group / name)) < _NO_LIMIT]
            if limits:
                told = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
                yield min(limits) - int((group / names.usage).read_text()) + int(told.get(names.droppable, 0))


def _read_limit(file: Path) -> int:
    """Return a limit in bytes; the group at the top has no such file."""
    try:
        text = file.read_text().strip()
    except OSError:
        return _NO_LIMIT
    return _NO_LIMIT if text == "max" else int(text)
