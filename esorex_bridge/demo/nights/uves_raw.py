"""Synthetic UVES nights from raws alone: the format check takes the place of tables of guesses.

Beside the star of the science a standard star is observed, whose flux is known: so the spectrum of the science comes
out in units of flux.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import Exposure, Keywords, Template, fits_bytes
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group
from esorex_bridge.demo.nights.series import FIELD, FrameSeries, frames, noise
from esorex_bridge.demo.nights.tables import describe_processed, table
from esorex_bridge.demo.nights.uves_echelle import arc, arc_lines, continuum, star
from esorex_bridge.demo.nights.uves_headers import (
    DARK_COUNTS_PER_HOUR,
    OVERSCAN,
    PRESCAN,
    UVES,
    Arm,
    instrument_keywords,
    raw_stream,
    read_out,
)
from esorex_bridge.demo.nights.uves_optics import BLUE, REDL, REDU, ChipFormat
from esorex_bridge.files import DpId

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image

SEED = 5
SLIT_PIX = 11.0
STAR_FWHM_PIX = 3.0
STANDARD_COUNTS, STANDARD_S = 3000.0, 300.0
TARGET_COUNTS, TARGET_S = 500.0, 600.0
"""At the brightest place of an order. A brighter star of so few pixels would look like cosmic rays to the recipe."""
DIMMER = 2.0
"""How much less light comes through at the shortest wavelength of a setting than at the longest."""
HIT_COUNTS = 20000.0
STANDARD_FLUX = 1e-13
"""erg/s/cm**2/Angstrom, at all wavelengths."""
RELATIVE_FLUX = TARGET_COUNTS / TARGET_S / (STANDARD_COUNTS / STANDARD_S)
"""Of the star of the science."""
KINDS = {
    "BIAS": ("CALIB", "BIAS", "IMAGE"),
    "DARK": ("CALIB", "DARK", "IMAGE"),
    "ARC_LAMP_FORM": ("CALIB", "LAMP,FMTCHK", "ECHELLE"),
    "ORDER_FLAT": ("CALIB", "LAMP,ORDERDEF", "ECHELLE"),
    "FLAT": ("CALIB", "LAMP,FLAT", "ECHELLE"),
    "ARC_LAMP": ("CALIB", "LAMP,WAVE", "ECHELLE"),
    "STANDARD": ("CALIB", "STD", "ECHELLE"),
    "SCI_POINT": ("SCIENCE", "OBJECT,POINT", "ECHELLE"),
}


class Setting(Struct, frozen=True):
    """An arm as it was set up for a night.

    Parameters
    ----------
    arm : {'BLUE', 'RED'}
        The arm.
    noon : datetime
        When the night begins.
    chips : tuple of ChipFormat
        In the order of the raw file.
    binning : tuple of int
        Pixels binned across the dispersion and along it.
    angstrom : tuple of int
        Between which wavelengths the standard star's flux is known, and where the response is fitted.
    first_static : int
        Number of the first static calibration, from which its name comes.
    """

    arm: Arm
    noon: datetime
    chips: tuple[ChipFormat, ...]
    binning: tuple[int, int]
    angstrom: tuple[int, int]
    first_static: int

    def throughput(self, angstrom: Any) -> Any:
        """Return how much of a star's light arrives, from 1 / `DIMMER` at the shortest wavelength to 1."""
        first, last = self.angstrom
        return DIMMER ** ((angstrom - last) / (last - first))


BLUE_SETTING = Setting("BLUE", datetime(2014, 3, 15, 12, 0), (BLUE,), (2, 4), (3100, 4700), 51)
RED_SETTING = Setting("RED", datetime(2014, 3, 22, 12, 0), (REDU, REDL), (2, 3), (4750, 6850), 61)
"""The pipeline knows bad rows of the red chips by heart, for some binnings: this is the coarsest of them."""


