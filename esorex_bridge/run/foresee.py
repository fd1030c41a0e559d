"""What is known of plans before anything runs: the parameters of every step, what it depends on, and its key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.errors import DataError, RecipeError
from esorex_bridge.files import Digest
from esorex_bridge.plan.parameters import Parameter, effective
from esorex_bridge.plan.plan import FileInput, Plan, Step, StepName
from esorex_bridge.run.key import Statement, StepKey, statements
from esorex_bridge.run.ports import Recipe


class Foreseen(Struct, frozen=True):
    """A plan with all that can be known of it beforehand.

    Parameters
    ----------
    dataset : Dataset
        What is reduced.
    plan : Plan
        Its steps.
    recipes : mapping of str to Recipe
        The installed recipes that it uses.
    parameters : mapping of StepName to tuple of Parameter
        Every parameter of every step.
    stated : mapping of StepName to Statement
        What each step depends on.
    keys : mapping of StepName to StepKey
        The hashes of these.
    """

    dataset: Dataset
    plan: Plan
    recipes: Mapping[str, Recipe]
    parameters: Mapping[StepName, tuple[Parameter, ...]]
    stated: Mapping[StepName, Statement]
    keys: Mapping[StepName, StepKey]

    def needs(self, step: Step) -> tuple[StepKey, ...]:
        """Return the keys of the steps whose products a step takes."""
        return tuple(self.keys[name] for name in step.needs)


class HeldUp(Struct, frozen=True):
    """A plan that cannot even be foreseen, with the reason: a recipe is not installed, a file is damaged."""

    dataset: Dataset
    plan: Plan
    reason: str


def foresee(
    dataset: Dataset,
    plan: Plan,
    recipes: Mapping[str, Recipe | RecipeError],
    digests: Mapping[str, Digest | DataError],
    named: Callable[[str], Digest | None] = lambda _: None,
) -> Foreseen | HeldUp:
    """Return what is known of a plan beforehand, or what holds it up.

    `named` gives the digest of the file that the value of a parameter names, where it names one.

    Raises
    ------
    ParameterError
        A parameter is unknown to its recipe, or has a value that is not allowed: the user must mend that first.
    """
    contents: dict[str, Digest] = {}
    asked = (recipes[name] for name in {step.recipe for step in plan.steps})
    problems = {str(found) for found in asked if isinstance(found, RecipeError)}
    for file in input_files((plan,)):
        content = digests[file]
        if isinstance(content, DataError):
            problems.add(str(content))
        else:
            contents[file] = content
    if problems:
        return HeldUp(dataset, plan, "; ".join(sorted(problems)))
    installed = {name: recipe for name, recipe in recipes.items() if isinstance(recipe, Recipe)}
    parameters = {
        step.name: effective(step.recipe, installed[step.recipe].parameters, step.settings) for step in plan.steps
    }
    texts = {
        parameter.text for each in parameters.values() for parameter in each if parameter.schema.valtype == "string"
    }
    by_name = {text: digest for text in texts if (digest := named(text)) is not None}
    stated, keys = statements(plan, contents, installed, parameters, by_name)
    return Foreseen(dataset, plan, installed, parameters, stated, keys)


def input_files(plans: Iterable[Plan]) -> tuple[str, ...]:
    """Return the paths of the files that plans take, once each."""
    return tuple(
        dict.fromkeys(
            entry.file for plan in plans for step in plan.steps for entry in step.inputs if isinstance(entry, FileInput)
        )
    )
