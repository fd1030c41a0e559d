"""Static tables of the synthetic UVES night: the lamp's lines, and the first guess of where they fall."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from esorex_bridge.demo.nights.frames import Keywords, fits_bytes
from esorex_bridge.demo.nights.night import ArchiveFile
from esorex_bridge.demo.nights.tables import describe_processed, table
from esorex_bridge.demo.nights.uves_echelle import Echelle, arc_lines
from esorex_bridge.demo.nights.uves_headers import chip_id
from esorex_bridge.files import DpId

INSTRUMENT = "UVES"
GUESS_ERROR_PIX = 0.4
"""How far the first guess is off."""

Coefficients = dict[tuple[int, int], float]


def line_catalogue(echelles: Iterable[Echelle], seed: int, number: int) -> ArchiveFile:
    """Return the table of the lamp's wavelengths (`LINE_REFER_TABLE`)."""
    lines = sorted({line for echelle in echelles for line, _ in arc_lines(echelle, seed)})
    columns = {"WAVE": ("1D", lines)}
    return _static("LINE_REFER_TABLE", number, partial(_tables, (("LINES", columns, ()),)))


def line_guess(echelle: Echelle, seed: int, number: int, setting: Keywords) -> ArchiveFile:
    """Return the first guess of a chip's lines (`LINE_GUESS_TAB_<chip>`): lines, dispersion, and order numbers.

    It holds for one setting of the arm. The pipeline keeps numbers of order, trace and window in HISTORY cards of each
    extension.
    """
    numbers = (("FABSORD", echelle.orders[0]), ("LABSORD", echelle.orders[-1]), ("TRACEID", 0), ("WINDOW", 1))
    tables = (
        ("LINES", _lines(echelle, seed), numbers),
        ("DISPERSION", _polynomial(_dispersion(echelle)), numbers),
        ("ORDERS", _polynomial(_order_numbers(echelle)), numbers),
    )
    more = (
        ("ESO PRO REC1 DRS ID", "CPL"),
        ("ESO DET CHIP1 ID", chip_id(echelle.chip)),
        ("ESO DET CHIP2 ID", chip_id(echelle.chip)),
        *setting,
    )
    return _static(f"LINE_GUESS_TAB_{echelle.chip}", number, partial(_tables, tables), more)


def _static(category: str, number: int, build: Any, more: Keywords = ()) -> ArchiveFile:
    dp_id = DpId(f"M.UVES.2013-11-05T10:00:{number:02d}.{321 + 7 * number:03d}")
    keywords = describe_processed(dp_id, INSTRUMENT, category, more)
    return ArchiveFile(dp_id, category, keywords, partial(build, keywords))


def _tables(tables: Iterable[tuple[str, dict[str, tuple[str, Any]], Keywords]], keywords: Keywords) -> bytes:
    extensions = []
    for name, columns, numbers in tables:
        extension = table(columns, name)
        for key, value in numbers:
            extension.header.add_history(f"{key} {value}")
        extensions.append(extension)
    return fits_bytes(keywords, extensions=extensions)


def _lines(echelle: Echelle, seed: int) -> dict[str, tuple[str, Any]]:
    rows = [
        (echelle.position(order, wavelength), wavelength, order)
        for order in echelle.orders
        for wavelength, _ in arc_lines(echelle, seed)
        if 2 < echelle.position(order, wavelength) < echelle.length - 2
    ]
    x, wavelengths, orders = zip(*sorted(rows, key=lambda row: (row[2], row[0])), strict=True)
    return {
        "X": ("1D", x),
        "Y": ("1J", orders),
        "Ynew": ("1D", [echelle.place(order, place) for place, order in zip(x, orders, strict=True)]),
        "Order": ("1J", orders),
        "Ident": ("1D", wavelengths),
        "Pixel": ("1D", [echelle.scale[1] / order for order in orders]),
    }


def _dispersion(echelle: Echelle) -> Coefficients:
    """Return wavelength times order as a polynomial of x and order, off by some part of a pixel."""
    offset, slope = echelle.scale
    return {(0, 0): offset + GUESS_ERROR_PIX * slope, (1, 0): slope}


def _order_numbers(echelle: Echelle) -> Coefficients:
    """Return the physical order as a polynomial of x and y."""
    step = (echelle.orders[1] - echelle.orders[0]) / echelle.spacing
    centre = echelle.centre
    base = echelle.lowest - echelle.tilt * centre + echelle.curvature * centre**2
    return {
        (0, 0): echelle.orders[0] - base * step,
        (0, 1): step,
        (1, 0): -(echelle.tilt - 2 * echelle.curvature * centre) * step,
        (2, 0): -echelle.curvature * step,
    }


def _polynomial(coefficients: Coefficients) -> dict[str, tuple[str, Any]]:
    """Return a polynomial as the pipeline's tables hold it: three shifts, three scales, then the coefficients."""
    rows = [(-1, -1, 0.0)] * 3 + [(-1, -1, 1.0)] * 3
    rows += [(first, second, value) for (first, second), value in coefficients.items()]
    first, second, values = zip(*rows, strict=True)
    return {"Order1": ("1J", first), "Order2": ("1J", second), "Coeff": ("1D", values)}
