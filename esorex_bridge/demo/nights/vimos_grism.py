"""The grism LR_red of VIMOS: where wavelengths fall on the detector, and the light of lamps, sky and stars.

The wavelengths of lamps and sky are those of the lines of helium, neon, argon and of the night sky; the recipes look
for the latter by a list of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esorex_bridge.demo.nights.vimos_detectors import ROWS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

NAME, FILTER = "LR_red", "OS-red"
REFERENCE_A = 7635.11
FIRST_A, LAST_A = 5500.0, 9500.0
"""What the filter lets through."""
DISPERSION_A = 7.1
"""Angstrom a pixel, as a first guess."""
PIXELS_PER_A = (0.141, -1.4e-6, 2.5e-10)
"""How far from the reference a wavelength falls: by its first, second and third power."""
LINE_SIGMA_PIX = 1.5
ARC_LINES = (
    (5875.62, 0.6),
    (5944.83, 0.5),
    (6030.00, 0.3),
    (6143.06, 0.5),
    (6217.28, 0.4),
    (6304.79, 0.3),
    (6402.25, 0.9),
    (6506.53, 0.7),
    (6598.95, 0.5),
    (6678.28, 0.8),
    (6929.47, 0.6),
    (7065.19, 0.9),
    (7147.04, 0.3),
    (7272.94, 0.5),
    (7383.98, 0.7),
    (7503.87, 0.6),
    (7635.11, 1.0),
    (7723.80, 0.8),
    (7948.18, 0.6),
    (8014.79, 0.7),
    (8115.31, 1.0),
    (8264.52, 0.6),
    (8408.21, 0.7),
    (8521.44, 0.6),
    (8667.94, 0.3),
    (9122.97, 0.8),
    (9224.50, 0.4),
    (9354.22, 0.3),
)
"""Wavelengths in air (angstrom) and relative strengths: vmifucalib takes the brightest near the reference for it."""
SKY_LINES = (
    (5577.338, 0.9),
    (6300.304, 1.0),
    (6363.780, 0.5),
    (6863.955, 0.5),
    (7571.746, 0.5),
    (7964.650, 0.6),
    (7993.332, 0.4),
    (8344.602, 0.8),
)


class Light(Struct, frozen=True):
    """A spectrum.

    Parameters
    ----------
    continuum : callable
        Returns counts a pixel at wavelengths (angstrom).
    lines : tuple of tuple of float
        Wavelengths of narrow lines, and the counts of their brightest pixel.
    """

    continuum: Callable[[Values], Values]
    lines: tuple[tuple[float, float], ...] = ()


def dark(wave_a: Values) -> Values:
    """Return no light."""
    return 0 * wave_a


def lamp(wave_a: Values) -> Values:
    """Return the light of the flat's lamp, 1 where it is brightest."""
    import numpy as np

    values: Values = np.exp(-0.5 * ((wave_a - 7800) / 2500) ** 2)
    return values


def scale_lines(lines: tuple[tuple[float, float], ...], counts: float) -> tuple[tuple[float, float], ...]:
    """Return lines with their strengths in counts."""
    return tuple((wave, strength * counts) for wave, strength in lines)


def rows_of(reference_row: float, wave_a: Any) -> Values:
    """Return the rows (from 0) where wavelengths fall; `reference_row` is that of the reference."""
    import numpy as np

    away = np.asarray(wave_a, dtype=float) - REFERENCE_A
    first, second, third = PIXELS_PER_A
    values: Values = reference_row + away * (first + away * (second + away * third))
    return values


def wavelengths_of(reference_row: float) -> Values:
    """Return the wavelengths of all rows, in angstrom."""
    import numpy as np

    waves = np.linspace(REFERENCE_A - 7000, REFERENCE_A + 12000, 38001)
    values: Values = np.interp(np.arange(ROWS), rows_of(reference_row, waves), waves)
    return values


def spectrum(light: Light, reference_row: float) -> Values:
    """Return the counts of all rows."""
    import numpy as np

    waves, rows = wavelengths_of(reference_row), np.arange(ROWS)
    values: Values = _filter(waves) * light.continuum(waves)
    for wave, peak in light.lines:
        values += peak * np.exp(-0.5 * ((rows - rows_of(reference_row, wave)) / LINE_SIGMA_PIX) ** 2)
    return values


def _filter(wave_a: Values) -> Values:
    import numpy as np

    values: Values = 0.25 * (1 + np.tanh((wave_a - FIRST_A + 40) / 30)) * (1 + np.tanh((LAST_A + 40 - wave_a) / 30))
    return values
