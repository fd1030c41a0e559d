"""A workflow package as a session uses it: read when first asked for, and planned over files on disk."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from esorex_bridge.datasets.dataset import Dataset, files_of
from esorex_bridge.definitions.edps.as_workflow import workflow_of
from esorex_bridge.definitions.edps.options import EdpsOptions
from esorex_bridge.definitions.edps.package import Event, Jobs, Package
from esorex_bridge.definitions.edps.parameters import choose_set
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.edps.find import locate_package, search_roots
from esorex_bridge.edps.jobs import JobPlanner
from esorex_bridge.edps.plan import Headers, plan_jobs
from esorex_bridge.edps.read import read_package
from esorex_bridge.edps.sources import Sources, gather_sources
from esorex_bridge.edps.why import explain
from esorex_bridge.errors import UserError
from esorex_bridge.fits.header import read_header
from esorex_bridge.plan.plan import Plan, UnusedFile


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
        self._jobs: dict[int, tuple[Headers, Jobs]] = {}

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

    def jobs(self, headers: Headers) -> Jobs:
        """Return the jobs that it makes of files, worked out once for the same files; errors as `plan_jobs`."""
        known = self._jobs.get(id(headers))
        if known is None or known[0] is not headers:
            known = headers, plan_jobs(self.sources, self.package, headers, self._options, self._events)
            self._jobs[id(headers)] = known
        return known[1]

    def plans(self, headers: Headers, settings: Iterable[ParameterSetting] = ()) -> tuple[tuple[Dataset, Plan], ...]:
        """Return a dataset with its plan for each target.

        Raises
        ------
        UserError
            If a setting is for what is neither a recipe nor a task, or a target or parameter set is not there.
        PackageError
            If the package failed or was ended.
        """
        return self._planner(self.jobs(headers), headers, settings).plans()

    def not_used(self, headers: Headers) -> tuple[UnusedFile, ...]:
        """Return the files that are in no job which the targets need, with the reason; errors as `plans`."""
        return self._planner(self.jobs(headers), headers, ()).not_used()

    def explain(self, headers: Headers, what: str) -> tuple[str, ...]:
        """Return why a file, dataset, job or task is what it is; nothing where it is none; errors as `plan_jobs`."""
        return explain(self.jobs(headers), what)

    def plan_of(self, dataset: Dataset, settings: Iterable[ParameterSetting] = ()) -> Plan:
        """Return one plan of all targets that the files of a dataset give; errors as `plans`.

        Events do not count: calSelector, which put the files together, has the same list and may know better.
        """
        paths = tuple(dict.fromkeys(file.path for file in files_of(dataset) if file.path is not None))

        def headers(keys: tuple[str, ...]) -> dict[str, dict[str, Any]]:
            return {str(path): dict.fromkeys(keys) | read_header(path).select(keys) for path in paths}

        jobs = plan_jobs(self.sources, self.package, headers, self._options)
        return self._planner(jobs, headers, settings).plan_together(dataset.name)

    def _planner(self, jobs: Jobs, headers: Headers, settings: Iterable[ParameterSetting]) -> JobPlanner:
        listed = tuple(settings)
        self._refuse_idle(listed)
        instruments = {name: str(header.get("INSTRUME") or "") for name, header in headers(("INSTRUME",)).items()}
        chosen = choose_set(self.package.sets, self._options.parameter_set, self.package.name)
        return JobPlanner(self.package, jobs, chosen, listed, instruments)

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
