"""`esorex-bridge plan`: the ordered steps of each dataset, or the check of a workflow definition."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from esorex_bridge.cli import options, output
from esorex_bridge.cli.tables import NO_BREAK, Column

if TYPE_CHECKING:
    from esorex_bridge.cli.documents.planning import InputPart, PlanDocument, PlannedStepPart, PlanPart, UnusedPart
    from esorex_bridge.definitions.workflow import Workflow
    from esorex_bridge.esorex.runner import EsoRex
    from esorex_bridge.plan.plan import Plan, Step, StepInput, UnusedFile

_COLUMNS = (Column("step"), Column("inputs", "text"), Column("after", "text", 2), Column("remarks", "text", 1))
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
    from esorex_bridge.cli import arguments
    from esorex_bridge.plan.accounting import summarise
    from esorex_bridge.session import Session

    with Session(arguments.settings(args)) as session:
        planning = session.planning
        if args.check:
            return _check(planning.workflows, session.esorex, args.json)
        plans = [plan for _, plan in planning.plan_datasets(args.datasets)]
        left = planning.find_left_over() if not args.datasets else ()
    if args.json:
        from esorex_bridge.cli.documents.planning import PlanDocument

        by_dataset = PlanDocument(datasets=tuple(map(document, plans)))
        output.emit_json(by_dataset if planning.edps is None else _jobs(plans, left))
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
    return 1 if planning.edps is None and any(plan.incomplete for plan in plans) else 0


def _row(step: Step) -> tuple[str, ...]:
    from esorex_bridge.plan.plan import input_counts

    inputs = ", ".join(each.replace(" ", NO_BREAK) for each in input_counts(step))
    return step.name, inputs, ", ".join(step.needs) or "-", _remarks(step)


def _close(plans: list[Plan], args: argparse.Namespace) -> None:
    """Print how much is planned, and what to do next."""
    from esorex_bridge.cli.next_command import OF_DATASETS, OF_PLANS, follow

    steps = f"{len(plans)} dataset{'s' * (len(plans) != 1)}, {sum(len(plan.steps) for plan in plans)} steps"
    lacking = next((plan for plan in plans if plan.incomplete), None)
    if lacking is not None:
        command = follow(args, "why", lacking.dataset, over=OF_DATASETS)
    else:
        command = follow(args, "run", *args.datasets, over=OF_PLANS)
    output.close(steps, command)


def document(plan: Plan, describe: Callable[[Step], PlannedStepPart] | None = None) -> PlanPart:
    """Return a plan as a document has it."""
    from esorex_bridge.cli.documents.planning import PlanPart

    return PlanPart(
        dataset=plan.dataset,
        workflow=plan.workflow,
        messages=plan.messages,
        steps=tuple(map(describe or _step, plan.steps)),
        not_needed=plan.unused,
        complete=not plan.incomplete,
        incomplete=plan.incomplete,
        not_used=tuple(map(_describe_unused, plan.not_used)),
    )


def _describe_unused(each: UnusedFile) -> UnusedPart:
    from esorex_bridge.cli.documents.planning import UnusedPart

    return UnusedPart(each.file, each.category, each.purpose, each.reason, each.detail)


def _jobs(plans: list[Plan], left: Iterable[UnusedFile]) -> PlanDocument:
    """Return plans of an EDPS package: by dataset, and as jobs, each once, producers first."""
    from esorex_bridge.cli.documents.planning import PlanDocument

    # A job has one name in all plans.
    steps = {step.name: step for plan in plans for step in plan.steps}
    return PlanDocument(
        datasets=tuple(document(plan, _job) for plan in plans),
        steps=tuple(map(_job, steps.values())),
        not_used=tuple(map(_describe_unused, left)),
    )


def _job(step: Step) -> PlannedStepPart:
    from msgspec.structs import replace

    return replace(
        _step(step),
        task=step.actor,
        levels={each.input: each.level for each in step.levels if each.level is not None},
        days={each.input: each.days for each in step.levels if each.days is not None},
        complete=not step.gaps,
        missing=step.gaps,
    )


def _step(step: Step) -> PlannedStepPart:
    from esorex_bridge.cli.documents.planning import AssociationPart, PlannedStepPart

    return PlannedStepPart(
        step=step.name,
        recipe=step.recipe,
        purpose=step.purpose,
        target=step.target,
        setup=dict(step.setup),
        parameters={setting.name: setting.value for setting in step.settings},
        products=step.products,
        gaps=step.gaps,
        warnings=step.warnings,
        inputs=tuple(_input(step, entry) for entry in step.inputs),
        associations=tuple(
            AssociationPart(each.category, each.source, each.days, each.level, each.match, each.certified)
            for each in step.associations
        ),
    )


def _input(step: Step, entry: StepInput) -> InputPart:
    """Return an input as a document has it; a calibration with how well it fits."""
    from msgspec.structs import replace

    from esorex_bridge.cli.documents.planning import InputPart
    from esorex_bridge.plan.plan import FileInput, association_of

    where = (
        InputPart(entry.category, file=entry.file)
        if isinstance(entry, FileInput)
        else InputPart(entry.category, step=entry.step, product=entry.product)
    )
    found = association_of(step, entry)
    if found is None:
        return where
    return replace(where, days=found.days, level=found.level, match=found.match, certified=found.certified)


def _remarks(step: Step) -> str:
    levels = (f"{each.input} of level {each.level} ({each.days:+g} days)" for each in step.levels if each.level)
    return "; ".join((*(f"cannot run: {gap}" for gap in step.gaps), *step.warnings, *levels)) or "-"


def _check(workflows: Sequence[Workflow], esorex: EsoRex | None, as_json: bool) -> int:
    from esorex_bridge.esorex.check import check_workflow

    findings = [finding for workflow in workflows for finding in check_workflow(workflow, esorex)]
    if as_json:
        from esorex_bridge.cli.documents.planning import MistakePart, PlanCheckDocument

        listed = tuple(MistakePart(each.place, each.problem) for each in findings)
        output.emit_json(PlanCheckDocument(findings=listed, checked=len(workflows)))
    for finding in findings:
        output.note(f"{finding.place}: {finding.problem}")
    if not as_json and not findings:
        names = ", ".join(workflow.name for workflow in workflows)
        print(f"no findings: {names}")
    return 1 if findings else 0
