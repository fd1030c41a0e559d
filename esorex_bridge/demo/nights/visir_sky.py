"""The spectrum of the synthetic sky in the mid infrared, and where the spectrograph of VISIR puts it.

The recipes find their wavelengths by the sky: they work out how bright the air and the telescope should be, from a list
of emissivities that comes with the pipeline, and shift that along what was seen. Here is such a list, with bands that
nobody would mistake for each other, and the sky that it means.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from esorex_bridge.demo.nights.frames import Keywords, fits_bytes
from esorex_bridge.demo.nights.night import ArchiveFile
from esorex_bridge.demo.nights.tables import describe_processed, table
from esorex_bridge.files import DpId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Spectrum = NDArray[Any]

AIR_K, TELESCOPE_K, TELESCOPE_EMISSIVITY = 253.0, 283.0, 0.12
QUANTUM_EFFICIENCY = 0.3
PLANCK, LIGHT, BOLTZMANN = 6.62607e-34, 2.99792e8, 1.38065e-23
SEED = 21


def emissivity_table(bands: Sequence[tuple[float, float, float]]) -> tuple[Spectrum, Spectrum]:
    """Return wavelengths in micrometres and emissivities: lines in bands (from, to, width of a line), smooth between.

    The bands must rise and not overlap.
    """
    import numpy as np

    rng = np.random.default_rng(SEED)
    pieces, edges = [], [5.0]
    for low, high, width in bands:
        wavelengths = np.arange(low, high, width / 4)
        values = np.full(wavelengths.size, 0.05)
        count = max(8, int((high - low) / width / 12))
        for line, strength in zip(rng.uniform(low, high, count), rng.uniform(0.1, 0.5, count), strict=True):
            values += strength * np.exp(-(((wavelengths - line) / width) ** 2))
        between = np.arange(edges[-1], low, 0.005)
        pieces += [(between, np.full(between.size, 0.05)), (wavelengths, np.clip(values, 0, 1))]
        edges.append(high)
    rest = np.arange(edges[-1], 22.0, 0.005)
    pieces.append((rest, np.full(rest.size, 0.05)))
    return np.concatenate([piece[0] for piece in pieces]), np.concatenate([piece[1] for piece in pieces])


def _black_body(wavelengths_um: Spectrum, kelvin: float) -> Spectrum:
    """Return photons a second, area and wavelength, in arbitrary units."""
    import numpy as np

    metres = wavelengths_um * 1e-6
    glow: Spectrum = wavelengths_um**-4 / np.expm1(PLANCK * LIGHT / (metres * BOLTZMANN * kelvin))
    return glow


def sky_brightness(wavelengths_um: Spectrum, emissivities: tuple[Spectrum, Spectrum]) -> Spectrum:
    """Return how bright air and telescope are, in arbitrary units."""
    import numpy as np

    air = np.interp(wavelengths_um, *emissivities) * _black_body(wavelengths_um, AIR_K)
    mirrors: Spectrum = TELESCOPE_EMISSIVITY * _black_body(wavelengths_um, TELESCOPE_K)
    return air + mirrors


def sky_statics(number: int, bands: tuple[tuple[float, float, float], ...]) -> tuple[ArchiveFile, ArchiveFile]:
    """Return the list of emissivities (`SPEC_CAL_LINES`) and quantum efficiencies of detectors (`SPEC_CAL_QEFF`).

    Parameters
    ----------
    number : int
        Tells lists of different bands apart.
    bands : tuple
        See `emissivity_table`.
    """
    return _static(number, "SPEC_CAL_LINES", bands), _static(3, "SPEC_CAL_QEFF", ())


def _static(number: int, category: str, bands: tuple[tuple[float, float, float], ...]) -> ArchiveFile:
    dp_id = DpId(f"M.VISIR.2016-01-01T00:00:0{number}.{number}0{number}")
    keywords = describe_processed(dp_id, "VISIR", category)
    return ArchiveFile(dp_id, category, keywords, lambda: _static_bytes(category, bands, keywords))


def _static_bytes(category: str, bands: tuple[tuple[float, float, float], ...], keywords: Keywords) -> bytes:
    if category == "SPEC_CAL_QEFF":
        flat = {"Wavelength": ("1D", [5e-6, 1e-5, 2.2e-5]), "Efficiency": ("1D", [QUANTUM_EFFICIENCY] * 3)}
        # The detector until 2012, and that since.
        return fits_bytes(keywords, extensions=[table(flat, "DRS"), table(flat, "AQUARIUS")])
    wavelengths, values = listed_emissivities(bands)
    columns = {"Wavelength": ("1D", wavelengths * 1e-6), "Emission": ("1D", values)}
    return fits_bytes(keywords, extensions=[table(columns, "lines")])


@lru_cache(maxsize=4)
def listed_emissivities(bands: tuple[tuple[float, float, float], ...]) -> tuple[Spectrum, Spectrum]:
    """Return the table of some bands, worked out once."""
    return emissivity_table(bands)
