"""calSelector's breakpoints: dates, such as that of a detector's exchange, that calibrations must not cross.

The service `calselector/v1/breakpoints` of the archive lists them as JSON records with the fields `mjdObs`,
`instrument`, `dpInstrument`, `rawType`, `proCatg` and `doClass`. A field that is missing or empty restricts nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from esorex_bridge.errors import DataError
from esorex_bridge.organise.frames import Frame


class Breakpoint(Struct, frozen=True):
    """A date across which some calibrations are of no use.

    Parameters
    ----------
    mjd : float
        The date.
    instruments : tuple of str
        Names of the instrument (FITS INSTRUME, and the prefix of dp_ids); empty for all.
    raw_type, product_category, category : str
        What it is about: DPR.TYPE, PRO.CATG, tag; empty for all.
    """

    mjd: float
    instruments: tuple[str, ...] = ()
    raw_type: str = ""
    product_category: str = ""
    category: str = ""

    def separates(self, calibration: Frame, frame: Frame) -> bool:
        """Tell whether a calibration lies on the other side of the date than the frame it is to calibrate."""
        if (calibration.time < self.mjd) == (frame.time < self.mjd):
            return False
        keywords = calibration.keywords
        return (
            (not self.instruments or not _names(calibration).isdisjoint(name.upper() for name in self.instruments))
            and self.raw_type in ("", keywords.get("DPR.TYPE"))
            and self.product_category in ("", keywords.get("PRO.CATG"))
            and self.category in ("", calibration.category)
        )


def _names(frame: Frame) -> set[str]:
    return {frame.instrument.upper(), frame.name.removeprefix("M.").split(".")[0].upper()}


def read_breakpoints(text: str, source: str) -> tuple[Breakpoint, ...]:
    """Read the archive's list of breakpoints.

    Parameters
    ----------
    text : str
        The JSON document.
    source : str
        Name of its file, for messages.

    Raises
    ------
    DataError
        When it is not such a list.
    """
    try:
        records = json.loads(text)
    except ValueError as error:
        raise DataError(f"{source} is not JSON ({error}); fetch the breakpoints again or remove the file") from error
    if not isinstance(records, list):
        raise DataError(f"{source} is no list of breakpoints; fetch it again or remove the file")
    return tuple(_breakpoint(record, source) for record in records)


def _breakpoint(record: Any, source: str) -> Breakpoint:
    mjd = record.get("mjdObs") if isinstance(record, dict) else None
    if not isinstance(mjd, (int, float)) or isinstance(mjd, bool):
        raise DataError(f"{source} has a record without mjdObs; fetch it again or remove the file")
    names = (record.get("instrument"), record.get("dpInstrument"))
    return Breakpoint(
        float(mjd),
        tuple(dict.fromkeys(str(name) for name in names if name)),
        str(record.get("rawType") or ""),
        str(record.get("proCatg") or ""),
        str(record.get("doClass") or ""),
    )


def separating(breakpoints: Iterable[Breakpoint], calibration: Frame, frame: Frame) -> Breakpoint | None:
    """Return a breakpoint between a calibration and the frame it is to calibrate, if there is one."""
    return next((found for found in breakpoints if found.separates(calibration, frame)), None)
