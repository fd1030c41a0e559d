"""What the recipes of VIMOS' spectra take beside calibrations: lines, settings, extinction, the flux of a star."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from esorex_bridge.demo.nights import vimos_grism as grism
from esorex_bridge.demo.nights import vimos_stars as stars
from esorex_bridge.demo.nights.frames import Keywords, fits_bytes
from esorex_bridge.demo.nights.night import ArchiveFile
from esorex_bridge.demo.nights.tables import describe_processed, table
from esorex_bridge.demo.nights.vimos_detectors import VIMOS
from esorex_bridge.files import DpId


def static_calibrations(mode: str, quadrant: int, noon: datetime) -> tuple[ArchiveFile, ...]:
    """Return the files that a night in a mode (`MOS`, `IFU`) takes; `noon` is before it, and tells the files apart."""
    of_grism: Keywords = (
        (f"ESO INS GRIS{quadrant} NAME", grism.NAME),
        (f"ESO INS GRIS{quadrant} ID", f"vm-LRred-{quadrant}.6"),
    )
    of_filter: Keywords = ((f"ESO INS FILT{quadrant} NAME", grism.FILTER), ("ESO OCS CON QUAD", quadrant))
    builders: list[tuple[str, Keywords, Callable[[], Any]]] = [
        ("LINE_CATALOG", of_grism, _lines),
        ("EXTINCT_TABLE", (("ESO PRO TABLE", "ATMEXT"),), _extinction),
        ("STD_FLUX_TABLE", (("ESO OBS TARG NAME", stars.STANDARD_NAME), ("ESO PRO TABLE", "SFLUX")), _standard),
    ]
    if mode == "MOS":
        builders.append(("CONFIG_TABLE", (*of_grism, *of_filter), _settings))
    return tuple(_static(number, noon, *builder) for number, builder in enumerate(builders, start=1))


def _static(number: int, noon: datetime, category: str, more: Keywords, extension: Callable[[], Any]) -> ArchiveFile:
    dp_id = DpId(f"M.VIMOS.{noon:%Y-%m}-01T12:00:{number:02d}.{123 + 77 * number}")
    keywords = describe_processed(dp_id, VIMOS.name, category, more)
    return ArchiveFile(dp_id, category, keywords, partial(_bytes, keywords, extension))


def _bytes(keywords: Keywords, extension: Callable[[], Any]) -> bytes:
    made = extension()
    for name, value in keywords:
        # The readers of IFU spectra look for it beside the table.
        if name == "ESO PRO TABLE":
            made.header[f"HIERARCH {name}"] = value
    return fits_bytes(keywords, extensions=[made])


def _lines() -> Any:
    waves, strengths = zip(*grism.ARC_LINES, strict=True)
    columns: dict[str, tuple[str, Any]] = {
        "WLEN": ("1E", waves),
        "NAME": ("9A", ["SYNTH"] * len(waves)),
        "FLUX": ("1E", strengths),
        "LINE_SET": ("10A", ["standard"] * len(waves)),
    }
    return table(columns, "LIN")


def _settings() -> Any:
    columns: dict[str, tuple[str, Any]] = {
        "dispersion": ("1D", [grism.DISPERSION_A]),
        "peakdetection": ("1D", [250.0]),
        "wdegree": ("1J", [3]),
        "cdegree": ("1J", [2]),
        "startwavelength": ("1D", [grism.FIRST_A]),
        "endwavelength": ("1D", [grism.LAST_A]),
        "reference": ("1D", [grism.REFERENCE_A]),
        # The response is a polynomial, and the colour of the lamp has no part in it.
        "resp_fit_nknots": ("1J", [-1]),
        "resp_fit_degree": ("1J", [3]),
        "RESP_USE_FLAT_SED": ("1J", [0]),
    }
    return table(columns, "CONFIG")


def _extinction() -> Any:
    waves = _steps()
    columns = {"WAVE": ("1E", waves), "EXTINCTION": ("1E", [stars.EXTINCTION_MAG] * len(waves))}
    return table(columns, "ATMEXT")


def _standard() -> Any:
    import numpy as np

    waves = _steps()
    columns: dict[str, tuple[str, Any]] = {
        "WAVE": ("1E", waves),
        "FLUX": ("1E", stars.standard_flux(np.array(waves))),
        "BIN": ("1E", [50.0] * len(waves)),
        "STLLR_ABSORP": ("1L", [False] * len(waves)),
    }
    return table(columns, "SFLUX")


def _steps() -> list[float]:
    return [3500.0 + 50 * step for step in range(151)]
