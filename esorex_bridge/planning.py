"""Datasets and plans: what lies in a data root is organised, and definitions say what is to be made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from esorex_bridge.datasets.association import AssociationTree
from esorex_bridge.datasets.dataset import Dataset, files_of
from esorex_bridge.datasets.shared import Shared
from esorex_bridge.definitions.edps.options import PREFIX
from esorex_bridge.definitions.folders import Definitions, own_definitions
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.definitions.workflow import RULES_ALONE, Workflow
from esorex_bridge.errors import DataError, UnknownNameError, UserError
from esorex_bridge.fits.hdus import read_keywords
from esorex_bridge.fits.header import read_header
from esorex_bridge.organise.places import DATA_FOLDERS, data_places, destination
from esorex_bridge.plan.cascade import make_plan
from esorex_bridge.plan.copies import leave_out_copies
from esorex_bridge.plan.looks import look_at
from esorex_bridge.plan.plan import Keywords, Plan, UnusedFile
from esorex_bridge.plan.statics import StaticLibrary, with_statics
from esorex_bridge.plan.strangers import leave_out_strangers
from esorex_bridge.settings import Settings
from esorex_bridge.workspace.folders import Workspace
from esorex_bridge.workspace.scan import scan

if TYPE_CHECKING:
    from esorex_bridge.archive.trees import Folders
    from esorex_bridge.edps.plan import DataFolder
    from esorex_bridge.edps.workflow import EdpsWorkflow
    from esorex_bridge.organise.organised_data import Request
    from esorex_bridge.organise.review import Planner

_FEW = 3
"""How many messages of a package an error tells."""
_FETCH = "fetch data first (esorex-bridge fetch), or "
_NO_TREE = "no association tree (*.xml) in {}"
_BY_ALL = f"{_NO_TREE}, and nothing there makes a dataset by rules; {_FETCH}see 'esorex-bridge organise'"
_NOTHING = {
    "calselector": f"{_NO_TREE}; {_FETCH}organise by rules (--by oca)",
    "oca": "nothing in {} makes a dataset; 'esorex-bridge organise' tells why",
    "auto": _BY_ALL,
    "both": _BY_ALL,
}
"""What is said where there is no dataset, by what datasets are made by."""


class Planning:
    """The datasets of a data root, and their plans.

    Parameters
    ----------
    settings : Settings
        Where the data lie, what they are organised by, and what is to be made of them.
    digests : callable
        Returns the digests of files by their paths, or the reason where there is none.
    """

    def __init__(self, settings: Settings, digests: Callable[[Iterable[str]], Mapping[str, object]]) -> None:
        self.settings = settings
        self._workspace = Workspace(settings.root.absolute())
        self._digests = digests

    def with_settings(self, **changes: Any) -> Planning:
        """Return the same with other settings, such as `mode`."""
        return Planning(replace(self.settings, **changes), self._digests)

    @cached_property
    def definitions(self) -> Definitions:
        """The workflow definitions of the user and those that come with the bridge."""
        return own_definitions()

    @cached_property
    def edps(self) -> EdpsWorkflow | None:
        """The workflow package that the settings name; None where they name none."""
        given = str(self.settings.workflow or "")
        if not given.startswith(PREFIX):
            return None
        from esorex_bridge.edps.workflow import EdpsWorkflow
        from esorex_bridge.organise.breakpoints import as_events
        from esorex_bridge.organise.choices_file import read_choices_file
        from esorex_bridge.organise.from_disk import known_breakpoints

        options, quality = self.settings.edps, self.settings.quality
        if quality is not None:
            limit = ("quality_threshold", str(quality))
            options = replace(options, workflow_parameters=(*options.workflow_parameters, limit))
        package = EdpsWorkflow(given, options, as_events(known_breakpoints(self.request)))
        return package.with_choices(read_choices_file(self._workspace.root, package.sources.module))

    @cached_property
    def data(self) -> DataFolder:
        """The files that a workflow package works on."""
        from esorex_bridge.edps.plan import DataFolder
        from esorex_bridge.organise.from_disk import EDPS_CACHE_FILE

        places = self.settings.data or data_places(self._workspace.root)
        return DataFolder(places, self._workspace.bookkeeping / EDPS_CACHE_FILE)

    @cached_property
    def _packaged(self) -> dict[str, tuple[Dataset, Plan]]:
        """What the workflow package makes of all files, by dataset."""
        if self.edps is None:
            return {}
        return {dataset.name: (dataset, plan) for dataset, plan in self.edps.plans(self.data, self.settings.parameters)}

    def _plan_by_package(
        self, package: EdpsWorkflow, asked: Dataset, more: Sequence[ParameterSetting]
    ) -> tuple[Dataset, Plan]:
        """Return a dataset with its plan: one that the package made of all files, or one of an association tree.

        The tree says which files there are, and the package what is made of them.
        """
        settings = (*self.settings.parameters, *more)
        known, plan = self._packaged.get(asked.name, (None, None)) if "_packaged" in self.__dict__ else (None, None)
        if known != asked or plan is None:
            others = scan(*self.places).files.values() if package.chosen_files else ()
            return asked, package.plan_of(asked, settings, others)
        if not more:
            return asked, plan
        return next(pair for pair in package.plans(self.data, settings) if pair[0].name == asked.name)

    def find_left_over(self) -> tuple[UnusedFile, ...]:
        """Return the files that a workflow package takes for no target; plans by definitions say it themselves."""
        return self.edps.not_used(self.data) if self.edps is not None else ()

    @property
    def named_workflow(self) -> Path | None:
        """The definition that the settings name; None for that of the instrument.

        With `none` datasets are made by the rules alone, and reduced by the definition of their instrument.
        """
        given = self.settings.workflow
        return None if str(given) == RULES_ALONE else given

    @cached_property
    def workflows(self) -> tuple[Workflow, ...]:
        """All workflow definitions, or the one that the settings name by its file or its name."""
        given = self.named_workflow
        if given is None:
            return self.definitions.all()
        if self.edps is not None:
            return (self.edps.workflow,)
        if not given.is_file() and (str(given) in self.definitions.paths or given.name == given.stem == str(given)):
            return (self.definitions.find(str(given)),)
        return (self.definitions.read(given),)

    def workflow_for(self, dataset: Dataset, header: Callable[[Path], Keywords] = read_header) -> Workflow:
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
        from esorex_bridge.organise.tree_datasets import first_header

        if self.edps is not None:
            return self.edps.workflow
        keywords = first_header(dataset, header)
        if self.named_workflow is None:
            return self.definitions.choose(dataset.instrument, keywords)
        given = self.workflows[0]
        if given.serves(dataset.instrument, keywords):
            return given
        try:
            taking = f"'{self.definitions.choose(dataset.instrument, keywords).name}' takes it"
        except UserError as error:
            taking = str(error)
        raise UserError(
            f"workflow '{given.name}' is for {', '.join(given.instruments)}, not for dataset {dataset.name} of "
            f"{dataset.instrument}: {taking}"
        )

    @cached_property
    def shelf(self) -> StaticLibrary:
        """Static calibrations in the folders that `statics.yaml` names."""
        from esorex_bridge.organise.static_folders import read_shelf, static_folders

        return read_shelf(static_folders(self._workspace.root))

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
        places, root = ", ".join(map(str, self.places)), self.settings.root
        if not self.settings.data and not root.exists():
            raise DataError(f"{root} does not exist; name the data root with --root, or fetch data into it first")
        found = self._organise()
        if not found and self.edps is not None:
            told = "".join(f"; {text}" for text in self.edps.jobs(self.data).messages[:_FEW])
            raise DataError(f"workflow {self.settings.workflow} makes no job of the data for its targets{told}")
        if not found:
            raise DataError(_NOTHING[self.settings.by].format(places) + "".join(self._notes()))
        for name in names:
            if name not in found:
                raise UnknownNameError("dataset", name, sorted(found), places, self._lister)
        return map(found.__getitem__, names or sorted(found))

    def datasets_of(self, trees: Iterable[AssociationTree]) -> tuple[Dataset, ...]:
        """Return the datasets that association trees mean, one a name, with the user's choices applied."""
        from esorex_bridge.organise.choices_file import CHOICES_FILE
        from esorex_bridge.organise.tree_datasets import tree_datasets

        found = tree_datasets(tuple(trees), scan(*self.places).files, read_header, self.settings.mode)
        chosen = (self._workspace.root / CHOICES_FILE).exists()
        if self.edps is not None or (self.settings.by in ("auto", "calselector") and not chosen):
            return found
        science = {file.name for dataset in found for file in dataset.action.files}
        return tuple(
            dataset
            for dataset in self._organise().values()
            if any(file.name in science for file in dataset.action.files)
        )

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

    def _organise(self) -> Mapping[str, Dataset]:
        """Return all datasets that there are, by name."""
        from esorex_bridge.organise.from_disk import datasets_on_disk

        if self.edps is not None:
            return {name: dataset for name, (dataset, _) in self._packaged.items()}
        return datasets_on_disk(self.request, self.places)

    def _notes(self) -> Iterator[str]:
        """Yield what organising by rules says of these places."""
        from esorex_bridge.organise.from_disk import load

        if self.settings.by != "calselector":
            for text in load(self.request, self.places).warnings[:_FEW]:
                yield f"; {text.rstrip('.')}"

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
        if self.edps is not None:
            package = self.edps
            return tuple(self._plan_by_package(package, dataset, ()) for dataset in datasets)
        header = cache(read_keywords)
        listed = tuple((dataset, self.workflow_for(dataset)) for dataset in datasets)
        refuse_idle_settings(self.settings.parameters, (workflow for _, workflow in listed))
        return tuple(self.plan(dataset, workflow, header) for dataset, workflow in listed)

    def plan(
        self,
        asked: Dataset,
        workflow: Workflow,
        header: Callable[[Path], Keywords],
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
        known = shared or Shared()
        if self.edps is not None:
            return self._plan_by_package(self.edps, asked, more)
        dataset = with_statics(asked, workflow, self.shelf, header)
        looks = known.of_actions(dataset.action, "look", partial(look_at, header=header, shared=known))
        headers = {path: keywords for each in looks for path, keywords in each.headers.items()}
        dataset, copies = self._without_copies(dataset, [path for each in looks for path in each.suspects])
        dataset = leave_out_strangers(dataset, {path: said for each in looks for path, said in each.strangers.items()})
        settings = (*self.settings.parameters, *more)
        plan = make_plan(dataset, workflow, headers, settings, self.settings.quality, known)
        return dataset, replace(plan, not_used=(*plan.not_used, *copies)) if copies else plan

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

    def _without_copies(self, dataset: Dataset, files: Iterable[Path]) -> tuple[Dataset, tuple[UnusedFile, ...]]:
        """Return a dataset in whose groups each content is once; only files with equal times are read for that."""
        if not files:
            return dataset, ()
        digests = self._digests(map(str, files))
        contents = {path: digest for path in files if isinstance(digest := digests[str(path)], str)}
        return leave_out_copies(dataset, contents)


def refuse_idle_settings(settings: Iterable[ParameterSetting], workflows: Iterable[Workflow]) -> None:
    """Refuse a `--set` for a recipe that no workflow has: it is misspelt.

    Raises
    ------
    UserError
        If there is one; the message names the recipes there are.
    """
    by_name = {workflow.name: workflow for workflow in workflows}
    recipes = dict.fromkeys(step.recipe for workflow in by_name.values() for step in workflow.steps)
    packages = (workflow for workflow in by_name.values() if workflow.source.startswith(PREFIX))
    tasks = {step.name for workflow in packages for step in workflow.steps}
    for setting in settings:
        typed = setting.origin in ("--set", "--grid")
        if typed and by_name and setting.recipe not in recipes and setting.recipe not in tasks:
            where = f"{setting.origin} {setting.recipe}.{setting.name}: workflow {', '.join(by_name)}"
            raise UnknownNameError("recipe", setting.recipe, (*recipes, *sorted(tasks)), where)
