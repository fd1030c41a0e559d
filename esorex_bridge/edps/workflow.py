"""A workflow package as a session uses it: read when first asked for, and planned over files on disk."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from esorex_bridge.datasets.choices import Choices
from esorex_bridge.datasets.dataset import Dataset, files_of
from esorex_bridge.definitions.edps.as_workflow import workflow_of
from esorex_bridge.definitions.edps.options import EdpsOptions
from esorex_bridge.definitions.edps.package import Package
from esorex_bridge.definitions.edps.parameters import choose_set
from esorex_bridge.definitions.edps.planned_jobs import Event, PackageJobs, ReviewedJobs
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.edps.chosen import Joined, ask_for, join, name_targets, refuse_idle
from esorex_bridge.edps.find import locate_package, search_roots
from esorex_bridge.edps.jobs import JobPlanner
from esorex_bridge.edps.plan import Headers, plan_jobs
from esorex_bridge.edps.read import read_package
from esorex_bridge.edps.sources import Sources, gather_sources
from esorex_bridge.edps.why import explain
from esorex_bridge.errors import UserError
from esorex_bridge.fits.header import read_header
from esorex_bridge.plan.facts import KnownFact
from esorex_bridge.plan.plan import Plan, UnusedFile
from esorex_bridge.workspace.scan import archive_name


class EdpsWorkflow:
    """A workflow package.

    Parameters
    ----------
    given : str
        As on a command line: `edps:` and a folder, a file `*_wkf.py`, or a name.
    options : EdpsOptions
        Targets, parameters, and whether the package is trusted.
    events : iterable of Event
        Changes of instruments that no association crosses.
    """

    def __init__(self, given: str, options: EdpsOptions | None = None, events: Iterable[Event] = ()) -> None:
        self._given, self._options, self._events = given, options or EdpsOptions(), tuple(events)
        self._jobs: dict[int, tuple[Headers, PackageJobs]] = {}
        self._joined: dict[int, tuple[Headers, Joined]] = {}
        self._choices: Mapping[str, Choices] = {}

    def with_choices(self, choices: Mapping[str, Choices]) -> EdpsWorkflow:
        """Return it with what a user chose, by dataset."""
        other = copy.copy(self)
        other._choices, other._joined = choices, {}
        return other

    @property
    def chosen_files(self) -> frozenset[str]:
        """The names of the files that the user's choices name."""
        return frozenset(name for choices in self._choices.values() for name in choices.files)

    @cached_property
    def sources(self) -> Sources:
        """Its text; UserError where it is not there."""
        found = locate_package(self._given)
        return gather_sources(found.folder, found.module, (root for root, _ in search_roots()))

    @cached_property
    def package(self) -> Package:
        """What it says; errors as `read_package`."""
        return read_package(self.sources, self._options.trusted)

    @cached_property
    def workflow(self) -> Workflow:
        """The same in the form of our definitions."""
        return workflow_of(self.package, self._options.parameter_set)

    def jobs(self, headers: Headers) -> PackageJobs:
        """Return the jobs that it makes of files by itself, worked out once for the same files.

        Errors as `plan_jobs`.
        """
        known = self._jobs.get(id(headers))
        if known is None or known[0] is not headers:
            known = headers, plan_jobs(self.sources, self.package, headers, self._options, self._events)
            self._jobs[id(headers)] = known
        return known[1]

    def join(self, headers: Headers) -> Joined:
        """Return the jobs with the user's choices, worked out once for the same files.

        Raises
        ------
        UserError
            If a choice names what is not there; others as `plan_jobs`.
        """
        known = self._joined.get(id(headers))
        if known is None or known[0] is not headers:
            known = headers, self._join(headers, self.jobs(headers), self._events)
            self._joined[id(headers)] = known
        return known[1]

    def survey(self, headers: Headers, dataset: str) -> ReviewedJobs:
        """Return what the inputs of a dataset could take, with the user's choices; errors as `joined`."""
        common = self.jobs(headers)
        (found,) = self._review(headers, common, self._events, dataset)[-1:]
        return found

    def _join(self, headers: Headers, common: PackageJobs, events: tuple[Event, ...]) -> Joined:
        reviewed = self._review(headers, common, events)
        refuse_idle(reviewed, self._choices)
        return join(replace(common, reviewed=reviewed), name_targets(common), self._choices)

    def _review(
        self, headers: Headers, common: PackageJobs, events: tuple[Event, ...], survey: str = ""
    ) -> tuple[ReviewedJobs, ...]:
        """Return the jobs of the datasets for which the user chose files; that of a survey is the last."""
        targets = name_targets(common)
        choices = {name: each for name, each in self._choices.items() if not survey or name == survey}
        if not survey and choices.keys().isdisjoint(targets):
            return ()
        wanted = ask_for(common, targets, choices, survey, headers(()))
        if not wanted:
            return ()
        return plan_jobs(self.sources, self.package, headers, self._options, events, wanted).reviewed

    def plans(self, headers: Headers, settings: Iterable[ParameterSetting] = ()) -> tuple[tuple[Dataset, Plan], ...]:
        """Return a dataset with its plan for each target.

        Raises
        ------
        UserError
            If a setting is for what is neither a recipe nor a task, or a target or parameter set is not there.
        PackageError
            If the package failed or was ended.
        """
        return self._planner(self.join(headers), headers, settings).plans()

    def not_used(self, headers: Headers) -> tuple[UnusedFile, ...]:
        """Return the files that are in no job which the targets need, with the reason; errors as `plans`."""
        return self._planner(self.join(headers), headers, ()).not_used()

    def explain(self, headers: Headers, what: str) -> tuple[KnownFact, ...]:
        """Return why a file, dataset, job or task is what it is; nothing where it is none; errors as `joined`."""
        return explain(self.join(headers), what)

    def plan_of(self, dataset: Dataset, settings: Iterable[ParameterSetting] = (), others: Iterable[Path] = ()) -> Plan:
        """Return one plan of all targets that the files of a dataset give; errors as `plans`.

        Events do not count: calSelector, which put the files together, has the same list and may know better. Of the
        files of `others` those count that the user chose.
        """
        chosen = self.chosen_files
        own = (file.path for file in files_of(dataset) if file.path is not None)
        paths = tuple(dict.fromkeys((*own, *(path for path in others if archive_name(path) in chosen))))

        def headers(keys: tuple[str, ...]) -> dict[str, dict[str, Any]]:
            return {str(path): dict.fromkeys(keys) | read_header(path).select(keys) for path in paths}

        common = plan_jobs(self.sources, self.package, headers, self._options)
        return self._planner(self._join(headers, common, ()), headers, settings).plan_together(dataset.name)

    def _planner(self, joined: Joined, headers: Headers, settings: Iterable[ParameterSetting]) -> JobPlanner:
        listed = tuple(settings)
        self._refuse_idle(listed)
        instruments = {name: str(header.get("INSTRUME") or "") for name, header in headers(("INSTRUME",)).items()}
        chosen = choose_set(self.package.sets, self._options.parameter_set, self.package.name)
        return JobPlanner(self.package, joined, chosen, listed, instruments)

    def _refuse_idle(self, settings: tuple[ParameterSetting, ...]) -> None:
        tasks = self.package.description.tasks
        known = {name for task in tasks for name in (task.name, task.recipe)}
        for setting in settings:
            if setting.origin == "--set" and setting.recipe not in known:
                recipes = ", ".join(dict.fromkeys(task.recipe for task in tasks if task.recipe))
                raise UserError(
                    f"--set {setting.recipe}.{setting.name}: {self.package.name} has no recipe or task "
                    f"{setting.recipe}; its recipes: {recipes}"
                )
