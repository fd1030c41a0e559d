"""Sky: positions as people write them, in degrees or in hours, minutes and seconds."""

from __future__ import annotations

import math
import re

from esorex_bridge.errors import UserError

_SEXAGESIMAL = re.compile(
    r"([+-]?)(\d{1,3})(?:[:\s]\s*|[hd°]\s*)(\d{1,2})(?:(?:[:\s]\s*|[m'′]\s*)(\d{1,2}(?:\.\d*)?)(?:s|\"|″|'')?|[m'′]?)"
)


def read_ra(text: str) -> float:
    """Return a right ascension in degrees: `83.82`, or hours as `05:35:17`, `5h35m17s`, `05 35 17`.

    Raises
    ------
    UserError
        If it is neither.
    """
    hours = _read(text, 24)
    value = _degrees(text) if hours is None else hours * 15
    if value is None or not 0 <= value < 360:
        raise UserError(f"'{text}' is no right ascension; write degrees (83.82) or hours (05:35:17)")
    return value


def read_dec(text: str) -> float:
    """Return a declination in degrees: `-5.39`, or `-05:23:28`, `-5d23m28s`.

    Raises
    ------
    UserError
        If it is neither.
    """
    value = _read(text, 90)
    value = _degrees(text) if value is None else value
    if value is None or not abs(value) <= 90:
        raise UserError(f"'{text}' is no declination; write degrees (-5.39) or -05:23:28")
    return value


def _read(text: str, most: float) -> float | None:
    """Return whole, minutes and seconds as one number; None where they are not written so."""
    match = _SEXAGESIMAL.fullmatch(text.strip())
    if match is None:
        return None
    minutes, seconds = float(match[3]), float(match[4] or 0)
    value = int(match[2]) + minutes / 60 + seconds / 3600
    if minutes >= 60 or seconds >= 60 or value > most:
        return math.nan
    # The sign stands before the whole: -00:30 is half a degree south.
    return -value if match[1] == "-" else value


def _degrees(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