def uves_raw_night(setting: Setting = BLUE_SETTING) -> DemoNight:
    """Return the night of one arm; nothing is computed before a frame is asked for."""
    arm, take = setting.arm, partial(_take, setting)
    biases = take("BIAS", 0.0, 3, 0.0)
    darks = take("DARK", 1.0, 3, 3600.0)
    form = take("ARC_LAMP_FORM", 5.0, 1, 20.0)
    definition = take("ORDER_FLAT", 5.2, 1, 20.0)
    flats = take("FLAT", 5.4, 3, 20.0)
    lamps = take("ARC_LAMP", 5.6, 1, 60.0)
    standard = take("STANDARD", 13.0, 1, STANDARD_S)
    science = take("SCI_POINT", 14.0, 1, TARGET_S)
    lines, extinction, flux, points = _statics(setting)
    alone = {file.category: group(file.category, (file,), match="N/A") for file in (lines, extinction, flux, points)}
    bias = group(f"BIAS_{arm}", biases)
    dark = group(f"DARK_{arm}", darks, bias)
    check = group(f"ARC_LAMP_FORM_{arm}", form, alone["LINE_REFER_TABLE"])
    orders = group(f"ORDER_FLAT_{arm}", definition, bias, check)
    flat = group(f"FLAT_{arm}", flats, bias, dark, orders)
    wave = group(f"ARC_LAMP_{arm}", lamps, bias, flat, orders, check, alone["LINE_REFER_TABLE"])
    basic = (bias, dark, orders, flat, wave, alone["EXTCOEFF_TABLE"])
    known = (alone["FLUX_STD_TABLE"], alone["RESP_FIT_POINTS_CATALOG"])
    cascade = (*basic, group(f"STANDARD_{arm}", standard, *basic, *known))
    names = tuple(file.associated for file in science)
    tree = AssociationTree(Association(f"SCI_POINT_{arm}", names, cascade), "Raw2Raw")
    taken = (*biases, *darks, *form, *definition, *flats, *lamps, *standard, *science)
    return DemoNight(f"uves-raw-{arm.lower()}", UVES.name, (*taken, lines, extinction, flux, points), (tree,))


def uves_raw_red_night() -> DemoNight:
    """Return the night of the red arm."""
    return uves_raw_night(RED_SETTING)


def _take(setting: Setting, kind: str, hours: float, count: int, exposure_s: float) -> tuple[ArchiveFile, ...]:
    arm, start = setting.arm, setting.noon + timedelta(hours=hours)
    target = {"SCI_POINT": "SYNTH-STAR", "STANDARD": "SYNTH-STD"}.get(kind, KINDS[kind][1])
    template = Template(f"UVES_{arm.lower()}_{kind.lower()}", start, count, 200500002, "UVES_SYNTH")
    series = FrameSeries(UVES, template, f"{kind}_{arm}", KINDS[kind], exposure_s, target, exposure_s + 60)
    size = sum(2 * layout.length * (layout.height + PRESCAN + OVERSCAN) for layout in setting.chips)
    return frames(series, partial(_keywords, setting), partial(_stream, setting), size)


def _keywords(setting: Setting, exposure: Exposure) -> Keywords:
    layout, binning = setting.chips[0], setting.binning
    slit = SLIT_PIX * binning[0]
    return instrument_keywords(setting.arm, layout.height, layout.length, binning, slit, exposure)


def _stream(setting: Setting, keywords: Keywords, exposure: Exposure) -> bytes:
    """Return the FITS stream of a raw frame."""
    images = [
        read_out(setting.arm, _light(setting, layout, exposure), noise(SEED, exposure, number))
        for number, layout in enumerate(setting.chips)
    ]
    return raw_stream(setting.arm, setting.binning, keywords, images)


