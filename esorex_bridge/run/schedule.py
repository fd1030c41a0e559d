"""Running steps in an order that their needs allow, several at a time; equal steps of several datasets run once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from esorex_bridge.errors import BridgeError
from esorex_bridge.plan.plan import Step
from esorex_bridge.reuse.decide import Decision, Execute
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import How, Record
from esorex_bridge.reuse.resolve import ResolvedPlan

if TYPE_CHECKING:
    from concurrent.futures import Future

_LOOK_S = 0.5


class Work(Struct, frozen=True):
    """A step that must be made, for the first of the datasets that need it."""

    key: StepKey
    foreseen: ResolvedPlan
    step: Step
    reason: str
    how: How = "unless_there"


class Made(Struct, frozen=True):
    """A step that was made: here (`ran`), or by another process meanwhile."""

    record: Record
    ran: bool


class Failed(Struct, frozen=True):
    """A step whose recipe failed."""

    error: str


class Blocked(Struct, frozen=True):
    """A step that could not be started: a gap, or a step it needs was not made."""

    error: str


Ended = Made | Failed | Blocked


def gather(pairs: Iterable[tuple[ResolvedPlan, tuple[Decision, ...]]]) -> dict[StepKey, Work]:
    """Return the steps to make, each distinct one once, producers first."""
    works: dict[StepKey, Work] = {}
    for foreseen, decisions in pairs:
        for decision in decisions:
            if isinstance(decision, Execute):
                key = foreseen.keys[decision.step.name]
                works.setdefault(key, Work(key, foreseen, decision.step, decision.reason, decision.how))
    return works


def run_all(
    works: Mapping[StepKey, Work],
    records: dict[StepKey, Record],
    make: Callable[[Work, Mapping[StepKey, Record]], Made],
    ended: Callable[[Work, Ended], None],
    go_on: Callable[[Work, Failed], bool],
    stop: Callable[[], None],
    jobs: int,
) -> dict[StepKey, Ended]:
    """Make all steps, up to `jobs` at a time, and return how each ended.

    Parameters
    ----------
    works : mapping of StepKey to Work
        Producers first.
    records : dict of StepKey to Record
        What is there already; gets what is made.
    make : callable
        Makes one step, in a thread of its own.
    ended : callable
        Is told, in the caller's thread, how each step ended.
    go_on : callable
        Is asked after a failure whether the steps that do not need the failed one shall still be made.
    stop : callable
        Ends what runs, when the user interrupts.
    jobs : int
        How many recipes at a time.
    """
    if not works:
        return {}
    from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

    results: dict[StepKey, Ended] = {}
    waiting = _Waiting(works, records)
    running: dict[Future[Made], Work] = {}
    with ThreadPoolExecutor(max(1, jobs), "recipe") as pool:
        try:
            while waiting or running:
                for work in waiting.ready():
                    if lack := _lack(work, records):
                        results[work.key] = Blocked(lack)
                        waiting.settle(work.key)
                        ended(work, results[work.key])
                    else:
                        running[pool.submit(make, work, records)] = work
                # Not without end: Python sees no Ctrl-C that came a moment before such a wait.
                for future in wait(running, _LOOK_S, FIRST_COMPLETED).done if running else ():
                    work = running.pop(future)
                    results[work.key] = result = _result(future)
                    if isinstance(result, Made):
                        records[work.key] = result.record
                    waiting.settle(work.key)
                    ended(work, result)
                    if isinstance(result, Failed) and not go_on(work, result):
                        for left in waiting.give_up():
                            results[left.key] = Blocked(f"stopped, because {work.step.name} failed")
                            ended(left, results[left.key])
        except BaseException:
            stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return results


class _Waiting:
    """The steps that were not begun, and for how many others each of them waits."""

    def __init__(self, works: Mapping[StepKey, Work], records: Mapping[StepKey, Record]) -> None:
        self._works = dict(works)
        self._open: dict[StepKey, int] = {}
        self._after: dict[StepKey, list[StepKey]] = {}
        for work in works.values():
            needs = {key for key in work.foreseen.needs(work.step) if key in works and key not in records}
            self._open[work.key] = len(needs)
            for need in needs:
                self._after.setdefault(need, []).append(work.key)
        self._ready = deque(key for key, needs in self._open.items() if not needs)

    def __bool__(self) -> bool:
        return bool(self._works)

    def ready(self) -> Iterator[Work]:
        """Hand out the steps that wait for nothing, also those that get ready meanwhile."""
        while self._ready:
            yield self._works.pop(self._ready.popleft())

    def settle(self, key: StepKey) -> None:
        """Take note that a step has come to its end, so that nobody waits for it any longer."""
        for other in self._after.pop(key, ()):
            self._open[other] -= 1
            if not self._open[other]:
                self._ready.append(other)

    def give_up(self) -> tuple[Work, ...]:
        """Return all that are left, and wait for none."""
        left = tuple(self._works.values())
        self._works.clear()
        self._ready.clear()
        return left


def _lack(work: Work, records: Mapping[StepKey, Record]) -> str:
    lacking = [name for name in work.step.needs if work.foreseen.keys[name] not in records]
    return "; ".join((*work.step.gaps, *(f"{name} was not made" for name in lacking)))


def _result(future: Future[Made]) -> Ended:
    try:
        return future.result()
    except BridgeError as error:
        return Failed(str(error))
    except OSError as error:
        return Failed(f"{error.strerror or error}: {error.filename or 'the data root'}; mend that and run again")
