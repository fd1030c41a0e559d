"""Both ways at once: the tree where calSelector made one, the rules where it did not or where a group is missing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile
from esorex_bridge.definitions.oca.rules import Selection
from esorex_bridge.organise.association import as_file
from esorex_bridge.organise.grouping import Candidate, FrameGroup
from esorex_bridge.organise.organiser import Organised
from esorex_bridge.workspace.scan import archive_name

_MISSING = re.compile(r"Missing (\S+)")
_NOT_SUPPORTED = "not supported"
_FILLED = "Filled by rules: "


def combine_datasets(trees: Iterable[Dataset], organised: Iterable[Organised]) -> tuple[Dataset, ...]:
    """Return the datasets of trees, filled by rules, and those that rules alone know of.

    A tree that says that its file type is not supported is replaced as a whole; of one that misses a group, or whose
    group is not on this machine, that group is filled from the files on disk, with a message.

    Parameters
    ----------
    trees : iterable of Dataset
        From calSelector.
    organised : iterable of Organised
        The same files by rules, one per instrument.
    """
    by_rules = [(known, dataset) for known in organised for dataset in known.datasets]
    ruled = {identity: pair for pair in by_rules for identity in _identities(pair[1].action)}
    datasets = []
    covered: set[str] = set()
    for dataset in trees:
        names = _identities(dataset.action)
        covered |= names
        match = next((ruled[name] for name in sorted(names) if name in ruled), None)
        datasets.append(_combine(dataset, *match) if match else dataset)
    datasets += [dataset for _, dataset in by_rules if covered.isdisjoint(_identities(dataset.action))]
    return tuple(sorted(datasets, key=lambda dataset: dataset.name))


def side_by_side(
    trees: Iterable[Dataset], named: Collection[str], organised: Iterable[Organised]
) -> tuple[Dataset, ...]:
    """Return the datasets of trees as they are, and those that rules make of frames that no tree names.

    Parameters
    ----------
    trees : iterable of Dataset
        From calSelector.
    named : collection of str
        Archive names of all files that trees name.
    organised : iterable of Organised
        All files by rules, one per instrument.
    """
    by_rules = (dataset for known in organised for dataset in known.datasets)
    others = (dataset for dataset in by_rules if not any(_archive_name(file) in named for file in dataset.action.files))
    return tuple(sorted((*trees, *others), key=lambda dataset: dataset.name))


def _archive_name(file: DatasetFile) -> str:
    """Return the name under which the archive knows a file, also where its colons are underscores."""
    return archive_name(file.path) if file.path is not None else file.name


def _combine(dataset: Dataset, known: Organised, by_rules: Dataset) -> Dataset:
    if _is_unsupported(dataset.action):
        return _replace_action(dataset, by_rules)
    return replace(dataset, action=_fill(dataset.action, known))


def _is_unsupported(action: Action) -> bool:
    return any(_NOT_SUPPORTED in message for message in action.messages)


def _replace_action(dataset: Dataset, by_rules: Dataset) -> Dataset:
    told = f"{_FILLED}calSelector does not support this kind of file"
    action = replace(by_rules.action, messages=(*by_rules.action.messages, told), certified=False)
    return replace(dataset, name=by_rules.name, action=action, mode=None)


def _fill(action: Action, known: Organised) -> Action:
    """Fill what an action and those below it miss."""
    action = replace(action, actions=tuple(_fill(child, known) for child in action.actions))
    group = _group_of(action, known)
    if group is None:
        return action
    missing = [category for message in action.messages for category in _MISSING.findall(message)]
    absent = [child.name for child in action.actions if _is_elsewhere(child)]
    found = {category: tuple(_candidates(category, group, known)) for category in (*missing, *absent)}
    filled = {category: candidates for category, candidates in found.items() if candidates}
    return _with_parts(action, filled, known, set(missing) <= set(filled)) if filled else action


def _with_parts(
    action: Action, filled: dict[str, tuple[Candidate, ...]], known: Organised, nothing_missing: bool
) -> Action:
    statics, made = _parts(filled, known)
    kept = tuple(child for child in action.actions if not (_is_elsewhere(child) and child.name in filled))
    actions = tuple(dict.fromkeys((*kept, *made)))
    left = tuple(message for message in action.messages if not _is_told(message, filled))
    complete = (action.complete or nothing_missing) and all(child.complete for child in actions)
    return replace(
        action,
        statics=tuple(dict.fromkeys((*action.statics, *statics))),
        actions=actions,
        messages=(*left, *(f"{_FILLED}{category}" for category in filled)),
        complete=complete,
        secondary=action.secondary and not complete,
    )


def _is_told(message: str, filled: dict[str, tuple[Candidate, ...]]) -> bool:
    named = _MISSING.findall(message)
    return bool(named) and all(category in filled for category in named)


def _is_elsewhere(action: Action) -> bool:
    """Tell whether a group has no file on this machine, or calSelector could not make it."""
    if action.auxiliary:
        return False
    return _is_unsupported(action) or (bool(action.files) and all(file.path is None for file in action.files))


def _group_of(action: Action, known: Organised) -> FrameGroup | None:
    names = _identities(action)
    return next(
        (
            group
            for group in known.groups
            if any(frame.name in names or str(frame.path) in names for frame in group.frames)
        ),
        None,
    )


def _identities(action: Action) -> set[str]:
    """Return names and paths of an action's files: archives unpacked elsewhere write colons as underscores."""
    return {file.name for file in action.files} | {str(file.path) for file in action.files if file.path is not None}


def _candidates(category: str, group: FrameGroup, known: Organised) -> Iterator[Candidate]:
    """Yield what the rules choose for a group where calSelector names a category: of a file, a product or a group."""
    for selection in group.action.selections:
        for candidate in known.associator.choose(group, selection).taken:
            if category in _names(selection, candidate):
                yield candidate


def _names(selection: Selection, candidate: Candidate) -> set[str]:
    if candidate.maker is None:
        return {selection.category, candidate.frame.category}
    raws = {frame.category for frame in candidate.maker.frames}
    return {selection.category, candidate.maker.execution.action, *raws}


def _parts(filled: dict[str, tuple[Candidate, ...]], known: Organised) -> tuple[list[DatasetFile], list[Action]]:
    associator = known.associator
    statics = [
        as_file(candidate.frame, category)
        for category, candidates in filled.items()
        for candidate in candidates
        if candidate.maker is None
    ]
    actions = [
        associator.action(candidate.maker)
        for candidates in filled.values()
        for candidate in candidates
        if candidate.maker is not None
    ]
    return statics, actions
