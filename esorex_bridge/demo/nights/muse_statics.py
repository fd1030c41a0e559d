"""Processed calibrations of the synthetic MUSE: slices on the sky, and the wavelength of each row."""

from __future__ import annotations

from functools import partial
from typing import Any

from esorex_bridge.demo.nights.frames import Keywords, fits_bytes
from esorex_bridge.demo.nights.night import ArchiveFile
from esorex_bridge.demo.nights.tables import processed, table
from esorex_bridge.files import DpId

FIRST_ANGSTROM, LAST_ANGSTROM = 4750.0, 9350.0
SLICES_PER_STACK = 12


def geometry_table(ifus: int, slices: int) -> ArchiveFile:
    """Return the table of slices on the sky (`GEOMETRY_TABLE`): four stacks of twelve side by side in each IFU."""
    rows = [(ifu, number, *_place(ifu, number)) for ifu in range(1, ifus + 1) for number in range(1, slices + 1)]
    fields, numbers, x, y = zip(*rows, strict=True)
    columns = {
        "SubField": ("1J", fields),
        "SliceCCD": ("1J", numbers),
        "SliceSky": ("1J", numbers),
        "x": ("1D", x),
        "y": ("1D", y),
        "angle": ("1D", [0.0] * len(rows)),
        "width": ("1D", [76.0] * len(rows)),
    }
    return _static("GEOMETRY_TABLE", 1, "", columns)


def wavelength_table(ifu: int, slices: int, rows: int) -> ArchiveFile:
    """Return the wavelengths of an IFU (`WAVECAL_TABLE`): linear in the row, the same in all slices."""
    step = (LAST_ANGSTROM - FIRST_ANGSTROM) / (rows - 1)
    columns = {
        "SliceNo": ("1J", range(1, slices + 1)),
        "wlc00": ("1D", [FIRST_ANGSTROM - step] * slices),
        "wlc01": ("1D", [step] * slices),
        "wlc10": ("1D", [0.0] * slices),
        "wlc11": ("1D", [0.0] * slices),
        "MSE": ("1D", [0.01] * slices),
    }
    return _static("WAVECAL_TABLE", 10 + ifu, f"CHAN{ifu:02d}", columns)


def _place(ifu: int, number: int) -> tuple[float, float]:
    """Return x and y of a slice's middle in pixels of the field: stacks along x, slices along y."""
    stack, row = divmod(number - 1, SLICES_PER_STACK)
    return (stack - 1.5) * 75.0, (ifu - 12.5) * SLICES_PER_STACK + row


def _static(category: str, number: int, name: str, columns: dict[str, tuple[str, Any]]) -> ArchiveFile:
    dp_id = DpId(f"M.MUSE.2018-01-15T10:00:{number:02d}.{210 + 7 * number:03d}")
    more: Keywords = (("EXTNAME", name),) if name else ()
    keywords = processed(dp_id, "MUSE", category, (("ESO INS MODE", "WFM-NOAO-N"), *more))
    return ArchiveFile(dp_id, category, keywords, partial(_bytes, columns, name, keywords))


def _bytes(columns: dict[str, tuple[str, Any]], name: str, keywords: Keywords) -> bytes:
    return fits_bytes(keywords, extensions=[table(columns, name or "GEOMETRY")])
