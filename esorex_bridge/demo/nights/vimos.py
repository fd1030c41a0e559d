"""A synthetic VIMOS night of one quadrant: biases, and darks that they calibrate.

The recipes know the overscan of the real detector by heart, so the frames have its full size. They are delivered
plain: vmbias and vmdark read FITS by themselves, and know no other form.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import Exposure, Keywords, Template, fits_bytes
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group
from esorex_bridge.demo.nights.series import FrameSeries, frames, noise
from esorex_bridge.demo.nights.vimos_detectors import (
    COLUMNS,
    OVERSCAN,
    PRESCAN,
    ROWS,
    VIMOS,
    make_unsigned,
    quadrant_keywords,
)

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image

QUADRANT = 4
BIAS_COUNTS = 200.0
READ_NOISE_COUNTS = 4.0
DARK_COUNTS_PER_HOUR = 24.0


def vimos_night(seed: int = 21) -> DemoNight:
    """Return the night, whose dataset is the dark; nothing is computed before a frame is asked for.

    Parameters
    ----------
    seed : int
        Nights of different seeds differ in every pixel.
    """
    biases = _series(seed, "BIAS", datetime(2015, 4, 1, 12, 0), 0.0)
    darks = _series(seed, "DARK", datetime(2015, 4, 1, 13, 0), 300.0)
    names = tuple(file.associated for file in darks)
    tree = AssociationTree(Association("DARK", names, (group("BIAS", biases),)), "Raw2Raw")
    return DemoNight(f"vimos-seed{seed}", VIMOS.name, (*biases, *darks), (tree,), kept=False)


def _series(seed: int, category: str, start: datetime, exposure_s: float) -> tuple[ArchiveFile, ...]:
    template = Template(f"VIMOS_mos_cal_{category.title()}", start, 3, 200400001, "VIMOS_SYNTH")
    series = FrameSeries(VIMOS, template, category, ("CALIB", category, "IMAGE"), exposure_s, spacing_s=exposure_s + 60)
    return frames(series, _keywords, partial(_stream, seed), COLUMNS * ROWS)


def _keywords(exposure: Exposure) -> Keywords:
    return quadrant_keywords(QUADRANT, exposure.dit_s, mode="MOS")


def _stream(seed: int, keywords: Keywords, exposure: Exposure) -> bytes:
    """Return the FITS stream of a raw frame: bias everywhere, dark current between prescan and overscan."""
    return fits_bytes(keywords, make_unsigned(_image(seed, exposure)))


def _image(seed: int, exposure: Exposure) -> Image:
    import numpy as np

    rng = noise(seed, exposure)
    shape = (ROWS, COLUMNS + PRESCAN + OVERSCAN)
    image = (BIAS_COUNTS + READ_NOISE_COUNTS * rng.standard_normal(shape, dtype=np.float32)).astype(np.float32)
    image[:, PRESCAN : PRESCAN + COLUMNS] += rng.poisson(DARK_COUNTS_PER_HOUR * exposure.dit_s / 3600, (ROWS, COLUMNS))
    return image
