"""Static calibrations that are tables: few rows, real columns."""

from __future__ import annotations

from functools import partial
from typing import Any

from esorex_bridge.demo.nights.frames import Keywords, fits_bytes
from esorex_bridge.demo.nights.night import ArchiveFile
from esorex_bridge.files import DpId


def describe_processed(dp_id: DpId, instrument: str, category: str, more: Keywords = ()) -> Keywords:
    """Return the primary header of a processed or static calibration."""
    date = dp_id.split(".", 2)[2]
    return (
        ("ORIGIN", "ESO"),
        ("DATE", date),
        ("INSTRUME", instrument),
        ("ARCFILE", f"{dp_id}.fits"),
        ("ESO PRO CATG", category),
        ("ESO PRO TYPE", "REDUCED"),
        *more,
    )


def inherit_keywords(raw: Keywords) -> Keywords:
    """Return what a product takes over from its first raw frame; it has no DPR keywords."""
    own = ("ORIGIN", "DATE", "INSTRUME", "ARCFILE", "ORIGFILE")
    return tuple((name, value) for name, value in raw if name not in own and not name.startswith("ESO DPR"))


def catalogue_of_standards(dp_id: DpId, instrument: str, category: str) -> ArchiveFile:
    """Return a table of standard stars, as a static calibration."""
    keywords = describe_processed(dp_id, instrument, category)
    return ArchiveFile(dp_id, category, keywords, partial(_standards_bytes, keywords))


def _standards_bytes(keywords: Keywords) -> bytes:
    columns = {
        "STARS": ("16A", ["SYNTH-STD-1", "SYNTH-STD-2"]),
        "SP_TYPE": ("8A", ["A0V", "G2V"]),
        "RA": ("1D", [151.2, 203.7]),
        "DEC": ("1D", [-29.4, -12.8]),
        "K": ("1D", [10.1, 9.6]),
    }
    return fits_bytes(keywords, extensions=[table(columns, "STANDARDS")])


def table(columns: dict[str, tuple[str, Any]], name: str) -> Any:
    """Return a binary table HDU from columns given as FITS format and values."""
    import numpy as np
    from astropy.io import fits

    made = [fits.Column(title, form, array=np.asarray(values)) for title, (form, values) in columns.items()]
    return fits.BinTableHDU.from_columns(made, name=name)
