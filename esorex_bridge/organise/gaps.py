"""Gaps of a dataset, and how they are filled by what the archive's table of raw frames answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile
from esorex_bridge.definitions.oca.classify import Classified
from esorex_bridge.files import DpId, is_dp_id
from esorex_bridge.organise.adql import is_in_path, query_for, raw_categories, wanted_paths
from esorex_bridge.organise.breakpoints import Breakpoint, separating
from esorex_bridge.organise.frames import Frame
from esorex_bridge.organise.grouping import FrameGroup
from esorex_bridge.organise.organiser import Organised

Row = Mapping[str, Any]
"""A row of `dbo.raw`: dp_id, mjd_obs, tpl_start, dp_type."""


class Gap(Struct, frozen=True):
    """What a group of a dataset misses, and can be asked for.

    Parameters
    ----------
    group : FrameGroup
        What misses it.
    category : str
        As the rules select it.
    raw_category : str
        Of the raw files that it is, or is made from.
    query : str
        The ADQL that finds such raw files.
    trigger : Frame
        Of the group: the first frame of the setting that misses it.
    paths : tuple of (str, str)
        Columns of the archive with the filters, gratings, grisms and slits that must be in them.
    """

    group: FrameGroup
    category: str
    raw_category: str
    query: str
    trigger: Frame
    paths: tuple[tuple[str, str], ...] = ()


def gaps_of(dataset: Dataset, organised: Organised, days: float) -> tuple[Gap, ...]:
    """Return the gaps in a dataset's cascade that raw files of the archive could fill.

    Parameters
    ----------
    dataset : Dataset
        Made by the rules.
    organised : Organised
        Which it is part of.
    days : float
        Longest time between calibration and what it is for.
    """
    found: list[Gap] = []
    target = organised.target(dataset.name)
    waiting = [target] if target is not None else []
    seen: set[int] = set()
    while waiting:
        group = waiting.pop(0)
        if id(group) in seen:
            continue
        seen.add(id(group))
        for selection in group.action.selections:
            chosen = organised.associator.choose(group, selection)
            waiting += [candidate.maker for candidate in chosen.taken if candidate.maker is not None]
            found += [
                gap
                for trigger in chosen.lacking
                if (gap := _gap(group, trigger, selection.category, organised, days)) is not None
            ]
    return tuple(found)


def _gap(group: FrameGroup, trigger: Frame, category: str, organised: Organised, days: float) -> Gap | None:
    rules = organised.rules
    query = query_for(category, rules, group, days, trigger=trigger)
    if query is None:
        return None
    paths = wanted_paths(category, rules, group, trigger)
    return Gap(group, category, raw_categories(category, rules)[0], query, trigger, paths)


def fill_from_archive(
    dataset: Dataset, gaps: Iterable[Gap], ask: Callable[[str], Iterable[Row]], breakpoints: tuple[Breakpoint, ...] = ()
) -> Dataset:
    """Return a dataset whose gaps are filled by files of the archive that are not on this machine yet.

    Of the files found the template nearest in time is taken, of the same filters, gratings, grisms and slits as far as
    the archive tells, and on the same side of all breakpoints. The dataset stays
    incomplete, as long as the files are not here.

    Parameters
    ----------
    dataset : Dataset
        With gaps.
    gaps : iterable of Gap
        Of it.
    ask : callable
        Puts a query to the archive and returns the rows.
    breakpoints : tuple of Breakpoint
        Dates that calibrations must not cross.
    """
    action = dataset.action
    for gap in gaps:
        names = _nearest_template(gap, ask(gap.query), breakpoints)
        if names:
            action = _add_found(action, gap, names)
    return replace(dataset, action=action)


def _nearest_template(gap: Gap, rows: Iterable[Row], breakpoints: tuple[Breakpoint, ...]) -> tuple[DpId, ...]:
    templates: dict[str, list[Frame]] = defaultdict(list)
    for row in rows:
        frame = _frame(row, gap)
        if frame is None or not _is_of_setting(row, gap):
            continue
        if separating(breakpoints, frame, gap.trigger) is None:
            templates[str(row.get("tpl_start") or frame.name)].append(frame)
    time = gap.trigger.time
    nearest = min(templates.values(), key=lambda frames: min(abs(frame.time - time) for frame in frames), default=[])
    return tuple(sorted(frame.name for frame in nearest))


def _is_of_setting(row: Row, gap: Gap) -> bool:
    """Tell whether each path of a row names one of what is wanted in it: not all that is in the way is in a path."""
    columns = {column for column, _ in gap.paths}
    return all(
        any(is_in_path(row.get(column), name) for other, name in gap.paths if other == column) for column in columns
    )


def _frame(row: Row, gap: Gap) -> Frame | None:
    """Return what is known of an archive file; None for a row that names none, since names become paths."""
    name, mjd = str(row.get("dp_id") or ""), row.get("mjd_obs")
    if not is_dp_id(name) or not isinstance(mjd, (int, float)):
        return None
    keywords = {"INSTRUME": gap.trigger.instrument, "DPR.TYPE": str(row.get("dp_type") or "")}
    return Frame(DpId(name), None, keywords, Classified({"DO.CATG": gap.raw_category}, ()), float(mjd))


def _add_found(action: Action, gap: Gap, names: tuple[DpId, ...]) -> Action:
    children = tuple(_add_found(child, gap, names) for child in action.actions)
    if {file.name for file in action.files} != {frame.name for frame in gap.group.frames}:
        return replace(action, actions=children)
    found = Action(gap.raw_category, tuple(DatasetFile(name, gap.raw_category) for name in names), complete=False)
    told = f"In the archive for {gap.category}: {len(names)} files of {gap.raw_category}, to be fetched"
    return replace(action, actions=tuple(dict.fromkeys((*children, found))), messages=(*action.messages, told))
