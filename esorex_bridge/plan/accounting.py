"""Where every file of a dataset ends: in a step, or not used, with a reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from functools import partial
from typing import TYPE_CHECKING

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile, Purpose
from esorex_bridge.datasets.shared import Shared
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.plan.plan import FileInput, Plan, Reason, Step, StepName, UnusedFile

if TYPE_CHECKING:
    from esorex_bridge.plan.facts import KnownFact

Fate = tuple[Reason, str]
"""A reason and its particulars."""

_Placed = tuple[DatasetFile, Action, Purpose, bool]
"""A file, the action that has it, what for, and whether that is auxiliary, or below such."""

EXCUSED: frozenset[Reason] = frozenset(
    {"unsupported", "chosen by the user", "same content", "auxiliary", "its maker is not needed"}
)
"""Reasons for which a science file may be left out of a complete plan.

Of a science file, `its maker is not needed` is said where it is a calibration of others alone: darks of the science.
"""

_STANDARD = re.compile(r"(^|_)(STD|STANDARD)(_|$)")


def account_for(
    dataset: Dataset,
    workflow: Workflow,
    steps: Iterable[Step],
    refusals: Mapping[tuple[str, str], Fate],
    shared: Shared,
) -> tuple[UnusedFile, ...]:
    """Return every file of a dataset that is in no step, once for each category, with the reason.

    Parameters
    ----------
    dataset : Dataset
        Whose files are to be accounted for.
    workflow : Workflow
        Tells what recipes take.
    steps : iterable of Step
        Of the plan.
    refusals : mapping of (str, str) to (Reason, str)
        By name and category: why a choice went against a file.
    shared : Shared
        What was worked out for other datasets by the same workflow.
    """
    used = {entry.name for step in steps for entry in step.inputs if isinstance(entry, FileInput)}
    found: dict[tuple[str, str], UnusedFile] = {}
    told: set[str] = set()
    for file, action, purpose, _ in _needed_first(dataset.action, used, shared):
        key = (file.name, file.category)
        # A file may be auxiliary here and needed there; then the need counts.
        if file.name in used or key in found or (action.auxiliary and file.name in told):
            continue
        told.add(file.name)
        reason, detail = _fate(file, action, workflow, refusals)
        place = str(file.path) if file.path is not None else file.name
        found[key] = UnusedFile(file.name, file.category, place, purpose, reason, detail)
    return (*found.values(), *_find_dropped(dataset))


def _find_dropped(dataset: Dataset) -> Iterator[UnusedFile]:
    for file, purpose in dataset.dropped:
        place = str(file.path) if file.path is not None else file.name
        yield UnusedFile(file.name, file.category, place, purpose, "chosen by the user", "left out in a review")


def _needed_first(root: Action, used: Set[str], shared: Shared) -> Iterator[_Placed]:
    """Yield files with their places, those of auxiliary groups last: a file may be both.

    Groups of which all files are used are passed over.
    """
    begin = (root.name,)
    walked = [_place_own(root, root.auxiliary, begin)]
    for child in root.actions:
        work = partial(_place_with_names, child, root.auxiliary, begin)
        names, places = shared.once(("places", child, root.auxiliary, begin), work)
        if not names <= used:
            walked.append(places)
    for auxiliary in (False, True):
        yield from (placed for each in walked for placed in each if placed[3] is auxiliary)


def _place_with_names(action: Action, above: bool, path: tuple[str, ...]) -> tuple[frozenset[str], tuple[_Placed, ...]]:
    places = _place_all(action, above, path)
    return frozenset(file.name for file, *_ in places), places


def _place_all(action: Action, above: bool, path: tuple[str, ...]) -> tuple[_Placed, ...]:
    here, auxiliary = (action.name, *path), above or action.auxiliary
    below = (placed for child in action.actions for placed in _place_all(child, auxiliary, here))
    return (*_place_own(action, auxiliary, here), *below)


def _place_own(action: Action, auxiliary: bool, path: tuple[str, ...]) -> tuple[_Placed, ...]:
    marked = action if auxiliary == action.auxiliary else _as_auxiliary(action)
    purpose = Purpose("/".join(path))
    return tuple((file, marked, purpose, auxiliary) for file in (*action.files, *action.statics))


def _as_auxiliary(action: Action) -> Action:
    """Return an action below an auxiliary one, which is auxiliary too."""
    return Action(action.name, action.files, auxiliary=True)


def _fate(file: DatasetFile, action: Action, workflow: Workflow, refusals: Mapping[tuple[str, str], Fate]) -> Fate:
    """Return why a file is in no step."""
    if action.auxiliary:
        return "auxiliary", "calSelector calls the group auxiliary: it is for a person to look at"
    unsupported = dict(workflow.unsupported)
    if file.category in unsupported:
        return "unsupported", unsupported[file.category]
    if file.path is None:
        return "not on this machine", "fetch it"
    refusal = refusals.get((file.name, file.category))
    if refusal is not None:
        return refusal
    makers = [step for step in workflow.steps if file.category in step.main]
    if makers:
        made = ", ".join(dict.fromkeys(product for step in makers for product in step.products)) or "what it makes"
        return "its maker is not needed", f"no step takes {made} from here"
    takers = [step.name for step in workflow.steps for each in step.calibrations if file.category in each.accepted]
    if takers:
        names = ", ".join(dict.fromkeys(takers))
        return "its maker is not needed", f"{names} would take it, and nothing here needs that"
    return "no recipe for the category", f"workflow {workflow.name} has none for {file.category}"


def find_unreduced(dataset: Dataset, steps: tuple[Step, ...], not_used: Iterable[UnusedFile]) -> tuple[str, ...]:
    """Return, in words, which science files no step takes, or only a step that cannot run; standards count too."""
    science = {(file.name, file.category) for file in dataset.action.files}
    left = Counter(
        (unused.category, unused.reason, unused.detail)
        for unused in not_used
        if unused.reason not in EXCUSED and ((unused.name, unused.category) in science or _is_unplaced_standard(unused))
    )
    words = (f"{number} {named[0]} in no step: {say(named[1], named[2])}" for named, number in left.items())
    return (*words, *_blocked_targets(dataset, steps))


def _is_unplaced_standard(unused: UnusedFile) -> bool:
    return unused.reason == "group too small" and _STANDARD.search(unused.category) is not None


def _blocked_targets(dataset: Dataset, steps: tuple[Step, ...]) -> Iterator[str]:
    blocked: dict[StepName, str] = {}
    for step in steps:
        lacking = [f"{name} cannot run" for name in step.needs if name in blocked]
        if step.gaps or lacking:
            blocked[step.name] = "; ".join((*step.gaps, *lacking))
    for step in steps:
        if step.name in blocked and step.target and step.purpose == dataset.action.name:
            yield f"{step.name} cannot run: {blocked[step.name]}"


def say(reason: Reason, detail: str) -> str:
    """Return a reason with its particulars, in words."""
    return f"{reason} ({detail})" if detail else reason


def summarise(not_used: Iterable[UnusedFile]) -> Iterator[str]:
    """Yield a line for all files of one category and place that share a reason."""
    counts = Counter((each.category, each.purpose, each.reason, each.detail) for each in not_used)
    for (category, purpose, reason, detail), number in counts.items():
        yield f"{number} {category} ({purpose}): {say(reason, detail)}"


def explain_file(plan: Plan, name: str) -> Iterator[KnownFact]:
    """Yield what a plan does with a file: the steps that take it, or why none does."""
    from esorex_bridge.plan.facts import NotUsed, TakenByStep

    for step in plan.steps:
        for entry in step.inputs:
            if isinstance(entry, FileInput) and entry.name == name:
                said = f"{plan.dataset}: in {step.name} as {entry.category}"
                yield TakenByStep(said, plan.dataset, name, step.name, entry.category)
    for unused in plan.not_used:
        if unused.name == name:
            why = say(unused.reason, unused.detail)
            said = f"{plan.dataset}: not used ({unused.category} of {unused.purpose}): {why}"
            yield NotUsed(said, plan.dataset, name, unused.category, unused.purpose, unused.reason, unused.detail)


def compare_plans(old: Plan, new: Plan) -> Iterator[str]:
    """Yield what differs between two plans of a dataset: steps that come and go, and what the others take."""
    before, after = _by_place(old), _by_place(new)
    for place, step in before.items():
        if place not in after:
            yield f"no longer made: {step.name} ({step.purpose})"
    for place, step in after.items():
        if place not in before:
            yield f"now made: {step.name} ({step.purpose})"
            continue
        gone, come = _find_taken(before[place]) - _find_taken(step), _find_taken(step) - _find_taken(before[place])
        if gone or come:
            instead, earlier = (", ".join(sorted(names)) or "nothing" for names in (come, gone))
            yield f"{step.name} takes {instead} in place of {earlier}"


def _by_place(plan: Plan) -> dict[tuple[object, ...], Step]:
    """Return steps by what they are and are for, those that are alike in both by their order."""
    counts: Counter[tuple[object, ...]] = Counter()
    found: dict[tuple[object, ...], Step] = {}
    for step in plan.steps:
        place = (step.actor, step.purpose, step.setup)
        counts[place] += 1
        found[(*place, counts[place])] = step
    return found


def _find_taken(step: Step) -> set[str]:
    return {f"{entry.category} {entry.name if isinstance(entry, FileInput) else entry.step}" for entry in step.inputs}
