"""Whether what a recipe made are products, and made of what it was given: exit code 0 says neither."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import PurePath

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.errors import DataError, RecipeError
from esorex_bridge.esorex.diagnosis import REPORTED
from esorex_bridge.esorex.libraries import other_cpl
from esorex_bridge.esorex.recipe import Output, Recipe
from esorex_bridge.files import Digest
from esorex_bridge.fits.header import Header, read_header
from esorex_bridge.fits.verify import verify_fits
from esorex_bridge.plan.sof import Sof


class CheckedOutput(Struct, frozen=True):
    """A product that was looked at: whole FITS, of a category that is known, not a dummy.

    `inputs` are the base names of the files that its header names as what it was made of; None where it names none.
    `cpl` is the CPL that it says it was made with.
    """

    output: Output
    digest: Digest
    size_bytes: int
    inputs: frozenset[str] | None
    cpl: str = ""


def check_outputs(recipe: str, outputs: Iterable[Output], expected: Collection[str] = ()) -> tuple[CheckedOutput, ...]:
    """Return the products of a run with their digests.

    Where a recipe is expected to make the category that stands in a product's header, the header counts and not the
    list: `amber_trf` lists its transfer functions under the category of the frames that they were made of.

    Raises
    ------
    RecipeError
        If there is none, or one is missing, damaged, without `PRO CATG`, or a header without data and measurements
        (some recipes write dummies and end with 0), or was never signed (the recipe died while writing).
    """
    checked = tuple(_check(recipe, output, expected) for output in outputs)
    if not checked:
        raise RecipeError(f"{recipe} exited with status 0 and made no product")
    return checked


def find_unlisted_inputs(
    recipe: str, sof: Sof, checked: Iterable[CheckedOutput], required: Iterable[str], unnoted: Iterable[str]
) -> tuple[str, ...]:
    """Return a warning for each input that no product names as used.

    Pipelines of the irplib family list just the frames that were used: a dark of another DIT, or the last of an odd
    number of nods, is passed over with exit code 0.

    Raises
    ------
    RecipeError
        If an input whose tag the recipe must have was not used.
    """
    lists = [entry.inputs for entry in checked]
    if None in lists:
        return ()  # a product without such a list proves nothing
    named = frozenset().union(*(names for names in lists if names is not None))
    unused = [
        entry for entry in sof.entries if entry.path.name not in named and entry.category not in frozenset(unnoted)
    ]
    refused = [f"{entry.category} ({entry.path.name})" for entry in unused if entry.category in frozenset(required)]
    if refused:
        raise RecipeError(
            f"{recipe} exited with status 0 and did not use {', '.join(refused)}: its products do not name them"
        )
    return tuple(f"{recipe} did not use {entry.category} ({entry.path.name})" for entry in unused)


def refuse_other_cpl(recipe: Recipe, checked: Iterable[CheckedOutput]) -> None:
    """Refuse products of another CPL than that whose libraries stand in the statement of the run.

    Raises
    ------
    RecipeError
        If one names another; the message names both.
    """
    for entry in checked:
        if said := other_cpl(recipe.cpl, entry.cpl):
            raise RecipeError(f"{recipe.name}: product {entry.output.path.name} is not kept: {said}")


def refuse_unusable(sof: Sof, required: Iterable[str], complaints: Iterable[str]) -> None:
    """Refuse a success in which the recipe reported an error about an input that it must have.

    hawki_detector_noise, for one, cannot load a confidence map, takes every pixel for good, and ends with 0.

    Raises
    ------
    RecipeError
        If it did; the message repeats what the recipe reported.
    """
    errors = [said for said in complaints if REPORTED in said]
    for entry in sof.entries if errors else ():
        named = re.compile(rf"(?<![\w.+-]){re.escape(entry.path.name)}")  # not as the end of a longer name
        for said in errors if entry.category in frozenset(required) else ():
            if named.search(said):
                raise RecipeError(f"{entry.category} could not be used: {said}")


def _check(recipe: str, output: Output, expected: Collection[str]) -> CheckedOutput:
    place = f"{recipe} exited with status 0, but its product {output.path.name} ({output.category})"
    try:
        content = verify_fits(output.path, checksums=False)
        header = read_header(output.path)
    except (DataError, OSError) as error:
        raise RecipeError(f"{place} cannot be used: {error}") from None
    category = header.get("PRO.CATG")
    if all(hdu.data_bytes == 0 for hdu in content.hdus) and not _has_measurements(header):
        raise RecipeError(f"{place} is a dummy: it holds headers and no data")
    if category is None:
        raise RecipeError(f"{place} has no PRO CATG")
    stated = str(category).strip()
    if stated != output.category and stated not in expected:
        raise RecipeError(f"{place} says in its header that it is {category}")
    if header.get("DATAMD5") == "Not computed":
        raise RecipeError(f"{place} was not finished: its DATAMD5 was never computed")
    made = replace(output, category=stated)
    inputs = frozenset(_find_named(header)) or None
    return CheckedOutput(made, content.digest, output.path.stat().st_size, inputs, cpl_of(header))


def _has_measurements(header: Header) -> bool:
    """Whether the header alone is a result: AMBER writes the shifts of its spectra as QC keywords and nothing else."""
    return any(name.startswith("QC.") for name in header)


def _find_named(header: Header) -> Iterator[str]:
    """Yield the files that the last recipe of a product's history says it was made of."""
    last = last_run(header)
    for kind in ("RAW", "CAL"):
        number = 1
        while (name := header.get(f"PRO.REC{last}.{kind}{number}.NAME")) is not None:
            yield PurePath(str(name).strip()).name
            number += 1


def cpl_of(header: Header) -> str:
    """Return the CPL that a product says it was made with (`cpl-7.2.3`); empty where it does not."""
    return str(header.get(f"PRO.REC{last_run(header)}.DRS.ID") or "").strip()


def last_run(header: Header) -> int:
    """Return the number of the last run in a product's history.

    A recipe whose first frame was itself a product keeps its history: the new run is then REC2, REC3 …
    """
    last = 1
    while f"PRO.REC{last + 1}.ID" in header:
        last += 1
    return last
