"""A synthetic GIRAFFE night: fibre spectra of stars with bias, dark, fibre flat and arc, that calibrate them.

The recipes read a region for the quality of the bias that needs more than two thousand rows; the region of the
prescan that they fit the bias from goes to row 4095 by default, which smaller frames do not have.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import Exposure, Instrument, Keywords, Template, counts, fits_bytes
from esorex_bridge.demo.nights.giraf_fibres import (
    CENTRE_NM,
    GROOVES_PER_MM,
    MODES,
    ORDER,
    SETUP,
    FibreSpectrograph,
    fibre_extensions,
    lamp,
    spread,
    transmission,
)
from esorex_bridge.demo.nights.giraf_statics import arc_lines, static_calibrations
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group
from esorex_bridge.demo.nights.series import FrameSeries, frames, noise

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image
    from esorex_bridge.demo.nights.giraf_fibres import Values

GIRAFFE = Instrument("GIRAFFE", "GIRAF", "ESO-VLT-U2", pixel_arcsec=0.3)
PRESCAN = OVERSCAN = 50
BIAS_COUNTS = 200.0
READ_NOISE_COUNTS = 3.0
CONAD_E_PER_COUNT = 0.59
DARK_COUNTS_PER_HOUR = 4.0
LAMP_COUNTS, ARC_COUNTS, STAR_COUNTS = 8000.0, 6000.0, 3000.0
"""In the brightest pixel of a fibre."""
ABSORPTION_NM = (625.1, 626.2, 627.0, 628.4, 629.5)
"""Lines in the spectrum of every star."""
ABSORPTION_DEPTH, ABSORPTION_SIGMA_NM = 0.6, 0.03


class GirafKind(Struct, frozen=True):
    """What the exposures of a template are of.

    Parameters
    ----------
    category : str
        The tag in a SOF.
    template : str
        `TPL ID`.
    dpr : tuple of str
        `DPR CATG`, `DPR TYPE`, `DPR TECH`.
    spectrum : callable or None
        Returns what falls into a fibre, in counts of the brightest pixel of each row; none in the dark.
    """

    category: str
    template: str
    dpr: tuple[str, str, str]
    spectrum: Callable[[FibreSpectrograph, int], Values] | None = None


class GirafDetector(Struct, frozen=True):
    """What the pixels of all frames depend on.

    Parameters
    ----------
    spectrograph : FibreSpectrograph
        Size, and the place of the fibres.
    seed : int
        Of noise.
    """

    spectrograph: FibreSpectrograph
    seed: int


def giraf_night(columns: int = 1024, rows: int = 2100, seed: int = 5) -> DemoNight:
    """Return the night; nothing is computed before a frame is asked for.

    Parameters
    ----------
    columns, rows : int
        Size without prescan and overscan; `gimasterbias` crashes below about 1024 by 2100.
    seed : int
        Nights of different seeds differ in every pixel.
    """
    detector = GirafDetector(FibreSpectrograph(columns, rows), seed)
    biases = series(detector, BIAS, datetime(2014, 3, 1, 12, 0), 3, 0.0)
    darks = series(detector, DARK, datetime(2014, 3, 1, 13, 0), 3, 3600.0)
    flats = series(detector, FIBER_FLAT, datetime(2014, 3, 1, 17, 0), 3, 30.0)
    arcs = series(detector, ARC_SPECTRUM, datetime(2014, 3, 1, 18, 0), 1, 60.0)
    science = series(detector, SCIENCE, datetime(2014, 3, 2, 3, 0), 1, 1800.0)
    statics = static_calibrations(GIRAFFE, detector.spectrograph)
    bias = group("BIAS", biases)
    dark = group("DARK", darks, bias)
    grating, slit, lines = (group(file.category, (file,), match="N/A") for file in statics)
    # Short exposures go without a dark.
    flat = group("FIBER_FLAT", flats, bias, grating, slit)
    arc = group("ARC_SPECTRUM", arcs, bias, flat, grating, slit, lines)
    names = tuple(file.associated for file in science)
    tree = AssociationTree(Association("SCIENCE", names, (bias, dark, flat, arc, grating, slit)), "Raw2Raw")
    files = (*biases, *darks, *flats, *arcs, *science, *statics)
    return DemoNight(f"giraf-{columns}x{rows}-seed{seed}", GIRAFFE.name, files, (tree,))


def series(
    detector: GirafDetector, kind: GirafKind, start: datetime, exposures: int, exposure_s: float
) -> tuple[ArchiveFile, ...]:
    """Return the frames of a template.

    Parameters
    ----------
    detector : GirafDetector
        Taken with.
    kind : GirafKind
        What they are of.
    start : datetime
        When they begin, UT.
    exposures : int
        How many.
    exposure_s : float
        Of each.
    """
    template = Template(kind.template, start, exposures, 200600001, "GIRAF_SYNTH")
    taken = FrameSeries(GIRAFFE, template, kind.category, kind.dpr, exposure_s, spacing_s=exposure_s + 60)
    size = detector.spectrograph
    return frames(taken, partial(_keywords, size), partial(_stream, detector, kind), size.columns * size.rows)


def _stream(detector: GirafDetector, kind: GirafKind, keywords: Keywords, exposure: Exposure) -> bytes:
    """Return the FITS stream of a raw frame: the image, and with light in the fibres the tables of the fibres."""
    extensions = fibre_extensions(detector.spectrograph) if kind.spectrum else []
    return fits_bytes(keywords, counts(_image(detector, kind, exposure)), extensions)


def _image(detector: GirafDetector, kind: GirafKind, exposure: Exposure) -> Image:
    """Return bias everywhere, and dark current and light between prescan and overscan."""
    import numpy as np

    rng = noise(detector.seed, exposure)
    columns, rows = detector.spectrograph.columns, detector.spectrograph.rows
    image = BIAS_COUNTS + rng.normal(0, READ_NOISE_COUNTS, (rows, columns + PRESCAN + OVERSCAN)).astype(np.float32)
    exposed = rng.poisson(DARK_COUNTS_PER_HOUR * exposure.dit_s / 3600, (rows, columns)).astype(np.float32)
    if kind.spectrum is not None:
        light = np.zeros((rows, columns), np.float32)
        for fibre in range(detector.spectrograph.fibres):
            spread(
                detector.spectrograph, fibre, transmission(fibre) * kind.spectrum(detector.spectrograph, fibre), light
            )
        exposed += light + rng.normal(0, 1, light.shape) * np.sqrt(light / CONAD_E_PER_COUNT)
    image[:, PRESCAN : PRESCAN + columns] += exposed
    return image


def lamp_spectrum(spectrograph: FibreSpectrograph, fibre: int) -> Values:
    """Return the light of the flat's lamp."""
    return LAMP_COUNTS * lamp(spectrograph)


