"""Each installed pipeline reduces its synthetic night with its real recipes, and finds what was put there."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from msgspec.structs import replace

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights import (
    amber,
    amber_beams,
    giraf,
    giraf_argus,
    hawki_sky,
    muse,
    muse_field,
    naco,
    naco_arc,
    naco_polarimetry,
    naco_spectra,
    naco_standards,
    uves,
    uves_raw,
    uves_tflat,
    vimos,
    visir,
)
from esorex_bridge.demo.nights.amber_array import BASELINES, uniform_disc
from esorex_bridge.demo.nights.amber_statics import CALIBRATOR_MAS, good_pixels
from esorex_bridge.demo.nights.catalogue import NIGHTS, make_night
from esorex_bridge.demo.nights.giraf_fibres import LENSLETS, FibreSpectrograph, transmission
from esorex_bridge.demo.nights.hawki import NEBULA_CHIPS, hawki_night
from esorex_bridge.demo.nights.hawki_mosaic import CHIPS, Detectors, chip_stars
from esorex_bridge.demo.nights.hawki_statics import sky_positions
from esorex_bridge.demo.nights.naco_spectra import nod_offset
from esorex_bridge.demo.nights.night import group
from esorex_bridge.demo.nights.uves_echelle import LINE_SIGMA_PIX, Echelle, Format, continuum
from esorex_bridge.demo.nights.uves_headers import BIAS_COUNTS as UVES_BIAS_COUNTS
from esorex_bridge.demo.nights.uves_optics import BLUE, REDL, REDU, ChipFormat
from esorex_bridge.files import DpId
from tests.browser import browser_path, check_whole_page, open_page, products_by_clicks, share_browser
from tests.flows.conftest import Ended, put_on_disk
from tests.flows.instrument_runs import Reduction, Runs, assert_told, done, refusal_without, run, run_without
from tests.flows.reflex_runs import assert_found_by_reflex, assert_same_by_reflex
from tests.unit.test_nights_recipes import run_recipe

__all__ = ["done", "run"]

pytestmark = pytest.mark.timeout(1800)

SMALL = (
    "naco",
    "visir",
    "uves_guess",
    "muse_dark",
    "amber",
)
STRIPES = ((50, 140), (160, 260), (285, 370), (420, 512))
"""Columns of AMBER, from 0, of which the pipeline makes the flat field; all others count as of sensitivity 1."""
LARGE = (
    "hawki",
    "hawki_sky",
    "uves",
    "uves_red",
    "muse",
    "amber_full",
    "amber_h",
    "amber_j",
    "giraf",
    "giraf_argus",
    "naco_polarimetry",
    "naco_spectra",
    "naco_standards",
    "uves_tflat",
    "vimos",
)
"""Nights that take long; each has a smaller one of its pipeline above, as `first_steps` or in a test of its own."""

SLOWLY = tuple(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)


UVES_FROM_RAWS = {
    f"uves_{name}"
    for name in (
        "cal_mbias",
        "cal_mdark",
        "cal_predict",
        "cal_orderpos",
        "cal_mflat",
        "cal_wavecal",
        "cal_response",
        "obs_scired",
    )
}
CASCADES = {
    "amber": {f"amber_{name}" for name in ("spectral_calibration", "p2vm", "SciCal", "trf", "calibrate")},
    **{
        name: {f"amber_{each}" for each in ("spectral_calibration", "p2vm", "SciCal", "trf", "calibrate")}
        for name in ("amber_h", "amber_j")
    },
    "amber_full": {
        f"amber_{name}" for name in ("detector", "spectral_calibration", "p2vm", "SciCal", "trf", "calibrate")
    },
    "naco": {"naco_img_dark", "naco_img_twflat", "naco_img_jitter"},
    "naco_standards": {f"naco_img_{name}" for name in ("dark", "twflat", "jitter", "zpoint", "strehl")},
    "naco_polarimetry": {"naco_img_dark", "naco_img_twflat", "naco_img_jitter"},
    "hawki": {"hawki_dark_combine", "hawki_science_process", "hawki_science_postprocess"},
    "hawki_sky": {"hawki_dark_combine", "hawki_science_process", "hawki_science_postprocess"},
    "visir": {"visir_img_dark", "visir_img_ff", "visir_old_img_combine"},
    "naco_spectra": {"naco_spc_lampflat", "naco_spc_combine", "naco_spc_wavecal"},
    "uves": UVES_FROM_RAWS,
    "uves_red": UVES_FROM_RAWS,
    "uves_tflat": {f"uves_cal_{name}" for name in ("mbias", "orderpos", "wavecal", "tflat")},
    "uves_guess": {
        f"uves_{name}" for name in ("cal_mbias", "cal_mdark", "cal_orderpos", "cal_mflat", "cal_wavecal", "obs_scired")
    },
    "muse": {f"muse_{name}" for name in ("bias", "dark", "flat", "scibasic", "standard", "scipost", "exp_combine")},
    "muse_dark": {"muse_bias", "muse_dark"},
    "giraf": {"gimasterbias", "gimasterdark", "gimasterflat", "giwavecalibration", "giscience"},
    "giraf_argus": {"gimasterbias", "gimasterflat", "giwavecalibration", "gistandard", "giscience"},
    "vimos": {"vmbias", "vmdark"},
}


@pytest.mark.parametrize("name", [*SMALL, *SLOWLY])
def test_the_first_run_goes_the_whole_cascade_and_the_second_runs_nothing(
    name: str, run: Callable[[str], Reduction]
) -> None:
    night = run(name)
    assert night.code == 0, night.runs
    assert set(night.recipes) == CASCADES[name]
    assert night.decisions(0) == {"execute"}
    assert night.decisions(1) == {"reuse"}
    assert (night.runs[0]["executed"], night.runs[1]["executed"]) == (len(night.steps), 0)


def test_visir_finds_every_bad_pixel_and_the_star_in_both_beams(run: Callable[[str], Reduction]) -> None:
    night = run("visir")
    assert np.array_equal(fits.getdata(night.product("IMG_BPM")), visir.bad_pixels())
    image = fits.getdata(night.product("IMG_OBS_COMBINED_CNJ"))
    bright, dark = peak(image), peak(-image)
    throw = visir.THROW_ARCSEC / visir.VISIR.pixel_arcsec
    assert abs(bright[0] - dark[0]) == pytest.approx(throw, abs=2)
    assert flux(image, *bright) == pytest.approx(-flux(image, *dark), rel=0.03)


def test_visir_delivers_the_science_alone_and_keeps_what_its_darks_tell(run: Callable[[str], Reduction]) -> None:
    night = run("visir")
    (dataset,) = night.runs[0]["datasets"]
    assert [product["category"] for product in dataset["end_products"]] == ["IMG_OBS_COMBINED_CNJ"]
    assert night.product("IMG_DARK_AVG").is_file()


def test_a_small_hawki_night_goes_the_whole_cascade_with_its_statics(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended], esorex: str
) -> None:
    """The twin of those that reduce HAWK-I's larger night: on a quarter of the pixels and half of the frames."""
    night = hawki_night(npix=128, science_frames=2)
    put_on_disk(night, frames_folder, tmp_path)
    sets = tuple(f"--set={text}" for text in NIGHTS["hawki"].settings)
    first, second = (bridge("run", "--root", tmp_path, "--json", *sets) for _ in range(2))
    assert first.code == 0, first.out + first.err
    assert first.decisions == dict.fromkeys(CASCADES["hawki"], "execute")
    assert second.decisions == dict.fromkeys(CASCADES["hawki"], "reuse")
    (dataset,) = first.json["datasets"]
    assert "JITTERED_IMAGE_SCI" in {product["category"] for product in dataset["end_products"]}
    statics = {str(file.dp_id) for file in night.files if str(file.dp_id).startswith("M.HAWKI")}
    sofs = "".join(Path(step["sof"]).read_text() for step in dataset["steps"] if step["sof"])
    assert len([name for name in statics if name in sofs]) >= 7


