"""Review of a dataset that a workflow package of EDPS makes: one job that is a target, with all it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esorex_bridge.datasets.choices import Choices, tell_choices
from esorex_bridge.errors import UnknownNameError, UserError
from esorex_bridge.files import DpId
from esorex_bridge.organise.choices_file import read_choices_file, write_choices_file
from esorex_bridge.organise.review import Alternative, Effect
from esorex_bridge.workspace.scan import archive_name, by_archive_name

if TYPE_CHECKING:
    from esorex_bridge.definitions.edps.planned_jobs import InputOffer, InputSlot, ReviewedJobs
    from esorex_bridge.edps.plan import DataFolder
    from esorex_bridge.edps.workflow import EdpsWorkflow
    from esorex_bridge.organise.organised_data import Request
    from esorex_bridge.plan.plan import Plan


class PackageReview:
    """A dataset of a workflow package under review.

    Parameters
    ----------
    root : Path
        The data root.
    package : EdpsWorkflow
        The package, without choices.
    data : DataFolder
        The files.
    name : str
        The dataset.
    choices : Choices
        Those that are kept.
    """

    def __init__(self, root: Path, package: EdpsWorkflow, data: DataFolder, name: str, choices: Choices) -> None:
        self._root, self._package, self._data = root, package, data
        self.name, self.choices = name, choices
        self._surveys: dict[Choices, ReviewedJobs] = {}
        self._plans: dict[Choices, Plan] = {}

    def key_of(self, category: str, purpose: str | None) -> str:
        """Return the key of a choice: the task or data source with its purpose."""
        slots = self._survey(self.choices).slots
        named = sorted((slot for slot in slots if category in slot.names), key=lambda slot: slot.purpose.count("/"))
        if not named:
            raise UnknownNameError("input", category, dict.fromkeys(name for slot in slots for name in slot.names))
        if purpose:
            below, slash, last = purpose.rpartition("/")
            target = slots[0].purpose.rpartition("/")[2]
            asked = f"{below}{slash}{target}" if last.lower() == "science" else purpose
            known = dict.fromkeys(slot.purpose for slot in named)
            if asked not in known:
                raise UnknownNameError(f"purpose with the input {category}", asked, known)
            named = [slot for slot in named if slot.purpose == asked]
        return f"{named[0].input}/{named[0].purpose}"

    def recipe_of(self, name: str) -> str:
        """Return the recipe that is meant: that of a task of this name, or the one of this name."""
        return next((step.recipe for step in self._package.workflow.steps if step.name == name), name)

    def effect_of(self, choices: Choices) -> Effect:
        """Return what choices change in the plan that there is with those that are kept."""
        from esorex_bridge.plan.accounting import compare_plans

        self._refuse_unknown(choices)
        old, new = self._plan(self.choices), self._plan(choices)
        before = {text for _, _, text in self._survey(self.choices).outside}
        refused = (text for _, _, text in self._survey(choices).outside if text not in before)
        worse = (text for text in new.incomplete if text not in old.incomplete)
        return Effect(tuple(compare_plans(old, new)), "; ".join(dict.fromkeys((*refused, *worse))))

    def alternatives(self, choices: Choices) -> tuple[Alternative, ...]:
        """Return what the package's rules allow, and what is used with choices; what was left out too."""
        found = {(row.purpose, row.input, row.file): row for row in _rows(self._survey(choices))}
        for row in _rows(self._survey(replace(choices, drop=()))) if choices.drop else ():
            place = (row.purpose, row.input, row.file)
            known = found.get(place)
            found[place] = replace(row, used=False) if known is None else replace(known, members=row.members)
        return tuple(found.values())

    def messages(self, choices: Choices) -> tuple[str, ...]:
        """Return what was chosen, and what the jobs lack."""
        return (*tell_choices(choices), *self._plan(choices).incomplete)

    def main_files(self) -> tuple[str, ...]:
        """Return the names of the main files; of a job on jobs, those of the first down the chain."""
        jobs = self._survey(replace(self.choices, drop=())).jobs
        waiting, found = [jobs[-1]], []
        while waiting:
            job = waiting.pop(0)
            found += [archive_name(Path(name)) for name, _ in job.main]
            waiting += [jobs[given.job] for given in job.upstream]
        return tuple(found)

    def path_of(self, name: str) -> Path | None:
        """Return where a file lies."""
        return self._paths.get(DpId(name))

    @cached_property
    def _paths(self) -> Mapping[DpId, Path]:
        return by_archive_name(map(Path, self._data(())))

    def keep(self, choices: Choices) -> None:
        """Keep choices in the data root, by the package."""
        module = self._package.sources.module
        write_choices_file(self._root, {**read_choices_file(self._root, module), self.name: choices}, module)

    def _plan(self, choices: Choices) -> Plan:
        if choices not in self._plans:
            plans = self._package.with_choices({self.name: choices}).plans(self._data)
            self._plans[choices] = next(plan for dataset, plan in plans if dataset.name == self.name)
        return self._plans[choices]

    def _survey(self, choices: Choices) -> ReviewedJobs:
        if choices not in self._surveys:
            package = self._package.with_choices({self.name: choices})
            self._surveys[choices] = package.survey(self._data, self.name)
        return self._surveys[choices]

    def _refuse_unknown(self, choices: Choices) -> None:
        """Refuse files to leave out that are not used, and parameters of what the package does not run."""
        here = {archive_name(Path(name)) for job in self._survey(replace(self.choices, drop=())).jobs
                for name, _ in (*job.main, *(pair for each in job.inputs for pair in each.files))}  # fmt: skip
        for name in choices.drop:
            if name not in here:
                raise UserError(
                    f"{self.name} does not use {name}, so it cannot be dropped; see 'esorex-bridge review {self.name}'"
                )
        known = {each: None for step in self._package.workflow.steps for each in (step.recipe, step.name)}
        for recipe, name, _ in choices.parameters:
            if recipe not in known:
                raise UnknownNameError("recipe", recipe, known, f"--set {recipe}.{name}: {self._package.package.name}")


def open_package_review(request: Request, places: tuple[Path, ...], name: str, reset: bool) -> PackageReview:
    """Return a dataset of the workflow package that is named under review; arguments and errors as `open_review`."""
    from esorex_bridge.organise.from_disk import open_package
    from esorex_bridge.organise.places import data_places

    package, data = open_package(request, places or data_places(request.root, request.mode))
    names = [dataset.name for dataset, _ in package.plans(data)]
    if name not in names:
        raise UnknownNameError("dataset", name, names)
    module = package.sources.module
    kept = read_choices_file(request.root, module)
    if reset and kept.pop(name, Choices()):
        write_choices_file(request.root, kept, module)
    return PackageReview(request.root, package, data, name, kept.get(name, Choices()))


def _rows(found: ReviewedJobs) -> Iterator[Alternative]:
    for slot in found.slots:
        for offer in sorted(slot.offers, key=lambda each: not each.taken):
            yield _row(slot, offer)


def _row(slot: InputSlot, offer: InputOffer) -> Alternative:
    names = tuple(archive_name(Path(name)) for name in offer.files)
    match = f"{offer.match} (incomplete: {offer.lacks})" if offer.lacks else offer.match
    return Alternative(
        slot.purpose,
        offer.tag,
        archive_name(Path(offer.file)),
        len(names),
        offer.taken,
        offer.days,
        match,
        "-",
        members=names,
        level=offer.level,
        input=slot.input,
    )