def arc_spectrum(spectrograph: FibreSpectrograph, fibre: int) -> Values:
    """Return the light of the lamp with lines."""
    import numpy as np

    waves, strengths = np.array(arc_lines(spectrograph)).T
    apart = spectrograph.wave_nm(fibre)[:, None] - waves
    values: Values = ARC_COUNTS * (strengths * np.exp(-0.5 * (apart / spectrograph.line_sigma_nm) ** 2)).sum(axis=1)
    return values


def _star(spectrograph: FibreSpectrograph, fibre: int) -> Values:
    import numpy as np

    apart = spectrograph.wave_nm(fibre)[:, None] - np.array(ABSORPTION_NM)
    depth = ABSORPTION_DEPTH * np.exp(-0.5 * (apart / ABSORPTION_SIGMA_NM) ** 2)
    values: Values = STAR_COUNTS * lamp(spectrograph) * (1 - depth.sum(axis=1))
    return values


BIAS = GirafKind("BIAS", "GIRAF_gen_cal_bias", ("CALIB", "BIAS", "IMAGE"))
DARK = GirafKind("DARK", "GIRAF_gen_cal_dark", ("CALIB", "DARK", "IMAGE"))
FIBER_FLAT = GirafKind("FIBER_FLAT", "GIRAF_med_cal_flat", ("CALIB", "LAMP,FLAT", "MOS"), lamp_spectrum)
ARC_SPECTRUM = GirafKind("ARC_SPECTRUM", "GIRAF_med_cal_wave", ("CALIB", "LAMP,WAVE", "MOS"), arc_spectrum)
SCIENCE = GirafKind("SCIENCE", "GIRAF_med_obs_stare", ("SCIENCE", "OBJECT,OzPoz", "MOS"), _star)


def _keywords(spectrograph: FibreSpectrograph, exposure: Exposure) -> Keywords:
    columns, rows = spectrograph.columns, spectrograph.rows
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
        ("ESO DET OUT1 CONAD", CONAD_E_PER_COUNT),
        ("ESO DET OUT1 GAIN", 1 / CONAD_E_PER_COUNT),
        ("ESO DET OUT1 RON", READ_NOISE_COUNTS),
        ("ESO DET WIN1 BINX", 1),
        ("ESO DET WIN1 BINY", 1),
        ("ESO DET WIN1 NX", columns + PRESCAN + OVERSCAN),
        ("ESO DET WIN1 NY", rows),
        ("ESO DET WIN1 STRX", 1),
        ("ESO DET WIN1 STRY", 1),
        ("ESO DET READ CLOCK", "225kHz,1,low"),
        ("ESO DET READ MODE", "normal"),
        ("ESO DET READ SPEED", "225kHz"),
        ("ESO INS EXP MODE", SETUP),
        ("ESO INS FILT NAME", SETUP),
        ("ESO INS GRAT NAME", "HR"),
        ("ESO INS GRAT ID", "HR"),
        # In grooves a nanometre.
        ("ESO INS GRAT GROOVES", GROOVES_PER_MM * 1e-6),
        ("ESO INS GRAT ORDER", ORDER),
        ("ESO INS GRAT WLEN", CENTRE_NM),
        ("ESO INS MODE", MODES[spectrograph.slit]),
        ("ESO INS SLIT NAME", spectrograph.slit),
        ("ESO INS SLITS ID", spectrograph.slit),
        ("ESO INS LAMP4 ST", False),
        ("ESO INS LAMP5 ST", False),
    )
