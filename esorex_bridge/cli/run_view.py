"""The result of a run on a terminal: a heading a dataset, a line a step, then what to know and what to do next."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.cli import output
from esorex_bridge.esorex.diagnosis import WARNED
from esorex_bridge.reuse.record import TAKEN_OVER
from esorex_bridge.run.report import DatasetReport, StepReport, summarise_steps

if TYPE_CHECKING:
    from esorex_bridge.disk.room import DiskNeed


def show(reports: Sequence[DatasetReport], args: argparse.Namespace, needs: Sequence[DiskNeed] = ()) -> None:
    """Print the steps of all datasets, what a reader should know, where the products lie, and one closing line.

    Of a dry run, what would come onto disks is printed as well.
    """
    for report in reports:
        _show_dataset(report)
    _show_places(reports)
    if args.dry_run:
        output.show_needs(needs)
    output.close(summarise_steps(reports) + _sum_expected(reports), next_command(reports, args))


def next_command(reports: Sequence[DatasetReport], args: argparse.Namespace) -> str:
    """Return the command to type now: what explains the first failure, or what shows the products."""
    from esorex_bridge.cli.next_command import OF_DATASETS, OF_PLANS, follow, type_again

    steps = [step for report in reports for step in report.steps]
    if failed := next((step for step in steps if step.outcome == "failed"), None):
        return follow(args, "log", failed.step)
    if lacking := next((report for report in reports if report.failed), None):
        return follow(args, "why", lacking.dataset, over=OF_DATASETS)
    if any(step.outcome == "no_esorex" for step in steps):
        return follow(args, "doctor")
    if args.dry_run and (not reports or any(step.outcome == "planned" for step in steps)):
        return type_again(args, "--dry-run")
    return follow(args, "report", over=OF_PLANS)


def _show_dataset(report: DatasetReport) -> None:
    from esorex_bridge.cli.tables import Column

    output.say(f"{report.dataset} (workflow {report.workflow})")
    steps = [step for step in report.steps if step.decision != "not_needed" or step.recipe]
    columns = (
        Column("step"),
        Column("result", "state"),
        Column("seconds", "number"),
        Column("products", "text"),
        Column("why", "text"),
    )
    rows = [(step.step, step.result, _seconds(step), _categories(step), _why(step)) for step in steps]
    output.table(columns, rows, indent=2)
    for step in report.steps:
        if step not in steps:
            output.say(f"not needed: {step.step}: {step.reason}", 2)
    for line in remarks(report):
        output.say(line, 2)


def _seconds(step: StepReport) -> str:
    """Return how long a step took; of a dry run, how long it is expected to take."""
    if step.expected is not None and step.expected.seconds is not None:
        return f"~{step.expected.seconds:.2f}"
    return f"{step.seconds:.2f}"


def _sum_expected(reports: Sequence[DatasetReport]) -> str:
    """Return in words what the steps of a dry run are expected to take; empty where nothing is known."""
    found = [step.expected for report in reports for step in report.steps if step.expected is not None]
    if not found:
        return ""
    seconds = sum(each.seconds or 0 for each in found)
    planned = sum(step.outcome == "planned" for report in reports for step in report.steps)
    some = "" if len(found) == planned else f" of {len(found)} of them"
    return f"; expected{some}: {seconds:.1f} s of recipes, at most {max(each.memory_mb for each in found)} MB in one"


def _show_places(reports: Sequence[DatasetReport]) -> None:
    """Print where end products lie: the folder of the run once, then what is in it."""
    folders: dict[Path, list[str]] = {}
    for report in reports:
        for product in report.end_products:
            folder = product.path.parent.parent
            folders.setdefault(folder, []).append(str(product.path.relative_to(folder)))
    for folder, names in folders.items():
        output.say(f"end products in {_short(folder)}")
        for name in names:
            output.say(name, 2)


def _short(path: Path) -> str:
    """Return a path from here where it lies below, else as it is."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _why(step: StepReport) -> str:
    """Return why a step ended so; where its log lies, `log` says."""
    return step.error.partition("; log: ")[0] or step.reason


def remarks(report: DatasetReport) -> list[str]:
    """Return what the reader of a dataset's products should know."""
    lines = [f"note: {step.step} {text}" for step in report.steps for text in step.notes]
    lines += [line for step in report.steps for line in _warnings(step)]
    lines += _counts_of_warnings(report.steps)
    if report.requested is not None and report.mode is not None and report.mode != report.requested:
        lines.append(f"{report.requested} was asked for, calSelector executed {report.mode}")
    if report.secondary:
        lines.append("the association is incomplete, but in nothing that a recipe needs")
    elif not report.complete:
        lines.append("calSelector says that the association is incomplete")
    if not report.certified:
        lines.append("ESO has not certified the association yet; ask again in some days")
    return [*lines, *(f"message: {text}" for text in report.messages)]


def _warnings(step: StepReport) -> Iterator[str]:
    """Yield our own warnings about a step; those of its recipe are counted, because recipes warn of much."""
    for text in step.warnings:
        if WARNED not in text and text != TAKEN_OVER:
            yield f"warning: {text} ({step.step})"


def _counts_of_warnings(steps: Sequence[StepReport]) -> list[str]:
    """Return one line that says how many warnings each recipe gave, and what shows them; none where none did."""
    counts = {step.step: sum(WARNED in text for text in step.warnings) for step in steps if step.sof is not None}
    told = ", ".join(f"{name} {number}" for name, number in counts.items() if number)
    return [f"warnings of recipes: {told} ('esorex-bridge log STEP' shows them)"] if told else []


def _categories(step: StepReport) -> str:
    counts: dict[str, int] = {}
    for product in step.products:
        counts[product.category] = counts.get(product.category, 0) + 1
    return ", ".join(name if number == 1 else f"{number} {name}" for name, number in counts.items()) or "-"
