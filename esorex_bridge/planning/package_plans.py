"""Plans by a workflow package of EDPS: the package makes the datasets as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.datasets.shared import Shared
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.edps.plan import DataFolder
from esorex_bridge.edps.workflow import EdpsWorkflow
from esorex_bridge.organise.breakpoints import as_events
from esorex_bridge.organise.choices_file import read_choices_file
from esorex_bridge.organise.from_disk import known_breakpoints
from esorex_bridge.organise.organised_data import Request
from esorex_bridge.plan.plan import Plan, UnusedFile
from esorex_bridge.planning.plan_source import ReadHeader, ReadWhole
from esorex_bridge.settings import Settings
from esorex_bridge.workspace.scan import scan

_FEW = 3
"""How many messages of a package an error tells."""


def open_package(settings: Settings, request: Request) -> EdpsWorkflow:
    """Return the workflow package that settings name, with the user's choices."""
    options = settings.edps
    if settings.quality is not None:
        limit = ("quality_threshold", str(settings.quality))
        options = replace(options, workflow_parameters=(*options.workflow_parameters, limit))
    package = EdpsWorkflow(str(settings.workflow), options, as_events(known_breakpoints(request)))
    return package.with_choices(read_choices_file(request.root, package.sources.module))


class PackagePlans:
    """Datasets and plans that a workflow package makes.

    Parameters
    ----------
    package : EdpsWorkflow
        The package.
    data : DataFolder
        The files that it works on.
    settings : Settings
        What is to be made of them.
    places : tuple of Path
        Where the files lie.
    """

    def __init__(self, package: EdpsWorkflow, data: DataFolder, settings: Settings, places: tuple[Path, ...]) -> None:
        self._package, self._data, self._settings, self._places = package, data, settings, places

    @property
    def workflows(self) -> tuple[Workflow, ...]:
        """The package, as a workflow."""
        return (self._package.workflow,)

    def workflow_for(self, dataset: Dataset, header: ReadWhole) -> Workflow:
        """Return the package, as a workflow: it is asked about any dataset."""
        return self._package.workflow

    def organise(self) -> Mapping[str, Dataset]:
        """Return a dataset for each job that is a target, by name."""
        return {name: dataset for name, (dataset, _) in self._made.items()}

    @cached_property
    def _made(self) -> dict[str, tuple[Dataset, Plan]]:
        """What the package makes of all files, by dataset."""
        return {
            dataset.name: (dataset, plan)
            for dataset, plan in self._package.plans(self._data, self._settings.parameters)
        }

    def tell_why_none(self) -> str:
        """Return that no job is a target, and the first words of the package about it."""
        told = "".join(f"; {text}" for text in self._package.jobs(self._data).messages[:_FEW])
        return f"workflow {self._settings.workflow} makes no job of the data for its targets{told}"

    def datasets_of(self, found: tuple[Dataset, ...]) -> tuple[Dataset, ...]:
        """Return what trees mean: they say which files there are, and the package what is made of them."""
        return found

    def plans(self, datasets: Iterable[Dataset]) -> tuple[tuple[Dataset, Plan], ...]:
        """Return each dataset with its plan."""
        return tuple(self._plan(dataset, ()) for dataset in datasets)

    def plan(
        self, asked: Dataset, workflow: Workflow, header: ReadHeader, more: Sequence[ParameterSetting], shared: Shared
    ) -> tuple[Dataset, Plan]:
        """Return a dataset with its plan; parameters as `PlanSource.plan` has them."""
        return self._plan(asked, more)

    def _plan(self, asked: Dataset, more: Sequence[ParameterSetting]) -> tuple[Dataset, Plan]:
        """Return a dataset with its plan: one that the package made of all files, or one of an association tree."""
        settings = (*self._settings.parameters, *more)
        known, plan = self._made.get(asked.name, (None, None)) if "_made" in self.__dict__ else (None, None)
        if known != asked or plan is None:
            others = scan(*self._places).files.values() if self._package.chosen_files else ()
            return asked, self._package.plan_of(asked, settings, others)
        if not more:
            return asked, plan
        return next(pair for pair in self._package.plans(self._data, settings) if pair[0].name == asked.name)

    def find_left_over(self) -> tuple[UnusedFile, ...]:
        """Return the files that the package takes for no target."""
        return self._package.not_used(self._data)
