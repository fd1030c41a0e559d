"""Taking Reflex's products into use: what it made of the same content by the installed pipeline is not made again.

Reflex's notes do not name the version of the pipeline: the products' headers do. Its checksums depend on the time of a
file; an input counts as the one that was used where its checksum is the noted one, or where it is older than the
execution. Products are read whole, against their DATASUM, and held against their header's category and recipe.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from pathlib import Path
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.definitions.parameters import Parameter, ParameterSetting, check_value
from esorex_bridge.errors import BridgeError, DataError, RecipeError
from esorex_bridge.esorex.products import check_outputs
from esorex_bridge.esorex.recipe import Output, Recipe, RecipeRunner
from esorex_bridge.files import Digest
from esorex_bridge.fits.header import read_header
from esorex_bridge.fits.verify import verify_fits
from esorex_bridge.reflex.bookkeeping_records import NotedExecution, NotedFile
from esorex_bridge.reflex.checksum import reflex_checksum
from esorex_bridge.reflex.history import WorkflowHistory, read_history
from esorex_bridge.reuse.key import InputStatement, Statement, StepKey
from esorex_bridge.reuse.record import ADOPTED, Absent, Product, Record
from esorex_bridge.workspace.scan import archive_name


class AdoptionStore(Protocol):
    """What adoption looks up and records."""

    def digests(self, files: Iterable[str]) -> dict[str, Digest | DataError]:
        """Return the content digests of files; the error where one is damaged."""

    def find(self, key: StepKey) -> Record | Absent:
        """Return the record of a key, or why there is none."""

    def record(self, record: Record, statement: Statement, dataset: str, step: str) -> None:
        """Remember a finished step."""


class Adoption(Struct, frozen=True):
    """What became of one execution in a history.

    Parameters
    ----------
    execution : NotedExecution
        It.
    key : StepKey or None
        Under which its products can be reused; None where they cannot.
    reason : str
        Why not; empty where they can.
    """

    execution: NotedExecution
    key: StepKey | None
    reason: str = ""


class AdoptionReport(Struct, frozen=True):
    """What became of a whole history.

    Parameters
    ----------
    histories : tuple of WorkflowHistory
        What was read.
    adoptions : tuple of Adoption
        One for each execution, the oldest first in each workflow.
    """

    histories: tuple[WorkflowHistory, ...]
    adoptions: tuple[Adoption, ...]

    @property
    def adopted(self) -> int:
        """How many executions can be reused."""
        return sum(adoption.key is not None for adoption in self.adoptions)


def adopt_bookkeeping(place: Path, store: AdoptionStore, runner: RecipeRunner, dry_run: bool = False) -> AdoptionReport:
    """Take what Reflex executed into the store, as far as it can be trusted.

    Parameters
    ----------
    place : Path
        As for `read_history`.
    store : AdoptionStore
        Gets a record of each execution that can be reused; products stay where they lie.
    runner : RecipeRunner
        Knows the installed recipes: what another version of a pipeline made is not taken.
    dry_run : bool
        Look, and record nothing.

    Raises
    ------
    UserError
        If there is no bookkeeping.
    DataError
        If a database cannot be read.
    """
    histories = read_history(place)
    executions = [execution for history in histories for execution in history.executions]
    names = dict.fromkeys(each.recipe for each in executions if each.recipe and each.exit_code == 0)
    recipes = runner.recipes(names)
    return AdoptionReport(histories, adopt_executions(executions, recipes, store, dry_run))


def adopt_executions(
    executions: Iterable[NotedExecution],
    recipes: Mapping[str, Recipe | RecipeError],
    store: AdoptionStore,
    dry_run: bool = False,
    maker: str = ADOPTED,
) -> tuple[Adoption, ...]:
    """Take executions into the store, as far as they can be trusted; `maker` begins with `ADOPTED`."""
    adoptions = []
    for execution in executions:
        try:
            record, statement = _reusable(execution, recipes, store, maker)
        except BridgeError as problem:
            adoptions.append(Adoption(execution, None, str(problem)))
            continue
        if not dry_run and isinstance(store.find(record.key), Absent):
            store.record(record, statement, "", execution.actor)
        adoptions.append(Adoption(execution, record.key))
    return tuple(adoptions)


def adopted_alike(
    statement: Statement, nearest: Statement | None, find: Callable[[StepKey], Record | Absent]
) -> Record | None:
    """Return the record of an adopted execution of the same content in another order, under the key of a statement.

    Reflex sorts its sets of files by category, the bridge by what they are for; an input that is a product counts by
    its content, because Reflex notes no more.

    Parameters
    ----------
    statement : Statement
        What is to be made.
    nearest : Statement or None
        What `Store.nearest` found for it.
    find : callable
        `Store.find`.

    Returns
    -------
    Record or None
        To be recorded under its key; None where the nearest statement is no adopted one, or differs in more.
    """
    if nearest is None or _but_inputs(nearest) != _but_inputs(statement):
        return None
    found = find(nearest.key())
    if isinstance(found, Absent) or not found.adopted:
        return None
    wanted = _contents(statement, find)
    return replace(found, key=statement.key()) if wanted is not None and wanted == _contents(nearest, find) else None


def _but_inputs(statement: Statement) -> Statement:
    return replace(statement, inputs=(), parameters=tuple(sorted(statement.parameters)), libraries=())


def _contents(statement: Statement, find: Callable[[StepKey], Record | Absent]) -> Counter[tuple[str, str]] | None:
    """Return tags and digests of what a statement takes, products by their content; None where one is not there."""
    found: Counter[tuple[str, str]] = Counter()
    for entry in statement.inputs:
        if not entry.content.startswith("step:"):
            found[entry.category, entry.content] += 1
            continue
        key, _, product = entry.content.removeprefix("step:").partition("/")
        record = find(StepKey(key))
        if isinstance(record, Absent):
            return None
        for made in record.products:
            if made.category == product:
                found[entry.category, made.digest] += 1
    return found


def _reusable(
    execution: NotedExecution, recipes: Mapping[str, Recipe | RecipeError], store: AdoptionStore, maker: str
) -> tuple[Record, Statement]:
    """Return what the store shall know of an execution; raise a BridgeError with the reason where it cannot be used."""
    if execution.kind != "ESOREX":
        raise DataError(f"no execution of a recipe but of type {execution.kind}")
    if execution.exit_code != 0:
        raise RecipeError(f"failed with exit code {execution.exit_code}")
    if not execution.outputs:
        raise RecipeError("made no product")
    recipe = recipes.get(execution.recipe, RecipeError("the notes name no recipe"))
    if isinstance(recipe, RecipeError):
        raise recipe
    inputs = tuple(_state_input(file, execution, store) for file in execution.inputs)
    products = _products(execution, recipe)
    parameters = tuple((each.schema.name, each.text) for each in _parameters(execution, recipe))
    statement = Statement(recipe.name, recipe.pipeline, recipe.plugin, parameters, inputs, recipe.libraries)
    record = Record(
        key=statement.key(),
        products=products,
        seconds=0.0,
        made=f"{execution.made.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        sof_file=str(execution.folder / execution.sof_name),
        warnings=(f"{maker}, adopted from {execution.folder}",),
    )
    return record, statement


def _state_input(file: NotedFile, execution: NotedExecution, store: AdoptionStore) -> InputStatement:
    if not file.path.is_file():
        raise DataError(f"its input {file.path} is not there any more")
    if reflex_checksum(file.path) != file.checksum and file.path.stat().st_mtime > execution.made.timestamp():
        raise DataError(f"its input {file.path} was written after it ran: it may be another one now")
    (digest,) = store.digests((str(file.path),)).values()
    if isinstance(digest, DataError):
        raise digest
    return InputStatement(file.category, digest, archive_name(file.path))


def _products(execution: NotedExecution, recipe: Recipe) -> tuple[Product, ...]:
    for file in execution.outputs:
        if not file.path.is_file():
            raise DataError(f"its product {file.path} is not there any more")
        verify_fits(file.path)
        _check_pipeline(file.path, recipe)
    outputs = (Output(file.path, file.category) for file in execution.outputs)
    return tuple(
        Product(str(each.output.path), each.output.category, Digest(each.digest), each.size_bytes)
        for each in check_outputs(recipe.name, outputs)
    )


def _check_pipeline(path: Path, recipe: Recipe) -> None:
    header = read_header(path)
    runs = [number for number in range(1, 100) if f"PRO.REC{number}.ID" in header]
    made_by = [number for number in runs if str(header.get(f"PRO.REC{number}.ID")).strip() == recipe.name]
    if not made_by:
        raise DataError(f"its product {path} is not of recipe {recipe.name} by its header")
    pipeline = str(header.get(f"PRO.REC{made_by[-1]}.PIPE.ID", "")).strip()
    if pipeline.lower() != recipe.pipeline.lower():
        raise DataError(f"made by pipeline {pipeline or 'of no name'}; {recipe.pipeline} is installed")


def _parameters(execution: NotedExecution, recipe: Recipe) -> Iterable[Parameter]:
    values = execution.values
    known = {schema.name for schema in recipe.parameters}
    if unknown := sorted(values.keys() - known):
        raise DataError(f"it had the parameter {unknown[0]}, which {recipe.name} does not have now")
    for schema in recipe.parameters:
        if schema.name not in values:
            raise DataError(f"the notes do not give its parameter {schema.name}")
        setting = ParameterSetting(recipe.name, schema.name, values[schema.name], "Reflex")
        value = check_value(schema, setting)
        yield Parameter(schema, schema.default if value == schema.default else value, "Reflex")
