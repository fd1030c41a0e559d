"""`lazy: reflex` for one step: the question to Reflex's bookkeeping, asked of the files as they lie there."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from pathlib import Path

from esorex_bridge.definitions.parameters import Parameter
from esorex_bridge.errors import DataError
from esorex_bridge.fits.verify import verify_fits
from esorex_bridge.plan.sof import Sof
from esorex_bridge.reflex.bookkeeping_db import read_database
from esorex_bridge.reflex.bookkeeping_records import NotedFile, java_text
from esorex_bridge.reflex.checksum import reflex_checksum
from esorex_bridge.reflex.lazy_rule import ReflexAnswer, ReflexQuestion, decide_as_reflex
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import Product, Record


def ask_reflex(database: Path, actor: str, recipe: str, parameters: Iterable[Parameter], sof: Sof) -> ReflexAnswer:
    """Return what Reflex's Lazy Mode would do about a step, whose inputs are all there.

    Parameters
    ----------
    database : Path
        The workflow's `bookkeeping.db`; it may be missing.
    actor, recipe : str
        The step's name in the workflow, and EsoRex's name of its recipe.
    parameters : iterable of Parameter
        Every parameter of the recipe.
    sof : Sof
        What it would run on, by absolute paths.

    Raises
    ------
    DataError
        If the database or an input cannot be read.
    """
    if not database.exists():
        return ReflexAnswer(None, f"{actor} was never executed to its end")
    inputs = tuple(NotedFile(entry.path, entry.category, reflex_checksum(entry.path)) for entry in sof.entries)
    values = {parameter.schema.name: java_text(parameter.value, parameter.schema.valtype) for parameter in parameters}
    question = ReflexQuestion(actor, recipe, values, inputs)
    return decide_as_reflex(question, read_database(database, actor), is_whole)


def is_whole(file: NotedFile) -> bool:
    """Tell whether a file is there with the checksum that was noted."""
    try:
        return reflex_checksum(file.path) == file.checksum
    except DataError:
        return False


def record_of(key: StepKey, answer: ReflexAnswer) -> Record | None:
    """Return the execution that Reflex's rule would reuse as a record under our key; None where there is none.

    Raises
    ------
    DataError
        If a product cannot be read.
    """
    execution = answer.execution
    if execution is None:
        return None
    products = tuple(
        Product(str(file.path), file.category, verify_fits(file.path, checksums=False).digest, file.path.stat().st_size)
        for file in execution.outputs
    )
    made = f"{execution.made.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    sof = str(execution.folder / "data.sof")
    return Record(key, products, 0.0, made, sof, ("reused by Reflex's own rule",))
