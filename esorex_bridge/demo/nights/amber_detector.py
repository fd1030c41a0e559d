"""AMBER from its detector on: darks and flats of seven exposure times, of the whole detector, before the night begins.

The pipeline passes over the first 20 frames of a file; here they hold the bias and no more. It judges pixels by the
scatter of the frames that are left. So that a few of them are enough, the noise of a pixel is balanced: it goes up and
down by the same amount in turn.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from esorex_bridge.demo.nights.amber import AMBER, night_with
from esorex_bridge.demo.nights.amber_beams import (
    BIAS_COUNTS,
    GAIN_E_PER_COUNT,
    NPIX,
    READ_NOISE_COUNTS,
    SEED,
    sensitivity,
)
from esorex_bridge.demo.nights.amber_tables import Window, raw_extensions
from esorex_bridge.demo.nights.frames import Exposure, Keywords, Template, fits_bytes
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group
from esorex_bridge.demo.nights.series import FrameSeries, frames, noise

DAY = datetime(2010, 5, 3)
PASSED_OVER, USED = 20, 4
"""Frames of a file, in this order."""
DITS_S = tuple(number / 10 for number in range(1, 8))
DARK_COUNTS_PER_S = 20.0
FLAT_COUNTS_PER_S = 9000.0
MASKED_COLUMNS = 32
"""So many do not see the flat's light."""


def amber_full_night(seed: int = SEED) -> DemoNight:
    """Return the night with the raws of which its maps of the detector are made.

    Parameters
    ----------
    seed : int
        Nights of different seeds differ in every pixel.
    """
    darks = _series("AMBER_DETECTOR_DARK", "DETDARK", DAY.replace(hour=10), seed)
    flats = _series("AMBER_DETECTOR_FFM", "DETFLAT", DAY.replace(hour=11), seed)
    raws = (*darks, *flats)
    return night_with(seed, raws, (group("AMBER_DETECTOR", raws),), f"amber-full-seed{seed}", DAY)


def _series(category: str, what: str, start: datetime, seed: int) -> tuple[ArchiveFile, ...]:
    """Return an exposure of each time, all of one template."""
    found: list[ArchiveFile] = []
    for number, dit_s in enumerate(DITS_S):
        begin = start.replace(minute=5 * number)
        template = Template("AMBER_gen_cal_detector", begin, 1, 200700002, "AMBER_SYNTH", begun=DAY.replace(hour=10))
        series = FrameSeries(AMBER, template, category, ("CALIB", what, "IMAGE"), dit_s)
        size = 2 * NPIX**2 * (PASSED_OVER + USED)
        found.extend(frames(series, _keywords, partial(_stream, seed), size))
    return tuple(found)


def _stream(seed: int, keywords: Keywords, exposure: Exposure) -> bytes:
    """Return the FITS stream of a raw file."""
    window = Window((1, 1), ())
    return fits_bytes(keywords, extensions=raw_extensions(exposure, (window,), (_pixels(seed, exposure),)))


def _pixels(seed: int, exposure: Exposure) -> Any:
    import numpy as np

    lit = np.s_[:, MASKED_COLUMNS:]
    light = np.full((NPIX, NPIX), DARK_COUNTS_PER_S * exposure.dit_s)
    if exposure.dpr[1] == "DETFLAT":
        light[lit] += FLAT_COUNTS_PER_S * exposure.dit_s * sensitivity(seed)[lit]
    signs = noise(seed, exposure).choice((-1, 1), (NPIX, NPIX))
    scatter = signs * np.sqrt(READ_NOISE_COUNTS**2 + light / GAIN_E_PER_COUNT)
    cube = np.full((PASSED_OVER + USED, NPIX, NPIX), BIAS_COUNTS, dtype=">i2")
    for frame in range(USED):
        cube[PASSED_OVER + frame] = np.rint(BIAS_COUNTS + light + scatter * (-1) ** frame)
    return cube


def _keywords(exposure: Exposure) -> Keywords:
    return (
        ("ESO DET DIT", exposure.dit_s),
        ("ESO DET NDIT", PASSED_OVER + USED),
        ("ESO INS MODE", "IMAGE"),
    )
