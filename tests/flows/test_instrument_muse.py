"""MUSE: wavelengths and profiles of lines by a lamp, and a field lit unevenly; minutes, with `make test-all`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from esorex_bridge.demo.nights import muse, muse_arc, muse_sky
from esorex_bridge.demo.nights.muse_field import throughput
from tests.flows.conftest import Ended
from tests.flows.instrument_runs import Reduction, assert_told, reduce_twice, refusal_without, run_without

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_twilight_shows_which_slices_get_more_light_of_the_sky(
    bridge: Callable[..., Ended], tmp_path: Path, esorex: str
) -> None:
    night = reduce_whole("muse_twilight", tmp_path / "night", bridge)
    assert {"muse_twilight", "muse_scibasic", "muse_standard", "muse_scipost"} < set(night.recipes)
    folder = tmp_path / "without"
    folder.mkdir()
    uneven = unevenness(run_without(night, "muse_scibasic", "TWILIGHT_CUBE", folder)["PIXTABLE_OBJECT"])
    assert unevenness(night.product("PIXTABLE_OBJECT")) < 0.01
    assert uneven > 8 * unevenness(night.product("PIXTABLE_OBJECT"))
    assert_told([night])


def test_a_nebula_that_fills_the_field_keeps_its_light_by_the_sky_beside_it(
    bridge: Callable[..., Ended], tmp_path: Path, esorex: str
) -> None:
    night = reduce_whole("muse_sky", tmp_path / "night", bridge)
    assert {"muse_create_sky", "muse_standard", "muse_scipost"} < set(night.recipes)
    (science,) = (step for step in night.steps if step["recipe"] == "muse_scipost")
    made = {entry["category"]: entry["source"] for entry in science["associations"]}
    assert made["SKY_LINES"] == made["SKY_CONTINUUM"] == "muse_create_sky_1"
    true = muse_sky.nebula_flux()
    waves, flux = spectrum_of_field(night.product("DATACUBE_FINAL"))
    of_lines = np.min(np.abs(waves[:, None] - [line for line, _ in muse_sky.SKY_LINES]), axis=1) < 4
    assert np.median(flux[~of_lines]) / true == pytest.approx(1, rel=0.03)
    # The brightest line is seven times the nebula; what is left of it is less than a tenth of that.
    assert np.abs(flux[of_lines] / true - 1).max() < 0.1
    strengths = {round(row["lambda"]): row["flux"] for row in fits.getdata(night.product("SKY_LINES"), "LINES")}
    counted = {round(line): strength / throughput(line) for line, strength in muse_sky.SKY_LINES}
    scale = np.median([strengths[line] / counted[line] for line in counted])
    for line, expected in counted.items():
        assert strengths[line] / scale == pytest.approx(expected, rel=0.03)
    folder = tmp_path / "without"
    folder.mkdir()
    _, taken_off = spectrum_of_field(run_without(night, "muse_scipost", "SKY_CONTINUUM", folder)["DATACUBE_FINAL"])
    assert np.median(np.abs(taken_off / true - 1)) > 20 * abs(np.median(flux) / true - 1)
    assert_told([night])


def spectrum_of_field(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return wavelengths and the flux in a typical pixel of a cube, its ends left out."""
    cube, header = fits.getdata(path, "DATA"), fits.getheader(path, "DATA")
    waves = header["CRVAL3"] + header["CD3_3"] * (np.arange(len(cube)) + 1 - header["CRPIX3"])
    inside = slice(10, -10)
    return waves[inside], np.nanmedian(cube, axis=(1, 2))[inside] * 1e-20


def unevenness(path: Path) -> float:
    """Return how much the sky differs from slice to slice, in parts of its brightness."""
    with fits.open(path) as table:
        numbers = np.asarray(table["origin"].data).ravel() & 0x3F
        values = np.asarray(table["data"].data).ravel()
    levels = np.array([np.median(values[numbers == number]) for number in range(1, muse.SLICES + 1)])
    return float(np.std(levels) / np.mean(levels))


def test_the_lamp_gives_every_slice_its_wavelengths_and_the_width_of_lines(
    bridge: Callable[..., Ended], tmp_path: Path, esorex: str
) -> None:
    night = reduce_whole("muse_arcs", tmp_path / "night", bridge)
    assert set(night.recipes) == {"muse_bias", "muse_flat", "muse_wavecal", "muse_lsf"}
    trace = fits.getdata(night.product("TRACE_TABLE"), 1)
    found = fits.getdata(night.product("WAVECAL_TABLE"), 1)
    rows = np.arange(200, 3700)
    true = muse_arc.wavelength_angstrom(rows)
    for number in range(muse.SLICES):
        errors = wavelengths(found[number], float(trace["tc0_00"][number]), rows) - true
        assert np.max(np.abs(errors)) < 0.2 * muse_arc.STEP_ANGSTROM
    profiles = fits.getdata(night.product("LSF_PROFILE"), 1).astype(float).mean(axis=1)
    widths = [width_of(profile) * 15.0 / 149 for profile in profiles]
    assert widths == pytest.approx([2.3548 * muse_arc.LINE_SIGMA_PIX * muse_arc.STEP_ANGSTROM] * muse.SLICES, rel=0.05)
    # No control by a factor: nothing is made without the one calibration that each of the two cannot do without.
    for recipe, category in (("muse_wavecal", "TRACE_TABLE"), ("muse_lsf", "WAVECAL_TABLE")):
        (folder := tmp_path / recipe).mkdir()
        assert category in refusal_without(night, recipe, category, folder)
    assert_told([night])


def wavelengths(row: np.void, x: float, y: np.ndarray) -> np.ndarray:
    """Return what the solution of a slice says of a column and some rows of the detector."""
    names = [name for name in row.array.names if name.startswith("wlc")]
    terms = [row[name] * x ** int(name[3]) * y.astype(float) ** int(name[4]) for name in names]
    return np.asarray(np.sum(terms, axis=0))


def width_of(profile: np.ndarray) -> float:
    """Return the full width at half maximum of a profile, in its points."""
    above = profile - np.median(np.r_[profile[:20], profile[-20:]]) - (profile.max()) / 2
    left, right = np.nonzero(above >= 0)[0][[0, -1]]
    before = left - above[left] / (above[left] - above[left - 1])
    return float(right + above[right] / (above[right] - above[right + 1]) - before)


def reduce_whole(name: str, root: Path, bridge: Callable[..., Ended]) -> Reduction:
    """Reduce a night twice; the second time nothing runs."""
    night = reduce_twice(name, root, bridge, seconds=1700)
    assert night.code == 0, night.runs
    assert (night.runs[0]["executed"], night.runs[1]["executed"]) == (len(night.steps), 0)
    assert night.decisions(1) == {"reuse"}
    return night
