"""Choosing what a job takes beside its main files: rule by rule, raws or masters first, the nearest in time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from esorex_bridge.edps.child.calls import Calls
from esorex_bridge.edps.child.files import ClassifiedFile, FitsFile
from esorex_bridge.edps.child.groups import named_keywords
from esorex_bridge.edps.child.rules import UNLIMITED, MatchRule, match
from esorex_bridge.edps.child.standin import JobParameters

PREFERENCES = ("raw_per_quality_level", "master_per_quality_level", "raw", "master")
"""Which of raws and masters is tried first, at each rule or with all rules."""


UNCERTAIN_DAYS = 169 / 86400
"""Times of events are rounded to 1/256 day: so near to one nobody knows on which side of it a file lies."""


class Event(NamedTuple):
    """A change of the instrument: when, by INSTRUME, the tag of raws and the `PRO.CATG` of masters concerned."""

    mjd: float
    instruments: tuple[str, ...]
    raws: str
    masters: str

    def separates(self, calibration: FitsFile, trigger: FitsFile) -> bool:
        """Tell whether a calibration that it concerns lies on the other side of it than the trigger."""
        if calibration.mjd is None or trigger.mjd is None or str(calibration["instrume"]) not in self.instruments:
            return False
        one, other = calibration.mjd - self.mjd, trigger.mjd - self.mjd
        if min(abs(one), abs(other)) <= UNCERTAIN_DAYS or (one < 0) == (other < 0):
            return False
        product = calibration["pro.catg"]
        concerned, what = (
            (self.masters, product) if product else (self.raws, getattr(calibration, "classification", ""))
        )
        return concerned in ("", "ANY", what)


class Offer(NamedTuple):
    """What may be taken: a file as it is, or a job by its first main file."""

    header: FitsFile
    file: ClassifiedFile | None = None
    job: Any = None


class Taken(NamedTuple):
    """What was taken by which rule: offers, its level, the days from the trigger to the first, and its function."""

    offers: tuple[Offer, ...]
    level: int | None
    days: float | None
    function: Any = None

    @property
    def distance(self) -> float:
        """How far in time, without sign."""
        return math.inf if self.days is None else abs(self.days)


_ANY_TIME = MatchRule((), None, UNLIMITED, 0)


class Choice:
    """How one input of one job is chosen.

    Parameters
    ----------
    trigger : FitsFile
        The job's first main file.
    rules : sequence of MatchRule
        In the order in which they are tried; none: any file will do.
    least, most : int
        How many of each kind must be there, and how many are taken at most (negative: all).
    pool : JobParameters
        For keywords given by name.
    calls : Calls
        Asks match functions.
    threshold : float
        Rules of a higher level are not tried.
    events : sequence of Event
        Changes of the instrument that are not crossed.
    """

    def __init__(
        self,
        trigger: FitsFile,
        rules: Sequence[MatchRule],
        least: int,
        most: int,
        pool: JobParameters,
        calls: Calls,
        threshold: float = math.inf,
        events: Sequence[Event] = (),
    ) -> None:
        self._trigger, self._pool, self._calls = trigger, pool, calls
        self._least, self._most, self._events = max(1, least), most, events
        self._stated = bool(rules)
        self._rules = [rule for rule in (rules or (_ANY_TIME,)) if rule.level <= threshold]

    def take(self, raws: Sequence[Offer], masters: Sequence[Sequence[Offer]], preference: str) -> Taken | None:
        """Return what the first rule takes that finds enough.

        Parameters
        ----------
        raws : sequence of Offer
            Files, or jobs that would make them.
        masters : sequence of sequences of Offer
            Files that may stand in for the jobs: by class, and all classes are wanted.
        preference : str
            One of `PREFERENCES`.
        """
        for rule, kind in self._order(preference):
            found = self._masters(rule, masters) if kind == "master" else self._of(rule, raws)
            if found:
                days = self._days(found[0].header)
                return Taken(tuple(found), rule.level if self._stated else None, days, rule.function)
        return None

    def find_rule(self, offer: Offer) -> MatchRule | None:
        """Return the first rule by which something may be taken; None where none allows it."""
        if not self._is_this_side(offer):
            return None
        return next((rule for rule in self._rules if self._fits(rule, offer.header)), None)

    def judge(self, offers: Sequence[Offer], rule: MatchRule | None) -> Taken:
        """Return what is taken by a rule, or by the will of a user, with its level and days."""
        level = rule.level if rule is not None and self._stated else None
        return Taken(tuple(offers), level, self._days(offers[0].header), rule.function if rule else None)

    def sort(self, offers: Iterable[Offer]) -> list[Offer]:
        """Return what may be taken, the nearest in time first."""
        return sorted(offers, key=lambda offer: (self._far(offer.header), offer.header.name))

    def object_to(self, offer: Offer) -> str:
        """Return, in words, why no rule allows something: what speaks against it by the rule that it misses least."""
        if not self._is_this_side(offer):
            return "a change of the instrument (breakpoint) lies between"
        objections = sorted((self._objections(rule, offer.header) for rule in self._rules), key=len)
        return "; ".join(objections[0]) if objections else "all association rules are above the limit of levels"

    def _objections(self, rule: MatchRule, file: FitsFile) -> tuple[str, ...]:
        found = []
        days = self._days(file)
        if not _is_within(rule, days):
            away = "its time is not known" if days is None else f"{days:+g} days"
            found.append(f"{away}, not within {rule.start:g} … {rule.end:g}")
        if rule.function is not None:
            if not self._calls.holds(rule.function, self._trigger, file):
                found.append(f"{self._calls.place(rule.function)} does not hold")
            return tuple(found)
        keywords = named_keywords(rule.keywords, self._pool, self._calls)
        unlike = (key for key in keywords if not match(self._trigger, file, [key]))
        return (*found, *(f"{key} is {file[key]}, not {self._trigger[key]}" for key in unlike))

    def _order(self, preference: str) -> list[tuple[MatchRule, str]]:
        kinds = ("master", "raw") if preference.startswith("master") else ("raw", "master")
        if preference.endswith("per_quality_level"):
            return [(rule, kind) for rule in self._rules for kind in kinds]
        return [(rule, kind) for kind in kinds for rule in self._rules]

    def _masters(self, rule: MatchRule, masters: Sequence[Sequence[Offer]]) -> list[Offer]:
        sets = [self._of(rule, offers) for offers in masters]
        return [offer for each in sets for offer in each] if sets and all(sets) else []

    def _of(self, rule: MatchRule, offers: Iterable[Offer]) -> list[Offer]:
        fitting = [offer for offer in offers if self._fits(rule, offer.header) and self._is_this_side(offer)]
        if len(fitting) < self._least:
            return []
        fitting = self.sort(fitting)
        return fitting if self._most < 0 else fitting[: self._most]

    def _fits(self, rule: MatchRule, file: FitsFile) -> bool:
        if not _is_within(rule, self._days(file)):
            return False
        if rule.function is not None:
            return self._calls.holds(rule.function, self._trigger, file)
        return match(self._trigger, file, named_keywords(rule.keywords, self._pool, self._calls))

    def _is_this_side(self, offer: Offer) -> bool:
        """Tell whether no event lies between; the tag of what is offered tells which events concern it."""
        file = offer.file or offer.header
        found = next((event for event in self._events if event.separates(file, self._trigger)), None)
        if found is not None:
            self._calls.say(f"{file.name} lies beyond a change of the instrument (breakpoint MJD {found.mjd:g})")
        return found is None

    def _days(self, file: FitsFile) -> float | None:
        if file.mjd is None or self._trigger.mjd is None:
            return None
        return round(file.mjd - self._trigger.mjd, 9)

    def _far(self, file: FitsFile) -> float:
        days = self._days(file)
        return math.inf if days is None else abs(days)


def _is_within(rule: MatchRule, days: float | None) -> bool:
    if days is None:
        return math.isinf(rule.start) and math.isinf(rule.end)
    return rule.start <= days <= rule.end
