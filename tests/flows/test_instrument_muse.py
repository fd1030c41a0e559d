"""MUSE: wavelengths and profiles of lines by a lamp, and a field lit unevenly; minutes, with `make test-all`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from esorex_bridge.demo.nights import muse, muse_arc
from tests.flows.conftest import Ended
from tests.flows.instrument_runs import Reduction, assert_told, reduce_twice, run_without

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
    night = reduce_whole("muse_arcs", tmp_path, bridge)
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
    assert (night.decisions(0), night.decisions(1)) == ({"execute"}, {"reuse"})
    return night
