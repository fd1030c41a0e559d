"""Why: rule by rule, how a file was classified, why it is not used, and what a dataset still needs.

Each fact has the sentence that says it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite

from esorex_bridge.datasets.dataset import Action, Dataset, walk_actions
from esorex_bridge.definitions.oca.evaluate import objections, render_value
from esorex_bridge.definitions.oca.expressions import All, Compared, Constant, Expression, Keyword
from esorex_bridge.definitions.oca.rules import Selection
from esorex_bridge.organise.adql import query_for
from esorex_bridge.organise.association import Associator, Chosen, days_between
from esorex_bridge.organise.breakpoints import separating
from esorex_bridge.organise.frames import Frame
from esorex_bridge.organise.grouping import Candidate, FrameGroup
from esorex_bridge.organise.organiser import Organised
from esorex_bridge.plan.facts import (
    AbsentFiles,
    AssociationFound,
    DatasetState,
    FileClassified,
    FilesOfCategory,
    KnownFact,
    Message,
    Note,
    RuleVerdict,
    UsedByDataset,
    UsedByNone,
)

_NEAR_MISSES = 5


def why_file(organised: Organised, name: str) -> tuple[KnownFact, ...]:
    """Tell which rule classified a file, where it is used, and why it is not used elsewhere; nothing if unknown."""
    return tuple(fact for frame in organised.frames if frame.name == name for fact in _file_facts(organised, frame))


def _file_facts(organised: Organised, frame: Frame) -> Iterator[KnownFact]:
    yield from classification(organised, frame)
    uses = [
        (dataset.name, file.category, str(purpose))
        for dataset in organised.datasets
        for action, purpose in walk_actions(dataset.action)
        for file in (*action.files, *action.statics)
        if file.path == frame.path
    ]
    if uses:
        for dataset_name, category, purpose in dict.fromkeys(uses):
            said = f"{frame.name} is used by {dataset_name} as {category} ({purpose})."
            yield UsedByDataset(said, frame.name, dataset_name, category, purpose)
        return
    yield UsedByNone(f"{frame.name} is used by no dataset.", frame.name)
    yield from dict.fromkeys(_refusals(organised, frame))


def classification(organised: Organised, frame: Frame) -> Iterator[KnownFact]:
    """Tell which rule gave a file its category, and which earlier ones it overrode."""
    winner = frame.classified.winner
    if winner is None or not frame.category:
        raw = ", ".join(
            f"{key} = {render_value(frame.keywords.get(key))}"
            for key in ("DPR.CATG", "DPR.TYPE", "DPR.TECH", "PRO.CATG")
        )
        said = f"{frame.name}: no rule of {organised.rules.name} gives it a category ({raw})."
        yield FileClassified(said, frame.name, None, organised.rules.name, None)
        return
    place = f"{organised.rules.name}:{winner.line}" if winner.line else "as recipes know it"
    said = f"{frame.name} is {frame.category}: {place}, if {winner.condition}."
    yield FileClassified(said, frame.name, frame.category, organised.rules.name, winner.line or None)
    for rule in frame.classified.rules:
        if rule is not winner:
            given = ", ".join(map(str, rule.assignments))
            yield Note(f"  line {rule.line} matched as well ({given}); the last match wins.")


def _refusals(organised: Organised, frame: Frame) -> Iterator[KnownFact]:
    """Tell for each group that asks for such a file, or for what it is made into, why it was not taken."""
    makers = [group for group in organised.groups if frame in group.frames]
    candidates = [
        candidate for candidate in organised.pool.all if candidate.frame is frame or candidate.maker in makers
    ]
    asked = False
    for group, selection in _asking(organised):
        for candidate in candidates:
            if _is_meant(selection.condition, candidate.frame):
                asked = True
                yield verdict(organised, group, selection, candidate)
    if not asked:
        executed = ", ".join(sorted({group.execution.action for group in makers})) or "nothing"
        yield Note(f"  No rule of a dataset's cascade asks for {frame.category or 'it'} (its own action: {executed}).")


def _asking(organised: Organised) -> Iterator[tuple[FrameGroup, Selection]]:
    """Yield the groups of all cascades with what they select."""
    associator = organised.associator
    seen: set[int] = set()
    yield from ((target, selection) for target in organised.targets for selection in organised.rules.beside)
    waiting = list(organised.targets)
    while waiting:
        group = waiting.pop(0)
        if id(group) in seen:
            continue
        seen.add(id(group))
        for selection in group.action.selections:
            yield group, selection
            taken = associator.choose(group, selection).taken
            waiting += [candidate.maker for candidate in taken if candidate.maker is not None]


def _is_meant(condition: Expression, frame: Frame) -> bool:
    """Tell whether a condition is about files of this category, settings aside."""
    parts = condition.parts if isinstance(condition, All) else (condition,)
    tests = [
        part
        for part in parts
        if isinstance(part, Compared)
        and isinstance(part.left, Keyword)
        and isinstance(part.right, Constant)
        and part.left.name.endswith(("CATG", "RAW.TYPE"))
    ]
    return bool(tests) and not any(objections(test, frame.keywords) for test in tests)


def verdict(
    organised: Organised, group: FrameGroup, selection: Selection, candidate: Candidate, before: str = ""
) -> RuleVerdict:
    """Tell why a candidate was taken or not by one selection of a group; `before` stands before the sentence."""
    what = (
        candidate.frame.name
        if candidate.maker is None
        else (f"{candidate.frame.category} from {candidate.maker.trigger.name}")
    )
    rule = f"{organised.rules.name}:{selection.line}" if selection.line else "as its recipe takes it"
    place = f"{selection.category} for {group.trigger.name} ({rule})"
    taken = candidate in organised.associator.choose(group, selection).taken
    days = days_between(candidate.frame, group.trigger)
    near = "taken" if not isfinite(days) else f"taken, {days:.1f} days away"
    reasons = () if taken else _objections(organised, group, selection, candidate)
    return RuleVerdict(
        f"  {before}{what} as {place}: {'; '.join(reasons) or near}",
        candidate=(candidate.maker.trigger if candidate.maker is not None else candidate.frame).name,
        category=selection.category,
        wanted_for=group.trigger.name,
        line=selection.line or None,
        taken=taken,
        reasons=reasons,
    )


def _objections(organised: Organised, group: FrameGroup, selection: Selection, candidate: Candidate) -> tuple[str, ...]:
    """Return why a candidate was not taken."""
    days = days_between(candidate.frame, group.trigger)
    refused = objections(selection.condition, candidate.frame.keywords, group.trigger.keywords)
    if refused:
        return tuple(refused)
    if (found := separating(organised.breakpoints, candidate.frame, group.trigger)) is not None:
        return (f"a change of the instrument (breakpoint MJD {found.mjd:g}) lies between them",)
    if organised.associator.is_unmade(candidate):
        return (f"it is a raw frame, and recipes make the product {candidate.frame.category}",)
    if selection.most == 0:
        return ("the rule asks for none (maxRet 0)",)
    chosen = organised.associator.survey(group, selection)
    if candidate in chosen.cyclic:
        return ("it would need itself",)
    nearer = ", ".join(taken.frame.name for taken in chosen.taken)
    return (f"it would do, but is {days:.1f} days away and {nearer} is nearer (at most {selection.most})",)


def why_category(organised: Organised, category: str) -> tuple[KnownFact, ...]:
    """Tell which files have a category, who asks for it, and what was found; nothing if nobody knows it."""
    frames = [frame for frame in organised.frames if frame.category == category]
    said = f"{category}: {len(frames)} files on disk" + (f", first {frames[0].name}." if frames else ".")
    facts: list[KnownFact] = [FilesOfCategory(said, category, len(frames))]
    asked = [(group, selection) for group, selection in _asking(organised) if selection.category == category]
    for group, selection in asked:
        facts += _selection_facts(organised, group, organised.associator.choose(group, selection))
    return tuple(facts) if frames or asked else ()


def why_dataset(organised: Organised, dataset: Dataset) -> tuple[KnownFact, ...]:
    """Tell why a dataset is incomplete and what would complete it; what it was made of where it is complete."""
    group = organised.target(dataset.name)
    if group is None:
        return ()
    rule = f"{organised.rules.name}:{group.execution.line}"
    said = (
        f"{dataset.name} is {'complete' if dataset.complete else 'incomplete'}: {group.execution.action} on "
        f"{len(group.frames)} files of {', '.join(sorted({frame.category for frame in group.frames}))} ({rule})."
    )
    facts: list[KnownFact] = [DatasetState(said, dataset.name, rule, dataset.complete, dataset.secondary)]
    facts += _group_facts(organised, group, organised.associator, ())
    return tuple(dict.fromkeys(facts))


def _group_facts(
    organised: Organised, group: FrameGroup, associator: Associator, above: tuple[FrameGroup, ...]
) -> Iterator[KnownFact]:
    for selection in group.action.selections:
        chosen = associator.choose(group, selection, above)
        yield from _selection_facts(organised, group, chosen)
        for candidate in chosen.taken:
            if candidate.maker is not None:
                yield from _group_facts(organised, candidate.maker, associator, (*above, group))


def _selection_facts(organised: Organised, group: FrameGroup, chosen: Chosen) -> Iterator[KnownFact]:
    selection = chosen.selection
    found = ", ".join(_describe_taken(candidate, group) for candidate in chosen.taken) or "none"
    needed = "" if chosen.is_enough else f", needed {selection.least}: this makes it incomplete"
    query = None if chosen.is_enough else query_for(selection.category, organised.rules, group)
    yield AssociationFound(
        f"{selection.category} for {group.trigger.name}: {found}{needed}.",
        category=selection.category,
        wanted_for=group.trigger.name,
        needed=selection.least,
        found=tuple((each.maker.trigger if each.maker is not None else each.frame).name for each in chosen.taken),
        enough=chosen.is_enough,
        query=query or None,
    )
    if chosen.is_enough:
        return
    near = [candidate for candidate in organised.pool.all if _is_meant(selection.condition, candidate.frame)]
    near.sort(key=lambda candidate: days_between(candidate.frame, group.trigger))
    for candidate in near[:_NEAR_MISSES]:
        yield verdict(organised, group, selection, candidate, "not ")
    if not near:
        yield Note(f"  There is no {selection.category} on disk, and nothing from which it could be made.")
    yield Note(
        f"  This TAP query would find it: {query}"
        if query
        else f"  {selection.category} is not made from raw files by these rules: look in the pipeline's static "
        "calibrations, or ask the archive for processed calibrations."
    )


def _describe_taken(candidate: Candidate, group: FrameGroup) -> str:
    days = days_between(candidate.frame, group.trigger)
    away = f", {days:.1f} days away" if isfinite(days) else ""
    if candidate.maker is None:
        return f"{candidate.frame.name}{away}"
    return (
        f"made by {candidate.maker.execution.action} from {len(candidate.maker.frames)} files "
        f"beginning with {candidate.maker.trigger.name}{away}"
    )


def why_tree(dataset: Dataset) -> tuple[KnownFact, ...]:
    """Tell what calSelector says of a dataset, and which of its files are not on this machine."""
    return tuple(_tree_facts(dataset))


def _tree_facts(dataset: Dataset) -> Iterator[KnownFact]:
    state = "complete" if dataset.complete else "incomplete"
    if dataset.secondary:
        state = "incomplete in nothing that a recipe needs"
    said = f"{dataset.name} is {state}, as calSelector says ({dataset.mode or 'mode not known'})."
    yield DatasetState(said, dataset.name, "calSelector", dataset.complete, dataset.secondary)
    for action, purpose in walk_actions(dataset.action):
        for message in action.messages:
            yield Message(f"  {purpose}: {message}", str(purpose), message)
        yield from _absent_files(action, purpose)


def _absent_files(action: Action, purpose: str) -> Iterator[KnownFact]:
    absent = [file.name for file in (*action.files, *action.statics) if file.path is None]
    if absent:
        said = f"  {purpose}: {len(absent)} files are not on this machine: {', '.join(absent)}"
        yield AbsentFiles(said, str(purpose), tuple(absent))


def list_held_up(datasets: Iterable[Dataset]) -> dict[str, tuple[str, ...]]:
    """Return the files that trees name and that are not on this machine, with the datasets that they hold up."""
    found: dict[str, dict[str, None]] = {}
    for dataset in datasets:
        for action, _ in walk_actions(dataset.action):
            for file in (*action.files, *action.statics):
                if file.path is None:
                    found.setdefault(file.name, {})[dataset.name] = None
    return {name: tuple(names) for name, names in found.items()}
