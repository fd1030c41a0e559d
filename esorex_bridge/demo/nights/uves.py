"""A synthetic UVES night of the blue arm with a table of guesses: a star with absorption lines, and its calibrations.

Its few, parallel orders are none of the real instrument, which makes the frames small and quick to reduce.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import Exposure, Keywords, Template
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group
from esorex_bridge.demo.nights.series import FrameSeries, frames, noise
from esorex_bridge.demo.nights.uves_echelle import Echelle, arc, continuum, star
from esorex_bridge.demo.nights.uves_headers import (
    DARK_COUNTS_PER_HOUR,
    GRATINGS,
    UVES,
    instrument_keywords,
    raw_stream,
    read_out,
    window_keywords,
)
from esorex_bridge.demo.nights.uves_statics import line_catalogue, line_guess

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image

SLIT_PIX = 16.0
STAR_FWHM_PIX = 4.0
STAR_COUNTS = 500.0
HIT_COUNTS = 15000.0
TFLAT_COUNTS, TFLAT_S = 7000.0, 20.0
NOON = datetime(2014, 3, 1, 12, 0)
BINNING = (1, 1)
KINDS = {
    "BIAS": ("cal_bias", ("CALIB", "BIAS", "IMAGE")),
    "DARK": ("cal_dark", ("CALIB", "DARK", "IMAGE")),
    "ORDER_FLAT": ("cal_orderdef", ("CALIB", "LAMP,ORDERDEF", "ECHELLE")),
    "FLAT": ("cal_flat", ("CALIB", "LAMP,FLAT", "ECHELLE")),
    "ARC_LAMP": ("cal_wave", ("CALIB", "LAMP,WAVE", "ECHELLE")),
    "TFLAT": ("cal_tflat", ("CALIB", "LAMP,TFLAT", "ECHELLE")),
    "SCI_POINT": ("obs_exp", ("SCIENCE", "OBJECT,POINT", "ECHELLE")),
}
"""Templates, and what headers say, by the beginning of the tag."""


class Cascade(Struct, frozen=True):
    """The calibrations of a night by their kind."""

    biases: tuple[ArchiveFile, ...]
    darks: tuple[ArchiveFile, ...]
    definition: tuple[ArchiveFile, ...]
    flats: tuple[ArchiveFile, ...]
    lamps: tuple[ArchiveFile, ...]
    statics: tuple[ArchiveFile, ...]


def blue_echelle(length: int = 2048, height: int = 256) -> Echelle:
    """Return where orders and wavelengths fall on the chip."""
    return Echelle("BLUE", length, height, tuple(range(107, 99, -1)), 3900.0)


def absorption_lines(echelle: Echelle) -> tuple[float, ...]:
    """Return the wavelengths of the star's lines, one near the middle of every second order."""
    return tuple(round(echelle.wavelength(order, echelle.centre + 20), 3) for order in echelle.orders[1::2])


def cosmic_hits(echelle: Echelle) -> tuple[tuple[int, int], ...]:
    """Return order and x of the pixels that a cosmic ray hits in the science frame, one in each order."""
    return tuple((order, 300 + 150 * index) for index, order in enumerate(echelle.orders))


def uves_night(length: int = 2048, height: int = 256, seed: int = 5) -> DemoNight:
    """Return the night; nothing is computed before a frame is asked for.

    Parameters
    ----------
    length, height : int
        Pixels of the chip along the dispersion and across it, at least 256.
    seed : int
        Nights of different seeds differ in every pixel.
    """
    echelle = blue_echelle(length, height)

    take = partial(take_frames, echelle, seed)
    biases = take("BIAS", 0, 3, 0.0)
    darks = take("DARK", 1, 3, 3600.0)
    definition = take("ORDER_FLAT", 5, 1, 20.0)
    flats = take("FLAT", 5 + 1 / 6, 3, 20.0)
    lamps = take("ARC_LAMP", 5.5, 1, 60.0)
    science = take("SCI_POINT", 14, 1, 600.0)
    statics = line_catalogue((echelle,), seed, 1), line_guess(echelle, seed, 2, setting_keywords(echelle))
    tree = _tree(science, Cascade(biases, darks, definition, flats, lamps, statics))
    files = (*biases, *darks, *definition, *flats, *lamps, *science, *statics)
    return DemoNight(f"uves-blue-{length}x{height}-seed{seed}", UVES.name, files, (tree,))


