"""Review of a dataset that trees or rules make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esorex_bridge.errors import UnknownNameError
from esorex_bridge.files import DpId
from esorex_bridge.organise.review import Alternative, Effect

if TYPE_CHECKING:
    from esorex_bridge.datasets.choices import Choices
    from esorex_bridge.datasets.dataset import Action, Dataset
    from esorex_bridge.definitions.workflow import Workflow
    from esorex_bridge.organise.grouping import Candidate, FrameGroup
    from esorex_bridge.organise.organised_data import OrganisedData
    from esorex_bridge.organise.organiser import Organised
    from esorex_bridge.organise.review import Planner
    from esorex_bridge.plan.plan import Step, StepName


class DatasetReview:
    """A dataset of trees or rules under review.

    Parameters
    ----------
    root : Path
        The data root.
    data : OrganisedData
        What there is.
    dataset : Dataset
        As organised, without choices.
    choices : Choices
        Those that are kept.
    plan : Planner
        Makes the plans that are compared.
    """

    def __init__(self, root: Path, data: OrganisedData, dataset: Dataset, choices: Choices, plan: Planner) -> None:
        self._root, self._data, self._dataset, self._plan = root, data, dataset, plan
        self.name, self.choices = dataset.name, choices

    def key_of(self, category: str, purpose: str | None) -> str:
        """Return the key of a choice, by default where the category is used nearest to the science."""
        from esorex_bridge.datasets.choices import key_for, purpose_in
        from esorex_bridge.organise.offers import find_run_with

        if purpose:
            return f"{category}/{purpose_in(self._dataset.action, purpose)}"
        return key_for(self._dataset.action, category, lambda action: find_run_with(self._data, self._dataset, action))

    def recipe_of(self, name: str) -> str:
        """Return the recipe that is meant: parameters are given by it."""
        return name

    def effect_of(self, choices: Choices) -> Effect:
        """Return what choices change in the plan that there is with those that are kept."""
        return _find_effect(self._plan, self._with(self.choices), self._with(choices))

    def alternatives(self, choices: Choices) -> tuple[Alternative, ...]:
        """Return what could be used, and what the plan with choices uses."""
        reviewed = self._with(choices)
        taken = _find_taken_files(self._plan, reviewed)
        return tuple(dict.fromkeys(_mark(_offer(self._data, self._dataset), reviewed, taken)))

    def messages(self, choices: Choices) -> tuple[str, ...]:
        """Return what is said of the science action, choices among it."""
        return self._with(choices).action.messages

    def main_files(self) -> tuple[str, ...]:
        """Return the names of the science files."""
        return tuple(file.name for file in self._dataset.action.files)

    def path_of(self, name: str) -> Path | None:
        """Return where a file lies."""
        return self._paths.get(DpId(name))

    @cached_property
    def _paths(self) -> Mapping[DpId, Path]:
        from esorex_bridge.workspace.scan import by_archive_name

        return by_archive_name(self._data.headers)

    def keep(self, choices: Choices) -> None:
        """Keep choices in the data root."""
        from esorex_bridge.organise.choices_file import read_choices_file, write_choices_file

        write_choices_file(self._root, {**read_choices_file(self._root), self.name: choices})

    def _with(self, choices: Choices) -> Dataset:
        from esorex_bridge.organise.offers import with_choices

        return with_choices(self._data, self._dataset, choices)


Taken = dict[tuple[str, str], int | None]
"""By file and the purpose that it is used for: the level of the association, None where it has none."""


def _find_taken_files(planner: Planner, dataset: Dataset) -> Taken | None:
    """Return which files the plan of a dataset uses, and for what; None where nothing is known of its recipes.

    A file is used for what it is processed with, and for what takes the products that are made of it.
    """
    from esorex_bridge.datasets.dataset import walk_actions

    planned = planner(dataset)
    if planned is None:
        return None
    _, plan = planned
    raws = {step.name: _main_files(step) for step in plan.steps}
    found: Taken = {}
    for action, purpose in walk_actions(dataset.action):
        main = {file.name for file in action.files}
        for step in plan.steps:
            if step.purpose == purpose or main & raws[step.name]:
                found.update(_find_taken(step, purpose, raws))
    return found


def _find_taken(step: Step, purpose: str, raws: Mapping[StepName, set[str]]) -> Taken:
    from esorex_bridge.plan.plan import FileInput, association_of

    found: Taken = {}
    for entry in step.inputs:
        association = association_of(step, entry)
        level = None if association is None else association.level
        for name in (entry.name,) if isinstance(entry, FileInput) else raws[entry.step]:
            found[(name, purpose)] = level
    return found


def _main_files(step: Step) -> set[str]:
    from esorex_bridge.plan.plan import FileInput, association_of

    files = (entry for entry in step.inputs if isinstance(entry, FileInput))
    return {entry.name for entry in files if association_of(step, entry) is None}


def _find_effect(planner: Planner, before: Dataset, after: Dataset) -> Effect:
    """Return what a choice changes in the plan of a dataset.

    Raises
    ------
    UserError
        If it names a recipe that the workflow does not have.
    """
    from esorex_bridge.plan.accounting import compare_plans, say

    planned, planned_after = planner(before), planner(after)
    if planned is None or planned_after is None:
        return Effect()
    (_, old), (workflow, new) = planned, planned_after
    _refuse_unknown_recipes(after, workflow)
    chosen = set(after.chosen) - set(before.chosen)
    refused = (
        f"{each.name}: {say(each.reason, each.detail)}"
        for each in new.not_used
        if each.name in chosen and each.reason != "chosen by the user"
    )
    worse = (text for text in new.incomplete if text not in old.incomplete)
    return Effect(tuple(compare_plans(old, new)), "; ".join((*refused, *worse)))


def _refuse_unknown_recipes(dataset: Dataset, workflow: Workflow) -> None:
    """Refuse a parameter of a recipe that the workflow does not have, as `run` does."""
    known = dict.fromkeys(step.recipe for step in workflow.steps)
    for recipe, name, _ in dataset.parameters:
        if recipe not in known:
            raise UnknownNameError("recipe", recipe, known, f"--set {recipe}.{name}: workflow {workflow.name}")


def _mark(rows: Iterator[Alternative], reviewed: Dataset, taken: Taken | None) -> Iterator[Alternative]:
    """Mark the rows that the plan takes; where nothing is known of recipes, those that are in the dataset."""
    from esorex_bridge.datasets.dataset import purposes

    used = {(file.name, purpose) for file, served in purposes(reviewed).items() for purpose in served}
    above = {(name, purpose.partition("/")[2]) for name, purpose in used}
    for row in rows:
        if taken is None:
            yield replace(row, used=(row.file, row.purpose) in used | above)
            continue
        places = [(name, row.purpose) for name in (row.file, *row.members) if (name, row.purpose) in taken]
        yield replace(row, used=bool(places), level=taken[places[0]] if places else None)


def _offer(data: OrganisedData, dataset: Dataset) -> Iterator[Alternative]:
    """Yield what could be used for each calibration of a dataset: by rules where they know it, else by its tree."""
    known = data.of(dataset.name)
    target = known.target(dataset.name) if known else None
    if known is not None and target is not None and not dataset.mode:
        yield from _by_rules(known, target)
    else:
        yield from _by_tree(data, dataset.action, dataset.action.name)


def _by_rules(known: Organised, target: FrameGroup) -> Iterator[Alternative]:
    from esorex_bridge.organise.association import days_between

    waiting = [(target, target.execution.action)]
    seen = {id(target)}
    while waiting:
        group, purpose = waiting.pop(0)
        for selection in group.action.selections:
            chosen = known.associator.survey(group, selection)
            for candidate in (*chosen.taken, *chosen.surplus):
                days = days_between(candidate.frame, group.trigger)
                yield _row(purpose, selection.category, candidate, candidate in chosen.taken, days)
                if candidate.maker and candidate in chosen.taken and id(candidate.maker) not in seen:
                    seen.add(id(candidate.maker))
                    waiting.append((candidate.maker, f"{candidate.maker.execution.action}/{purpose}"))


def _row(purpose: str, category: str, candidate: Candidate, used: bool, days: float) -> Alternative:
    frames = candidate.maker.frames if candidate.maker else (candidate.frame,)
    first = frames[0]
    own = first.category if candidate.maker else category
    grade = first.keywords.get("OBS.GRADE") or first.keywords.get("QC.GRADE") or "-"
    return Alternative(
        purpose,
        own,
        first.name,
        len(frames),
        used,
        days if days < float("inf") else None,
        "settings agree",
        "-",
        str(grade),
        tuple(frame.name for frame in frames),
    )


def _by_tree(data: OrganisedData, action: Action, purpose: str) -> Iterator[Alternative]:
    from esorex_bridge.organise.alternatives import alternatives_of

    for choices in alternatives_of(action, data.headers):
        for place, choice in enumerate(choices):
            first = choice.action.files[0].name if choice.action.files else "-"
            yield Alternative(
                purpose,
                choice.action.name,
                first,
                len(choice.action.files),
                place == 0,
                choice.days if choice.days < float("inf") else None,
                "; ".join((choice.action.match or "-", *choice.disagreements)),
                "yes" if choice.action.certified else "no",
                members=tuple(file.name for file in choice.action.files),
            )
            yield from _by_tree(data, choice.action, f"{choice.action.name}/{purpose}")
    for file in action.statics:
        yield Alternative(
            purpose, file.category, file.name, 1, True, None, file.match or "-", "yes" if file.certified else "no"
        )
