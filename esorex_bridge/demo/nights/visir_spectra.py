"""Synthetic VISIR nights of spectroscopy, with the detector since 2012: a prism with a long slit, and an echelle.

Raw spectra run along x, their red end first, tilted and bent as those of the real instrument: the recipes straighten
them by numbers of their own. Rows that no light reaches tell what each column of the detector adds by itself. Chopping
goes along the slit and nodding by as much the other way: the star stands at one place twice, and once on each side.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import FWHM_PER_SIGMA, Exposure, Keywords, Template, fits_bytes
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group
from esorex_bridge.demo.nights.series import FIELD, FrameSeries, frames, noise
from esorex_bridge.demo.nights.tables import describe_processed, table
from esorex_bridge.demo.nights.visir_aquarius import (
    CHOP_CYCLES,
    DIT_S,
    STANDARD,
    VISIR,
    Pixels,
    chopped_bytes,
    describe_chopping,
    describe_setting,
    describe_sky,
    nod_of,
    take_lamp_frames,
)
from esorex_bridge.demo.nights.visir_sky import listed_emissivities, sky_brightness, sky_statics
from esorex_bridge.files import DpId

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from esorex_bridge.demo.nights.visir_aquarius import Dpr

    Spectrum = NDArray[Any]

SPECTRAL_PIX = 1024
PIXEL_ARCSEC, SLIT_ARCSEC = 0.076, 0.4
SKY_COUNTS, READ_NOISE, BIAS_COUNTS = 10000.0, 8.0, 500.0
STAR_FWHM_PIX = 5.9
LINE_SIGMA_PIX = 1.9
UNLIT_ROWS = 24
SPECTRUM_TILT_DEG, SLIT_TILT_DEG, BEND_PIX = 0.52, 1.73, -0.8
"""What the recipes take the spectra to be tilted and bent by."""
SHIFT_PIX = 3.0
"""By how much the spectra lie beside where the recipes foresee them."""
STANDARD_COUNTS, SCIENCE_COUNTS = 3000.0, 2000.0
"""Of the stars, in each row of the first wavelength and half a cycle."""
EVENING, MORNING = datetime(2016, 5, 3, 2, 0), datetime(2016, 5, 3, 11, 0)


class Order(Struct, frozen=True):
    """A spectrum on the detector.

    Parameters
    ----------
    row : float
        Where the star stands in it, from 1, in the middle of the detector.
    height : float
        How long the slit is, in pixels.
    dispersion_um : tuple of float
        Coefficients of the wavelength in micrometres over the pixel, from 1, as the recipes foresee it.
    """

    row: float
    height: float
    dispersion_um: tuple[float, ...]

    def wavelength_um(self, pixel: Any) -> Any:
        """Return the true wavelength at a pixel of the straightened spectrum, counted from 1 at the blue end."""
        import numpy as np

        return np.polynomial.polynomial.polyval(pixel + SHIFT_PIX, self.dispersion_um)


class Spectrograph(Struct, frozen=True):
    """A mode of spectroscopy.

    Parameters
    ----------
    name : str
        `INS RESOL`.
    rows : int
        Height of the frames.
    throw_pix : float
        Of chopping and nodding.
    orders : tuple of Order
        What falls on the detector.
    bands : tuple of (float, float, float)
        Where the sky has lines, and how wide: see `visir_sky`.
    keywords : tuple
        What a header says of the mode.
    """

    name: str
    rows: int
    throw_pix: float
    orders: tuple[Order, ...]
    bands: tuple[tuple[float, float, float], ...]
    keywords: Keywords


PRISM = Spectrograph(
    "LRP",
    256,
    60.0,
    (Order(128.5, 208.0, (6.8126, 9.2488e-3, -2.22766e-6)),),
    ((6.6, 14.6, 0.016),),
    (("ESO INS PRIS WLEN", 10.91), ("ESO INS FILT2 NAME", "LRP")),
)
ECHELLE_ORDERS = {10: 133.63, 11: 238.66, 12: 326.20, 13: 400.34, 14: 464.0, 15: 519.28}
"""Where the orders fall that the recipe looks for beside the main one, 11."""
MAIN_ORDER, MAIN_START_UM, MAIN_STEP_UM = 11, 12.7669, 8.29886e-5


def _echelle_order(number: int, row: float) -> Order:
    scale = MAIN_ORDER / number
    return Order(row, 34.0, (MAIN_START_UM * scale, MAIN_STEP_UM * scale))


def _echelle_band(number: int) -> tuple[float, float, float]:
    scale = MAIN_ORDER / number
    step, start = MAIN_STEP_UM * scale, MAIN_START_UM * scale
    return round(start - 80 * step, 4), round(start + (SPECTRAL_PIX + 80) * step, 4), round(6 * step, 6)


ECHELLE = Spectrograph(
    "HRG",
    1024,
    300.0,
    tuple(_echelle_order(number, row) for number, row in ECHELLE_ORDERS.items()),
    tuple(_echelle_band(number) for number in sorted(ECHELLE_ORDERS, reverse=True)),
    (("ESO INS GRAT1 WLEN", 12.81), ("ESO INS GRAT1 NAME", "HRG"), ("ESO INS FILT2 NAME", "NEII_2")),
)


def visir_spectra_night(seed: int = 13) -> DemoNight:
    """Return a night with the prism; nothing is computed before a frame is asked for."""
    pixels = Pixels(SPECTRAL_PIX, PRISM.rows, seed)
    mode = _mode_keywords(PRISM)
    darks = take_lamp_frames(pixels, "SPEC_CAL_DARK", ("CALIB", "DARK", "SPECTRUM"), MORNING, 3, mode)
    flats = take_lamp_frames(
        pixels, "SPEC_CAL_FLAT", ("CALIB", "FLAT,LAMP", "SPECTRUM,DIRECT"), MORNING.replace(hour=12), 4, mode
    )
    beside = (group("SPEC_CAL_FLAT", flats), group("SPEC_CAL_DARK", darks))
    raws = (*darks, *flats)
    return _night(PRISM, ("SPEC_OBS_LMR", "SPEC_CAL_PHOT"), "SPECTRUM,CHOPNOD", EVENING, seed, raws, beside)


def visir_echelle_night(seed: int = 14) -> DemoNight:
    """Return a night with the echelle; nothing is computed before a frame is asked for."""
    start = EVENING.replace(day=4)
    return _night(ECHELLE, ("SPEC_OBS_HRG", "SPEC_CAL_PHOT_HRG"), "ECHELLE,CHOPNOD", start, seed)


def _night(
    mode: Spectrograph,
    categories: tuple[str, str],
    technique: str,
    start: datetime,
    seed: int,
    raws: tuple[ArchiveFile, ...] = (),
    beside: tuple[Association, ...] = (),
) -> DemoNight:
    science = _stars(mode, categories[0], ("SCIENCE", "OBJECT", technique), start, seed)
    standards = _stars(mode, categories[1], ("CALIB", "STD", technique), start.replace(hour=3), seed)
    lines, efficiency = sky_statics(2 if mode == PRISM else 5, mode.bands)
    catalogue = _catalogue_of_standards()
    statics = tuple(group(file.category, (file,), match="N/A") for file in (lines, efficiency))
    cascade = (
        *statics,
        group(categories[1], standards, *statics, group("SPEC_STD_CATALOG", (catalogue,), match="N/A")),
        *beside,
    )
    tree = AssociationTree(Association(categories[0], tuple(file.associated for file in science), cascade), "Raw2Raw")
    files = (*raws, *science, *standards, lines, efficiency, catalogue)
    return DemoNight(f"visir-{mode.name.lower()}-seed{seed}", VISIR.name, files, (tree,))


def _stars(mode: Spectrograph, category: str, dpr: Dpr, start: datetime, seed: int) -> tuple[ArchiveFile, ...]:
    science = dpr[0] == "SCIENCE"
    number = 200400201 if science else 200400202
    template = Template("VISIR_spec_obs_AutoChopNod", start, 2, number, "SYNTH-011" if science else "Calibration")
    series = FrameSeries(VISIR, template, category, dpr, DIT_S, "SYNTH-STAR" if science else STANDARD)
    pixels = Pixels(SPECTRAL_PIX, mode.rows, seed)

    def describe(exposure: Exposure) -> Keywords:
        moved = -mode.throw_pix if nod_of(exposure) == "B" else 0.0
        throw = mode.throw_pix * PIXEL_ARCSEC
        chopping = describe_chopping(exposure, "PARALLEL", throw, moved)
        return (*describe_setting(_mode_keywords(mode)), *chopping, *describe_sky(pixels, PIXEL_ARCSEC))

    return frames(series, describe, partial(_spectra_bytes, mode, seed), 20 * SPECTRAL_PIX * mode.rows)


def _mode_keywords(mode: Spectrograph) -> Keywords:
    return (
        ("ESO INS MODE", "SPC"),
        ("ESO INS RESOL", mode.name),
        ("ESO INS SLIT1 WID", SLIT_ARCSEC),
        ("ESO INS SLIT1 NAME", f"ST_{SLIT_ARCSEC}"),
        ("ESO INS PFOV", f"{PIXEL_ARCSEC:.3f}"),
        *mode.keywords,
    )


def standard_counts(wavelength_um: Any) -> Any:
    """Return what the standard star gives in a row of its spectrum, in half a cycle."""
    return STANDARD_COUNTS * (10.0 / wavelength_um) ** 1.0


def science_counts(wavelength_um: Any) -> Any:
    """Return what the star of the science frames gives in a row of its spectrum, in half a cycle."""
    return SCIENCE_COUNTS * (10.0 / wavelength_um) ** -0.5


def _spectra_bytes(mode: Spectrograph, seed: int, keywords: Keywords, exposure: Exposure) -> bytes:
    counts = science_counts if exposure.dpr[0] == "SCIENCE" else standard_counts
    # The star stands at its place while the mirror is on in nodding position A, and while it is off in B.
    places = (0.0, mode.throw_pix) if nod_of(exposure) == "A" else (-mode.throw_pix, 0.0)
    sky, rng = _lit_by_sky(mode), noise(seed, exposure)
    halves = [BIAS_COUNTS + sky + _starlight(mode, counts, place) for place in places]
    shape = (mode.rows, SPECTRAL_PIX)
    return chopped_bytes(keywords, [half + rng.normal(0, READ_NOISE, shape) for half in halves * CHOP_CYCLES])


def _straighten(mode: Spectrograph) -> tuple[Any, Any]:
    """Return for each raw pixel where it comes to lie: the pixel along the spectrum from the blue end, and the row."""
    import numpy as np

    y, x = np.mgrid[0 : mode.rows, 0:SPECTRAL_PIX].astype(float)
    along, across = x - (SPECTRAL_PIX - 1) / 2, y - (mode.rows - 1) / 2
    column = x + np.tan(np.radians(SLIT_TILT_DEG)) * across
    row = y + np.tan(np.radians(SPECTRUM_TILT_DEG)) * along - BEND_PIX * (2 * along / SPECTRAL_PIX) ** 2
    return SPECTRAL_PIX - column, row + 1


@lru_cache(maxsize=2)
def _lit_by_sky(mode: Spectrograph) -> Spectrum:
    """Return the light of the sky in a raw frame."""
    import numpy as np

    pixels, rows = _straighten(mode)
    image = np.zeros((mode.rows, SPECTRAL_PIX))
    for order in mode.orders:
        fine = np.arange(-40, SPECTRAL_PIX + 40, 1.0)
        bright = sky_brightness(order.wavelength_um(fine), listed_emissivities(mode.bands))
        blurred = np.convolve(bright / np.median(bright) * SKY_COUNTS, _line_profile(), "same")
        image += np.where(np.abs(rows - order.row) < order.height / 2, np.interp(pixels, fine, blurred), 0.0)
    image[:UNLIT_ROWS] = image[-UNLIT_ROWS:] = 0.0
    return image


def _line_profile() -> Spectrum:
    """Return what the spectrograph makes of a line: the slit, blurred."""
    import numpy as np

    reach = np.arange(-12, 13)
    slit = np.where(np.abs(reach) <= (SLIT_ARCSEC / PIXEL_ARCSEC) / 2, 1.0, 0.0)
    profile = np.convolve(slit, np.exp(-((reach / LINE_SIGMA_PIX) ** 2) / 2), "same")
    normalised: Spectrum = profile / profile.sum()
    return normalised


def _starlight(mode: Spectrograph, counts: Any, place_pix: float) -> Spectrum:
    """Return the light of a star that stands that far along the slit from its place."""
    import numpy as np

    pixels, rows = _straighten(mode)
    sigma = STAR_FWHM_PIX / FWHM_PER_SIGMA
    image = np.zeros((mode.rows, SPECTRAL_PIX))
    for order in mode.orders:
        away = rows - order.row - place_pix
        profile = np.exp(-((away / sigma) ** 2) / 2) / (sigma * np.sqrt(2 * np.pi))
        within = np.abs(rows - order.row) < order.height / 2
        image += np.where(within, counts(order.wavelength_um(pixels)) * profile, 0.0)
    return image


def _catalogue_of_standards() -> ArchiveFile:
    dp_id = DpId("M.VISIR.2016-01-01T00:00:04.404")
    keywords = describe_processed(dp_id, VISIR.name, "SPEC_STD_CATALOG")
    return ArchiveFile(dp_id, "SPEC_STD_CATALOG", keywords, partial(_catalogue_bytes, keywords))


def _catalogue_bytes(keywords: Keywords) -> bytes:
    """Return the spectra of standard stars: the flux in W/m2/m over the wavelength in micrometres."""
    import numpy as np

    wavelengths = np.linspace(5.0, 20.0, 151)
    flux = 1e-3 * (10.0 / wavelengths) ** 2
    form = f"{wavelengths.size}D"
    columns: dict[str, tuple[str, Any]] = {
        "STARS": ("16A", [STANDARD, "SYNTH-FAR"]),
        "RA": ("1D", [FIELD[0], FIELD[0] + 30]),
        "DEC": ("1D", [FIELD[1], FIELD[1] + 10]),
        "WAVELENGTHS": (form, [wavelengths, wavelengths]),
        "MODEL_FLUX": (form, [flux, flux]),
    }
    return fits_bytes(keywords, extensions=[table(columns, "STANDARDS")])
