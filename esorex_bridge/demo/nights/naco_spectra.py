"""A synthetic NACO night of long-slit spectra: a star nodded along the slit, and the lamp flats that calibrate it.

The spectrum runs along y, the slit along x. The star stands at two places in turn, in the order ABBA.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from msgspec import Struct

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import Exposure, Keywords, Template, counts, fits_bytes, sky_plane
from esorex_bridge.demo.nights.naco import NACO
from esorex_bridge.demo.nights.naco_arc import arc_image, arc_statics
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group
from esorex_bridge.demo.nights.series import FIELD, FrameSeries, frames, noise

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image

NOD_SEQUENCE = "ABBA"
NOD_FRACTION = 0.2
"""Distance of each nodding position from the middle of the slit, in widths of the frame."""
SLIT_EDGES = (0.08, 0.92)
STAR_COUNTS = 3000.0
STAR_SIGMA_PIX = 2.0
BIAS_COUNTS = 100.0
LAMP_COUNTS = 6000.0
FLAT_SLOPE = 0.05
"""Rise of the sensitivity from one side of the frame to the other."""
GRISM = "S27_3_SK"

FLAT = ("CALIB", "FLAT,LAMP", "SPECTRUM")
ARC = ("CALIB", "WAVE,LAMP", "SPECTRUM")
SCIENCE = ("SCIENCE", "OBJECT", "SPECTRUM,NODDING")


class SpectraDetector(Struct, frozen=True):
    """What the pixels of all frames depend on.

    Parameters
    ----------
    npix : int
        Frames are square, npix by npix.
    seed : int
        Of sensitivity and noise.
    """

    npix: int
    seed: int


def naco_spectra_night(npix: int = 1024, science_frames: int = 4, seed: int = 17) -> DemoNight:
    """Return the night; nothing is computed before a frame is asked for.

    Parameters
    ----------
    npix : int
        Size of the frames. The recipes run with their default parameters at 1024; smaller frames need
        `naco_spc_combine.xtmax` below their size, and more than 400 pixels.
    science_frames : int
        As many at one nodding position as at the other, so even.
    seed : int
        Nights of different seeds differ in every pixel.
    """
    detector = SpectraDetector(npix, seed)
    flats = _series(
        detector,
        FrameSeries(
            NACO,
            Template("NACO_spec_cal_LampFlats", datetime(2016, 3, 3, 12, 0), 4, 200250001, "Calibration"),
            "CAL_FLAT_SPEC",
            FLAT,
            dit_s=2.0,
        ),
    )
    science = _series(
        detector,
        FrameSeries(
            NACO,
            Template("NACO_spec_obs_AutoNodOnSlit", datetime(2016, 3, 4, 2, 0), science_frames, 200250101, "SYNTH-SPC"),
            "SPEC_NODDING",
            SCIENCE,
            dit_s=60.0,
            target="SYNTH-STAR",
            spacing_s=80.0,
        ),
    )
    arcs = _series(
        detector,
        FrameSeries(
            NACO,
            Template("NACO_spec_cal_Arcs", datetime(2016, 3, 3, 13, 0), 2, 200250001, "Calibration"),
            "CAL_ARC_SPEC",
            ARC,
            dit_s=2.0,
        ),
    )
    statics = arc_statics(GRISM, npix)
    wave = group("WAVE_LAMP_SPC", arcs, *(group(file.category, (file,), match="N/A") for file in statics))
    names = tuple(file.associated for file in science)
    tree = AssociationTree(Association("SPCNODOBJ", names, (group("FLAT_LAMP_SPC", flats), wave)), "Raw2Raw")
    name = f"naco_spectra-{npix}pix-{science_frames}-seed{seed}"
    return DemoNight(name, NACO.name, (*flats, *arcs, *science, *statics), (tree,))


def _series(detector: SpectraDetector, series: FrameSeries) -> tuple[ArchiveFile, ...]:
    return frames(series, partial(_keywords, detector), partial(_stream, detector), detector.npix**2)


def nod_offset(npix: int, number: int) -> float:
    """Return how far from the middle of the slit the star stands in a science frame (from 1), in pixels."""
    return npix * NOD_FRACTION * (1 if NOD_SEQUENCE[(number - 1) % len(NOD_SEQUENCE)] == "A" else -1)


def _lamp(exposure: Exposure) -> bool:
    return exposure.dpr in (FLAT, ARC) and exposure.number % 2 == 1


def _keywords(detector: SpectraDetector, exposure: Exposure) -> Keywords:
    npix, lamp = detector.npix, _lamp(exposure)
    offset = nod_offset(npix, exposure.number) if exposure.dpr == SCIENCE else 0.0
    wheels = {1: "Slit_86mas", 4: "Gr2", 5: "empty", 6: "SK", 7: "S27"}
    scale = NACO.pixel_arcsec / 3600
    return (
        ("ESO DET DIT", exposure.dit_s),
        ("ESO DET NDIT", 1),
        ("ESO DET NCORRS", 2),
        ("ESO DET NCORRS NAME", "Double_RdRstRd"),
        ("ESO DET MODE NAME", "HighDynamic"),
        ("ESO DET CHIP NX", npix),
        ("ESO DET CHIP NY", npix),
        ("ESO DET WIN NX", npix),
        ("ESO DET WIN NY", npix),
        ("ESO INS MODE", "SPEC"),
        ("ESO INS CWLEN", 2.18),
        ("ESO INS PIXSCALE", NACO.pixel_arcsec),
        *((f"ESO INS OPTI{wheel} {key}", name) for wheel, name in sorted(wheels.items()) for key in ("ID", "NAME")),
        ("ESO INS OPTI3 NAME", "empty"),
        ("ESO INS LAMP1 ST", lamp),
        ("ESO INS LAMP2 NAME", "Halogen"),
        ("ESO INS LAMP2 TYPE", "Halogen"),
        ("ESO INS LAMP2 SET", int(lamp and exposure.dpr == FLAT)),
        ("ESO INS LAMP2 CURRENT", float(lamp and exposure.dpr == FLAT)),
        ("ESO SEQ SPECMODE", GRISM),
        ("ESO SEQ CUMOFFSETX", offset),
        ("ESO SEQ CUMOFFSETY", 0.0),
        ("ESO SEQ NOD THROW", 2 * npix * NOD_FRACTION * NACO.pixel_arcsec),
        *sky_plane(FIELD, (npix / 2, npix / 2), scale),
    )


def _stream(detector: SpectraDetector, keywords: Keywords, exposure: Exposure) -> bytes:
    """Return the FITS stream of a raw frame: lamp or sky and star, through slit and sensitivity."""
    rng = noise(detector.seed, exposure)
    image = (
        BIAS_COUNTS
        + _throughput(detector) * _light(detector, exposure)
        + rng.normal(0, 4, (detector.npix, detector.npix))
    )
    return fits_bytes(keywords, counts(image.astype("f4")))


def _light(detector: SpectraDetector, exposure: Exposure) -> Image | float:
    if exposure.dpr == SCIENCE:
        return _star_and_sky(detector, exposure)
    if exposure.dpr == ARC and _lamp(exposure):
        return arc_image(detector.npix)
    return LAMP_COUNTS * _lamp(exposure)


def _star_and_sky(detector: SpectraDetector, exposure: Exposure) -> Image:
    """Return the light of a science frame: a trace along y, and sky lines along x."""
    import numpy as np

    y, x = np.mgrid[0 : detector.npix, 0 : detector.npix]
    place = detector.npix / 2 + nod_offset(detector.npix, exposure.number)
    star = STAR_COUNTS * np.exp(-((x - place) ** 2) / (2 * STAR_SIGMA_PIX**2))
    lines = 200 * np.exp(-(((y % 40) - 20.0) ** 2) / 4)
    light: Image = (500 + lines + star).astype(np.float32)
    return light


@lru_cache(maxsize=4)
def _throughput(detector: SpectraDetector) -> Image:
    """Return which part of the light each pixel sees: nothing outside the slit."""
    import numpy as np

    rng = np.random.default_rng([detector.seed, 0])
    npix = detector.npix
    x = np.arange(npix)
    left, right = (edge * npix for edge in SLIT_EDGES)
    slit = 1 / (1 + np.exp(-(x - left) / 2)) / (1 + np.exp((x - right) / 2))
    flat = 1 + FLAT_SLOPE * (x / npix - 0.5) + rng.normal(0, 0.008, (npix, npix))
    throughput: Image = (slit * flat).astype(np.float32)
    return throughput
