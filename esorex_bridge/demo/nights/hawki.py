"""A synthetic HAWK-I night: jittered imaging in Ks on four detectors, with darks and processed calibrations.

The archive delivers the flat, the confidence map and the noise table as processed files, because the recipes that make
them read windows of the full detectors; what remains runs on frames of a few hundred pixels.
"""

from __future__ import annotations

import zlib
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import (
    Exposure,
    Keywords,
    Star,
    Template,
    counts,
    exposure_times,
    fits_bytes,
    primary_keywords,
    star_image,
)
from esorex_bridge.demo.nights.hawki_mosaic import (
    CHIPS,
    DIT_S,
    FIELD,
    FWHM_PIX,
    GAIN_E_PER_COUNT,
    HAWKI,
    Detectors,
    chip_keywords,
    chip_pixels,
    chip_stars,
    image_extension,
)
from esorex_bridge.demo.nights.hawki_statics import master_dark, static_calibrations
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image

SKY_COUNTS = 3000.0
OFFSETS_PIX = ((0, 0), (7, 4), (-6, 5), (3, -8), (-4, -3), (8, -2), (-7, -7), (2, 9))

DARK = ("CALIB", "DARK", "IMAGE")
SCIENCE = ("SCIENCE", "OBJECT", "IMAGE")
"""Of any other technique the pipeline's rules make no `OBJECT`."""
OFFSET_SKY = ("SCIENCE", "SKY", "IMAGE")
STANDARD = ("CALIB", "STD", "IMAGE")
NEBULA_CHIPS = (1, 2)


class HawkiLight(Struct, frozen=True):
    """What fell on the detectors.

    Parameters
    ----------
    sky : float
        Counts; 0 when the shutter was closed.
    offset : tuple of int
        Displacement of the stars from the first frame, in pixels.
    dit_s : float
        For how long.
    stars : bool
        Whether stars are seen on the sky; in twilight they are not.
    nebula : float
        Counts at the brightest place of a nebula in the middle of each of `NEBULA_CHIPS`; 0 where there is none.
    field : tuple of int
        How far the field lies from that of the science, in pixels; it has stars in the same places.
    """

    sky: float = 0.0
    offset: tuple[int, int] = (0, 0)
    dit_s: float = DIT_S
    stars: bool = True
    nebula: float = 0.0
    field: tuple[int, int] = (0, 0)

    @property
    def pointing(self) -> tuple[int, int]:
        """How far the telescope moved from the first science frame, in pixels."""
        return self.offset[0] + self.field[0], self.offset[1] + self.field[1]


def hawki_night(npix: int = 256, science_frames: int = 4, seed: int = 42) -> DemoNight:
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
    detectors = Detectors(npix, seed)
    darks = dark_template(detectors, datetime(2019, 6, 1, 18, 0))
    science = science_template(detectors, datetime(2019, 6, 2, 1, 0), science_frames)
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
    return DemoNight(name, HAWKI.name, (*darks, *science, dark, *statics), trees)


def dark_template(detectors: Detectors, start: datetime, dit_s: float = DIT_S) -> tuple[ArchiveFile, ...]:
    """Return three darks."""
    template = Template("HAWKI_img_cal_Darks", start, 3, 200100018, "Calibration")
    return tuple(raw_frame(detectors, template, number, DARK, "DARK", HawkiLight(dit_s=dit_s)) for number in (1, 2, 3))


def science_template(detectors: Detectors, start: datetime, frames: int) -> tuple[ArchiveFile, ...]:
    """Return the frames of a jittered observation."""
    template = Template("HAWKI_img_obs_AutoJitter", start, frames, 200100101, "SYNTH-001")
    return tuple(
        raw_frame(
            detectors,
            template,
            number,
            SCIENCE,
            "SYNTH-FIELD",
            HawkiLight(SKY_COUNTS + 50 * number, OFFSETS_PIX[(number - 1) % len(OFFSETS_PIX)]),
        )
        for number in range(1, frames + 1)
    )


def raw_frame(
    detectors: Detectors, template: Template, number: int, dpr: tuple[str, str, str], target: str, light: HawkiLight
) -> ArchiveFile:
    """Return one frame of a template; `dpr` is category, type and technique."""
    start = exposure_times(template.start, template.exposures, spacing_s=40.0)[number - 1]
    exposure = Exposure(HAWKI, template, number, start, light.dit_s, dpr, target, *FIELD)
    keywords = primary_keywords(exposure, _hawki_keywords(detectors.npix, light))
    build = partial(_frame, detectors, keywords, exposure, light)
    return ArchiveFile(exposure.dp_id, dpr[1], keywords, build, estimated_bytes=6 * detectors.npix**2 + 28800)


def _hawki_keywords(npix: int, light: HawkiLight) -> Keywords:
    dx, dy = light.pointing
    return (
        ("ESO DET DIT", light.dit_s),
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


def _frame(detectors: Detectors, keywords: Keywords, exposure: Exposure, light: HawkiLight) -> bytes:
    """Return the FITS stream of a raw frame: an empty primary unit and one extension for each detector."""
    extensions = [
        image_extension(
            chip_keywords(detectors, chip, exposure.start, light.pointing, light.dit_s),
            counts(_chip_image(detectors, exposure, chip, light)),
        )
        for chip in CHIPS
    ]
    return fits_bytes(keywords, extensions=extensions)


def _chip_image(detectors: Detectors, exposure: Exposure, chip: int, light: HawkiLight) -> Image:
    import numpy as np

    shape = (detectors.npix, detectors.npix)
    rng = np.random.default_rng([detectors.seed, chip, zlib.crc32(exposure.dp_id.encode())])
    sensitivity, hot = chip_pixels(detectors, chip)
    image = 20 + 0.05 * exposure.dit_s + rng.normal(0, 5, shape).astype(np.float32)
    image[hot] += 200 * exposure.dit_s
    if light.sky:
        dx, dy = light.offset
        stars = chip_stars(detectors, chip) if light.stars else ()
        moved = (Star(star.x + dx, star.y + dy, star.flux) for star in stars)
        photons = light.sky + rng.normal(0, np.sqrt(light.sky / GAIN_E_PER_COUNT), shape).astype(np.float32)
        image += sensitivity * (photons + star_image(shape, moved, FWHM_PIX))
        if chip in NEBULA_CHIPS:
            image += sensitivity * _nebula_image(shape, light)
    return image


def _nebula_image(shape: tuple[int, int], light: HawkiLight) -> Image | float:
    """Return the light of the nebula: a round Gaussian of a sixth of the detector."""
    import numpy as np

    if not light.nebula:
        return 0.0
    (rows, columns), (dx, dy) = shape, light.offset
    y, x = np.mgrid[0:rows, 0:columns]
    squared = (x - columns / 2 - dx) ** 2 + (y - rows / 2 - dy) ** 2
    image: Image = (light.nebula * np.exp(-squared / (2 * (columns / 6) ** 2))).astype(np.float32)
    return image
