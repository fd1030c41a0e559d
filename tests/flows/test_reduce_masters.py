"""By Raw2Master the archive delivers what pipelines have made of raw calibrations: only the science is reduced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.catalogue import NIGHTS, make_night
from esorex_bridge.demo.nights.naco import injected_stars
from tests.flows.conftest import Ended
from tests.flows.instrument_runs import Reduction, assert_told, reduce_twice
from tests.flows.master_nights import with_its_masters

PROGRAM = "60.A-9999(A)"


@pytest.mark.slow
def test_hawki_reduces_science_with_nothing_but_masters(
    bridge: Callable[..., Ended], tmp_path: Path, esorex: str
) -> None:
    only_recipes(reduce_twice("hawki_masters", tmp_path, bridge), "hawki_science_process", "hawki_science_postprocess")


def test_naco_takes_the_masters_of_the_archive_and_finds_the_stars(
    bridge: Callable[..., Ended], tmp_path: Path, esorex: str
) -> None:
    night = reduce_twice("naco_masters", tmp_path, bridge)
    only_recipes(night, "naco_img_jitter")
    assert {file["name"].split(".")[0] for file in night.runs[0]["files"]} == {"M", "NACO"}
    header, image = (read(night.product("COADDED_IMG")) for read in (fits.getheader, fits.getdata))
    taken = {header[f"ESO PRO REC1 CAL{number} CATG"] for number in (1, 2)}
    assert taken == {"MASTER_IMG_FLAT", "MASTER_IMG_FLAT_BADPIX"}
    stars = injected_stars()
    row, column = np.unravel_index(np.argmax(image), image.shape)
    for star in stars:
        x, y = round(column + star.x - stars[0].x), round(row + star.y - stars[0].y)
        box = image[y - 10 : y + 11, x - 10 : x + 11] - np.median(image)
        assert box.sum() == pytest.approx(star.flux, rel=0.1)


@pytest.mark.parametrize(
    ("name", "recipes"),
    [
        pytest.param("naco", ["naco_img_jitter"], marks=pytest.mark.slow),
        ("visir", ["visir_old_img_combine"]),
        pytest.param("uves_guess", ["uves_obs_scired"], marks=pytest.mark.slow),
        pytest.param("muse", ["muse_scibasic", "muse_scipost", "muse_exp_combine"], marks=pytest.mark.slow),
    ],
)
def test_masters_of_the_archive_give_the_same_pixels_as_the_raws_they_were_made_of(
    name: str, recipes: list[str], bridge: Callable[..., Ended], tmp_path: Path, esorex: str
) -> None:
    by_raws = reduce_twice(name, tmp_path / "raws", bridge)
    sets = (word for text in NIGHTS[name].settings for word in ("--set", text))
    with EmbeddedArchive([with_its_masters(make_night(name), by_raws)], tmp_path / "frames") as archive:
        done = bridge(
            "reduce", "--program", PROGRAM, "--mode", "master", *sets,
            "--root", tmp_path / "masters", "--archive", archive.url, "--json",
        )  # fmt: skip
    assert done.code == 0, done.out + done.err
    by_masters = Reduction(name, done.code, (done.json,), tmp_path / "masters")
    assert by_masters.recipes == recipes
    compared = 0
    # What follows from products is not compared: muse_scipost leaves some rows of its tables as the memory was.
    for category in {product["category"] for product in by_masters.steps[0]["products"]}:
        for one, other in zip(by_masters.products(category), by_raws.products(category), strict=True):
            compared += same_pixels(one, other)
    assert compared > 0


def only_recipes(night: Reduction, *recipes: str) -> None:
    """Hold a night against what must be: these recipes the first time, none the second, and so in the table."""
    assert night.code == 0, night.runs
    assert night.recipes == list(recipes)
    assert night.decisions(1) == {"reuse"}
    assert_told([night])


def same_pixels(one: Path, other: Path) -> int:
    """Compare all images of two files, and return how many there were."""
    with fits.open(one) as ours, fits.open(other) as theirs:
        images = [number for number, unit in enumerate(ours) if unit.is_image and unit.data is not None]
        for number in images:
            assert np.array_equal(ours[number].data, theirs[number].data, equal_nan=True), (one.name, number)
    return len(images)
