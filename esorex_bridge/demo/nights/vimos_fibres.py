"""A synthetic VIMOS night with the integral field unit: four hundred fibres, a star in the field.

With the shutter of the unit on, its 20 by 20 lenses in the middle of a quadrant are seen, through one row of fibres.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from math import sin
from typing import TYPE_CHECKING

from msgspec import Struct

from esorex_bridge.demo.nights import vimos_grism as grism
from esorex_bridge.demo.nights.vimos_detectors import COLUMNS, ROWS
from esorex_bridge.demo.nights.vimos_spectra import SpectraKind, spectra_night

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image, Keywords
    from esorex_bridge.demo.nights.night import DemoNight
    from esorex_bridge.demo.nights.vimos_grism import Values

BLOCKS, FIBRES_A_BLOCK = 5, 80
FIBRES = BLOCKS * FIBRES_A_BLOCK
FIRST_COLUMN, BLOCK_PIX, FIBRE_PIX = 20, 406, 5
PROFILE = (0.2274, 0.0353)
"""How the light of a fibre falls off, by the second and fourth power of the distance in pixels: it is flatter than a
Gaussian. The recipes extract by the profile of the real fibres, which this one follows.
"""
PROFILE_SUM = 3.0105
REFERENCE_ROW = 1894
"""Where the recipes expect the reference wavelength in this quadrant."""
MIDDLE_ROW = 1819
LEAN = 0.002
"""How much further right a fibre falls with every row."""
LENSES = 20
STAR_AT = (9.4, 10.7)
"""Column and row in the field; the first lens is (0, 0)."""
SEEING_LENSES = 1.2
"""Sigma of a star."""


class FibreUnit(Struct, frozen=True):
    """The integral field unit of a quadrant.

    Parameters
    ----------
    seed : int
        Of noise.
    """

    seed: int
    mode: str = "IFU"

    def keywords(self) -> Keywords:
        """Return what stands in headers of the unit."""
        return (("ESO INS IFUS MODE", "ON"), ("ESO INS IFUE MAG", 0.33), ("ESO INS IFUE MODE", "NORMAL"))

    def paint(self, kind: SpectraKind) -> Image:
        """Return the light on the detector, in counts."""
        import numpy as np

        even = np.zeros(ROWS) if kind.even is None else grism.spectrum(kind.even, REFERENCE_ROW)
        star = np.zeros(ROWS) if kind.star is None else grism.spectrum(kind.star, REFERENCE_ROW)
        image = np.zeros((ROWS, COLUMNS), np.float32)
        for fibre in range(FIBRES):
            _add_fibre(fibre, transmission(fibre) * (even + share(fibre) * star), image)
        return image


def column_of(fibre: int) -> Values:
    """Return the column where a fibre (from 0) falls in each row."""
    import numpy as np

    block, place = divmod(fibre, FIBRES_A_BLOCK)
    middle = FIRST_COLUMN + BLOCK_PIX * block + FIBRE_PIX * place + 0.3 * sin(block)
    values: Values = np.array(middle + LEAN * (np.arange(ROWS) - MIDDLE_ROW))
    return values


def transmission(fibre: int) -> float:
    """Return how much light a fibre lets through, 1 for the fibres on average."""
    return 1 + 0.2 * sin(1.7 * fibre)


def lens(fibre: int) -> tuple[int, int]:
    """Return column and row of the lens in front of a fibre: blocks of four rows, to and fro."""
    block, place = divmod(fibre, FIBRES_A_BLOCK)
    row, along = divmod(place, LENSES)
    return (along if row % 2 else LENSES - 1 - along), LENSES - 4 * (block + 1) + row


@lru_cache(maxsize=1)
def _shares() -> tuple[float, ...]:
    from math import exp

    places = (lens(fibre) for fibre in range(FIBRES))
    light = [exp(-0.5 * ((x - STAR_AT[0]) ** 2 + (y - STAR_AT[1]) ** 2) / SEEING_LENSES**2) for x, y in places]
    return tuple(each / sum(light) for each in light)


def share(fibre: int) -> float:
    """Return which part of the light of the star falls into a fibre; all of it falls into the field."""
    return _shares()[fibre]


def _add_fibre(fibre: int, counts: Values, image: Image) -> None:
    import numpy as np

    middle, rows = column_of(fibre), np.arange(ROWS)
    for step in range(-4, 5):
        columns = np.rint(middle).astype(int) + step
        away = (columns - middle) ** 2
        profile = np.exp(-PROFILE[0] * away - PROFILE[1] * away**2) / PROFILE_SUM
        inside = (columns >= 0) & (columns < COLUMNS)
        image[rows[inside], columns[inside]] += (profile * counts)[inside]


def vimos_fibres_night(seed: int = 23) -> DemoNight:
    """Return the night; nothing is computed before a frame is asked for.

    Parameters
    ----------
    seed : int
        Nights of different seeds differ in every pixel.
    """
    return spectra_night(f"vimos-fibres-seed{seed}", FibreUnit(seed), datetime(2015, 6, 2, 12, 0))