def take_frames(
    echelle: Echelle, seed: int, kind: str, hours: float, count: int, exposure_s: float
) -> tuple[ArchiveFile, ...]:
    """Return the frames of a template, `hours` after noon."""
    name, dpr = KINDS[kind]
    template = Template(f"UVES_blue_{name}", NOON + timedelta(hours=hours), count, 200500001, "UVES_SYNTH")
    target = "SYNTH-STAR" if dpr[0] == "SCIENCE" else dpr[1]
    series = FrameSeries(UVES, template, f"{kind}_BLUE", dpr, exposure_s, target, exposure_s + 60)
    size = 2 * echelle.length * echelle.height
    return frames(series, partial(_keywords, echelle), partial(_stream, echelle, seed), size)


def _tree(science: tuple[ArchiveFile, ...], calibrations: Cascade) -> AssociationTree:
    """Return the cascade: everything needs the bias, everything echelle needs the order definition."""
    bias = group("BIAS_BLUE", calibrations.biases)
    dark = group("DARK_BLUE", calibrations.darks, bias)
    orders = group("ORDER_FLAT_BLUE", calibrations.definition, bias)
    flat = group("FLAT_BLUE", calibrations.flats, bias, dark, orders)
    tables = tuple(group(file.category, (file,), match="N/A") for file in calibrations.statics)
    wave = group("ARC_LAMP_BLUE", calibrations.lamps, bias, flat, orders, *tables)
    names = tuple(file.associated for file in science)
    return AssociationTree(Association("SCI_POINT_BLUE", names, (bias, dark, orders, flat, wave)), "Raw2Raw")


def _stream(echelle: Echelle, seed: int, keywords: Keywords, exposure: Exposure) -> bytes:
    """Return the FITS stream of a raw frame."""
    image = read_out("BLUE", _light(echelle, seed, exposure), noise(seed, exposure, 0))
    return raw_stream("BLUE", BINNING, keywords, (image,))


def _light(echelle: Echelle, seed: int, exposure: Exposure) -> Image:
    import numpy as np

    kind = exposure.dpr[1]
    if kind == "LAMP,ORDERDEF":
        return continuum(echelle, 3.0, 9000.0) + 10
    if kind == "LAMP,FLAT":
        return continuum(echelle, SLIT_PIX, 14000.0) + 10
    if kind == "LAMP,TFLAT":
        return continuum(echelle, SLIT_PIX, TFLAT_COUNTS) + 10
    if kind == "LAMP,WAVE":
        return arc(echelle, SLIT_PIX, seed) + 10
    if kind == "OBJECT,POINT":
        light = star(echelle, STAR_FWHM_PIX, STAR_COUNTS, absorption_lines(echelle)) + 10
        for order, x in cosmic_hits(echelle):
            light[round(echelle.place(order, x)) - 1, x - 1] += HIT_COUNTS
        return light
    dark = DARK_COUNTS_PER_HOUR * exposure.dit_s / 3600
    return np.full((echelle.height, echelle.length), dark, dtype=np.float32)


def _keywords(echelle: Echelle, exposure: Exposure) -> Keywords:
    return instrument_keywords("BLUE", echelle.height, echelle.length, BINNING, SLIT_PIX, exposure)


def setting_keywords(echelle: Echelle) -> Keywords:
    """Return what a table made for one setting of the arm says of it."""
    grating, wavelength = GRATINGS["BLUE"]
    return (
        ("ESO DET WIN1 BINX", BINNING[0]),
        ("ESO DET WIN1 BINY", BINNING[1]),
        ("ESO DET WIN1 STRX", 1),
        ("ESO DET WIN1 STRY", 1),
        *window_keywords(echelle.height, echelle.length),
        ("ESO INS MODE", "BLUE"),
        ("ESO INS GRAT1 ID", grating),
        ("ESO INS GRAT1 WLEN", wavelength),
    )
