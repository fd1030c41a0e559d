"""A synthetic NACO night of polarimetry: a polarised star through wire grids at four angles, jittered at each."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import cos, radians

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import Star, Template
from esorex_bridge.demo.nights.naco import (
    BRIGHT_STAR_COUNTS,
    FLAT_DIT_S,
    NACO,
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

EVENING = datetime(2016, 3, 20, 16, 0)
POLARIMETRY = ("SCIENCE", "OBJECT", "POLARIMETRY,WIRE_GRID,JITTER")
ANGLES_DEG = (0, 45, 90, 135)
FRAMES = 3
"""At each angle, as few as the recipe wants."""
DEGREE, DIRECTION_DEG = 0.3, 25.0
"""How much of the brightest star's light is polarised, and in which direction; the others' is not."""


def naco_polarimetry_night(npix: int = 512, seed: int = 7) -> DemoNight:
    """Return the night; nothing is computed before a frame is asked for.

    Parameters
    ----------
    npix : int
        Size of the frames.
    seed : int
        Nights of different seeds differ in every pixel.
    """
    detector = NacoDetector(npix, seed)
    darks = take_darks(detector, EVENING, SCIENCE_DIT_S, 3)
    flat_darks = take_darks(detector, EVENING + timedelta(minutes=10), FLAT_DIT_S, TWILIGHT_FLATS)
    flats = take_twilight_flats(detector, EVENING + timedelta(hours=6))
    science = _science(detector, EVENING + timedelta(hours=9))
    cascade = (group("DARK", darks), group("FLAT_TW", flats, group("DARK", flat_darks)))
    names = tuple(file.associated for file in science)
    tree = AssociationTree(Association("POL_JITTER_OBJ", names, cascade), "Raw2Raw")
    files = (*darks, *flat_darks, *flats, *science)
    return DemoNight(f"naco-polarimetry-{npix}pix-seed{seed}", NACO.name, files, (tree,))


def grid_name(angle_deg: int) -> str:
    """Return the name of a wire grid in the wheel of `INS OPTI3`; no public source was found for real ones."""
    return f"Pol_{angle_deg:02d}"


def let_through(angle_deg: int) -> float:
    """Return which part of the brightest star's light a wire grid lets through, by the law of Malus."""
    return 0.5 * (1 + DEGREE * cos(2 * radians(angle_deg - DIRECTION_DEG)))


def _science(detector: NacoDetector, start: datetime) -> tuple[ArchiveFile, ...]:
    template = Template("NACO_img_obs_Polarimetry", start, FRAMES * len(ANGLES_DEG), 200200041, "SYNTH-041")
    kind = "POL_JITTER_OBJ", SCIENCE_DIT_S, POLARIMETRY, "SYNTH-FIELD-41"

    def light(number: int) -> NacoLight:
        return _light(detector, ANGLES_DEG[(number - 1) // FRAMES], (number - 1) % FRAMES + 1)

    return take_template(detector, template, *kind, light)


def _light(detector: NacoDetector, angle_deg: int, number: int) -> NacoLight:
    """Return the light of a frame (from 1) at an angle; half of what is not polarised comes through."""
    stars = injected_stars(detector.npix, detector.seed)
    seen = tuple(
        Star(star.x, star.y, star.flux * (let_through(angle_deg) if star.flux == BRIGHT_STAR_COUNTS else 0.5))
        for star in stars
    )
    light = jitter_light(detector, seen, number)
    return NacoLight(0.5 * light.level, light.stars, light.offset, polariser=grid_name(angle_deg))
