"""UVES as it is: where the format of the echelle falls on each chip, in binned pixels.

The pipeline has a physical model of the spectrograph, and a raw night is reduced from what it foresees of the format.
So the orders of these nights lie where those of the real instrument do (CD#2 about 390 nm, CD#3 about 580 nm), but
for a shift that the pipeline must find; polynomials say where, within a pixel or two of the model.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from msgspec import Struct

SHIFT_X_PIX, SHIFT_Y_PIX = 0.8, 1.1
"""From what the pipeline foresees."""
PRODUCT_SCALE, WAVELENGTH_SCALE = 5000.0, 600.0
"""Angstrom, by which products of order and wavelength, and wavelengths, are divided."""

Powers = tuple[tuple[float, ...], ...]


class Polynomials(Struct, frozen=True):
    """Where a chip of the real instrument sees which order and wavelength.

    Parameters
    ----------
    product, order, order_scale, wavelength : float
        Middles of the product of order and wavelength, of orders, of wavelengths, from which all is counted.
    x_of : tuple
        x: powers of the product (rows) and of the order (columns).
    y_of : tuple
        y: powers of the wavelength (rows) and of the product (columns).
    products : tuple of float
        First and last product, so that all of the chip lies between them.
    """

    product: float
    order: int
    order_scale: float
    wavelength: float
    x_of: Powers
    y_of: Powers
    products: tuple[float, float]


CHIPS = {
    "BLUE": Polynomials(
        product=467_000,
        order=119,
        order_scale=24,
        wavelength=3900,
        x_of=((389.708639, 0.875992), (521.060527, -5.369046), (103.251261, -2.904093), (34.266177, -0.848726)),
        y_of=(
            (511.828928, 2.836581, 11.178457),
            (491.009085, 1.443642, -0.080156),
            (0.736118, -1.388813, -3.340469),
            (-0.437028, 0.048522, 0.134144),
        ),
        products=(-0.95, 0.70),
    ),
    "REDL": Polynomials(
        product=610_000,
        order=117,
        order_scale=12,
        wavelength=5300,
        x_of=((588.849121, -0.850324), (642.730615, -4.690193), (72.139461, -0.483452), (17.58272, 0.261856)),
        y_of=(
            (537.696208, -1.971644, 4.600895),
            (611.360882, -0.029172, 0.081716),
            (1.991251, 0.018696, -0.021914),
            (-0.755394, 0.096561, -0.018737),
        ),
        products=(-1.15, 1.15),
    ),
    "REDU": Polynomials(
        product=610_000,
        order=97,
        order_scale=12,
        wavelength=6300,
        x_of=((590.531059, -2.628295), (649.302786, -3.643572), (72.630242, -0.310161), (17.694216, 0.7051)),
        y_of=(
            (486.800223, -3.012531, 4.568294),
            (614.604906, 0.006533, 0.082034),
            (0.726901, -0.026529, -0.025846),
            (0.079455, 0.024698, -0.129557),
        ),
        products=(-1.15, 1.15),
    ),
}


class ChipFormat(Struct, frozen=True):
    """The orders on a chip of the real instrument; the same questions as to `Echelle`.

    Parameters
    ----------
    chip : str
        `BLUE`, `REDL` or `REDU`: the end of the pipeline's tags.
    length, height : int
        Pixels along the dispersion and across it.
    orders : tuple of int
        Physical numbers, from the lowest order on the chip upwards.
    """

    chip: str
    length: int
    height: int
    orders: tuple[int, ...]

    @property
    def centre(self) -> float:
        """The middle of the chip along the dispersion."""
        return (self.length + 1) / 2

    def place(self, order: int, x: Any) -> Any:
        """Return y of an order's middle at x."""
        import numpy as np

        at, _, y = _order(self.chip, order)
        return np.interp(x, at, y)

    def wavelength(self, order: int, x: Any) -> Any:
        """Return the wavelength at x in an order, in angstrom (in air)."""
        import numpy as np

        at, wavelengths, _ = _order(self.chip, order)
        return np.interp(x, at, wavelengths)

    def position(self, order: int, wavelength: Any) -> Any:
        """Return x of a wavelength in an order."""
        import numpy as np

        at, wavelengths, _ = _order(self.chip, order)
        return np.interp(wavelength, wavelengths, at)


BLUE = ChipFormat("BLUE", 750, 1024, tuple(range(142, 103, -1)))
REDL = ChipFormat("REDL", 1365, 1024, tuple(range(128, 105, -1)))
REDU = ChipFormat("REDU", 1365, 1024, tuple(range(104, 89, -1)))


@lru_cache(maxsize=128)
def _order(chip: str, order: int) -> tuple[Any, Any, Any]:
    """Return x, wavelength and y along an order, at steps of a tenth of a pixel."""
    import numpy as np

    of = CHIPS[chip]
    product = np.linspace(*of.products, 8001)
    wavelengths = (of.product + PRODUCT_SCALE * product) / order
    from_middle = (wavelengths - of.wavelength) / WAVELENGTH_SCALE
    numbers = (order - of.order) / of.order_scale + 0 * product
    x = np.polynomial.polynomial.polyval2d(product, numbers, np.array(of.x_of))
    y = np.polynomial.polynomial.polyval2d(from_middle, product, np.array(of.y_of))
    return x + SHIFT_X_PIX, wavelengths, y + SHIFT_Y_PIX
