"""Which of several calibrations to take: those that fit by header and time, and of these the nearest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from esorex_bridge.datasets.association import LEVELS, Match
from esorex_bridge.definitions.steps import Calibration, Validity
from esorex_bridge.plan.plan import Keywords, Reason


class Offered(Protocol):
    """What a choice looks at."""

    @property
    def label(self) -> str:
        """What it is, in words."""

    @property
    def keywords(self) -> Keywords:
        """Keywords of its first file."""

    @property
    def bound(self) -> bool:
        """Whether calSelector, or rules that are final, put it where it is: then it is not refused for its setting."""

    @property
    def depth(self) -> int | None:
        """How far below the action it stands; None for the files of the action itself."""

    @property
    def match(self) -> Match | None:
        """What calSelector says of it."""

    @property
    def shortage(self) -> str:
        """Why it cannot be made, where its raws are too few."""

    @property
    def objection(self) -> tuple[Reason, str] | None:
        """Why it is not what it is called, whoever put it there."""


Offer = TypeVar("Offer", bound=Offered)


class Judged(Struct, Generic[Offer], frozen=True):
    """An offer, held against what it is for.

    Parameters
    ----------
    offer : Offer
        What is judged.
    differences : tuple of str
        `DET.DIT 10 ≠ 2` for each keyword in which it does not agree.
    days : float or None
        Days from it to the file that it is for; None where a time is not known.
    rank : int
        Which of the calibration's ranges of time it fulfils, counted from 0; their number where none.
    level : int or None
        Of that range; calSelector's where the definition has no ranges.
    """

    offer: Offer
    differences: tuple[str, ...]
    days: float | None
    rank: int
    level: int | None

    def fits(self, calibration: Calibration) -> bool:
        """Tell whether it agrees in the setting and lies in one of the ranges of time."""
        return not self.differences and self.rank < max(1, len(calibration.validity))


class Refused(Struct, Generic[Offer], frozen=True):
    """An offer that was not taken, and why."""

    offer: Offer
    reason: Reason
    detail: str


class Choice(Struct, Generic[Offer], frozen=True):
    """What was taken under a tag, what was not, and the reason in words where nothing was."""

    taken: tuple[Judged[Offer], ...]
    refused: tuple[Refused[Offer], ...] = ()
    reason: str = ""


def choose(
    offers: Iterable[Offer],
    wanted: Keywords,
    calibration: Calibration,
    siblings: Iterable[Keywords] = (),
    quality: int | None = None,
) -> Choice[Offer]:
    """Choose among offers: what fits, the least far down, by range of time, then by distance in MJD-OBS, label last.

    An offer whose header lacks a keyword to match comes after those that have it. What calSelector put there is taken
    even where it does not fit, unless something fits (even if it cannot be made: several groups of one action are told
    apart by setting), or it is for other frames of the same action.

    Parameters
    ----------
    offers : iterable of Offer
        What offers itself.
    wanted : mapping
        Keywords of the first main file.
    calibration : Calibration
        What must agree, in which time, and how many are taken.
    siblings : iterable of mapping
        Keywords of the other groups of the same action, by which offers are told apart.
    quality : int, optional
        The highest level to take.
    """
    offered = tuple(offers)
    if not offered:
        return Choice((), reason="the dataset has none")
    judged = [judge(offer, wanted, calibration) for offer in offered]
    others = tuple(siblings)
    apart = any(each.offer.bound and not each.offer.objection and each.fits(calibration) for each in judged)
    refused = []
    open_to: list[Judged[Offer]] = []
    for each in judged:
        refusal = _refusal(each, calibration, others, quality, apart)
        if refusal is None:
            open_to.append(each)
        else:
            refused.append(refusal)
    best = _best(open_to, calibration)
    taken = tuple(best[: calibration.limit])
    refused += [_refuse_rest(each, taken[0], calibration) for each in open_to if not any(each is one for one in taken)]
    words = "; ".join(f"{each.offer.label}: {each.detail}" for each in refused)
    return Choice(taken, tuple(refused), "" if taken else words)


def judge(offer: Offer, wanted: Keywords, calibration: Calibration) -> Judged[Offer]:
    """Hold an offer against the file that it is for."""
    apart = _signed_days(offer.keywords, wanted)
    days = None if apart is None else abs(apart)
    differences: tuple[str, ...] | None = None
    for rank, validity in enumerate(calibration.validity or (Validity(),)):
        found = tuple(_differences(offer.keywords, wanted, calibration, validity))
        differences = found if differences is None else differences
        if not found and (apart is None or validity.days[0] <= apart <= validity.days[1]):
            level = validity.level if calibration.validity else LEVELS.get(offer.match)
            return Judged(offer, (), days, rank, level)
    return Judged(offer, differences or (), days, len(calibration.validity), LEVELS.get(offer.match))


def _differences(one: Keywords, other: Keywords, calibration: Calibration, validity: Validity) -> Iterator[str]:
    keys = calibration.match if validity.match is None else validity.match
    yield from mismatches(one, other, keys, calibration.strict)


def _refusal(
    judged: Judged[Offer],
    calibration: Calibration,
    siblings: tuple[Keywords, ...],
    quality: int | None,
    told_apart: bool,
) -> Refused[Offer] | None:
    offer = judged.offer
    if offer.objection:
        return Refused(offer, *offer.objection)
    if offer.shortage:
        return Refused(offer, "group too small", offer.shortage)
    outside = not judged.differences and not judged.fits(calibration)
    if quality is not None and (outside or (judged.level is not None and judged.level > quality)):
        far = "outside all ranges of time" if outside else f"level {judged.level} is above {quality}"
        return Refused(offer, "outside validity", f"{_apart(judged)}{far}")
    if judged.fits(calibration):
        return None
    for_others = any(judge(offer, each, calibration).fits(calibration) for each in siblings)
    if offer.bound and not (told_apart or for_others):
        return None
    if outside:
        return Refused(offer, "outside validity", f"{_apart(judged)}outside all ranges of time")
    return Refused(offer, "setting differs", ", ".join(judged.differences))


def _best(judged: list[Judged[Offer]], calibration: Calibration) -> list[Judged[Offer]]:
    """Return those to take from, the best first: what fits, else what is bound.

    Of what lies below the action the nearest level counts that has any; the files of the action itself always do.
    """
    pool = [each for each in judged if each.fits(calibration)] or judged
    nearest = min((each.offer.depth for each in pool if each.offer.depth is not None), default=None)
    kept = (each for each in pool if each.offer.depth in (None, nearest))
    return sorted(kept, key=lambda each: _goodness(each, calibration))


def _goodness(judged: Judged[Offer], calibration: Calibration) -> tuple[int, int, int, float, str]:
    offer = judged.offer
    unknown = sum(offer.keywords.get(key) is None for key in calibration.match)
    return (
        len(judged.differences),
        judged.rank,
        unknown,
        math.inf if judged.days is None else judged.days,
        offer.label,
    )


def _refuse_rest(judged: Judged[Offer], taken: Judged[Offer], calibration: Calibration) -> Refused[Offer]:
    if not judged.fits(calibration):
        detail = ", ".join(judged.differences)
        if judged.differences:
            return Refused(judged.offer, "setting differs", detail)
        return Refused(judged.offer, "outside validity", f"{_apart(judged)}outside all ranges of time")
    if judged.offer.depth not in (None, taken.offer.depth):
        return Refused(judged.offer, "its maker is not needed", f"nearer in the cascade is {taken.offer.label}")
    most = "all" if calibration.limit is None else calibration.limit
    return Refused(judged.offer, "over the limit", f"{most} taken, nearest {taken.offer.label}")


def _apart(judged: Judged[Offer]) -> str:
    return "" if judged.days is None else f"{judged.days:.1f} days away, "


def mismatches(one: Keywords, other: Keywords, keys: Iterable[str], strict: Iterable[str] = ()) -> Iterator[str]:
    """Yield `DET.DIT 10 ≠ 2` for each keyword in which a calibration (`one`) differs from what it is for.

    One absent in either does not count, but where it is strict and the calibration's header, which is known, lacks it.
    """
    for key in keys:
        mine, theirs = one.get(key), other.get(key)
        if mine is None and theirs is not None and key in strict and one:
            yield f"{key} missing ≠ {theirs}"
        elif mine != theirs and mine is not None and theirs is not None and not same(mine, theirs):
            yield f"{key} {mine} ≠ {theirs}"


def same(one: object, other: object) -> bool:
    """Tell whether two keyword values agree: as numbers where both are (the same keyword is int here, float there)."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one == other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
    return str(one).strip() == str(other).strip()


def _signed_days(one: Keywords, other: Keywords) -> float | None:
    """Return MJD-OBS of one less that of the other; None where one has none."""
    mine, theirs = one.get("MJD-OBS"), other.get("MJD-OBS")
    if isinstance(mine, int | float) and isinstance(theirs, int | float):
        return mine - theirs
    return None


def setting_of(keywords: Keywords, keys: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the setting of a file: the given keywords as text, numbers in one form, absent ones left out."""
    return tuple((key, _text(value)) for key in keys if (value := keywords.get(key)) is not None)


@lru_cache(maxsize=1 << 10, typed=True)  # of a template's frames all say the same
def _text(value: str | int | float | bool) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.10g}"
    return str(value).strip()
