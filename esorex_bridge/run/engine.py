"""The loop: decide about each step of a plan, run what must run, record it, hand on its products."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.errors import BridgeError, DataError, RecipeError
from esorex_bridge.plan.parameters import Parameter, effective
from esorex_bridge.plan.plan import FileInput, Plan, ProductInput, Step, StepName
from esorex_bridge.plan.sof import Sof, SofError, of_entries, readable
from esorex_bridge.run.decide import Decision, Execute, NotNeeded, Reuse, decide
from esorex_bridge.run.end_products import deliver
from esorex_bridge.run.key import Statement, statements
from esorex_bridge.run.ports import Job, Product, Recipe, RecipeRunner, Record, Reporter
from esorex_bridge.run.products import check_outputs
from esorex_bridge.run.report import DatasetReport, DecisionWord, Outcome, StepReport
from esorex_bridge.run.store import SqliteStore
from esorex_bridge.run.workspace import Workspace, make_links

_NO_ESOREX = "EsoRex is not installed (Debian: apt-get install esorex, and cpl-plugin-… for the pipeline)"


@dataclass(frozen=True, slots=True)
class Tools:
    """What a run works with.

    Parameters
    ----------
    runner : RecipeRunner or None
        None where EsoRex is not installed.
    store : SqliteStore
        What was made before.
    workspace : Workspace
        Where things lie.
    reporter : Reporter
        Is told what goes on.
    started : datetime
        When the whole run began; names the folder of its end products.
    """

    runner: RecipeRunner | None
    store: SqliteStore
    workspace: Workspace
    reporter: Reporter
    started: datetime


def carry_out(pairs: Iterable[tuple[Dataset, Plan]], tools: Tools, dry_run: bool = False) -> tuple[DatasetReport, ...]:
    """Carry out plans, one after the other; a step that failed stops only what depends on it.

    Parameters
    ----------
    pairs : iterable of (Dataset, Plan)
        Each dataset with its plan.
    tools : Tools
        What to work with.
    dry_run : bool
        Decide, run nothing and change nothing.

    Raises
    ------
    ParameterError
        A recipe parameter is wrong. Nothing has run then, for no dataset.
    """
    listed = tuple(pairs)
    if tools.runner is None:
        return tuple(_not_run(dataset, plan, "no_esorex", _NO_ESOREX) for dataset, plan in listed)
    foreseen = [_foresee_or_error(plan, tools.store, tools.runner) for _, plan in listed]
    return tuple(
        _not_run(dataset, plan, "blocked", str(ahead))
        if isinstance(ahead, BridgeError)
        else _Run(dataset, plan, ahead, tools, tools.runner).go(dry_run)
        for (dataset, plan), ahead in zip(listed, foreseen, strict=True)
    )


def products_of(plan: Plan, store: SqliteStore, runner: RecipeRunner) -> dict[StepName, tuple[Product, ...]]:
    """Return the products of a plan's steps that were made before and are whole."""
    found = {name: store.find(stated.key()) for name, stated in _foresee(plan, store, runner).stated.items()}
    return {name: record.products for name, record in found.items() if isinstance(record, Record)}


@dataclass(frozen=True, slots=True)
class _Foreseen:
    """What is known of a plan before anything runs."""

    recipes: dict[str, Recipe]
    parameters: dict[StepName, tuple[Parameter, ...]]
    stated: dict[StepName, Statement]


def _foresee(plan: Plan, store: SqliteStore, runner: RecipeRunner) -> _Foreseen:
    recipes = {step.recipe: runner.recipe(step.recipe) for step in plan.steps}
    parameters = {
        step.name: effective(step.recipe, recipes[step.recipe].parameters, step.settings) for step in plan.steps
    }
    digests = store.digests(entry.path for step in plan.steps for entry in step.inputs if isinstance(entry, FileInput))
    return _Foreseen(recipes, parameters, statements(plan, digests, recipes, parameters))


def _foresee_or_error(plan: Plan, store: SqliteStore, runner: RecipeRunner) -> _Foreseen | BridgeError:
    try:
        return _foresee(plan, store, runner)
    except (DataError, RecipeError) as error:
        return error


