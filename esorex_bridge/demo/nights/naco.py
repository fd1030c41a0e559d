"""A synthetic NACO night: jittered imaging in Ks with the darks, twilight flats and lamp flats that calibrate it.

The tags are those of the NACO pipeline, the tree is shaped as calSelector shapes it: one dark group serves the science
frames and the flats, so its sub-tree repeats, and the acquisition image comes as an auxiliary group.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache, partial
from math import hypot
from typing import TYPE_CHECKING

from msgspec import Struct

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import (
    Exposure,
    Instrument,
    Keywords,
    Star,
    Template,
    counts,
    exposure_times,
    fits_bytes,
    primary_keywords,
    sky_plane,
    star_image,
)
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, auxiliary, group
from esorex_bridge.demo.nights.tables import catalogue_of_standards
from esorex_bridge.files import DpId

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image, Mask

NACO = Instrument("NAOS+CONICA", "NACO", "ESO-VLT-U4", pixel_arcsec=0.02715)
FIELD = (150.0, -30.0)
EVENING = datetime(2016, 3, 1, 16, 0)
FWHM_PIX = 5.0
SCIENCE_DIT_S = 10.0
FLAT_DIT_S = 2.0
TWILIGHT_FLATS = 5
"""naco_img_twflat takes no dark, one, or as many as it has flats: so many darks have the flats' DIT."""
EXPOSURE_SPACING_S = 40.0
BRIGHT_STAR_COUNTS = 6e5
BIAS_COUNTS, DARK_COUNTS_PER_S = 100, 0.2
HOT_COUNTS, HOT_COUNTS_PER_S = 500, 300
"""What hot pixels have beside."""
GAIN_E_PER_COUNT = 11.0
OFFSETS_PIX = ((0, 0), (30, 20), (-25, 35), (18, -40), (-33, -21), (40, 5), (-8, 38))
"""Displacement of the stars from frame to frame, for frames of 400 pixels and more."""

CENTRES_UM = {"J": 1.265, "Ks": 2.18, "NB_2.17": 2.166}
"""Of the filters."""
NARROW_SLOPE = 0.3
"""Rise of the sensitivity from the lower edge to the upper one in a narrow band, beside that in all light."""

DARK = ("CALIB", "DARK", "IMAGE")
FLAT_TWILIGHT = ("CALIB", "FLAT,SKY", "IMAGE")
FLAT_LAMP = ("CALIB", "FLAT,LAMP", "IMAGE")
ACQUISITION = ("ACQUISITION", "SKY", "IMAGE")
SCIENCE = ("SCIENCE", "OBJECT", "IMAGE,JITTER")


class NacoDetector(Struct, frozen=True):
    """What the pixels of all frames depend on.

    Parameters
    ----------
    npix : int
        Frames are square, npix by npix.
    seed : int
        Of sensitivity, bad pixels, noise and stars.
    """

    npix: int
    seed: int


class NacoLight(Struct, frozen=True):
    """What fell on the detector, and how the instrument stood.

    Parameters
    ----------
    level : float
        Even light in counts; 0 when the shutter was closed.
    stars : tuple of Star
        In the field of this frame.
    offset : tuple of int
        Displacement of the stars from the first frame, in pixels (`SEQ CUMOFFSETX/Y`).
    filter_name : str
        In the beam.
    lamp : bool
        Whether the halogen lamp was on.
    narrow : bool
        Whether the filter is one of a narrow band: these stand in another wheel.
    polariser : str
        The wire grid in the beam, or `empty`.
    """

    level: float = 0.0
    stars: tuple[Star, ...] = ()
    offset: tuple[int, int] = (0, 0)
    filter_name: str = "Ks"
    lamp: bool = False
    narrow: bool = False
    polariser: str = "empty"


