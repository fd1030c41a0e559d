"""A synthetic VISIR night with the detector since 2012 (AQUARIUS): a star and a standard, imaged or behind a mask.

A frame has no pixels of its own: each extension is half a cycle of the chopping mirror, added up, and the last the mean
of their differences. The star stands in four beams: the mirror moves it along y, the nodding of the telescope along x.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import (
    Exposure,
    Instrument,
    Keywords,
    Star,
    Template,
    fits_bytes,
    sky_plane,
    star_image,
)
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group
from esorex_bridge.demo.nights.series import FIELD, FrameSeries, frames, noise
from esorex_bridge.demo.nights.tables import describe_processed, table
from esorex_bridge.files import DpId

if TYPE_CHECKING:
    from collections.abc import Iterable

    from esorex_bridge.demo.nights.frames import Image

VISIR = Instrument("VISIR", "VISIR", "ESO-VLT-U3", pixel_arcsec=0.045)
NOD_SEQUENCE = "ABBA"
CHOP_CYCLES = 2
DIT_S = 0.02
FILTER = "PAH1"
STANDARD = "SYNTH-STD"
STANDARD_JY, SCIENCE_JY = 10.0, 4.0
COUNTS_A_JANSKY = 4000.0
"""In half a cycle, before what single pixels are sensitive to."""
THROW_PIX = 100
FWHM_PIX = 3.8
SKY_COUNTS, BIAS_COUNTS, READ_NOISE = 5000.0, 500.0, 10.0
BAD_FRACTION = 0.001
EVENING, MORNING = datetime(2016, 5, 1, 2, 0), datetime(2016, 5, 1, 11, 0)

Dpr = tuple[str, str, str]


class Pixels(Struct, frozen=True):
    """The window of the detector that is read, and what its pixels depend on.

    Parameters
    ----------
    nx, ny : int
        Its size.
    seed : int
        Of sensitivity, bad pixels and noise.
    """

    nx: int
    ny: int
    seed: int


def visir_aquarius_night(npix: int = 360, seed: int = 12) -> DemoNight:
    """Return the night; nothing is computed before a frame is asked for.

    Parameters
    ----------
    npix : int
        Size of the frames; around each beam the recipe wants a ring of 30 pixels of sky.
    seed : int
        Nights of different seeds differ in every pixel.
    """
    pixels = Pixels(npix, npix, seed)
    darks = take_lamp_frames(pixels, "IM_CAL_DARK", ("CALIB", "DARK", "IMAGE"), MORNING, 3)
    flats = take_lamp_frames(pixels, "IM_CAL_FLAT", ("CALIB", "FLAT,LAMP", "IMAGE,DIRECT"), MORNING.replace(hour=12), 4)
    standards = _image_star(pixels, "IM_CAL_PHOT", ("CALIB", "STD", "IMAGE,CHOPNOD,JITTER"), 0, STANDARD_JY)
    science = _image_star(pixels, "IM_OBS_CHO_NOD_JIT", ("SCIENCE", "OBJECT", "IMAGE,CHOPNOD,JITTER"), 1, SCIENCE_JY)
    catalogue = _catalogue_of_standards()
    cascade = (
        group("IM_CAL_PHOT", standards, group("IMG_STD_CATALOG", (catalogue,), match="N/A")),
        group("IM_CAL_FLAT", flats),
        group("IM_CAL_DARK", darks),
    )
    files = (*darks, *flats, *standards, *science, catalogue)
    tree = _tree("IM_OBS_CHO_NOD_JIT", science, cascade)
    return DemoNight(f"visir-aquarius-{npix}pix-seed{seed}", VISIR.name, files, (tree,))


def visir_masks_night(npix: int = 360, seed: int = 15) -> DemoNight:
    """Return a night with a star and a standard behind a mask of many holes; see `visir_aquarius_night`."""
    pixels = Pixels(npix, npix, seed)
    science = _image_star(pixels, "SAM_OBS_CNJ", ("SCIENCE", "OBJECT", "SAM,CHOPNOD,JITTER"), 2, SCIENCE_JY)
    standards = _image_star(pixels, "SAM_CAL_CNJ", ("CALIB", "STD", "SAM,CHOPNOD,JITTER"), 3, STANDARD_JY)
    tree = _tree("SAM_OBS_CNJ", science, (group("SAM_CAL_CNJ", standards),))
    return DemoNight(f"visir-masks-{npix}pix-seed{seed}", VISIR.name, (*science, *standards), (tree,))


def _tree(category: str, science: tuple[ArchiveFile, ...], cascade: tuple[Association, ...]) -> AssociationTree:
    return AssociationTree(Association(category, tuple(file.associated for file in science), cascade), "Raw2Raw")


def bad_pixels(npix: int = 360, seed: int = 12) -> Image:
    """Return the truth about bad pixels: 1 where a pixel hardly sees light, else 0."""
    return (sensitivity(Pixels(npix, npix, seed)) < 0.1).astype("f4")


def take_lamp_frames(
    pixels: Pixels, category: str, dpr: Dpr, start: datetime, count: int, more: Keywords = ()
) -> tuple[ArchiveFile, ...]:
    """Return darks, or flats that are brighter from frame to frame: the recipe fits a slope to each pixel."""
    template = Template(f"VISIR_gen_cal_{dpr[1].split(',')[0].title()}", start, count, 200400011, "Calibration")
    series = FrameSeries(VISIR, template, category, dpr, DIT_S)
    return frames(
        series,
        lambda _: (*describe_setting(more), *_staring()),
        partial(_lamp_bytes, pixels),
        4 * pixels.nx * pixels.ny,
    )


def _lamp_bytes(pixels: Pixels, keywords: Keywords, exposure: Exposure) -> bytes:
    level = 1000.0 + 3000.0 * exposure.number if exposure.dpr[1].startswith("FLAT") else 0.0
    rng = noise(pixels.seed, exposure)
    image = BIAS_COUNTS + sensitivity(pixels) * level + rng.normal(0, READ_NOISE, (pixels.ny, pixels.nx))
    return fits_bytes(keywords, image.astype(">f4"))


def _image_star(pixels: Pixels, category: str, dpr: Dpr, number: int, jansky: float) -> tuple[ArchiveFile, ...]:
    science = dpr[0] == "SCIENCE"
    name = "VISIR_img_obs_AutoChopNod" if science else "VISIR_img_cal_AutoChopNod"
    block = f"SYNTH-{number:03d}" if science else "Calibration"
    template = Template(name, EVENING.replace(hour=2 + number), len(NOD_SEQUENCE), 200400101 + number, block)
    series = FrameSeries(VISIR, template, category, dpr, DIT_S, "SYNTH-STAR" if science else STANDARD)
    return frames(
        series,
        lambda exposure: (*describe_setting(), *_chopping_here(pixels, exposure)),
        partial(_beams_bytes, pixels, jansky),
        20 * pixels.nx * pixels.ny,
    )


def nod_of(exposure: Exposure) -> str:
    """Return the nodding position of an exposure."""
    return NOD_SEQUENCE[(exposure.number - 1) % len(NOD_SEQUENCE)]


def _side(exposure: Exposure) -> float:
    return THROW_PIX / 2 * (1 if nod_of(exposure) == "B" else -1)


def _beams_bytes(pixels: Pixels, jansky: float, keywords: Keywords, exposure: Exposure) -> bytes:
    rng = noise(pixels.seed, exposure)
    shape = (pixels.ny, pixels.nx)
    x, middle = pixels.nx / 2 + _side(exposure), pixels.ny / 2
    halves = []
    for y in (middle - THROW_PIX / 2, middle + THROW_PIX / 2):
        light = SKY_COUNTS + star_image(shape, [Star(x, y, COUNTS_A_JANSKY * jansky)], FWHM_PIX)
        halves.append(BIAS_COUNTS + sensitivity(pixels) * light)
    return chopped_bytes(keywords, [half + rng.normal(0, READ_NOISE, shape) for half in halves * CHOP_CYCLES])


def chopped_bytes(keywords: Keywords, halves: Iterable[Any]) -> bytes:
    """Return the FITS stream of half-cycles: on and off in turn, and at the end the mean of their differences."""
    import numpy as np
    from astropy.io import fits

    images = [np.asarray(half, dtype=">f4") for half in halves]
    kinds = ["HCYCLE1", "HCYCLE2"] * (len(images) // 2)
    difference = np.mean([on - off for on, off in zip(images[::2], images[1::2], strict=True)], axis=0)
    hdus = []
    for image, kind in zip((*images, difference.astype(">f4")), (*kinds, "INT"), strict=True):
        hdu = fits.ImageHDU(image)
        hdu.header["HIERARCH ESO DET FRAM TYPE"] = kind
        hdus.append(hdu)
    return fits_bytes(keywords, extensions=hdus)


def describe_setting(more: Keywords = ()) -> Keywords:
    """Return the keywords of detector and instrument; what a mode adds or has otherwise is given."""
    usual: Keywords = (
        ("ESO DET NAVRG", 1),
        ("ESO DET SEQ1 DIT", DIT_S),
        ("ESO DET NDIT", 4),
        ("ESO DET NDITSKIP", 0),
        ("ESO DET MODE NAME", "SBHG"),
        ("ESO DET NAME", "AQUARIUS"),
        ("ESO DET CHIP PXSPACE", 3e-5),
        ("ESO INS MODE", "IMG"),
        ("ESO INS FILT1 NAME", FILTER),
        # A text in real headers, and the recipes insist on it.
        ("ESO INS PFOV", f"{VISIR.pixel_arcsec:.3f}"),
        ("ESO TEL FOCU LEN", 100.0),
        ("ESO TEL TH M1 TEMP", 10.0),
        ("ESO TEL TARG OFFSETALPHA", 0.0),
        ("ESO TEL TARG OFFSETDELTA", 0.0),
        ("ESO TEL CHOP POSANG", 0.0),
        ("ESO ADA POSANG", 0.0),
    )
    return tuple({**dict(usual), **dict(more)}.items())


def _staring() -> Keywords:
    return (("ESO TEL CHOP ST", False), ("ESO DET CHOP NCYCLES", 1), ("ESO SEQ NODPOS", "A"))


def describe_chopping(exposure: Exposure, direction: str, throw_arcsec: float, offset_pix: float) -> Keywords:
    """Return what a header says of chopping and nodding."""
    return (
        ("ESO DET FRAM FORMAT", "extension"),
        ("ESO DET CHOP ST", True),
        ("ESO DET CHOP NCYCLES", CHOP_CYCLES),
        ("ESO DET CHOP FREQ", 0.25),
        ("ESO TEL CHOP ST", True),
        ("ESO TEL CHOP FREQ", 0.25),
        ("ESO TEL CHOP THROW", throw_arcsec),
        ("ESO SEQ CHOPNOD DIR", direction),
        ("ESO SEQ NODPOS", nod_of(exposure)),
        ("ESO SEQ CUMOFFSETX", offset_pix),
        ("ESO SEQ CUMOFFSETY", 0.0),
        ("ESO SEQ JITTER WIDTH", 0.0),
    )


def _chopping_here(pixels: Pixels, exposure: Exposure) -> Keywords:
    throw = THROW_PIX * VISIR.pixel_arcsec
    return (
        *describe_chopping(exposure, "PERPENDICULAR", throw, _side(exposure)),
        *describe_sky(pixels, VISIR.pixel_arcsec),
    )


def describe_sky(pixels: Pixels, pixel_arcsec: float) -> Keywords:
    """Return the world coordinates of a frame."""
    return sky_plane(FIELD, (pixels.nx / 2, pixels.ny / 2), pixel_arcsec / 3600)


@lru_cache(maxsize=4)
def sensitivity(pixels: Pixels) -> Image:
    """Return the sensitivity of each pixel; bad pixels see a twentieth of the light."""
    import numpy as np

    rng = np.random.default_rng([pixels.seed, 0])
    image = (1.0 + rng.normal(0, 0.01, (pixels.ny, pixels.nx))).astype(np.float32)
    image[rng.random(image.shape) < BAD_FRACTION] = 0.05
    return image


def _catalogue_of_standards() -> ArchiveFile:
    dp_id = DpId("M.VISIR.2016-01-01T00:00:01.101")
    keywords = describe_processed(dp_id, VISIR.name, "IMG_STD_CATALOG")
    columns: dict[str, tuple[str, Any]] = {
        "STARS": ("16A", [STANDARD, "SYNTH-FAR"]),
        "SP_TYPE": ("8A", ["K0III", "A0V"]),
        "RA": ("1D", [FIELD[0], FIELD[0] + 30]),
        "DEC": ("1D", [FIELD[1], FIELD[1] + 10]),
        FILTER: ("1D", [STANDARD_JY, 3.0]),
    }
    return ArchiveFile(
        dp_id,
        "IMG_STD_CATALOG",
        keywords,
        lambda: fits_bytes(keywords, extensions=[table(columns, "STANDARDS")]),
    )
