"""A synthetic HAWK-I night of which all calibrations are raw, with a standard field, on detectors of full size."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import Template
from esorex_bridge.demo.nights.hawki import (
    OFFSETS_PIX,
    STANDARD,
    HawkiLight,
    dark_template,
    raw_frame,
    science_template,
)
from esorex_bridge.demo.nights.hawki_mosaic import HAWKI, Detectors
from esorex_bridge.demo.nights.hawki_statics import static_calibrations
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group

NPIX = 2048
"""The recipe of standards reads as many, whatever there are; that of the flat reads windows up to 1791."""
STARS = 60
"""On each detector: few enough for every star to be measured without its neighbours."""
STANDARDS = 4
STANDARD_SKY_COUNTS = 300.0
"""A dark sky: on a bright one the wide apertures, by which the recipe corrects the narrow ones, hold mostly noise."""
FLAT = ("CALIB", "FLAT", "IMAGE")
FLAT_DIT_S = 2.0
FLAT_LEVELS = (10000.0, 10050.0, 10100.0)
"""In counts; the recipe passes over flats below 4000 and above 30000.

The noise is measured on the difference of two, in which the slope of the flat would stay if they were less alike.
"""
MADE_FROM_RAWS = ("MASTER_TWILIGHT_FLAT", "MASTER_CONF", "MASTER_READGAIN")


def hawki_full_night(science_frames: int = 3, seed: int = 42) -> DemoNight:
    """Return the night; nothing is computed before a frame is asked for."""
    detectors = Detectors(NPIX, seed, STARS)
    darks = dark_template(detectors, datetime(2019, 6, 8, 18, 0))
    flat_darks = dark_template(detectors, datetime(2019, 6, 8, 18, 30), FLAT_DIT_S)
    flats = _flats(detectors, datetime(2019, 6, 8, 22, 30))
    science = science_template(detectors, datetime(2019, 6, 9, 1, 0), science_frames)
    made = static_calibrations(detectors, science[0].keywords, datetime(2019, 6, 6, 12, 0))
    statics = tuple(file for file in made if file.category not in MADE_FROM_RAWS)
    standards = _standards(detectors, datetime(2019, 6, 9, 3, 0))
    calibrations = (
        group("DARK", darks),
        group("FLAT_TWILIGHT", flats, group("DARK", flat_darks)),
        *(group(file.category, (file,), match="N/A") for file in statics),
    )
    cascade = (*calibrations, group("STD", standards, *calibrations))
    names = tuple(file.associated for file in science)
    tree = AssociationTree(Association("SCI_IMG_JITTER", names, cascade), "Raw2Raw")
    name = f"hawki-full-{science_frames}-seed{seed}"
    return DemoNight(name, HAWKI.name, (*darks, *flat_darks, *flats, *science, *standards, *statics), (tree,))


def _flats(detectors: Detectors, start: datetime) -> tuple[ArchiveFile, ...]:
    template = Template("HAWKI_img_cal_TwFlats", start, len(FLAT_LEVELS), 200100022, "Calibration")
    return tuple(
        replace(raw_frame(detectors, template, number, FLAT, "FLAT", _twilight(level)), category="FLAT_TWILIGHT")
        for number, level in enumerate(FLAT_LEVELS, start=1)
    )


def _standards(detectors: Detectors, start: datetime) -> tuple[ArchiveFile, ...]:
    """Return the exposures of the standard field; its stars are those of the catalogues."""
    template = Template("HAWKI_img_cal_StandardStar", start, STANDARDS, 200100104, "Calibration")
    return tuple(
        raw_frame(
            detectors, template, number, STANDARD, "STD", HawkiLight(STANDARD_SKY_COUNTS, OFFSETS_PIX[number - 1])
        )
        for number in range(1, STANDARDS + 1)
    )


def _twilight(level: float) -> HawkiLight:
    return HawkiLight(level, dit_s=FLAT_DIT_S, stars=False)
