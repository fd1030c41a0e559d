"""Processed calibrations of the synthetic MUSE: slices on the sky, and the wavelength of each row."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec.structs import replace

from esorex_bridge.demo.nights.frames import Keywords, fits_bytes
from esorex_bridge.demo.nights.night import ArchiveFile
from esorex_bridge.demo.nights.tables import describe_processed, table
from esorex_bridge.files import DpId

FIRST_ANGSTROM, LAST_ANGSTROM = 4750.0, 9350.0
SLICES_PER_STACK = 12
SLICE_WIDTH_FIELD = 76.0
"""Pixels of the field that a slice covers."""


Place = Callable[[int, int], tuple[float, float]]

MODE: Keywords = (
    ("ESO INS MODE", "WFM-NOAO-N"),
    ("ESO INS OPTI1 NAME", "Blue_filter"),
    ("ESO INS OPTI2 NAME", "WFM"),
    ("ESO DET READ CURID", 1),
)
"""The mode of the instrument and its read-out, as raws and calibrations name it."""


def geometry_table(ifus: int, slices: int, number_in_name: int = 1, place: Place | None = None) -> ArchiveFile:
    """Return the table of slices on the sky (`GEOMETRY_TABLE`).

    Parameters
    ----------
    ifus, slices : int
        How many IFUs, and slices in each.
    number_in_name : int
        Tells apart tables of different places.
    place : callable
        Returns where the middle of a slice lies in the field for IFU and slice (both from 1); by default as in MUSE:
        four stacks of twelve side by side in each IFU.
    """
    place = place or slice_place
    rows = [(ifu, number, *place(ifu, number)) for ifu in range(1, ifus + 1) for number in range(1, slices + 1)]
    fields, numbers, x, y = zip(*rows, strict=True)
    columns = {
        "SubField": ("1J", fields),
        "SliceCCD": ("1J", numbers),
        "SliceSky": ("1J", numbers),
        "x": ("1D", x),
        "y": ("1D", y),
        "angle": ("1D", [0.0] * len(rows)),
        "width": ("1D", [SLICE_WIDTH_FIELD] * len(rows)),
    }
    return _static("GEOMETRY_TABLE", number_in_name, "", columns)


def extinction_table() -> ArchiveFile:
    """Return the extinction of the atmosphere (`EXTINCT_TABLE`), in magnitudes a unit of airmass."""
    grid = [3000.0 + 100 * step for step in range(81)]
    values = [0.5 * (4000.0 / wavelength) ** 4 for wavelength in grid]
    return _static("EXTINCT_TABLE", 2, "", {"lambda": ("1D", grid), "extinction": ("1D", values)}, "EXTINCTION")


def flux_table(ra_deg: float, dec_deg: float, flux: float) -> ArchiveFile:
    """Return the flux of the standard star (`STD_FLUX_TABLE`), even at all wavelengths."""
    grid = [3000.0 + 10 * step for step in range(801)]
    columns = {"lambda": ("1D", grid), "flux": ("1D", [flux] * len(grid))}
    made = _static("STD_FLUX_TABLE", 3, "", columns, "SYNTH-STD")
    return replace(made, build=partial(_flux_bytes, columns, ra_deg, dec_deg, made.keywords))


def _flux_bytes(columns: dict[str, tuple[str, Any]], ra_deg: float, dec_deg: float, keywords: Keywords) -> bytes:
    extension = table(columns, "SYNTH-STD")
    extension.header["TUNIT1"], extension.header["TUNIT2"] = "Angstrom", "erg/s/cm**2/Angstrom"
    extension.header["RA"], extension.header["DEC"] = ra_deg, dec_deg
    return fits_bytes(keywords, extensions=[extension])


def wavelength_table(
    ifu: int, slices: int, rows: int, first: float = FIRST_ANGSTROM, last: float = LAST_ANGSTROM
) -> ArchiveFile:
    """Return the wavelengths of an IFU (`WAVECAL_TABLE`): linear in the row, the same in all slices."""
    step = (last - first) / (rows - 1)
    columns = {
        "SliceNo": ("1J", range(1, slices + 1)),
        "wlc00": ("1D", [first - step] * slices),
        "wlc01": ("1D", [step] * slices),
        "wlc10": ("1D", [0.0] * slices),
        "wlc11": ("1D", [0.0] * slices),
        "MSE": ("1D", [0.01] * slices),
    }
    return _static("WAVECAL_TABLE", (10 if first == FIRST_ANGSTROM else 34) + ifu, f"CHAN{ifu:02d}", columns)


def slice_place(ifu: int, number: int) -> tuple[float, float]:
    """Return x and y of a slice's middle in pixels of the field: stacks along x, slices along y."""
    stack, row = divmod(number - 1, SLICES_PER_STACK)
    return (stack - 1.5) * 75.0, (ifu - 12.5) * SLICES_PER_STACK + row


def _static(
    category: str, number: int, name: str, columns: dict[str, tuple[str, Any]], title: str = "GEOMETRY"
) -> ArchiveFile:
    dp_id = DpId(f"M.MUSE.2018-01-15T10:00:{number:02d}.{210 + 7 * number:03d}")
    more: Keywords = (("EXTNAME", name),) if name else ()
    keywords = describe_processed(dp_id, "MUSE", category, (*MODE, *more))
    return ArchiveFile(dp_id, category, keywords, partial(_bytes, columns, name or title, keywords))


def _bytes(columns: dict[str, tuple[str, Any]], name: str, keywords: Keywords) -> bytes:
    return fits_bytes(keywords, extensions=[table(columns, name)])
