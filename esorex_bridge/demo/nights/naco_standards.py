"""A synthetic NACO night of a narrow band, with flats of it and of a broad one, a standard star and a PSF star.

The detector sees light otherwise through each filter, so that a flat of the wrong one shows.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import Keywords, Star, Template, fits_bytes
from esorex_bridge.demo.nights.naco import (
    FIELD,
    FLAT_DIT_S,
    NACO,
    SCIENCE,
    SCIENCE_DIT_S,
    TWILIGHT_FLATS,
    NacoDetector,
    NacoLight,
    injected_stars,
    jitter_light,
    take_darks,
    take_template,
    take_twilight_flats,
)
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group
from esorex_bridge.demo.nights.tables import describe_processed, table
from esorex_bridge.files import DpId

EVENING = datetime(2016, 3, 10, 16, 0)
NARROW = "NB_2.17"
STANDARD = ("CALIB", "STD", "IMAGE,JITTER")
PSF_STAR = ("CALIB", "PSF-CALIBRATOR", "IMAGE")
STANDARD_COUNTS = 3e5
STANDARD_MAG = 10.0
"""In Ks."""
STANDARD_OFFSETS_PIX = ((0, 0), (60, 50), (-60, 50), (-60, -50), (60, -50))
PSF_NPIX = 1024
"""The recipe for PSF stars looks for them in windows of frames of full size."""
SKY_COUNTS = 300.0


def naco_standards_night(npix: int = 512, science_frames: int = 5, seed: int = 7) -> DemoNight:
    """Return the night; nothing is computed before a frame is asked for.

    Parameters
    ----------
    npix : int
        Size of the frames, but for those of the PSF star.
    science_frames : int
        Of the science template, at least 3.
    seed : int
        Nights of different seeds differ in every pixel.
    """
    detector = NacoDetector(npix, seed)
    darks = take_darks(detector, EVENING, SCIENCE_DIT_S, 3)
    flat_darks = take_darks(detector, EVENING + timedelta(minutes=10), FLAT_DIT_S, TWILIGHT_FLATS)
    broad = take_twilight_flats(detector, EVENING + timedelta(hours=6))
    narrow = take_twilight_flats(detector, EVENING + timedelta(hours=6, minutes=20), NARROW, narrow=True)
    standards = _standards(detector, EVENING + timedelta(hours=8))
    psf = _psf_star(NacoDetector(PSF_NPIX, seed), EVENING + timedelta(hours=8, minutes=30))
    science = _science(detector, EVENING + timedelta(hours=9), science_frames)
    catalogue = _catalogue()
    dark, flat_dark = group("DARK", darks), group("DARK", flat_darks)
    broad_flat = group("FLAT_TW", broad, flat_dark)
    cascade = (
        dark,
        broad_flat,
        group("FLAT_TW", narrow, flat_dark),
        group("STD", standards, broad_flat, group("IMG_STD_CATALOG", (catalogue,), match="N/A")),
        group("PSF", psf),
    )
    tree = AssociationTree(Association("IMGJITOBJ_SW", tuple(file.associated for file in science), cascade), "Raw2Raw")
    files = (*darks, *flat_darks, *broad, *narrow, *standards, *psf, *science, catalogue)
    return DemoNight(f"naco-standards-{npix}pix-{science_frames}-seed{seed}", NACO.name, files, (tree,))


def _standards(detector: NacoDetector, start: datetime) -> tuple[ArchiveFile, ...]:
    template = Template("NACO_img_cal_StandardStar", start, len(STANDARD_OFFSETS_PIX), 200154003, "Calibration")
    kind = "CAL_STD_JITTER", FLAT_DIT_S, STANDARD, "STD"
    offsets = STANDARD_OFFSETS_PIX
    return take_template(detector, template, *kind, lambda number: _one_star(detector, offsets[number - 1]))


def _psf_star(detector: NacoDetector, start: datetime) -> tuple[ArchiveFile, ...]:
    template = Template("NACO_img_cal_Strehl", start, 2, 200154004, "Calibration")
    kind = "CAL_PSF", FLAT_DIT_S, PSF_STAR, "PSF"
    return take_template(detector, template, *kind, lambda number: _one_star(detector, (60 * (number - 1),) * 2))


def _one_star(detector: NacoDetector, offset: tuple[int, int]) -> NacoLight:
    x, y = (detector.npix / 2 + 1 + moved for moved in offset)
    return NacoLight(SKY_COUNTS, (Star(x, y, STANDARD_COUNTS),), offset)


def _science(detector: NacoDetector, start: datetime, frames: int) -> tuple[ArchiveFile, ...]:
    template = Template("NACO_img_obs_AutoJitter", start, frames, 200200031, "SYNTH-031", number=2)
    stars = injected_stars(detector.npix, detector.seed)
    kind = "IM_JITTER_OBJ", SCIENCE_DIT_S, SCIENCE, "SYNTH-FIELD-31"

    def narrow_light(number: int) -> NacoLight:
        light = jitter_light(detector, stars, number)
        return NacoLight(light.level, light.stars, light.offset, NARROW, narrow=True)

    return take_template(detector, template, *kind, narrow_light)


def _catalogue() -> ArchiveFile:
    dp_id = DpId("M.NACO.2011-05-17T16:07:11.804")
    keywords = describe_processed(dp_id, NACO.name, "IMG_STD_CATALOG")
    return ArchiveFile(dp_id, "IMG_STD_CATALOG", keywords, partial(_catalogue_bytes, keywords))


def _catalogue_bytes(keywords: Keywords) -> bytes:
    """Return the table of standard stars; 99 stands for a magnitude that nobody knows."""
    magnitudes = {"J": 10.3, "H": 10.1, "K": 10.02, "Ks": STANDARD_MAG, "L": 9.9, "M": 99.0, "Lp": 9.9, "Mp": 99.0}
    columns = {
        "STARS": ("16A", ["SYNTH-STD"]),
        "SP_TYPE": ("8A", ["A0V"]),
        "CAT_NAME": ("16A", ["SYNTH"]),
        "RA": ("1D", [FIELD[0]]),
        "DEC": ("1D", [FIELD[1]]),
        **{name: ("1D", [value]) for name, value in magnitudes.items()},
    }
    return fits_bytes(keywords, extensions=[table(columns, "STANDARDS")])
