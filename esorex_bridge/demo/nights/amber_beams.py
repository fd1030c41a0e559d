"""The light of up to three telescopes on AMBER's detector: photometric channels, and fringes where the beams meet.

AMBER disperses along the columns of its detector. Each telescope has a channel of its own, for its flux; in the fourth
all beams overlap, and each pair makes fringes of its own spacing. A fifth channel is masked and shows the bias.
"""

from __future__ import annotations

from functools import lru_cache
from math import pi
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esorex_bridge.demo.nights.amber_array import BASELINES

if TYPE_CHECKING:
    import numpy as np

SEED = 17
"""Of the default night."""
NPIX = 512
"""The detector is square; maps of bad pixels and sensitivity have to be of this size."""
FIRST_ROW, ROWS = 200, 64
"""Of the windows that are read; rows count from 1."""
CENTRE_NM, STEP_NM = 2150.0, -0.8
"""Wavelength of the window's middle row, and from a row to the next."""
BIAS_COUNTS = 300.0
READ_NOISE_COUNTS = 8.0
GAIN_E_PER_COUNT = 4.2
BAD_FRACTION = 0.0005
CONTRAST = (0.9, 0.85, 0.8)
"""Of the fringes that the instrument makes of a point source, by baseline."""
FRINGES = (4, 8, 12)
"""How many a baseline has across the channel, at the middle wavelength."""


class BeamChannel(Struct, frozen=True):
    """A window of the detector.

    Parameters
    ----------
    telescopes : tuple of int
        Whose light it gets.
    first_column, columns : int
        Where it begins, from 1, and its width; within the stripes in which the pipeline looks for light.
    row_offset : int
        By how many rows its spectrum is displaced from that of the fringes.
    """

    telescopes: tuple[int, ...]
    first_column: int
    columns: int
    row_offset: int = 0


CHANNELS = (
    BeamChannel((), 1, 16),
    BeamChannel((1,), 80, 32, 3),
    BeamChannel((2,), 190, 32, -2),
    BeamChannel((1, 2, 3), 300, 32),
    BeamChannel((3,), 450, 32, 1),
)
"""In the order of the tables: masked, first, second, fringes, third."""


class Beams(Struct, frozen=True):
    """What reaches the detector.

    Parameters
    ----------
    telescopes : tuple of int
        Those whose shutter is open.
    counts : tuple of float
        Peak of each telescope's light in its own channel.
    visibility, phase_rad : tuple of float
        Of the source, by baseline.
    quadrature : tuple of int, optional
        The baseline whose fringes a plate displaces by a quarter.
    piston_nm : float
        Spread of the path differences from frame to frame.
    centre_nm : float
        Wavelength of the window's middle row.
    """

    telescopes: tuple[int, ...]
    counts: tuple[float, float, float]
    visibility: tuple[float, float, float] = (1.0, 1.0, 1.0)
    phase_rad: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quadrature: tuple[int, ...] = ()
    piston_nm: float = 0.0
    centre_nm: float = CENTRE_NM


def wavelengths_nm(centre_nm: float = CENTRE_NM) -> Any:
    """Return the wavelength of each row of the detector; `centre_nm` is that of the window's middle row."""
    import numpy as np

    return centre_nm + STEP_NM * (np.arange(1, NPIX + 1) - FIRST_ROW - ROWS / 2)


def windows(beams: Beams, frames: int, seed: int, rng: np.random.Generator) -> list[Any]:
    """Return the pixels of each channel, frame by frame, in counts as the detector delivers them."""
    import numpy as np

    pistons = rng.normal(0, beams.piston_nm, (frames, 3)) if beams.piston_nm else np.zeros((frames, 3))
    found = []
    for channel in CHANNELS:
        light = _light(channel, beams, pistons) * _window(sensitivity(seed), channel)
        noise = rng.normal(0, 1, light.shape) * np.sqrt(READ_NOISE_COUNTS**2 + light / GAIN_E_PER_COUNT)
        found.append(np.clip(np.rint(BIAS_COUNTS + light + noise), -32768, 32767).astype(">i2"))
    return found


@lru_cache(maxsize=2)
def sensitivity(seed: int) -> Any:
    """Return the sensitivity of every pixel; bad ones see a twentieth of the light."""
    import numpy as np

    rng = np.random.default_rng([seed, 0])
    # Within three sigma, so that no good pixel looks bad.
    image = 1 + np.clip(rng.normal(0, 0.02, (NPIX, NPIX)), -0.06, 0.06)
    image[rng.random((NPIX, NPIX)) < BAD_FRACTION] = 0.05
    return image


def _window(image: Any, channel: BeamChannel) -> Any:
    first = channel.first_column - 1
    return image[FIRST_ROW - 1 : FIRST_ROW - 1 + ROWS, first : first + channel.columns]


def _light(channel: BeamChannel, beams: Beams, pistons: Any) -> Any:
    """Return the light in a channel without noise: frames, rows, columns."""
    import numpy as np

    flux = [beams.counts[number - 1] for number in channel.telescopes if number in beams.telescopes]
    across = np.arange(channel.columns) / channel.columns
    light = np.full((len(pistons), ROWS, channel.columns), sum(flux, 0.0))
    if len(channel.telescopes) > 1:
        for index, pair in enumerate(BASELINES):
            if set(pair) <= set(beams.telescopes):
                light += _fringes(index, beams, pistons, across)
    profile = np.exp(-(((across - 0.5 + 0.5 / channel.columns) / 0.25) ** 2))
    return light * _spectrum(channel.row_offset)[:, None] * profile


def _fringes(index: int, beams: Beams, pistons: Any, across: Any) -> Any:
    """Return the fringes of a baseline above the sum of its beams."""
    import numpy as np

    one, other = BASELINES[index]
    wave = wavelengths_nm(beams.centre_nm)[FIRST_ROW - 1 : FIRST_ROW - 1 + ROWS, None]
    path = (pistons[:, one - 1] - pistons[:, other - 1])[:, None, None]
    quarter = pi / 2 if beams.quadrature == BASELINES[index] else 0.0
    phase = 2 * pi * (FRINGES[index] * across * beams.centre_nm + path) / wave + beams.phase_rad[index] + quarter
    flux = 2 * np.sqrt(beams.counts[one - 1] * beams.counts[other - 1])
    return flux * CONTRAST[index] * beams.visibility[index] * np.cos(phase)


def _spectrum(row_offset: int) -> Any:
    """Return the light of all sources along the rows: waves, and a line by which channels are aligned."""
    import numpy as np

    rows = np.arange(ROWS) - row_offset
    return 1 - 0.3 * np.cos(2 * pi * rows / 20) - 0.4 * np.exp(-(((rows - 30) / 3) ** 2))
