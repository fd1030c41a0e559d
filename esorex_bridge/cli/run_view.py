"""The result of a run as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from esorex_bridge.cli import output
from esorex_bridge.esorex.diagnosis import WARNED
from esorex_bridge.reuse.record import TAKEN_OVER
from esorex_bridge.run.report import DatasetReport, StepReport


def show(reports: Sequence[DatasetReport]) -> None:
    """Print the steps of all datasets, then what a reader should know, then where the products lie."""
    rows = [
        (
            report.dataset,
            step.step,
            step.recipe or "-",
            step.result,
            step.error or step.reason,
            f"{step.seconds:.2f}",
            _categories(step),
        )
        for report in reports
        for step in report.steps
    ]
    output.table(("dataset", "step", "recipe", "result", "why", "seconds", "products"), rows)
    for report in reports:
        for line in remarks(report):
            print(f"{report.dataset}: {line}")
    for report in reports:
        for product in report.end_products:
            print(product.path)


def remarks(report: DatasetReport) -> list[str]:
    """Return what the reader of a dataset's products should know."""
    lines = [line for step in report.steps for line in _warnings(step)]
    if report.requested is not None and report.mode is not None and report.mode != report.requested:
        lines.append(f"{report.requested} was asked for, calSelector executed {report.mode}")
    if not report.complete:
        lines.append("calSelector says that the association is incomplete")
    if not report.certified:
        lines.append("ESO has not certified the association yet; ask again in some days")
    return [*lines, *(f"message: {text}" for text in report.messages)]


def _warnings(step: StepReport) -> Iterator[str]:
    """Yield our own warnings about a step; those of its recipe are counted, because recipes warn of much."""
    said = [text for text in step.warnings if WARNED in text]
    for text in step.warnings:
        if text not in said and text != TAKEN_OVER:
            yield f"warning: {text} ({step.step})"
    if said and step.sof is not None:
        yield f"note: {step.recipe} gave {len(said)} warnings, which --json shows; its log is in {step.sof.parent}"


def _categories(step: StepReport) -> str:
    counts: dict[str, int] = {}
    for product in step.products:
        counts[product.category] = counts.get(product.category, 0) + 1
    return ", ".join(name if number == 1 else f"{number} {name}" for name, number in counts.items()) or "-"
