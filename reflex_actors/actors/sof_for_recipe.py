"""`sof_for_recipe`: from a dataset and the products so far, the files that a recipe takes, with the right purposes."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any

from esorex_bridge.definitions.steps import StepDefinition
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.errors import DataError, UserError
from reflex_actors.actors.step_inputs import by_header, with_main_files, without_purposes
from reflex_actors.dataset_json import ReflexAction, ReflexDataset, read_datasets
from reflex_actors.protocol import Actor, Inputs, Port
from reflex_actors.purposes import accumulate, combine, of_step, own_purposes, patterns_of
from reflex_actors.sof_json import FitsFile, SetOfFiles

ACTOR = Actor(
    "sof_for_recipe",
    "Gathers what a recipe takes of a dataset, and leaves groups out that lack something.",
    (
        Port("dataset", "a dataset", kind="json", required=True),
        Port("recipe", "the recipe", required=True),
        Port("products", "what earlier steps made", kind="sof"),
        Port("workflow", "workflow definition; default: the one that has the recipe"),
        Port("without", "tags to go on without, although the dataset has what they are made of"),
    ),
    (
        Port("out_sof", "files of all groups; SofSplitter takes them apart", kind="sof"),
        Port("messages", "groups that are left out, and what they lack"),
    ),
)


def work(inputs: Inputs) -> dict[str, Any]:
    """Gather; where no group has all that it needs, refuse with what is lacking."""
    datasets = read_datasets(inputs.json("dataset"))
    if len(datasets) != 1:
        raise UserError(f"dataset holds {len(datasets)} datasets; select one first (select_dataset)")
    (dataset,) = datasets
    workflow, step = step_of(inputs.text("recipe"), inputs.text("workflow"))
    taken = gather(dataset, inputs.sof("products"), workflow, step)
    obstacles = find_obstacles(dataset, taken, workflow, step, patterns_of(inputs.text("without")))
    left = without_purposes(taken, obstacles)
    if obstacles and not left.files:
        raise DataError("; ".join(dict.fromkeys(obstacles.values())))
    messages = [f"{purpose} is left out: {why}" for purpose, why in obstacles.items()]
    for line in messages:
        sys.stderr.write(f"{dataset.name}: {line}\n")
    return {"out_sof": left, "messages": "\n".join(messages)}


def gather(dataset: ReflexDataset, products: SetOfFiles, workflow: Workflow, step: StepDefinition) -> SetOfFiles:
    """Return the files that a step takes, of all its groups.

    Parameters
    ----------
    dataset : ReflexDataset
        As `organise_datasets` makes it.
    products : SetOfFiles
        What steps so far made of it.
    workflow : Workflow
        Tells which files are another step's.
    step : StepDefinition
        The step.
    """
    files = dataset.sof()
    made = by_header(products, {*step.main, *(name for need in step.calibrations for name in need.accepted)})
    main = _main_files(dataset, files, made, workflow, step)
    if not main.files:
        return main
    offered = accumulate((files, made), same_dataset=False)
    beside = [
        replace(file, category=need.category)
        for need in step.calibrations
        for file in _of(offered, need.accepted).files
        if file.category not in step.main
    ]
    return with_main_files(combine([main], [main.with_files(beside)]), main)


def _main_files(
    dataset: ReflexDataset, files: SetOfFiles, made: SetOfFiles, workflow: Workflow, step: StepDefinition
) -> SetOfFiles:
    """Return the main files of a step: raw ones, or products of the steps before."""
    main = of_step(_of(files, (*step.main, *map(step.tag, step.main))), step.name)
    for other in workflow.steps:
        if other is not step and any(need.category in step.main for need in other.calibrations):
            main = own_purposes(main, _of(files, other.main))
    actions = dict(_by_purpose(dataset.action))
    others = {purpose for purpose, action in actions.items() if step_at(action, workflow) not in (step, None)}
    of_others = SetOfFiles(files=(FitsFile("", "", tuple(others)),))
    following = own_purposes(_of(made, step.main), of_others) if others else _of(made, step.main)
    tagged = (replace(file, category=step.tag(file.category)) for file in following.files)
    return accumulate((main, main.with_files(tagged)), same_dataset=False)


def find_obstacles(
    dataset: ReflexDataset, taken: SetOfFiles, workflow: Workflow, step: StepDefinition, without: Collection[str] = ()
) -> dict[str, str]:
    """Return what the groups of a step lack, by their purposes.

    That is what the plan said of them, and what a step before was to make and did not, but for tags that they may go on
    `without`.
    """
    actions = dict(_by_purpose(dataset.action))
    found = {}
    for purpose in taken.purposes:
        action = actions.get(purpose)
        if action is None:
            continue
        if not action.complete:
            found[purpose] = "; ".join(action.messages) or f"{action.name} is not complete"
        else:
            there = Counter(file.category for file in taken.files if file.universal or purpose in file.purposes)
            if lacking := "; ".join(_find_unmade(action, there, workflow, step, without)):
                found[purpose] = f"{step.recipe} needs {lacking}"
    return found


def _find_unmade(
    action: ReflexAction, there: Counter[str], workflow: Workflow, step: StepDefinition, without: Collection[str]
) -> Iterator[str]:
    """Yield what the recipes below an action make and a group does not have: `MASTER_FLAT: naco_img_flat …`."""
    makers = [maker for below in action.actions if (maker := step_at(below, workflow)) is not None]
    runs = Counter((maker.recipe, frozenset(_tags_of(maker.products, step)).difference(without)) for maker in makers)
    for (recipe, tags), number in runs.items():
        if tags and sum(there[tag] for tag in tags) < number:
            yield f"{' or '.join(sorted(tags))}: {recipe} was not made"


def _tags_of(categories: Iterable[str], step: StepDefinition) -> Iterator[str]:
    """Yield the tags under which a step takes products of some categories."""
    made = set(categories)
    yield from (step.tag(category) for category in step.main if category in made)
    yield from (need.category for need in step.calibrations if made.intersection(need.accepted))


def step_at(action: ReflexAction, workflow: Workflow) -> StepDefinition | None:
    """Return the step that an action stands for; None where that cannot be said.

    The bridge gives every step of a plan an action, which holds its files and has below it what makes its other inputs.
    """
    marked = action.name.partition(".")[2]
    if marked:
        return next((step for step in workflow.steps if step.name == marked), None)
    own = {file.category for file in action.files}
    on_files = [step for step in workflow.steps if own.intersection(map(step.tag, step.main))]
    if on_files:
        return max(on_files, key=lambda step: len(own.intersection(_known_tags(step))))
    makers = [maker for below in action.actions if (maker := step_at(below, workflow)) is not None]
    made = {product for maker in makers for product in maker.products}
    on_products = (step for step in workflow.steps if step not in makers and made.intersection(step.main))
    return next(on_products, None)


def _known_tags(step: StepDefinition) -> set[str]:
    beside = (name for need in step.calibrations for name in (need.category, *need.accepted))
    return {*map(step.tag, step.main), *beside}


def _by_purpose(action: ReflexAction, above: str = "") -> Iterator[tuple[str, ReflexAction]]:
    """Yield an action and all below with their purposes."""
    purpose = f"{action.name}/{above}" if above else action.name
    yield purpose, action
    for below in action.actions:
        yield from _by_purpose(below, purpose)


def step_of(recipe: str, workflow: str) -> tuple[Workflow, StepDefinition]:
    """Return the step definition of a recipe with its workflow.

    Raises
    ------
    UserError
        If no workflow has the recipe.
    """
    from reflex_actors.definitions import definition_named, definitions

    for definition in (definition_named(workflow),) if workflow else definitions():
        for step in definition.steps:
            if recipe in (step.recipe, step.name):
                return definition, step
    raise UserError(f"no workflow has a step with the recipe '{recipe}'; give a definition by the input workflow")


def _of(sof: SetOfFiles, categories: tuple[str, ...]) -> SetOfFiles:
    return sof.with_files(file for file in sof.files if file.category in categories)
