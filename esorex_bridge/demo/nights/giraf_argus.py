"""A synthetic night of Argus, GIRAFFE's field of neighbouring lenses: a star, and a standard star whose flux is known.

The real field has 22 by 14 lenses; this one is a corner of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.giraf import (
    ABSORPTION_DEPTH,
    ABSORPTION_NM,
    ABSORPTION_SIGMA_NM,
    BIAS,
    GIRAFFE,
    GirafDetector,
    GirafKind,
    arc_spectrum,
    lamp_spectrum,
    series,
)
from esorex_bridge.demo.nights.giraf_fibres import LENSLETS, FibreSpectrograph, lenslet
from esorex_bridge.demo.nights.giraf_statics import flux_calibrations, static_calibrations
from esorex_bridge.demo.nights.night import DemoNight, group
from esorex_bridge.demo.nights.series import FIELD

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.giraf_fibres import Values

SEED = 6
STANDARD_AT, STAR_AT = (3.3, 2.4), (4.2, 2.7)
"""Column and row in the field, the first lens is (1, 1)."""
SEEING_LENSES = 0.9
"""Sigma of a star."""
STANDARD_COUNTS, STANDARD_S = 20000.0, 300.0
STAR_COUNTS, STAR_S = 12000.0, 1200.0
"""Of the whole star in the brightest pixels of a row, where all light comes through."""
STANDARD_FLUX = 1e-13
"""erg/s/cm**2/Angstrom, at all wavelengths."""
RELATIVE_FLUX = STAR_COUNTS / STAR_S / (STANDARD_COUNTS / STANDARD_S)
EXTINCTION_MAG = 0.3
BLUE_NM, RED_NM, LEAST = 624.0, 631.0, 0.5
"""At `BLUE_NM` `LEAST` of the light comes through, at `RED_NM` all."""


def giraf_argus_night() -> DemoNight:
    """Return the night; nothing is computed before a frame is asked for."""
    detector = GirafDetector(FibreSpectrograph(1024, 2100, slit="Argus"), SEED)
    biases = series(detector, BIAS, datetime(2014, 3, 3, 12, 0), 3, 0.0)
    flats = series(detector, FIBER_FLAT, datetime(2014, 3, 3, 17, 0), 3, 30.0)
    arcs = series(detector, ARC_SPECTRUM, datetime(2014, 3, 3, 18, 0), 1, 60.0)
    standards = series(detector, STD, datetime(2014, 3, 4, 2, 0), 1, STANDARD_S)
    science = series(detector, SCIENCE, datetime(2014, 3, 4, 3, 0), 1, STAR_S)
    statics = static_calibrations(GIRAFFE, detector.spectrograph)
    known = flux_calibrations(GIRAFFE, FIELD, STANDARD_FLUX, EXTINCTION_MAG)
    bias = group("BIAS", biases)
    grating, slit, lines = (group(file.category, (file,), match="N/A") for file in statics)
    # Short exposures go without a dark.
    flat = group("FIBER_FLAT", flats, bias, grating, slit)
    arc = group("ARC_SPECTRUM", arcs, bias, flat, grating, slit, lines)
    basic = (bias, flat, arc, grating, slit)
    standard = group("STD", standards, *basic, *(group(file.category, (file,), match="N/A") for file in known))
    names = tuple(file.associated for file in science)
    tree = AssociationTree(Association("SCIENCE", names, (*basic, standard)), "Raw2Raw")
    files = (*biases, *flats, *arcs, *standards, *science, *statics, *known)
    return DemoNight(f"giraf-argus-seed{SEED}", GIRAFFE.name, files, (tree,))


def throughput(wave_nm: Values) -> Values:
    """Return how much of the light of a star arrives."""
    return LEAST + (1 - LEAST) * (wave_nm - BLUE_NM) / (RED_NM - BLUE_NM)


def share(fibre: int, at: tuple[float, float]) -> float:
    """Return which part of the light of a star at a place falls into a fibre; all of it falls into the field."""
    from math import exp

    def light(number: int) -> float:
        x, y = lenslet(number)
        return exp(-0.5 * ((x - at[0]) ** 2 + (y - at[1]) ** 2) / SEEING_LENSES**2)

    return light(fibre) / sum(light(number) for number in range(LENSLETS[0] * LENSLETS[1]))


def _standard(spectrograph: FibreSpectrograph, fibre: int) -> Values:
    return STANDARD_COUNTS * share(fibre, STANDARD_AT) * throughput(spectrograph.wave_nm(fibre))


def _star(spectrograph: FibreSpectrograph, fibre: int) -> Values:
    import numpy as np

    waves = spectrograph.wave_nm(fibre)
    apart = waves[:, None] - np.array(ABSORPTION_NM)
    depth = ABSORPTION_DEPTH * np.exp(-0.5 * (apart / ABSORPTION_SIGMA_NM) ** 2)
    values: Values = STAR_COUNTS * share(fibre, STAR_AT) * throughput(waves) * (1 - depth.sum(axis=1))
    return values


FIBER_FLAT = GirafKind("FIBER_FLAT", "GIRAF_arg_cal_flat", ("CALIB", "LAMP,FLAT", "IFU"), lamp_spectrum)
ARC_SPECTRUM = GirafKind("ARC_SPECTRUM", "GIRAF_arg_cal_wave", ("CALIB", "LAMP,WAVE", "IFU"), arc_spectrum)
STD = GirafKind("STD", "GIRAF_arg_cal_std", ("CALIB", "STD", "IFU"), _standard)
SCIENCE = GirafKind("SCIENCE", "GIRAF_arg_obs_stare", ("SCIENCE", "OBJECT,ARGUS", "IFU"), _star)
