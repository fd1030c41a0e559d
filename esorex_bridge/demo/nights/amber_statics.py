"""What AMBER's recipes take beside raws: maps of the detector, and the stars that calibrate visibilities."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from esorex_bridge.demo.nights.amber_beams import SEED, sensitivity
from esorex_bridge.demo.nights.frames import Keywords, fits_bytes
from esorex_bridge.demo.nights.night import ArchiveFile
from esorex_bridge.demo.nights.tables import describe_processed, table
from esorex_bridge.files import DpId

CALIBRATOR = "SYNTH-CAL"
CALIBRATOR_MAS = 0.5
"""Diameter of the calibrator; on the longest baseline it is resolved a little."""


def detector_maps(seed: int) -> tuple[ArchiveFile, ArchiveFile]:
    """Return the maps of bad pixels (1 where a pixel is good) and of sensitivity, as processed calibrations."""
    return (
        _static(1, "AMBER_BADPIX", partial(_map_bytes, good_pixels, seed)),
        _static(2, "AMBER_FLATFIELD", partial(_map_bytes, _flat_field, seed)),
    )


def calibrators(band: str) -> ArchiveFile:
    """Return the table of calibrators with their diameters in a band (J, H, K), as a static calibration."""
    return _static({"K": 3, "H": 4, "J": 5}[band], f"CALIB_DATABASE_{band}", _calibrators_bytes)


def good_pixels(seed: int = SEED) -> Any:
    """Return the truth about the detector: 1 where a pixel is good, else 0."""
    return (sensitivity(seed) > 0.5).astype(">f4")


def _static(number: int, category: str, build: Callable[[Keywords], bytes]) -> ArchiveFile:
    dp_id = DpId(f"M.AMBER.2010-04-30T12:00:{number:02d}.{123 + 77 * number}")
    keywords = describe_processed(dp_id, "AMBER", category)
    return ArchiveFile(dp_id, category, keywords, partial(build, keywords))


def _map_bytes(image: Callable[[int], Any], seed: int, keywords: Keywords) -> bytes:
    return fits_bytes(keywords, image(seed))


def _flat_field(seed: int) -> Any:
    import numpy as np

    image = sensitivity(seed)
    return np.where(image > 0.5, image, 1.0).astype(">f4")


def _calibrators_bytes(keywords: Keywords) -> bytes:
    """Return the table; the first star stands in the field of all frames."""
    columns = {
        "Name": ("16A", [CALIBRATOR, "SYNTH-CAL-2"]),
        "hourRA": ("1J", [10, 11]),
        "minuteRA": ("1J", [0, 30]),
        "secondRA": ("1D", [0.0, 12.5]),
        "signDEC": ("1J", [-1, -1]),
        "degreeDEC": ("1J", [30, 20]),
        "minuteDEC": ("1J", [0, 15]),
        "secondDEC": ("1D", [0.0, 31.0]),
        "J_band": ("1D", [3.1, 4.2]),
        "H_band": ("1D", [2.9, 4.0]),
        "K_band": ("1D", [2.8, 3.9]),
        "flag": ("1J", [1, 1]),
        "diameter": ("1D", [CALIBRATOR_MAS, 1.2]),
        "diameterErr": ("1D", [0.01, 0.02]),
    }
    return fits_bytes(keywords, extensions=[table(columns, "CALIBRATOR_DATA")])
