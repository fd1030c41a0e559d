"""Which of several calibrations to take: those whose headers match, and of these the nearest in time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from esorex_bridge.definitions.steps import Calibration
from esorex_bridge.plan.plan import Keywords


class Offered(Protocol):
    """What a choice looks at: a label for messages, and the keywords of the (first) file."""

    @property
    def label(self) -> str:
        """What it is, in words."""

    @property
    def keywords(self) -> Keywords:
        """Keywords of its first file."""


Offer = TypeVar("Offer", bound=Offered)


class Choice(Struct, Generic[Offer], frozen=True):
    """What was taken under a tag, and the reason in words where nothing was."""

    taken: tuple[Offer, ...]
    reason: str = ""


def choose(offers: Iterable[Offer], wanted: Keywords, calibration: Calibration) -> Choice[Offer]:
    """Choose among offers: header match first, distance in MJD-OBS second, label last.

    An offer whose header lacks a keyword to match comes after those that have it.
    """
    offered = tuple(offers)
    if not offered:
        return Choice((), "the dataset has none")
    fitting = []
    against = []
    for offer in offered:
        differences = tuple(mismatches(offer.keywords, wanted, calibration.match))
        if differences:
            against.append(f"{offer.label}: {', '.join(differences)}")
        else:
            fitting.append(offer)
    if not fitting:
        return Choice((), "; ".join(against))
    fitting.sort(
        key=lambda offer: (
            sum(offer.keywords.get(key) is None for key in calibration.match),
            time_distance(offer.keywords, wanted),
            offer.label,
        )
    )
    return Choice(tuple(fitting[: calibration.limit]))


def mismatches(one: Keywords, other: Keywords, keys: Iterable[str]) -> Iterator[str]:
    """Yield `DET.DIT 10 ≠ 2` for each keyword in which two headers differ; one absent in either does not count."""
    for key in keys:
        mine, theirs = one.get(key), other.get(key)
        if mine is not None and theirs is not None and not same(mine, theirs):
            yield f"{key} {mine} ≠ {theirs}"


def same(one: object, other: object) -> bool:
    """Tell whether two keyword values agree: as numbers where both are (the same keyword is int here, float there)."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one == other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
    return str(one).strip() == str(other).strip()


def time_distance(one: Keywords, other: Keywords) -> float:
    """Return the distance in days between two files; infinite where one has no MJD-OBS."""
    mine, theirs = one.get("MJD-OBS"), other.get("MJD-OBS")
    if isinstance(mine, int | float) and isinstance(theirs, int | float):
        return abs(mine - theirs)
    return math.inf


def setting_of(keywords: Keywords, keys: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the setting of a file: the given keywords as text, numbers in one form, absent ones left out."""
    return tuple((key, _text(value)) for key in keys if (value := keywords.get(key)) is not None)


def _text(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.10g}"
    return str(value).strip()
