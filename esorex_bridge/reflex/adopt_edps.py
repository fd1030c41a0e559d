"""Taking the products of EDPS into use, by the same checks as those of Reflex."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from esorex_bridge.definitions.parameters import (
    Parameter,
    ParameterError,
    ParameterSchema,
    ParameterSetting,
    Value,
    check_value,
)
from esorex_bridge.edps.data_folder import SOF_NAME, EdpsRun, read_data_folder
from esorex_bridge.errors import RecipeError
from esorex_bridge.esorex.recipe import Recipe, RecipeRunner
from esorex_bridge.reflex.adopt import Adoption, AdoptionStore, adopt_executions
from esorex_bridge.reflex.bookkeeping_records import NotedExecution, NotedFile, noted_parameter
from esorex_bridge.reuse.record import ADOPTED

_MAKER = f"{ADOPTED}'s successor EDPS"


class AdoptedRun(Struct, frozen=True):
    """A job of EDPS, and what became of it; `reason` is empty where its products can be reused."""

    run: EdpsRun
    adopted: bool
    reason: str = ""


def adopt_edps(
    place: Path, store: AdoptionStore, runner: RecipeRunner, dry_run: bool = False
) -> tuple[AdoptedRun, ...]:
    """Take what EDPS made into the store, as far as pipeline, inputs and parameters can be established.

    Parameters
    ----------
    place : Path
        As for `read_data_folder`.
    store : AdoptionStore
        Gets a record of each job that can be reused; products stay where they lie.
    runner : RecipeRunner
        Knows the installed recipes.
    dry_run : bool
        Look, and record nothing.

    Raises
    ------
    UserError
        If there is no job.
    """
    runs = read_data_folder(place)
    recipes = runner.recipes(dict.fromkeys(run.recipe for run in runs if run.recipe))
    found = []
    for run in runs:
        recipe = recipes.get(run.recipe)
        try:
            execution = _execution(run, recipe)
        except (RecipeError, ParameterError) as problem:
            found.append(AdoptedRun(run, False, str(problem)))
            continue
        (adoption,) = adopt_executions((execution,), recipes, store, dry_run, _MAKER)
        found.append(AdoptedRun(run, adoption.key is not None, _reason(adoption)))
    return tuple(found)


def _reason(adoption: Adoption) -> str:
    return adoption.reason.replace("the notes", "EDPS' files")


def _execution(run: EdpsRun, recipe: Recipe | RecipeError | None) -> NotedExecution:
    """Return a job as an execution with all parameters; raise where it cannot be told what was run."""
    if not run.products:
        raise RecipeError("it has no product")
    if recipe is None:
        raise RecipeError("its products do not name one recipe")
    if isinstance(recipe, RecipeError):
        raise recipe
    parameters = tuple(noted_parameter(recipe.name, each) for each in _parameters(run, recipe))
    return NotedExecution(
        actor=run.task,
        recipe=recipe.name,
        made=run.made,
        command_line="",
        folder=run.folder,
        exit_code=0,
        parameters=parameters,
        inputs=tuple(NotedFile(path, tag, "") for path, tag in run.sof),
        sof_name=SOF_NAME,
        outputs=tuple(NotedFile(path, category, "") for path, category in run.products),
    )


def _parameters(run: EdpsRun, recipe: Recipe) -> Iterator[Parameter]:
    """Yield all parameters: by `parameters.rc`, which has what differs from the defaults, held against the header."""
    known = {name for schema in recipe.parameters for name in (schema.name, schema.display_name)}
    for name in run.given:
        if name not in known:
            raise RecipeError(f"it had the parameter {name}, which {recipe.name} does not have now")
    for schema in recipe.parameters:
        names = (schema.name, schema.display_name)
        given = next((run.given[name] for name in names if name in run.given), None)
        stated = next((run.stated[name] for name in names if name in run.stated), None)
        value = schema.default
        if given is not None:
            value = check_value(schema, ParameterSetting(recipe.name, schema.name, given, "parameters.rc"))
        if stated is not None and _readable(schema, recipe, stated) not in (None, value):
            raise RecipeError(
                f"its product says that {schema.display_name} was {stated}, and by its parameters.rc it was {value}"
            )
        yield Parameter(schema, value, "EDPS")


def _readable(schema: ParameterSchema, recipe: Recipe, stated: str) -> Value | None:
    """Return what a header states as a value of the parameter; None where it cannot be one, such as a cut-off text."""
    try:
        return check_value(schema, ParameterSetting(recipe.name, schema.name, stated, "header"))
    except ParameterError:
        return None
