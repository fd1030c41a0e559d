"""A provenance document becomes a plan again: the same recipes on the same contents with the same parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile, Purpose
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.esorex.recipe import Recipe
from esorex_bridge.files import stem
from esorex_bridge.plan.plan import FileInput, Plan, ProductInput, Step, StepInput, StepName
from esorex_bridge.provenance.document import FileEntry, InputEntry, ProvenanceDocument, StepEntry, hex_of

WORKFLOW = "reproduced"
"""Name of the workflow that the plan pretends to follow; names its folders in the data root."""

_SHORT_DIGEST = 12
_FILE_VALUE = "file sha256:"


class VersionDifference(Struct, frozen=True):
    """What is installed otherwise than it was for a recipe: `recipe`, `pipeline`, `plugin` or `library NAME`."""

    recipe: str
    what: str
    then: str
    now: str


def plan_again(document: ProvenanceDocument, files: Mapping[str, Path]) -> tuple[Dataset, Plan]:
    """Return the dataset and the plan that make the products of a document again.

    Parameters
    ----------
    document : ProvenanceDocument
        What was done.
    files : mapping of str to Path
        Where each source lies, by content (64 hex digits), or by name where the document gives none.
    """
    names = _names(document)
    targets = {product.sha256 for product in document.products}
    steps = tuple(_step(step, names, files, targets) for step in document.steps)
    dataset = _dataset(document, files)
    return dataset, Plan(dataset.name, WORKFLOW, steps)


def unsettable(document: ProvenanceDocument) -> tuple[str, ...]:
    """Return the parameters that name files of which nothing but the content is known."""
    return tuple(
        f"{value.name} of {step.step} names a file ({value.value[len('file ') :][:19]}…) that is not at hand"
        for step in document.steps
        for value in step.parameters
        if value.value.startswith(_FILE_VALUE)
    )


def version_differences(document: ProvenanceDocument, installed: Mapping[str, Recipe]) -> tuple[VersionDifference, ...]:
    """Return what is installed otherwise than it was when the products were made."""
    steps = ((step, installed.get(step.recipe)) for step in document.steps)
    return tuple(dict.fromkeys(found for step, recipe in steps for found in _differences(step, recipe)))


def _differences(step: StepEntry, recipe: Recipe | None) -> Iterator[VersionDifference]:
    if recipe is None:
        yield VersionDifference(step.recipe, "recipe", step.pipeline, "not installed")
        return
    if recipe.pipeline != step.pipeline:
        yield VersionDifference(step.recipe, "pipeline", step.pipeline, recipe.pipeline)
    elif step.plugin_sha256 and hex_of(recipe.plugin) != step.plugin_sha256:
        yield VersionDifference(
            step.recipe, "plugin", step.plugin_sha256[:_SHORT_DIGEST], hex_of(recipe.plugin)[:_SHORT_DIGEST]
        )
    now = dict(recipe.libraries)
    for name in sorted({*step.libraries, *now}) if step.libraries and now else ():
        if step.libraries.get(name) != now.get(name):
            then, here = (_shorten(found.get(name, "")) for found in (step.libraries, now))
            yield VersionDifference(step.recipe, f"library {name}", then, here)


def _shorten(library: str) -> str:
    return library.removeprefix("sha256:")[:_SHORT_DIGEST] or "none"


def _names(document: ProvenanceDocument) -> dict[str, StepName]:
    """Return a name for each step, by key: its own, with a number where two datasets' steps share it."""
    taken: set[str] = set()
    names: dict[str, StepName] = {}
    for step in document.steps:
        name, number = step.step or f"{step.recipe}_1", 1
        while name in taken:
            number += 1
            name = f"{step.recipe}_{number}"
        taken.add(name)
        names[step.key] = StepName(name)
    return names


def _step(step: StepEntry, names: Mapping[str, StepName], files: Mapping[str, Path], targets: set[str]) -> Step:
    products = tuple(dict.fromkeys(product.category or "" for product in step.products))
    return Step(
        name=names[step.key],
        actor=names[step.key],
        recipe=step.recipe,
        inputs=tuple(_input(entry, names, files) for entry in step.inputs),
        settings=tuple(
            ParameterSetting(step.recipe, value.name, value.value, "provenance")
            for value in step.parameters
            if not value.value.startswith(_FILE_VALUE)
        ),
        products=products,
        purpose=Purpose(step.step),
        target=any(product.sha256 in targets for product in step.products),
        # What the recipe used and did not name was used all the same: the document says so, not the header.
        unnoted=tuple(dict.fromkeys(entry.category for entry in step.inputs)),
    )


def _input(entry: InputEntry, names: Mapping[str, StepName], files: Mapping[str, Path]) -> StepInput:
    if entry.step:
        return ProductInput(names[entry.step], entry.product, entry.category)
    return FileInput(stem(entry.file), str(files[source_key(entry)]), entry.category)


def source_key(entry: InputEntry | FileEntry) -> str:
    """Return what a source is looked up by: its content, or its name where nothing says its content."""
    return entry.sha256 or entry.file


def _dataset(document: ProvenanceDocument, files: Mapping[str, Path]) -> Dataset:
    last = document.steps[-1]
    listed = tuple(
        DatasetFile(stem(entry.file), entry.category, files[source_key(entry)])
        for step in document.steps
        for entry in step.inputs
        if not entry.step
    )
    instrument = last.pipeline.partition("/")[0].upper()
    return Dataset(last.dataset, instrument, Action(last.step, tuple(dict.fromkeys(listed))))
