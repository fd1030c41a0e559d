"""A plan unfolded into datasets whose purposes say all that the plan decided.

Reflex knows which files belong together by purposes alone. The plan has decided by headers: which dark fits which flat,
which of several groups is used, that settings are never mixed. So every step becomes an action with its own main files,
and what it takes from other steps becomes the actions below it; two steps under one parent never share a name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile, files_of
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.files import DpId
from esorex_bridge.plan.plan import FileInput, Plan, Step, StepName


def unfold_plan(dataset: Dataset, plan: Plan, marked: Collection[str] = ()) -> tuple[Dataset, ...]:
    """Return one dataset for each target of a plan, the first with the dataset's own name.

    Parameters
    ----------
    dataset : Dataset
        As organised.
    plan : Plan
        Its steps; a step with gaps makes its dataset incomplete, with the gaps as messages.
    marked : collection of str
        Step definitions whose main files are also those of others; their actions carry their names (`FLAT.recipe_1`).
    """
    # A step that always runs is a target of the plan too; its purpose tells that it stands below the science. One whose
    # products another target takes stands below that.
    targets = [step for step in plan.steps if step.target and "/" not in step.purpose]
    below_others = {name for step in targets for name in _find_reached(plan, step)}
    targets = [step for step in targets if step.name not in below_others]
    needed = {name for step in targets for name in (step.name, *_find_reached(plan, step))}
    extras = [step for step in plan.steps if step.target and step.name not in needed]
    names = {file.path: file.name for file in files_of(dataset) if file.path is not None}
    unfolder = _Unfolder(plan, names, marked)
    found = []
    for number, step in enumerate(targets):
        below = (*step.needs, *(extra.name for extra in extras if number == 0))
        top = unfolder.action(step, dataset.action.name, below)
        messages = tuple(dict.fromkeys((*plan.messages, *top.messages)))
        action = replace(top, messages=messages, complete=_is_whole(top), certified=dataset.certified)
        found.append(replace(dataset, name=f"{dataset.name}_{number + 1}" if number else dataset.name, action=action))
    return tuple(found)


def shared_steps(workflow: Workflow) -> frozenset[str]:
    """Return the names of the step definitions whose main categories are also those of another step."""
    return frozenset(
        step.name
        for step in workflow.steps
        for other in workflow.steps
        if other is not step and set(step.main).intersection(other.main)
    )


def _find_reached(plan: Plan, step: Step) -> Iterator[StepName]:
    for name in step.needs:
        yield name
        yield from _find_reached(plan, plan.step(name))


class _Unfolder:
    """Makes actions of steps."""

    def __init__(self, plan: Plan, names: Mapping[Path, DpId], marked: Collection[str]) -> None:
        self._plan, self._names, self._marked = plan, names, marked

    def action(self, step: Step, name: str, below: Iterable[StepName]) -> Action:
        """Return the action of a step, with those of the steps below."""
        files = tuple(
            DatasetFile(self._names.get(entry.path, entry.name), entry.category, entry.path)
            for entry in step.inputs
            if isinstance(entry, FileInput)
        )
        children = _distinct(map(self._child, below))
        said = (*step.gaps, *step.warnings)
        own = f"{name}.{step.actor}" if step.actor in self._marked else name
        return Action(name=own, files=files, actions=children, complete=not step.gaps, messages=said)

    def _child(self, name: StepName) -> Action:
        step = self._plan.step(name)
        return self.action(step, step.purpose.partition("/")[0] or step.recipe, step.needs)


def _distinct(children: Iterable[Action]) -> tuple[Action, ...]:
    """Give actions of one name numbers, so that their purposes differ."""
    seen: dict[str, int] = {}
    found = []
    for child in children:
        seen[child.name] = seen.get(child.name, 0) + 1
        base, dot, step = child.name.partition(".")
        number = seen[child.name]
        found.append(replace(child, name=f"{base}_{number}{dot}{step}") if number > 1 else child)
    return tuple(found)


def _is_whole(action: Action) -> bool:
    return action.complete and all(map(_is_whole, action.actions))
