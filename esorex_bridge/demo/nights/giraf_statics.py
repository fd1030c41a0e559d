"""What the recipes of GIRAFFE take beside calibrations: the grating, the geometry of the slit, a catalogue of lines."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from esorex_bridge.demo.nights import giraf_fibres as optics
from esorex_bridge.demo.nights.frames import Instrument, Keywords, fits_bytes
from esorex_bridge.demo.nights.giraf_fibres import FibreSpectrograph
from esorex_bridge.demo.nights.night import ArchiveFile
from esorex_bridge.demo.nights.tables import describe_processed, table
from esorex_bridge.files import DpId

LINES = 60
ANGSTROM = [6000.0 + 10 * step for step in range(61)]
"""Wavelengths of what is known of standard stars and of the atmosphere."""
CLOSEST_NM = 0.07
"""Lines that are closer than a search window of the recipe would be left out."""


def of_widest_slit(spectrograph: FibreSpectrograph) -> FibreSpectrograph:
    """Return the same detector behind the slit of Medusa, whose fibres have the fewest wavelengths in common."""
    return FibreSpectrograph(spectrograph.columns, spectrograph.rows)


@lru_cache(maxsize=4)
def arc_lines(spectrograph: FibreSpectrograph) -> tuple[tuple[float, float], ...]:
    """Return wavelengths (nm) and relative strengths of the arc's lines, all of which all fibres of all slits see."""
    import numpy as np

    rng = np.random.default_rng([spectrograph.rows, LINES])
    first, last = of_widest_slit(spectrograph).coverage_nm()
    step = (last - first - 0.2) / LINES
    places = first + 0.1 + step * (np.arange(LINES) + 0.5) + rng.uniform(-0.5, 0.5, LINES) * (step - CLOSEST_NM)
    strengths = rng.uniform(0.3, 1.0, LINES)
    return tuple(zip(places.round(4).tolist(), strengths.round(3).tolist(), strict=True))


def static_calibrations(instrument: Instrument, spectrograph: FibreSpectrograph) -> tuple[ArchiveFile, ...]:
    """Return grating, geometry of the slit, and lines; of another slit the geometry alone is another."""
    slit: Keywords = (
        ("ESO INS MODE", optics.MODES[spectrograph.slit]),
        ("ESO INS EXP MODE", optics.SETUP),
        ("ESO INS SLIT NAME", spectrograph.slit),
    )
    second = 2 if spectrograph.slit == "Medusa1" else 4
    return (
        static(instrument, 1, "GRATING_DATA", (("ESO INS GRAT ID", "HR"),), partial(_grating, spectrograph)),
        static(instrument, second, "SLIT_GEOMETRY_SETUP", slit, partial(_slit_geometry, spectrograph)),
        static(instrument, 3, "LINE_CATALOG", (), partial(_line_catalogue, spectrograph)),
    )


def flux_calibrations(instrument: Instrument, sky: tuple[float, float], flux: float, extinction_mag: float) -> Any:
    """Return what a standard star is held against: its flux, and what the atmosphere takes away.

    Parameters
    ----------
    instrument : Instrument
        Whose files they are.
    sky : tuple of float
        Right ascension and declination of the star, degrees.
    flux : float
        Of the star, erg/s/cm**2/Angstrom, at all wavelengths.
    extinction_mag : float
        Magnitudes that are lost in the zenith, at all wavelengths.
    """
    return (
        static(instrument, 5, "FLUX_STANDARDS", (), partial(_flux_standards, sky, flux)),
        static(instrument, 6, "ATMOSPHERIC_EXTINCTION", (), partial(_extinction, extinction_mag)),
    )


def static(
    instrument: Instrument, number: int, category: str, more: Keywords, extension: Callable[[], Any]
) -> ArchiveFile:
    """Return a static calibration with one extension."""
    dp_id = DpId(f"M.GIRAFFE.2014-01-15T12:00:{number:02d}.{123 + 77 * number}")
    keywords = describe_processed(dp_id, instrument.name, category, more)
    return ArchiveFile(dp_id, category, keywords, partial(_bytes, keywords, extension))


