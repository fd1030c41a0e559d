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
CLOSEST_NM = 0.07
"""Lines that are closer than a search window of the recipe would be left out."""


@lru_cache(maxsize=4)
def arc_lines(spectrograph: FibreSpectrograph) -> tuple[tuple[float, float], ...]:
    """Return wavelengths (nm) and relative strengths of the arc's lines, all of which all fibres see."""
    import numpy as np

    rng = np.random.default_rng([spectrograph.rows, LINES])
    first, last = spectrograph.coverage_nm()
    step = (last - first - 0.2) / LINES
    places = first + 0.1 + step * (np.arange(LINES) + 0.5) + rng.uniform(-0.5, 0.5, LINES) * (step - CLOSEST_NM)
    strengths = rng.uniform(0.3, 1.0, LINES)
    return tuple(zip(places.round(4).tolist(), strengths.round(3).tolist(), strict=True))


def static_calibrations(instrument: Instrument, spectrograph: FibreSpectrograph) -> tuple[ArchiveFile, ...]:
    """Return the three files."""
    slit: Keywords = (
        ("ESO INS MODE", "MED"),
        ("ESO INS EXP MODE", optics.SETUP),
        ("ESO INS SLIT NAME", optics.SLIT),
    )
    builders: tuple[tuple[str, Keywords, Callable[[], Any]], ...] = (
        ("GRATING_DATA", (("ESO INS GRAT ID", "HR"),), partial(_grating, spectrograph)),
        ("SLIT_GEOMETRY_SETUP", slit, partial(_slit_geometry, spectrograph)),
        ("LINE_CATALOG", (), partial(_line_catalogue, spectrograph)),
    )
    return tuple(_static(instrument, number, *builder) for number, builder in enumerate(builders, start=1))


def _static(
    instrument: Instrument, number: int, category: str, more: Keywords, extension: Callable[[], Any]
) -> ArchiveFile:
    dp_id = DpId(f"M.GIRAFFE.2014-01-15T12:00:{number:02d}.{123 + 77 * number}")
    keywords = describe_processed(dp_id, instrument.name, category, more)
    return ArchiveFile(dp_id, category, keywords, partial(_bytes, keywords, extension))


def _bytes(keywords: Keywords, extension: Callable[[], Any]) -> bytes:
    return fits_bytes(keywords, extensions=[extension()])


def _grating(spectrograph: FibreSpectrograph) -> Any:
    first, last = spectrograph.coverage_nm()
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
