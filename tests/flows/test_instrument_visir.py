"""VISIR's detector since 2012: images in jansky, spectra with the wavelengths of the sky, stars behind a mask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from esorex_bridge.demo.nights import visir_aquarius, visir_spectra
from tests.flows.conftest import Ended
from tests.flows.instrument_runs import Reduction, Runs, assert_told, done, run, run_without
from tests.flows.reflex_runs import assert_found_by_reflex, assert_same_by_reflex

__all__ = ["done", "run"]

CASCADES = {
    "visir_aquarius": {"visir_img_dark", "visir_img_ff", "visir_img_reduce"},
    "visir_masks": {"visir_util_repack"},
    "visir_spectra": {"visir_img_dark", "visir_img_ff", "visir_spc_reduce"},
    "visir_echelle": {"visir_spc_reduce"},
}
NIGHTS = (
    "visir_spectra",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("visir_masks", "visir_aquarius", "visir_echelle")),
)


@pytest.mark.parametrize("name", NIGHTS)
def test_the_first_run_goes_the_whole_cascade_and_the_second_runs_nothing(
    name: str, run: Callable[[str], Reduction]
) -> None:
    night = run(name)
    assert night.code == 0, night.runs
    assert set(night.recipes) == CASCADES[name]
    assert (night.decisions(0), night.decisions(1)) == ({"execute"}, {"reuse"})
    assert (night.runs[0]["executed"], night.runs[1]["executed"]) == (len(night.steps), 0)


@pytest.mark.parametrize("name", NIGHTS)
def test_the_recipes_of_the_workflow_file_find_what_run_made(
    name: str, run: Callable[[str], Reduction], bridge: Callable[..., Ended], tmp_path: Path
) -> None:
    assert_found_by_reflex(run(name), "visir_aquarius", bridge, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["visir_aquarius", "visir_spectra"])
def test_the_workflow_file_run_without_kepler_gives_the_same_products(
    name: str, run: Callable[[str], Reduction], bridge: Callable[..., Ended], tmp_path: Path
) -> None:
    assert_same_by_reflex(run(name), "visir_aquarius", bridge, tmp_path)


@pytest.mark.slow
def test_the_star_has_the_flux_that_the_standard_gives_it(run: Callable[[str], Reduction]) -> None:
    night = run("visir_aquarius")
    assert np.array_equal(fits.getdata(night.product("IMG_BPM")), visir_aquarius.bad_pixels())
    counts_a_jansky = fits.getval(night.product("IMG_PHOT_COMBINED"), "ESO QC CONVER")
    # The light of a cycle, of which each of the four beams has a quarter.
    per_second = visir_aquarius.COUNTS_A_JANSKY / visir_aquarius.DIT_S / 4
    assert counts_a_jansky == pytest.approx(per_second, rel=0.03)
    found = star_flux(fits.getdata(night.product("IMG_OBJ_COMBINED"))) / counts_a_jansky
    assert found == pytest.approx(visir_aquarius.SCIENCE_JY, rel=0.03)


@pytest.mark.slow
def test_without_the_fluxes_of_standards_nothing_is_in_jansky(run: Callable[[str], Reduction], tmp_path: Path) -> None:
    products = run_without(run("visir_aquarius"), "visir_img_reduce", "IMG_STD_CATALOG", tmp_path)
    assert [fits.getheader(path).get("ESO QC CONVER") for path in products.values()] == [None] * len(products)


@pytest.mark.slow
def test_behind_a_mask_chopping_and_nodding_leave_the_star_and_no_sky(run: Callable[[str], Reduction]) -> None:
    night = run("visir_masks")
    true = visir_aquarius.COUNTS_A_JANSKY * visir_aquarius.SCIENCE_JY / visir_aquarius.DIT_S
    science = next(path for path in night.products("IMG_REPACKED_MEAN") if "visir_util_repack_1" in str(path))
    image = fits.getdata(science)
    star = star_flux(image)
    assert star == pytest.approx(true / 4, rel=0.03)
    # The sky of a raw frame in the same square is 90 times as bright as the star.
    raw = visir_aquarius.SKY_COUNTS / visir_aquarius.DIT_S
    assert abs(np.median(image)) < raw / 10_000


def star_flux(image: np.ndarray, radius: float = 20.0, beyond: float = 30.0) -> float:
    """Return the light of the brightest star, in the circle and above the ring that the recipe takes for standards."""
    y, x = np.indices(image.shape)
    row, column = np.unravel_index(np.nanargmax(image), image.shape)
    away = np.hypot(x - column, y - row)
    inside, ring = away < radius, (away >= radius) & (away < beyond)
    return float(image[inside].sum() - np.median(image[ring]) * inside.sum())


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("visir_spectra", "SPC_OBS_LMR_TAB"),
        pytest.param("visir_echelle", "SPC_OBS_HRG_TAB", marks=pytest.mark.slow),
    ],
)
def test_every_order_has_the_wavelengths_of_its_sky(name: str, product: str, run: Callable[[str], Reduction]) -> None:
    orders = orders_of(name)
    spectra = spectra_of(run(name).product(product))
    assert len(spectra) == len(orders)
    for table in spectra:
        errors = {order.row: wavelength_errors_pix(table["WLEN"] * 1e6, order) for order in orders}
        found = min(errors.values(), key=lambda error: abs(np.median(error)))
        assert np.max(np.abs(found)) < 0.2
        # What the recipe foresees without the sky is wrong by what the spectrograph is off: fifteen times as much.
        assert 15 * np.max(np.abs(found)) < visir_spectra.SHIFT_PIX


@pytest.mark.parametrize(
    ("name", "science", "standard"),
    [
        ("visir_spectra", "SPC_OBS_LMR_TAB", "SPC_PHOT_TAB"),
        pytest.param("visir_echelle", "SPC_OBS_HRG_TAB", "SPC_PHOT_HRG_TAB", marks=pytest.mark.slow),
    ],
)
def test_the_spectrum_of_the_star_rises_against_that_of_the_standard_as_it_was_made(
    name: str, science: str, standard: str, run: Callable[[str], Reduction]
) -> None:
    night = run(name)
    for star, known in zip(spectra_of(night.product(science)), spectra_of(night.product(standard)), strict=True):
        wavelengths = star["WLEN"] * 1e6
        true = visir_spectra.science_counts(wavelengths) / visir_spectra.standard_counts(wavelengths)
        ratio = star["SPC_EXTRACTED"] / known["SPC_EXTRACTED"] / true
        binned = np.median(ratio[12:1012].reshape(10, 100), axis=1)
        assert binned == pytest.approx(np.ones(10), rel=0.03)


def orders_of(name: str) -> tuple[visir_spectra.Order, ...]:
    """Return the orders that a night puts on the detector."""
    mode = visir_spectra.PRISM if name == "visir_spectra" else visir_spectra.ECHELLE
    return mode.orders


def spectra_of(path: Path) -> list[np.ndarray]:
    """Return the tables of spectra in a product, one an order."""
    with fits.open(path) as file:
        return [np.array(hdu.data) for hdu in file if hdu.name.startswith("TAB_SPECTRUM")]


def wavelength_errors_pix(found_um: np.ndarray, order: visir_spectra.Order) -> np.ndarray:
    """Return how far wavelengths are from those of an order, in pixels."""
    true = order.wavelength_um(np.arange(1, len(found_um) + 1))
    return np.asarray((found_um - true) / np.gradient(true))


def test_the_table_of_instruments_says_what_ran(done: Runs) -> None:
    """Hold the table against the runs above; it comes last, after them."""
    assert_told(done.values())
