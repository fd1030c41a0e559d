"""The tables of AMBER's raw files: which windows were read, the pixels of each frame, the wavelength of each row.

What stands in them: the interface document of the VLT interferometer's instruments, and what the pipeline's reader
asks for. The reader finds the pixels of a window by the name that the first table gives its column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from esorex_bridge.demo.nights.amber_array import STATIONS, array_geometry
from esorex_bridge.demo.nights.amber_beams import CENTRE_NM, GAIN_E_PER_COUNT, NPIX, STEP_NM, wavelengths_nm
from esorex_bridge.demo.nights.frames import Exposure, Keywords, fill_header, mjd, timestamp
from esorex_bridge.demo.nights.tables import table

SECONDS_PER_DAY = 86400.0


class Window(Struct, frozen=True):
    """A window of the detector as the tables tell of it.

    Parameters
    ----------
    corner : tuple of int
        Column and row of its first pixel, from 1.
    telescopes : tuple of int
        Whose light it gets.
    """

    corner: tuple[int, int]
    telescopes: tuple[int, ...]


def raw_extensions(
    exposure: Exposure, windows: Sequence[Window], pixels: Sequence[Any], centre_nm: float = CENTRE_NM
) -> tuple[Any, ...]:
    """Return all tables of a raw file.

    Parameters
    ----------
    exposure : Exposure
        For the times.
    windows : sequence of Window
        What was read.
    pixels : sequence of arrays
        Of each window: frames, rows, columns.
    centre_nm : float
        Wavelength of the window's middle row.
    """
    about: Keywords = (
        ("ORIGIN", "ESO-PARANAL"),
        ("INSTRUME", exposure.instrument.name),
        ("MJD-OBS", mjd(exposure.start)),
        ("DATE-OBS", timestamp(exposure.start)),
        ("DATE", timestamp(exposure.start)),
        ("NREGION", len(windows)),
        ("MAXTEL", len(STATIONS)),
    )
    detector = _imaging_detector(windows, pixels)
    fill_header(detector.header, (*about, *_name_part("DET"), ("NDETECT", 1), ("NUM_DIM", 2), ("MAX_COEF", 0)))
    data = _imaging_data(exposure, pixels)
    fill_header(data.header, (*about, *_name_part("DET"), ("MAXINS", len(STATIONS)), ("MAXSTEP", 1)))
    waves = _wave_data(centre_nm)
    offsets = tuple((f"ESO DET1 P{number} OFFSETY", 0.0) for number in range(1, len(STATIONS) + 1))
    fill_header(waves.header, (*about, *_name_part("INS"), ("NWAVE", NPIX), *offsets))
    return array_geometry(), detector, data, waves


def _name_part(part: str) -> Keywords:
    return ((f"ESO {part} DID", f"ESO-VLT-DIC.AMBER_{part}"), (f"ESO {part} ID", "AMBER"))


def _imaging_detector(windows: Sequence[Window], pixels: Sequence[Any]) -> Any:
    count = len(windows)
    # 0 for what sees no star, 1 for the light of one telescope, 2 for that of several.
    kinds = [min(len(window.telescopes), 2) for window in windows]
    ports = [(*window.telescopes, *(0,) * (len(STATIONS) - len(window.telescopes))) for window in windows]
    columns = {
        "REGION": ("1I", range(1, count + 1)),
        "DETECTOR": ("1I", [1] * count),
        "PORTS": (f"{len(STATIONS)}I", ports),
        "CORRELATION": ("1I", kinds),
        "REGNAME": ("16A", [f"DATA{number}" for number in range(1, count + 1)]),
        "CORNER": ("2I", [window.corner for window in windows]),
        "GAIN": ("1D", [GAIN_E_PER_COUNT] * count),
        "NAXIS": ("2I", [cube.shape[:0:-1] for cube in pixels]),
        "CRVAL": ("2D", [(1.0, 1.0)] * count),
        "CRPIX": ("2D", [(1.0, 1.0)] * count),
        "CTYPE": ("16A", ["PIXEL"] * count),
        "CD": ("4D", [(1.0, 0.0, 0.0, 1.0)] * count),
    }
    return table(columns, "IMAGING_DETECTOR")


def _imaging_data(exposure: Exposure, pixels: Sequence[Any]) -> Any:
    import numpy as np
    from astropy.io import fits

    count = len(pixels[0])
    times = mjd(exposure.start) + np.arange(count) * exposure.dit_s / SECONDS_PER_DAY
    threes = np.zeros((count, 3))
    columns = [
        fits.Column("FRAME", "1J", array=np.arange(1, count + 1)),
        fits.Column("TIME", "1D", unit="d", array=times),
        fits.Column("EXPTIME", "1E", unit="s", array=np.full(count, exposure.dit_s)),
        fits.Column("OPT_TRAIN", "3I", array=threes + 1),
        fits.Column("INS_TRAIN", "3I", array=threes + 1),
        fits.Column("REFERENCE", "1I", array=np.zeros(count)),
        fits.Column("OPD", "3D", unit="m", array=threes),
        fits.Column("LOCALOPD", "3D", unit="m", array=threes),
        fits.Column("OFFSET", "2D", array=threes[:, :2]),
        fits.Column("ROTATION", "1D", array=np.zeros(count)),
        fits.Column("STEPPING_PHASE", "1I", array=np.zeros(count)),
    ]
    for number, cube in enumerate(pixels, start=1):
        rows, width = cube.shape[1:]
        columns.append(fits.Column(f"DATA{number}", f"{rows * width}I", dim=f"({width},{rows})", array=cube))
    return fits.BinTableHDU.from_columns(columns, name="IMAGING_DATA")


def _wave_data(centre_nm: float) -> Any:
    columns = {"EFF_WAVE": ("1E", wavelengths_nm(centre_nm)), "EFF_BAND": ("1E", [abs(STEP_NM)] * NPIX)}
    return table(columns, "AMBER_WAVEDATA")
