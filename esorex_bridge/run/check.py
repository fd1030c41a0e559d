"""A workflow definition held against the installed recipes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from esorex_bridge.errors import RecipeError
from esorex_bridge.plan.parameters import ParameterError, ParameterSetting, effective
from esorex_bridge.plan.workflow import StepDefinition, Workflow
from esorex_bridge.run.ports import RecipeRunner


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong in a definition: where, and what."""

    place: str
    problem: str


def check_workflow(workflow: Workflow, runner: RecipeRunner | None) -> Iterator[Finding]:
    """Yield what is wrong: recipes that are not installed, parameters that they do not have or do not allow."""
    if runner is None:
        yield Finding(workflow.source, "cannot be checked: EsoRex is not installed (Debian: apt-get install esorex)")
        return
    for step in workflow.steps:
        yield from _check_step(workflow, step, runner)


def _check_step(workflow: Workflow, step: StepDefinition, runner: RecipeRunner) -> Iterator[Finding]:
    place = f"{workflow.source}:{step.line}"
    recipe = runner.recipes((step.recipe,))[step.recipe]
    if isinstance(recipe, RecipeError):
        yield Finding(place, str(recipe))
        return
    for name, value in step.parameters:
        setting = ParameterSetting(step.recipe, name, value, f"workflow {workflow.name}")
        try:
            effective(step.recipe, recipe.parameters, (setting,))
        except ParameterError as error:
            yield Finding(place, str(error))
