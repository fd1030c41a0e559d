"""A synthetic UVES night of the blue arm from raws alone: the format check takes the place of tables of guesses.

Beside the star of the science a standard star is observed, whose flux is known: so the spectrum of the science comes
out in units of flux.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import Exposure, Keywords, Template, counts, fits_bytes
from esorex_bridge.demo.nights.night import ArchiveFile, Night, group
from esorex_bridge.demo.nights.series import FIELD, FrameSeries, frames, noise
from esorex_bridge.demo.nights.tables import describe_processed, table
from esorex_bridge.demo.nights.uves import (
    BIAS_COUNTS,
    CONAD_E_PER_COUNT,
    DARK_COUNTS_PER_HOUR,
    OVERSCAN,
    PRESCAN,
    UVES,
    instrument_keywords,
)
from esorex_bridge.demo.nights.uves_echelle import arc, arc_lines, continuum, star
from esorex_bridge.demo.nights.uves_optics import BIN_ACROSS, BIN_ALONG, BlueFormat
from esorex_bridge.files import DpId

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image

NOON = datetime(2014, 3, 15, 12, 0)
SEED = 5
SLIT_PIX = 11.0
STAR_FWHM_PIX = 3.0
STANDARD_COUNTS, STANDARD_S = 3000.0, 300.0
TARGET_COUNTS, TARGET_S = 1500.0, 600.0
"""At the brightest place of an order."""
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


def uves_raw_night() -> Night:
    """Return the night; nothing is computed before a frame is asked for."""
    biases = _take("BIAS", 0.0, 3, 0.0)
    darks = _take("DARK", 1.0, 3, 3600.0)
    form = _take("ARC_LAMP_FORM", 5.0, 1, 20.0)
    definition = _take("ORDER_FLAT", 5.2, 1, 20.0)
    flats = _take("FLAT", 5.4, 3, 20.0)
    lamps = _take("ARC_LAMP", 5.6, 1, 60.0)
    standard = _take("STANDARD", 13.0, 1, STANDARD_S)
    science = _take("SCI_POINT", 14.0, 1, TARGET_S)
    lines, extinction, flux, points = _statics()
    alone = {file.category: group(file.category, (file,), match="N/A") for file in (lines, extinction, flux, points)}
    bias = group("BIAS_BLUE", biases)
    dark = group("DARK_BLUE", darks, bias)
    check = group("ARC_LAMP_FORM_BLUE", form, alone["LINE_REFER_TABLE"])
    orders = group("ORDER_FLAT_BLUE", definition, bias, check)
    flat = group("FLAT_BLUE", flats, bias, dark, orders)
    wave = group("ARC_LAMP_BLUE", lamps, bias, flat, orders, check, alone["LINE_REFER_TABLE"])
    basic = (bias, dark, orders, flat, wave, alone["EXTCOEFF_TABLE"])
    known = (alone["FLUX_STD_TABLE"], alone["RESP_FIT_POINTS_CATALOG"])
    cascade = (*basic, group("STANDARD_BLUE", standard, *basic, *known))
    tree = AssociationTree(
        Association("SCI_POINT_BLUE", tuple(file.associated for file in science), cascade), "Raw2Raw"
    )
    taken = (*biases, *darks, *form, *definition, *flats, *lamps, *standard, *science)
    return Night("uves-raw-blue", UVES.name, (*taken, lines, extinction, flux, points), (tree,))


def _take(kind: str, hours: float, count: int, exposure_s: float) -> tuple[ArchiveFile, ...]:
    start = NOON + timedelta(hours=hours)
    target = {"SCI_POINT": "SYNTH-STAR", "STANDARD": "SYNTH-STD"}.get(kind, KINDS[kind][1])
    template = Template(f"UVES_blue_{kind.lower()}", start, count, 200500002, "UVES_SYNTH")
    series = FrameSeries(UVES, template, f"{kind}_BLUE", KINDS[kind], exposure_s, target, exposure_s + 60)
    layout = BlueFormat()
    return frames(series, _keywords, _stream, 2 * layout.length * (layout.height + PRESCAN + OVERSCAN))


def _keywords(exposure: Exposure) -> Keywords:
    layout = BlueFormat()
    slit = SLIT_PIX * BIN_ACROSS
    return instrument_keywords("BLUE", layout.height, layout.length, (BIN_ACROSS, BIN_ALONG), slit, exposure)


def _stream(keywords: Keywords, exposure: Exposure) -> bytes:
    """Return the FITS stream of a raw frame: turned as it is read out, with prescan and overscan."""
    import numpy as np

    rng = noise(SEED, exposure)
    clean = _light(BlueFormat(), exposure)
    light = clean + rng.normal(0, 1, clean.shape) * np.sqrt(np.maximum(clean, 0) / CONAD_E_PER_COUNT)
    turned = np.rot90(light, 1)
    full = BIAS_COUNTS + rng.normal(0, 3, (turned.shape[0], turned.shape[1] + PRESCAN + OVERSCAN))
    full[:, PRESCAN : PRESCAN + turned.shape[1]] += turned
    return fits_bytes(keywords, counts(full.astype(np.float32)))


def _light(layout: BlueFormat, exposure: Exposure) -> Image:
    import numpy as np

    kind = exposure.dpr[1]
    if kind == "LAMP,ORDERDEF":
        return continuum(layout, 3.0, 9000.0) + 10
    if kind == "LAMP,FLAT":
        return continuum(layout, SLIT_PIX, 14000.0) + 10
    if kind in ("LAMP,WAVE", "LAMP,FMTCHK"):
        return arc(layout, SLIT_PIX, SEED) + 10
    if kind == "STD":
        return star(layout, STAR_FWHM_PIX, STANDARD_COUNTS, ()) + 10
    if kind == "OBJECT,POINT":
        light = star(layout, STAR_FWHM_PIX, TARGET_COUNTS, absorption_lines()) + 10
        for order, x in cosmic_hits():
            light[round(layout.place(order, x)) - 1, x - 1] += HIT_COUNTS
        return light
    dark: Image = np.full((layout.height, layout.length), DARK_COUNTS_PER_HOUR * exposure.dit_s / 3600, np.float32)
    return dark


def cosmic_hits() -> tuple[tuple[int, int], ...]:
    """Return order and x of the pixels that a cosmic ray hits in the science frame."""
    return tuple((order, 150 + 40 * index) for index, order in enumerate(BlueFormat().orders[1::4]))


def absorption_lines() -> tuple[float, ...]:
    """Return the wavelengths of the star's lines, one near the middle of every fourth order."""
    layout = BlueFormat()
    return tuple(round(float(layout.wavelength(order, layout.centre + 20)), 3) for order in layout.orders[2::4])


