"""The composition root: a data root and an archive become the tools that the stages of the road work with."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from functools import cache, cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from esorex_bridge.datasets.association import AssociationTree, Mode
from esorex_bridge.datasets.dataset import Dataset, files_of
from esorex_bridge.datasets.shared import Shared
from esorex_bridge.definitions.edps.options import PREFIX, EdpsOptions
from esorex_bridge.definitions.folders import Definitions, definition_folders, user_workflow_folder
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.definitions.workflow import RULES_ALONE, Workflow
from esorex_bridge.errors import DataError, RecipeError, UnknownNameError, UserError
from esorex_bridge.esorex.recipe import Recipe
from esorex_bridge.esorex.runner import EsoRex, find_esorex
from esorex_bridge.fits.header import read_header
from esorex_bridge.organise.places import DATA_FOLDERS, data_folder, data_places, destination
from esorex_bridge.plan.cascade import make_plan
from esorex_bridge.plan.copies import leave_out_copies
from esorex_bridge.plan.looks import look_at
from esorex_bridge.plan.plan import Keywords, Plan, StepName, UnusedFile
from esorex_bridge.plan.statics import StaticLibrary, with_statics
from esorex_bridge.plan.strangers import leave_out_strangers
from esorex_bridge.reuse.decide import Policy
from esorex_bridge.workspace.folders import Workspace
from esorex_bridge.workspace.scan import scan
from esorex_bridge.workspace.sharing import share_with_group
from esorex_bridge.workspace.user_settings import UserSettings, read_user_settings

if TYPE_CHECKING:
    from esorex_bridge.archive.client import ArchiveClient
    from esorex_bridge.archive.report import FetchReport
    from esorex_bridge.archive.trees import Folders
    from esorex_bridge.disk.room import RoomRule
    from esorex_bridge.edps.plan import DataFolder
    from esorex_bridge.edps.workflow import EdpsWorkflow
    from esorex_bridge.organise.organised_data import By, Request
    from esorex_bridge.reuse.key import StepKey
    from esorex_bridge.reuse.record import Product
    from esorex_bridge.reuse.resolve import ResolvedPlan
    from esorex_bridge.run.engine import Engine
    from esorex_bridge.run.explanation import ExplainedStep
    from esorex_bridge.run.report import DatasetReport
    from esorex_bridge.run.reporter import Reporter
    from esorex_bridge.run.sof_files import SofFile
    from esorex_bridge.store.step_store import SqliteStore


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


class Settings(Struct, frozen=True):
    """What a session is made of.

    Parameters
    ----------
    root : Path
        The data root.
    archive : str or None
        One base address for all archive services; None for ESO's own hosts.
    mode : {'Raw2Raw', 'Raw2Master'}
        Calibrations as raw frames or as processed masters.
    workflow : Path or None
        A workflow definition to use for all datasets, instead of the one for their instrument.
    parameters : tuple of ParameterSetting
        Recipe parameters that the user gave.
    esorex : str
        Name or path of the EsoRex command.
    jobs : int
        How many recipes may run at a time.
    policy : Policy
        What the user says about reuse.
    messages : callable or None
        Is given EsoRex's own messages, line by line; None to keep them in the folder of the run.
    by : {'auto', 'both', 'calselector', 'oca'}
        What datasets are made by: trees, and rules for frames that no tree names; the same with the gaps of trees
        filled by rules; trees alone; or rules alone.
    oca, breakpoints : Path or None
        Rule file and breakpoints to organise by, instead of the pipeline's own and those in the data root.
    data : tuple of Path
        Where the data lie; empty for the data root.
    edps : EdpsOptions
        Targets and parameters of an EDPS workflow.
    trace : Path or None
        A folder that every exchange with the archive is written into.
    quality : int or None
        Calibrations of a higher level are not taken; None for no limit.
    room : {'check', 'ignore'} or None
        Whether what the disks have no room for is refused; None for what the settings of the root or the user say.
    memory_mb : int or None
        What recipes may take together; 0 for no limit, None for what is free when they begin.
    """

    root: Path
    archive: str | None = None
    mode: Mode = "Raw2Raw"
    workflow: Path | None = None
    parameters: tuple[ParameterSetting, ...] = ()
    esorex: str = "esorex"
    jobs: int = 1
    policy: Policy = field(default_factory=Policy)
    messages: Callable[[str], None] | None = None
    by: By = "auto"
    oca: Path | None = None
    breakpoints: Path | None = None
    data: tuple[Path, ...] = ()
    edps: EdpsOptions = EdpsOptions()
    trace: Path | None = None
    quality: int | None = None
    room: RoomRule | None = None
    memory_mb: int | None = None


class ReflexExport(Struct, frozen=True):
    """Datasets as Reflex takes them.

    Parameters
    ----------
    datasets : list of dict
        As DataOrganizer writes them.
    left_out : tuple of str
        What is said of those that no workflow takes.
    plans : dict of str to Plan
        What they were made from, by the name of the dataset; those without a workflow have none.
    """

    datasets: list[dict[str, Any]]
    left_out: tuple[str, ...]
    plans: dict[str, Plan]


class Session:
    """The tools of one data root, opened when first used and closed at the end of a `with` statement.

    Parameters
    ----------
    settings : Settings
        What to work with.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.workspace = Workspace(settings.root.absolute())
        share_with_group(self.workspace.root)
        self._closing = ExitStack()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    @cached_property
    def store(self) -> SqliteStore:
        """What was made before."""
        from esorex_bridge.store.step_store import open_store

        trust = self._user_settings.trust_ctime
        return self._closing.enter_context(open_store(self.workspace.store, self.workspace.root, trust))

    @cached_property
    def esorex(self) -> EsoRex | None:
        """The installed EsoRex; None where there is none."""
        return find_esorex(self.settings.esorex, messages=self.settings.messages)

    @cached_property
    def client(self) -> ArchiveClient:
        """The archive."""
        from esorex_bridge.archive.opening import open_client

        return self._closing.enter_context(open_client(self.settings.archive, os.environ, trace=self.settings.trace))

    @property
    def data_folder(self) -> Path:
        """Where data of this session's mode are fetched to."""
        return data_folder(self.workspace.root, self.settings.mode)

    @property
    def destination(self) -> Folders:
        """Where data that are fetched go."""
        return destination(self.workspace.root, self.settings.mode)

    @cached_property
    def definitions(self) -> Definitions:
        """The workflow definitions of the user and those that come with the bridge."""
        return Definitions(definition_folders())

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
        package = EdpsWorkflow(given, options, as_events(known_breakpoints(self._request)))
        return package.with_choices(read_choices_file(self.workspace.root, package.sources.module))

    @cached_property
    def data(self) -> DataFolder:
        """The files that a workflow package works on."""
        from esorex_bridge.edps.plan import DataFolder
        from esorex_bridge.organise.from_disk import EDPS_CACHE_FILE

        places = self.settings.data or data_places(self.workspace.root)
        return DataFolder(places, self.workspace.bookkeeping / EDPS_CACHE_FILE)

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

        return read_shelf(static_folders(self.workspace.root))

    def datasets(self, names: Sequence[str] = ()) -> tuple[Dataset, ...]:
        """Return the datasets of the data folder, by name, with the user's choices applied.

        Parameters
        ----------
        names : sequence of str
            Only these; all by default.

        Raises
        ------
        UserError
            There is no dataset of a name.
        DataError
            There is no dataset at all.
        """
        return tuple(self.each_dataset(names))

    def each_dataset(self, names: Sequence[str] = ()) -> Iterator[Dataset]:
        """Return the datasets one by one, each made when it is asked for; parameters and errors as `datasets`."""
        places = ", ".join(map(str, self.places))
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
        chosen = (self.workspace.root / CHOICES_FILE).exists()
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
        """Where data of this session's mode lie."""
        return self.settings.data or data_places(self.workspace.root, self.settings.mode)

    def _organise(self) -> Mapping[str, Dataset]:
        """Return all datasets that there are, by name."""
        from esorex_bridge.organise.from_disk import datasets_on_disk

        if self.edps is not None:
            return {name: dataset for name, (dataset, _) in self._packaged.items()}
        return datasets_on_disk(self._request, self.places)

    def _notes(self) -> Iterator[str]:
        """Yield what organising by rules says of these places."""
        from esorex_bridge.organise.from_disk import load

        if self.settings.by != "calselector":
            for text in load(self._request, self.places).warnings[:_FEW]:
                yield f"; {text.rstrip('.')}"

    @property
    def _request(self) -> Request:
        """What to organise by."""
        from esorex_bridge.organise.organised_data import Request

        settings, mode = self.settings, self.settings.mode
        workflow = str(settings.workflow) if settings.workflow is not None else None
        return Request(
            self.workspace.root, settings.by, settings.oca, workflow, settings.breakpoints, mode=mode, requested=mode
        )

    def require_root(self) -> None:
        """Refuse a root that is not there: nothing is made in it by asking.

        Raises
        ------
        UserError
            If it is no folder.
        """
        root = self.workspace.root
        if not root.is_dir():
            what = "is not a folder" if root.exists() else "does not exist"
            raise UserError(f"{root} {what}; give the data root with --root")

    def named_files(self) -> dict[str, Path | None]:
        """Return the files that the datasets of this root name, in both modes, and where they are."""
        named: dict[str, Path | None] = {}
        for dataset in self._all_datasets():
            named.update({file.name: file.path for file in files_of(dataset)})
        return named

    def _all_datasets(self) -> Iterator[Dataset]:
        """Yield the datasets of this root in both modes; none of a folder that makes none."""
        for session in self._of_both_modes():
            with suppress(DataError, UserError):
                yield from session._organise().values()

    def _of_both_modes(self) -> Iterator[Session]:
        """Yield this session in each mode of which there are data."""
        for mode in DATA_FOLDERS:
            session = Session(replace(self.settings, mode=mode))
            if any(place.exists() for place in session.places):
                yield session

    def learn_digests(self, report: FetchReport) -> None:
        """Remember the digests that were taken while files were fetched, so that nothing is read twice."""
        from esorex_bridge.archive.report import readings_of

        self.store.learn(readings_of(report.files))

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
        header = cache(read_header)
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

    def _without_copies(self, dataset: Dataset, files: Iterable[Path]) -> tuple[Dataset, tuple[UnusedFile, ...]]:
        """Return a dataset in whose groups each content is once; only files with equal times are read for that."""
        if not files:
            return dataset, ()
        digests = self.store.digests(map(str, files))
        contents = {path: digest for path in files if isinstance(digest := digests[str(path)], str)}
        return leave_out_copies(dataset, contents)

    def export_for_reflex(self, datasets: Iterable[Dataset], headers: Mapping[Path, Keywords]) -> ReflexExport:
        """Return datasets as Reflex's DataOrganizer writes them, and what is said of those that are left out.

        Where a workflow is known for the instrument, the tree is that of its plan: what the plan decides by headers
        (which dark for which flat, settings never mixed, statics of a kit) then stands in the purposes, and Reflex does
        the same. Otherwise the tree is that of the dataset, with the best of several alternatives. Where a workflow is
        named, datasets of other instruments are left out.
        """
        from esorex_bridge.plan.unfold import shared_steps, unfold_plan
        from esorex_bridge.reflex.checksum import reflex_checksum
        from esorex_bridge.reflex.datasets_json import datasets_json

        header = cache(read_header)
        named = self.named_workflow is not None
        found: list[Dataset] = []
        left_out: list[str] = []
        plans: dict[str, Plan] = {}
        for dataset in datasets:
            workflow = None
            try:
                workflow = self.workflow_for(dataset) if named or self.settings.workflow is None else None
            except UserError as error:
                if named:
                    left_out.append(str(error))
                    continue
            planned, plan = self.plan(dataset, workflow, header) if workflow else (dataset, None)
            if workflow is not None and plan is not None and plan.steps:
                unfolded = unfold_plan(planned, plan, shared_steps(workflow))
                found += unfolded
                plans |= dict.fromkeys((each.name for each in unfolded), plan)
            else:
                from esorex_bridge.organise.alternatives import best_alternatives

                found.append(best_alternatives(dataset, headers))
        return ReflexExport(datasets_json(found, reflex_checksum), tuple(left_out), plans)

    @cached_property
    def engine(self) -> Engine | None:
        """What resolves, decides and executes; None without EsoRex, on whose recipes keys depend."""
        from esorex_bridge.run.engine import Engine

        if self.esorex is None:
            return None
        rules = self.settings.policy, self.room_rule, self.settings.memory_mb
        return Engine(self.esorex, self.store, self.workspace, *rules)

    @property
    def room_rule(self) -> RoomRule:
        """Whether what the disks have no room for is refused."""
        return self.settings.room or self._user_settings.room

    def products_expected(self) -> tuple[Path, float]:
        """Return where products of what is fetched will lie, and how many bytes of them a fetched byte makes."""
        from esorex_bridge.run.footprint import made_per_byte

        factor = made_per_byte(self.store, self.workspace) if self.workspace.store.exists() else 1.0
        return self.workspace.tmp_products, factor

    @cached_property
    def _user_settings(self) -> UserSettings:
        return read_user_settings(self.workspace.root, user_workflow_folder().parent)

    def require_engine(self) -> Engine:
        """Return the engine.

        Raises
        ------
        RecipeError
            If EsoRex is not installed.
        """
        if self.engine is None:
            from esorex_bridge.run.reduction import NO_ESOREX

            raise RecipeError(NO_ESOREX)
        return self.engine

    def made(self, dataset: Dataset, plan: Plan) -> dict[StepName, tuple[Product, ...]]:
        """Return the products of a plan's steps that are there; none without EsoRex, which their keys depend on."""
        if self.engine is None:
            return {}
        from esorex_bridge.reuse.record import Record
        from esorex_bridge.run.engine import resolvable

        resolved = tuple(resolvable(self.engine.resolve(((dataset, plan),))))
        return {
            name: record.products
            for found in self.engine.find(resolved)
            for name, record in found.items()
            if isinstance(record, Record)
        }

    def needed_keys(self, resolved: Iterable[ResolvedPlan]) -> frozenset[StepKey]:
        """Return the keys of all steps that the datasets of this root need, as `resolve_all` found them.

        Those of frames that are nowhere at the moment are among them: a disk may come back.
        """
        places = (*data_places(self.workspace.root), *self.settings.data)
        keys = {key for ahead in resolved for key in ahead.keys.values()}
        return self.store.keys_of_absent(scan(*places).files.keys()) | keys

    def resolve_all(self) -> tuple[ResolvedPlan, ...]:
        """Return the plans of all datasets of this root, in both modes, with all that can be known beforehand.

        Raises
        ------
        UserError
            If that is not known: EsoRex is missing, or a plan cannot be resolved.
        DataError
            If there is no dataset.
        """
        from esorex_bridge.reuse.resolve import Unresolvable

        if self.engine is None:
            raise UserError("what is needed cannot be told without EsoRex, because the keys depend on its recipes")
        planned = [pair for session in self._of_both_modes() for pair in session.plans(session._organise().values())]
        if not planned:
            raise DataError(f"{self.workspace.root} has no datasets, so what is needed is not known")
        resolved: list[ResolvedPlan] = []
        for ahead in self.engine.resolve(planned):
            if isinstance(ahead, Unresolvable):
                raise UserError(f"what {ahead.dataset.name} needs cannot be told: {ahead.reason}")
            resolved.append(ahead)
        self.engine.find(resolved)  # takes over old keys
        return tuple(resolved)

    def write_sofs(self, planned: Iterable[tuple[Dataset, Plan]], folder: Path | None = None) -> tuple[SofFile, ...]:
        """Write the SOF files of plans for use by hand, by default into `sof/` in the data root."""
        from esorex_bridge.run.sof_files import write_sofs

        place = folder or self.workspace.root / "sof"
        return tuple(
            sof for data, plan in planned for sof in write_sofs(self._with_options(plan), self.made(data, plan), place)
        )

    def _with_options(self, plan: Plan) -> Plan:
        """Return a plan with parameters under their names on EsoRex' command line, where they are given in full."""
        full = {step.recipe for step in plan.steps for setting in step.settings if "." in setting.name}
        if self.esorex is None or not full:
            return plan
        recipes = self.esorex.recipes(full)
        short = {
            (name, schema.name): schema.display_name
            for name, recipe in recipes.items()
            if isinstance(recipe, Recipe)
            for schema in recipe.parameters
        }
        steps = (
            replace(
                step,
                settings=tuple(
                    replace(each, name=short.get((step.recipe, each.name), each.name)) for each in step.settings
                ),
            )
            for step in plan.steps
        )
        return replace(plan, steps=tuple(steps))

    def run(
        self,
        planned: Iterable[tuple[Dataset, Plan]],
        reporter: Reporter | None = None,
        started: datetime | None = None,
        dry_run: bool = False,
    ) -> tuple[DatasetReport, ...]:
        """Carry out plans on this machine.

        Parameters
        ----------
        planned : iterable of (Dataset, Plan)
            As `plans` returns them.
        reporter : Reporter, optional
            Is told what goes on; nobody by default.
        started : datetime, optional
            When the whole run began; now by default. Names the folder of end products.
        dry_run : bool
            Decide, run nothing and change nothing.

        Raises
        ------
        ParameterError
            If a recipe parameter is wrong; nothing has run then.
        UserError
            If the policy names a recipe or step that no plan has.
        """
        from esorex_bridge.run.reduction import reduce_datasets, without_esorex
        from esorex_bridge.run.reporter import SilentReporter

        if self.engine is None:
            return without_esorex(planned)
        told, began = reporter or SilentReporter(), started or datetime.now()
        return reduce_datasets(planned, self.engine, told, began, self.settings.jobs, dry_run)

    def accounts(self, planned: Iterable[tuple[Dataset, Plan]]) -> tuple[ExplainedStep, ...]:
        """Return an account of every step: what it depends on, what is decided and why; nothing runs.

        Raises
        ------
        RecipeError
            If EsoRex is not installed.
        """
        from esorex_bridge.run.reduction import explain_steps

        return explain_steps(planned, self.require_engine())


def refuse_idle_settings(settings: Iterable[ParameterSetting], workflows: Iterable[Workflow]) -> None:
    """Refuse a `--set` for a recipe that no workflow has: it is misspelt.

    Raises
    ------
    UserError
        With the recipes there are.
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
