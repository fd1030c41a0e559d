"""`step_parameters`: what a recipe is told for the files of a group; stands before a RecipeExecuter's `sop in`.

A RecipeExecuter has one value of a parameter for all files, a definition may have others for some of them (`cases`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reflex_actors.protocol import Actor, Inputs, Port
from reflex_actors.sof_json import RecipeParameter, SetOfFiles, parameter

if TYPE_CHECKING:
    from esorex_bridge.definitions.steps import StepDefinition

ACTOR = Actor(
    "step_parameters",
    "Chooses parameters by the files of a group.",
    (
        Port("in_sof", "files of the group", kind="sof", required=True),
        Port("in_sop", "parameters that were set by hand; they go before all others", kind="sop"),
        Port("step", "recipe, main, parameters and cases of a step, as its definition has them", required=True),
    ),
    (Port("out_sop", "parameters for this group", kind="sop"),),
)


def work(inputs: Inputs) -> dict[str, Any]:
    """Choose: what was set by hand, else what a case says, else what holds for all files."""
    from esorex_bridge.definitions.located import read_yaml
    from esorex_bridge.definitions.step_yaml import read_step

    step, given = read_step(read_yaml(inputs.text("step"), "step"), ()), inputs.sop("in_sop")
    by_hand = {each.display_name for each in given if each.recipe == step.recipe}
    chosen = choose(step, inputs.sof("in_sof"))
    return {"out_sop": (*given, *(each for each in chosen if each.display_name not in by_hand))}


def choose(step: StepDefinition, sof: SetOfFiles) -> tuple[RecipeParameter, ...]:
    """Return the parameters that a step has for a group: its cases look at the first main file, and at all tags."""
    from esorex_bridge.fits.hdus import read_keywords

    main = [Path(file.name) for file in sof.files if file.category in map(step.tag, step.main)]
    keywords = read_keywords(main[0]) if main and main[0].is_file() else {}
    found = step.parameters_for(keywords, {file.category for file in sof.files}) if main else step.parameters
    return tuple(parameter(step.recipe, name, value) for name, value in found)


def text_for(step: StepDefinition) -> str:
    """Return the text for the port `step`: what a step's cases decide about."""
    from esorex_bridge.definitions.cases import write_cases

    named = {name for case in step.cases for name, _ in case.parameters}
    general = {name: value for name, value in (*step.tune, *step.parameters) if name in named}
    main = [step.tag(category) for category in step.main]
    told = {"recipe": step.recipe, "main": main, "products": [], "parameters": general}
    return json.dumps({**told, "cases": write_cases(step.cases)})