def naco_night(
    npix: int = 512, science_frames: int = 5, templates: int = 1, seed: int = 7, evening: datetime = EVENING
) -> DemoNight:
    """Return the night; nothing is computed before a frame is asked for.

    Parameters
    ----------
    npix : int
        Size of the frames. The recipes run with their default parameters from 410 pixels, with `--r="8 8 8 8"` from 64.
    science_frames : int
        Frames per science template, at least 3 for the jitter recipe.
    templates : int
        Science templates; each is a dataset of its own, all share the calibrations.
    seed : int
        Nights of different seeds differ in every pixel.
    evening : datetime
        When the first calibration is taken; it is in the name of every file.
    """
    detector = NacoDetector(npix, seed)
    science_darks = take_darks(detector, evening, SCIENCE_DIT_S, 3)
    flat_darks = take_darks(detector, evening + timedelta(minutes=10), FLAT_DIT_S, TWILIGHT_FLATS)
    lamp_flats = _lamp_flats(detector, evening + timedelta(hours=1))
    twilight_flats = take_twilight_flats(detector, evening + timedelta(hours=6, minutes=40))
    standards = _standards()
    dark_group = group("DARK", science_darks)
    flat_dark_group = group("DARK", flat_darks)
    calibrations = (
        dark_group,
        flat_dark_group,
        group("FLAT_TW", twilight_flats, flat_dark_group),
        group("IMG_STD_CATALOG", (standards,), match="N/A"),
    )
    files: list[ArchiveFile] = [*science_darks, *flat_darks, *lamp_flats, *twilight_flats, standards]
    trees: list[AssociationTree] = []
    for index in range(templates):
        acquisition, science = _science_template(
            detector, evening + timedelta(hours=8, minutes=30), index, science_frames
        )
        files += [acquisition, *science]
        trees.append(_tree(science, acquisition, calibrations))
    name = f"naco-{npix}pix-{templates}x{science_frames}-seed{seed}"
    return DemoNight(name, NACO.name, tuple(files), tuple(trees))


