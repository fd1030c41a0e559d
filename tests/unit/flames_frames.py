"""Frames of FLAMES' fibres on the lower red chip of UVES, at full size, with the tables that say which are lit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
from astropy.io import fits

from esorex_bridge.demo.nights.frames import Exposure, Template, primary_keywords
from esorex_bridge.demo.nights.uves_headers import UVES, instrument_keywords, raw_stream, read_out
from esorex_bridge.demo.nights.uves_optics import REDL

LENGTH, HEIGHT = 4096, 2048
PITCH_PIX = 9.0
FIBRE_SIGMA_PIX = 1.9
BUTTONS = (3, 135, 37, 169, 69, 201, 103, 235)
"""Of the positioner, which hold the fibres to UVES: in their order on the detector, after that of the lamp."""
LIT = {"ALL": range(1, 9), "ODD": range(2, 9, 2), "EVEN": range(1, 9, 2)}
WAVELENGTHS_NM = (370, 400, 420, 450, 500, 600, 650, 700, 870)
"""Where the table of fibres says what each lets through."""


def offset_pix(fibre: int) -> float:
    """Return how far a fibre lies from the middle of an order; fibre 0 is that of the simultaneous lamp."""
    return PITCH_PIX * (fibre - 4)


def fibres_light(fibres: Iterable[int], counts: float) -> np.ndarray:
    """Return the light of some fibres on the detector."""
    image = np.zeros((HEIGHT, LENGTH), np.float32)
    for _, near, middle in orders():
        away = near[:, None] - middle
        for fibre in fibres:
            shape = np.exp(-0.5 * ((away - offset_pix(fibre)) / FIBRE_SIGMA_PIX) ** 2)
            image[near[0] - 1 : near[-1]] += counts * shape
    return image


def slit_light(middle_pix: float, half_pix: float, counts: float) -> np.ndarray:
    """Return the light of a long slit on the detector."""
    image = np.zeros((HEIGHT, LENGTH), np.float32)
    for _, near, middle in orders():
        away = near[:, None] - middle - middle_pix
        inside = np.tanh(away + half_pix) - np.tanh(away - half_pix)
        image[near[0] - 1 : near[-1]] += counts / 2 * inside
    return image


def orders() -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield the orders, the rows about each, and where its middle lies; the format is known in binned pixels."""
    x = (np.arange(1, LENGTH + 1) - 0.5) / 3 + 0.5
    for order in REDL.orders:
        middle = (REDL.place(order, x) - 0.5) * 2 + 0.5
        near = np.arange(max(1, int(middle.min()) - 70), min(HEIGHT, int(middle.max()) + 70) + 1)
        if len(near) > 1:
            yield order, near, middle


def write_raw(
    path: Path, number: int, kind: tuple[str, str], light: np.ndarray, fibres: Iterable[int] | None = None
) -> Path:
    """Write a raw frame; `kind` is type and technique, `fibres` are those of the positioner that are lit."""
    template = Template("FLAMES_uves_cal", datetime(2014, 3, 22, 13, number), 1, 200500002, "Calibration")
    exposure = Exposure(UVES, template, 1, template.start, 20.0, ("CALIB", *kind), kind[0], 83.0, -69.0)
    # One of three places of the long slit for flats.
    encoder = 1000 + 300 * (number % 3)
    keywords = (
        *primary_keywords(exposure, instrument_keywords("RED", HEIGHT, LENGTH, (1, 1), 40.0, exposure)),
        ("ESO INS SLIT3 PLATE", 2),
        ("ESO INS SLIT3 X1ENC", encoder),
        ("ESO INS SLIT3 X2ENC", encoder + 1000),
        ("ESO OCS SIMCAL", 0),
    )
    dark = np.zeros((HEIGHT, LENGTH), np.float32)
    noise = np.random.default_rng(number)
    path.write_bytes(raw_stream("RED", (1, 1), keywords, [read_out("RED", each, noise) for each in (dark, light)]))
    if fibres is not None:
        with fits.open(path, mode="append") as file:
            file.append(_positioner([BUTTONS[fibre - 1] for fibre in fibres]))
            file.append(_all_fibres())
    return path


def write_slit_flats(folder: Path) -> list[tuple[Path, str]]:
    """Write two flats at each of three places of the long slit; return them with their tag."""
    kind = ("LAMP,SFLAT", "ECHELLE")
    lights = [slit_light(12 * place, 28, 9000) + 5 for place in (-1, 0, 1)]
    numbers = range(6, 12)
    return [(write_raw(folder / f"slit{n}.fits", n, kind, lights[n % 3]), "SFLAT_RED") for n in numbers]


def write_fibre_flats(folder: Path) -> list[tuple[Path, str]]:
    """Write flats of all, odd and even fibres; return them with their tags."""
    written = []
    for number, (name, lit) in enumerate(LIT.items(), start=12):
        light = fibres_light(lit, 9000) + 5
        path = write_raw(folder / f"{name}.fits", number, (f"LAMP,FLAT,{name},OzPoz", "MOS"), light, lit)
        written.append((path, f"FIB_FF_{name}_RED"))
    return written


def _positioner(buttons: list[int]) -> fits.BinTableHDU:
    """Return the table of the positioner's buttons; the pipeline takes fibres for lit whose button is in it."""
    rows = len(buttons)
    columns = [
        fits.Column("OBJECT", "16A", array=[f"STAR{button}" for button in buttons]),
        fits.Column("TYPE", "1A", array=["U"] * rows),
        fits.Column("BUTTON", "1J", array=buttons),
        fits.Column("IN_TOL", "1A", array=["Y"] * rows),
        fits.Column("COMMENTS", "16A", array=["-"] * rows),
        *(fits.Column(name, "1D", array=[0.0] * rows) for name in ("RA", "DEC", "R", "R_ERROR", "THETA")),
        *(fits.Column(name, "1D", array=[0.0] * rows) for name in ("THETA_ERROR", "ORIENT", "MAGNITUDE")),
        fits.Column("PRIORITY", "1J", array=[1] * rows),
    ]
    return fits.BinTableHDU.from_columns(columns, name="OzPoz_table")


def _all_fibres() -> fits.BinTableHDU:
    """Return the table of the fibres to UVES; numbers are text there."""
    buttons = [str(button) for button in BUTTONS]
    rows = len(BUTTONS) + 1
    columns = [
        fits.Column("Slit", "8A", array=["Uves2"] * rows),
        fits.Column("FPS", "8A", array=[str(number) for number in range(1, rows + 1)]),
        fits.Column("Retractor", "16A", array=["Calibration", *(f"Uv{button}" for button in buttons)]),
        *(fits.Column(name, "8A", array=["Cal", *buttons]) for name in ("BN", "FBN", "RP")),
        *(fits.Column(f"{wavelength}", "1D", array=[0.5] * rows) for wavelength in WAVELENGTHS_NM),
    ]
    return fits.BinTableHDU.from_columns(columns, name="FLAMES_FIBRE_Table")
