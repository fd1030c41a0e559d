"""A synthetic VISIR night: a star imaged with chopping and nodding, with the darks and flats that calibrate it.

Frames of the old detector, as before 2012: the header has no `DET NAVRG`. Each science file is a cube whose planes are
the two chopping positions in turn.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image

VISIR = Instrument("VISIR", "VISIR", "ESO-VLT-U3", pixel_arcsec=0.127)
NOD_SEQUENCE = "ABBA"
THROW_ARCSEC = 8.0
CHOP_CYCLES = 2
DIT_S = 0.02
FWHM_PIX = 3.0
STAR_COUNTS = 4e5
SKY_COUNTS = 20000.0
DARK_COUNTS = 1000.0
BAD_FRACTION = 0.001


class VisirDetector(Struct, frozen=True):
    """What the pixels of all frames depend on.

    Parameters
    ----------
    npix : int
        Frames are square, npix by npix.
    seed : int
        Of sensitivity, bad pixels and noise.
    """

    npix: int
    seed: int

    @property
    def throw_pix(self) -> float:
        """Distance of the chopping and of the nodding positions in pixels."""
        return THROW_ARCSEC / VISIR.pixel_arcsec


def visir_night(npix: int = 256, science_frames: int = 4, seed: int = 11) -> DemoNight:
    """Return the night; nothing is computed before a frame is asked for.

    Parameters
    ----------
    npix : int
        Size of the frames; the recipes run from 256.
    science_frames : int
        An even number: both nodding positions are needed.
    seed : int
        Nights of different seeds differ in every pixel.
    """
    detector = VisirDetector(npix, seed)
    darks = _calibrations(detector, "IM_CAL_DARK", ("CALIB", "DARK", "IMAGE"), datetime(2010, 5, 1, 11, 0), 3)
    flats = _calibrations(
        detector, "IM_CAL_FLAT", ("CALIB", "FLAT,LAMP", "IMAGE,DIRECT"), datetime(2010, 5, 1, 12, 0), 4
    )
    science = _science(detector, datetime(2010, 5, 2, 3, 0), science_frames)
    names = tuple(file.associated for file in science)
    calibrations = (group("IM_CAL_FLAT", flats), group("IM_CAL_DARK", darks))
    tree = AssociationTree(Association("IM_OBS_CHO_NOD_JIT", names, calibrations), "Raw2Raw")
    name = f"visir-{npix}pix-{science_frames}-seed{seed}"
    return DemoNight(name, VISIR.name, (*darks, *flats, *science), (tree,))


def star_beams(npix: int, nod: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return where the star stands at the two chopping positions of a nodding position, in FITS pixels."""
    half = VisirDetector(npix, 0).throw_pix / 2
    x = npix / 2 + (-half if nod == "A" else half)
    return (x, npix / 2 - half), (x, npix / 2 + half)


def bad_pixels(npix: int = 256, seed: int = 11) -> Image:
    """Return the truth about bad pixels: 1 where a pixel hardly sees light, else 0."""
    return (sensitivity(VisirDetector(npix, seed)) < 0.1).astype("f4")


def _calibrations(
    detector: VisirDetector, category: str, dpr: tuple[str, str, str], start: datetime, count: int
) -> tuple[ArchiveFile, ...]:
    template = Template(f"VISIR_img_cal_{dpr[1].split(',')[0].title()}s", start, count, 200300011, "Calibration")
    series = FrameSeries(VISIR, template, category, dpr, DIT_S)
    build = partial(_calibration_bytes, detector)
    return frames(series, partial(_visir_keywords, detector), build, 2 * detector.npix**2)


def _science(detector: VisirDetector, start: datetime, count: int) -> tuple[ArchiveFile, ...]:
    template = Template("VISIR_img_obs_AutoChopNod", start, count, 200300101, "SYNTH-001")
    dpr = ("SCIENCE", "OBJECT", "IMAGE,CHOPNOD,JITTER")
    series = FrameSeries(VISIR, template, "IM_OBS_CHO_NOD_JIT", dpr, DIT_S, "SYNTH-STAR")
    build = partial(_science_bytes, detector)
    return frames(series, partial(_visir_keywords, detector), build, 8 * detector.npix**2)


def _nod(exposure: Exposure) -> str:
    return NOD_SEQUENCE[(exposure.number - 1) % len(NOD_SEQUENCE)]


