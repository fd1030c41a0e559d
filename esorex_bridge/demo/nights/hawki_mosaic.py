"""The four detectors of the synthetic HAWK-I: their pixels, their place in the mosaic, and the stars on each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from math import cos, radians
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esorex_bridge.demo.nights.frames import Instrument, Keywords, Star, fill_header, mjd, timestamp

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image, Mask

HAWKI = Instrument("HAWKI", "HAWKI", "ESO-VLT-U4", pixel_arcsec=0.1064)
FIELD = (150.0, -30.0)
FWHM_PIX = 3.0
DIT_S = 10.0
GAIN_E_PER_COUNT = 1.7
CHIPS = (1, 2, 4, 3)
"""Detector numbers in the order of the extensions."""
CHIP_TO_MOSAIC = {
    1: (1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    2: (0.99989338, -0.00082458, 2202.75199936, 0.99989338, 0.00082458, 2.52486889),
    4: (0.99954089, 0.00033954, 7.35707930, 0.99954089, -0.00033954, 2189.67113908),
    3: (0.99984901, 0.00057963, 2207.25004571, 0.99984901, -0.00057963, 2191.08171555),
}
"""Where each chip lies in the mosaic, as the pipeline has it: x' = a x + b y + tx, y' = e x + d y + ty."""
MOSAIC_CENTRE = (2163.0, 2164.0)


class Detectors(Struct, frozen=True):
    """What the pixels of all frames depend on.

    Parameters
    ----------
    npix : int
        Each detector is npix by npix.
    seed : int
        Of sensitivity, bad pixels, noise and stars.
    stars : int
        How many each detector sees; as many as find room where it is 0. Where they crowd, the light of neighbours
        makes zero points too faint.
    """

    npix: int
    seed: int
    stars: int = 0


def chip_stars(detectors: Detectors, chip: int) -> tuple[Star, ...]:
    """Return the stars on a detector in the first science frame, whose FWHM is `FWHM_PIX`."""
    import numpy as np

    rng = np.random.default_rng([detectors.seed, 1, chip])
    npix = detectors.npix
    number = detectors.stars or min(400, max(40, npix**2 // 600))
    x, y = rng.uniform(15, npix - 15, (2, number)).round(2).tolist()
    flux = (10 ** rng.uniform(3.5, 5.2, number)).round(1).tolist()
    return tuple(Star(*values) for values in zip(x, y, flux, strict=True))


def chip_wcs(chip: int) -> tuple[tuple[float, float], tuple[float, float, float, float]]:
    """Return a chip's CRPIX1-2, and CD1_1, CD1_2, CD2_1, CD2_2, from its place in the mosaic."""
    a, b, tx, d, e, ty = CHIP_TO_MOSAIC[chip]
    x, y = MOSAIC_CENTRE[0] - tx, MOSAIC_CENTRE[1] - ty
    determinant = a * d - b * e
    reference = ((d * x - b * y) / determinant, (a * y - e * x) / determinant)
    scale = HAWKI.pixel_arcsec / 3600
    return reference, (-scale * a, -scale * b, scale * e, scale * d)


def pointing_deg(offset: tuple[int, int]) -> tuple[float, float]:
    """Return where the telescope points when the field has moved by an offset in pixels."""
    scale = HAWKI.pixel_arcsec / 3600
    return FIELD[0] + offset[0] * scale / cos(radians(FIELD[1])), FIELD[1] - offset[1] * scale


@lru_cache(maxsize=16)
def chip_pixels(detectors: Detectors, chip: int) -> tuple[Image, Mask]:
    """Return the sensitivity of each pixel of a detector, and the mask of hot ones."""
    import numpy as np

    rng = np.random.default_rng([detectors.seed, 0, chip])
    shape = (detectors.npix, detectors.npix)
    y, x = np.mgrid[0 : detectors.npix, 0 : detectors.npix] / detectors.npix
    sensitivity = (1.0 + 0.1 * (x - 0.5) - 0.08 * (y - 0.5) + rng.normal(0, 0.01, shape)).astype(np.float32)
    sensitivity[rng.random(shape) < 0.001] = 0.02
    return sensitivity, rng.random(shape) < 0.001


def chip_keywords(
    detectors: Detectors, chip: int, start: datetime, offset: tuple[int, int], dit_s: float = DIT_S
) -> Keywords:
    """Return the header of a detector's extension."""
    reference, cd = chip_wcs(chip)
    return (
        ("EXTNAME", f"CHIP{chip}.INT1"),
        ("EXTVER", CHIPS.index(chip) + 1),
        ("ORIGIN", "ESO"),
        ("INSTRUME", HAWKI.name),
        ("EXPTIME", dit_s),
        ("MJD-OBS", mjd(start)),
        ("DATE-OBS", timestamp(start)),
        ("GAIN", GAIN_E_PER_COUNT),
        ("CTYPE1", "RA---TAN"),
        ("CTYPE2", "DEC--TAN"),
        *zip(("CRVAL1", "CRVAL2"), pointing_deg(offset), strict=True),
        ("CRPIX1", reference[0]),
        ("CRPIX2", reference[1]),
        *zip(("CD1_1", "CD1_2", "CD2_1", "CD2_2"), cd, strict=True),
        ("ESO DET CHIP ID", f"SYNTH-{chip}"),
        ("ESO DET CHIP NO", chip),
        ("ESO DET CHIP LIVE", True),
        ("ESO DET CHIP NX", detectors.npix),
        ("ESO DET CHIP NY", detectors.npix),
        ("ESO DET CHIP GAIN", GAIN_E_PER_COUNT),
        ("ESO DET CHIP PXSPACE", 1.8e-5),
        ("ESO DET DIT", dit_s),
        ("ESO DET NDIT", 1),
    )


def image_extension(keywords: Iterable[tuple[str, Any]], image: Any) -> Any:
    """Return an image extension (astropy HDU)."""
    from astropy.io import fits

    extension = fits.ImageHDU(data=image)
    fill_header(extension.header, tuple(keywords))
    return extension
