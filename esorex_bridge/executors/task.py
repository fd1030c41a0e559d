"""A task: one step to be made, written down so that a worker anywhere can make it without planning anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from esorex_bridge.datasets.dataset import Action, Dataset, Purpose
from esorex_bridge.definitions.parameters import Parameter, ParameterSchema
from esorex_bridge.errors import DataError
from esorex_bridge.esorex.recipe import Recipe
from esorex_bridge.files import Digest
from esorex_bridge.plan.plan import AssociatedInput, FileInput, Plan, ProductInput, Step, StepInput, StepName
from esorex_bridge.reuse.decide import Execute
from esorex_bridge.reuse.key import Statement, StepKey, read_statement
from esorex_bridge.reuse.record import How
from esorex_bridge.reuse.resolve import ResolvedPlan
from esorex_bridge.values import plain

VERSION = 1

_LISTS = ("products", "gaps", "warnings", "required", "unnoted", "command")


class Task(Struct, frozen=True):
    """One step to be made.

    Parameters
    ----------
    key : StepKey
        Of the step.
    dataset, workflow : str
        The first dataset that needs it, and its workflow.
    step : Step
        Its recipe and its inputs.
    recipe : Recipe
        As installed where the batch was planned, without the descriptions of its parameters.
    parameters : tuple of Parameter
        Every parameter of the recipe with its value.
    statement : Statement
        What its products depend on.
    needs : mapping of StepName to StepKey
        The steps whose products it takes.
    esorex : str
        The command.
    unverified : tuple of str
        Inputs that nobody has held against their own checksums yet.
    how : {'unless_there', 'forced', 'reflex'}
        When to run it.
    """

    key: StepKey
    dataset: str
    workflow: str
    step: Step
    recipe: Recipe
    parameters: tuple[Parameter, ...]
    statement: Statement
    needs: Mapping[StepName, StepKey]
    esorex: str
    unverified: tuple[str, ...] = ()
    how: How = "unless_there"

    @property
    def label(self) -> str:
        """The step in words."""
        return f"{self.step.name} of {self.dataset}"

    def resolved(self) -> ResolvedPlan:
        """Return a plan of this step alone, as a step runner wants it."""
        dataset = Dataset(self.dataset, "", Action(self.dataset, ()))
        name = self.step.name
        return ResolvedPlan(
            dataset=dataset,
            plan=Plan(self.dataset, self.workflow, (self.step,)),
            recipes={self.recipe.name: self.recipe},
            parameters={name: self.parameters},
            stated={name: self.statement},
            keys={**self.needs, name: self.key},
        )

    def document(self) -> str:
        """Return it as JSON text; `read_task` reads it back."""
        step = plain(self.step)
        del step["settings"], step["setup"], step["levels"]  # The statement has what counts.
        recipe = plain(self.recipe)
        del recipe["parameters"], recipe["libraries"]
        whole = {
            "version": VERSION,
            "key": self.key,
            "dataset": self.dataset,
            "workflow": self.workflow,
            "step": step,
            "recipe": recipe,
            "parameters": [plain(parameter) for parameter in self.parameters],
            "statement": self.statement.document(),
            "needs": self.needs,
            "esorex": self.esorex,
            "unverified": self.unverified,
            "how": self.how,
        }
        return json.dumps(whole, default=str)


def task_of(resolved: ResolvedPlan, decision: Execute, esorex: str, unverified: frozenset[str] = frozenset()) -> Task:
    """Return a step of a plan as a task.

    Parameters
    ----------
    resolved : ResolvedPlan
        The plan.
    decision : Execute
        About the step, which has no gaps.
    esorex : str
        The command.
    unverified : frozenset of str
        Files that nobody has held against their own checksums yet.
    """
    step = decision.step
    recipe = resolved.recipes[step.recipe]
    files = [entry.file for entry in step.inputs if isinstance(entry, FileInput) and entry.file in unverified]
    return Task(
        key=resolved.keys[step.name],
        dataset=resolved.plan.dataset,
        workflow=resolved.plan.workflow,
        step=step,
        recipe=recipe,
        parameters=resolved.parameters[step.name],
        statement=resolved.stated[step.name],
        needs={name: resolved.keys[name] for name in step.needs},
        esorex=esorex,
        unverified=tuple(files),
        how=decision.how,
    )


def read_task(text: str, source: str) -> Task:
    """Read what `Task.document` wrote.

    Raises
    ------
    DataError
        It is no task, or one of a later version.
    """
    try:
        found = json.loads(text)
        version = found["version"]
        if version == VERSION:
            return _task(found)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{source} is no task of a batch ({error!r}); run the batch again with --resume") from None
    raise DataError(f"{source} was written by another version of esorex-bridge ({version}); use that one")


def _task(found: dict[str, Any]) -> Task:
    step = found["step"]
    for name in _LISTS:
        step[name] = tuple(step[name])
    step |= {"inputs": tuple(map(_input, step["inputs"])), "settings": (), "purpose": Purpose(step["purpose"])}
    for name in ("associations", "raw_associations"):
        step[name] = tuple(AssociatedInput(**each) for each in step.get(name, ()))
    recipe = found["recipe"]
    recipe |= {"plugin_path": Path(recipe["plugin_path"]), "plugin": Digest(recipe["plugin"]), "parameters": ()}
    return Task(
        key=StepKey(found["key"]),
        dataset=found["dataset"],
        workflow=found["workflow"],
        step=Step(**step),
        recipe=Recipe(**recipe),
        parameters=tuple(map(_parameter, found["parameters"])),
        statement=read_statement(found["statement"]),
        needs={StepName(name): StepKey(key) for name, key in found["needs"].items()},
        esorex=found["esorex"],
        unverified=tuple(found["unverified"]),
        how=found.get("how", "unless_there"),
    )


def _input(entry: dict[str, Any]) -> StepInput:
    if "path" in entry:
        return FileInput(entry["name"], entry["path"], entry["category"])
    return ProductInput(
        StepName(entry["step"]),
        entry["product"],
        entry["category"],
        tuple(entry.get("drop", ())),
        tuple((old, new) for old, new in entry.get("renamed", ())),
        entry.get("optional", False),
    )


def _parameter(entry: dict[str, Any]) -> Parameter:
    schema = entry["schema"]
    schema["choices"] = tuple(schema["choices"])
    return Parameter(ParameterSchema(**schema), entry["value"], entry["origin"])
