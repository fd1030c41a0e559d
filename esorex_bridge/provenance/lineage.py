"""The lineage of products as values: which steps made them, of which files, down to the raws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from esorex_bridge.esorex.recipe import Usage
from esorex_bridge.files import Digest, is_dp_id, is_processed, stem
from esorex_bridge.plan.plan import AssociatedInput
from esorex_bridge.reuse.key import InputStatement, Statement, StepKey
from esorex_bridge.reuse.record import Product

SourceKind = Literal["raw", "master", "static"]
"""A raw frame, a processed calibration of the archive (`M.…`), or any other file that no recorded step made."""

Makers = dict[Digest, tuple[StepKey, str]]
"""The step that made a product, by its content, and the category under which it did."""

_STEP = "step:"


class ParameterValue(Struct, frozen=True):
    """A recipe parameter of a step.

    Parameters
    ----------
    name : str
        Full name (`naco.naco_img_dark.nsamples`).
    value : str
        As EsoRex was given it.
    origin : str
        Who set it (`default`, `workflow naco`, `--set` …); empty where that is not known any more.
    """

    name: str
    value: str
    origin: str = ""


class Source(Struct, frozen=True):
    """A file that no recorded step made.

    Parameters
    ----------
    name : str
        The archive's name of it (dp_id), or its file name without ending.
    digest : Digest
        Of its content when it was used.
    kind : {'raw', 'master', 'static'}
        What it is, by its name.
    file : str
        Absolute path where a file of this content was last seen; empty where it is not known.
    """

    name: str
    digest: Digest
    kind: SourceKind
    file: str = ""


class Input(Struct, frozen=True):
    """A file, or all products of one category of an earlier step, that a step took.

    Parameters
    ----------
    category : str
        Its tag in the SOF.
    source : Source or None
        The file; None where the plan names products of a step instead.
    key : StepKey or None
        The step that made it; None for a file that no recorded step made.
    product : str
        The category under which that step made it; empty for such a file.
    association : AssociatedInput or None
        How well it fits, by whose word; None where that was not recorded, as of science frames.
    """

    category: str
    source: Source | None = None
    key: StepKey | None = None
    product: str = ""
    association: AssociatedInput | None = None


class Activity(Struct, frozen=True):
    """A finished step: one run of one recipe.

    Parameters
    ----------
    key : StepKey
        Hash of what its products depend on.
    step, dataset : str
        Its name in the plan that made it, and whose plan that was.
    recipe, pipeline : str
        EsoRex's name of the recipe; name and version of its pipeline.
    plugin : Digest
        Of the recipe's plugin file.
    libraries : mapping of str to str
        Of the shared objects that the plugin resolves to, digest or file name; empty where none were recorded.
    parameters : tuple of ParameterValue
        All of the recipe's.
    inputs : tuple of Input
        In the order of the SOF.
    products : tuple of Product
        In the recipe's order.
    made : str
        When, ISO 8601 in UTC.
    seconds : float
        How long the recipe took.
    sof : str
        Absolute path of the SOF; its folder holds log, parameters and a script to repeat the run.
    warnings : tuple of str
        What was said about it.
    cpl : str
        CPL that its products say they were made with (`cpl-7.2.3`); empty where they are gone or do not.
    usage : Usage or None
        What it took of the machine; None where that was not measured.
    """

    key: StepKey
    step: str
    dataset: str
    recipe: str
    pipeline: str
    plugin: Digest
    libraries: Mapping[str, str]
    parameters: tuple[ParameterValue, ...]
    inputs: tuple[Input, ...]
    products: tuple[Product, ...]
    made: str
    seconds: float
    sof: str
    warnings: tuple[str, ...]
    cpl: str = ""
    usage: Usage | None = None

    @property
    def chosen(self) -> tuple[ParameterValue, ...]:
        """Parameters that somebody set: all whose origin is known and not the recipe's default."""
        return tuple(each for each in self.parameters if each.origin not in ("", "default"))


