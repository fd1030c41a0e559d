"""A synthetic UVES night in one arm: a star with absorption lines, and the whole cascade of echelle calibrations.

The blue arm has one chip and one image in the primary unit; the red arm has two chips, in extensions since 2004:
the upper chip first.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import Exposure, Instrument, Keywords, Template, counts, fill_header, fits_bytes
from esorex_bridge.demo.nights.night import ArchiveFile, Night, group
from esorex_bridge.demo.nights.series import FrameSeries, frames, noise
from esorex_bridge.demo.nights.uves_echelle import Echelle, arc, continuum, star
from esorex_bridge.demo.nights.uves_statics import chip_id, line_catalogue, line_guess

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image

Arm = Literal["BLUE", "RED"]

UVES = Instrument("UVES", "UVES", "ESO-VLT-U2", pixel_arcsec=0.25)
PRESCAN = OVERSCAN = 50
BIAS_COUNTS = 150.0
DARK_COUNTS_PER_HOUR = 4.0
CONAD_E_PER_COUNT = 1.8
SLIT_PIX = 16.0
STAR_FWHM_PIX = 4.0
STAR_COUNTS = 500.0
HIT_COUNTS = 15000.0

CHIPS: dict[Arm, tuple[str, ...]] = {"BLUE": ("BLUE",), "RED": ("REDU", "REDL")}
"""In the order of the raw file."""
BINNING: dict[Arm, int] = {"BLUE": 1, "RED": 2}
"""Pixels binned in each direction."""
NOONS = {"BLUE": datetime(2014, 3, 1, 12, 0), "RED": datetime(2014, 3, 8, 12, 0)}
"""When the nights of the arms begin."""
FIRST_STATIC = {"BLUE": 1, "RED": 11}
"""Numbers of static calibrations, from which their names come."""
HEIGHTS: dict[Arm, int] = {"BLUE": 256, "RED": 480}
"""Pixels of each chip across the dispersion. The pipeline knows bad rows of the red chips by heart, up to row 422."""
GRATINGS: dict[Arm, tuple[str, float]] = {"BLUE": ("CD#2", 390.0), "RED": ("CD#3", 580.0)}


class Spectrograph(Struct, frozen=True):
    """What the pixels of all frames depend on.

    Parameters
    ----------
    arm : str
        `BLUE` or `RED`.
    length, height : int
        Pixels of each chip along the dispersion and across it.
    seed : int
        Of lines and noise.
    """

    arm: Arm
    length: int
    height: int
    seed: int

    @property
    def echelles(self) -> tuple[Echelle, ...]:
        """The chips in the order of the raw file."""
        return tuple(echelle_of(chip, self.length, self.height) for chip in CHIPS[self.arm])


class Cascade(Struct, frozen=True):
    """The calibrations of a night by their kind."""

    biases: tuple[ArchiveFile, ...]
    darks: tuple[ArchiveFile, ...]
    definition: tuple[ArchiveFile, ...]
    flats: tuple[ArchiveFile, ...]
    lamps: tuple[ArchiveFile, ...]
    statics: tuple[ArchiveFile, ...]


def echelle_of(chip: str, length: int = 2048, height: int = 256) -> Echelle:
    """Return where orders and wavelengths fall on a chip."""
    middle, wavelength = {"BLUE": (103, 3900.0), "REDL": (107, 5400.0), "REDU": (95, 6200.0)}[chip]
    return Echelle(chip, length, height, tuple(range(middle + 4, middle - 4, -1)), wavelength)


def absorption_lines(echelle: Echelle) -> tuple[float, ...]:
    """Return the wavelengths of the star's lines, one near the middle of every second order."""
    return tuple(round(echelle.wavelength(order, echelle.centre + 20), 3) for order in echelle.orders[1::2])


def cosmic_hits(echelle: Echelle) -> tuple[tuple[int, int], ...]:
    """Return order and x of the pixels that a cosmic ray hits in the science frame, one in each order."""
    return tuple((order, 300 + 150 * index) for index, order in enumerate(echelle.orders))


