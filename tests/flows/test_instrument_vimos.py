"""VIMOS' spectra on real recipes: stars behind the slits of a mask, and a star in the lenses of the integral field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from esorex_bridge.demo.nights import vimos_fibres, vimos_grism, vimos_masks, vimos_stars
from tests.flows.conftest import Ended
from tests.flows.instrument_runs import Reduction, assert_told, reduce_twice, refusal_without, run_with, run_without

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

ARC_A = np.array([wave for wave, _ in vimos_grism.ARC_LINES])
CASCADES = {
    "vimos_masks": ["vmbias", "vmmoscalib", "vmmosscience", "vmmosscience"],
    "vimos_fibres": ["vmbias", "vmifucalib", "vmifuscience", "vmifustandard", "vmspphot", "vmifucombinecube"],
}


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory, bridge: Callable[..., Ended], esorex: str) -> Reduction:
    return reduce_twice("vimos_masks", tmp_path_factory.mktemp("masks"), bridge, seconds=1000)


@pytest.fixture(scope="module")
def fibres(tmp_path_factory: pytest.TempPathFactory, bridge: Callable[..., Ended], esorex: str) -> Reduction:
    return reduce_twice("vimos_fibres", tmp_path_factory.mktemp("fibres"), bridge, seconds=1000)


@pytest.mark.parametrize("name", CASCADES)
def test_the_first_run_goes_the_whole_cascade_and_the_second_runs_nothing(
    name: str, request: pytest.FixtureRequest
) -> None:
    night: Reduction = request.getfixturevalue(name.removeprefix("vimos_"))
    assert night.code == 0, night.runs
    assert sorted(night.recipes) == sorted(CASCADES[name])
    assert night.decisions(1) == {"reuse"}
    assert (night.runs[0]["executed"], night.runs[1]["executed"]) == (len(night.steps), 0)
    assert_told([night])


def errors_pix(solution: np.ndarray, reference_row: float) -> np.ndarray:
    """Return how far a dispersion relation puts the lines of the arc from where they are, by row of the table."""
    away = ARC_A - vimos_grism.REFERENCE_A
    found = sum(solution[f"c{power}"][:, None] * away**power for power in range(4))
    return np.asarray(found - vimos_grism.rows_of(reference_row, ARC_A))


def straight_errors_pix() -> np.ndarray:
    """Return how far the lines are from a straight dispersion relation, which is what one has without an arc."""
    guess = (ARC_A - vimos_grism.REFERENCE_A) / vimos_grism.DISPERSION_A
    return np.abs(guess - vimos_grism.rows_of(0, ARC_A))


def scale_of(path: Path) -> np.ndarray:
    """Return the wavelengths of a spectrum's columns."""
    header = fits.getheader(path)
    step = header.get("CD1_1", header.get("CDELT1"))
    return np.asarray(header["CRVAL1"] + step * (np.arange(header["NAXIS1"]) + 1 - header["CRPIX1"]))


