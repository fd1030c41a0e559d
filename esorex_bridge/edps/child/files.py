"""A file as rules and call-backs see it: `file[keyword]`, None where the header does not have it."""

from __future__ import annotations

import math
from typing import Any

from esorex_bridge.edps.child.rules import keyword

NIGHT_BEGINS = 2 / 3
"""Fraction of the day (UT) at which it is noon in Chile: what comes later belongs to the night that follows."""

_MJD_OF_1970 = 40587

asked: set[str] = set()
"""Keywords that were asked for and that the request did not bring: it has to be made again with them."""


class FitsFile:
    """One file by its header.

    Parameters
    ----------
    name : str
        What it is called in requests and answers.
    header : dict
        Values by keyword in our form; None where the file does not have it, and nothing where nobody looked.
    """

    __slots__ = ("_header", "mjd", "name")

    def __init__(self, name: str, header: dict[str, Any]) -> None:
        self.name, self._header = name, header
        found = header.get("MJD-OBS")
        self.mjd: float | None = float(found) if isinstance(found, int | float) else None

    def __getitem__(self, key: str) -> Any:
        name = keyword(key)
        try:
            return self._header[name]
        except KeyError:
            if name == "NIGHT":
                return self._night()
            asked.add(name)
            return None

    def _night(self) -> str | None:
        """Return the date on which the night of the file began."""
        if self.mjd is None:
            return None
        import datetime

        days = math.floor(self.mjd - NIGHT_BEGINS) - _MJD_OF_1970
        return str(datetime.date(1970, 1, 1) + datetime.timedelta(days=days))

    def get_keyword_value(self, name: str, default: Any = None) -> Any:
        """Return a header value, or something else where there is none."""
        found = self[name]
        return default if found is None else found

    @property
    def order(self) -> tuple[float, str]:
        """By time, then by name; files without a time last."""
        return (math.inf if self.mjd is None else self.mjd, self.name)


class ClassifiedFile(FitsFile):
    """A file with the tag under which it entered a data source."""

    __slots__ = ("classification",)

    def __init__(self, file: FitsFile, classification: str) -> None:
        self.name, self._header, self.mjd = file.name, file._header, file.mjd
        self.classification = classification

    @property
    def category(self) -> str:
        """The tag, under its other name."""
        return self.classification

    @property
    def file_path(self) -> str:
        """Where it lies."""
        return self.name