class Lineage(Struct, frozen=True):
    """Products with all that they were made from.

    Parameters
    ----------
    targets : tuple of Product
        What was asked about.
    activities : tuple of Activity
        Every step on the way, makers before users.
    lost : tuple of StepKey
        Steps that an input names and that are not recorded any more.
    """

    targets: tuple[Product, ...]
    activities: tuple[Activity, ...]
    lost: tuple[StepKey, ...] = ()

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every file that no recorded step made, once each, by name."""
        entries = (entry for activity in self.activities for entry in activity.inputs)
        found = {entry.source for entry in entries if entry.source is not None and entry.key is None}
        return tuple(sorted(found, key=lambda source: (source.name, source.digest)))

    @property
    def raws(self) -> tuple[Source, ...]:
        """The raw frames among the sources."""
        return tuple(source for source in self.sources if source.kind == "raw")

    def __repr__(self) -> str:
        """Return the products, the recipes on the way and how many raws there are."""
        names = ", ".join(product.path.name for product in self.targets)
        recipes = " → ".join(dict.fromkeys(activity.recipe for activity in self.activities))
        return f"<Lineage of {names}: {recipes}, from {len(self.raws)} raws>"

    def _repr_html_(self) -> str:
        from esorex_bridge.values import html_table

        rows = [
            (activity.step, activity.recipe, activity.pipeline, _inputs(activity), _products(activity))
            for activity in self.activities
        ]
        return html_table(("step", "recipe", "pipeline", "inputs", "products"), rows, repr(self)[1:-1])

    def activity(self, key: StepKey) -> Activity | None:
        """Return the step of a key, None where it is not recorded."""
        return next((activity for activity in self.activities if activity.key == key), None)

    def maker_of(self, product: Product) -> Activity | None:
        """Return the step that made a product, found by its content."""
        made = (a for a in self.activities if any(each.digest == product.digest for each in a.products))
        return next(made, None)


def _inputs(activity: Activity) -> str:
    named = (entry.source.name if entry.source else entry.product for entry in activity.inputs)
    return ", ".join(f"{entry.category} {name}" for entry, name in zip(activity.inputs, named, strict=True))


def _products(activity: Activity) -> str:
    return ", ".join(dict.fromkeys(product.category for product in activity.products))


def input_of(
    entry: InputStatement, places: Mapping[Digest, str], makers: Makers, associations: Iterable[AssociatedInput] = ()
) -> Input:
    """Return an input as its statement describes it.

    Parameters
    ----------
    entry : InputStatement
        Tag, content and label.
    places : mapping of Digest to str
        The path of a file by its content, where one is known.
    makers : dict of Digest to (StepKey, str)
        The step that made a file by its content, and under which category, where one is recorded.
    associations : iterable of AssociatedInput
        Of the run.
    """
    association = next((each for each in associations if _is_of(each, entry)), None)
    if entry.content.startswith(_STEP):
        key, _, product = entry.content.removeprefix(_STEP).partition("/")
        return Input(entry.category, key=StepKey(key), product=product, association=association)
    digest = Digest(entry.content)
    name = stem(entry.label)
    source = Source(name, digest, kind_of(name), places.get(digest, ""))
    key_of_maker, product = makers.get(digest, (None, ""))
    return Input(entry.category, source, key_of_maker, product, association)


def _is_of(association: AssociatedInput, entry: InputStatement) -> bool:
    """Tell whether an association is that of an input: a file, or products of a step (`MASTER of flat_1`)."""
    told = entry.label, entry.label.rpartition(" of ")[2]
    return association.category == entry.category and association.source in told


def kind_of(name: str) -> SourceKind:
    """Return what a file is, by the archive's way of naming."""
    if not is_dp_id(name):
        return "static"
    return "master" if is_processed(name) else "raw"


def needs_of(statement: Statement) -> tuple[StepKey, ...]:
    """Return the keys of the steps whose products a statement names, once each."""
    contents = (entry.content for entry in statement.inputs if entry.content.startswith(_STEP))
    keys = (StepKey(content.removeprefix(_STEP).partition("/")[0]) for content in contents)
    return tuple(dict.fromkeys(keys))


def in_order(activities: Iterable[Activity]) -> tuple[Activity, ...]:
    """Return activities with makers before users; those that do not depend on each other by the time they were made."""
    listed = {activity.key: activity for activity in sorted(activities, key=lambda each: (each.made, each.key))}
    ordered: dict[StepKey, Activity] = {}

    def place(activity: Activity) -> None:
        if activity.key in ordered:
            return
        for entry in activity.inputs:
            if entry.key in listed:
                place(listed[entry.key])
        ordered[activity.key] = activity

    for activity in listed.values():
        place(activity)
    return tuple(ordered.values())