def _bytes(keywords: Keywords, extension: Callable[[], Any]) -> bytes:
    return fits_bytes(keywords, extensions=[extension()])


def _grating(spectrograph: FibreSpectrograph) -> Any:
    first, last = of_widest_slit(spectrograph).coverage_nm()
    columns: dict[str, tuple[str, Any]] = {
        "GRAT": ("10A", ["HR"]),
        "SETUP": ("10A", [optics.SETUP]),
        "ORDER": ("1J", [optics.ORDER]),
        "WLEN0": ("1D", [optics.CENTRE_NM]),
        "WLMIN": ("1D", [first]),
        "WLMAX": ("1D", [last]),
        "BAND": ("1D", [last - first]),
        "RMED": ("1J", [optics.RESOLUTION]),
        "RIFA": ("1J", [optics.RESOLUTION]),
        "THETA": ("1D", [optics.GRATING_ANGLE_RAD]),
        "FCOLL": ("1D", [optics.COLLIMATOR_MM]),
        "GCAM": ("1D", [optics.MAGNIFICATION]),
        "SDX": ("1D", [0.0]),
        "SDY": ("1D", [0.0]),
        "SPHI": ("1D", [0.0]),
    }
    return table(columns, "GRATING_DATA")


def _slit_geometry(spectrograph: FibreSpectrograph) -> Any:
    numbers = list(range(1, spectrograph.fibres + 1))
    nothing = [0.0] * len(numbers)
    columns: dict[str, tuple[str, Any]] = {
        "INDEX": ("1J", numbers),
        "FPS": ("1J", numbers),
        "SSN": ("1J", [1] * len(numbers)),
        "PSSN": ("1J", numbers),
        "RP": ("1J", numbers),
        "XF": ("1D", [spectrograph.slit_mm(number - 1)[0] for number in numbers]),
        "YF": ("1D", [spectrograph.slit_mm(number - 1)[1] for number in numbers]),
        "ZF": ("1D", nothing),
        "ZDEFOCUS": ("1D", nothing),
    }
    return table(columns, "SLIT_GEOMETRY_SETUP")


def _line_catalogue(spectrograph: FibreSpectrograph) -> Any:
    lines = arc_lines(spectrograph)
    columns: dict[str, tuple[str, Any]] = {
        "WLEN": ("1D", [wave for wave, _ in lines]),
        "FLUX": ("1D", [10000 * strength for _, strength in lines]),
        "FLAGS": ("1J", [0] * len(lines)),
    }
    return table(columns, "LINE_CATALOG")


def _flux_standards(sky: tuple[float, float], flux: float) -> Any:
    rows = len(ANGSTROM)
    columns: dict[str, tuple[str, Any]] = {
        "OBJECT": ("16A", ["SYNTH-STD"]),
        "RA_DEG": ("1D", [sky[0]]),
        "DEC_DEG": ("1D", [sky[1]]),
        "NDATA": ("1J", [rows]),
        "LAMBDA": (f"{rows}E", [ANGSTROM]),
        "F_LAMBDA": (f"{rows}E", [[flux * 1e16] * rows]),
        "BIN_WIDTH": (f"{rows}E", [[10.0] * rows]),
    }
    return _give_units(
        table(columns, "FLUX_STANDARDS"),
        {"LAMBDA": "Angstrom", "F_LAMBDA": "10**(-16)erg/s/cm2/Angstrom", "BIN_WIDTH": "Angstrom"},
    )


def _extinction(magnitudes: float) -> Any:
    columns = {"LAMBDA": ("1D", ANGSTROM), "PARANAL": ("1D", [magnitudes] * len(ANGSTROM))}
    return _give_units(table(columns, "ATMOSPHERIC_EXTINCTION"), {"LAMBDA": "Angstrom"})


def _give_units(extension: Any, units: dict[str, str]) -> Any:
    for column, unit in units.items():
        extension.columns[column].unit = unit
    return extension
