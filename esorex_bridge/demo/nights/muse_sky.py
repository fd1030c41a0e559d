"""The night sky of the synthetic MUSE: its lines, a nebula that leaves no pixel of sky free, and how a line is spread.

Where an object fills the field, its own pixels say nothing of the sky: what is taken for sky there is the object too.
So the sky comes from an exposure beside it.
"""

from __future__ import annotations

from functools import partial
from math import pi, sqrt
from typing import Any

from esorex_bridge.demo.nights.frames import Keywords, fits_bytes
from esorex_bridge.demo.nights.muse_arc import LINE_SIGMA_PIX
from esorex_bridge.demo.nights.muse_field import STANDARD_COUNTS_PER_S, STANDARD_FLUX, STEP_ANGSTROM, throughput
from esorex_bridge.demo.nights.muse_statics import MODE
from esorex_bridge.demo.nights.night import ArchiveFile
from esorex_bridge.demo.nights.tables import describe_processed, table
from esorex_bridge.files import DpId

SKY_LINES = ((6864.0, 4.0), (6923.2, 6.0), (6978.4, 2.0), (7047.0, 3.0), (7111.6, 5.0))
"""Wavelengths (angstrom) and strengths of lines of the sky, in counts a second in the brightest row of a pixel."""
SKY_PER_S = 1.5
"""Of the continuum of the sky, in counts a second in a pixel."""
NEBULA_PER_S = 0.8
"""Of the nebula, in counts a second in a pixel of the first row; it is as bright everywhere."""
SIGMA_ANGSTROM = LINE_SIGMA_PIX * STEP_ANGSTROM
PIXEL_ARCSEC2 = 0.04
GUESS = 0.7
"""How strong the list of lines says that they are, in parts of what they are: the recipes fit their strengths."""
SLICES, PROFILE_POINTS, PROFILE_WAVES = 48, 150, 30
HALF_RANGE_ANGSTROM = 7.5


def sky_per_s(wavelengths: Any) -> Any:
    """Return the light of the sky in counts a second in a pixel of some rows."""
    import numpy as np

    light = np.full(len(wavelengths), SKY_PER_S)
    for line, strength in SKY_LINES:
        light += strength * np.exp(-(((wavelengths - line) / SIGMA_ANGSTROM) ** 2) / 2)
    return light


def nebula_per_s(wavelengths: Any) -> Any:
    """Return the light of the nebula in counts a second in a pixel of some rows."""
    return NEBULA_PER_S * throughput(wavelengths)


def nebula_flux() -> float:
    """Return the flux of the nebula in a pixel of the field, in erg/s/cm**2/Angstrom."""
    return NEBULA_PER_S / STANDARD_COUNTS_PER_S * STANDARD_FLUX


def line_table() -> ArchiveFile:
    """Return the list of the sky's lines (`SKY_LINES`), with guesses of their strengths."""
    dp_id = DpId("M.MUSE.2018-01-15T10:02:00.000")
    keywords = describe_processed(dp_id, "MUSE", "SKY_LINES", ())
    return ArchiveFile(dp_id, "SKY_LINES", keywords, partial(_lines_bytes, keywords))


def _lines_bytes(keywords: Keywords) -> bytes:
    from astropy.io import fits

    wavelengths, strengths = zip(*SKY_LINES, strict=True)
    in_flux = STANDARD_FLUX / STANDARD_COUNTS_PER_S * sqrt(2 * pi) * SIGMA_ANGSTROM / PIXEL_ARCSEC2
    columns = {
        "name": ("12A", [f"line {number}" for number in range(len(SKY_LINES))]),
        "group": ("1J", range(len(SKY_LINES))),
        "lambda": ("1D", wavelengths),
        "flux": ("1D", [1e20 * GUESS * in_flux * strength for strength in strengths]),
        "dq": ("1J", [0] * len(SKY_LINES)),
    }
    extension: fits.BinTableHDU = table(columns, "LINES")
    extension.header["TUNIT3"], extension.header["TUNIT4"] = "Angstrom", "10**(-20)*erg/(s cm^2 arcsec^2)"
    return fits_bytes(keywords, extensions=[extension])


def profile_cube(ifu: int) -> ArchiveFile:
    """Return how a line is spread over wavelengths (`LSF_PROFILE`): in all slices alike."""
    dp_id = DpId("M.MUSE.2018-01-15T10:02:01.000")
    keywords = describe_processed(dp_id, "MUSE", "LSF_PROFILE", (*MODE, ("EXTNAME", f"CHAN{ifu:02d}")))
    return ArchiveFile(dp_id, "LSF_PROFILE", keywords, partial(_profile_bytes, keywords))


def _profile_bytes(keywords: Keywords) -> bytes:
    import numpy as np
    from astropy.io import fits

    away = np.linspace(-HALF_RANGE_ANGSTROM, HALF_RANGE_ANGSTROM, PROFILE_POINTS)
    profile = np.exp(-((away / SIGMA_ANGSTROM) ** 2) / 2) / (sqrt(2 * pi) * SIGMA_ANGSTROM)
    cube = np.broadcast_to(profile, (SLICES, PROFILE_WAVES, PROFILE_POINTS)).astype(np.float32)
    extension = fits.ImageHDU(cube, name="LSF_PROFILE")
    scale = {"CD1_1": away[1] - away[0], "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 4600.0 / (PROFILE_WAVES - 1)}
    first = {"CRPIX1": 1.0, "CRPIX2": 1.0, "CRVAL1": -HALF_RANGE_ANGSTROM, "CRVAL2": 4750.0}
    named = {"CTYPE1": "PARAM", "CTYPE2": "AWAV", "CUNIT1": "Angstrom", "CUNIT2": "Angstrom"}
    extension.header.update({"WCSAXES": 2, **scale, **first, **named})
    return fits_bytes(keywords, extensions=[extension])