def _light(setting: Setting, layout: ChipFormat, exposure: Exposure) -> Image:
    import numpy as np

    kind = exposure.dpr[1]
    if kind == "LAMP,ORDERDEF":
        return continuum(layout, 3.0, 9000.0) + 10
    if kind == "LAMP,FLAT":
        return continuum(layout, SLIT_PIX, 14000.0) + 10
    if kind in ("LAMP,WAVE", "LAMP,FMTCHK"):
        return arc(layout, SLIT_PIX, SEED) + 10
    if kind == "STD":
        return star(layout, STAR_FWHM_PIX, STANDARD_COUNTS, (), setting.throughput) + 10
    if kind == "OBJECT,POINT":
        light = star(layout, STAR_FWHM_PIX, TARGET_COUNTS, absorption_lines(layout), setting.throughput) + 10
        for order, x in cosmic_hits(layout):
            light[round(layout.place(order, x)) - 1, x - 1] += HIT_COUNTS
        return light
    dark: Image = np.full((layout.height, layout.length), DARK_COUNTS_PER_HOUR * exposure.dit_s / 3600, np.float32)
    return dark


def cosmic_hits(layout: ChipFormat) -> tuple[tuple[int, int], ...]:
    """Return order and x of the pixels that a cosmic ray hits in the science frame."""
    return tuple((order, 150 + 40 * index) for index, order in enumerate(layout.orders[1::4]))


def absorption_lines(layout: ChipFormat) -> tuple[float, ...]:
    """Return the wavelengths of the star's lines, one near the middle of every fourth order."""
    return tuple(round(float(layout.wavelength(order, layout.centre + 20)), 3) for order in layout.orders[2::4])


def _statics(setting: Setting) -> tuple[ArchiveFile, ...]:
    first, last = setting.angstrom
    grid = [float(wavelength) for wavelength in range(first - 100, last + 801, 10)]
    points_nm = [wavelength / 10 for wavelength in range(first, last, 20)]
    listed = sorted({line for layout in setting.chips for line, _ in arc_lines(layout, SEED)})
    number = setting.first_static
    return (
        _static("LINE_REFER_TABLE", number, ({"WAVE": ("1D", listed)},)),
        _static("EXTCOEFF_TABLE", number + 1, ({"LAMBDA": ("1D", grid), "LA_SILLA": ("1D", [0.3] * len(grid))},)),
        _static("FLUX_STD_TABLE", number + 2, (_flux_columns(grid),)),
        # Where the response is fitted: an index of stars, and a table for each.
        _static("RESP_FIT_POINTS_CATALOG", number + 3, (STARS, {"LAMBDA": ("1D", points_nm)})),
    )


STARS: dict[str, tuple[str, Any]] = {"ext_id": ("1J", [2]), "ra": ("1D", [FIELD[0]]), "dec": ("1D", [FIELD[1]])}


def _static(category: str, number: int, tables: Sequence[dict[str, tuple[str, Any]]]) -> ArchiveFile:
    dp_id = DpId(f"M.UVES.2013-11-05T10:{number // 60:02d}:{number % 60:02d}.{321 + 7 * number:03d}")
    keywords = describe_processed(dp_id, UVES.name, category)
    return ArchiveFile(dp_id, category, keywords, partial(_tables_bytes, tables, keywords))


def _tables_bytes(tables: Sequence[dict[str, tuple[str, Any]]], keywords: Keywords) -> bytes:
    return fits_bytes(keywords, extensions=[table(columns, f"TABLE{n}") for n, columns in enumerate(tables, start=1)])


def _flux_columns(grid: list[float]) -> dict[str, tuple[str, Any]]:
    rows = len(grid)
    return {
        "OBJECT": ("16A", ["SYNTH-STD"]),
        "TYPE": ("16A", ["A0V"]),
        "RA_DEG": ("1D", [FIELD[0]]),
        "DEC_DEG": ("1D", [FIELD[1]]),
        "NDATA": ("1J", [rows]),
        "LAMBDA": (f"{rows}E", [grid]),
        "F_LAMBDA": (f"{rows}E", [[STANDARD_FLUX * 1e16] * rows]),
        "BIN_WIDTH": (f"{rows}E", [[10.0] * rows]),
    }
