"""The lamp of the synthetic NACO spectrograph: its lines, where they fall, and what the pipeline is told of both.

Wavelengths rise along y. The pipeline's model of the grism is off by some pixels, and knows nothing of the slit's
curvature, so that both must be measured.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from esorex_bridge.demo.nights.frames import Keywords, fits_bytes
from esorex_bridge.demo.nights.night import ArchiveFile
from esorex_bridge.demo.nights.tables import describe_processed, table
from esorex_bridge.files import DpId

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image

MODEL_UM = (2.18, 0.38, 0.004, 0.0)
"""Coefficients of Legendre polynomials over the height of the frame."""
SHIFT_PIX = 3.7
TILT_PIX, CURVATURE_PIX = 2.0, 4.0
"""By how much the lines of one side of the frame stand higher than in the middle."""
LINES = 18
LINE_SIGMA_PIX = 1.8
SEED = 3


def arc_lines() -> tuple[tuple[float, float], ...]:
    """Return wavelengths (micrometres) and strengths (counts) of the lamp's lines."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    wavelengths = np.sort(rng.uniform(1.83, 2.53, LINES)).round(6).tolist()
    return tuple(zip(wavelengths, (10 ** rng.uniform(2.7, 3.7, LINES)).round(1).tolist(), strict=True))


def wavelength_um(npix: int, x: Any, y: Any) -> Any:
    """Return the wavelength at a place in FITS pixels."""
    import numpy as np

    side = x / npix - 0.5
    height = y - SHIFT_PIX - TILT_PIX * side - CURVATURE_PIX * side**2
    return np.polynomial.legendre.legval((height - (npix + 1) / 2) / ((npix - 1) / 2), MODEL_UM)


def arc_image(npix: int) -> Image:
    """Return the light of the lamp without slit."""
    import numpy as np

    y, x = np.mgrid[1 : npix + 1, 1 : npix + 1]
    wavelengths = wavelength_um(npix, x, y)
    per_pixel = MODEL_UM[1] / (npix / 2)
    image = np.zeros((npix, npix), dtype=np.float32)
    for line, strength in arc_lines():
        image += strength * np.exp(-(((wavelengths - line) / (per_pixel * LINE_SIGMA_PIX)) ** 2) / 2)
    return image


def arc_statics(mode: str, npix: int) -> tuple[ArchiveFile, ...]:
    """Return the model of a spectroscopic mode (`SPC_MODEL`) and the list of lines (`SPC_ARGON`)."""
    wavelengths, strengths = zip(*arc_lines(), strict=True)
    model: dict[str, tuple[str, Any]] = {
        "SpecMode": ("16A", [mode]),
        "Fit_Order": ("1J", [3]),
        "Residual": ("1D", [0.1]),
        "XMin": ("1D", [1.0]),
        "XMax": ("1D", [float(npix)]),
        **{f"C_{number}": ("1D", [10_000 * value]) for number, value in enumerate(MODEL_UM, start=1)},
    }
    argon = {"WAVELENGTH": ("1D", wavelengths), "INTENSITY": ("1D", strengths)}
    return _static(1, "SPC_MODEL", model), _static(2, "SPC_ARGON", argon)


def _static(number: int, category: str, columns: dict[str, tuple[str, Any]]) -> ArchiveFile:
    dp_id = DpId(f"M.NACO.2011-05-17T16:10:0{number}.10{number}")
    keywords = describe_processed(dp_id, "NAOS+CONICA", category)
    return ArchiveFile(dp_id, category, keywords, partial(_table_bytes, category, columns, keywords))


def _table_bytes(name: str, columns: dict[str, tuple[str, Any]], keywords: Keywords) -> bytes:
    return fits_bytes(keywords, extensions=[table(columns, name)])
