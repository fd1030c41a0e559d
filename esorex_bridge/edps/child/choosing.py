"""A user's choices for one target job: what its inputs could take, and the job that takes something else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from esorex_bridge.edps.child.association import Offer, Taken
from esorex_bridge.edps.child.files import ClassifiedFile, FitsFile
from esorex_bridge.edps.child.planned import Input, PlannedJob, Slot
from esorex_bridge.edps.child.planning import Planner
from esorex_bridge.edps.child.reading import rules_for
from esorex_bridge.edps.child.rules import MatchRule, tag_of
from esorex_bridge.edps.child.sources import DataSource
from esorex_bridge.edps.child.tasks import AssociatedInput

Path = tuple[str, ...]
"""Tasks from a job up to the target."""


class Chooser:
    """Makes jobs that take what a user chose, where a purpose names the input.

    Jobs in which nothing was chosen stay the same objects, so that targets go on sharing them.

    Parameters
    ----------
    planner : Planner
        Has the jobs and files that may be taken.
    uses : iterable of (str, str)
        (key, file): take this file, or the job or group that it is in. The key is `INPUT/PURPOSE`, or `INPUT` for all
        purposes.
    replacing : iterable of (str, str)
        (class, file): an own file in place of what is of a class.
    own : iterable of FitsFile
        The own files.
    """

    def __init__(
        self, planner: Planner, uses: Iterable[Any], replacing: Iterable[Any], own: Iterable[FitsFile]
    ) -> None:
        self._planner = planner
        self._uses = {str(key): str(file) for key, file in uses}
        files = {file.name: file for file in own}
        self._own = {str(tag): files[str(name)] for tag, name in replacing}
        self._applied: set[str] = set()
        self._made: dict[tuple[int, Path], PlannedJob] = {}
        self.outside: list[tuple[str, str, str]] = []
        """Choices that no association rule allows: key, file, why."""

    def idle(self) -> list[str]:
        """Return the keys and classes for which nothing could be taken."""
        return [key for key in (*self._uses, *self._own) if key not in self._applied]

    def apply(self, job: PlannedJob, above: Path = ()) -> PlannedJob:
        """Return a job as the user wants it; the same one where he chose nothing for it and what it needs."""
        key = (id(job), above)
        if key not in self._made:
            self._made[key] = self._apply(job, above)
        return self._made[key]

    def _apply(self, job: PlannedJob, above: Path) -> PlannedJob:
        here = (job.task.name, *above)
        upstream = [self.apply(other, here) for other in job.upstream]
        named = zip(job.slots, _name_slots(job), strict=True)
        slots = [self._below(self._choose(job, slot, names, "/".join(here)), here) for slot, names in named]
        same = all(old is new for old, new in zip(job.upstream, upstream, strict=True))
        if same and all(old.found is new.found for old, new in zip(job.slots, slots, strict=True)):
            return job
        made = job.with_inputs(upstream, slots)
        self._planner.conclude(made)
        return made

    def _below(self, slot: Slot, here: Path) -> Slot:
        """Return a slot whose jobs are as the user wants them."""
        if slot.found is None:
            return slot
        offers = tuple(
            offer if offer.job is None else offer._replace(job=self.apply(offer.job, here))
            for offer in slot.found.taken.offers
        )
        if all(old.job is new.job for old, new in zip(slot.found.taken.offers, offers, strict=True)):
            return slot
        found = slot.found
        taken = found.taken._replace(offers=offers)
        return slot._replace(found=Input(found.branch, taken, found.by_user, found.replaced, found.odd))

    # ----- one input

    def _choose(self, job: PlannedJob, slot: Slot, names: list[str], purpose: str) -> Slot:
        for name in names:
            for key in (f"{name}/{purpose}", name):
                if key in self._uses:
                    found = self._take(job, slot, key, self._uses[key])
                    if found is not None:
                        self._applied.add(key)
                        return slot._replace(found=found)
        return self._replace(job, slot)

    def _take(self, job: PlannedJob, slot: Slot, key: str, name: str) -> Input | None:
        """Return what is taken when a user names a file: by the first branch whose rules allow it, else by his will."""
        found = [
            (branch, offer, self._planner.choice_for(job, branch).find_rule(offer))
            for branch in slot.branches
            for offer in self._offers(branch)
            if offer.header.name == name or _has_raw(offer, name)
        ]
        for branch, offer, rule in sorted(found, key=lambda each: each[2] is None):
            choice = self._planner.choice_for(job, branch)
            offers = self._with_others(job, branch, offer, rule)
            if not offers:
                continue  # A master of another class is missing beside it.
            odd = "" if rule is not None else f"{_short(name)} as {branch.source.name}: {choice.object_to(offer)}"
            if odd:
                self.outside.append((key, name, odd))
            return Input(branch, choice.judge(offers, rule), by_user=True, odd=odd)
        return None

    def _offers(self, branch: AssociatedInput) -> Iterator[Offer]:
        yield from self._planner.raws_for(branch)
        for offers in self._planner.masters_for(branch):
            yield from offers

    def _with_others(
        self, job: PlannedJob, branch: AssociatedInput, offer: Offer, rule: MatchRule | None
    ) -> list[Offer]:
        """Return what was chosen with its group, or with masters of the other classes, as many as are needed."""
        choice = self._planner.choice_for(job, branch)

        def nearest(offers: Iterable[Offer], number: int) -> list[Offer]:
            left = [each for each in choice.sort(offers) if each != offer]
            ruled = [(each, choice.find_rule(each)) for each in left]
            ruled.sort(key=lambda pair: (pair[1] is None, pair[1] is not rule))
            return [each for each, _ in ruled[: max(0, number)]]

        least = max(1, branch.min_ret) - 1
        if isinstance(branch.source, DataSource):
            group = {id(file) for file in self._planner.group_of(branch.source, offer.file)}
            others = self._planner.raws_for(branch)
            same = [each for each in others if id(each.file) in group]
            allowed = [each for each in same if rule is None or choice.find_rule(each) is not None]
            taken = nearest(allowed, len(allowed) if branch.max_ret < 0 else branch.max_ret - 1)
            left = [each for each in others if each not in taken]
            return [offer, *taken, *nearest(left, least - len(taken))]
        if offer.job is not None:
            return [offer, *nearest(self._planner.raws_for(branch), least)]
        taken = [offer]
        for offers in self._planner.masters_for(branch):
            own = offer in offers
            more = nearest(offers, least + (not own))
            if not own and not more:
                return []
            taken += more
        return taken

    def _replace(self, job: PlannedJob, slot: Slot) -> Slot:
        """Return a slot in which own files stand in for classes; what a job makes beside these is taken still."""
        for branch in slot.branches:
            tags = list(map(tag_of, branch.classes))
            if isinstance(branch.source, DataSource):
                tags = [rule.classification for rule in branch.source.classification_rules]
            own = [tag for tag in tags if tag in self._own]
            if not own:
                continue
            self._applied.update(own)
            offers = [Offer(self._own[tag], ClassifiedFile(self._own[tag], tag)) for tag in own]
            found = slot.found
            if not isinstance(branch.source, DataSource) and set(own) != set(tags) and found is not None:
                kept = (each for each in found.taken.offers if each.file is None or each.file.classification not in own)
                offers = [*kept, *offers]
            return slot._replace(
                found=Input(branch, self._planner.choice_for(job, branch).judge(offers, None), True, own)
            )
        return slot

    # ----- what could be taken

    def survey(self, job: PlannedJob, above: Path = ()) -> list[dict[str, Any]]:
        """Return what each input of a job, and of the jobs that it takes, could take by the package's rules."""
        found: list[dict[str, Any]] = []
        waiting = [(job, above)]
        seen = set()
        while waiting:
            each, path = waiting.pop(0)
            here = (each.task.name, *path)
            if (id(each), here) in seen:
                continue
            seen.add((id(each), here))
            named = zip(each.slots, _name_slots(each), strict=True)
            found += [self._survey(each, slot, names, "/".join(here)) for slot, names in named if slot.branches]
            waiting.extend((other, here) for other in each.needs)
        return found

    def _survey(self, job: PlannedJob, slot: Slot, names: list[str], purpose: str) -> dict[str, Any]:
        taken = slot.found.taken if slot.found is not None else Taken((), None, None)
        used = {_identity(offer) for offer in taken.offers}
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for branch in slot.branches:
            choice = self._planner.choice_for(job, branch)
            for offer in choice.sort(self._offers(branch)):
                rule = choice.find_rule(offer)
                if rule is not None and _identity(offer) not in rows:
                    judged = choice.judge([offer], rule)
                    told = {"level": judged.level, "days": judged.days, "match": self._say(rule, branch)}
                    rows[_identity(offer)] = {**_row(offer), "taken": _identity(offer) in used, **told}
        for offer in taken.offers:
            if _identity(offer) not in rows:
                odd = slot.found.odd if slot.found is not None else ""
                told = {"level": None, "days": taken.days, "match": odd or "an own file"}
                rows[_identity(offer)] = {**_row(offer), "taken": True, **told}
        return {"purpose": purpose, "input": names[0], "names": names, "offers": list(rows.values())}

    def _say(self, rule: MatchRule, branch: AssociatedInput) -> str:
        if rule.function is not None:
            return str(self._planner.calls.place(rule.function))
        return ", ".join(rule.keywords) or ("any" if rules_for(branch) else "no rules")


