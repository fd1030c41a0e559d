"""What all synthetic UVES nights share: the instrument, its arms and chips, headers, and how a chip is read out.

The blue arm has one chip and one image in the primary unit; the red arm has two chips, in extensions since 2004:
the upper chip first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from esorex_bridge.demo.nights.frames import Exposure, Instrument, Keywords, counts, fill_header, fits_bytes

if TYPE_CHECKING:
    import numpy as np

    from esorex_bridge.demo.nights.frames import Image

Arm = Literal["BLUE", "RED"]

UVES = Instrument("UVES", "UVES", "ESO-VLT-U2", pixel_arcsec=0.25)
PRESCAN = OVERSCAN = 50
BIAS_COUNTS = 150.0
READ_NOISE_COUNTS = 3.0
DARK_COUNTS_PER_HOUR = 4.0
CONAD_E_PER_COUNT = 1.8

CHIPS: dict[Arm, tuple[str, ...]] = {"BLUE": ("BLUE",), "RED": ("REDU", "REDL")}
"""In the order of the raw file."""
GRATINGS: dict[Arm, tuple[str, float]] = {"BLUE": ("CD#2", 390.0), "RED": ("CD#3", 580.0)}


def chip_id(chip: str) -> str:
    """Return the serial number of a chip, as in the headers of raws and calibrations."""
    return {"BLUE": "CCD-44b", "REDL": "CCD-44", "REDU": "CCD-20"}[chip]


def read_out(arm: Arm, clean: Image, rng: np.random.Generator) -> Image:
    """Return light on a chip as it is read out: with noise, turned, with prescan and overscan."""
    import numpy as np

    light = clean + rng.normal(0, 1, clean.shape) * np.sqrt(np.maximum(clean, 0) / CONAD_E_PER_COUNT)
    turned = np.rot90(light, 1) if arm == "BLUE" else light.T[::-1, ::-1]
    full = BIAS_COUNTS + rng.normal(0, READ_NOISE_COUNTS, (turned.shape[0], turned.shape[1] + PRESCAN + OVERSCAN))
    full[:, PRESCAN : PRESCAN + turned.shape[1]] += turned
    image: Image = full.astype(np.float32)
    return image


def raw_stream(arm: Arm, binning: tuple[int, int], keywords: Keywords, images: Sequence[Image]) -> bytes:
    """Return the FITS stream of a raw frame.

    Parameters
    ----------
    arm : {'BLUE', 'RED'}
        The arm.
    binning : tuple of int
        Pixels binned across the dispersion and along it.
    keywords : tuple
        The primary header.
    images : sequence of array
        The chips as they are read out, in the order of `CHIPS`.
    """
    from astropy.io import fits

    if arm == "BLUE":
        return fits_bytes(keywords, counts(images[0]))
    extensions = []
    for chip, image in zip(CHIPS[arm], images, strict=True):
        extension = fits.ImageHDU(counts(image))
        length, width = image.shape
        size = width - PRESCAN - OVERSCAN, length
        fill_header(extension.header, (("EXTNAME", chip_id(chip)), *_chip_keywords(*size, binning)))
        extensions.append(extension)
    return fits_bytes(keywords, extensions=extensions)


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
        *(_chip_keywords(height, length, binning) if blue else window_keywords(height, length)),
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
        *window_keywords(height, length),
        *axes,
    )


def window_keywords(height: int, length: int) -> Keywords:
    """Return the size of what is read out."""
    return ("ESO DET WIN1 NX", height + PRESCAN + OVERSCAN), ("ESO DET WIN1 NY", length)