@pytest.mark.slow
def test_hawki_takes_the_statics_of_the_archive_and_makes_an_image_of_all_detectors(
    run: Callable[[str], Reduction],
) -> None:
    first, second = run("hawki").runs
    (dataset,) = first["datasets"]
    assert (first["executed"], second["executed"]) == (3, 0)
    assert "JITTERED_IMAGE_SCI" in {product["category"] for product in dataset["end_products"]}
    statics = [file["name"] for file in first["files"] if file["name"].startswith("M.HAWKI")]
    assert len(statics) >= 7


@pytest.mark.slow
def test_its_page_shows_every_product_of_hawki_after_two_clicks_and_names_the_raws(
    run: Callable[[str], Reduction],
) -> None:
    night = run("hawki")
    (dataset,) = night.runs[0]["datasets"]
    page = page_of(night)
    made = {Path(product["path"]).name for step in dataset["steps"] for product in step["products"]}
    assert len(made) > 15
    with share_browser():
        assert products_by_clicks(page, dataset["dataset"]) == made
        for scheme in ("light", "dark"):
            check_whole_page(page, scheme)


def page_of(night: Reduction) -> Path:
    """Return the page of a night, or skip where no browser shows it."""
    page = night.root / "reflex_book_keeping" / "report.html"
    assert page.stat().st_size < 1_000_000
    browser_path()
    return page


@pytest.mark.slow
def test_its_page_can_be_used(run: Callable[[str], Reduction]) -> None:
    """Click on a step, look at a picture, and filter, as a user does."""
    page = page_of(run("hawki"))
    with open_page() as (window, complaints, _):
        window.goto(page.as_uri())
        window.get_by_label("hawki_science_process_1: ran").click()
        window.get_by_text("HAWKI.2019-06-02T01:00:40.213", exact=True).first.wait_for(state="visible")
        assert window.locator("figure img").first.evaluate("image => image.naturalWidth") > 50
        window.keyboard.press("/")
        window.keyboard.type("naco")
        window.locator("tr[data-dataset]").wait_for(state="hidden")
        assert complaints == []


@pytest.mark.slow
def test_hawki_keeps_a_nebula_where_exposures_of_the_sky_beside_it_are_taken(
    run: Callable[[str], Reduction], tmp_path: Path
) -> None:
    night = run("hawki_sky")
    true = hawki_sky.NEBULA_COUNTS
    alone = run_without(night, "hawki_science_process", "SKY", tmp_path)
    for chip in NEBULA_CHIPS:
        assert nebula(night.product("JITTERED_IMAGE_SCI"), chip) == pytest.approx(true, rel=0.03)
        assert nebula(alone["JITTERED_IMAGE_SCI"], chip) < true / 10


