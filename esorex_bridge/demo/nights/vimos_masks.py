"""A synthetic VIMOS night through a mask: fourteen slits, a star in the middle of each.

Where slits stand at even distances the recipes cannot tell them apart, so they do not.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

from esorex_bridge.demo.nights import vimos_grism as grism
from esorex_bridge.demo.nights.vimos_detectors import COLUMNS, ROWS
from esorex_bridge.demo.nights.vimos_spectra import QUADRANT, SpectraKind, spectra_night

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image, Keywords
    from esorex_bridge.demo.nights.night import DemoNight
    from esorex_bridge.demo.nights.vimos_grism import Values

SLITS, PITCH_PIX = 14, 144
"""More than twelve, so that there is a model of all of the mask."""
LENGTH_PIX, WIDTH_MM = 70, 0.6
PIXELS_PER_MM = 8.4
EDGE_SIGMA_PIX, SEEING_SIGMA_PIX = 0.6, 2.0
BEND_PIX = 2.0
"""How far a spectrum at the edge of the detector leans, at its ends."""
STANDARD_SLIT = 7
"""The standard star stands in this slit alone."""


class Slit(Struct, frozen=True):
    """A slit of the mask.

    Parameters
    ----------
    number : int
        `INS SLITn ID`.
    column, row : float
        Where its middle falls at the reference wavelength, in pixels from 0.
    """

    number: int
    column: float
    row: float


class Mask(Struct, frozen=True):
    """A mask with its slits.

    Parameters
    ----------
    seed : int
        Of noise.
    """

    seed: int
    mode: str = "MOS"

    def keywords(self) -> Keywords:
        """Return what stands in headers of the mask: where its slits are, in millimetres."""
        found: list[tuple[str, str | int | float | bool]] = [
            (f"ESO INS MASK{QUADRANT} ID", "999999"),
            ("ESO INS SLIT NO", SLITS),
        ]
        for slit in slits():
            name = f"ESO INS SLIT{slit.number}"
            found += [
                (f"{name} ID", slit.number),
                (f"{name} TYPE", "RECTANGLE"),
                (f"{name} X", round((slit.column - COLUMNS / 2) / PIXELS_PER_MM, 4)),
                (f"{name} Y", round((slit.row - ROWS / 2) / PIXELS_PER_MM, 4)),
                (f"{name} DIMX", round(LENGTH_PIX / PIXELS_PER_MM, 4)),
                (f"{name} DIMY", WIDTH_MM),
            ]
        return tuple(found)

    def paint(self, kind: SpectraKind) -> Image:
        """Return the light on the detector, in counts."""
        import numpy as np

        image = np.zeros((ROWS, COLUMNS), np.float32)
        for slit in slits():
            _add_slit(slit, kind, image)
        return image


@lru_cache(maxsize=1)
def slits() -> tuple[Slit, ...]:
    """Return the slits from left to right."""
    import numpy as np

    rng = np.random.default_rng(8)
    return tuple(
        Slit(
            number,
            round(float(PITCH_PIX * (number - 0.4) + rng.uniform(-20, 20)), 1),
            round(float(rng.uniform(700, 1700)), 1),
        )
        for number in range(1, SLITS + 1)
    )


def middle_of(slit: Slit) -> Values:
    """Return the column where the middle of a slit falls in each row."""
    import numpy as np

    lean = BEND_PIX * (slit.column - COLUMNS / 2) / (COLUMNS / 2)
    values: Values = slit.column + lean * ((np.arange(ROWS) - slit.row) / 300) ** 2
    return values


def _add_slit(slit: Slit, kind: SpectraKind, image: Image) -> None:
    import numpy as np

    first = int(slit.column) - LENGTH_PIX
    columns = slice(max(0, first), min(COLUMNS, first + 2 * LENGTH_PIX))
    away = np.arange(COLUMNS)[columns] - middle_of(slit)[:, None]
    inside = (_step(away + LENGTH_PIX / 2) * _step(LENGTH_PIX / 2 - away)).astype(np.float32)
    if kind.even is not None:
        image[:, columns] += inside * grism.spectrum(kind.even, slit.row)[:, None]
    if kind.star is not None and (not kind.target or slit.number == STANDARD_SLIT):
        star = np.exp(-0.5 * (away / SEEING_SIGMA_PIX) ** 2) / (SEEING_SIGMA_PIX * np.sqrt(2 * np.pi))
        image[:, columns] += star * grism.spectrum(kind.star, slit.row)[:, None]


def _step(away: Values) -> Values:
    """Return 1 inside of an edge, 0 outside."""
    import numpy as np

    values: Values = 0.5 * (1 + np.tanh(away / EDGE_SIGMA_PIX))
    return values


def vimos_masks_night(seed: int = 22) -> DemoNight:
    """Return the night; nothing is computed before a frame is asked for.

    Parameters
    ----------
    seed : int
        Nights of different seeds differ in every pixel.
    """
    return spectra_night(f"vimos-masks-seed{seed}", Mask(seed), datetime(2015, 5, 2, 12, 0))
