"""A plan unfolded into datasets whose purposes say all that the plan decided.

Reflex knows which files belong together by purposes alone. The plan has decided by headers: which dark fits which flat,
which of several groups is used, that settings are never mixed. So every step becomes an action with its own main files,
and what it takes from other steps becomes the actions below it; two steps under one parent never share a name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile, files_of
from esorex_bridge.plan.plan import FileInput, Plan, Step


def unfolded(dataset: Dataset, plan: Plan) -> tuple[Dataset, ...]:
    """Return one dataset for each target of a plan, the first with the dataset's own name.

    Parameters
    ----------
    dataset : Dataset
        As organised.
    plan : Plan
        Its steps; a step with gaps makes its dataset incomplete, with the gaps as messages.
    """
    # A step that always runs is a target of the plan too; its purpose tells that it stands below the science.
    targets = [step for step in plan.steps if step.target and "/" not in step.purpose]
    needed = {name for step in targets for name in (step.name, *_reached(plan, step))}
    extras = [step for step in plan.steps if step.target and step.name not in needed]
    names = {file.path: file.name for file in files_of(dataset) if file.path is not None}
    found = []
    for number, step in enumerate(targets):
        below = _children(plan, step, names) + (_others(plan, extras, names) if number == 0 else ())
        top = _action(step, dataset.action.name, _distinct(below), names)
        messages = tuple(dict.fromkeys((*plan.messages, *top.messages)))
        action = replace(top, messages=messages, complete=_is_whole(top), certified=dataset.certified)
        found.append(replace(dataset, name=f"{dataset.name}_{number + 1}" if number else dataset.name, action=action))
    return tuple(found)


def _reached(plan: Plan, step: Step) -> Iterator[str]:
    for name in step.needs:
        yield name
        yield from _reached(plan, plan.step(name))


def _children(plan: Plan, step: Step, names: dict[Path, str]) -> tuple[Action, ...]:
    steps = [plan.step(name) for name in step.needs]
    return tuple(_action(child, _name(child), _distinct(_children(plan, child, names)), names) for child in steps)


def _others(plan: Plan, steps: list[Step], names: dict[Path, str]) -> tuple[Action, ...]:
    return tuple(_action(step, _name(step), _distinct(_children(plan, step, names)), names) for step in steps)


def _name(step: Step) -> str:
    return step.purpose.partition("/")[0] or step.recipe


def _action(step: Step, name: str, children: tuple[Action, ...], names: dict[Path, str]) -> Action:
    files = tuple(
        DatasetFile(names.get(entry.path, entry.name), entry.category, entry.path)
        for entry in step.inputs
        if isinstance(entry, FileInput)
    )
    said = (*step.gaps, *step.warnings)
    return Action(name=name, files=files, actions=children, complete=not step.gaps, messages=said)


def _distinct(children: tuple[Action, ...]) -> tuple[Action, ...]:
    """Give actions of one name numbers, so that their purposes differ."""
    seen: dict[str, int] = {}
    found = []
    for child in children:
        seen[child.name] = seen.get(child.name, 0) + 1
        number = seen[child.name]
        found.append(replace(child, name=f"{child.name}_{number}") if number > 1 else child)
    return tuple(found)


def _is_whole(action: Action) -> bool:
    return action.complete and all(map(_is_whole, action.actions))