def nebula(path: Path, chip: int) -> float:
    """Return the light near the middle of a detector, stars aside, above that in its corners."""
    image = fits.getdata(path, 1 + CHIPS.index(chip))
    rows, columns = (size // 2 for size in image.shape)
    corners = [image[y : y + 20, x : x + 20] for x in (20, -40) for y in (20, -40)]
    steps = range(-12, 13, 4)
    places = [image[rows + y - 6 : rows + y + 6, columns + x - 6 : columns + x + 6] for y in steps for x in steps]
    return float(np.percentile([np.median(place) for place in places], 90) - np.median(np.concatenate(corners)))


@pytest.mark.slow
def test_hawki_finds_the_stars_at_their_places_in_the_image_of_all_detectors(run: Callable[[str], Reduction]) -> None:
    night = run("hawki_sky")
    detectors = Detectors(256, 42, hawki_sky.STARS)
    header, image = (read(night.product("TILED_IMAGE")) for read in (fits.getheader, fits.getdata))
    wcs = WCS(header, fix=False)
    apart, ratios = [], []
    for chip in set(CHIPS) - set(NEBULA_CHIPS):
        for star, ra, dec, _ in zip(chip_stars(detectors, chip), *sky_positions(detectors, chip), strict=True):
            x, y = (round(float(value)) for value in wcs.wcs_world2pix(ra, dec, 0))
            if star.flux > 30_000:
                near = image[y - 8 : y + 9, x - 8 : x + 9] - np.median(image[y - 20 : y + 21, x - 20 : x + 21])
                apart.append(np.hypot(*(np.array(peak(near)) - 8)))
                ratios.append(near.sum() / star.flux)
    assert len(ratios) > 10
    assert np.median(apart) < 1.1
    assert np.median(ratios) == pytest.approx(1, rel=0.03)


@pytest.mark.slow
def test_naco_finds_the_slope_of_the_flat_and_the_star_of_both_nodding_positions(
    run: Callable[[str], Reduction],
) -> None:
    night = run("naco_spectra")
    flat = np.median(fits.getdata(night.product("MASTER_SPC_FLAT")), axis=0)
    npix = len(flat)
    inside = np.arange(round(0.12 * npix), round(0.88 * npix))
    slope, level = np.polyfit(inside / npix - 0.5, flat[inside], 1)
    assert slope / level == pytest.approx(naco_spectra.FLAT_SLOPE, rel=0.05)
    profile = np.median(fits.getdata(night.product("SPC_NOD_COMBINED")), axis=0)
    star, ghost = int(np.argmax(profile)), int(np.argmin(profile))
    assert abs(star - ghost) == pytest.approx(2 * nod_offset(npix, 1), abs=2)
    assert profile[star] > 0.9 * naco_spectra.STAR_COUNTS


@pytest.mark.slow
def test_naco_gives_every_pixel_the_wavelength_of_the_lamp(run: Callable[[str], Reduction]) -> None:
    night = run("naco_spectra")
    found = fits.getdata(night.product("ARC_MAP"))
    y, x = np.mgrid[1 : len(found) + 1, 1 : len(found) + 1]
    apart_pix = (found - naco_arc.wavelength_um(len(found), x, y)) / np.median(np.diff(found, axis=0))
    lit = apart_pix[80:-80, 120:-120]
    assert np.abs(lit).max() < 0.2
    off_pix = np.abs(found - model_um(len(found), y)) / np.median(np.diff(found, axis=0))
    assert np.median(off_pix) > 10 * np.median(np.abs(lit))


def model_um(npix: int, y: np.ndarray) -> np.ndarray:
    """Return the wavelengths that the pipeline was told before it saw the lamp."""
    away = (y - (npix + 1) / 2) / ((npix - 1) / 2)
    return np.asarray(np.polynomial.legendre.legval(away, naco_arc.MODEL_UM))


@pytest.mark.slow
def test_naco_finds_the_zero_point_of_the_standard_and_the_strehl_ratio_of_the_psf_star(
    run: Callable[[str], Reduction],
) -> None:
    night = run("naco_standards")
    per_second = naco_standards.STANDARD_COUNTS / naco.FLAT_DIT_S
    zero_point = fits.getval(night.product("ZPOINT_TABLE"), "ESO QC ZPOINT")
    assert zero_point == pytest.approx(naco_standards.STANDARD_MAG + 2.5 * np.log10(per_second), abs=0.05)
    # A round mirror of 8 m with a hole of 1.1 m, in the middle pixel; the recipe's own picture is smoothed by pixels.
    pixel_rad, wavelength = np.radians(naco.NACO.pixel_arcsec / 3600), naco.CENTRES_UM["Ks"] * 1e-6
    ideal = np.pi / 4 * (8.0**2 - 1.1**2) * (pixel_rad / wavelength) ** 2
    seen = 1 / (2 * np.pi * (naco.FWHM_PIX / 2.3548) ** 2)
    strehl = fits.getval(night.product("NACO_IMG_STREHL_CAL"), "ESO QC STREHL")
    assert strehl == pytest.approx(seen / ideal, rel=0.12)


@pytest.mark.slow
def test_naco_divides_by_the_flat_of_the_filter_that_the_science_was_taken_through(
    run: Callable[[str], Reduction], tmp_path: Path
) -> None:
    night = run("naco_standards")
    flat = star_fluxes(night.product("COADDED_IMG"))
    bare = star_fluxes(run_without(night, "naco_img_jitter", "MASTER_IMG_FLAT", tmp_path)["COADDED_IMG"])
    assert np.std(flat) / np.mean(flat) < 0.03
    assert np.std(bare) / np.mean(bare) > 3 * np.std(flat) / np.mean(flat)


@pytest.mark.slow
def test_naco_adds_up_each_angle_of_a_polariser_by_itself(run: Callable[[str], Reduction], tmp_path: Path) -> None:
    night = run("naco_polarimetry")
    jitters = [step for step in night.steps if step["recipe"] == "naco_img_jitter"]
    grids = {file.dp_id: file.keyword("ESO INS OPTI3 NAME") for file in naco_polarimetry.naco_polarimetry_night().files}
    seen, raws = {}, []
    for step in jitters:
        rows = [line.rsplit(" ", 1) for line in Path(step["sof"]).read_text().splitlines()]
        paths = [Path(step["sof"]).parent / path for path, tag in rows if tag == "POL_JITTER_OBJ"]
        (angle,) = {grids[DpId(path.name.partition(".fits")[0])] for path in paths}
        assert len(paths) == naco_polarimetry.FRAMES
        raws += paths
        (coadd,) = (product["path"] for product in step["products"])
        seen[angle] = star_fluxes(Path(coadd))
    assert len(set(raws)) == naco_polarimetry.FRAMES * len(naco_polarimetry.ANGLES_DEG)
    at = {angle: seen[naco_polarimetry.grid_name(angle)] for angle in naco_polarimetry.ANGLES_DEG}
    stokes_q, stokes_u = ((at[one] - at[other]) / (at[one] + at[other]) for one, other in ((0, 90), (45, 135)))
    degree, direction_deg = np.hypot(stokes_q, stokes_u), np.degrees(np.arctan2(stokes_u, stokes_q)) / 2
    assert degree[0] == pytest.approx(naco_polarimetry.DEGREE, abs=0.01)
    assert direction_deg[0] == pytest.approx(naco_polarimetry.DIRECTION_DEG, abs=1)
    assert np.median(degree[1:]) < 0.02
    # What the rules ask for, all angles in one run, is half of the light, whatever its polarisation.
    together = run_together(jitters, tmp_path)
    assert star_fluxes(together)[0] == pytest.approx(0.5, rel=0.05)


def run_together(steps: list[dict[str, Any]], folder: Path) -> Path:
    """Run a recipe once for the files of several steps; return its first product."""
    rows = {
        (str(Path(step["sof"]).parent / line.rsplit(" ", 1)[0]), line.rsplit(" ", 1)[1])
        for step in steps
        for line in Path(step["sof"]).read_text().splitlines()
    }
    (product, *_) = run_recipe(folder, steps[0]["recipe"], [(Path(path), tag) for path, tag in sorted(rows)])
    return product[0]


def star_fluxes(path: Path) -> np.ndarray:
    """Return the fluxes of the injected stars, in parts of what was put in."""
    image = fits.getdata(path)
    stars = naco.injected_stars()
    column, row = peak(image)
    found = []
    for star in stars:
        x, y = round(column + star.x - stars[0].x), round(row + star.y - stars[0].y)
        around = image[y - 18 : y + 19, x - 18 : x + 19]
        found.append((image[y - 12 : y + 13, x - 12 : x + 13] - np.median(around)).sum() / star.flux)
    return np.array(found)


def test_uves_measures_bias_orders_and_wavelengths(run: Callable[[str], Reduction]) -> None:
    night, echelle = run("uves_guess"), uves.blue_echelle()
    assert np.median(fits.getdata(night.product("MASTER_BIAS_BLUE"))) == pytest.approx(UVES_BIAS_COUNTS, abs=1)
    assert order_errors(night.product("ORDER_TABLE_BLUE"), echelle) < 0.05
    assert wavelength_errors_pix(night.product("LINE_TABLE_BLUE"), echelle) < 0.1
    assert line_errors(night.product("RED_SCI_POINT_BLUE"), echelle) < 0.15


UVES_CHIPS = [("uves", BLUE), ("uves_red", REDL), ("uves_red", REDU)]
"""Nights that begin with the format check, and their chips."""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "layout"), UVES_CHIPS)
def test_uves_takes_what_it_foresees_of_the_format_for_guesses_and_measures_it_better(
    name: str, layout: ChipFormat, run: Callable[[str], Reduction]
) -> None:
    night, chip = run(name), layout.chip
    assert np.median(fits.getdata(night.product(f"MASTER_BIAS_{chip}"))) == pytest.approx(UVES_BIAS_COUNTS, abs=1)
    assert order_errors(night.product(f"ORDER_TABLE_{chip}"), layout) < 0.05
    assert wavelength_errors_pix(night.product(f"LINE_TABLE_{chip}"), layout) < 0.1
    guess = fits.getdata(night.product(f"LINE_GUESS_TAB_{chip}"), 1)
    inside = np.isin(guess["Order"], layout.orders)
    true = [layout.position(int(row["Order"]), row["Ident"]) for row in guess[inside]]
    assert 0.2 < np.median(np.abs(guess["X"][inside] - true)) < 2


