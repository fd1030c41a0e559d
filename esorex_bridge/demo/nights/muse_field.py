"""What the synthetic MUSE sees of a field: a star, sliced and spread over the detector of one IFU.

The detector has few rows, so it sees few wavelengths: the recipes make cubes with steps of 1.25 angstrom, whatever the
rows are, and find no star where most steps are empty.

All fluxes stand to that of the standard star, whose flux on the sky is `STANDARD_FLUX`: so what the pipeline makes of
the star of the science can be said without knowing how it counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esorex_bridge.demo.nights.muse_statics import SLICE_WIDTH_FIELD

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_ANGSTROM, STEP_ANGSTROM = 6730.0, 1.25
"""Of the rows of the detector; the recipe for standards looks there for absorption by the Earth's atmosphere."""
STANDARD_FLUX = 2e-13
"""erg/s/cm**2/Angstrom, at all wavelengths."""
STANDARD_COUNTS_PER_S = 2000.0
"""Of the whole star in the first row of the detector."""
RELATIVE_FLUX = 0.1
"""Of the star of the science."""
LINE_ANGSTROM, LINE_SIGMA_ANGSTROM, LINE_STRENGTH = 7050.0, 4.0, 2.0
"""An emission line of the star of the science: three times as bright in its middle as beside it."""
THROUGHPUT_SLOPE = 0.5
"""How much more the instrument lets through at the end of 500 angstrom than at their beginning."""
STAR_PLACE = (4.3, -1.6)
"""In pixels of the field, whose middle is (0, 0)."""
FWHM_PIX = 4.0
MOFFAT_POWER = 2.5


class PointSource(Struct, frozen=True):
    """A star in the field.

    Parameters
    ----------
    counts_per_s : float
        Of the whole star in one row of the detector.
    line : bool
        Whether it has the emission line.
    """

    counts_per_s: float
    line: bool = False


STANDARD = PointSource(STANDARD_COUNTS_PER_S)
TARGET = PointSource(RELATIVE_FLUX * STANDARD_COUNTS_PER_S, line=True)


def wavelengths_angstrom(rows: int) -> Any:
    """Return the wavelength of each row of a detector."""
    import numpy as np

    return FIRST_ANGSTROM + STEP_ANGSTROM * np.arange(rows)


def relative_spectrum(source: PointSource, wavelengths: Any) -> Any:
    """Return the flux of a source at some wavelengths, in parts of its continuum."""
    import numpy as np

    if not source.line:
        return np.ones_like(wavelengths)
    return 1 + LINE_STRENGTH * np.exp(-(((wavelengths - LINE_ANGSTROM) / LINE_SIGMA_ANGSTROM) ** 2) / 2)


def throughput(wavelengths: Any) -> Any:
    """Return which part of the light comes through at some wavelengths; 1 in the first row."""
    return 1 + THROUGHPUT_SLOPE * (wavelengths - FIRST_ANGSTROM) / 500.0


def slice_place(ifu: int, number: int) -> tuple[float, float]:
    """Return where the middle of a slice lies: all above each other, so that one IFU sees the sky round a star."""
    return 0.0, number - 24.5 + 48 * (ifu - 1)


def star_counts(source: PointSource, shape: tuple[int, int], ifu: int, centre: Callable[[int], float]) -> Any:
    """Return the light of a star on a detector, in counts a second.

    Parameters
    ----------
    source : PointSource
        The star; it stands at `STAR_PLACE`.
    shape : tuple of int
        Rows and columns of the detector.
    ifu : int
        From 1.
    centre : callable
        Returns the column in the middle of a slice (from 1).
    """
    import numpy as np

    rows, columns = shape
    wavelengths = wavelengths_angstrom(rows)
    spectrum = source.counts_per_s * relative_spectrum(source, wavelengths) * throughput(wavelengths)
    across = np.zeros(columns)
    for number in range(1, 49):
        x, y = slice_place(ifu, number)
        middle = round(centre(number))
        inside = np.arange(middle - 37, middle + 38)
        places = x - (inside - centre(number)) * SLICE_WIDTH_FIELD / 76.0
        across[inside - 1] += _profile(np.hypot(places - STAR_PLACE[0], y - STAR_PLACE[1]))
    return spectrum[:, None] * across[None, :]


def _profile(away: Any) -> Any:
    """Return the part of the star's light in pixels at some distances: a Moffat profile, as the recipe fits."""
    from math import pi, sqrt

    core = FWHM_PIX / (2 * sqrt(2 ** (1 / MOFFAT_POWER) - 1))
    return (MOFFAT_POWER - 1) / (pi * core**2) * (1 + (away / core) ** 2) ** -MOFFAT_POWER