def _calibration_bytes(detector: VisirDetector, keywords: Keywords, exposure: Exposure) -> bytes:
    """Return a dark, or a flat that is brighter from frame to frame: the recipe fits a slope to each pixel."""
    level = 1000.0 + 3000.0 * exposure.number if exposure.dpr[1].startswith("FLAT") else 0.0
    rng = noise(detector.seed, exposure)
    shape = (detector.npix, detector.npix)
    image = DARK_COUNTS + rng.normal(0, 5, shape) + sensitivity(detector) * level
    return fits_bytes(keywords, (image + rng.normal(0, 10, shape)).astype(">f4"))


def _science_bytes(detector: VisirDetector, keywords: Keywords, exposure: Exposure) -> bytes:
    """Return a cube of the two chopping positions in turn."""
    import numpy as np

    rng = noise(detector.seed, exposure)
    shape = (detector.npix, detector.npix)
    beams = [
        star_image(shape, [Star(x, y, STAR_COUNTS)], FWHM_PIX) for x, y in star_beams(detector.npix, _nod(exposure))
    ]
    planes = [
        DARK_COUNTS + sensitivity(detector) * (SKY_COUNTS + beam) + rng.normal(0, 12, shape)
        for _ in range(CHOP_CYCLES)
        for beam in beams
    ]
    return fits_bytes(keywords, np.array(planes, dtype=">f4"))


def _visir_keywords(detector: VisirDetector, exposure: Exposure) -> Keywords:
    npix, science = detector.npix, exposure.dpr[0] == "SCIENCE"
    scale = VISIR.pixel_arcsec / 3600
    offset = detector.throw_pix / 2 * (1 if _nod(exposure) == "B" else -1) if science else 0.0
    volts = tuple((f"ESO DET VOLT{row} DCT{column}9", 1.0) for row in (1, 2) for column in "AB")
    return (
        ("FILTER1", "PAH1"),
        ("ESO DET DIT", exposure.dit_s),
        ("ESO DET NDIT", 10),
        ("ESO DET MODE NAME", "HRG"),
        ("ESO DET NCORRS NAME", "Uncorr"),
        ("ESO DET FRAM TYPE", "CUBE1" if science else "INT"),
        ("ESO DET NAME", "DRS"),
        ("ESO DET CHIP PXSPACE", 5e-5),
        ("ESO DET CHOP NCYCLES", CHOP_CYCLES if science else 1),
        ("ESO DET CHOP FREQ", 0.25),
        *volts,
        ("ESO INS MODE", "IMG"),
        ("ESO INS FILT1 NAME", "PAH1"),
        # A text in real headers, and the recipes insist on it.
        ("ESO INS PFOV", f"{VISIR.pixel_arcsec:.3f}"),
        ("ESO INS MONOC1 POS", 1.0),
        ("ESO TEL CHOP ST", True),
        ("ESO TEL CHOP THROW", THROW_ARCSEC),
        ("ESO TEL CHOP FREQ", 0.25),
        ("ESO TEL CHOP POSANG", 0.0),
        ("ESO TEL FOCU LEN", 100.0),
        ("ESO TEL TH M1 TEMP", 10.0),
        ("ESO TEL TARG OFFSETALPHA", 0.0),
        ("ESO TEL TARG OFFSETDELTA", 0.0),
        ("ESO ADA POSANG", 0.0),
        ("ESO SEQ CHOPNOD DIR", "PERPENDICULAR"),
        ("ESO SEQ NODPOS", _nod(exposure)),
        ("ESO SEQ CUMOFFSETX", offset),
        ("ESO SEQ CUMOFFSETY", 0.0),
        ("ESO SEQ JITTER WIDTH", 0.0),
        *sky_plane(FIELD, (npix / 2, npix / 2), scale),
    )


@lru_cache(maxsize=4)
def sensitivity(detector: VisirDetector) -> Image:
    """Return the sensitivity of each pixel; bad pixels see a twentieth of the light."""
    import numpy as np

    rng = np.random.default_rng([detector.seed, 0])
    shape = (detector.npix, detector.npix)
    slope = np.linspace(-0.025, 0.025, detector.npix)
    image = (1.0 + slope + rng.normal(0, 0.01, shape)).astype(np.float32)
    image[rng.random(shape) < BAD_FRACTION] = 0.05
    return image
