"""A whole run on this machine: plans are resolved, decided about and executed, end products delivered, all reported."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esorex_bridge.reuse.record import Product
from esorex_bridge.reuse.resolve import Unresolvable
from esorex_bridge.run.dataset_report import report_dataset, report_unstarted
from esorex_bridge.run.decided import DecidedPlan, Executed
from esorex_bridge.run.engine import Engine, Pairs, resolvable
from esorex_bridge.run.report import DatasetReport, count, count_started
from esorex_bridge.run.reporter import Reporter
from esorex_bridge.store.summaries import RunSummary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from esorex_bridge.reuse.key import StepKey
    from esorex_bridge.run.expected import Expected
    from esorex_bridge.run.explanation import ExplainedStep
    from esorex_bridge.store.step_store import SqliteStore


NO_ESOREX = "EsoRex is not installed (Debian: apt-get install esorex, and cpl-plugin-… for the pipeline)"


def reduce_datasets(
    pairs: Pairs, engine: Engine, reporter: Reporter, started: datetime, jobs: int = 1, dry_run: bool = False
) -> tuple[DatasetReport, ...]:
    """Carry out plans; a step that several datasets need is made once, one that failed stops only what needs it.

    Parameters
    ----------
    pairs : iterable of (Dataset, Plan)
        Each dataset with its plan.
    engine : Engine
        Decides, and makes.
    reporter : Reporter
        Is told what goes on.
    started : datetime
        When the whole run began; names the folder of its end products.
    jobs : int
        How many recipes may run at a time.
    dry_run : bool
        Decide, run nothing and change nothing.

    Raises
    ------
    ParameterError
        If a recipe parameter is wrong. Nothing has run then, for no dataset.
    UserError
        If the policy names a recipe or step that no plan has.
    """
    listed = tuple(pairs)
    if not dry_run:
        engine.prepare(plan for _, plan in listed)
    resolved = engine.resolve(listed)
    plans = tuple(resolvable(resolved))
    engine.refuse_unknown(ahead.plan for ahead in plans)
    decided = engine.decide(plans)
    if dry_run:
        reporter.tell_needs(engine.count_products(decided).needs)
    executed = Executed(expected=foresee(decided, engine.store)) if dry_run else engine.execute(decided, reporter, jobs)
    by_name = {plan.resolved.plan.dataset: plan for plan in decided}
    reports = tuple(
        report_unstarted(ahead.dataset, ahead.plan, "blocked", ahead.reason)
        if isinstance(ahead, Unresolvable)
        else report_dataset(by_name[ahead.plan.dataset], executed)
        for ahead in resolved
    )
    if dry_run:
        return reports
    engine.store.log_run(_summary(reports, started))  # first, so that it is written with what is delivered
    return tuple(
        replace(report, end_products=deliver_targets(by_name[report.dataset], executed, engine, started))
        if report.dataset in by_name
        else report
        for report in reports
    )


def without_esorex(pairs: Pairs) -> tuple[DatasetReport, ...]:
    """Return the reports of plans where EsoRex is not installed."""
    return tuple(report_unstarted(dataset, plan, "no_esorex", NO_ESOREX) for dataset, plan in pairs)


def explain_steps(pairs: Pairs, engine: Engine) -> tuple[ExplainedStep, ...]:
    """Return an account of every step: what it depends on, what is decided and why; nothing runs."""
    from esorex_bridge.run.explanation import explain_step

    plans = tuple(resolvable(engine.resolve(pairs)))
    engine.refuse_unknown(ahead.plan for ahead in plans)
    return tuple(
        explain_step(plan.resolved, decision, found[decision.step.name], engine.store.nearest)
        for plan, found in zip(engine.decide(plans), engine.find(plans), strict=True)
        for decision in plan.decisions
    )


def foresee(decided: Sequence[DecidedPlan], store: SqliteStore) -> dict[StepKey, Expected]:
    """Return what the steps are expected to take that must be made, as far as anything is known."""
    if not any(plan.executes for plan in decided):
        return {}
    from esorex_bridge.run.expected import Expectations, setup_of

    expectations = Expectations(store)
    steps = {
        plan.resolved.keys[decision.step.name]: setup_of(decision.step, plan.resolved)
        for plan in decided
        for decision in plan.executes
        if not decision.step.gaps
    }
    return {key: expected for key, setup in steps.items() if (expected := expectations.of(setup)) is not None}


def deliver_targets(decided: DecidedPlan, executed: Executed, engine: Engine, started: datetime) -> tuple[Product, ...]:
    """Bring the products that a dataset is for into its folder of end products, and return them."""
    from esorex_bridge.run.delivery import EndProducts, deliver

    plan, keys = decided.resolved.plan, decided.resolved.keys
    records = (executed.records.get(keys[step.name]) for step in plan.steps if step.makes_end_products)
    return tuple(
        product
        for record in records
        if record is not None
        for product in deliver(
            EndProducts(plan.dataset, plan.workflow, record), engine.store, engine.workspace, started
        )
    )


def _summary(reports: tuple[DatasetReport, ...], started: datetime) -> RunSummary:
    ran = (datetime.now(started.tzinfo) - started).total_seconds()
    failed = sum(step.outcome in ("failed", "blocked") for report in reports for step in report.steps)
    when = f"{started.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return RunSummary(when, len(reports), count_started(reports), count(reports, "reuse"), failed, round(ran, 3))