def uves_night(arm: Arm = "BLUE", length: int = 2048, height: int | None = None, seed: int = 5) -> Night:
    """Return the night of one arm; nothing is computed before a frame is asked for.

    Parameters
    ----------
    arm : {'BLUE', 'RED'}
        The arm.
    length, height : int
        Pixels of each chip along the dispersion and across it, at least 256.
    seed : int
        Nights of different seeds differ in every pixel.
    """
    height = height or HEIGHTS[arm]
    spectrograph = Spectrograph(arm, length, height, seed)

    def taken(
        kind: str, dpr: tuple[str, str, str], start: datetime, count: int, exposure_s: float
    ) -> tuple[ArchiveFile, ...]:
        template = Template(f"UVES_{arm.lower()}_{_template(dpr)}", start, count, 200500001, "UVES_SYNTH")
        series = FrameSeries(UVES, template, f"{kind}_{arm}", dpr, exposure_s, _target(dpr), exposure_s + 60)
        size = 2 * length * height
        return frames(series, partial(_keywords, spectrograph), partial(_stream, spectrograph), size)

    noon = NOONS[arm]
    biases = taken("BIAS", ("CALIB", "BIAS", "IMAGE"), noon, 3, 0.0)
    darks = taken("DARK", ("CALIB", "DARK", "IMAGE"), noon + timedelta(hours=1), 3, 3600.0)
    definition = taken("ORDER_FLAT", ("CALIB", "LAMP,ORDERDEF", "ECHELLE"), noon + timedelta(hours=5), 1, 20.0)
    flats = taken("FLAT", ("CALIB", "LAMP,FLAT", "ECHELLE"), noon + timedelta(hours=5, minutes=10), 3, 20.0)
    lamps = taken("ARC_LAMP", ("CALIB", "LAMP,WAVE", "ECHELLE"), noon + timedelta(hours=5, minutes=30), 1, 60.0)
    science = taken("SCI_POINT", ("SCIENCE", "OBJECT,POINT", "ECHELLE"), noon + timedelta(hours=14), 1, 600.0)
    first = FIRST_STATIC[arm]
    statics = (
        line_catalogue(spectrograph.echelles, seed, first),
        *(
            line_guess(echelle, seed, first + index, _setting_keywords(spectrograph))
            for index, echelle in enumerate(spectrograph.echelles, start=1)
        ),
    )
    tree = _tree(arm, science, Cascade(biases, darks, definition, flats, lamps, statics))
    files = (*biases, *darks, *definition, *flats, *lamps, *science, *statics)
    return Night(f"uves-{arm.lower()}-{length}x{height}-seed{seed}", UVES.name, files, (tree,))


def _tree(arm: Arm, science: tuple[ArchiveFile, ...], calibrations: Cascade) -> AssociationTree:
    """Return the cascade: everything needs the bias, everything echelle needs the order definition."""
    bias = group(f"BIAS_{arm}", calibrations.biases)
    dark = group(f"DARK_{arm}", calibrations.darks, bias)
    orders = group(f"ORDER_FLAT_{arm}", calibrations.definition, bias)
    flat = group(f"FLAT_{arm}", calibrations.flats, bias, dark, orders)
    tables = tuple(group(file.category, (file,), match="N/A") for file in calibrations.statics)
    wave = group(f"ARC_LAMP_{arm}", calibrations.lamps, bias, flat, orders, *tables)
    names = tuple(file.associated for file in science)
    return AssociationTree(Association(f"SCI_POINT_{arm}", names, (bias, dark, orders, flat, wave)), "Raw2Raw")


def _template(dpr: tuple[str, str, str]) -> str:
    names = {
        "BIAS": "cal_bias",
        "DARK": "cal_dark",
        "LAMP,ORDERDEF": "cal_orderdef",
        "LAMP,FLAT": "cal_flat",
        "LAMP,WAVE": "cal_wave",
        "OBJECT,POINT": "obs_exp",
    }
    return names[dpr[1]]


def _target(dpr: tuple[str, str, str]) -> str:
    return "SYNTH-STAR" if dpr[0] == "SCIENCE" else dpr[1]


