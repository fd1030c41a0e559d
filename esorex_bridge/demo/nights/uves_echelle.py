"""The synthetic UVES spectrograph: where the echelle orders lie, which wavelength falls where, and images of light.

All in the pipeline's orientation: x along the dispersion, y across it, the first pixel is (1, 1). Orders are equally
spaced and parallel, and the product of wavelength and order is linear in x, so that the polynomials of the pipeline
can be written down exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image

RISE = 0.08
"""Rise of an order from one end to the other, in heights of the chip."""
FREE_RANGES = 1.5
"""How much more than its free spectral range an order shows."""
LINE_SIGMA_PIX = 1.5
LINE_SPACING_PIX = 12.5


class Format(Protocol):
    """Where orders and wavelengths fall on a chip."""

    @property
    def chip(self) -> str:
        """The end of the pipeline's tags."""

    @property
    def length(self) -> int:
        """Pixels along the dispersion."""

    @property
    def height(self) -> int:
        """Pixels across it."""

    @property
    def orders(self) -> tuple[int, ...]:
        """Physical numbers, from the lowest order on the chip upwards."""

    @property
    def centre(self) -> float:
        """The middle of the chip along the dispersion."""

    def place(self, order: int, x: Any) -> Any:
        """Return y of an order's middle at x."""

    def wavelength(self, order: int, x: Any) -> Any:
        """Return the wavelength at x in an order, in angstrom (in air)."""

    def position(self, order: int, wavelength: Any) -> Any:
        """Return x of a wavelength in an order."""

    def __hash__(self) -> int:
        """Return a number that equal formats share."""


class Echelle(Struct, frozen=True):
    """One chip with its orders.

    Parameters
    ----------
    chip : str
        `BLUE`, `REDL` or `REDU`: the end of the pipeline's tags.
    length, height : int
        Pixels along the dispersion and across it.
    orders : tuple of int
        Physical numbers, from the lowest order on the chip upwards.
    blaze_angstrom : float
        Wavelength in the middle of the middle order.
    """

    chip: str
    length: int
    height: int
    orders: tuple[int, ...]
    blaze_angstrom: float

    @property
    def spacing(self) -> float:
        """Distance of neighbouring orders in pixels."""
        return 0.8 * self.height / len(self.orders)

    @property
    def lowest(self) -> float:
        """Where the lowest order crosses the middle of the chip."""
        return 0.14 * self.height

    @property
    def tilt(self) -> float:
        """Rise of an order in the middle, pixels per pixel."""
        return RISE * self.height / self.length

    @property
    def curvature(self) -> float:
        """Half the change of the tilt along x; the pipeline wants orders that rise everywhere."""
        return -self.tilt / (2 * self.length)

    @property
    def centre(self) -> float:
        """The middle of the chip along the dispersion."""
        return (self.length + 1) / 2

    @property
    def scale(self) -> tuple[float, float]:
        """Offset and slope of wavelength times order against x: angstrom, angstrom per pixel."""
        middle = self.orders[len(self.orders) // 2]
        product = self.blaze_angstrom * middle
        slope = product * FREE_RANGES / middle / self.length
        return product - slope * self.centre, slope

    def place(self, order: int, x: Any) -> Any:
        """Return y of an order's middle at x."""
        away = x - self.centre
        return self.lowest + self.orders.index(order) * self.spacing + self.tilt * away + self.curvature * away**2

    def wavelength(self, order: int, x: Any) -> Any:
        """Return the wavelength at x in an order, in angstrom (in air)."""
        offset, slope = self.scale
        return (offset + slope * x) / order

    def position(self, order: int, wavelength: Any) -> Any:
        """Return x of a wavelength in an order."""
        offset, slope = self.scale
        return (wavelength * order - offset) / slope


@lru_cache(maxsize=8)
def arc_lines(echelle: Format, seed: int) -> tuple[tuple[float, float], ...]:
    """Return wavelength and strength of the lamp's lines, in the order of wavelength."""
    import numpy as np

    rng = np.random.default_rng([seed, 3])
    ends = [echelle.wavelength(order, x) for order in echelle.orders for x in (1, echelle.length)]
    step = LINE_SPACING_PIX * FREE_RANGES / echelle.orders[len(echelle.orders) // 2] / echelle.length
    steps = int(np.log(max(ends) / min(ends)) / step)
    grid = np.geomspace(min(ends), max(ends), steps)
    places = grid * (1 + rng.uniform(-0.25, 0.25, steps) * step)
    strengths = 10 ** rng.uniform(3.3, 4.3, steps)
    return tuple(zip(places.round(4).tolist(), strengths.round(1).tolist(), strict=True))


def continuum(echelle: Format, width: float, peak: float) -> Image:
    """Return the light of a lamp without lines through a slit of some length; below 6 pixels it is a pinhole."""
    import numpy as np

    x = np.arange(1, echelle.length + 1)
    blaze = np.sinc((x - echelle.centre) / (1.3 * echelle.length)) ** 2
    image = np.zeros((echelle.height, echelle.length))
    for order in echelle.orders:
        image += peak * blaze * _across(echelle, order, width)
    return image.astype(np.float32)


def arc(echelle: Format, width: float, seed: int) -> Image:
    """Return the light of the lamp with lines."""
    import numpy as np

    x = np.arange(1, echelle.length + 1)
    image = np.zeros((echelle.height, echelle.length))
    for order in echelle.orders:
        spectrum = np.zeros(echelle.length)
        for wavelength, strength in arc_lines(echelle, seed):
            place = echelle.position(order, wavelength)
            if -5 < place < echelle.length + 5:
                spectrum += strength * np.exp(-((x - place) ** 2) / (2 * LINE_SIGMA_PIX**2))
        image += spectrum * _across(echelle, order, width)
    return image.astype(np.float32)


def star(
    echelle: Format,
    fwhm: float,
    peak: float,
    lines: tuple[float, ...],
    throughput: Callable[[Any], Any] = lambda wavelength: 1.0,
) -> Image:
    """Return the light of a star with absorption lines of a depth of one half at some wavelengths."""
    import numpy as np

    x = np.arange(1, echelle.length + 1)
    blaze = np.sinc((x - echelle.centre) / (1.3 * echelle.length)) ** 2
    image = np.zeros((echelle.height, echelle.length))
    for order in echelle.orders:
        spectrum = peak * blaze * throughput(echelle.wavelength(order, x))
        for wavelength in lines:
            place = echelle.position(order, wavelength)
            spectrum = spectrum * (1 - 0.5 * np.exp(-((x - place) ** 2) / (2 * (2 * LINE_SIGMA_PIX) ** 2)))
        image += spectrum * _across(echelle, order, fwhm)
    return image.astype(np.float32)


def _across(echelle: Format, order: int, width: float) -> Any:
    """Return the profile of an order across the dispersion: a Gaussian when narrow, a slit with soft edges else."""
    import numpy as np

    y = np.arange(1, echelle.height + 1)[:, None]
    away = y - echelle.place(order, np.arange(1, echelle.length + 1)[None, :])
    if width < 6:
        return np.exp(-((away / (width / 1.665)) ** 2))
    return 1 / (1 + np.exp(np.clip((np.abs(away) - width / 2) / 0.7, -50, 50)))
