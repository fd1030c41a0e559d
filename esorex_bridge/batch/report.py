"""The report of a batch, read from its folder: the same while it runs, afterwards, and from any other shell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from sys import intern
from typing import Any

from msgspec import Struct

from esorex_bridge.executors.batch_folder import BatchFolder
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.workspace.locks import is_locked

OUTCOMES = (
    "done",
    "reused",
    "nothing observed",
    "going on",
    "incomplete",
    "cancelled",
    "blocked",
    "failed",
    "unreachable",
)
"""done: made at least one step; reused: all was there; nothing observed: the archive has no such frame; going on;
incomplete: data or calibrations are missing; cancelled; blocked: what it needs was not made; failed: a recipe failed;
unreachable: the archive could not be asked. A later one says more about a batch than those before it."""

_WELL = ("done", "reused", "nothing observed")

_ENDINGS = ("done", "cancelled", "detached", "interrupted")


class DatasetOutcome(Struct, frozen=True):
    """What came of a dataset.

    Parameters
    ----------
    dataset, job : str
        Names of both.
    outcome : str
        One of `OUTCOMES`.
    reasons : tuple of str
        Why it is not done, or what a reader of the products should know.
    made, reused : int
        Steps.
    end_products : tuple of str
        Where they lie.
    """

    dataset: str
    job: str
    outcome: str
    reasons: tuple[str, ...] = ()
    made: int = 0
    reused: int = 0
    end_products: tuple[str, ...] = ()


class RecipeTime(Struct, frozen=True):
    """What a recipe took: runs, seconds in all and of the longest, seconds of processors, most memory of a run."""

    recipe: str
    runs: int
    seconds: float
    longest: float
    processor_seconds: float = 0.0
    memory_bytes: int = 0


class Advice(Struct, frozen=True):
    """A command to type now, without its options: why, its verb, and the words behind that."""

    why: str
    verb: str
    words: tuple[str, ...] = ()


class BatchReport(Struct, frozen=True):
    """How a batch stands.

    Parameters
    ----------
    name : str
        Of the batch.
    state : str
        `running`, `done`, `cancelled`, `detached` (an engine goes on without us), `interrupted`.
    run : int
        How many times it was run.
    began, ended : str
        Of the last run (UTC).
    datasets : tuple of DatasetOutcome
        Each of the last run.
    recipes : tuple of RecipeTime
        Of the last run.
    steps : mapping of str to int
        Distinct steps by how they stand.
    lost : int
        Attempts that were lost and tried again or given up.
    disk_bytes : int
        What products of the last run hold.
    unfetched : tuple of (str, str)
        Files that could not be fetched, with the reason.
    next : tuple of Advice
        What to do now.
    """

    name: str
    state: str
    run: int
    began: str
    ended: str
    datasets: tuple[DatasetOutcome, ...]
    recipes: tuple[RecipeTime, ...]
    steps: Mapping[str, int]
    lost: int
    disk_bytes: int
    unfetched: tuple[tuple[str, str], ...]
    next: tuple[Advice, ...]

    @property
    def failed(self) -> bool:
        """Whether something that was asked for is not there."""
        return any(dataset.outcome not in _WELL for dataset in self.datasets)

    @property
    def verdict(self) -> str:
        """The outcome that says most about the whole; empty where nothing was asked for yet."""
        return max((dataset.outcome for dataset in self.datasets), key=OUTCOMES.index, default="")


_Decided = tuple[str, str]
"""What was decided about a step, and its recipe."""


class _Fate(Struct):
    """How a step stands, as the notes tell."""

    state: str = "waiting"
    error: str = ""
    seconds: float = 0.0
    ran: bool = False
    processor_seconds: float = 0.0
    memory_bytes: int = 0


class _Told(Struct):
    """What the events of the last run tell."""

    run: int
    began: str
    ended: str
    state: str
    fates: dict[str, _Fate]
    delivered: dict[str, list[str]]
    problems: dict[str, list[str]]
    unfetched: dict[str, str]
    lost: int


def read_report(folder: BatchFolder) -> BatchReport:
    """Return how a batch stands.

    Raises
    ------
    UserError
        If there is no such batch.
    """
    folder.about()
    told = _events(folder)
    if told.state not in _ENDINGS:
        told.state = "running" if is_locked(folder.lock) else "interrupted"
    _look_at_results(folder, told)
    steps: dict[str, _Decided] = {}
    datasets = []
    for line in folder.datasets_of_last_run():
        datasets.append(_outcome(line, told))
        for step in line.get("steps", ()):
            if step["key"] not in steps or step["decision"] == "execute":  # made for one dataset, found by a later one
                steps[step["key"]] = intern(step["decision"]), intern(step["recipe"])
    fates = {key: told.fates.get(key, _Fate()) for key, (decision, _) in steps.items() if decision == "execute"}
    counts = Counter(fate.state for fate in fates.values())
    counts["reused"] = sum(decision == "reuse" for decision, _ in steps.values())
    disk = _disk(folder, (key for key, fate in fates.items() if fate.ran))
    return BatchReport(
        name=folder.name,
        state=told.state,
        run=told.run,
        began=told.began,
        ended=told.ended,
        datasets=tuple(datasets),
        recipes=_recipes(steps, fates),
        steps=dict(counts),
        lost=told.lost,
        disk_bytes=disk,
        unfetched=tuple(told.unfetched.items()),
        next=tuple(_advice(folder.name, told, datasets)),
    )


def _events(folder: BatchFolder) -> _Told:
    told = _Told(0, "", "", "", {}, {}, {}, {}, 0)
    for line in folder.read_notes("events"):
        event, key = line["event"], line.get("key", "")
        told.ended = line["at"]
        if event == "begun":
            delivered = told.delivered  # An end product that is there is not delivered again.
            told = _Told(line["run"], line["at"], "", "running", {}, delivered, {}, {}, 0)
        elif event in _ENDINGS and not key:
            told.state = event
        elif event in ("made", "booked"):
            used = line.get("processor_seconds", 0.0), line.get("memory_bytes", 0)
            told.fates[key] = _Fate("made", "", line.get("seconds", 0.0), line.get("outcome", "made") == "made", *used)
        elif event in ("submitted", "running", "failed", "blocked", "cancelled"):
            told.fates[key] = _Fate(event, line.get("error", ""))
        elif event == "lost":
            told.lost += 1
            told.fates[key] = _Fate("waiting", line["error"])
        elif event == "delivered":
            known = told.delivered.get(line["dataset"], [])
            told.delivered[line["dataset"]] = list(dict.fromkeys((*known, *line["paths"])))
        elif event == "not delivered":
            told.problems.setdefault(line["dataset"], []).append(f"not delivered: {line['error']}")
        elif event == "not fetched":
            told.unfetched[line["file"]] = line["error"]
    return told


def steps_of_last_run(folder: BatchFolder) -> Iterator[dict[str, Any]]:
    """Yield what the last run of a batch noted of each step of each dataset."""
    return (step for line in folder.datasets_of_last_run() for step in line.get("steps", ()))


def _look_at_results(folder: BatchFolder, told: _Told) -> None:
    """Take account of what workers finished while no driver was there to note it."""
    if told.state not in ("detached", "interrupted"):
        return
    for step in steps_of_last_run(folder):
        fate = told.fates.get(step["key"])
        if fate is None or fate.state not in ("submitted", "running"):
            continue
        result = folder.result(StepKey(step["key"]))
        if result is not None and result.record is not None:
            usage = result.record.usage
            used = (usage.processor_seconds, usage.memory_bytes) if usage is not None else ()
            told.fates[step["key"]] = _Fate("made", "", result.record.seconds, result.outcome == "made", *used)
        elif result is not None:
            told.fates[step["key"]] = _Fate("failed", result.error)
        elif told.state == "interrupted":
            told.fates[step["key"]] = _Fate("waiting", "the bridge was stopped")


def _outcome(line: dict[str, Any], told: _Told) -> DatasetOutcome:
    name, job = line["dataset"], line["job"]
    if "problem" in line:
        return DatasetOutcome(name, job, line.get("outcome", "incomplete"), (line["problem"],))
    executes = [step for step in line["steps"] if step["decision"] == "execute"]
    fates = {step["step"]: told.fates.get(step["key"], _Fate()) for step in executes}
    reasons = [f"{step['step']}: {gap}" for step in executes for gap in step["gaps"]]
    reasons += [f"{step}: {fate.error}" for step, fate in fates.items() if fate.error and fate.state == "failed"]
    if not reasons:
        reasons += [f"{step}: {fate.error}" for step, fate in fates.items() if fate.error]
    made = sum(fate.state == "made" for fate in fates.values())
    return DatasetOutcome(
        dataset=name,
        job=job,
        outcome=_word(executes, [fate.state for fate in fates.values()]),
        reasons=(*reasons, *_remarks(line), *told.problems.get(name, ())),
        made=made,
        reused=sum(step["decision"] == "reuse" for step in line["steps"]),
        end_products=tuple(told.delivered.get(name, ())),
    )


def _word(executes: list[dict[str, Any]], states: list[str]) -> str:
    if any(step["gaps"] for step in executes):
        return "incomplete"
    for word in ("failed", "cancelled", "blocked"):
        if word in states:
            return word
    if any(state != "made" for state in states):
        return "going on"
    return "done" if states else "reused"


def _remarks(line: dict[str, Any]) -> list[str]:
    remarks = [f"{step['step']}: {text}" for step in line["steps"] for text in step["warnings"]]
    if line["requested"] is not None and line["mode"] is not None and line["mode"] != line["requested"]:
        remarks.append(f"{line['requested']} was asked for, calSelector executed {line['mode']}")
    if line.get("secondary"):
        remarks.append("the association is incomplete, but in nothing that a recipe needs")
    elif not line["complete"]:
        remarks.append("the association is incomplete")
    if not line["certified"]:
        remarks.append("ESO has not certified the association yet")
    return remarks


def _recipes(steps: Mapping[str, _Decided], fates: Mapping[str, _Fate]) -> tuple[RecipeTime, ...]:
    ran: dict[str, list[_Fate]] = {}
    for key, fate in fates.items():
        if fate.ran:
            ran.setdefault(steps[key][1], []).append(fate)
    return tuple(
        RecipeTime(
            recipe,
            len(each),
            round(sum(fate.seconds for fate in each), 3),
            round(max(fate.seconds for fate in each), 3),
            round(sum(fate.processor_seconds for fate in each), 3),
            max(fate.memory_bytes for fate in each),
        )
        for recipe, each in ran.items()
    )


def _disk(folder: BatchFolder, keys: Iterable[str]) -> int:
    ran = set(keys)
    if not ran:
        return 0
    sizes = {
        result.key: sum(product.size_bytes for product in result.record.products)
        for result in folder.results()
        if result.record is not None and result.key in ran
    }
    return sum(sizes.values())


def _advice(name: str, told: _Told, datasets: Sequence[DatasetOutcome]) -> Iterator[Advice]:
    outcomes = Counter(dataset.outcome for dataset in datasets)
    if told.state == "running":
        yield Advice("to end it instead of waiting", "batch cancel", (name,))
    if told.state == "detached":
        yield Advice("when the jobs have finished, collect the results", "batch resume", (name,))
    if told.state in ("interrupted", "cancelled"):
        yield Advice("to go on from here", "batch resume", (name,))
    if outcomes["failed"] and told.state != "running":
        yield Advice("look at the logs that the reasons name, fix what is wrong, and try again", "batch retry", (name,))
    if outcomes["blocked"] and told.state == "done":
        yield Advice("to make what was not begun", "batch retry", (name, "--keep-going"))
    if outcomes["unreachable"] and told.state != "running":
        yield Advice("when the archive answers again", "batch resume", (name,))
    if outcomes["incomplete"]:
        lacking = (each.dataset.partition("@")[0] for each in datasets if each.outcome == "incomplete")
        if named := next((name for name in lacking if name != "all" and " " not in name), None):
            yield Advice("to find what is missing", "why", (named,))
        yield Advice("to ask again about recent associations", "refresh")
    if outcomes and outcomes.keys() <= {"done", "reused"}:
        yield Advice("all that was asked for is there", "report")
