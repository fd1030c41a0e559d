"""A synthetic HAWK-I night: jittered imaging in Ks on four detectors, with darks and processed calibrations.

The archive delivers the flat, the confidence map and the noise table as processed files, because the recipes that make
them read windows of the full detectors; what remains runs on frames of a few hundred pixels.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from math import cos, radians
from typing import TYPE_CHECKING, Any

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.frames import (
    Exposure,
    Instrument,
    Keywords,
    Star,
    Template,
    counts,
    exposure_times,
    fill_header,
    fits_bytes,
    mjd,
    primary_keywords,
    star_image,
    timestamp,
)
from esorex_bridge.demo.night import ArchiveFile, Night, group

if TYPE_CHECKING:
    from esorex_bridge.demo.frames import Image, Mask

HAWKI = Instrument("HAWKI", "HAWKI", "ESO-VLT-U4", pixel_arcsec=0.1064)
FIELD = (150.0, -30.0)
FWHM_PIX = 3.0
DIT_S = 10.0
GAIN_E_PER_COUNT = 1.7
SKY_COUNTS = 3000.0
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
OFFSETS_PIX = ((0, 0), (7, 4), (-6, 5), (3, -8), (-4, -3), (8, -2), (-7, -7), (2, 9))

DARK = ("CALIB", "DARK", "IMAGE")
SCIENCE = ("SCIENCE", "OBJECT", "IMAGE,JITTER")


@dataclass(frozen=True, slots=True)
class Detectors:
    """What the pixels of all frames depend on.

    Parameters
    ----------
    npix : int
        Each detector is npix by npix.
    seed : int
        Of sensitivity, bad pixels, noise and stars.
    """

    npix: int
    seed: int


@dataclass(frozen=True, slots=True)
class Light:
    """What fell on the detectors.

    Parameters
    ----------
    sky : float
        Counts; 0 when the shutter was closed.
    offset : tuple of int
        Displacement of the stars from the first frame, in pixels.
    """

    sky: float = 0.0
    offset: tuple[int, int] = (0, 0)


def hawki_night(npix: int = 256, science_frames: int = 4, seed: int = 42) -> Night:
    """Return the night; nothing is computed before a frame is asked for.

    Parameters
    ----------
    npix : int
        Size of each detector.
    science_frames : int
        Frames of the science template.
    seed : int
        Nights of different seeds differ in every pixel.
    """
    from esorex_bridge.demo.hawki_statics import master_dark, static_calibrations

    detectors = Detectors(npix, seed)
    darks = _darks(detectors, datetime(2019, 6, 1, 18, 0))
    science = _science(detectors, datetime(2019, 6, 2, 1, 0), science_frames)
    statics = static_calibrations(detectors, science[0].keywords)
    dark = master_dark(detectors, darks[0].keywords)
    static_groups = tuple(group(file.category, (file,), match="N/A") for file in statics)
    raw_cascade = (group("DARK", darks), *static_groups)
    master_cascade = (group("MASTER_DARK", (dark,), match="N/A"), *static_groups)
    names = tuple(file.associated for file in science)
    trees = (
        AssociationTree(Association("SCI_IMG_JITTER", names, raw_cascade), "Raw2Raw"),
        AssociationTree(Association("SCI_IMG_JITTER", names, master_cascade), "Raw2Master"),
    )
    name = f"hawki-{npix}pix-{science_frames}-seed{seed}"
    return Night(name, HAWKI.name, (*darks, *science, dark, *statics), trees)


def chip_stars(detectors: Detectors, chip: int) -> tuple[Star, ...]:
    """Return the stars on a detector in the first science frame, whose FWHM is `FWHM_PIX`."""
    import numpy as np

    rng = np.random.default_rng([detectors.seed, 1, chip])
    npix = detectors.npix
    number = min(400, max(40, npix**2 // 600))
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


def _darks(detectors: Detectors, start: datetime) -> tuple[ArchiveFile, ...]:
    template = Template("HAWKI_img_cal_Darks", start, 3, 200100018, "Calibration")
    return tuple(_raw(detectors, template, number, DARK, "DARK", Light()) for number in (1, 2, 3))


def _science(detectors: Detectors, start: datetime, frames: int) -> tuple[ArchiveFile, ...]:
    template = Template("HAWKI_img_obs_AutoJitter", start, frames, 200100101, "SYNTH-001")
    return tuple(
        _raw(
            detectors,
            template,
            number,
            SCIENCE,
            "SYNTH-FIELD",
            Light(SKY_COUNTS + 50 * number, OFFSETS_PIX[(number - 1) % len(OFFSETS_PIX)]),
        )
        for number in range(1, frames + 1)
    )


def _raw(
    detectors: Detectors, template: Template, number: int, dpr: tuple[str, str, str], target: str, light: Light
) -> ArchiveFile:
    start = exposure_times(template.start, template.exposures, spacing_s=40.0)[number - 1]
    exposure = Exposure(HAWKI, template, number, start, DIT_S, dpr, target, *FIELD)
    keywords = primary_keywords(exposure, _hawki_keywords(detectors.npix, light))
    build = partial(_frame, detectors, keywords, exposure, light)
    return ArchiveFile(exposure.dp_id, dpr[1], keywords, build, estimated_bytes=6 * detectors.npix**2 + 28800)


def _hawki_keywords(npix: int, light: Light) -> Keywords:
    dx, dy = light.offset
    return (
        ("ESO DET DIT", DIT_S),
        ("ESO DET NDIT", 1),
        ("ESO DET NCORRS NAME", "NonDest"),
        ("ESO DET NDSAMPLES", 4),
        ("ESO DET READ CURNAME", "NonDest"),
        ("ESO DET WIN NX", npix),
        ("ESO DET WIN NY", npix),
        ("ESO INS MODE", "IMAGE"),
        ("ESO INS FILT1 NAME", "Ks" if light.sky else "CLOSED"),
        ("ESO INS FILT2 NAME", "OPEN"),
        ("ESO INS PIXSCALE", HAWKI.pixel_arcsec),
        ("ESO ADA POSANG", 0.0),
        ("ESO ADA ABSROT START", 0.0),
        ("ESO ADA ABSROT END", 0.1),
        ("ESO TEL FOCU VALUE", 25.0),
        ("ESO SEQ CUMOFFSETX", float(dx)),
        ("ESO SEQ CUMOFFSETY", float(dy)),
        ("ESO SEQ CUMOFFSETA", dx * HAWKI.pixel_arcsec),
        ("ESO SEQ CUMOFFSETD", dy * HAWKI.pixel_arcsec),
    )


def _frame(detectors: Detectors, keywords: Keywords, exposure: Exposure, light: Light) -> bytes:
    """Return the FITS stream of a raw frame: an empty primary unit and one extension for each detector."""
    extensions = [
        image_extension(
            chip_keywords(detectors, chip, exposure.start, light.offset),
            counts(_chip_image(detectors, exposure, chip, light)),
        )
        for chip in CHIPS
    ]
    return fits_bytes(keywords, extensions=extensions)


def _chip_image(detectors: Detectors, exposure: Exposure, chip: int, light: Light) -> Image:
    import numpy as np

    shape = (detectors.npix, detectors.npix)
    rng = np.random.default_rng([detectors.seed, chip, zlib.crc32(exposure.dp_id.encode())])
    sensitivity, hot = chip_pixels(detectors, chip)
    image = 20 + 0.05 * exposure.dit_s + rng.normal(0, 5, shape).astype(np.float32)
    image[hot] += 200 * exposure.dit_s
    if light.sky:
        dx, dy = light.offset
        moved = (Star(star.x + dx, star.y + dy, star.flux) for star in chip_stars(detectors, chip))
        photons = light.sky + rng.normal(0, np.sqrt(light.sky / GAIN_E_PER_COUNT), shape).astype(np.float32)
        image += sensitivity * (photons + star_image(shape, moved, FWHM_PIX))
    return image


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


def chip_keywords(detectors: Detectors, chip: int, start: datetime, offset: tuple[int, int]) -> Keywords:
    """Return the header of a detector's extension."""
    reference, cd = chip_wcs(chip)
    scale = HAWKI.pixel_arcsec / 3600
    return (
        ("EXTNAME", f"CHIP{chip}.INT1"),
        ("EXTVER", CHIPS.index(chip) + 1),
        ("ORIGIN", "ESO"),
        ("INSTRUME", HAWKI.name),
        ("EXPTIME", DIT_S),
        ("MJD-OBS", mjd(start)),
        ("DATE-OBS", timestamp(start)),
        ("GAIN", GAIN_E_PER_COUNT),
        ("CTYPE1", "RA---TAN"),
        ("CTYPE2", "DEC--TAN"),
        ("CRVAL1", FIELD[0] + offset[0] * scale / cos(radians(FIELD[1]))),
        ("CRVAL2", FIELD[1] - offset[1] * scale),
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
        ("ESO DET DIT", DIT_S),
        ("ESO DET NDIT", 1),
    )


def image_extension(keywords: Iterable[tuple[str, Any]], image: Any) -> Any:
    """Return an image extension (astropy HDU)."""
    from astropy.io import fits

    extension = fits.ImageHDU(data=image)
    fill_header(extension.header, tuple(keywords))
    return extension
