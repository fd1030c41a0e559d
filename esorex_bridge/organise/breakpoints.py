"""calSelector's breakpoints: events, such as the exchange of a detector, that no calibration may cross.

The service `calselector/v1/breakpoints` of the archive lists them as JSON records with the fields `mjdObs`,
`instrument`, `dpInstrument`, `rawType`, `doClass` and `proCatg`. A record is about raw files of a DO class (the tag)
*or* about masters of a PRO.CATG, never both at once: for one event all classes are listed with all categories.
`rawType` is RAW.TYPE of ESO's rules, and in no header; `ANY` stands for everything of the instrument.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile
from esorex_bridge.definitions.edps.planned_jobs import Event
from esorex_bridge.definitions.oca.classify import Classified
from esorex_bridge.definitions.oca.evaluate import Keywords
from esorex_bridge.definitions.oca.library import archive_prefix
from esorex_bridge.errors import DataError
from esorex_bridge.organise.frames import Frame, time_of

ANY = ("", "ANY")
"""What stands for everything."""

UNCERTAIN_DAYS = 169 / 86400
"""Times are rounded to 1/256 day: so near to an event nobody knows on which side of it a file lies."""


class Breakpoint(Struct, frozen=True):
    """An event across which some calibrations are of no use.

    Parameters
    ----------
    mjd : float
        When it happened.
    instruments : tuple of str
        Names of the instrument (as ESO calls it, and the prefix of dp_ids); empty for all.
    raw_type : str
        RAW.TYPE of the rules; compared where rules gave the file one.
    product_category : str
        PRO.CATG of the masters concerned.
    category : str
        DO class, the tag, of the raws concerned.
    """

    mjd: float
    instruments: tuple[str, ...] = ()
    raw_type: str = ""
    product_category: str = ""
    category: str = ""

    def separates(self, calibration: Frame, frame: Frame) -> bool:
        """Tell whether a calibration lies on the other side of the event than the frame that it is to calibrate.

        A file without a time, and one so near to the event that its side is not known, is not separated.
        """
        one, other = calibration.time - self.mjd, frame.time - self.mjd
        if not (isfinite(one) and isfinite(other)) or min(abs(one), abs(other)) <= UNCERTAIN_DAYS:
            return False
        return (one < 0) != (other < 0) and self.concerns(calibration)

    def concerns(self, calibration: Frame) -> bool:
        """Tell whether it is about files like this one: a raw by its class alone, a master by its category alone."""
        if self.instruments and _names(calibration).isdisjoint(name.upper() for name in self.instruments):
            return False
        product = calibration.keywords.get("PRO.CATG")
        if product or calibration.name.startswith("M."):
            return self.product_category in (*ANY, product or calibration.category)
        raw_type = calibration.keywords.get("RAW.TYPE")
        if raw_type is not None and self.raw_type not in (*ANY, raw_type):
            return False
        return self.category in (*ANY, calibration.category)


def _names(frame: Frame) -> set[str]:
    """Return what a file's instrument may be called: INSTRUME, and the beginning of archive names."""
    prefix = frame.name.removeprefix("M.").split(".")[0].upper()
    return {frame.instrument.upper(), archive_prefix(frame.instrument), prefix} - {""}


def read_breakpoints(text: str, source: str) -> tuple[Breakpoint, ...]:
    """Read the archive's list of breakpoints, repeated records once.

    Parameters
    ----------
    text : str
        The JSON document.
    source : str
        Name of its file, for messages.

    Raises
    ------
    DataError
        If it is not such a list.
    """
    try:
        records = json.loads(text)
    except ValueError as error:
        raise DataError(f"{source} is not JSON ({error}); fetch the breakpoints again or remove the file") from error
    if not isinstance(records, list):
        raise DataError(f"{source} is not a list of breakpoints; fetch it again or remove the file")
    return tuple(dict.fromkeys(_breakpoint(record, source) for record in records))


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


def as_events(breakpoints: Iterable[Breakpoint]) -> tuple[Event, ...]:
    """Return breakpoints as planning by a workflow package heeds them."""
    return tuple(Event(each.mjd, each.instruments, each.category, each.product_category) for each in breakpoints)


def concerning(breakpoints: Iterable[Breakpoint], frames: Iterable[Frame]) -> tuple[Breakpoint, ...]:
    """Return the breakpoints of the instruments that frames are of: the list is that of all instruments."""
    names = {name for frame in frames for name in _names(frame)}
    return tuple(
        each for each in breakpoints if not each.instruments or not names.isdisjoint(map(str.upper, each.instruments))
    )


def separating(breakpoints: Iterable[Breakpoint], calibration: Frame, frame: Frame) -> Breakpoint | None:
    """Return a breakpoint between a calibration and the frame it is to calibrate, if there is one."""
    return next((found for found in breakpoints if found.separates(calibration, frame)), None)


def with_breakpoint_messages(
    dataset: Dataset, headers: Mapping[Path, Keywords], breakpoints: tuple[Breakpoint, ...]
) -> Dataset:
    """Return a dataset of a tree whose actions say which calibrations lie beyond a breakpoint.

    What calSelector put under an action stays there: it has the same list, and may know better.

    Parameters
    ----------
    dataset : Dataset
        From an association tree.
    headers : mapping of Path to keywords
        Of the files on this machine; nothing is said of others.
    breakpoints : tuple of Breakpoint
        Of all instruments.
    """
    known: dict[Action, Action] = {}

    def tell(action: Action) -> Action:
        if action not in known:
            found = tuple(_messages(action, headers, breakpoints))
            messages = tuple(dict.fromkeys((*action.messages, *found)))
            known[action] = replace(action, messages=messages, actions=tuple(map(tell, action.actions)))
        return known[action]

    return replace(dataset, action=tell(dataset.action)) if breakpoints else dataset


def _messages(action: Action, headers: Mapping[Path, Keywords], breakpoints: tuple[Breakpoint, ...]) -> Iterator[str]:
    main = next((frame for file in action.files if (frame := _frame(file, headers)) is not None), None)
    firsts = (child.files[0] for child in action.actions if child.files and not child.auxiliary)
    for file in (*firsts, *action.statics) if main is not None else ():
        frame = _frame(file, headers)
        found = separating(breakpoints, frame, main) if frame is not None and main is not None else None
        if found is not None:
            yield (
                f"{file.name} ({file.category}) lies beyond a change of the instrument (breakpoint MJD {found.mjd:g}); "
                "kept as calSelector put it there"
            )


def _frame(file: DatasetFile, headers: Mapping[Path, Keywords]) -> Frame | None:
    header = headers.get(file.path) if file.path is not None else None
    if header is None:
        return None
    return Frame(file.name, file.path, header, Classified({"DO.CATG": file.category}, ()), time_of(header))
