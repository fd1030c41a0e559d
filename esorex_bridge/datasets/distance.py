"""How far calibrations are from what they calibrate, before any header is here: archive names hold the time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from msgspec import Struct

from esorex_bridge.datasets.association import LEVELS, Association, Match
from esorex_bridge.files import is_dp_id, is_processed


class Distance(Struct, frozen=True):
    """Groups of one category below one other: how well they keep to the calibration plan.

    Parameters
    ----------
    purpose : str
        The group, and the one that it calibrates: `DARK/FLAT`.
    match : {'calib_plan', 'extended', 'N/A'} or None
        As calSelector says.
    level : int or None
        0 for the calibration plan, 1 beyond it; None where calSelector does not say.
    groups : int
        How many there are, equal ones counted once.
    days : tuple of float
        Least and most; empty where the times are not known.
    """

    purpose: str
    match: Match | None
    level: int | None
    groups: int
    days: tuple[float, ...]


def days_away(group: Association, calibrated: Association) -> float | None:
    """Return the days between a group's nearest raw file and the first one of what it calibrates; None without raws."""
    first = min(_times(calibrated), default=None)
    if first is None:
        return None
    nearest = min((abs(time - first) for time in _times(group)), default=None)
    return None if nearest is None else round(nearest / timedelta(days=1), 4)


def list_distances(roots: Iterable[Association]) -> tuple[Distance, ...]:
    """Return the distances of all groups that recipes need, by what they calibrate and calSelector's match."""
    pairs = dict.fromkeys(pair for root in roots for pair in _pairs(root))
    found: dict[tuple[str, Match | None], list[float | None]] = {}
    for above, below in pairs:
        key = f"{below.category}/{above.category}", below.match
        found.setdefault(key, []).append(days_away(below, above))
    return tuple(
        Distance(purpose, match, LEVELS.get(match), len(each), _ends(each)) for (purpose, match), each in found.items()
    )


def _ends(days: list[float | None]) -> tuple[float, ...]:
    known = [each for each in days if each is not None]
    return (min(known), max(known)) if known else ()


def _pairs(above: Association) -> Iterator[tuple[Association, Association]]:
    for below in above.associated:
        if below.kind == "main":
            yield above, below
            yield from _pairs(below)


def _times(group: Association) -> Iterator[datetime]:
    for file in group.files:
        if (time := _time_of(file.name)) is not None:
            yield time


def _time_of(name: str) -> datetime | None:
    """Return when a raw file was taken (UT); None for processed files, whose names tell when they were archived."""
    if is_processed(name) or not is_dp_id(name):
        return None
    try:
        return datetime.fromisoformat(name.partition(".")[2][:19].replace("_", ":"))
    except ValueError:
        return None
