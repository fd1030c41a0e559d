"""The blue arm of UVES as it is: where the format of the echelle falls on the chip, in binned pixels.

The pipeline has a physical model of the spectrograph, and a raw night is reduced from what it foresees of the format.
So the orders of this night lie where those of the real instrument do (CD#2 about 390 nm), but for a shift that the
pipeline must find; polynomials say where, within a pixel or two of the model.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from msgspec import Struct

SHIFT_X_PIX, SHIFT_Y_PIX = 0.8, 1.1
"""From what the pipeline foresees."""
BIN_ALONG, BIN_ACROSS = 4, 2
X_OF = ((389.708639, 0.875992), (521.060527, -5.369046), (103.251261, -2.904093), (34.266177, -0.848726))
"""Powers of the product of order and wavelength (rows), and of the order (columns)."""
Y_OF = (
    (511.828928, 2.836581, 11.178457),
    (491.009085, 1.443642, -0.080156),
    (0.736118, -1.388813, -3.340469),
    (-0.437028, 0.048522, 0.134144),
)
"""Powers of the wavelength (rows), and of the product of order and wavelength (columns)."""


class BlueFormat(Struct, frozen=True):
    """The orders of the blue arm about 390 nm; the same questions as to `Echelle`.

    Parameters
    ----------
    chip : str
        `BLUE`.
    length, height : int
        Pixels along the dispersion and across it.
    orders : tuple of int
        Physical numbers, from the lowest order on the chip upwards.
    """

    chip: str = "BLUE"
    length: int = 750
    height: int = 1024
    orders: tuple[int, ...] = tuple(range(142, 103, -1))

    @property
    def centre(self) -> float:
        """The middle of the chip along the dispersion."""
        return (self.length + 1) / 2

    def place(self, order: int, x: Any) -> Any:
        """Return y of an order's middle at x."""
        import numpy as np

        at, _, y = _order(order)
        return np.interp(x, at, y)

    def wavelength(self, order: int, x: Any) -> Any:
        """Return the wavelength at x in an order, in angstrom (in air)."""
        import numpy as np

        at, wavelengths, _ = _order(order)
        return np.interp(x, at, wavelengths)

    def position(self, order: int, wavelength: Any) -> Any:
        """Return x of a wavelength in an order."""
        import numpy as np

        at, wavelengths, _ = _order(order)
        return np.interp(wavelength, wavelengths, at)


@lru_cache(maxsize=64)
def _order(order: int) -> tuple[Any, Any, Any]:
    """Return x, wavelength and y along an order, at steps of a tenth of a pixel."""
    import numpy as np

    product = np.linspace(-0.95, 0.70, 8001)
    wavelengths = (467_000 + 5000 * product) / order
    x = np.polynomial.polynomial.polyval2d(product, (order - 119) / 24 + 0 * product, np.array(X_OF))
    y = np.polynomial.polynomial.polyval2d((wavelengths - 3900) / 600, product, np.array(Y_OF))
    return x + SHIFT_X_PIX, wavelengths, y + SHIFT_Y_PIX
