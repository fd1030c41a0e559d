"""Files become members of data sources, and these become groups: what one job of a task works on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from esorex_bridge.edps.child.calls import Calls
from esorex_bridge.edps.child.files import ClassifiedFile, FitsFile
from esorex_bridge.edps.child.rules import ClassificationRule, same
from esorex_bridge.edps.child.sources import DataSource
from esorex_bridge.edps.child.standin import JobParameters

Member = TypeVar("Member")


def bears(file: FitsFile, rule: ClassificationRule, calls: Calls) -> bool:
    """Tell whether a rule gives a file its tag.

    A processed file is no raw frame unless the rule asks for it: not all packages say so themselves.
    """
    if rule.function is not None:
        return calls.holds(rule.function, file)
    if rule.keywords is None:
        return same(file["pro.catg"], rule.classification)
    asks = any(key.strip().lower().replace(" ", ".").endswith("pro.catg") for key in rule.keywords)
    if not asks and file["pro.catg"] is not None:
        return False
    return all(_fits(file[key], wanted) for key, wanted in rule.keywords.items())


def _fits(value: Any, wanted: Any) -> bool:
    if wanted is None:
        return value is None
    if isinstance(wanted, list | tuple | set):
        return any(_fits(value, each) for each in wanted)
    return same(value, wanted)


def members(source: DataSource, files: Iterable[FitsFile], calls: Calls) -> list[ClassifiedFile]:
    """Return the files of a source by time, each with the tag of the first rule that it fits."""
    found = []
    for file in files:
        fitting = [rule.classification for rule in source.classification_rules if bears(file, rule, calls)]
        if fitting:
            found.append(ClassifiedFile(file, fitting[0]))
        if len(set(fitting)) > 1:
            calls.say(f"{file.name} fits {', '.join(fitting)} of data source {source.name}; {fitting[0]} is taken")
    return sorted(found, key=lambda file: file.order)


def group_members(
    listed: Sequence[Member], header: Callable[[Member], FitsFile], grouping: Any, pool: JobParameters, calls: Calls
) -> list[list[Member]]:
    """Return members in groups: by keywords, then by nearness, then by a function; in the order of their first.

    Parameters
    ----------
    listed : sequence
        Files or jobs, by time.
    header : callable
        Returns the file by whose header a member is grouped.
    grouping : _Grouping
        What the package says.
    pool : JobParameters
        Workflow parameters, for keywords and limits that are given by name.
    calls : Calls
        Asks call-backs and takes down messages.
    """
    keywords = [_find_keyword(key, pool, calls) for key in grouping.keywords or ()]
    by_values: dict[tuple[Any, ...], list[Member]] = {}
    for member in listed:
        values = tuple(_comparable(header(member)[key]) for key in keywords if key)
        by_values.setdefault(values, []).append(member)
    groups = list(by_values.values())
    if grouping.cluster is not None:
        groups = [part for group in groups for part in _clusters(group, header, grouping.cluster, pool, calls)]
    if grouping.function is not None:
        groups = [part for group in groups for part in _by_function(group, header, grouping.function, calls)]
    return groups


def _find_keyword(key: str, pool: JobParameters, calls: Calls) -> str:
    """Return a keyword; one that begins with `$` is named by a workflow parameter."""
    if not key.startswith("$"):
        return key
    found = pool.get_workflow_param(key)
    if found is None:
        calls.say(f"no workflow parameter {key}: nothing is grouped by it")
    return str(found or "")


def named_keywords(keywords: Iterable[str], pool: JobParameters, calls: Calls) -> list[str]:
    """Return keywords with those that begin with `$` replaced."""
    return [found for key in keywords if (found := _find_keyword(key, pool, calls))]


def _comparable(value: Any) -> Any:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _by_function(
    group: list[Member], header: Callable[[Member], FitsFile], function: Any, calls: Calls
) -> list[list[Member]]:
    places = {id(header(member)): member for member in group}
    answer = calls.ask(function, [header(member) for member in group])
    parts = list(answer.values()) if isinstance(answer, dict) else answer
    try:
        found = [[places[id(file)] for file in part if id(file) in places] for part in parts]
    except TypeError:
        calls.say(f"{calls.place(function)} returned no groups; its files stay in one")
        return [group]
    return [part for part in found if part]


# ----- nearness on the sky


def _clusters(
    group: list[Member], header: Callable[[Member], FitsFile], cluster: tuple[str, Any, Any], pool: Any, calls: Calls
) -> list[list[Member]]:
    key, *limits = cluster
    if key.upper() != "SKY.POSITION":
        calls.say(f"groups near each other in {key} are not known; only SKY.POSITION is")
        return [group]
    separation, diameter = (_limit(limit, pool) for limit in limits)
    parts: list[list[Member]] = []
    for member in group:
        place = _position(header(member))
        for part in parts:
            distances = [_distance(place, _position(header(other))) for other in part]
            if min(distances) <= separation and max(distances) <= diameter:
                part.append(member)
                break
        else:
            parts.append([member])
    return parts


def _limit(given: Any, pool: JobParameters) -> float:
    if given is None:
        return math.inf
    try:
        return float(given)
    except (TypeError, ValueError):
        found = pool.get_workflow_param(str(given))
        return math.inf if found is None else float(found)


def _position(file: FitsFile) -> tuple[float, float] | None:
    right_ascension, declination = file["ra"], file["dec"]
    if not isinstance(right_ascension, int | float) or not isinstance(declination, int | float):
        return None
    return math.radians(right_ascension), math.radians(declination)


def _distance(one: tuple[float, float] | None, other: tuple[float, float] | None) -> float:
    """Return the angle between two places in degrees; places that are not known are one."""
    if one is None or other is None:
        return 0.0 if one is other else math.inf
    across = math.sin((other[1] - one[1]) / 2) ** 2
    along = math.cos(one[1]) * math.cos(other[1]) * math.sin((other[0] - one[0]) / 2) ** 2
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(across + along))))