def _statics() -> tuple[ArchiveFile, ...]:
    grid = [3000.0 + 10 * step for step in range(251)]
    listed = sorted(line for line, _ in arc_lines(BlueFormat(), SEED))
    return (
        _static("LINE_REFER_TABLE", 51, {"WAVE": ("1D", listed)}),
        _static("EXTCOEFF_TABLE", 52, {"LAMBDA": ("1D", grid), "LA_SILLA": ("1D", [0.3] * len(grid))}),
        _static("FLUX_STD_TABLE", 53, _flux_columns(grid)),
        _points(54, [(3100.0 + 20 * step) / 10 for step in range(80)]),
    )


def _points(number: int, wavelengths_nm: list[float]) -> ArchiveFile:
    """Return where the response is fitted: an index of stars, and a table for each."""
    index = {"ext_id": ("1J", [2]), "ra": ("1D", [FIELD[0]]), "dec": ("1D", [FIELD[1]])}
    dp_id = DpId(f"M.UVES.2013-11-05T10:00:{number:02d}.{321 + 7 * number:03d}")
    keywords = describe_processed(dp_id, UVES.name, "RESP_FIT_POINTS_CATALOG")
    build = partial(_tables_bytes, (index, {"LAMBDA": ("1D", wavelengths_nm)}), keywords)
    return ArchiveFile(dp_id, "RESP_FIT_POINTS_CATALOG", keywords, build)


def _tables_bytes(tables: tuple[dict[str, tuple[str, Any]], ...], keywords: Keywords) -> bytes:
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


def _static(category: str, number: int, columns: dict[str, tuple[str, Any]]) -> ArchiveFile:
    dp_id = DpId(f"M.UVES.2013-11-05T10:00:{number:02d}.{321 + 7 * number:03d}")
    keywords = describe_processed(dp_id, UVES.name, category)
    return ArchiveFile(dp_id, category, keywords, partial(_tables_bytes, (columns,), keywords))
