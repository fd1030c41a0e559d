"""What a step is expected to take, by what earlier runs of its recipe took: the one rule for all who ask.

A run counts for a step of the same recipe and pipeline that takes between half and twice as many bytes of files. Time
and memory grow with the bytes at most in proportion, and part of them does not depend on the bytes: so they are scaled
up, and memory is not scaled down. Where no such run is known, nothing is expected.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from msgspec import Struct

from esorex_bridge.esorex.recipe import Usage
from esorex_bridge.plan.plan import Step
from esorex_bridge.reuse.resolve import ResolvedPlan
from esorex_bridge.run.step import input_bytes
from esorex_bridge.store.summaries import KEPT_RUNS, RunEnd

ALIKE = 2
"""Setups are alike whose inputs differ in bytes by this factor at most."""

MEMORY_MARGIN = 1.25
"""More than ever seen, because what is not alike in bytes and parameters alone may differ by so much."""

KILLED_MARGIN = 2.0
"""A run that was killed wanted more than was seen of it."""

_MEASURABLE_S = 0.5
"""What took less time says nothing of processors."""


class Setup(Struct, frozen=True, gc=False):
    """What the needs of a step depend on: recipe, name and version of its pipeline, bytes of the files it takes."""

    recipe: str
    pipeline: str
    input_bytes: int


class MeasuredRun(Struct, frozen=True, gc=False):
    """A run of a recipe: how long it took, how it ended, what it took of the machine."""

    seconds: float
    ended: RunEnd
    usage: Usage


class Expected(Struct, frozen=True, gc=False):
    """What a step is expected to take.

    Parameters
    ----------
    memory_bytes : int
        At most.
    processors : int
        That it keeps busy.
    seconds : float or None
        Most likely; None where no run ended well.
    longest_seconds : float or None
        As the longest run that ended well.
    """

    memory_bytes: int
    processors: int = 1
    seconds: float | None = None
    longest_seconds: float | None = None

    @property
    def memory_mb(self) -> int:
        """The memory in MiB, rounded up."""
        return -(-self.memory_bytes >> 20)


def expect(runs: Iterable[MeasuredRun], input_bytes: int) -> Expected | None:
    """Return what a step that takes so many bytes of files is expected to take; None where nothing alike ran.

    >>> runs = [MeasuredRun(10.0, "done", Usage(19.0, 400 << 20, 1000))]
    >>> expect(runs, 1000)
    Expected(memory_bytes=524288000, processors=2, seconds=10.0, longest_seconds=10.0)
    >>> expect(runs, 2001) is None
    True
    """
    alike = [run for run in runs if _is_alike(run.usage.input_bytes, input_bytes)]
    if not alike:
        return None
    done = [run for run in alike if run.ended == "done"]
    times = sorted(run.seconds * _scale(run, input_bytes) for run in done)
    busy = [run.usage.processor_seconds / run.seconds for run in done if run.seconds >= _MEASURABLE_S]
    return Expected(
        memory_bytes=round(max(_memory(run, input_bytes) for run in alike)),
        processors=max(1, round(max(busy, default=1.0))),
        seconds=times[len(times) // 2] if times else None,
        longest_seconds=times[-1] if times else None,
    )


def _is_alike(one: int, other: int) -> bool:
    return one <= other * ALIKE and other <= one * ALIKE


def _scale(run: MeasuredRun, input_bytes: int) -> float:
    return max(1.0, input_bytes / run.usage.input_bytes) if run.usage.input_bytes else 1.0


def _memory(run: MeasuredRun, input_bytes: int) -> float:
    margin = KILLED_MARGIN if run.ended == "killed" else MEMORY_MARGIN
    return run.usage.memory_bytes * _scale(run, input_bytes) * margin


def setup_of(step: Step, resolved: ResolvedPlan) -> Setup:
    """Return what the needs of a step depend on."""
    return Setup(step.recipe, resolved.recipes[step.recipe].pipeline, input_bytes(step))


class RunMemory(Protocol):
    """What remembers runs of recipes."""

    def measured_runs(self, recipe: str, pipeline: str) -> list[tuple[float, RunEnd, Usage]]:
        """Return how long the latest runs of a recipe of a pipeline took, how they ended, and what they took."""

    def learn_failed_run(self, recipe: str, pipeline: str, seconds: float, ended: RunEnd, usage: Usage) -> None:
        """Remember what a run took of which there is no record."""


class Expectations:
    """What steps are expected to take, with what is learnt on the way.

    Parameters
    ----------
    memory : RunMemory
        Asked once for each recipe.
    """

    def __init__(self, memory: RunMemory) -> None:
        self._memory = memory
        self._runs: dict[tuple[str, str], deque[MeasuredRun]] = {}
        self._known: dict[Setup, Expected | None] = {}

    def of(self, setup: Setup) -> Expected | None:
        """Return what a step is expected to take; None where nothing alike ran."""
        if setup not in self._known:
            self._known[setup] = expect(self._runs_of(setup), setup.input_bytes)
        return self._known[setup]

    def learn(self, setup: Setup, run: MeasuredRun) -> None:
        """Take account of a run; one that failed is not recorded, so it is remembered here."""
        if run.ended != "done":
            self._memory.learn_failed_run(setup.recipe, setup.pipeline, run.seconds, run.ended, run.usage)
        self._runs_of(setup).append(run)
        self._known.clear()

    def _runs_of(self, setup: Setup) -> deque[MeasuredRun]:
        which = setup.recipe, setup.pipeline
        if which not in self._runs:
            self._runs[which] = deque((MeasuredRun(*run) for run in self._memory.measured_runs(*which)), KEPT_RUNS)
        return self._runs[which]
