"""The optics of VIMOS' synthetic spectra: what is put into frames, against which the tests hold recipes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from esorex_bridge.demo.nights import vimos_fibres, vimos_grism, vimos_masks
from esorex_bridge.demo.nights.night import DemoNight
from esorex_bridge.demo.nights.vimos_detectors import COLUMNS
from esorex_bridge.demo.nights.vimos_fibres import FibreUnit, vimos_fibres_night
from esorex_bridge.demo.nights.vimos_masks import Mask, vimos_masks_night
from esorex_bridge.demo.nights.vimos_spectra import QUADRANT, kinds


def test_wavelengths_and_rows_are_each_others_inverse() -> None:
    waves = vimos_grism.wavelengths_of(1000.0)
    rows = np.arange(700, 1300)
    assert vimos_grism.rows_of(1000.0, waves[rows]) == pytest.approx(rows, abs=0.001)


def test_a_line_has_its_light_where_its_wavelength_falls() -> None:
    light = vimos_grism.Light(vimos_grism.dark, ((7000.0, 100.0),))
    found = vimos_grism.spectrum(light, 1000.0)
    rows = np.arange(len(found))
    assert (rows * found).sum() / found.sum() == pytest.approx(float(vimos_grism.rows_of(1000.0, 7000.0)), abs=0.001)


def test_slits_stand_apart_and_the_header_says_where() -> None:
    slits = vimos_masks.slits()
    apart = np.diff([slit.column for slit in slits])
    assert apart.min() > vimos_masks.LENGTH_PIX + 10
    assert len(set(np.round(apart))) > len(slits) / 2, "at even distances the recipes cannot tell them apart"
    header = dict(Mask(1).keywords())
    assert header["ESO INS SLIT NO"] == len(slits)
    places = [float(header[f"ESO INS SLIT{slit.number} X"]) for slit in slits]
    assert np.diff(places) * vimos_masks.PIXELS_PER_MM == pytest.approx(apart, abs=0.01)


def test_every_lens_has_one_fibre_and_all_fibres_fall_on_the_detector() -> None:
    fibres = range(vimos_fibres.FIBRES)
    assert len({vimos_fibres.lens(fibre) for fibre in fibres}) == vimos_fibres.LENSES**2
    columns = np.array([vimos_fibres.column_of(fibre) for fibre in fibres])
    assert columns.min() > 5 and columns.max() < COLUMNS - 3
    assert np.diff(columns, axis=0).min() > 4
    assert sum(vimos_fibres.share(fibre) for fibre in fibres) == pytest.approx(1)


def test_a_fibre_sends_all_its_light_to_the_detector() -> None:
    kind = kinds("IFU")["FLAT"]
    image = FibreUnit(1).paint(kind)
    assert kind.even is not None
    expected = vimos_grism.spectrum(kind.even, vimos_fibres.REFERENCE_ROW)[1800]
    total = expected * sum(vimos_fibres.transmission(fibre) for fibre in range(vimos_fibres.FIBRES))
    assert image[1800].sum() == pytest.approx(total, rel=0.001)


@pytest.mark.parametrize("make", [vimos_masks_night, vimos_fibres_night])
def test_the_standard_is_the_exposure_in_which_the_star_stands_in_this_quadrant(make: Callable[[], DemoNight]) -> None:
    night = make()
    (standard,) = (file for file in night.files if file.category.endswith("_STANDARD"))
    assert standard.keyword("ESO TPL EXPNO") == standard.keyword("ESO OCS CON QUAD") == QUADRANT
    assert standard.keyword("ESO TPL NEXP") == 4
    named = [file for file in night.files if file.keyword("ESO OBS TARG NAME", "none") != "none"]
    assert {file.category.rpartition("_")[2] for file in named} == {"STANDARD", "SCIENCE", "TABLE"}
    names = {file.keyword("ESO OBS TARG NAME") for file in named if not file.is_science}
    assert names == {standard.keyword("ESO OBS TARG NAME")}
