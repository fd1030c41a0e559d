"""How a batch shows itself: live on a terminal, plain lines in a log, and its report as tables."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.cli import output
from esorex_bridge.cli.tables import Column

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from esorex_bridge.batch.dataset_source import Fetching
    from esorex_bridge.batch.driver import Watcher
    from esorex_bridge.batch.report import BatchReport, RecipeTime
    from esorex_bridge.batch.start import BatchRequest
    from esorex_bridge.progress.live import RunningStep
    from esorex_bridge.run.graph import Graph

_COLUMNS = (
    Column("dataset"),
    Column("outcome", "state"),
    Column("made", "number"),
    Column("reused", "number"),
    Column("why", "text"),
)
_EVERY_S = 0.5
_RUNNING_SHOWN = 12
_LABEL_WIDTH = 11
"""Of the first column of what changes, with the space after it."""

_REASONS_SHOWN = 3


class PlainView:
    """One line on stderr for everything that happens."""

    def told(self, line: str) -> None:
        """Tell of something that happened."""
        output.note(f"{time.strftime('%H:%M:%SZ', time.gmtime())} {line}")

    def begun(self, what: str, expected_seconds: float | None) -> None:
        """Tell that a step is being made."""
        about = f" (about {expected_seconds:.1f} s)" if expected_seconds is not None else ""
        self.told(f"begun: {what}{about}")

    def looked(self, graph: Graph, datasets: int, fetching: Fetching) -> None:
        """Say nothing: a log has the lines of what happened."""


class LiveView:
    """A few lines that change: counts, downloads, what runs and for how long; what went wrong stays above them.

    Parameters
    ----------
    live : Live
        Rich's display.
    bookkeeping : Path
        Where the folders of runs are.
    """

    def __init__(self, live: Live, bookkeeping: Path) -> None:
        self._live = live
        self._bookkeeping = bookkeeping
        self._began = time.monotonic()
        self._drawn = 0.0
        self._running: dict[str, RunningStep] = {}

    def told(self, line: str) -> None:
        """Tell of something that went wrong; the rest shows in the counts."""
        if not line.startswith("made: "):
            self._live.console.print(line, markup=False, highlight=False)

    def begun(self, what: str, expected_seconds: float | None) -> None:
        """Keep since when a step runs, and how long it took before."""
        from esorex_bridge.progress.live import RunningStep

        self._running[what] = RunningStep(what, time.monotonic(), expected_seconds)

    def looked(self, graph: Graph, datasets: int, fetching: Fetching) -> None:
        """Draw how all stands."""
        now = time.monotonic()
        if now - self._drawn >= _EVERY_S:
            self._drawn = now
            self._live.update(self._draw(graph, datasets, fetching, now), refresh=True)

    def _draw(self, graph: Graph, datasets: int, fetching: Fetching, now: float) -> Table:
        from rich.text import Text

        from esorex_bridge.progress.live import describe_running
        from esorex_bridge.run.graph import NodeState

        table = _count_in_rows(graph, datasets, fetching)
        table.add_row("elapsed", str(timedelta(seconds=int(now - self._began))))
        labels = {node.label for node in graph.in_flight if node.state is NodeState.RUNNING}
        running = [each for what, each in self._running.items() if what.partition(" (attempt")[0] in labels]
        self._running = {each.step: each for each in running}
        for each in running[:_RUNNING_SHOWN]:
            said = describe_running((each,), now, self._find_message, output.width() - _LABEL_WIDTH)
            table.add_row("running", Text(said))
        return table

    def _find_message(self, what: str) -> str:
        """Return the last message of the one step that runs; of several nobody knows whose it would be."""
        from esorex_bridge.progress.live import last_message

        try:
            return last_message(self._bookkeeping, what.partition(" of ")[0]) if len(self._running) == 1 else ""
        except OSError:
            return ""  # its folder was just moved


def _count_in_rows(graph: Graph, datasets: int, fetching: Fetching) -> Table:
    from rich.table import Table

    from esorex_bridge.run.graph import NodeState

    table = Table.grid(padding=(0, 2))
    counts = ", ".join(f"{graph.counts[state]} {state.value}" for state in NodeState if graph.counts[state])
    table.add_row("datasets", str(datasets))
    table.add_row("steps", counts or "none yet")
    if fetching.files:
        megabytes = fetching.size_bytes / 1e6
        table.add_row("files", f"{fetching.ended} of {fetching.files}, {megabytes:.1f} MB")
    return table


@contextmanager
def watching(bookkeeping: Path) -> Iterator[Watcher]:
    """Give what a batch tells its progress to: live on a terminal, plain lines otherwise."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield PlainView()
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        yield LiveView(live, bookkeeping)


def show(report: BatchReport, commands: Sequence[str], whole: bool = True) -> None:
    """Print a report: a line a dataset that is not simply done, recipes, sums, and what to do next."""
    output.say(f"batch {report.name}: {report.state} (run {report.run}, begun {report.began[:19]} UT)")
    if whole:
        rows = [(each.dataset, each.outcome, each.made, each.reused, _why(each.reasons)) for each in report.datasets]
        output.table(_COLUMNS, rows)
        times = [(each.recipe, each.runs, f"{each.seconds:.2f}", f"{each.longest:.2f}", *_took(each))
                 for each in report.recipes]  # fmt: skip
        if times:
            output.table(("recipe", "runs", "seconds", "longest", "processors", "MB"), times)
    for name, reason in report.unfetched if whole else ():
        output.say(f"not fetched: {name}: {reason}")
    outcomes = Counter(dataset.outcome for dataset in report.datasets)
    said = ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
    plural = "s" * (len(report.datasets) != 1)
    print(f"{len(report.datasets)} dataset{plural}: {said or 'none yet'}")
    steps = ", ".join(f"{number} {state}" for state, number in sorted(report.steps.items()) if number)
    lost = f"; {report.lost} attempts lost" if report.lost else ""
    output.say(f"steps: {steps or 'none'}{lost}; products of this run: {report.disk_bytes / 1e6:.1f} MB")
    for advice, command in zip(report.next, commands, strict=True):
        output.close(advice.why, command)


def next_commands(report: BatchReport, asked: BatchRequest, args: argparse.Namespace) -> tuple[str, ...]:
    """Return the commands to type now, about the data and the workflow that the batch was begun with."""
    from esorex_bridge.cli.next_command import OF_DATASETS, follow

    settings = asked.settings
    about = argparse.Namespace(
        root=args.root,
        given_archive=args.given_archive,
        by=settings.by,
        oca=settings.oca,
        workflow=settings.workflow,
        breakpoints=settings.breakpoints,
        data=list(settings.data),
        mode="master" if settings.mode == "Raw2Master" else "raw",
    )
    over = {"why": OF_DATASETS, "report": (*OF_DATASETS, "mode")}
    return tuple(follow(about, each.verb, *each.words, over=over.get(each.verb, ())) for each in report.next)


def _took(each: RecipeTime) -> tuple[str, str]:
    """Return how many processors a recipe kept busy, and the most memory that a run of it took."""
    busy = f"{each.processor_seconds / each.seconds:.1f}" if each.processor_seconds and each.seconds else ""
    return busy, f"{each.memory_bytes / 2**20:.0f}" if each.memory_bytes else ""


def _why(reasons: tuple[str, ...]) -> str:
    left = len(reasons) - _REASONS_SHOWN
    return "; ".join(reasons[:_REASONS_SHOWN]) + (f"; and {left} more" if left > 0 else "")
