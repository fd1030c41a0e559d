"""The neon lamp of the synthetic MUSE: its lines, and where they fall on a detector of full size.

The recipe for wavelengths refuses detectors of fewer than 4000 pixels either way, and three exposures of a lamp are the
fewest that it survives.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from esorex_bridge.demo.nights.frames import Keywords, fits_bytes
from esorex_bridge.demo.nights.night import ArchiveFile
from esorex_bridge.demo.nights.tables import describe_processed, table
from esorex_bridge.files import DpId

FIRST_ANGSTROM, STEP_ANGSTROM = 4600.0, 1.25
"""Of the rows of a detector of full size."""
LINES = 60
LINE_SIGMA_PIX = 1.05
SEED = 4
LAMP: Keywords = (
    ("ESO INS LAMP3 NAME", "CU-LAMP-Ne"),
    ("ESO INS LAMP3 ST", True),
    ("ESO INS SHUT3 NAME", "CU-SHUT-Ne"),
    ("ESO INS SHUT3 ST", True),
)


def wavelength_angstrom(row: Any) -> Any:
    """Return the wavelength in a row of the detector (from 1), between rows too."""
    return FIRST_ANGSTROM + STEP_ANGSTROM * (row - 1)


def arc_lines() -> tuple[tuple[float, float], ...]:
    """Return wavelengths (angstrom) and strengths (counts in the brightest row) of the lamp's lines."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    edges = np.linspace(4720, 9350, LINES + 1)
    wavelengths = rng.uniform(edges[:-1] + 15, edges[1:] - 15).round(3).tolist()
    return tuple(zip(wavelengths, (10 ** rng.uniform(3.3, 4.3, LINES)).round(1).tolist(), strict=True))


def arc_counts(rows: int) -> Any:
    """Return the light of the lamp in each row of a detector."""
    import numpy as np

    waves = wavelength_angstrom(np.arange(1, rows + 1))
    light = np.zeros(rows)
    for line, strength in arc_lines():
        light += strength * np.exp(-(((waves - line) / (LINE_SIGMA_PIX * STEP_ANGSTROM)) ** 2) / 2)
    return light


def line_catalogue() -> ArchiveFile:
    """Return the list of lines (`LINE_CATALOG`)."""
    dp_id = DpId("M.MUSE.2018-01-15T10:01:00.060")
    keywords = describe_processed(dp_id, "MUSE", "LINE_CATALOG", (("VERSION", 3),))
    return ArchiveFile(dp_id, "LINE_CATALOG", keywords, partial(_catalogue_bytes, keywords))


def _catalogue_bytes(keywords: Keywords) -> bytes:
    wavelengths, strengths = zip(*arc_lines(), strict=True)
    columns = {
        "lambda": ("1E", wavelengths),
        "flux": ("1E", strengths),
        "ion": ("8A", ["NeI"] * LINES),
        # Every other line is good enough for the profile.
        "quality": ("1J", [5 - 4 * (number % 2) for number in range(LINES)]),
    }
    return fits_bytes(keywords, extensions=[table(columns, "LINES")])
