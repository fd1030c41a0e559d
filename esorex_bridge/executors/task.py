"""A task: one step to be made, written down so that a worker anywhere can make it without planning anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import MsgspecError, Struct
from msgspec.json import decode, encode
from msgspec.structs import asdict, replace

from esorex_bridge.datasets.dataset import Action, Dataset, Purpose
from esorex_bridge.definitions.parameters import Parameter
from esorex_bridge.errors import DataError
from esorex_bridge.esorex.recipe import Recipe
from esorex_bridge.files import Digest, DpId
from esorex_bridge.plan.plan import AssociatedInput, FileInput, Plan, ProductInput, Step, StepInput, StepName
from esorex_bridge.reuse.decide import Execute
from esorex_bridge.reuse.key import Statement, StepKey, read_statement
from esorex_bridge.reuse.record import How
from esorex_bridge.reuse.resolve import ResolvedPlan

VERSION = 1


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

    def resolve(self) -> ResolvedPlan:
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
        recipe = {name: getattr(self.recipe, name) for name in _StoredRecipe.__struct_fields__}
        step = {name: getattr(self.step, name) for name in _StoredStep.__struct_fields__ if name != "inputs"}
        stored = _StoredTask(
            version=VERSION,
            key=self.key,
            dataset=self.dataset,
            workflow=self.workflow,
            step=_StoredStep(inputs=tuple(map(_store, self.step.inputs)), **step),
            recipe=_StoredRecipe(**recipe),
            parameters=self.parameters,
            statement=self.statement.document(),
            needs=dict(self.needs),
            esorex=self.esorex,
            unverified=self.unverified,
            how=self.how,
        )
        return encode(stored, enc_hook=str).decode()


class _StoredInput(Struct, frozen=True, omit_defaults=True):
    """An input: a file where it has a path, else products of a step."""

    category: str
    name: str = ""
    path: str = ""
    step: str = ""
    product: str = ""
    drop: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    optional: bool = False


class _StoredStep(Struct, frozen=True, kw_only=True):
    """A step without its settings and setup: the statement has what counts of them."""

    name: StepName
    actor: str
    recipe: str
    inputs: tuple[_StoredInput, ...]
    products: tuple[str, ...]
    purpose: Purpose
    gaps: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    target: bool = False
    required: tuple[str, ...] = ()
    unnoted: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    threads: int = 1
    memory_mb: int | None = None
    associations: tuple[AssociatedInput, ...] = ()
    raw_associations: tuple[AssociatedInput, ...] = ()


class _StoredRecipe(Struct, frozen=True):
    """A recipe without the descriptions of its parameters."""

    name: str
    plugin_path: Path
    pipeline: str
    plugin: Digest
    changed_ns: int = 0
    cpl: str = ""


class _StoredTask(Struct, frozen=True, kw_only=True):
    """A task as its file has it; a default stands for what earlier versions did not write."""

    version: int
    key: StepKey
    dataset: str
    workflow: str
    step: _StoredStep
    recipe: _StoredRecipe
    parameters: tuple[Parameter, ...]
    statement: str
    needs: dict[StepName, StepKey]
    esorex: str
    unverified: tuple[str, ...]
    how: How = "unless_there"


class StatedStep(Struct, frozen=True):
    """A step as the books have it: the first dataset that needs it, its name there, and what its products depend on."""

    dataset: str
    name: StepName
    statement: Statement


class _StoredName(Struct, frozen=True):
    name: StepName


class _StoredStatement(Struct, frozen=True):
    version: int
    dataset: str
    step: _StoredName
    statement: str


class _Versioned(Struct, frozen=True):
    version: int


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
        If it is no task, or one of a later version.
    """
    try:
        version = decode(text, type=_Versioned).version
        if version == VERSION:
            return _task(decode(text, type=_StoredTask, dec_hook=lambda kind, value: kind(value)))
    except (MsgspecError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{source} is no task of a batch ({error}); run the batch again with --resume") from None
    raise DataError(f"{source} was written by another version of esorex-bridge ({version}); use that one")


def read_stated_step(text: str, source: str) -> StatedStep:
    """Read what the books want of what `Task.document` wrote; errors as `read_task`."""
    try:
        found = decode(text, type=_StoredStatement)
        if found.version == VERSION:
            return StatedStep(found.dataset, found.step.name, read_statement(found.statement))
    except MsgspecError as error:
        raise DataError(f"{source} is no task of a batch ({error}); run the batch again with --resume") from None
    raise DataError(f"{source} was written by another version of esorex-bridge ({found.version}); use that one")


def _task(stored: _StoredTask) -> Task:
    step = asdict(stored.step) | {"inputs": tuple(map(_input, stored.step.inputs)), "settings": ()}
    return Task(
        key=stored.key,
        dataset=stored.dataset,
        workflow=stored.workflow,
        step=Step(**step),
        recipe=Recipe(**asdict(stored.recipe), parameters=()),
        parameters=stored.parameters,
        statement=read_statement(stored.statement),
        needs=stored.needs,
        esorex=stored.esorex,
        unverified=stored.unverified,
        how=stored.how,
    )


def _store(entry: StepInput) -> _StoredInput:
    if isinstance(entry, FileInput):
        return _StoredInput(entry.category, entry.name, entry.file)
    return _StoredInput(**asdict(entry))


def _input(stored: _StoredInput) -> StepInput:
    if stored.path:
        return FileInput(DpId(stored.name), stored.path, stored.category)
    product = ProductInput(StepName(stored.step), stored.product, stored.category)
    return replace(product, drop=stored.drop, renamed=stored.renamed, optional=stored.optional)
