"""Pipelines whose recipes want detectors of full size: minutes, with `make test-all`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from esorex_bridge.definitions.parameters import effective
from esorex_bridge.demo.nights import vimos_full
from esorex_bridge.demo.nights.hawki_full import NPIX, STARS
from esorex_bridge.demo.nights.hawki_mosaic import CHIPS, GAIN_E_PER_COUNT, Detectors, chip_pixels, chip_stars
from esorex_bridge.demo.nights.survey_tables import ZERO_POINT_MAG
from esorex_bridge.demo.nights.vimos_detectors import CHIPS as QUADRANTS
from esorex_bridge.demo.nights.vimos_detectors import COLUMNS, CONAD_E_PER_COUNT, PRESCAN
from esorex_bridge.demo.nights.vimos_statics import EXTINCTION_MAG, sky_positions
from esorex_bridge.errors import RecipeError
from esorex_bridge.esorex.products import check_outputs, refuse_unusable
from esorex_bridge.esorex.recipe import Recipe, RecipeRun
from esorex_bridge.plan.sof import of_entries, parse_sof
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings
from tests.flows.conftest import Ended
from tests.flows.instrument_runs import Reduction, assert_told, reduce_twice, refusal_without
from tests.flows.reflex_runs import assert_same_by_reflex

DPR_TYPE = "HIERARCH ESO DPR TYPE"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def test_hawki_goes_all_the_way_from_raws(bridge: Callable[..., Ended], tmp_path: Path, esorex: str) -> None:
    night = reduce_twice("hawki_full", tmp_path, bridge, seconds=3000)
    assert night.code == 0, night.runs
    assert sorted(night.recipes) == [
        "hawki_dark_combine", "hawki_dark_combine", "hawki_detector_noise", "hawki_science_postprocess",
        "hawki_science_process", "hawki_standard_process", "hawki_twilight_flat_combine",
    ]  # fmt: skip
    assert night.decisions(1) == {"reuse"}
    assert night.runs[1]["executed"] == 0
    assert_told([night])
    detectors = Detectors(NPIX, 42, STARS)
    with fits.open(night.product("MASTER_TWILIGHT_FLAT")) as flat:
        for chip in CHIPS:
            sensitivity, hot = chip_pixels(detectors, chip)
            good = ~hot & (sensitivity > 0.5)
            ratio = flat[f"CHIP{chip}.INT1"].data[good] / sensitivity[good]
            assert np.std(ratio / np.median(ratio)) < 0.01
    noise = fits.getdata(night.product("MASTER_READGAIN"), 1)
    assert noise["GAIN"] == pytest.approx([GAIN_E_PER_COUNT] * len(CHIPS), rel=0.1)
    assert noise["READNOISE"] == pytest.approx([5.0] * len(CHIPS), rel=0.1)
    with fits.open(night.product("OBJECT_CATALOGUE_JITTERED")) as catalogue:
        found = [len(extension.data) for extension in catalogue[1:]]
    assert found == pytest.approx([len(chip_stars(detectors, chip)) for chip in CHIPS], rel=0.1)
    assert_the_standard_field_gives_the_zero_point(night.products("BASIC_CAT_STD"))

    assert_a_map_that_cannot_be_read_is_no_success(night)


def assert_the_standard_field_gives_the_zero_point(catalogues: list[Path]) -> None:
    true = ZERO_POINT_MAG + 0.05 * 0.15
    assert len(catalogues) == 4
    with fits.open(catalogues[0]) as catalogue:
        headers = [extension.header for extension in catalogue[1:]]
    assert headers[0]["ESO DRS ZPALL1"] == pytest.approx(true, abs=0.05)
    # What the recipe adds for light outside of the aperture, where there is none, is most of what is wrong.
    beyond = np.median([header["APCOR3"] for header in headers])
    assert headers[0]["ESO DRS ZPALL1"] - beyond == pytest.approx(true, abs=0.02)


def assert_a_map_that_cannot_be_read_is_no_success(night: Reduction) -> None:
    """Run the recipe again, by itself, with a confidence map without its chips: it ends with 0 all the same."""
    name = "hawki_detector_noise"
    (step,) = (step for step in night.steps if step["recipe"] == name)
    broken = night.root / "broken_conf.fits"
    with fits.open(night.product("MASTER_CONF")) as conf:
        conf[0].writeto(broken)
    noted = parse_sof(Path(step["sof"]).read_text()).entries
    sof = of_entries(
        (broken if entry.category == "MASTER_CONF" else Path(step["sof"]).parent / entry.path, entry.category)
        for entry in noted
    )
    folder = night.root / "by_hand"
    folder.mkdir()
    with Session(Settings(night.root)) as session:
        assert session.esorex is not None
        recipe = session.esorex.recipes([name])[name]
        assert isinstance(recipe, Recipe)
        ended = session.esorex.execute(RecipeRun(recipe, sof, effective(name, recipe.parameters, ()), folder))
    assert check_outputs(name, ended.outputs)
    with pytest.raises(RecipeError, match=r"MASTER_CONF could not be used: .* Unable to load"):
        refuse_unusable(sof, ("MASTER_CONF",), ended.complaints)


SEED = 31


@pytest.fixture(scope="module")
def vimos(tmp_path_factory: pytest.TempPathFactory, bridge: Callable[..., Ended], esorex: str) -> Reduction:
    return reduce_twice("vimos_full", tmp_path_factory.mktemp("vimos_full"), bridge, seconds=3000)


def test_vimos_goes_all_the_way_from_raws_of_four_quadrants(vimos: Reduction) -> None:
    assert vimos.code == 0, vimos.runs
    levels = ("bias", "dark", "twilight_flat", "det_noise", "science", "standard")
    assert vimos.recipes == [f"vimos_ima_{level}" for level in levels]
    assert vimos.decisions(1) == {"reuse"}
    assert vimos.runs[1]["executed"] == 0
    assert_told([vimos])


def test_vimos_workflow_file_gives_the_same_products(
    vimos: Reduction, bridge: Callable[..., Ended], tmp_path: Path
) -> None:
    assert_same_by_reflex(vimos, "vimos", bridge, tmp_path, seconds=3000)


def test_vimos_makes_no_flat_of_overexposed_frames(
    vimos: Reduction, tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    def linked(source: str, target: str) -> None:
        (os.link if source.endswith(".fits") else shutil.copy2)(source, target)

    root = tmp_path / "root"
    shutil.copytree(vimos.root, root, copy_function=linked)
    flats = [path for path in root.glob("reflex_input/**/VIMOS*.fits") if "FLAT" in fits.getval(path, DPR_TYPE)]
    assert flats
    for path in flats:
        with fits.open(path) as hdus:
            hdus[0].data = np.full_like(hdus[0].data, 60_000)
            path.unlink()
            hdus.writeto(path, checksum=True)
    ended = bridge("run", "--root", root, "--json", seconds=300)
    flat, science = ended.step("vimos_ima_twilight_flat"), ended.step("vimos_ima_science")
    assert (flat["outcome"], science["outcome"]) == ("failed", "blocked")
    assert "exited with status 0" in flat["error"]
    assert "is a dummy: it holds headers and no data" in flat["error"]


def test_vimos_measures_bias_dark_and_noise_of_each_quadrant(vimos: Reduction) -> None:
    with fits.open(vimos.product("MASTER_BIAS")) as bias, fits.open(vimos.product("MASTER_DARK")) as dark:
        for quadrant, chip in QUADRANTS.items():
            lit = bias[chip].data[:, PRESCAN : PRESCAN + COLUMNS]
            level = vimos_full.bias_counts(quadrant)
            assert np.mean(lit[:, :64]) == pytest.approx(level, abs=0.5)
            assert np.mean(lit[:, -64:]) == pytest.approx(level + vimos_full.BIAS_STEP_COUNTS, abs=0.5)
            per_second = vimos_full.DARK_COUNTS_PER_HOUR / 3600
            assert np.mean(dark[chip].data) == pytest.approx(per_second, rel=0.02)
    noise = fits.getdata(vimos.product("MASTER_READGAIN"), 1)
    assert noise["GAIN"] == pytest.approx([CONAD_E_PER_COUNT] * len(QUADRANTS), rel=0.05)
    assert noise["READNOISE"] == pytest.approx([vimos_full.READ_NOISE_COUNTS] * len(QUADRANTS), rel=0.05)


def test_vimos_finds_the_sensitivity_of_every_pixel_and_trusts_no_dead_one(vimos: Reduction) -> None:
    with fits.open(vimos.product("MASTER_TWILIGHT_FLAT")) as flat, fits.open(vimos.product("MASTER_CONF")) as conf:
        for quadrant, chip in QUADRANTS.items():
            true = vimos_full.sensitivity(SEED, quadrant)
            dead = true < 0.5
            ratio = flat[chip].data[~dead] / true[~dead]
            assert np.std(ratio / np.median(ratio)) < 0.01
            assert np.all(conf[chip].data[dead] == 0)
            assert np.mean(conf[chip].data[~dead] > 0) > 0.9999


def test_vimos_finds_the_stars_on_the_sky(vimos: Reduction) -> None:
    with fits.open(vimos.product("OBJECT_CATALOGUE_SCI_JITTERED")) as catalogue:
        for quadrant, chip in QUADRANTS.items():
            found = catalogue[chip].data
            ra, dec = sky_positions(partial(vimos_full.injected_stars, SEED), quadrant)
            east = (found["RA"][:, None] - ra) * np.cos(np.radians(dec))
            apart_arcsec = 3600 * np.hypot(east, found["DEC"][:, None] - dec).min(axis=1)
            # The recipe leaves out the corners that the field of the telescope does not reach.
            assert vimos_full.STARS * 0.85 < len(found) <= vimos_full.STARS
            assert np.percentile(apart_arcsec, 95) < 0.1


def test_vimos_finds_the_zero_point_of_the_stars(vimos: Reduction) -> None:
    above_first_airmass = 0.15
    with fits.open(vimos.product("OBJECT_CATALOGUE_STD")) as catalogue:
        for chip in QUADRANTS.values():
            zero_point = catalogue[chip].header["ESO DRS ZPALL2"]
            assert zero_point == pytest.approx(ZERO_POINT_MAG + EXTINCTION_MAG * above_first_airmass, abs=0.02)


@pytest.mark.parametrize(
    ("category", "says"),
    [
        ("MASTER_BIAS", "No master bias found"),
        ("MASTER_TWILIGHT_FLAT", "No master twilight flat found"),
        ("MASTER_CONF", "No master confidence map file found"),
        ("PHOTCAL_TAB", "No photometric table found"),
    ],
)
def test_vimos_finds_no_zero_point_without_what_calibrates(
    category: str, says: str, vimos: Reduction, tmp_path: Path
) -> None:
    assert says in refusal_without(vimos, "vimos_ima_standard", category, tmp_path)
