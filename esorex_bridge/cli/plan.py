"""`esorex-bridge plan`: the ordered steps of each dataset, or the check of a workflow definition."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable
from typing import Any

from esorex_bridge.cli import options, output
from esorex_bridge.cli.tables import NO_BREAK, Column
from esorex_bridge.plan.accounting import summarise
from esorex_bridge.plan.plan import (
    AssociatedInput,
    FileInput,
    Plan,
    Step,
    StepInput,
    UnusedFile,
    association_of,
    input_counts,
)

_COLUMNS = (Column("step"), Column("inputs", "text"), Column("after", "text", 1), Column("remarks", "text", 2))
EXAMPLE = "esorex-bridge plan --root night\n  esorex-bridge plan --check --workflow my_naco.yaml"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("datasets", nargs="*", metavar="DATASET", help="names of datasets (default: all)")
    parser.add_argument(
        "--check",
        action="store_true",
        help="verify the workflow definitions against the installed recipes instead: names, parameters, types, ranges",
    )
    options.planning(parser)
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Print the plans, or what is wrong with the definitions."""
    from esorex_bridge.session import Session

    with Session(options.settings(args)) as session:
        if args.check:
            return _check(session, args.json)
        plans = [plan for _, plan in session.plans(session.datasets(args.datasets))]
        left = session.left_over() if not args.datasets else ()
    if args.json:
        output.emit_json(_jobs(plans, left) if session.edps is not None else {"datasets": list(map(document, plans))})
    for plan in () if args.json else plans:
        output.say(f"{plan.dataset} (workflow {plan.workflow})")
        rows = map(_row, plan.steps)
        output.table(_COLUMNS, rows, indent=2)
        for line in summarise(plan.not_used):
            output.say(f"not used: {line}", 2)
        for group in () if plan.not_used else plan.unused:
            output.say(f"not needed: {group.purpose}: {group.reason}", 2)
        for message in plan.messages:
            output.say(f"message: {message}", 2)
        for text in plan.incomplete:
            output.say(f"incomplete: {text}", 2)
    for line in () if args.json else summarise(left):
        output.say(f"not used: {line}")
    if not args.json:
        _close(plans, args)
    # Jobs of EDPS that lack something are shown as such, and are no failure of planning.
    return 1 if session.edps is None and any(plan.incomplete for plan in plans) else 0


def _row(step: Step) -> tuple[str, ...]:
    inputs = ", ".join(each.replace(" ", NO_BREAK) for each in input_counts(step))
    return step.name, inputs, ", ".join(step.needs) or "-", _remarks(step)


def _close(plans: list[Plan], args: argparse.Namespace) -> None:
    """Print how much is planned, and what to do next."""
    where = f"--root {shlex.quote(str(args.root))}"
    steps = f"{len(plans)} dataset{'s' * (len(plans) != 1)}, {sum(len(plan.steps) for plan in plans)} steps"
    lacking = next((plan for plan in plans if plan.incomplete), None)
    command = f"esorex-bridge why {lacking.dataset} {where}" if lacking else f"esorex-bridge run {where}"
    output.close(steps, command)


def document(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON values."""
    return {
        "dataset": plan.dataset,
        "workflow": plan.workflow,
        "messages": list(plan.messages),
        "steps": [_step(step) for step in plan.steps],
        "not_needed": [
            {"purpose": group.purpose, "recipe": group.recipe, "reason": group.reason} for group in plan.unused
        ],
        "complete": not plan.incomplete,
        "incomplete": list(plan.incomplete),
        "not_used": list(map(_unused, plan.not_used)),
    }


def _unused(each: UnusedFile) -> dict[str, Any]:
    return {
        "file": each.file,
        "category": each.category,
        "purpose": each.purpose,
        "reason": each.reason,
        "detail": each.detail,
    }


def _jobs(plans: list[Plan], left: Iterable[UnusedFile]) -> dict[str, Any]:
    """Return plans of an EDPS package as JSON values: by dataset, and as jobs, each once, producers first."""
    # A job has one name in all plans.
    steps = {step.name: step for plan in plans for step in plan.steps}
    datasets = [{**document(plan), "steps": list(map(_job, plan.steps))} for plan in plans]
    return {"datasets": datasets, "steps": list(map(_job, steps.values())), "not_used": list(map(_unused, left))}


def _job(step: Step) -> dict[str, Any]:
    return {
        **_step(step),
        "task": step.actor,
        "levels": {each.input: each.level for each in step.levels if each.level is not None},
        "days": {each.input: each.days for each in step.levels if each.days is not None},
        "complete": not step.gaps,
        "missing": list(step.gaps),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "step": step.name,
        "recipe": step.recipe,
        "purpose": step.purpose,
        "target": step.target,
        "setup": dict(step.setup),
        "parameters": {setting.name: setting.value for setting in step.settings},
        "products": list(step.products),
        "gaps": list(step.gaps),
        "warnings": list(step.warnings),
        "inputs": [_input(step, entry) for entry in step.inputs],
        "associations": [
            {"category": each.category, "source": each.source, **_quality(each)} for each in step.associations
        ],
    }


def _input(step: Step, entry: StepInput) -> dict[str, Any]:
    """Return an input as JSON values; a calibration with how well it fits."""
    where = (
        {"category": entry.category, "file": entry.file}
        if isinstance(entry, FileInput)
        else {"category": entry.category, "step": entry.step, "product": entry.product}
    )
    found = association_of(step, entry)
    return where if found is None else {**where, **_quality(found)}


def _quality(each: AssociatedInput) -> dict[str, Any]:
    return {"days": each.days, "level": each.level, "match": each.match, "certified": each.certified}


def _remarks(step: Step) -> str:
    levels = (f"{each.input} of level {each.level} ({each.days:+g} days)" for each in step.levels if each.level)
    return "; ".join((*(f"cannot run: {gap}" for gap in step.gaps), *step.warnings, *levels)) or "-"


def _check(session: Any, as_json: bool) -> int:
    from esorex_bridge.esorex.check import check_workflow

    findings = [finding for workflow in session.workflows for finding in check_workflow(workflow, session.esorex)]
    if as_json:
        output.emit_json(
            {
                "findings": [{"place": f.place, "problem": f.problem} for f in findings],
                "checked": len(session.workflows),
            }
        )
    for finding in findings:
        output.note(f"{finding.place}: {finding.problem}")
    if not as_json and not findings:
        names = ", ".join(workflow.name for workflow in session.workflows)
        print(f"no findings: {names}")
    return 1 if findings else 0
