"""Choosing: what a user's choice changes in the plan, and whether the plan does with it, before it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from esorex_bridge.errors import UnknownNameError, UserError

if TYPE_CHECKING:
    from esorex_bridge.datasets.dataset import Dataset
    from esorex_bridge.definitions.workflow import Workflow
    from esorex_bridge.organise.from_disk import OrganisedData
    from esorex_bridge.plan.plan import Plan, Step, StepName


class Effect(Struct, frozen=True):
    """What a choice does to the plan of a dataset.

    Parameters
    ----------
    lines : tuple of str
        What differs, in words.
    problem : str
        Why the plan would not do with it; empty where it does.
    """

    lines: tuple[str, ...] = ()
    problem: str = ""


Taken = dict[tuple[str, str], int | None]
"""By file and the purpose that it is used for: the level of the association, None where it has none."""


def taken_files(data: OrganisedData, dataset: Dataset) -> Taken | None:
    """Return which files the plan of a dataset uses, and for what; None where nothing is known of its recipes.

    A file is used for what it is processed with, and for what takes the products that are made of it.
    """
    from esorex_bridge.datasets.dataset import walk_actions

    plan = _plan(data, dataset)
    if plan is None:
        return None
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


def _plan(data: OrganisedData, dataset: Dataset) -> Plan | None:
    """Return the plan of a dataset; None where nothing is known of its recipes."""
    from esorex_bridge.datasets.dataset import files_of
    from esorex_bridge.definitions.workflow import choose_workflow
    from esorex_bridge.fits.header import read_header
    from esorex_bridge.organise.selection import science_header
    from esorex_bridge.plan.cascade import make_plan

    try:
        workflow = choose_workflow(data.workflows, dataset.instrument, science_header(dataset, data.headers))
    except UserError:
        return None
    paths = {file.path for file in files_of(dataset) if file.path is not None}
    return make_plan(dataset, workflow, {path: read_header(path) for path in paths})


def effect_of_choice(data: OrganisedData, before: Dataset, after: Dataset) -> Effect:
    """Return what a choice changes in the plan of a dataset.

    Raises
    ------
    UserError
        If it names a recipe that the workflow does not have.
    """
    from esorex_bridge.plan.accounting import compare_plans, say

    old, new = _plan(data, before), _plan(data, after)
    if old is None or new is None:
        return Effect()
    workflow = next(each for each in data.workflows if each.name == new.workflow)
    _refuse_unknown_recipes(after, workflow)
    chosen = set(after.chosen) - set(before.chosen)
    refused = (
        f"{each.name}: {say(each.reason, each.detail)}"
        for each in new.not_used
        if each.name in chosen and each.reason != "chosen by the user"
    )
    worse = (text for text in new.incomplete if text not in old.incomplete)
    return Effect(tuple(compare_plans(old, new)), "; ".join((*refused, *worse)))


def use_file(
    data: OrganisedData, root: Path, name: str, category: str, file: str, purpose: str | None, force: bool = False
) -> tuple[str, ...]:
    """Keep the choice of a file for a category of a dataset, and return what it changes in the plan, in words.

    Raises
    ------
    UserError
        If there is no such dataset, file, category or purpose, or the plan would not do with it and nobody forces it.
    """
    from esorex_bridge.datasets.choices import Choices
    from esorex_bridge.files import stem
    from esorex_bridge.organise.choices_file import write_choices_file
    from esorex_bridge.organise.from_disk import with_choices

    dataset = data.before.get(name)
    if dataset is None:
        raise UnknownNameError("dataset", name, data.before)
    choices = data.choices.get(name, Choices())
    changed = choices.with_use(key_of_choice(data, dataset, category, purpose), stem(Path(file).name))
    effect = effect_of_choice(data, with_choices(data, dataset, choices), with_choices(data, dataset, changed))
    if effect.problem and not force:
        raise UserError(f"the plan would not do with this choice: {effect.problem}; force keeps it all the same")
    write_choices_file(root, {**data.choices, name: changed})
    return effect.lines


def key_of_choice(data: OrganisedData, dataset: Dataset, category: str, purpose: str | None) -> str:
    """Return the key of a choice: the category with its purpose, by default where it is used nearest to the science."""
    from esorex_bridge.datasets.choices import key_for, purpose_in
    from esorex_bridge.organise.from_disk import taken_by

    if purpose:
        return f"{category}/{purpose_in(dataset.action, purpose)}"
    return key_for(dataset.action, category, lambda action: taken_by(data, dataset, action))


def _refuse_unknown_recipes(dataset: Dataset, workflow: Workflow) -> None:
    """Refuse a parameter of a recipe that the workflow does not have, as `run` does."""
    known = dict.fromkeys(step.recipe for step in workflow.steps)
    for recipe, name, _ in dataset.parameters:
        if recipe not in known:
            raise UnknownNameError("recipe", recipe, known, f"--set {recipe}.{name}: workflow {workflow.name}")
