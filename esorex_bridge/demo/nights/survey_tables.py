"""Synthetic catalogues and photometric tables that the imaging recipes of HAWK-I and VIMOS take as static files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from esorex_bridge.demo.nights.frames import Keywords, fits_bytes
from esorex_bridge.demo.nights.tables import table

CATALOGUE_NAME = "local_synth"
ZERO_POINT_MAG = 25.0
SCHLEGEL_PIXELS = 64


def photometry_bytes(
    filter_name: str, band: str, extinction_mag: float, galactic_extinction: float, keywords: Keywords
) -> bytes:
    """Return how catalogue magnitudes become those of a filter: here they are the same.

    Parameters
    ----------
    filter_name : str
        As in the headers of raws.
    band : str
        Of the catalogue: its columns are `<band>mag` and `e_<band>mag`.
    extinction_mag : float
        Of the atmosphere, a unit of airmass.
    galactic_extinction : float
        Magnitudes a unit of E(B-V).
    keywords : Keywords
        Primary header.
    """
    columns = {
        "filter_name": ("32A", [filter_name]),
        "atm_extcoef": ("1E", [extinction_mag]),
        "mag_offset": ("1E", [0.0]),
        "coleq_columns": ("32A", [f"{band}mag"]),
        "coleq_errcols": ("32A", [f"e_{band}mag"]),
        "coleq_coefs": ("32A", ["1.0"]),
        "gal_extcoef": ("1E", [galactic_extinction]),
        "default_zp": ("1E", [ZERO_POINT_MAG]),
        "default_zp_err": ("1E", [0.1]),
    }
    extension = table(columns, CATALOGUE_NAME)
    extension.header["PHOTOSYS"] = "VEGA"
    return fits_bytes(keywords, extensions=[extension])


def catalogue_bytes(sky: Any, colours: Mapping[str, float], keywords: Keywords) -> bytes:
    """Return stars in order of declination.

    Parameters
    ----------
    sky : array
        Rows of right ascension and declination (degrees), and magnitude.
    colours : mapping
        Bands, each with what is added to the magnitude.
    keywords : Keywords
        Primary header.
    """
    import numpy as np

    ra, dec, mag = sky
    order = np.argsort(dec)
    error = np.full(len(order), 0.02)
    columns: dict[str, tuple[str, Any]] = {"RA": ("1D", ra[order]), "Dec": ("1D", dec[order])}
    for band, colour in colours.items():
        columns[f"{band}mag"] = ("1E", mag[order] + colour)
        columns[f"e_{band}mag"] = ("1E", error)
    return fits_bytes(keywords, extensions=[table(columns, CATALOGUE_NAME)])


def schlegel_bytes(pole: int, keywords: Keywords) -> bytes:
    """Return a map of even extinction around one galactic pole (1 or -1; Lambert projection)."""
    import numpy as np

    size = SCHLEGEL_PIXELS
    projection: Keywords = (
        ("CTYPE1", "LAMBERT--X"),
        ("CTYPE2", "LAMBERT--Y"),
        ("CRPIX1", size / 2 + 0.5),
        ("CRPIX2", size / 2 + 0.5),
        ("CRVAL1", 90.0 * pole),
        ("CRVAL2", 90.0 * pole),
        ("CDELT1", 1.0),
        ("CDELT2", 1.0),
        ("LAM_NSGP", pole),
        ("LAM_SCAL", size // 2),
    )
    return fits_bytes((*keywords, *projection), np.full((size, size), 0.05, dtype=">f4"))
