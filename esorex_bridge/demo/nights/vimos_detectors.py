"""The four detectors of the synthetic VIMOS: size, headers, and the places of the quadrants on the sky."""

from __future__ import annotations

from math import cos, radians
from typing import TYPE_CHECKING, Any

from esorex_bridge.demo.nights.frames import Instrument, Keywords, sky_plane
from esorex_bridge.demo.nights.series import FIELD

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image

VIMOS = Instrument("VIMOS", "VIMOS", "ESO-VLT-U3", pixel_arcsec=0.205)
COLUMNS, ROWS = 2048, 2440
PRESCAN = OVERSCAN = 50
CONAD_E_PER_COUNT = 1.8
CHIPS = {1: "BRIAN", 2: "Keith", 3: "Tom", 4: "DAVID"}
"""Serial names of the detectors by quadrant, as the pipeline knows them."""
GAP_PIX = 30


def reference_pixel(quadrant: int) -> tuple[float, float]:
    """Return where the pointing of the telescope falls, in pixels of a quadrant without prescan."""
    half = COLUMNS / 2 + GAP_PIX
    x = -half if quadrant in (1, 4) else COLUMNS + half
    y = -half if quadrant in (1, 2) else COLUMNS + half
    return x, y


def make_unsigned(image: Image) -> Any:
    """Return an image as a detector with 16 bits and no sign delivers it."""
    import numpy as np

    return np.clip(np.rint(image), 0, 65535).astype(np.uint16)


def quadrant_keywords(
    quadrant: int, exposure_s: float, mode: str = "IMG", filter_name: str = "R", offset: tuple[int, int] = (0, 0)
) -> Keywords:
    """Return what a quadrant adds to a primary header; `offset` is the displacement of the stars in pixels."""
    x, y = reference_pixel(quadrant)
    scale = VIMOS.pixel_arcsec / 3600
    position = (FIELD[0] + offset[0] * scale / cos(radians(FIELD[1])), FIELD[1] - offset[1] * scale)
    return (
        *_detector_keywords(quadrant),
        ("AIRMASS", 1.15),
        ("ESO OCS CON QUAD", quadrant),
        ("ESO INS MODE", mode),
        # A quadrant knows of its own filter only.
        (f"ESO INS FILT{quadrant} NAME", filter_name),
        (f"ESO INS FILT{quadrant} ID", f"{filter_name}-Bessel"),
        (f"ESO INS FILT{quadrant} NO", 1),
        ("ESO INS PIXSCALE", VIMOS.pixel_arcsec),
        ("ESO DET DIT", exposure_s),
        *sky_plane(position, (x + PRESCAN, y), scale),
    )


def _detector_keywords(quadrant: int) -> Keywords:
    return (
        ("ESO DET CHIPS", 1),
        ("ESO DET OUTPUTS", 1),
        ("ESO DET WINDOWS", 1),
        ("ESO DET CHIP1 ID", CHIPS[quadrant]),
        ("ESO DET CHIP1 NX", COLUMNS),
        ("ESO DET CHIP1 NY", ROWS),
        ("ESO DET CHIP1 PSZX", 15.0),
        ("ESO DET CHIP1 PSZY", 15.0),
        ("ESO DET CHIP1 X", 1),
        ("ESO DET CHIP1 Y", 1),
        ("ESO DET OUT1 ID", "L"),
        ("ESO DET OUT1 X", 1),
        ("ESO DET OUT1 Y", 1),
        ("ESO DET OUT1 NX", COLUMNS),
        ("ESO DET OUT1 NY", ROWS),
        ("ESO DET OUT1 PRSCX", PRESCAN),
        ("ESO DET OUT1 PRSCY", 0),
        ("ESO DET OUT1 OVSCX", OVERSCAN),
        ("ESO DET OUT1 OVSCY", 0),
        ("ESO DET OUT1 CONAD", CONAD_E_PER_COUNT),
        ("ESO DET OUT1 RON", 4.0 * CONAD_E_PER_COUNT),
        ("ESO DET OUT1 GAIN", 1 / CONAD_E_PER_COUNT),
        ("ESO DET WIN1 BINX", 1),
        ("ESO DET WIN1 BINY", 1),
        ("ESO DET WIN1 NX", COLUMNS + PRESCAN + OVERSCAN),
        ("ESO DET WIN1 NY", ROWS),
        ("ESO DET WIN1 STRX", 1),
        ("ESO DET WIN1 STRY", 1),
        ("ESO DET READ CLOCK", "R 250kHz  2H"),
        ("ESO DET READ SPEED", "Normal"),
        ("ESO DET READ MODE", "norm"),
    )
