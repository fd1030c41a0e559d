"""The composition root: a data root and an archive become the tools that the stages of the road work with."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.definitions.folders import user_workflow_folder
from esorex_bridge.errors import DataError, RecipeError, UserError
from esorex_bridge.esorex.recipe import Recipe
from esorex_bridge.esorex.runner import EsoRex, find_esorex
from esorex_bridge.organise.places import data_places
from esorex_bridge.plan.plan import Plan, StepName
from esorex_bridge.workspace.folders import Workspace
from esorex_bridge.workspace.scan import scan
from esorex_bridge.workspace.sharing import share_with_group
from esorex_bridge.workspace.user_settings import UserSettings, read_user_settings

if TYPE_CHECKING:
    from esorex_bridge.archive.client import ArchiveClient
    from esorex_bridge.archive.report import FetchReport
    from esorex_bridge.disk.room import RoomRule
    from esorex_bridge.planning.planning import Planning
    from esorex_bridge.reuse.key import StepKey
    from esorex_bridge.reuse.record import Product
    from esorex_bridge.reuse.resolve import ResolvedPlan
    from esorex_bridge.run.engine import Engine
    from esorex_bridge.run.explanation import ExplainedStep
    from esorex_bridge.run.report import DatasetReport
    from esorex_bridge.run.reporter import Reporter
    from esorex_bridge.run.sof_files import SofFile
    from esorex_bridge.settings import Settings
    from esorex_bridge.store.step_store import SqliteStore


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

    @cached_property
    def planning(self) -> Planning:
        """The datasets of the data root, and their plans."""
        from esorex_bridge.planning.planning import Planning

        return Planning(self.settings, lambda files: self.store.digests(files))

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

    def learn_digests(self, report: FetchReport) -> None:
        """Remember the digests that were taken while files were fetched, so that nothing is read twice."""
        from esorex_bridge.archive.report import readings_of

        self.store.learn(readings_of(report.files))

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

    def find_products(self, dataset: Dataset, plan: Plan) -> dict[StepName, tuple[Product, ...]]:
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
        planned = self.planning.plan_both_modes()
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
            sof
            for data, plan in planned
            for sof in write_sofs(self._with_options(plan), self.find_products(data, plan), place)
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
            As `Planning.plans` returns them.
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