def _identity(offer: Offer) -> tuple[str, str]:
    return (offer.header.name, "job" if offer.job is not None else "file")


def _row(offer: Offer) -> dict[str, Any]:
    if offer.file is not None:
        return {"file": offer.file.name, "tag": offer.file.classification, "files": [offer.file.name]}
    job = offer.job
    names = [raw.name for raw in job.raws]
    return {"file": names[0], "tag": job.reference.classification, "files": names, "lacks": "; ".join(job.missing)}


def _has_raw(offer: Offer, name: str) -> bool:
    return offer.job is not None and any(raw.name == name for raw in offer.job.raws)


def _name_slots(job: PlannedJob) -> list[list[str]]:
    """Return what the inputs of a job may be called: their tasks and data sources, classes, and the tags of their raws.

    Choices are kept under the first. No two inputs share a name; the second of one source is called `SOURCE#2`.
    """
    found: list[list[str]] = []
    counts: Counter[str] = Counter()
    for slot in job.slots:
        names: list[str] = []
        for name in _names(slot):
            counts[name] += 1
            if counts[name] == 1:
                names.append(name)
            elif not names and name == slot.branches[0].source.name:
                names.append(f"{name}#{counts[name]}")
        found.append(names)
    return found


def _names(slot: Slot) -> Iterator[str]:
    told = set()
    for branch in slot.branches:
        source = branch.source
        names = [source.name, *map(tag_of, branch.classes)]
        while not isinstance(source, DataSource) and source is not None:
            source = source.main_input
        names += [rule.classification for rule in source.classification_rules] if source is not None else []
        for name in names:
            if name not in told:
                told.add(name)
                yield name


def _short(name: str) -> str:
    return name.rpartition("/")[2].partition(".fits")[0]