@pytest.mark.slow
@pytest.mark.parametrize(("name", "layout"), UVES_CHIPS)
def test_uves_gives_the_star_the_flux_and_the_lines_that_it_has(
    name: str, layout: ChipFormat, run: Callable[[str], Reduction]
) -> None:
    path = run(name).product(f"FLUXCAL_SCI_POINT_{layout.chip}")
    true = uves_raw.RELATIVE_FLUX * uves_raw.STANDARD_FLUX * 1e16
    parts = parts_of(path, name)
    assert len(parts) > 10
    assert parts / true == pytest.approx(1, rel=0.03)
    # Photons leave a noise of about 0.15 pixel in the place of one line.
    errors = [line_error_pix(path, layout, line) for line in uves_raw.absorption_lines(layout)]
    assert np.sqrt(np.mean(np.square(errors))) < 0.2
    # So most single lines are within a fifth of a pixel, the typical one within a tenth.
    assert np.mean(np.abs(errors) < 0.2) > 0.5
    assert abs(np.median(errors)) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arm"), [("uves", "BLUE"), ("uves_red", "RED")])
def test_uves_gives_no_flux_without_a_response(
    name: str, arm: str, run: Callable[[str], Reduction], tmp_path: Path
) -> None:
    night, chip = run(name), {"BLUE": "BLUE", "RED": "REDL"}[arm]
    made = run_without(night, "uves_obs_scired", f"INSTR_RESPONSE_FINE_{chip}", tmp_path)
    assert f"FLUXCAL_SCI_POINT_{chip}" not in made
    # What is left has the colour of mirrors and detector.
    flux, counts = (
        parts_of(path, name) for path in (night.product(f"FLUXCAL_SCI_POINT_{chip}"), made[f"RED_SCI_POINT_{chip}"])
    )
    assert 5 * np.ptp(flux / np.median(flux)) < np.ptp(counts / np.median(counts))


def parts_of(path: Path, name: str) -> np.ndarray:
    """Return what is in the middle of each 50 angstrom of a spectrum, its ends left out."""
    setting = uves_raw.BLUE_SETTING if name == "uves" else uves_raw.RED_SETTING
    waves, spectrum = spectrum_of(path)
    first, last = max(waves[0], setting.angstrom[0]), min(waves[-1], setting.angstrom[1])
    middles = np.arange(first + 100, last - 50, 50)
    return np.array([np.median(spectrum[np.abs(waves - middle) < 30]) for middle in middles])


