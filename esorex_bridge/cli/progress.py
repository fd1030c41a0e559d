"""Progress of a run as plain lines on stderr, and its result as tables."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal

from esorex_bridge.cli import output
from esorex_bridge.esorex.diagnosis import WARNED
from esorex_bridge.reuse.record import TAKEN_OVER
from esorex_bridge.run.report import DatasetReport, StepReport

if TYPE_CHECKING:
    from esorex_bridge.archive.calselector import AssociationReply
    from esorex_bridge.archive.report import Progress as Transfer
    from esorex_bridge.store.file_digests import Rereading

FailureMode = Literal["Continue", "Stop", "Ask"]
FAILURE_MODES: tuple[FailureMode, ...] = ("Continue", "Stop", "Ask")
"""Reflex's words for what to do after a recipe failed."""

_DONE = {"execute": "ran", "reuse": "reused", "not_needed": "not needed"}


class Progress:
    """Tells on stderr which recipe runs, and how each step ended; knows what to do after a failure.

    Parameters
    ----------
    failure_mode : {'Continue', 'Stop', 'Ask'}
        Reflex's Recipe Failure Mode. `Ask` asks on the terminal; where there is none it acts as `Stop`.
    """

    def __init__(self, failure_mode: FailureMode = "Continue") -> None:
        self._failure_mode = failure_mode

    def started(self, what: str, number: int, of: int, expected_seconds: float | None) -> None:
        """Tell that a recipe was started."""
        about = f" (about {expected_seconds:.1f} s)" if expected_seconds is not None else ""
        output.note(f"[{number}/{of}] {what} …{about}")

    def finished(self, report: StepReport) -> None:
        """Tell how a step ended."""
        if report.outcome == "done" and report.decision == "execute":
            output.note(f"      {report.step}: {len(report.products)} products in {report.seconds:.2f} s")
        elif report.outcome in ("failed", "blocked"):
            output.note(f"      {report.step}: {report.outcome}: {report.error}")

    def go_on(self, step: str, error: str) -> bool:
        """Tell whether to go on with what does not need a step that failed."""
        if self._failure_mode != "Ask" or not sys.stdin.isatty():
            return self._failure_mode == "Continue"
        sys.stderr.write(f"{step} failed. Go on with what does not need it? [Y/n] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("", "y", "yes")


class FetchProgress:
    """Tells on stderr what was found, what calSelector answered, and how the downloads go on."""

    def found(self, rows: Sequence[object]) -> None:
        """Tell how many frames the query found."""
        output.note(f"query: {len(rows)} science frames")

    def associating(self, replies: Sequence[AssociationReply], frames: int, of: int) -> None:
        """Tell how many frames have their answer, and what should be known before trusting what came just now."""
        from esorex_bridge.archive.download_list import remarks

        if frames < of:
            output.note(f"calSelector: {frames} of {of} frames")
        for reply in replies:
            for remark in remarks(reply):
                output.note(f"  {remark}")

    def associated(self, replies: Sequence[AssociationReply], files: Sequence[str]) -> None:
        """Tell what calSelector answered."""
        trees = sum(reply.tree is not None for reply in replies)
        output.note(f"calSelector: {trees} association tree{'s' * (trees != 1)}, naming {len(files)} files")

    def fetching(self, files: int) -> AbstractContextManager[Transfer]:
        """Give what downloads tell their progress to."""
        from esorex_bridge.cli.transfer_progress import watching

        return watching(files)


def report_rereading(reread: Rereading) -> None:
    """Report on stderr how much had to be read again only because it looked other than before."""
    if reread.files:
        files = "1 file was" if reread.files == 1 else f"{reread.files} files were"
        size, seconds = f"{reread.size_bytes / 1e6:.1f} MB", f"{reread.seconds:.1f} s"
        output.note(f"{files} read again ({size}, {seconds}), because their time stamps had changed")


def show(reports: Sequence[DatasetReport]) -> None:
    """Print the steps of all datasets, then what a reader should know, then where the products lie."""
    rows = [
        (
            report.dataset,
            step.step,
            step.recipe or "-",
            word(step),
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


def word(step: StepReport) -> str:
    """Return in a word or two what came of a step."""
    return _DONE[step.decision] if step.outcome in ("done", "skipped") else step.outcome.replace("_", " ")


def _categories(step: StepReport) -> str:
    counts: dict[str, int] = {}
    for product in step.products:
        counts[product.category] = counts.get(product.category, 0) + 1
    return ", ".join(name if number == 1 else f"{number} {name}" for name, number in counts.items()) or "-"
