"""Changes of an instrument between the files of a tree, looked for by archive names first.

An up-to-date run asks this of every dataset, and almost always the answer is that there is none: names tell it, without
a header and without what reads rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile, files_of
from esorex_bridge.datasets.shared import Shared
from esorex_bridge.errors import DataError
from esorex_bridge.files import is_processed

if TYPE_CHECKING:
    from esorex_bridge.organise.breakpoints import Breakpoint
    from esorex_bridge.plan.plan import Keywords

_MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
_TIME_LENGTH = len("2016-03-02T00:30:00.076")
_NEAR_DAYS = 1.0
"""By how much the time in a raw's name may differ from that of its header, and that of an event from what is said."""

_HEADERS_KEPT = 300

_MADE_LATER_DAYS = 400.0
"""By how much a processed calibration may be named later than its raws were taken."""


class _Event(Struct):
    """What a record of the archive's list says that names can be held against."""

    mjd: float = msgspec.field(name="mjdObs")
    prefix: str | None = msgspec.field(name="dpInstrument", default=None)


class Changes:
    """Says of datasets of trees which calibrations lie beyond a change of the instrument.

    Parameters
    ----------
    path : Path
        The archive's list of breakpoints; where it is not there, nothing is said.

    Raises
    ------
    DataError
        If it is no such list.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._events = _read_events(path) if path.exists() else []
        self._shared = Shared()
        self._headers = lru_cache(_HEADERS_KEPT)(_read_header)

    def describe(self, dataset: Dataset) -> Dataset:
        """Return a dataset whose actions say it."""
        if not self._events or not self._may_be_separated(dataset):
            return dataset
        from esorex_bridge.organise.breakpoints import with_breakpoint_messages

        headers = {path: self._headers(path) for file in files_of(dataset) if (path := file.path) is not None}
        return with_breakpoint_messages(dataset, headers, self._breakpoints)

    @cached_property
    def _breakpoints(self) -> tuple[Breakpoint, ...]:
        from esorex_bridge.organise.breakpoints import read_breakpoints

        return read_breakpoints(self._path.read_text(encoding="utf-8"), str(self._path))

    def _may_be_separated(self, dataset: Dataset) -> bool:
        """Tell whether an event of the instrument may lie between files of a dataset, by their names."""
        prefix = dataset.action.files[0].name.split(".")[0]
        ends = [each for each in self._shared.of_actions(dataset.action, "ends", _ends) if each]
        if not ends:
            return False
        first, last = min(first for first, _ in ends), max(last for _, last in ends)
        mine = (each.mjd for each in self._events if each.prefix in (None, "", prefix))
        return any(first < mjd < last for mjd in mine)


def _read_header(path: Path) -> Keywords:
    from esorex_bridge.fits.header import read_header

    return read_header(path)


def _read_events(path: Path) -> list[_Event]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[_Event])
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"{path} is not a list of breakpoints ({error}); fetch it again or remove the file") from None


def _ends(action: Action) -> tuple[float, float] | None:
    """Return the earliest and the latest time of which the files of an action may be; None where it has none."""
    times = list(_times((*action.files, *action.statics)))
    return (min(times), max(times)) if times else None


def _times(files: Iterable[DatasetFile]) -> Iterator[float]:
    """Yield the earliest and the latest time that each file may be of; of a name without a time any."""
    for file in files:
        try:
            named = datetime.fromisoformat(file.name[-_TIME_LENGTH:].replace("_", ":")).replace(tzinfo=UTC)
        except ValueError:
            yield from (float("-inf"), float("inf"))
            continue
        mjd = (named - _MJD_EPOCH).total_seconds() / 86400
        yield from (mjd - (_MADE_LATER_DAYS if is_processed(file.name) else _NEAR_DAYS), mjd + _NEAR_DAYS)
