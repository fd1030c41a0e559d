"""Datasets and plans: what lies in a data root is organised, and definitions say what is to be made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from esorex_bridge.datasets.association import AssociationTree
from esorex_bridge.datasets.dataset import Dataset, files_of
from esorex_bridge.datasets.shared import Shared
from esorex_bridge.definitions.edps.words import PREFIX
from esorex_bridge.definitions.folders import Definitions, own_definitions
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.errors import DataError, UnknownNameError, UserError
from esorex_bridge.fits.hdus import read_keywords
from esorex_bridge.fits.header import read_header
from esorex_bridge.organise.places import DATA_FOLDERS, data_places, destination
from esorex_bridge.plan.plan import Plan, UnusedFile
from esorex_bridge.planning.definition_plans import DefinitionPlans, FindDigests, named_workflow
from esorex_bridge.settings import Settings
from esorex_bridge.workspace.folders import Workspace
from esorex_bridge.workspace.scan import scan

if TYPE_CHECKING:
    from esorex_bridge.archive.trees import Folders
    from esorex_bridge.edps.plan import DataFolder
    from esorex_bridge.edps.workflow import EdpsWorkflow
    from esorex_bridge.organise.organised_data import Request
    from esorex_bridge.organise.review import Planner
    from esorex_bridge.planning.plan_source import PlanSource, ReadHeader, ReadWhole


class Planning:
    """The datasets of a data root, and their plans.

    Parameters
    ----------
    settings : Settings
        Where the data lie, what they are organised by, and what is to be made of them.
    digests : callable
        Returns the digests of files by their paths, or the reason where there is none.
    """

    def __init__(self, settings: Settings, digests: FindDigests) -> None:
        self.settings = settings
        self._workspace = Workspace(settings.root.absolute())
        self._digests = digests

    def with_settings(self, **changes: Any) -> Planning:
        """Return the same with other settings, such as `mode`."""
        return Planning(replace(self.settings, **changes), self._digests)

    # ----- what is planned by

    @cached_property
    def definitions(self) -> Definitions:
        """The workflow definitions of the user and those that come with the bridge."""
        return own_definitions()

    @cached_property
    def edps(self) -> EdpsWorkflow | None:
        """The workflow package that the settings name; None where they name none."""
        if not str(self.settings.workflow or "").startswith(PREFIX):
            return None
        from esorex_bridge.planning.package_plans import open_package

        return open_package(self.settings, self.request)

    @cached_property
    def data(self) -> DataFolder:
        """The files that a workflow package works on."""
        from esorex_bridge.edps.plan import DataFolder
        from esorex_bridge.organise.from_disk import EDPS_CACHE_FILE

        places = self.settings.data or data_places(self._workspace.root)
        return DataFolder(places, self._workspace.bookkeeping / EDPS_CACHE_FILE)

    @cached_property
    def _source(self) -> PlanSource:
        if self.edps is None:
            return DefinitionPlans(self.definitions, self.settings, self.request, self.places, self._digests)
        from esorex_bridge.planning.package_plans import PackagePlans

        return PackagePlans(self.edps, self.data, self.settings, self.places)

    @property
    def named_workflow(self) -> Path | None:
        """The workflow that the settings name; None for that of the instrument, as with `none`."""
        return named_workflow(self.settings)

    @property
    def workflows(self) -> tuple[Workflow, ...]:
        """All workflow definitions, or the one that the settings name by its file or its name."""
        return self._source.workflows

    def workflow_for(self, dataset: Dataset, header: ReadWhole = read_header) -> Workflow:
        """Return the definition that a dataset is reduced by.

        Parameters
        ----------
        dataset : Dataset
            Its first science file tells.
        header : callable, optional
            Returns the keywords of a file.

        Raises
        ------
        UserError
            If none is for its instrument, or the one that the settings name is not.
        """
        return self._source.workflow_for(dataset, header)

    # ----- datasets

    def datasets(self, names: Sequence[str] = ()) -> tuple[Dataset, ...]:
        """Return the datasets of the data folder, by name, with the user's choices applied.

        Parameters
        ----------
        names : sequence of str
            Only these; all by default.

        Raises
        ------
        UserError
            If there is no dataset of a name.
        DataError
            If there is no dataset at all.
        """
        return tuple(self.each_dataset(names))

    def each_dataset(self, names: Sequence[str] = ()) -> Iterator[Dataset]:
        """Return the datasets one by one, each made when it is asked for; parameters and errors as `datasets`."""
        root = self.settings.root
        if not self.settings.data and not root.exists():
            raise DataError(f"{root} does not exist; name the data root with --root, or fetch data into it first")
        found = self._source.organise()
        if not found:
            raise DataError(self._source.tell_why_none())
        for name in names:
            if name not in found:
                raise UnknownNameError("dataset", name, sorted(found), ", ".join(map(str, self.places)), self._lister)
        return map(found.__getitem__, names or sorted(found))

    def datasets_of(self, trees: Iterable[AssociationTree]) -> tuple[Dataset, ...]:
        """Return the datasets that association trees mean, one a name, with the user's choices applied."""
        from esorex_bridge.organise.tree_datasets import tree_datasets

        found = tree_datasets(tuple(trees), scan(*self.places).files, read_header, self.settings.mode)
        return self._source.datasets_of(found)

    @property
    def _lister(self) -> str:
        """The command that lists the datasets."""
        return f"esorex-bridge organise --root {self.settings.root}"

    @property
    def places(self) -> tuple[Path, ...]:
        """Where data of the mode lie."""
        return self.settings.data or data_places(self._workspace.root, self.settings.mode)

    @property
    def destination(self) -> Folders:
        """Where data that are fetched go."""
        return destination(self._workspace.root, self.settings.mode)

    @property
    def request(self) -> Request:
        """What to organise by."""
        from esorex_bridge.organise.organised_data import Request

        settings, mode = self.settings, self.settings.mode
        workflow = str(settings.workflow) if settings.workflow is not None else None
        rules = settings.oca, workflow, settings.breakpoints, settings.edps
        return Request(self._workspace.root, settings.by, *rules, mode, mode)

    def named_files(self) -> dict[str, Path | None]:
        """Return the files that the datasets of this root name, in both modes, and where they are."""
        named: dict[str, Path | None] = {}
        for dataset in self._all_datasets():
            named.update({file.name: file.path for file in files_of(dataset)})
        return named

    def _all_datasets(self) -> Iterator[Dataset]:
        """Yield the datasets of this root in both modes; none of a folder that makes none."""
        for planning in self._in_both_modes():
            with suppress(DataError, UserError):
                yield from planning._organise().values()

    def _in_both_modes(self) -> Iterator[Planning]:
        """Yield this in each mode of which there are data."""
        for mode in DATA_FOLDERS:
            planning = self.with_settings(mode=mode)
            if any(place.exists() for place in planning.places):
                yield planning

    def _organise(self) -> Mapping[str, Dataset]:
        return self._source.organise()

    # ----- plans

    def find_left_over(self) -> tuple[UnusedFile, ...]:
        """Return the files that a workflow package takes for no target; plans by definitions say it themselves."""
        return self._source.find_left_over()

    def plan_both_modes(self) -> tuple[tuple[Dataset, Plan], ...]:
        """Return all datasets of this root in both modes, each with its plan; errors as `plans`."""
        return tuple(pair for each in self._in_both_modes() for pair in each.plans(each._organise().values()))

    def plan_datasets(self, names: Sequence[str] = ()) -> tuple[tuple[Dataset, Plan], ...]:
        """Return datasets by name, all by default, each with its plan; errors as `datasets` and `plans`."""
        return self.plans(self.datasets(names))

    def plans(self, datasets: Iterable[Dataset]) -> tuple[tuple[Dataset, Plan], ...]:
        """Return each dataset with its plan.

        Raises
        ------
        DataError
            If a file on disk is not FITS.
        UserError
            If no workflow takes a dataset, a `--set` names a recipe that none of their workflows has, or a folder of
            static calibrations is missing.
        """
        return self._source.plans(datasets)

    def plan(
        self,
        asked: Dataset,
        workflow: Workflow,
        header: ReadHeader,
        more: Sequence[ParameterSetting] = (),
        shared: Shared | None = None,
    ) -> tuple[Dataset, Plan]:
        """Return a dataset, with the static calibrations of the user's folders, and its plan.

        Parameters
        ----------
        asked : Dataset
            As organised.
        workflow : Workflow
            The definition for it.
        header : callable
            Returns the keywords of a file.
        more : sequence of ParameterSetting
            Added to those of the settings; a later one wins.
        shared : Shared, optional
            What was worked out for other datasets by the same workflow and headers.
        """
        return self._source.plan(asked, workflow, header, more, shared or Shared())

    def planner(self) -> Planner:
        """Return what makes the plan of a dataset that is tried out, as `plan` does, and reads each header once."""
        header, shared = cache(read_keywords), Shared()

        def plan(dataset: Dataset) -> tuple[Workflow, Plan] | None:
            try:
                workflow = self.workflow_for(dataset, header)
            except UserError:
                return None
            return workflow, self.plan(dataset, workflow, header, shared=shared)[1]

        return plan
