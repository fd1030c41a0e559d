"""Synthetic VIMOS nights of spectra: what masks and fibres have in common, from the exposure to the association tree.

All frames are of one quadrant. Their dataset is a star; lamps and a standard star, whose flux is known, calibrate it.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights import vimos_grism as grism
from esorex_bridge.demo.nights import vimos_stars as stars
from esorex_bridge.demo.nights.frames import Exposure, Keywords, Template, fits_bytes, primary_keywords
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group
from esorex_bridge.demo.nights.series import FrameSeries, noise
from esorex_bridge.demo.nights.vimos_calibrators import static_calibrations
from esorex_bridge.demo.nights.vimos_detectors import (
    COLUMNS,
    CONAD_E_PER_COUNT,
    OVERSCAN,
    PRESCAN,
    ROWS,
    VIMOS,
    make_unsigned,
    quadrant_keywords,
)
from esorex_bridge.demo.nights.vimos_grism import Light

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image
    from esorex_bridge.demo.nights.vimos_grism import Values

QUADRANT = 4
BIAS_COUNTS, READ_NOISE_COUNTS = 200.0, 4.0
FLAT_COUNTS, ARC_COUNTS = 15000.0, 12000.0


class SpectraKind(Struct, frozen=True):
    """What the exposures of a template are of.

    Parameters
    ----------
    category : str
        The tag in a SOF.
    template : str
        `TPL ID`.
    dpr : tuple of str
        `DPR CATG`, `DPR TYPE`, `DPR TECH`.
    exposure_s : float
        Of each.
    even : Light or None
        What fills slits or lenses evenly, in counts.
    star : Light or None
        A star in the middle, in counts of a row.
    target : str
        Name of the star.
    """

    category: str
    template: str
    dpr: tuple[str, str, str]
    exposure_s: float = 0.0
    even: Light | None = None
    star: Light | None = None
    target: str = ""


class Bench(Protocol):
    """What the light goes through: a mask with slits, or fibres."""

    @property
    def mode(self) -> str:
        """`INS MODE`."""

    @property
    def seed(self) -> int:
        """Nights of different seeds differ in every pixel."""

    def keywords(self) -> Keywords:
        """Return what it adds to a primary header."""

    def paint(self, kind: SpectraKind) -> Image:
        """Return the light on the detector, in counts."""


def _count_lamp(wave_a: Values) -> Values:
    return FLAT_COUNTS * grism.lamp(wave_a)


def _count_sky(exposure_s: float, wave_a: Values) -> Values:
    return 0 * wave_a + 0.03 * exposure_s


def _sky(exposure_s: float) -> Light:
    return Light(partial(_count_sky, exposure_s), grism.scale_lines(grism.SKY_LINES, 0.75 * exposure_s))


def kinds(mode: str) -> dict[str, SpectraKind]:
    """Return what is exposed, by the last word of the category."""
    prefix = f"VIMOS_{mode.lower()}"
    arc = Light(grism.dark, grism.scale_lines(grism.ARC_LINES, ARC_COUNTS))
    lamps = f"{prefix}_cal_NightCalib"
    found = (
        SpectraKind("BIAS", f"{prefix}_cal_Bias", ("CALIB", "BIAS", "IMAGE")),
        SpectraKind(f"{mode}_SCREEN_FLAT", lamps, ("CALIB", "FLAT,LAMP", mode), 10.0, Light(_count_lamp)),
        SpectraKind(f"{mode}_ARC_SPECTRUM", lamps, ("CALIB", "WAVE,LAMP", mode), 5.0, arc),
        SpectraKind(
            f"{mode}_STANDARD",
            f"{prefix}_cal_PhotometryCalib",
            ("CALIB", "STD", mode),
            stars.STANDARD_S,
            _sky(stars.STANDARD_S),
            stars.STANDARD,
            stars.STANDARD_NAME,
        ),
        SpectraKind(
            f"{mode}_SCIENCE",
            f"{prefix}_obs_Offset",
            ("SCIENCE", "OBJECT", mode),
            stars.STAR_S,
            _sky(stars.STAR_S),
            stars.STAR,
        ),
    )
    return {kind.category.rpartition("_")[2]: kind for kind in found}


def series(
    bench: Bench, kind: SpectraKind, start: datetime, exposures: int, begun: datetime | None = None
) -> tuple[ArchiveFile, ...]:
    """Return the frames of a template; `begun` is when it began, where others came first."""
    template = Template(kind.template, start, exposures, 200400002, "VIMOS_SYNTH", begun=begun)
    return tuple(_frame(bench, kind, exposure) for exposure in _exposures(kind, template))


def standard_frame(bench: Bench, kind: SpectraKind, start: datetime) -> ArchiveFile:
    """Return the exposure of a template in which the standard star stands in this quadrant.

    The star goes through all quadrants, one an exposure, and the recipes look at no other exposure.
    """
    template = Template(kind.template, start, 4, 200400003, "VIMOS_SYNTH")
    return _frame(bench, kind, _exposures(kind, template)[QUADRANT - 1])


def _exposures(kind: SpectraKind, template: Template) -> tuple[Exposure, ...]:
    spacing = kind.exposure_s + 60
    return FrameSeries(VIMOS, template, kind.category, kind.dpr, kind.exposure_s, kind.target, spacing).exposures


def _frame(bench: Bench, kind: SpectraKind, exposure: Exposure) -> ArchiveFile:
    whole = primary_keywords(exposure, _keywords(bench, exposure))
    # vmmosscience takes any target that a file of its SOF names for another star than that of the table.
    header = whole if kind.star else tuple(pair for pair in whole if pair[0] != "ESO OBS TARG NAME")
    return ArchiveFile(
        exposure.dp_id, kind.category, header, partial(_stream, bench, kind, header, exposure), COLUMNS * ROWS
    )


def spectra_night(name: str, bench: Bench, noon: datetime) -> DemoNight:
    """Return a night; nothing is computed before a frame is asked for.

    Parameters
    ----------
    name : str
        Of the night.
    bench : Bench
        Mask or fibres.
    noon : datetime
        Before the night; biases are taken then.
    """
    kind = kinds(bench.mode)
    biases = series(bench, kind["BIAS"], noon, 5)
    standard = standard_frame(bench, kind["STANDARD"], noon.replace(hour=22))
    science = series(bench, kind["SCIENCE"], noon.replace(hour=23), 1)
    # Right after the star, before the instrument bends another way.
    lit = noon.replace(hour=23, minute=30)
    flats = series(bench, kind["FLAT"], lit, 3)
    arcs = series(bench, kind["SPECTRUM"], noon.replace(hour=23, minute=40), 1, lit)
    statics = static_calibrations(bench.mode, QUADRANT, noon)
    beside = {file.category: group(file.category, (file,), match="N/A") for file in statics}
    bias, extinction = group("BIAS", biases), beside["EXTINCT_TABLE"]
    settings = tuple(beside[category] for category in ("CONFIG_TABLE",) if category in beside)
    lamps = group(f"{bench.mode}_CAL", (*flats, *arcs), bias, beside["LINE_CATALOG"], *settings)
    basic = (bias, lamps, extinction, *settings)
    star = group(f"{bench.mode}_STANDARD", (standard,), *basic, beside["STD_FLUX_TABLE"])
    names = tuple(file.associated for file in science)
    tree = AssociationTree(Association(f"{bench.mode}_SCIENCE", names, (*basic, star)), "Raw2Raw")
    files = (*biases, *flats, *arcs, standard, *science, *statics)
    return DemoNight(name, VIMOS.name, files, (tree,), kept=False)


@lru_cache(maxsize=4)
def sensitivity(seed: int) -> Image:
    """Return how sensitive each pixel is, 1 on average."""
    import numpy as np

    return (1 + 0.03 * np.random.default_rng(seed).standard_normal((ROWS, COLUMNS))).astype(np.float32)


def _keywords(bench: Bench, exposure: Exposure) -> Keywords:
    lamps = exposure.dpr[1].partition(",")[2] == "LAMP"
    return (
        *quadrant_keywords(QUADRANT, exposure.dit_s, mode=bench.mode, filter_name=grism.FILTER),
        (f"ESO INS GRIS{QUADRANT} NAME", grism.NAME),
        (f"ESO INS GRIS{QUADRANT} ID", f"vm-LRred-{QUADRANT}.6"),
        (f"ESO INS FOCU{QUADRANT} TEMP", 11.0),
        ("ESO ADA ABSROT START", 0.0),
        ("ESO ADA ABSROT END", 0.0),
        ("ESO ADA POSANG", 0.0),
        ("ESO TEL FOCU SCALE", 0.578),
        *bench.keywords(),
        *((("ESO INS LAMP1 STATE", True),) if lamps else ()),
    )


def _stream(bench: Bench, kind: SpectraKind, keywords: Keywords, exposure: Exposure) -> bytes:
    return fits_bytes(keywords, make_unsigned(_image(bench, kind, exposure)))


def _image(bench: Bench, kind: SpectraKind, exposure: Exposure) -> Image:
    """Return bias everywhere, and light between prescan and overscan."""
    import numpy as np

    rng = noise(bench.seed, exposure)
    image = rng.standard_normal((ROWS, COLUMNS + PRESCAN + OVERSCAN), dtype=np.float32)
    image *= READ_NOISE_COUNTS
    image += BIAS_COUNTS
    if kind.even is not None:
        light = bench.paint(kind) * sensitivity(bench.seed)
        light += rng.standard_normal(light.shape, dtype=np.float32) * np.sqrt(light / CONAD_E_PER_COUNT)
        image[:, PRESCAN : PRESCAN + COLUMNS] += light
    return image