def binned(waves: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return a spectrum in steps, away from its ends and from the lines of star and sky."""
    lines = np.array([vimos_stars.LINE_A, *(wave for wave, _ in vimos_grism.SKY_LINES)])
    clean = np.abs(waves[:, None] - lines).min(axis=1) > 50
    middles = np.arange(5950, 9250, 150)
    return np.array([np.median(values[clean & (np.abs(waves - middle) < 75)]) for middle in middles])


def line_of(waves: np.ndarray, values: np.ndarray) -> float:
    """Return the wavelength of the line that the star has."""
    away = np.abs(waves - vimos_stars.LINE_A)
    beside = (away > 60) & (away < 150)
    line = (values - np.polyval(np.polyfit(waves[beside], values[beside], 1), waves))[away < 45]
    return float((line * waves[away < 45]).sum() / line.sum())


def test_every_slit_gets_its_wavelengths(masks: Reduction) -> None:
    places, solution = (fits.getdata(masks.product(name)) for name in ("MOS_SLIT_LOCATION", "MOS_DISP_COEFF"))
    assert sorted(places["slit_id"]) == [slit.number for slit in vimos_masks.slits()]
    for place in places:
        rows = solution[place["position"] : place["position"] + place["length"]]
        # The table counts from the edge of the first pixel.
        found = errors_pix(rows, vimos_masks.slits()[place["slit_id"] - 1].row) - 0.5
        lines = np.abs(np.median(found, axis=0))
        assert lines[ARC_A < 9000].max() < 0.2
        # The three last lines stand by themselves, and the recipe finds a line to a tenth of a pixel.
        assert lines.max() < 0.3
    assert straight_errors_pix().max() > 20 * 0.2


def test_stars_behind_slits_have_their_flux_by_the_response_of_the_standard(masks: Reduction, tmp_path: Path) -> None:
    flux = masks.product("MOS_SCIENCE_FLUX_REDUCED")
    without = run_without(masks, "vmmosscience", "MOS_SPECPHOT_TABLE", tmp_path)
    assert not [category for category in without if "FLUX" in category]
    waves = scale_of(flux)
    true = vimos_stars.star_flux(waves)
    # Faint things beside them are noise, which the recipe takes for objects.
    spectra = [row for row in fits.getdata(flux) if np.median(row) > 0.1 * np.median(true)]
    assert len(spectra) == vimos_masks.SLITS
    for spectrum in spectra:
        assert binned(waves, spectrum / true) == pytest.approx(1, rel=0.03)
    raw = binned(waves, max(fits.getdata(without["MOS_SCIENCE_REDUCED"]), key=np.median) / true)
    calibrated = binned(waves, spectra[0] / true)
    # Without the response the spectrum has the colour of mirrors and grism.
    assert 20 * np.ptp(calibrated) < np.ptp(raw / np.median(raw))


def test_the_line_of_stars_behind_slits_is_at_its_wavelength(masks: Reduction) -> None:
    path = masks.product("MOS_SCIENCE_REDUCED")
    waves, spectra = scale_of(path), fits.getdata(path)
    bright = [row for row in spectra if np.median(row) > 0.1 * np.median(spectra.max(axis=0))]
    assert len(bright) == vimos_masks.SLITS
    for spectrum in bright:
        assert line_of(waves, spectrum) == pytest.approx(vimos_stars.LINE_A, abs=0.2 * vimos_grism.DISPERSION_A)


def test_every_fibre_is_traced_and_gets_its_wavelengths_and_transmission(fibres: Reduction) -> None:
    trace, solution = (fits.getdata(fibres.product(name), 1) for name in ("IFU_TRACE", "IFU_IDS"))
    rows = np.arange(1700, 2100)
    for fibre in range(vimos_fibres.FIBRES):
        found = sum(trace[f"c{power}"][fibre] * rows**power for power in range(4))
        assert np.abs(found - vimos_fibres.column_of(fibre)[rows]).max() < 0.1
    # The recipe takes no arc of the first fibre.
    errors = np.abs(errors_pix(solution[1:], vimos_fibres.REFERENCE_ROW))
    assert errors.max() < 0.2
    assert straight_errors_pix().max() > 20 * errors.max()
    # Of four rows of fibres the shutter leaves the second.
    there = fits.getdata(fibres.product("IFU_TRANSMISSION"), 1)["trans"][401:800]
    true = np.array([vimos_fibres.transmission(fibre) for fibre in range(1, vimos_fibres.FIBRES)])
    assert there / np.median(there) == pytest.approx(true / np.median(true), rel=0.01)


def test_fibres_are_alike_by_the_transmission_that_the_flat_shows(fibres: Reduction, tmp_path: Path) -> None:
    uneven = run_with(fibres, "vmifuscience", ("IFU_TRANSMISSION", as_if_all_were_alike), tmp_path)
    corrected, left = (
        unevenness(path) for path in (fibres.product("IFU_SCIENCE_REDUCED"), uneven["IFU_SCIENCE_REDUCED"])
    )
    # A sky of forty counts, of which the bias leaves one.
    assert corrected < 0.05
    assert left > 3 * corrected


def as_if_all_were_alike(path: Path, target: Path) -> None:
    """Write a table of transmissions anew, with 1 for every fibre."""
    with fits.open(path) as table:
        for extension in table[1:]:
            extension.data["trans"] = 1.0
        table.writeto(target)


def unevenness(path: Path) -> float:
    """Return how much the sky differs from fibre to fibre, in parts of its brightness."""
    dark = [vimos_fibres.share(fibre) < 1e-5 for fibre in range(1, vimos_fibres.FIBRES)]
    levels = fits.getdata(path)[401:800].mean(axis=1)[dark]
    return float(np.std(levels) / np.mean(levels))


@pytest.mark.parametrize(
    ("recipe", "category", "says"),
    [
        ("vmmoscalib", "MASTER_BIAS", "Missing required input: MASTER_BIAS"),
        ("vmmosscience", "MASTER_BIAS", "Missing required input: MASTER_BIAS"),
        ("vmmosscience", "MOS_DISP_COEFF", "Missing required input: MOS_DISP_COEFF"),
        ("vmmosscience", "MOS_MASTER_SCREEN_FLAT", "no MOS_MASTER_SCREEN_FLAT are found in input"),
        ("vmifucalib", "MASTER_BIAS", "No master bias in input"),
        ("vmifucalib", "LINE_CATALOG", "No input line catalog found"),
        ("vmifuscience", "MASTER_BIAS", "No master bias in input"),
        ("vmifuscience", "IFU_TRACE", "At least one tracing table is required"),
        ("vmifuscience", "IFU_IDS", "At least one inverse dispersion solution table is required"),
        ("vmifuscience", "IFU_TRANSMISSION", "At least one transmission correction table is required"),
        ("vmifustandard", "STD_FLUX_TABLE", "No input standard star flux table found"),
        ("vmifustandard", "EXTINCT_TABLE", "No input atmospheric extinction table found"),
        ("vmspphot", "IFU_SPECPHOT_TABLE", "IFU_SPECPHOT_TABLE not found in input"),
        ("vmspphot", "EXTINCT_TABLE", "Missing atmospheric extinction table"),
    ],
)
def test_what_a_recipe_cannot_do_without_it_asks_for(
    recipe: str, category: str, says: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    night: Reduction = request.getfixturevalue("masks" if recipe.startswith("vmmos") else "fibres")
    assert says in refusal_without(night, recipe, category, tmp_path)


def light_of_star(path: Path) -> np.ndarray:
    """Return what the fibres of the star have above the sky."""
    shares = np.array([vimos_fibres.share(fibre) for fibre in range(vimos_fibres.FIBRES)])
    spectra = fits.getdata(path)[400:800]
    sky = np.median(spectra[shares < 1e-4], axis=0)
    lit = shares > 1e-3
    return np.asarray((spectra[lit] - sky).sum(axis=0) / shares[lit].sum())


def test_a_star_in_the_field_has_its_flux_by_the_response_of_the_standard(fibres: Reduction) -> None:
    flux, counted = (fibres.product(f"IFU_SCIENCE_{name}REDUCED") for name in ("FLUX_", ""))
    waves = scale_of(flux)
    true = vimos_stars.star_flux(waves)
    calibrated, raw = (binned(waves, light_of_star(path) / true) for path in (flux, counted))
    assert calibrated == pytest.approx(1, rel=0.03)
    assert 10 * np.ptp(calibrated) < np.ptp(raw / np.median(raw))
    found = line_of(waves, light_of_star(counted))
    assert found == pytest.approx(vimos_stars.LINE_A, abs=0.2 * vimos_grism.DISPERSION_A)


def test_the_cube_shows_the_star_at_its_place(fibres: Reduction) -> None:
    image = np.median(fits.getdata(fibres.product("IFU_SCIENCE_FLUX_CUBE"))[150:500], axis=0)
    field = fits.getdata(fibres.product("IFU_FOV"))
    # This quadrant is the lower left one of the shuttered field, and the lower right one of the middle of the whole.
    for lenses in (image[20:40, :20], field[20:40, 40:60]):
        light = np.clip(lenses - np.median(lenses), 0, None)
        light[light < 0.02 * light.max()] = 0
        y, x = np.indices(light.shape)
        centre = [(light * places).sum() / light.sum() for places in (x, y)]
        assert centre == pytest.approx(vimos_fibres.STAR_AT, abs=0.05)