def spectrum_of(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return wavelengths and values of a reduced spectrum."""
    spectrum, header = fits.getdata(path), fits.getheader(path)
    return header["CRVAL1"] + header["CDELT1"] * np.arange(len(spectrum)), spectrum


def line_error_pix(path: Path, layout: ChipFormat, line: float) -> float:
    """Return how far an absorption line is from where it was put, in pixels of the detector, by least squares."""
    waves, spectrum = spectrum_of(path)
    order = min(layout.orders, key=lambda order: abs(float(layout.position(order, line)) - layout.centre))
    x = layout.position(order, line)
    pixel = float(layout.wavelength(order, x + 0.5) - layout.wavelength(order, x - 0.5))
    sigma = 2 * LINE_SIGMA_PIX * pixel
    near = np.abs(waves - line) < 5 * sigma

    def misfit(shift: float) -> float:
        shape = np.exp(-0.5 * ((waves[near] - line - shift) / sigma) ** 2)
        _, left, _, _ = np.linalg.lstsq(np.column_stack([np.ones_like(shape), shape]), spectrum[near])
        return float(left[0])

    return min(np.linspace(-1.5, 1.5, 301).tolist(), key=lambda shift: misfit(shift * pixel))


def order_errors(path: Path, echelle: Format) -> float:
    """Return the median distance in pixels of the fitted orders from where they were put."""
    table = fits.getdata(path, 1)
    assert set(table["Order"]) == set(range(1, len(echelle.orders) + 1))
    orders = np.array(echelle.orders)[table["Order"] - 1]
    places = [echelle.place(order, x) for order, x in zip(orders.tolist(), table["X"].tolist(), strict=True)]
    return float(np.median(np.abs(table["Yfit"] - places)))


def wavelength_errors_pix(path: Path, echelle: Format) -> float:
    """Return the median error of the calibration at the lines that were identified, in pixels."""
    table = fits.getdata(path, 1)
    used = table[table["NLinSol"] == 1]
    assert len(used) > 500
    true = [echelle.wavelength(int(order), x) for order, x in zip(used["Order"], used["X"], strict=True)]
    return float(np.median(np.abs(used["WaveC"] - true) / np.abs(used["Pixel"])))


def line_errors(path: Path, echelle: Echelle) -> float:
    """Return the greatest error of the star's absorption lines in the reduced spectrum, in angstrom."""
    waves, spectrum = spectrum_of(path)
    errors = []
    for line in uves.absorption_lines(echelle):
        near = np.abs(waves - line) < 2.0
        depth = np.clip(0.85 * np.median(spectrum[near]) - spectrum[near], 0, None)
        errors.append(abs(float((depth * waves[near]).sum() / depth.sum()) - line))
    return max(errors)


@pytest.mark.slow
@pytest.mark.parametrize("layout", [REDL, REDU])
def test_uves_marks_the_cosmic_rays_and_nothing_else(layout: ChipFormat, run: Callable[[str], Reduction]) -> None:
    found = fits.getdata(run("uves_red").product(f"CRMASK_{layout.chip}"), 1)
    assert {int(x) for x in found["X"]} == {x for _, x in uves_raw.cosmic_hits(layout)}


@pytest.mark.slow
def test_uves_sees_in_flats_through_the_telescope_what_the_detector_lost(run: Callable[[str], Reduction]) -> None:
    night, echelle = run("uves_tflat"), uves.blue_echelle()
    ratio = fits.getdata(night.product("RATIO_TFLAT_BLUE"))
    lit = continuum(echelle, uves.SLIT_PIX, 1.0) > 0.3
    true = 1 / uves_tflat.sensitivity_then(echelle)
    ends = [np.median((ratio / true)[:, part][lit[:, part]]) for part in (slice(0, 200), slice(-200, None))]
    # What the recipe takes for background is in the new flat alone.
    assert ends == pytest.approx([1, 1], rel=0.02)
    assert ends[0] / ends[1] == pytest.approx(1, rel=0.003)


def test_muse_reduces_all_24_ifus_at_once_and_finds_the_dark_current(run: Callable[[str], Reduction]) -> None:
    night = run("muse_dark")
    darks = night.products("MASTER_DARK")
    assert len(night.products("MASTER_BIAS")) == len(darks) == 24
    electrons = muse.DARK_COUNTS_PER_HOUR * muse.GAIN_E_PER_COUNT
    for path in darks:
        assert np.mean(fits.getdata(path, "DATA")) == pytest.approx(electrons, rel=0.05)


@pytest.mark.slow
def test_muse_traces_every_slice_and_gives_every_pixel_its_wavelength(run: Callable[[str], Reduction]) -> None:
    night = run("muse")
    trace = fits.getdata(night.product("TRACE_TABLE"), 1)
    places = [muse.slice_centre(muse.FULL_WIDTH, number) for number in trace["SliceNo"]]
    assert np.abs(trace["tc0_00"] - places).max() < 0.2
    assert np.abs(trace["Width"] - muse.SLICE_WIDTH_PIX).max() < 0.5
    with fits.open(night.products("PIXTABLE_OBJECT")[0]) as table:
        waves, sky = (np.asarray(table[name].data).ravel() for name in ("lambda", "data"))
    true = muse_field.wavelengths_angstrom(384)
    assert (waves.min(), waves.max()) == pytest.approx((true[0], true[-1]), abs=0.2 * muse_field.STEP_ANGSTROM)
    # The flat is 1 on average, gaps between slices included.
    lit = muse.SLICES * muse.SLICE_WIDTH_PIX / (2 * muse.FULL_WIDTH)
    assert np.median(sky) == pytest.approx(muse.SKY_COUNTS * muse.GAIN_E_PER_COUNT * lit, rel=0.03)


@pytest.mark.slow
def test_muse_gives_the_star_the_flux_that_it_has_in_cubes_and_white_light(
    run: Callable[[str], Reduction], tmp_path: Path
) -> None:
    night = run("muse")
    cubes = night.products("DATACUBE_FINAL")
    assert len(cubes) == 2
    for cube in cubes:
        spectrum = star_spectrum(cube)
        continuum = np.abs(spectrum.waves - muse_field.LINE_ANGSTROM) > 30
        true = muse_field.RELATIVE_FLUX * muse_field.STANDARD_FLUX
        assert np.median(spectrum.flux[continuum]) / true == pytest.approx(1, rel=0.03)
        assert abs(rise(spectrum, continuum)) < 0.03
        assert line_centre(spectrum) == pytest.approx(muse_field.LINE_ANGSTROM, abs=0.2 * muse_field.STEP_ANGSTROM)
    counts = star_spectrum(run_without(night, "muse_scipost", "STD_RESPONSE", tmp_path)["DATACUBE_FINAL"])
    assert rise(counts, continuum) > 0.3
    # Each exposure has a grid of its own, which its cube and its image share; nothing fixes the order of the two.
    white = [np.nan_to_num(fits.getdata(path, "DATA")) for path in night.products("IMAGE_FOV")]
    assert sorted(map(peak, white)) == sorted(star_spectrum(cube).place for cube in cubes)


class Spectrum(NamedTuple):
    """A spectrum of a star in a cube, in erg/s/cm**2/Angstrom."""

    waves: np.ndarray
    flux: np.ndarray
    place: tuple[int, int]


def star_spectrum(path: Path) -> Spectrum:
    """Return the spectrum of the brightest star in a cube."""
    cube, header = fits.getdata(path, "DATA"), fits.getheader(path, "DATA")
    filled = np.nan_to_num(cube)
    column, row = peak(np.median(filled, axis=0))
    flux = filled[:, row - 16 : row + 17, column - 16 : column + 17].sum(axis=(1, 2)) * 1e-20
    waves = header["CRVAL3"] + header["CD3_3"] * (np.arange(len(flux)) + 1 - header["CRPIX3"])
    inside = slice(10, -10)
    return Spectrum(waves[inside], flux[inside], (column, row))


def rise(spectrum: Spectrum, where: np.ndarray) -> float:
    """Return by which part a spectrum is brighter at its end than at its beginning."""
    slope, level = np.polyfit(spectrum.waves[where] - spectrum.waves[0], spectrum.flux[where], 1)
    return float(slope * (spectrum.waves[-1] - spectrum.waves[0]) / level)


def line_centre(spectrum: Spectrum) -> float:
    """Return the wavelength of the emission line."""
    near = np.abs(spectrum.waves - muse_field.LINE_ANGSTROM) < 15
    above = spectrum.flux[near] - np.median(spectrum.flux)
    return float((above * spectrum.waves[near]).sum() / above.sum())


@pytest.fixture(scope="module")
def first_steps(
    tmp_path_factory: pytest.TempPathFactory, frames_folder: Path, bridge: Callable[..., Ended], esorex: str
) -> Callable[..., Reduction]:
    """Return a function that reduces darks, biases or both, twice; what else is in a night takes ten times as long."""

    @cache
    def of(name: str, *categories: str) -> Reduction:
        root, night = tmp_path_factory.mktemp(f"{name}_first"), make_night(name)
        files = tuple(file for file in night.files if file.category in categories)
        needed: tuple[Association, ...] = ()
        for category in categories:
            needed = (group(category, tuple(file for file in files if file.category == category), *needed),)
        tree = AssociationTree(needed[0], "Raw2Raw")
        put_on_disk(replace(night, files=files, trees=(tree,)), frames_folder, root)
        runs = [bridge("run", "--root", root, "--json") for _ in range(2)]
        assert [ended.code for ended in runs] == [0, 0], runs
        return Reduction(name, 0, tuple(ended.json for ended in runs), root)

    return of


@pytest.mark.parametrize(
    ("name", "categories", "recipes"),
    [("giraf", ("BIAS", "DARK"), ["gimasterbias", "gimasterdark"]), ("vimos", ("BIAS",), ["vmbias"])],
)
def test_the_first_run_makes_the_first_steps_and_the_second_nothing(
    name: str, categories: tuple[str, ...], recipes: list[str], first_steps: Callable[..., Reduction]
) -> None:
    night = first_steps(name, *categories)
    assert night.recipes == recipes
    assert (night.decisions(0), night.decisions(1)) == ({"execute"}, {"reuse"})


@pytest.mark.parametrize(
    ("name", "categories", "workflow"),
    [
        ("giraf", ("BIAS", "DARK"), "giraf"),
        ("vimos", ("BIAS",), "vimos_spectra"),
        ("hawki", ("DARK",), "hawki"),
    ],
)
def test_a_workflow_file_makes_the_same_first_steps_without_kepler(
    name: str,
    categories: tuple[str, ...],
    workflow: str,
    first_steps: Callable[..., Reduction],
    bridge: Callable[..., Ended],
    tmp_path: Path,
) -> None:
    assert_same_by_reflex(first_steps(name, *categories), workflow, bridge, tmp_path)


def test_giraffe_finds_bias_level_and_dark_current(first_steps: Callable[..., Reduction]) -> None:
    night = first_steps("giraf", "BIAS", "DARK")
    assert np.median(fits.getdata(night.product("MASTER_BIAS"))) == pytest.approx(giraf.BIAS_COUNTS, abs=1)
    per_second = giraf.DARK_COUNTS_PER_HOUR / 3600
    assert np.mean(fits.getdata(night.product("MASTER_DARK"))) == pytest.approx(per_second, rel=0.1)


@pytest.mark.parametrize("rows", [1500, 600])
def test_giraffe_fits_the_bias_in_what_frames_have_however_few_rows_there_are(
    rows: int, first_steps: Callable[..., Reduction], tmp_path: Path
) -> None:
    night = first_steps("giraf", "BIAS", "DARK")
    (step,) = (step for step in night.steps if step["recipe"] == "gimasterdark")
    listed = [line.rsplit(" ", 1) for line in Path(step["sof"]).read_text().splitlines()]
    short = [
        (first_rows(Path(step["sof"]).parent / path, rows, tmp_path / f"{number}.fits"), tag)
        for number, (path, tag) in enumerate(listed)
    ]
    told = (Path(step["sof"]).parent / "gimasterdark.rc").read_text()
    (areas,) = re.findall(r'^giraffe\.biasremoval\.areas="?(.*?)"?$', told, re.MULTILINE)
    ((dark, _),) = run_recipe(tmp_path, "gimasterdark", short, f"--bsremove-areas={areas}")
    assert np.mean(fits.getdata(dark)) == pytest.approx(giraf.DARK_COUNTS_PER_HOUR / 3600, rel=0.1)


def first_rows(path: Path, rows: int, target: Path) -> Path:
    """Write the first rows of an image as a file of its own, with a header of as many."""
    with fits.open(path) as file:
        file[0].data = file[0].data[:rows]
        for name in ("CHIP1 NY", "OUT1 NY", "WIN1 NY"):
            if f"ESO DET {name}" in file[0].header:
                file[0].header[f"ESO DET {name}"] = rows
        file[0].writeto(target)
    return target


@pytest.mark.slow
def test_giraffe_follows_every_fibre_and_measures_what_it_lets_through(run: Callable[[str], Reduction]) -> None:
    night = run("giraf")
    traces = fits.getdata(night.product("FF_LOCCENTROID"))
    rows, fibres = np.arange(traces.shape[0]), range(traces.shape[1])
    instrument = FibreSpectrograph(1024, len(rows))
    assert len(fibres) == instrument.fibres
    assert np.abs(traces - np.transpose([instrument.column(fibre, rows) for fibre in fibres])).max() < 0.02
    true = np.array([transmission(fibre) for fibre in fibres])
    measured = fits.getdata(night.product("FF_EXTERRORS"), 1)["TRANSMISSION"]
    assert measured / measured.mean() == pytest.approx(true / true.mean(), rel=0.005)


@pytest.mark.slow
def test_giraffe_gives_every_fibre_its_wavelengths(run: Callable[[str], Reduction]) -> None:
    night = run("giraf")
    assert fits.getval(night.product("DISPERSION_SOLUTION"), "ESO PRO WSOL RMS") < 0.05
    spectra, scale = (read(night.product("SCIENCE_RBNSPECTRA")) for read in (fits.getdata, fits.getheader))
    waves = scale["CRVAL2"] + scale["CDELT2"] * np.arange(len(spectra))
    for line in giraf.ABSORPTION_NM:
        near = np.abs(waves - line) < 0.15
        depth = np.clip(0.9 * np.median(spectra, axis=0) - spectra[near], 0, None)
        places = (depth * waves[near, None]).sum(axis=0) / depth.sum(axis=0)
        # A fifth of a pixel is 0.0006 nm; photons leave the worst of 24 fibres as much.
        assert np.sqrt(np.mean((places - line) ** 2)) < 0.0004
        assert np.abs(places - line).max() < 0.0009


@pytest.mark.slow
def test_giraffe_gives_a_star_in_argus_its_flux_by_the_response_of_the_standard(
    run: Callable[[str], Reduction],
) -> None:
    night = run("giraf_argus")
    spectra, header = (read(night.product("SCIENCE_RBNSPECTRA")) for read in (fits.getdata, fits.getheader))
    response, scale = (read(night.product("INSTRUMENT_RESPONSE")) for read in (fits.getdata, fits.getheader))
    waves = header["CRVAL2"] + header["CDELT2"] * np.arange(len(spectra))
    at = scale["CRVAL2"] + scale["CDELT2"] * np.arange(len(response))
    middles = [x for x in np.arange(at[0] + 0.2, at[-1], 0.2) if np.abs(x - np.array(giraf.ABSORPTION_NM)).min() > 0.2]
    electrons = spectra.sum(axis=1) * giraf.CONAD_E_PER_COUNT / giraf_argus.STAR_S / header["CDELT2"]
    above_air = electrons * 10 ** (0.4 * giraf_argus.EXTINCTION_MAG * airmass(header, giraf_argus.STAR_S))
    counted, flux = (
        np.array([np.median(values[np.abs(waves - middle) < 0.1]) for middle in middles])
        for values in (above_air, above_air / np.interp(waves, at, response[:, 0]))
    )
    true = giraf_argus.RELATIVE_FLUX * giraf_argus.STANDARD_FLUX * 10
    assert len(middles) > 10
    assert flux / true == pytest.approx(1, rel=0.03)
    # Without the response the spectrum has the colour of mirrors and lamp.
    assert 20 * np.ptp(flux / np.median(flux)) < np.ptp(counted / np.median(counted))


def airmass(header: fits.Header, exposure_s: float) -> float:
    """Return the airmass in the middle of an exposure, of a flat atmosphere."""
    hours_deg = (header["LST"] + exposure_s / 2) / 240 - header["RA"]
    here, there = np.radians(header["ESO TEL GEOLAT"]), np.radians(header["DEC"])
    high = np.sin(here) * np.sin(there) + np.cos(here) * np.cos(there) * np.cos(np.radians(hours_deg))
    return float(1 / high)


@pytest.mark.slow
def test_giraffe_puts_the_lenses_of_argus_together_to_a_cube(run: Callable[[str], Reduction]) -> None:
    night = run("giraf_argus")
    cube, scale = (read(night.product("SCIENCE_CUBE_SPECTRA")) for read in (fits.getdata, fits.getheader))
    image = np.median(cube, axis=0)
    columns, rows = LENSLETS
    true = np.array([giraf_argus.share(fibre, giraf_argus.STAR_AT) for fibre in range(columns * rows)])
    assert image.shape == (rows, columns)
    bright = true.reshape(image.shape) > 0.02
    assert (image / image.sum())[bright] == pytest.approx(true.reshape(image.shape)[bright], rel=0.1)
    y, x = np.mgrid[1 : rows + 1, 1 : columns + 1]
    centre = [(image * places).sum() / image.sum() for places in (x, y)]
    assert centre == pytest.approx([(true.reshape(image.shape) * places).sum() for places in (x, y)], abs=0.02)
    waves = scale["CRVAL3"] + scale["CD3_3"] * np.arange(len(cube))
    spectrum = cube.sum(axis=(1, 2))
    for line in giraf.ABSORPTION_NM:
        near = np.abs(waves - line) < 0.15
        depth = np.clip(0.9 * np.median(spectrum[np.abs(waves - line) < 0.4]) - spectrum[near], 0, None)
        # A fifth of a pixel is 0.0006 nm; the colour of the light draws a line by as much.
        assert (depth * waves[near]).sum() / depth.sum() == pytest.approx(line, abs=0.001)


@pytest.mark.slow
def test_vimos_finds_the_dark_current_above_its_bias(run: Callable[[str], Reduction]) -> None:
    night = run("vimos")
    assert np.median(fits.getdata(night.product("MASTER_BIAS"))) == pytest.approx(0, abs=1)
    per_second = vimos.DARK_COUNTS_PER_HOUR / 3600
    assert np.mean(fits.getdata(night.product("MASTER_DARK"))) == pytest.approx(per_second, rel=0.1)


@pytest.mark.slow
def test_amber_finds_the_bad_pixels_and_the_sensitivity_of_the_others(run: Callable[[str], Reduction]) -> None:
    night = run("amber_full")
    found, flat = (fits.getdata(night.product(f"AMBER_{name}")) for name in ("BADPIX", "FLATFIELD"))
    good, sensitivity = good_pixels(), amber_beams.sensitivity(amber_beams.SEED)
    for first, end in STRIPES:
        lit = slice(first, end)
        assert np.array_equal(found[:, lit], good[:, lit])
        ratio = (flat[:, lit] / sensitivity[:, lit])[good[:, lit] == 1]
        assert np.std(ratio / np.median(ratio)) < 0.005


def test_amber_finds_where_the_spectra_of_its_channels_fall(run: Callable[[str], Reduction]) -> None:
    night = run("amber")
    offsets = [channel.row_offset for channel in amber_beams.CHANNELS if len(channel.telescopes) == 1]
    for category in ("AMBER_SPECTRAL_CALIBRATION", "PVM_QC"):
        header = fits.getheader(night.product(category))
        assert [header[f"ESO QC P{number} OFFSETY"] for number in (1, 2, 3)] == pytest.approx(offsets, abs=0.05)
    waves = fits.getdata(night.products("SCIENCE_CALIBRATED")[0], "OI_WAVELENGTH")["EFF_WAVE"]
    assert len(waves) == amber_beams.ROWS - (max(offsets) - min(offsets))
    assert np.abs(waves[:, None] * 1e9 - amber_beams.wavelengths_nm()).min(axis=1).max() < 0.01


@pytest.mark.parametrize(
    ("name", "band"),
    [
        ("amber", amber.K_BAND),
        pytest.param("amber_full", amber.K_BAND, marks=pytest.mark.slow),
        pytest.param("amber_h", amber.H_BAND, marks=pytest.mark.slow),
        pytest.param("amber_j", amber.J_BAND, marks=pytest.mark.slow),
    ],
)
def test_amber_finds_visibilities_and_closure_phase_of_the_star(
    name: str, band: amber.Band, run: Callable[[str], Reduction], tmp_path: Path
) -> None:
    night = run(name)
    waves = fits.getdata(night.products("SCIENCE_CALIBRATED")[0], "OI_WAVELENGTH")["EFF_WAVE"] * 1e9
    assert np.abs(waves[:, None] - amber_beams.wavelengths_nm(band.centre_nm)).min(axis=1).max() < 0.01
    contrast, star = np.array(amber_beams.CONTRAST), np.array(amber.VISIBILITY)
    disc = np.array([uniform_disc(CALIBRATOR_MAS, pair, band.centre_nm) for pair in BASELINES])
    # The pipeline takes the second and the third baseline for each other when it corrects for the calibrator's disc.
    taken = disc[[0, 2, 1]]
    first, second, third = amber.PHASE_RAD
    expected = {
        "CALIB_REDUCED": (contrast * disc, 0.0),
        f"AMBER_TRF_{band.letter}": (contrast * disc / taken, 0.0),
        "SCIENCE_REDUCED": (contrast * star, first + second - third),
        "SCIENCE_CALIBRATED": (star * taken / disc, first + second - third),
    }
    for category, (visibility, closure) in expected.items():
        products = night.products(category)
        assert len(products) == 2
        for path in products:
            assert squared_visibilities(path) == pytest.approx(visibility**2, rel=0.02)
            assert closure_phase_deg(path) == pytest.approx(np.degrees(closure), abs=0.5)
    # Without the transfer function nothing is calibrated, and visibilities lack what the instrument takes from them.
    assert "No transfer function file in the SOF" in refusal_without(
        night, "amber_calibrate", f"AMBER_TRF_{band.letter}", tmp_path
    )
    true = expected["SCIENCE_CALIBRATED"][0] ** 2
    off, left = (
        max(np.max(np.abs(squared_visibilities(path) / true - 1)) for path in night.products(category))
        for category in ("SCIENCE_CALIBRATED", "SCIENCE_REDUCED")
    )
    assert left > 15 * off


def squared_visibilities(path: Path) -> np.ndarray:
    """Return the median over frames and wavelengths for each baseline."""
    table = fits.getdata(path, "OI_VIS2")
    assert table["STA_INDEX"][:3].tolist() == [list(pair) for pair in BASELINES]
    good = np.where(table["FLAG"], np.nan, table["VIS2DATA"])
    return np.array([np.nanmedian(good[number::3]) for number in range(3)])


def closure_phase_deg(path: Path) -> float:
    """Return the median over frames and wavelengths."""
    table = fits.getdata(path, "OI_T3")
    return float(np.nanmedian(np.where(table["FLAG"], np.nan, table["T3PHI"])))


def test_the_table_of_instruments_says_what_ran(done: Runs) -> None:
    if not done:
        pytest.skip("no night was reduced in this run")
    assert_told(done.values())


def peak(image: np.ndarray) -> tuple[int, int]:
    """Return column and row (from 0) of the brightest pixel."""
    row, column = np.unravel_index(np.argmax(image), image.shape)
    return int(column), int(row)


def flux(image: np.ndarray, column: int, row: int, reach: int = 8) -> float:
    """Return the sum of pixels about a place."""
    return float(image[row - reach : row + reach + 1, column - reach : column + reach + 1].sum())


@pytest.mark.parametrize(
    ("name", "workflow"),
    [
        ("naco", "naco"),
        pytest.param("naco_spectra", "naco", marks=pytest.mark.slow),
        ("visir", "visir"),
        ("amber", "amber"),
        pytest.param("hawki", "hawki", marks=pytest.mark.slow),
        pytest.param("uves_guess", "uves", marks=pytest.mark.slow),
        pytest.param("giraf", "giraf", marks=pytest.mark.slow),
        pytest.param("vimos", "vimos_spectra", marks=pytest.mark.slow),
        pytest.param("uves", "uves", marks=pytest.mark.slow),
        pytest.param("uves_red", "uves", marks=pytest.mark.slow),
        pytest.param("amber_full", "amber", marks=pytest.mark.slow),
        pytest.param("muse", "muse", marks=pytest.mark.slow),
        pytest.param("muse_dark", "muse", marks=pytest.mark.slow),
    ],
)
def test_a_workflow_file_run_without_kepler_gives_the_same_products(
    name: str, workflow: str, run: Callable[[str], Reduction], bridge: Callable[..., Ended], tmp_path: Path
) -> None:
    assert_same_by_reflex(run(name), workflow, bridge, tmp_path)


@pytest.mark.parametrize(
    ("name", "workflow"),
    [
        ("naco", "naco"),
        ("visir", "visir"),
        ("amber", "amber"),
        pytest.param("hawki", "hawki", marks=pytest.mark.slow),
        ("uves_guess", "uves"),
        pytest.param("giraf", "giraf", marks=pytest.mark.slow),
        pytest.param("vimos", "vimos_spectra", marks=pytest.mark.slow),
        pytest.param("muse_dark", "muse", marks=pytest.mark.slow),
    ],
)
def test_the_recipes_of_a_workflow_file_find_what_run_made(
    name: str, workflow: str, run: Callable[[str], Reduction], bridge: Callable[..., Ended], tmp_path: Path
) -> None:
    assert_found_by_reflex(run(name), workflow, bridge, tmp_path)
