"""The provenance document: what lies beside end products and what `provenance --json` prints.

Paths are not in it: it is to be carried away. Files are named by what the archive calls them and by their content.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Literal

from msgspec import Struct, field
from msgspec.json import Encoder, format

from esorex_bridge.errors import DataError
from esorex_bridge.esorex.recipe import Usage
from esorex_bridge.fits.hdus import read_datasums
from esorex_bridge.plan.plan import AssociatedInput
from esorex_bridge.provenance.lineage import Activity, Input, Lineage, ParameterValue, Source
from esorex_bridge.reuse.record import Product
from esorex_bridge.version import __version__

FILE_NAME = "provenance.json"
"""Its name beside end products."""

SCHEMA = 1
_FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^\s/'\"]+/)+")


class FileEntry(Struct, frozen=True):
    """A product, or a file that no recorded step made.

    Parameters
    ----------
    file : str
        Its name: of the file for products, the archive's (dp_id) for others.
    sha256 : str
        64 hex digits, of the decompressed FITS stream.
    category : str or None
        `PRO CATG` of a product; None for other files, whose tag belongs to their use.
    kind : {'product', 'raw', 'master', 'static'}
        `master` is a processed calibration of the archive.
    datasums : tuple of str
        DATASUM of each HDU of a product, as its headers state them: what must be equal where it is made again. Empty
        for other files, and where the product was not there any more.
    """

    file: str
    sha256: str
    category: str | None
    kind: Literal["product", "raw", "master", "static"]
    datasums: tuple[str, ...] = ()


class AssociationEntry(Struct, frozen=True):
    """How well an input fits what takes it.

    Parameters
    ----------
    match : str or None
        calSelector's word: `calib_plan`, `extended` or `N/A`; None where calSelector did not associate it.
    certified : bool
        Whether ESO certified the association.
    level : int or None
        0: as the calibration plan wants it; higher is worse; None where nothing says.
    days : float or None
        From the first main file of the step to it.
    chosen_by : str
        `calSelector`, `rules`, `workflow NAME` or `review`.
    """

    match: str | None
    certified: bool
    level: int | None
    days: float | None
    chosen_by: str


class InputEntry(Struct, frozen=True, omit_defaults=True):
    """What a step took under one tag: a file, or products of an earlier step; both where a product came as a file.

    Parameters
    ----------
    category : str
        Tag in the SOF.
    file, sha256 : str
        Of a file; empty where the plan names products of a step.
    step : str
        Key of the step that made it; empty for a file that no recorded step made.
    product : str
        Category under which that step made it; empty for such a file.
    association : AssociationEntry or None
        None for science frames, and where it was not recorded.
    """

    category: str
    file: str = ""
    sha256: str = ""
    step: str = ""
    product: str = ""
    association: AssociationEntry | None = None


class ParameterEntry(Struct, frozen=True):
    """A recipe parameter: full name, value as given to EsoRex, and who set it (`default`: nobody; empty: unknown)."""

    name: str
    value: str
    origin: str


class StepEntry(Struct, frozen=True):
    """A step: one run of one recipe.

    Parameters
    ----------
    key : str
        Hash of all that its products depend on.
    step, dataset, recipe, pipeline : str
        Name in the plan, whose plan, EsoRex's name of the recipe, pipeline with version.
    plugin_sha256 : str
        Of the recipe's plugin file.
    libraries : dict of str to str
        Of the shared objects in use.
    made : str
        When, ISO 8601 in UTC.
    seconds : float
        How long the recipe took.
    parameters : tuple of ParameterEntry
        All of the recipe's.
    inputs : tuple of InputEntry
        In the order of the SOF.
    products : tuple of FileEntry
        In the recipe's order.
    warnings : tuple of str
        What was said about it; of files no more than their names.
    cpl : str
        CPL that its products say they were made with (`cpl-7.2.3`); empty where they are gone or do not.
    usage : Usage or None
        What it took of the machine; None where that was not measured.
    """

    key: str
    step: str
    dataset: str
    recipe: str
    pipeline: str
    plugin_sha256: str
    libraries: dict[str, str]
    made: str
    seconds: float
    parameters: tuple[ParameterEntry, ...]
    inputs: tuple[InputEntry, ...]
    products: tuple[FileEntry, ...]
    warnings: tuple[str, ...]
    cpl: str = ""
    usage: Usage | None = None


class ProvenanceDocument(Struct, frozen=True):
    """The lineage of products.

    Parameters
    ----------
    schema : int
        1.
    made_with : str
        Name and version of what wrote it.
    products : tuple of FileEntry
        What it is about.
    steps : tuple of StepEntry
        Every step on the way, makers before users.
    sources : tuple of FileEntry
        Every file that no recorded step made.
    lost : tuple of str
        Keys of steps that an input names and that were not recorded any more.
    """

    products: tuple[FileEntry, ...]
    steps: tuple[StepEntry, ...]
    sources: tuple[FileEntry, ...]
    lost: tuple[str, ...] = ()
    made_with: str = f"esorex-bridge {__version__}"
    schema: int = field(default=SCHEMA)


def document_of(lineage: Lineage, described: dict[str, StepEntry] | None = None) -> ProvenanceDocument:
    """Return the document of a lineage.

    Parameters
    ----------
    lineage : Lineage
        What is described.
    described : dict of str to StepEntry, optional
        Steps that were described before, by key; what is new is added to them.
    """
    known = {} if described is None else described
    for activity in lineage.activities:
        if activity.key not in known:
            known[activity.key] = _step_entry(activity)
    return ProvenanceDocument(
        products=tuple(map(_product_entry, lineage.targets)),
        steps=tuple(known[activity.key] for activity in lineage.activities),
        sources=tuple(map(_source_entry, lineage.sources)),
        lost=tuple(lineage.lost),
    )


def encode(document: Struct) -> bytes:
    """Return a document as indented JSON with a final newline."""
    return format(Encoder().encode(document), indent=1) + b"\n"


def _step_entry(activity: Activity) -> StepEntry:
    return StepEntry(
        key=activity.key,
        step=activity.step,
        dataset=activity.dataset,
        recipe=activity.recipe,
        pipeline=activity.pipeline,
        plugin_sha256=hex_of(activity.plugin),
        libraries=dict(activity.libraries),
        made=activity.made,
        seconds=activity.seconds,
        parameters=tuple(map(_parameter_entry, activity.parameters)),
        inputs=tuple(map(_input_entry, activity.inputs)),
        products=tuple(map(_product_entry, activity.products)),
        warnings=tuple(_FOLDERS.sub("", warning) for warning in activity.warnings),
        cpl=activity.cpl,
        usage=activity.usage,
    )


def _parameter_entry(value: ParameterValue) -> ParameterEntry:
    return ParameterEntry(value.name, value.value, value.origin)


def _input_entry(entry: Input) -> InputEntry:
    file, content = ("", "") if entry.source is None else (entry.source.name, hex_of(entry.source.digest))
    return InputEntry(entry.category, file, content, entry.key or "", entry.product, _association(entry.association))


def _association(found: AssociatedInput | None) -> AssociationEntry | None:
    if found is None:
        return None
    return AssociationEntry(found.match, found.certified, found.level, found.days, found.chosen_by)


def _product_entry(product: Product) -> FileEntry:
    return FileEntry(product.path.name, hex_of(product.digest), product.category, "product", _datasums(product.path))


def _datasums(path: Path) -> tuple[str, ...]:
    """Return the sums of a product's data; nothing where it is gone or no FITS file any more."""
    with suppress(DataError, OSError):
        return read_datasums(path)
    return ()


def _source_entry(source: Source) -> FileEntry:
    return FileEntry(source.name, hex_of(source.digest), None, source.kind)


def hex_of(digest: str) -> str:
    """Return the 64 digits of a digest."""
    return digest.rpartition(":")[2]