def _stream(spectrograph: Spectrograph, keywords: Keywords, exposure: Exposure) -> bytes:
    """Return the FITS stream of a raw frame."""
    from astropy.io import fits

    images = [
        counts(_raw_image(spectrograph, echelle, exposure, number))
        for number, echelle in enumerate(spectrograph.echelles)
    ]
    if spectrograph.arm == "BLUE":
        return fits_bytes(keywords, images[0])
    extensions = []
    binning = BINNING[spectrograph.arm]
    for echelle, image in zip(spectrograph.echelles, images, strict=True):
        extension = fits.ImageHDU(image)
        fill_header(
            extension.header,
            (
                ("EXTNAME", chip_id(echelle.chip)),
                *_chip_keywords(spectrograph.height, spectrograph.length, (binning, binning)),
            ),
        )
        extensions.append(extension)
    return fits_bytes(keywords, extensions=extensions)


def _raw_image(spectrograph: Spectrograph, echelle: Echelle, exposure: Exposure, number: int) -> Image:
    """Return a chip as it is read out: turned, with prescan and overscan."""
    import numpy as np

    rng = noise(spectrograph.seed, exposure, number)
    clean = _light(spectrograph, echelle, exposure)
    light = clean + rng.normal(0, 1, clean.shape) * np.sqrt(np.maximum(clean, 0) / CONAD_E_PER_COUNT)
    turned = np.rot90(light, 1) if spectrograph.arm == "BLUE" else light.T[::-1, ::-1]
    full = BIAS_COUNTS + rng.normal(0, 3, (turned.shape[0], turned.shape[1] + PRESCAN + OVERSCAN))
    full[:, PRESCAN : PRESCAN + turned.shape[1]] += turned
    image: Image = full.astype(np.float32)
    return image


def _light(spectrograph: Spectrograph, echelle: Echelle, exposure: Exposure) -> Image:
    import numpy as np

    kind = exposure.dpr[1]
    if kind == "LAMP,ORDERDEF":
        return continuum(echelle, 3.0, 9000.0) + 10
    if kind == "LAMP,FLAT":
        return continuum(echelle, SLIT_PIX, 14000.0) + 10
    if kind == "LAMP,WAVE":
        return arc(echelle, SLIT_PIX, spectrograph.seed) + 10
    if kind == "OBJECT,POINT":
        light = star(echelle, STAR_FWHM_PIX, STAR_COUNTS, absorption_lines(echelle)) + 10
        for order, x in cosmic_hits(echelle):
            light[round(echelle.place(order, x)) - 1, x - 1] += HIT_COUNTS
        return light
    dark = DARK_COUNTS_PER_HOUR * exposure.dit_s / 3600
    return np.full((echelle.height, echelle.length), dark, dtype=np.float32)


def _keywords(spectrograph: Spectrograph, exposure: Exposure) -> Keywords:
    arm, binning = spectrograph.arm, BINNING[spectrograph.arm]
    return instrument_keywords(arm, spectrograph.height, spectrograph.length, (binning, binning), SLIT_PIX, exposure)


