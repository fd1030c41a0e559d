"""Changes of an instrument between the files of a tree, looked for by archive names first.

An up-to-date run asks this of every dataset, and almost always the answer is that there is none: names tell it, without
a header and without what reads rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from esorex_bridge.datasets.dataset import Dataset, DatasetFile, files_of
from esorex_bridge.errors import DataError
from esorex_bridge.files import is_processed

_MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
_TIME_LENGTH = len("2016-03-02T00:30:00.076")
_NEAR_DAYS = 1.0
"""By how much the time in a raw's name may differ from that of its header, and that of an event from what is said."""

_MADE_LATER_DAYS = 400.0
"""By how much a processed calibration may be named later than its raws were taken."""


class _Event(Struct):
    """What a record of the archive's list says that names can be held against."""

    mjd: float = msgspec.field(name="mjdObs")
    prefix: str | None = msgspec.field(name="dpInstrument", default=None)


def with_changes(datasets: tuple[Dataset, ...], path: Path) -> tuple[Dataset, ...]:
    """Return datasets of trees whose actions say which calibrations lie beyond a change of the instrument.

    Parameters
    ----------
    datasets : tuple of Dataset
        From association trees.
    path : Path
        The archive's list of breakpoints; where it is not there, nothing is said.

    Raises
    ------
    DataError
        If it is no such list.
    """
    if not path.exists():
        return datasets
    events = _read_events(path)
    concerned = [dataset for dataset in datasets if _may_be_separated(dataset, events)]
    return _describe(datasets, concerned, path) if concerned else datasets


def _read_events(path: Path) -> list[_Event]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[_Event])
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"{path} is not a list of breakpoints ({error}); fetch it again or remove the file") from None


def _may_be_separated(dataset: Dataset, events: Iterable[_Event]) -> bool:
    """Tell whether an event of the instrument may lie between files of a dataset, by their names."""
    prefix = dataset.action.files[0].name.split(".")[0]
    times = list(_times(files_of(dataset)))
    mine = (each.mjd for each in events if each.prefix in (None, "", prefix))
    return any(min(times) < mjd < max(times) for mjd in mine) if times else False


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


def _describe(datasets: tuple[Dataset, ...], concerned: list[Dataset], path: Path) -> tuple[Dataset, ...]:
    from esorex_bridge.fits.header import read_header
    from esorex_bridge.organise.breakpoints import read_breakpoints, with_breakpoint_messages

    breakpoints = read_breakpoints(path.read_text(encoding="utf-8"), str(path))
    paths = {file.path for dataset in concerned for file in files_of(dataset) if file.path is not None}
    headers = {path: read_header(path) for path in paths}
    names = {dataset.name for dataset in concerned}
    return tuple(
        with_breakpoint_messages(each, headers, breakpoints) if each.name in names else each for each in datasets
    )