class _Run:
    """One plan being carried out."""

    def __init__(self, dataset: Dataset, plan: Plan, foreseen: _Foreseen, tools: Tools, runner: RecipeRunner) -> None:
        self._dataset, self._plan, self._foreseen = dataset, plan, foreseen
        self._tools, self._runner = tools, runner
        self._made: dict[StepName, tuple[Product, ...]] = {}

    def go(self, dry_run: bool) -> DatasetReport:
        """Carry out the plan."""
        store = self._tools.store
        decisions = decide(self._plan, self._foreseen.stated, store.find, store.nearest)
        reports = [self._carry_out(decision, dry_run) for decision in decisions]
        ends = () if dry_run else self._deliver()
        return _dataset_report(self._dataset, self._plan, reports, ends)

    def _carry_out(self, decision: Decision, dry_run: bool) -> StepReport:
        if isinstance(decision, Reuse):
            report = self._done("reuse", decision.step, decision.reason, decision.record)
        elif isinstance(decision, NotNeeded):
            report = self._report("not_needed", decision.step, decision.reason, "skipped")
        else:
            report = self._execute(decision, dry_run)
        self._tools.reporter.finished(report)
        return report

    def _execute(self, decision: Execute, dry_run: bool) -> StepReport:
        step, reason = decision.step, decision.reason
        lacking = () if dry_run else tuple(name for name in step.needs if name not in self._made)
        gaps = (*step.gaps, *(f"{name} has no products" for name in lacking))
        if gaps:
            return self._report("execute", step, reason, "blocked", "; ".join(gaps))
        if dry_run:
            return self._report("execute", step, reason, "planned")
        number = self._plan.steps.index(step) + 1
        self._tools.reporter.started(self._plan.dataset, step.name, step.recipe, number, len(self._plan.steps))
        try:
            record = self._make(step)
        except (RecipeError, DataError, SofError) as error:
            return self._report("execute", step, reason, "failed", str(error))
        return self._done("execute", step, reason, record)

    def _report(self, decision: DecisionWord, step: Step, reason: str, outcome: Outcome, error: str = "") -> StepReport:
        return StepReport(
            self._plan.dataset, step.name, step.recipe, decision, reason, outcome, warnings=step.warnings, error=error
        )

    def _done(self, decision: DecisionWord, step: Step, reason: str, record: Record) -> StepReport:
        self._made[step.name] = record.products
        seconds = record.seconds if decision == "execute" else 0.0
        report = self._report(decision, step, reason, "done")
        return replace(report, sof=record.sof, products=record.products, seconds=seconds)

    def _make(self, step: Step) -> Record:
        """Run a step in a private folder, check what it made, move it to its place, record it last."""
        now = datetime.now(UTC)
        folders = self._tools.workspace.new_run(self._plan.workflow, step.actor, now.astimezone())
        sof, links = readable(self._sof(step), folders.work / "in")
        make_links(links)
        job = Job(self._foreseen.recipes[step.recipe], sof, self._foreseen.parameters[step.name], folders.work)
        execution = self._runner.execute(job)
        checked = check_outputs(step.recipe, execution.outputs)
        places = folders.publish(tuple(entry.output.path for entry in checked), execution.log)
        statement = self._foreseen.stated[step.name]
        record = Record(
            key=statement.key(),
            products=tuple(
                Product(place, entry.output.category, entry.digest, entry.size_bytes)
                for place, entry in zip(places, checked, strict=True)
            ),
            seconds=execution.seconds,
            made=f"{now:%Y-%m-%dT%H:%M:%SZ}",
            sof=folders.work / "data.sof",
            warnings=step.warnings,
        )
        self._tools.store.record(record, statement, self._plan.dataset, step.name)
        return record

    def _sof(self, step: Step) -> Sof:
        entries: list[tuple[Path, str]] = []
        for entry in step.inputs:
            if isinstance(entry, FileInput):
                entries.append((entry.path, entry.category))
            else:
                entries.extend(self._products(step, entry))
        return of_entries(entries)

    def _products(self, step: Step, entry: ProductInput) -> list[tuple[Path, str]]:
        found = [made.path for made in self._made[entry.step] if made.category == entry.product]
        if not found:
            raise RecipeError(f"{entry.step} made no {entry.product}, which {step.recipe} takes as {entry.category}")
        return [(path, entry.category) for path in found]

    def _deliver(self) -> tuple[Path, ...]:
        ends: list[Path] = []
        for step in self._plan.steps:
            if step.target and step.name in self._made:
                key = self._foreseen.stated[step.name].key()
                ends.extend(
                    deliver(
                        self._plan.dataset,
                        key,
                        self._made[step.name],
                        self._tools.store,
                        self._tools.workspace.end_products,
                        self._tools.started,
                    )
                )
        return tuple(ends)


def _not_run(dataset: Dataset, plan: Plan, outcome: Outcome, why: str) -> DatasetReport:
    reports = [
        StepReport(
            plan.dataset,
            step.name,
            step.recipe,
            "execute",
            why,
            outcome,
            warnings=step.warnings,
            error="; ".join((why, *step.gaps)),
        )
        for step in plan.steps
    ]
    return _dataset_report(dataset, plan, reports, ())


def _dataset_report(dataset: Dataset, plan: Plan, steps: list[StepReport], ends: tuple[Path, ...]) -> DatasetReport:
    unused = (
        StepReport(plan.dataset, group.purpose, group.recipe, "not_needed", group.reason, "skipped")
        for group in plan.unused
    )
    return DatasetReport(
        dataset=plan.dataset,
        workflow=plan.workflow,
        steps=(*steps, *unused),
        end_products=ends,
        complete=dataset.complete,
        certified=dataset.certified,
        mode=dataset.mode,
        requested=dataset.requested,
        messages=plan.messages,
    )
