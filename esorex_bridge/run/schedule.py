"""Running steps in an order that their needs allow, several at a time; equal steps of several datasets run once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from esorex_bridge.errors import BridgeError
from esorex_bridge.plan.plan import Step
from esorex_bridge.run.decide import Decision, Execute
from esorex_bridge.run.foresee import Foreseen
from esorex_bridge.run.key import StepKey
from esorex_bridge.run.ports import How, Record


@dataclass(frozen=True, slots=True)
class Work:
    """A step that must be made, for the first of the datasets that need it."""

    key: StepKey
    foreseen: Foreseen
    step: Step
    reason: str
    how: How = "unless_there"


@dataclass(frozen=True, slots=True)
class Made:
    """A step that was made: here (`ran`), or by another process meanwhile."""

    record: Record
    ran: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """A step whose recipe failed."""

    error: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """A step that could not be started: a gap, or a step it needs was not made."""

    error: str


Ended = Made | Failed | Blocked


def gather(pairs: Iterable[tuple[Foreseen, tuple[Decision, ...]]]) -> dict[StepKey, Work]:
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
    results: dict[StepKey, Ended] = {}
    waiting = dict(works)
    running: dict[Future[Made], Work] = {}
    with ThreadPoolExecutor(max(1, jobs), "recipe") as pool:
        try:
            while waiting or running:
                for work in [work for work in waiting.values() if _is_settled(work, records, results)]:
                    del waiting[work.key]
                    if lack := _lack(work, records):
                        results[work.key] = Blocked(lack)
                        ended(work, results[work.key])
                    else:
                        running[pool.submit(make, work, records)] = work
                for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                    work = running.pop(future)
                    results[work.key] = result = _result(future)
                    if isinstance(result, Made):
                        records[work.key] = result.record
                    ended(work, result)
                    if isinstance(result, Failed) and not go_on(work, result):
                        for left in waiting.values():
                            results[left.key] = Blocked(f"stopped, because {work.step.name} failed")
                            ended(left, results[left.key])
                        waiting.clear()
        except BaseException:
            stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return results


def _is_settled(work: Work, records: Mapping[StepKey, Record], results: Mapping[StepKey, Ended]) -> bool:
    return all(key in records or key in results for key in work.foreseen.needs(work.step))


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