def instrument_keywords(
    arm: Arm, height: int, length: int, binning: tuple[int, int], slit_pix: float, exposure: Exposure
) -> Keywords:
    """Return what the instrument adds to a primary header.

    Parameters
    ----------
    arm : {'BLUE', 'RED'}
        The arm.
    height, length : int
        Pixels of a chip across the dispersion and along it.
    binning : tuple of int
        Pixels binned across and along.
    slit_pix : float
        Length of the slit, in pixels that are not binned.
    exposure : Exposure
        What was exposed.
    """
    grating, wavelength = GRATINGS[arm]
    blue = arm == "BLUE"
    slit, wheel = (2, 1) if blue else (3, 2)
    chips = tuple(
        (f"ESO DET CHIP{number} {key}", value)
        for number, chip in enumerate(CHIPS[arm], start=1)
        for key, value in (("NAME", f"{chip} CCD"), ("ID", chip_id(chip)), ("DATE", "2000-01-01"))
    )
    return (
        ("ESO DET CHIPS", len(CHIPS[arm])),
        ("ESO DET OUTPUTS", len(CHIPS[arm])),
        ("ESO DET ID", "CCD FIERA - Rev: 3.96"),
        ("ESO DET NAME", "ccdUvB - ccdUvB" if blue else "ccdUvR - ccdUvR"),
        *chips,
        ("ESO DET WIN1 BINX", binning[0]),
        ("ESO DET WIN1 STRX", 1),
        ("ESO DET WIN1 STRY", 1),
        ("ESO DET WIN1 BINY", binning[1]),
        ("ESO DET WIN1 UIT1", exposure.dit_s),
        ("ESO DET WIN1 DIT1", exposure.dit_s),
        ("ESO DET READ CLOCK", "225kHz,1,low"),
        ("ESO DET READ SPEED", "225kHz,1,low"),
        ("ESO INS PATH", arm),
        ("ESO INS MODE", arm),
        (f"ESO INS GRAT{wheel} NAME", grating),
        (f"ESO INS GRAT{wheel} ID", grating),
        (f"ESO INS GRAT{wheel} WLEN", wavelength),
        ("ESO INS SLIT1 NAME", "FREE"),
        (f"ESO INS SLIT{slit} NAME", "FREE"),
        (f"ESO INS SLIT{slit} WID", 0.5),
        (f"ESO INS SLIT{slit} LEN", slit_pix * UVES.pixel_arcsec),
        ("ESO INS PIXSCALE", UVES.pixel_arcsec),
        ("ESO INS SENS26 MEAN", 743.0),
        ("ESO INS TEMP31 MEAN", 10.0),
        ("ESO INS TEMP1 MEAN", 10.0),
        ("ESO INS TEMP2 MEAN", 10.0),
        ("IMAGETYP", exposure.dpr[1]),
        *(_chip_keywords(height, length, binning) if blue else _window_keywords(height, length)),
    )


def _chip_keywords(height: int, length: int, binning: tuple[int, int]) -> Keywords:
    """Return what a header says of the image in its own unit; along x it is the height of the echelle image."""
    nx, ny = height, length
    axes = tuple(
        (f"{name}{axis}", value)
        for axis in (1, 2)
        for name, value in (
            ("CTYPE", "PIXEL"),
            ("CRVAL", 1.0),
            ("CRPIX", 1.0),
            ("CDELT", float(binning[axis - 1])),
        )
    )
    return (
        ("ESO DET CHIP1 NX", nx),
        ("ESO DET CHIP1 NY", ny),
        ("ESO DET CHIP1 PSZX", 15.0),
        ("ESO DET CHIP1 PSZY", 15.0),
        ("ESO DET OUT1 X", 1),
        ("ESO DET OUT1 Y", 1),
        ("ESO DET OUT1 NX", nx),
        ("ESO DET OUT1 NY", ny),
        ("ESO DET OUT1 PRSCX", PRESCAN),
        ("ESO DET OUT1 PRSCY", 0),
        ("ESO DET OUT1 OVSCX", OVERSCAN),
        ("ESO DET OUT1 OVSCY", 0),
        ("ESO DET OUT1 CONAD", CONAD_E_PER_COUNT),
        ("ESO DET OUT1 GAIN", 1 / CONAD_E_PER_COUNT),
        ("ESO DET OUT1 RON", 3.8),
        *_window_keywords(height, length),
        *axes,
    )


def _window_keywords(height: int, length: int) -> Keywords:
    return ("ESO DET WIN1 NX", height + PRESCAN + OVERSCAN), ("ESO DET WIN1 NY", length)


def _setting_keywords(spectrograph: Spectrograph) -> Keywords:
    """Return what a table made for one setting of an arm says of it."""
    binning, (grating, wavelength) = BINNING[spectrograph.arm], GRATINGS[spectrograph.arm]
    wheel = 1 if spectrograph.arm == "BLUE" else 2
    return (
        ("ESO DET WIN1 BINX", binning),
        ("ESO DET WIN1 BINY", binning),
        ("ESO DET WIN1 STRX", 1),
        ("ESO DET WIN1 STRY", 1),
        *_window_keywords(spectrograph.height, spectrograph.length),
        ("ESO INS MODE", spectrograph.arm),
        (f"ESO INS GRAT{wheel} ID", grating),
        (f"ESO INS GRAT{wheel} WLEN", wavelength),
    )


def uves_red_night() -> Night:
    """Return the night of the red arm."""
    return uves_night("RED")
