"""`sof_for_recipe`: from a dataset and the products so far, the files that a recipe takes, with the right purposes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from esorex_bridge.definitions.workflow import StepDefinition, Workflow
from esorex_bridge.errors import UserError
from reflex_actors.dataset_json import read_datasets
from reflex_actors.protocol import Actor, Inputs, Port
from reflex_actors.purposes import accumulate, combine, of_step, own_purposes
from reflex_actors.sof_json import SetOfFiles

ACTOR = Actor(
    "sof_for_recipe",
    "Gathers what a recipe takes of a dataset.",
    (
        Port("dataset", "a dataset", kind="json", required=True),
        Port("recipe", "the recipe", required=True),
        Port("products", "what earlier steps made", kind="sof"),
        Port("workflow", "workflow definition; default: the one that has the recipe"),
    ),
    (Port("out_sof", "files of all groups; SofSplitter takes them apart", kind="sof"),),
)


def work(inputs: Inputs) -> dict[str, Any]:
    """Gather."""
    datasets = read_datasets(inputs.json("dataset"))
    if len(datasets) != 1:
        raise UserError(f"dataset holds {len(datasets)} datasets; select one first (select_dataset)")
    workflow, step = step_of(inputs.text("recipe"), inputs.text("workflow"))
    return {"out_sof": gathered(datasets[0].sof(), inputs.sof("products"), workflow, step)}


def gathered(files: SetOfFiles, products: SetOfFiles, workflow: Workflow, step: StepDefinition) -> SetOfFiles:
    """Return the files that a step takes, of all its groups.

    Parameters
    ----------
    files, products : SetOfFiles
        All files of a dataset, and what steps so far made of them.
    workflow : Workflow
        Tells which files are another step's.
    step : StepDefinition
        The step.
    """
    main = of_step(_of(files, step.main), step.name)
    for other in workflow.steps:
        if other is not step and any(need.category in step.main for need in other.calibrations):
            main = own_purposes(main, _of(files, other.main))
    if not main.files:
        return main
    offered = accumulate((files, products), same_dataset=False)
    beside = [
        replace(file, category=need.category)
        for need in step.calibrations
        for file in _of(offered, need.accepted).files
        if file.category not in step.main
    ]
    return combine([main], [main.with_files(beside)])


def step_of(recipe: str, workflow: str) -> tuple[Workflow, StepDefinition]:
    """Return the step definition of a recipe with its workflow.

    Raises
    ------
    UserError
        No workflow has the recipe.
    """
    from reflex_actors.definitions import definition_named, definitions

    for definition in (definition_named(workflow),) if workflow else definitions():
        for step in definition.steps:
            if recipe in (step.recipe, step.name):
                return definition, step
    raise UserError(f"no workflow has a step with the recipe '{recipe}'; give a definition by the input workflow")


def _of(sof: SetOfFiles, categories: tuple[str, ...]) -> SetOfFiles:
    return sof.with_files(file for file in sof.files if file.category in categories)