def injected_stars(npix: int = 512, seed: int = 7, template: int = 0) -> tuple[Star, ...]:
    """Return the stars of a template's first science frame, whose FWHM is `FWHM_PIX`: the truth to compare with.

    Fluxes are counts before the pixel sensitivity, which lies within 10 per cent of 1.
    """
    import numpy as np

    rng = np.random.default_rng([seed, 1, template])
    number, edge, apart = (12, 60, 45.0) if npix >= 400 else (5, npix // 5, npix / 6)
    stars = [Star(npix / 2 + 1, npix / 2 + 1, BRIGHT_STAR_COUNTS)]
    while len(stars) < number:
        x, y = (round(float(position), 2) for position in rng.uniform(edge, npix - edge, 2))
        if all(hypot(x - star.x, y - star.y) > apart for star in stars):
            stars.append(Star(x, y, round(float(10 ** rng.uniform(4.5, 5.6)))))
    return tuple(stars)


def _tree(
    science: tuple[ArchiveFile, ...], acquisition: ArchiveFile, calibrations: tuple[Association, ...]
) -> AssociationTree:
    names = tuple(file.associated for file in science)
    associated = (*calibrations, auxiliary("ACQUISITION", (acquisition,)))
    return AssociationTree(Association("IMGJITOBJ_SW", names, associated), "Raw2Raw")


def take_darks(detector: NacoDetector, start: datetime, dit_s: float, frames: int) -> tuple[ArchiveFile, ...]:
    """Return darks of one DIT."""
    template = Template("NACO_all_cal_Darks", start, frames, 200154001, "Calibration")
    return take_template(detector, template, "CAL_DARK", dit_s, DARK, "DARK", lambda _: NacoLight())


def _lamp_flats(detector: NacoDetector, start: datetime) -> tuple[ArchiveFile, ...]:
    template = Template("NACO_img_cal_LampFlats", start, 4, 200154001, "Calibration")
    lights = tuple(NacoLight(5030.0 if lamp else 30.0, lamp=lamp, filter_name="J") for lamp in (True, False) * 2)
    kind = "CAL_FLAT_LAMP", FLAT_DIT_S, FLAT_LAMP, "FLAT,LAMP"
    return take_template(detector, template, *kind, lambda number: lights[number - 1])


def take_twilight_flats(
    detector: NacoDetector, start: datetime, filter_name: str = "Ks", narrow: bool = False
) -> tuple[ArchiveFile, ...]:
    """Return flats of an evening sky that grows dark, through a filter."""
    template = Template("NACO_img_cal_SkyFlats", start, TWILIGHT_FLATS, 200154002, "Twilight")
    kind = "CAL_FLAT_TW", FLAT_DIT_S, FLAT_TWILIGHT, "SKY,FLAT"

    def evening(number: int) -> NacoLight:
        return NacoLight(9400.0 - 1400.0 * number, filter_name=filter_name, narrow=narrow)

    return take_template(detector, template, *kind, evening)


def _science_template(
    detector: NacoDetector, first: datetime, index: int, frames: int
) -> tuple[ArchiveFile, tuple[ArchiveFile, ...]]:
    """Return the acquisition image and the science frames of one template."""
    spacing = timedelta(seconds=EXPOSURE_SPACING_S * (frames + 4))
    start = first + index * spacing
    block = (200200001 + index, f"SYNTH-{index + 1:03d}")
    target = f"SYNTH-FIELD-{index + 1}"
    pointing = Template("NACO_img_acq_MoveToPixel", start - timedelta(seconds=100), 1, *block, number=1)
    template = Template("NACO_img_obs_AutoJitter", start, frames, *block, number=2)
    stars = injected_stars(detector.npix, detector.seed, index)
    kind = "ACQ_IMAGE", FLAT_DIT_S, ACQUISITION, target
    (acquisition,) = take_template(detector, pointing, *kind, lambda _: NacoLight(300.0, stars))
    kind = "IM_JITTER_OBJ", SCIENCE_DIT_S, SCIENCE, target
    return acquisition, take_template(detector, template, *kind, partial(jitter_light, detector, stars))


def jitter_light(detector: NacoDetector, stars: tuple[Star, ...], number: int) -> NacoLight:
    """Return the light of a science frame (from 1): the sky, and the stars moved by its offset."""
    scale = 1.0 if detector.npix >= 400 else detector.npix / 512
    dx, dy = (round(step * scale) for step in OFFSETS_PIX[(number - 1) % len(OFFSETS_PIX)])
    moved = tuple(Star(star.x + dx, star.y + dy, star.flux) for star in stars)
    return NacoLight(1480.0 + 20.0 * number, moved, (dx, dy))


def take_template(
    detector: NacoDetector,
    template: Template,
    category: str,
    dit_s: float,
    dpr: tuple[str, str, str],
    target: str,
    light: Callable[[int], NacoLight],
) -> tuple[ArchiveFile, ...]:
    """Return the raw frames of a template; `light` says what falls onto the detector in each, by its number from 1."""
    times = exposure_times(template.start, template.exposures, EXPOSURE_SPACING_S)
    return tuple(
        _raw_frame(detector, _exposure_of(template, number, begin, dit_s, dpr, target), category, light(number))
        for number, begin in enumerate(times, start=1)
    )


def _exposure_of(
    template: Template, number: int, start: datetime, dit_s: float, dpr: tuple[str, str, str], target: str
) -> Exposure:
    """Return an exposure of a template."""
    return Exposure(NACO, template, number, start, dit_s, dpr, target, *FIELD)


def _raw_frame(detector: NacoDetector, exposure: Exposure, category: str, light: NacoLight) -> ArchiveFile:
    """Return the frame that light makes of an exposure."""
    keywords = primary_keywords(exposure, _naco_keywords(detector.npix, exposure.dit_s, light))
    build = partial(_frame, detector, keywords, exposure, light)
    return ArchiveFile(exposure.dp_id, category, keywords, build, estimated_bytes=detector.npix**2 + 8640)


def _naco_keywords(npix: int, dit_s: float, light: NacoLight) -> Keywords:
    dx, dy = light.offset
    scale = NACO.pixel_arcsec / 3600
    wheels = {4: "empty", 5: "empty", 6: "empty", 3: light.polariser, 1: "Full_Uszd", 7: "S27"}
    wheels[5 if light.narrow else 6] = light.filter_name
    return (
        ("ESO DET DIT", dit_s),
        ("ESO DET NDIT", 1),
        ("ESO DET EXP NO", 1),
        ("ESO DET NCORRS", 2),
        ("ESO DET NCORRS NAME", "Double_RdRstRd"),
        ("ESO DET MODE NAME", "HighDynamic"),
        ("ESO DET CHIP NAME", "Aladdin3"),
        ("ESO DET CHIP NX", npix),
        ("ESO DET CHIP NY", npix),
        ("ESO DET WIN NX", npix),
        ("ESO DET WIN NY", npix),
        ("ESO INS MODE", "IMAGING"),
        ("ESO INS CWLEN", CENTRES_UM[light.filter_name]),
        ("ESO INS PIXSCALE", NACO.pixel_arcsec),
        *((f"ESO INS OPTI{wheel} {key}", name) for wheel, name in sorted(wheels.items()) for key in ("ID", "NAME")),
        ("ESO INS LAMP2 NAME", "Halogen"),
        ("ESO INS LAMP2 TYPE", "Halogen"),
        ("ESO INS LAMP2 SET", int(light.lamp)),
        ("ESO INS LAMP2 CURRENT", float(light.lamp)),
        ("ESO AOS INS FOCU ABSPOS", 0.0),
        ("ESO AOS RTC DET DST ECMEAN", 50.0),
        ("ESO AOS RTC DET DST FLUXMEAN", 1.0),
        ("ESO AOS RTC DET DST L0MEAN", 20.0),
        ("ESO AOS RTC DET DST R0MEAN", 0.15),
        ("ESO AOS RTC DET DST T0MEAN", 0.004),
        ("ESO SEQ CUMOFFSETX", float(dx)),
        ("ESO SEQ CUMOFFSETY", float(dy)),
        *sky_plane(FIELD, (npix / 2 + 1 + dx, npix / 2 + 1 + dy), scale),
    )


def _frame(detector: NacoDetector, keywords: Keywords, exposure: Exposure, light: NacoLight) -> bytes:
    """Return the FITS stream of a raw frame: bias and dark current, and the light through the pixels' sensitivity."""
    import numpy as np

    shape = (detector.npix, detector.npix)
    rng = np.random.default_rng([detector.seed, zlib.crc32(exposure.dp_id.encode())])
    sensitivity, hot = detector_pixels(detector)
    image = BIAS_COUNTS + DARK_COUNTS_PER_S * exposure.dit_s + rng.normal(0, 4, shape).astype(np.float32)
    image[hot] += HOT_COUNTS + HOT_COUNTS_PER_S * exposure.dit_s
    if light.level:
        photons = light.level + rng.normal(0, np.sqrt(light.level / GAIN_E_PER_COUNT), shape).astype(np.float32)
        seen = sensitivity * _filter_slope(detector.npix) if light.narrow else sensitivity
        image += seen * (photons + star_image(shape, light.stars, FWHM_PIX))
    return fits_bytes(keywords, counts(image))


def _filter_slope(npix: int) -> Image:
    import numpy as np

    slope: Image = (1.0 + NARROW_SLOPE * np.linspace(-0.5, 0.5, npix, dtype=np.float32))[:, None]
    return slope


@lru_cache(maxsize=4)
def detector_pixels(detector: NacoDetector) -> tuple[Image, Mask]:
    """Return the sensitivity of each pixel, and the mask of hot ones."""
    import numpy as np

    rng = np.random.default_rng([detector.seed, 0])
    shape = (detector.npix, detector.npix)
    y, x = np.mgrid[0 : detector.npix, 0 : detector.npix] / detector.npix
    sensitivity = (1.0 + 0.1 * (x - 0.5) - 0.06 * (y - 0.5) + rng.normal(0, 0.01, shape)).astype(np.float32)
    hot = rng.random(shape) < 0.0005
    sensitivity[rng.random(shape) < 0.0005] = 0.05
    return sensitivity, hot


def _standards() -> ArchiveFile:
    dp_id = DpId("M.NACO.2011-05-17T16:06:09.793")
    return catalogue_of_standards(dp_id, NACO.name, "IMG_STD_CATALOG")
