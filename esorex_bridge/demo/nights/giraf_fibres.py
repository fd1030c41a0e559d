"""The fibres of the synthetic GIRAFFE: where their spectra fall on the detector, and the tables that name them."""

from __future__ import annotations

from math import cos, hypot, pi, sin
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esorex_bridge.demo.nights.frames import FWHM_PER_SIGMA
from esorex_bridge.demo.nights.tables import table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

MODES = {"Medusa1": "MED", "Argus": "ARG"}
"""Of the instrument, by the slit."""
SETUP = "H627.3"
CENTRE_NM = 627.3
ORDER = 9
GROOVES_PER_MM = 316.0
GRATING_ANGLE_RAD = 1.10185
"""Light of the central wavelength comes back where it came from."""
COLLIMATOR_MM = 1400.0
MAGNIFICATION = 0.6
PIXEL_MM = 0.015
SPACING_PIX = {"Medusa1": 16, "Argus": 6}
"""From fibre to fibre; so the pipeline has it for each slit."""
LENSLETS = (6, 4)
"""Columns and rows of the lenses of Argus; the real one has 22 by 14."""
SLIT_BOW = 0.02
"""Millimetres beside the slit's axis, a square millimetre along it."""
PROFILE_SIGMA_PIX = {"Medusa1": 1.6, "Argus": 1.0}
RESOLUTION = 50000
"""Of a narrow line, by its full width at half maximum; the recipe passes over lines of half the width expected."""
BEND_PIX = 6.0
"""How far the spectra are from their middle at the ends of the detector."""


class FibreSpectrograph(Struct, frozen=True):
    """Fibres and detector.

    Parameters
    ----------
    columns, rows : int
        Of the detector, without prescan and overscan; wavelength goes with the row.
    fibres : int
        In the slit, in the middle of the columns.
    slit : str
        `Medusa1`, with a fibre an object, or `Argus`, whose fibres look at neighbouring places.
    """

    columns: int
    rows: int
    fibres: int = 24
    slit: str = "Medusa1"

    @property
    def spacing_pix(self) -> int:
        """From fibre to fibre."""
        return SPACING_PIX[self.slit]

    def column(self, fibre: int, rows: Any) -> Any:
        """Return the columns (from 0) where the spectrum of a fibre (from 0) is in rows."""
        middle = (self.columns - (self.fibres - 1) * self.spacing_pix) / 2 + fibre * self.spacing_pix
        return middle - BEND_PIX * (2 * rows / self.rows - 1) ** 2

    def slit_mm(self, fibre: int) -> tuple[float, float]:
        """Return the place of a fibre beside and along the slit, which is bent."""
        along = (fibre - (self.fibres - 1) / 2) * self.spacing_pix * PIXEL_MM / MAGNIFICATION
        return SLIT_BOW * along**2, along

    def row(self, fibre: int, wave_nm: Any) -> Any:
        """Return the rows (from 0) where a fibre has wavelengths, by the equation of the grating."""
        import numpy as np

        beside, along = self.slit_mm(fibre)
        length = hypot(beside, along, COLLIMATOR_MM)
        tangent, normal = sin(GRATING_ANGLE_RAD), cos(GRATING_ANGLE_RAD)
        incident = (beside * normal + COLLIMATOR_MM * tangent) / length
        diffracted = ORDER * GROOVES_PER_MM * 1e-6 * np.asarray(wave_nm) - incident
        forward = np.sqrt(1 - diffracted**2 - (along / length) ** 2)
        across = (diffracted * normal - forward * tangent) / (diffracted * tangent + forward * normal)
        return MAGNIFICATION * COLLIMATOR_MM / PIXEL_MM * across + self.rows / 2

    def wave_nm(self, fibre: int) -> Values:
        """Return the wavelength of each row of a fibre."""
        import numpy as np

        waves = np.linspace(CENTRE_NM - 8, CENTRE_NM + 8, 4001)
        found: Values = np.interp(np.arange(self.rows), self.row(fibre, waves), waves)
        return found

    @property
    def line_sigma_nm(self) -> float:
        """Width of a narrow line."""
        return CENTRE_NM / RESOLUTION / FWHM_PER_SIGMA

    def coverage_nm(self) -> tuple[float, float]:
        """Return the wavelengths that all fibres have on the detector."""
        waves = [self.wave_nm(fibre) for fibre in range(self.fibres)]
        return max(float(wave[0]) for wave in waves), min(float(wave[-1]) for wave in waves)


