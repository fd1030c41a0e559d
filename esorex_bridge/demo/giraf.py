"""A synthetic GIRAFFE night: biases, and darks that they calibrate.

The recipes read a region for the quality of the bias that needs more than two thousand rows; the region of the
prescan that `gimasterdark` fits the bias from goes to row 4095 by default, which smaller frames do not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.frames import Exposure, Instrument, Keywords, Template, counts, fits_bytes
from esorex_bridge.demo.night import ArchiveFile, Night, group
from esorex_bridge.demo.series import Series, frames, noise

if TYPE_CHECKING:
    from esorex_bridge.demo.frames import Image

GIRAFFE = Instrument("GIRAFFE", "GIRAF", "ESO-VLT-U2", pixel_arcsec=0.3)
PRESCAN = OVERSCAN = 50
BIAS_COUNTS = 200.0
READ_NOISE_COUNTS = 3.0
DARK_COUNTS_PER_HOUR = 4.0
SETUP = "H627.3"


@dataclass(frozen=True, slots=True)
class Detector:
    """What the pixels of all frames depend on.

    Parameters
    ----------
    columns, rows : int
        Size without prescan and overscan.
    seed : int
        Of noise.
    """

    columns: int
    rows: int
    seed: int


def giraf_night(columns: int = 1024, rows: int = 2100, seed: int = 5) -> Night:
    """Return the night, whose dataset is the dark; nothing is computed before a frame is asked for.

    Parameters
    ----------
    columns, rows : int
        Size without prescan and overscan; `gimasterbias` crashes below about 1024 by 2100.
    seed : int
        Nights of different seeds differ in every pixel.
    """
    detector = Detector(columns, rows, seed)
    biases = _series(detector, "BIAS", datetime(2014, 3, 1, 12, 0), 0.0)
    darks = _series(detector, "DARK", datetime(2014, 3, 1, 13, 0), 3600.0)
    names = tuple(file.associated for file in darks)
    tree = AssociationTree(Association("DARK", names, (group("BIAS", biases),)), "Raw2Raw")
    return Night(f"giraf-{columns}x{rows}-seed{seed}", GIRAFFE.name, (*biases, *darks), (tree,))


def _series(detector: Detector, category: str, start: datetime, exposure_s: float) -> tuple[ArchiveFile, ...]:
    template = Template(f"GIRAF_gen_cal_{category.lower()}", start, 3, 200600001, "GIRAF_SYNTH")
    series = Series(GIRAFFE, template, category, ("CALIB", category, "IMAGE"), exposure_s, spacing_s=exposure_s + 60)
    build = partial(_stream, detector)
    return frames(series, partial(_keywords, detector), build, detector.columns * detector.rows)


def _stream(detector: Detector, keywords: Keywords, exposure: Exposure) -> bytes:
    """Return the FITS stream of a raw frame: bias everywhere, dark current between prescan and overscan."""
    return fits_bytes(keywords, counts(_image(detector, exposure)))


def _image(detector: Detector, exposure: Exposure) -> Image:
    import numpy as np

    rng = noise(detector.seed, exposure)
    columns, rows = detector.columns, detector.rows
    image = BIAS_COUNTS + rng.normal(0, READ_NOISE_COUNTS, (rows, columns + PRESCAN + OVERSCAN)).astype(np.float32)
    dark = DARK_COUNTS_PER_HOUR * exposure.dit_s / 3600
    image[:, PRESCAN : PRESCAN + columns] += rng.poisson(dark, (rows, columns))
    return image


def _keywords(detector: Detector, exposure: Exposure) -> Keywords:
    columns, rows = detector.columns, detector.rows
    return (
        ("ESO DET CHIPS", 1),
        ("ESO DET OUTPUTS", 1),
        ("ESO DET CHIP1 ID", "Carreras"),
        ("ESO DET CHIP1 NAME", "EEV CCD-44"),
        ("ESO DET CHIP1 NX", columns),
        ("ESO DET CHIP1 NY", rows),
        ("ESO DET CHIP1 PSZX", 15.0),
        ("ESO DET CHIP1 PSZY", 15.0),
        ("ESO DET OUT1 X", 1),
        ("ESO DET OUT1 Y", 1),
        ("ESO DET OUT1 NX", columns),
        ("ESO DET OUT1 NY", rows),
        ("ESO DET OUT1 PRSCX", PRESCAN),
        ("ESO DET OUT1 PRSCY", 0),
        ("ESO DET OUT1 OVSCX", OVERSCAN),
        ("ESO DET OUT1 OVSCY", 0),
        ("ESO DET OUT1 CONAD", 0.59),
        ("ESO DET OUT1 GAIN", 1.69),
        ("ESO DET OUT1 RON", READ_NOISE_COUNTS),
        ("ESO DET WIN1 BINX", 1),
        ("ESO DET WIN1 BINY", 1),
        ("ESO DET WIN1 NX", columns + PRESCAN + OVERSCAN),
        ("ESO DET WIN1 NY", rows),
        ("ESO DET WIN1 STRX", 1),
        ("ESO DET WIN1 STRY", 1),
        ("ESO DET READ CLOCK", "225kHz,1,low"),
        ("ESO INS EXP MODE", SETUP),
        ("ESO INS FILT NAME", SETUP),
        ("ESO INS GRAT NAME", "HR"),
        ("ESO INS GRAT GROOVES", 316.0),
        ("ESO INS GRAT ORDER", 9),
        ("ESO INS GRAT WLEN", 627.3),
        ("ESO INS MODE", "MED"),
        ("ESO INS SLIT NAME", "Medusa1"),
        ("ESO INS SLITS ID", "Medusa1"),
        ("ESO INS LAMP4 ST", False),
        ("ESO INS LAMP5 ST", False),
    )
