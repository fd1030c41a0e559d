"""A synthetic AMBER night: fringes of a star on three baselines, and of a star of known diameter that calibrates them.

By day a lamp shows where the spectra fall and what fringes each pair of telescopes makes; at night each star comes with
a dark. The path differences of the stars' beams tremble from frame to frame.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from msgspec import Struct

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.amber_array import BASELINES, array_keywords, uniform_disc
from esorex_bridge.demo.nights.amber_beams import CENTRE_NM, CHANNELS, FIRST_ROW, ROWS, SEED, Beams, windows
from esorex_bridge.demo.nights.amber_statics import CALIBRATOR, CALIBRATOR_MAS, calibrators, detector_maps
from esorex_bridge.demo.nights.amber_tables import Window, raw_extensions
from esorex_bridge.demo.nights.frames import Exposure, Instrument, Keywords, Template, fits_bytes
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group
from esorex_bridge.demo.nights.series import FrameSeries, frames, noise

AMBER = Instrument("AMBER", "AMBER", "ESO-VLTI-U123", pixel_arcsec=0.0)
DIT_S = 0.05
FRAMES = 12
"""Detector frames of a file."""
LAMP_COUNTS = (1500.0, 1250.0, 1000.0)
STAR_COUNTS = (1000.0, 900.0, 800.0)
PISTON_NM = 60.0
TARGET = "SYNTH-STAR"
VISIBILITY = (0.6, 0.5, 0.4)
PHASE_RAD = (0.3, -0.2, 0.4)
"""Of the target, by baseline."""
FRINGE_SEQUENCE = ("DARK", "TEL1", "TEL2", "TEL3", "TEL12", "TEL12Q", "TEL23", "TEL23Q", "TEL13", "TEL13Q")
"""Shutters open in turn, each pair without and with the plate that displaces its fringes."""
WAVE_SEQUENCE = ("DARK", "TEL1SC", "TEL2SC", "TEL3SC")
SPARE_ARMS = ("GRIS1", "GRIS2", "OPTI2", "OPTI5", "OPTI6", "OPTI7")
"""Parts of the instrument whose names the reader asks for, though nothing depends on them."""


class Band(Struct, frozen=True):
    """What of the spectrum the detector sees.

    Parameters
    ----------
    letter : str
        J, H or K.
    centre_nm : float
        Wavelength of the window's middle row.
    order : int
        Of the grating.
    """

    letter: str
    centre_nm: float
    order: int

    @property
    def mode(self) -> str:
        """The name of the spectral configuration."""
        return f"Medium_{self.letter}_{self.order}_{self.centre_nm / 1000:.1f}"


K_BAND = Band("K", CENTRE_NM, 1)
H_BAND = Band("H", 1650.0, 2)
J_BAND = Band("J", 1250.0, 2)


class AmberKind(Struct, frozen=True):
    """A series of exposures: what is looked at, and with which shutters.

    Parameters
    ----------
    template : str
        Name of the template.
    category : str
        The tag in a SOF.
    dpr : tuple of str
        `DPR CATG`, `DPR TYPE`, `DPR TECH`.
    sequence : tuple of str
        Kind of frame of each exposure in turn.
    target : str
        `OBJECT`; `DPR TYPE` by default.
    """

    template: str
    category: str
    dpr: tuple[str, str, str]
    sequence: tuple[str, ...]
    target: str = ""


def _kind(template: str, category: str, role: str, what: str, sequence: tuple[str, ...], target: str = "") -> AmberKind:
    return AmberKind(f"AMBER_3Tstd_{template}", category, (role, what, "INTERFEROMETRY"), sequence, target)


# One template of the instrument: places of the spectra first, then fringes.
WAVE = _kind("cal_P2VM", "AMBER_3WAVE", "CALIB", "WAVE,3TEL", WAVE_SEQUENCE)
FRINGES = _kind("cal_P2VM", "AMBER_3P2V", "CALIB", "3P2V", FRINGE_SEQUENCE)
CALIBRATOR_DARK = _kind("obs_dark", "AMBER_DARK_CALIB", "CALIB", "DARK", ("DARK",))
CALIBRATOR_STAR = _kind("obs_1row", "AMBER_CALIB", "CALIB", "OBJECT", ("OBJECT", "OBJECT"), CALIBRATOR)
DARK = _kind("obs_dark", "AMBER_DARK_SCIENCE", "SCIENCE", "DARK", ("DARK",), TARGET)
STAR = _kind("obs_1row", "AMBER_SCIENCE", "SCIENCE", "OBJECT", ("OBJECT", "OBJECT"), TARGET)


def amber_night(seed: int = SEED, band: Band = K_BAND) -> DemoNight:
    """Return the night; nothing is computed before a frame is asked for.

    Parameters
    ----------
    seed : int
        Nights of different seeds differ in every pixel.
    band : Band
        What of the spectrum is seen.
    """
    maps = detector_maps(seed)
    detector = tuple(group(file.category, (file,), match="N/A") for file in maps)
    day = datetime(2010, 5, {"K": 1, "H": 10, "J": 12}[band.letter])
    return night_with(seed, maps, detector, f"amber-{band.letter}-seed{seed}", day, band)


def amber_h_night() -> DemoNight:
    """Return the night in the H band; see `amber_night`."""
    return amber_night(band=H_BAND)


def amber_j_night() -> DemoNight:
    """Return the night in the J band; see `amber_night`."""
    return amber_night(band=J_BAND)


def night_with(
    seed: int,
    maps: tuple[ArchiveFile, ...],
    detector: tuple[Association, ...],
    name: str,
    day: datetime,
    band: Band = K_BAND,
) -> DemoNight:
    """Return the night that begins with maps of the detector.

    Parameters
    ----------
    seed : int
        Nights of different seeds differ in every pixel.
    maps : tuple of ArchiveFile
        The maps, or the raws of which they are made.
    detector : tuple of Association
        How trees name them.
    name : str
        Of the night.
    day : datetime
        On which it begins, at 0 h UT.
    band : Band
        What of the spectrum is seen.
    """
    series = partial(_series, seed, band)
    wave = series(WAVE, day + timedelta(hours=14))
    fringes = series(FRINGES, day + timedelta(hours=14, minutes=30), day + timedelta(hours=14))
    cal_dark = series(CALIBRATOR_DARK, day + timedelta(hours=25))
    cal_star = series(CALIBRATOR_STAR, day + timedelta(hours=25, minutes=5))
    dark = series(DARK, day + timedelta(hours=26))
    star = series(STAR, day + timedelta(hours=26, minutes=5))
    stars = (calibrators(band.letter),)
    matrix = group("AMBER_3P2V", (*fringes, *wave), *detector)
    table = group(stars[0].category, stars, match="N/A")
    calibrator = group("AMBER_CALIB", (*cal_star, *cal_dark), matrix, *detector, table)
    names = tuple(file.associated for file in (*star, *dark))
    tree = AssociationTree(Association("AMBER_SCIENCE", names, (matrix, calibrator, *detector)), "Raw2Raw")
    return DemoNight(name, AMBER.name, (*wave, *fringes, *cal_dark, *cal_star, *dark, *star, *maps, *stars), (tree,))


def _series(
    seed: int, band: Band, kind: AmberKind, start: datetime, begun: datetime | None = None
) -> tuple[ArchiveFile, ...]:
    template = Template(kind.template, start, len(kind.sequence), 200700001, "AMBER_SYNTH", begun=begun)
    series = FrameSeries(AMBER, template, kind.category, kind.dpr, DIT_S, kind.target)
    pixels = FRAMES * ROWS * sum(channel.columns for channel in CHANNELS)
    return frames(series, partial(_keywords, kind, band), partial(_stream, kind, seed, band), 2 * pixels)


def _stream(kind: AmberKind, seed: int, band: Band, keywords: Keywords, exposure: Exposure) -> bytes:
    """Return the FITS stream of a raw file."""
    beams = _beams(kind, band, kind.sequence[exposure.number - 1])
    pixels = windows(beams, FRAMES, seed, noise(seed, exposure))
    places = tuple(Window((channel.first_column, FIRST_ROW), channel.telescopes) for channel in CHANNELS)
    return fits_bytes(keywords, extensions=raw_extensions(exposure, places, pixels, band.centre_nm))


def _beams(kind: AmberKind, band: Band, frame: str) -> Beams:
    """Return the light of an exposure; the name of a lamp's frame tells the shutters that are open."""
    if frame == "OBJECT":
        visibility, phase = _source(kind, band)
        return Beams((1, 2, 3), STAR_COUNTS, visibility, phase, piston_nm=PISTON_NM, centre_nm=band.centre_nm)
    opened = tuple(int(letter) for letter in frame if letter.isdigit())
    quadrature = opened if frame.endswith("Q") else ()
    return Beams(opened, LAMP_COUNTS, quadrature=quadrature, centre_nm=band.centre_nm)


def _source(kind: AmberKind, band: Band) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return visibility and phase (radians) of a star by baseline, as they are above the atmosphere."""
    if kind is STAR:
        return VISIBILITY, PHASE_RAD
    one, two, three = (uniform_disc(CALIBRATOR_MAS, pair, band.centre_nm) for pair in BASELINES)
    return (one, two, three), (0.0, 0.0, 0.0)


def _keywords(kind: AmberKind, band: Band, exposure: Exposure) -> Keywords:
    spare = tuple((f"ESO INS {part} NAME", "CLEAR") for part in SPARE_ARMS)
    return (
        ("ESO DET DIT", exposure.dit_s),
        ("ESO DET NDIT", FRAMES),
        ("ESO DET NTEL", 3),
        ("ESO INS MODE", f"3Tstd_{band.mode}"),
        ("ESO INS GRAT1 NAME", "GMR"),
        ("ESO INS GRAT1 ORDER", band.order),
        ("ESO INS GRAT1 WLEN", band.centre_nm / 1000),
        *spare,
        ("ESO OCS OBS SPECCONF", band.mode),
        ("ESO OCS DET FRAM TYPE", kind.sequence[exposure.number - 1]),
        *array_keywords(),
    )