def transmission(fibre: int) -> float:
    """Return how much light a fibre lets through, 1 for the fibres on average."""
    return 1 + 0.2 * sin(fibre)


def lamp(spectrograph: FibreSpectrograph) -> Values:
    """Return the brightness of the flat's lamp in each row, at most 1."""
    import numpy as np

    values: Values = 0.6 + 0.4 * np.sin(pi * (np.arange(spectrograph.rows) + 200) / (spectrograph.rows + 400))
    return values


def spread(spectrograph: FibreSpectrograph, fibre: int, spectrum: Values, image: Any) -> None:
    """Add a spectrum, in counts of the brightest pixel of each row, to an image."""
    import numpy as np

    rows = np.arange(spectrograph.rows)[:, None]
    centre = spectrograph.column(fibre, rows)
    columns = np.rint(centre).astype(int) + np.arange(-8, 9)
    profile = np.exp(-0.5 * ((columns - centre) / PROFILE_SIGMA_PIX[spectrograph.slit]) ** 2)
    image[rows, columns] += spectrum[:, None] * profile


def fibre_extensions(spectrograph: FibreSpectrograph) -> list[Any]:
    """Return the two tables of every raw frame: what the buttons of the positioner look at, and where fibres end."""
    return [_positioner(spectrograph.fibres), _slit(spectrograph)]


def _positioner(fibres: int) -> Any:
    import numpy as np

    nothing = np.zeros(fibres)
    numbers = range(1, fibres + 1)
    columns: dict[str, tuple[str, Any]] = {
        "OBJECT": ("16A", [f"SYNTH-{number:03d}" for number in numbers]),
        "RA": ("1D", 150 + 0.001 * np.arange(fibres)),
        "DEC": ("1D", np.full(fibres, -30.0)),
        "R": ("1D", nothing),
        "R_ERROR": ("1D", nothing),
        "THETA": ("1D", nothing),
        "THETA_ERROR": ("1D", nothing),
        "TYPE": ("1A", ["M"] * fibres),
        "BUTTON": ("1J", list(numbers)),
        "ORIENT": ("1D", nothing),
        "MAGNITUDE": ("1D", np.full(fibres, 15.0)),
    }
    return _name_table(columns, "OzPoz_table")


def lenslet(fibre: int) -> tuple[int, int]:
    """Return column and row (from 1) of the lens in front of a fibre (from 0) of Argus."""
    return fibre % LENSLETS[0] + 1, fibre // LENSLETS[0] + 1


def _slit(spectrograph: FibreSpectrograph) -> Any:
    """Return the table in which the recipes look for the slit's name; numbers are written as text."""
    fibres, argus = spectrograph.fibres, spectrograph.slit == "Argus"
    words = [str(number) for number in range(1, fibres + 1)]
    columns: dict[str, tuple[str, Any]] = {
        "Slit": ("10A", [spectrograph.slit] * fibres),
        "FPS": ("5A", words),
        "SSN": ("5A", ["1"] * fibres),
        "PSSN": ("5A", words),
        "Retractor": ("40A", [f"{'Argus' if argus else 'Medusa'} {word}" for word in words]),
        "RP": ("5A", words),
        "FPD": ("1J", [int(word) for word in words]),
    }
    if argus:
        # The recipes take the last row for the first fibre on the detector.
        places = [lenslet(fibre) for fibre in reversed(range(fibres))]
        columns |= {"X": ("5A", [str(x) for x, _ in places]), "Y": ("5A", [str(y) for _, y in places])}
    return _name_table(columns, "FLAMES FIBRE Table")


def _name_table(columns: dict[str, tuple[str, Any]], name: str) -> Any:
    """Return a table whose name keeps its small letters."""
    extension = table(columns, name)
    extension.header["EXTNAME"] = name
    return extension
