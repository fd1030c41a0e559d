"""Whether what a recipe made are products: exit code 0 does not say so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from esorex_bridge.errors import DataError, RecipeError
from esorex_bridge.files import Digest
from esorex_bridge.fits.header import read_header
from esorex_bridge.fits.verify import verify_fits
from esorex_bridge.run.ports import Output


@dataclass(frozen=True, slots=True)
class CheckedOutput:
    """A product that was looked at: whole FITS, of the category that EsoRex says, not a dummy."""

    output: Output
    digest: Digest
    size_bytes: int


def check_outputs(recipe: str, outputs: Iterable[Output]) -> tuple[CheckedOutput, ...]:
    """Return the products of a run with their digests.

    Raises
    ------
    RecipeError
        There is none, or one is missing, damaged, without `PRO CATG`, or header only (some recipes write dummies and
        end with 0), or was never signed (the recipe died while writing).
    """
    checked = tuple(_check(recipe, output) for output in outputs)
    if not checked:
        raise RecipeError(f"{recipe} ended with 0 and made no product")
    return checked


def _check(recipe: str, output: Output) -> CheckedOutput:
    place = f"{recipe} ended with 0, but its product {output.path.name} ({output.category})"
    try:
        content = verify_fits(output.path, checksums=False)
        header = read_header(output.path)
    except (DataError, OSError) as error:
        raise RecipeError(f"{place} cannot be used: {error}") from None
    category = header.get("PRO.CATG")
    if all(hdu.data_bytes == 0 for hdu in content.hdus):
        raise RecipeError(f"{place} is a dummy: it holds headers and no data")
    if category is None:
        raise RecipeError(f"{place} has no PRO CATG")
    if str(category).strip() != output.category:
        raise RecipeError(f"{place} says in its header that it is {category}")
    if header.get("DATAMD5") == "Not computed":
        raise RecipeError(f"{place} was not finished: its DATAMD5 was never computed")
    return CheckedOutput(output, content.digest, output.path.stat().st_size)
