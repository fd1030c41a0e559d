"""From decisions and what came of them to the report of a dataset: the same for a run, a dry run and a reuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.plan.plan import Plan
from esorex_bridge.reuse.decide import Decision, Execute, NotNeeded
from esorex_bridge.reuse.record import Product, Record
from esorex_bridge.reuse.resolve import ResolvedPlan
from esorex_bridge.run.decided import DecidedPlan, Executed
from esorex_bridge.run.report import DatasetReport, DecisionWord, Outcome, StepReport

if TYPE_CHECKING:
    from esorex_bridge.run.graph import Node
    from esorex_bridge.run.result import StepResult


def report_dataset(decided: DecidedPlan, executed: Executed, end_products: tuple[Product, ...] = ()) -> DatasetReport:
    """Return what came of a dataset; of a dry run, what would."""
    resolved = decided.resolved
    steps = tuple(_report(resolved, decision, executed) for decision in decided.decisions)
    return replace(_of_steps(resolved.dataset, resolved.plan, steps), end_products=end_products)


def report_unstarted(dataset: Dataset, plan: Plan, outcome: Outcome, why: str) -> DatasetReport:
    """Return the report of a dataset of which nothing could be started."""
    steps = (_step(plan, Execute(step, why), "execute", outcome, "; ".join((why, *step.gaps))) for step in plan.steps)
    return _of_steps(dataset, plan, tuple(steps))


def report_executed(resolved: ResolvedPlan, decision: Execute, executed: Executed) -> StepReport:
    """Return what came of a step that was to be made; in a dry run, that it is planned."""
    key = resolved.keys[decision.step.name]
    node = executed.nodes.get(key)
    if node is None:
        gaps = decision.step.gaps
        planned = _step(resolved.plan, decision, "execute", "blocked" if gaps else "planned", "; ".join(gaps))
        return replace(planned, expected=executed.expected.get(key))
    result, notes = executed.results.get(key), executed.notes.get(key, ())
    if result is not None and result.record is not None:
        return replace(_report_made(resolved, decision, node, result, result.record), notes=notes)
    outcome: Outcome = "blocked" if node.state.value == "blocked" else "failed"
    return replace(_step(resolved.plan, decision, "execute", outcome, node.error), notes=notes)


def _report(resolved: ResolvedPlan, decision: Decision, executed: Executed) -> StepReport:
    if isinstance(decision, Execute):
        return report_executed(resolved, decision, executed)
    if isinstance(decision, NotNeeded):
        return _step(resolved.plan, decision, "not_needed", "skipped")
    return _with_record(_step(resolved.plan, decision, "reuse", "done"), decision.record)


def _report_made(
    resolved: ResolvedPlan, decision: Execute, node: Node, result: StepResult, record: Record
) -> StepReport:
    if result.outcome == "made" and node.resolved is resolved:
        report = _step(resolved.plan, decision, "execute", "done")
        return replace(_with_record(report, record), seconds=record.seconds, usage=record.usage)
    if result.outcome == "made":
        reason = f"made for {node.resolved.plan.dataset} in this run"
    elif node.decision.how == "reflex":
        reason = f"made {record.made}, reused by Reflex's own rule"
    else:
        reason = "made by another process meanwhile"
    return _with_record(_step(resolved.plan, replace(decision, reason=reason), "reuse", "done"), record)


def _step(plan: Plan, decision: Decision, word: DecisionWord, outcome: Outcome, error: str = "") -> StepReport:
    step = decision.step
    return StepReport(
        plan.dataset,
        step.name,
        step.recipe,
        word,
        decision.reason,
        outcome,
        warnings=step.warnings,
        error=error,
        associations=step.associations,
    )


def _with_record(report: StepReport, record: Record) -> StepReport:
    return replace(report, sof=record.sof, products=record.products, warnings=record.warnings)


def _of_steps(dataset: Dataset, plan: Plan, steps: tuple[StepReport, ...]) -> DatasetReport:
    unused = (
        StepReport(plan.dataset, group.purpose, group.recipe, "not_needed", group.reason, "skipped")
        for group in plan.unused
    )
    return DatasetReport(
        dataset=plan.dataset,
        workflow=plan.workflow,
        steps=(*steps, *unused),
        complete=dataset.complete,
        secondary=dataset.secondary,
        certified=dataset.certified,
        mode=dataset.mode,
        requested=dataset.requested,
        messages=plan.messages,
        unreduced=plan.incomplete,
    )
