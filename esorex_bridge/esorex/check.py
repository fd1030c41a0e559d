"""A workflow definition held against the installed recipes."""

from __future__ import annotations

from collections.abc import Iterator

from esorex_bridge.definitions.inspection import DefinitionFinding, inspect, place_of
from esorex_bridge.definitions.parameters import ParameterError, ParameterSetting, effective
from esorex_bridge.definitions.steps import StepDefinition
from esorex_bridge.definitions.workflow import STATES, Workflow
from esorex_bridge.errors import RecipeError
from esorex_bridge.esorex.recipe import Recipe, RecipeRunner

__all__ = ["DefinitionFinding", "check_recipes", "check_workflow"]


def check_workflow(workflow: Workflow, runner: RecipeRunner | None) -> Iterator[DefinitionFinding]:
    """Yield what is wrong: recipes that are not installed, parameters that they do not have or do not allow.

    A definition from documentation is not wrong because its pipeline is not there.
    """
    for finding in (*inspect(workflow), *check_recipes(workflow, runner)):
        if finding.grave:
            yield finding


def check_recipes(workflow: Workflow, runner: RecipeRunner | None) -> Iterator[DefinitionFinding]:
    """Yield what the installed recipes say against a definition, and what could not be checked."""
    if runner is None:
        yield DefinitionFinding(
            workflow.source, "cannot be checked: EsoRex is not installed (Debian: apt-get install esorex)"
        )
        return
    recipes = runner.recipes(dict.fromkeys(step.recipe for step in workflow.steps if not step.command))
    if recipes and all(isinstance(recipe, RecipeError) for recipe in recipes.values()):
        grave = workflow.state == STATES[0]
        yield DefinitionFinding(
            workflow.source, f"pipeline {workflow.pipeline} is not installed: recipes not checked", grave
        )
        return
    for step in workflow.steps:
        if not step.command:
            yield from _check_step(workflow, step, recipes[step.recipe])


def _check_step(workflow: Workflow, step: StepDefinition, recipe: Recipe | RecipeError) -> Iterator[DefinitionFinding]:
    place = place_of(workflow, step)
    if isinstance(recipe, RecipeError):
        yield DefinitionFinding(place, str(recipe))
        return
    own = effective(step.recipe, recipe.parameters, ())
    for name, value in (*step.parameters, *(pair for case in step.cases for pair in case.parameters), *step.tune):
        setting = ParameterSetting(step.recipe, name, value, f"workflow {workflow.name}")
        try:
            changed = effective(step.recipe, recipe.parameters, (setting,))
        except ParameterError as error:
            yield DefinitionFinding(place, str(error))
            continue
        if (name, value) in step.tune:
            yield from (
                DefinitionFinding(place, f"tune says {name} is {new.text} by default, but it is {old.text}")
                for old, new in zip(own, changed, strict=True)
                if old.text != new.text
            )
