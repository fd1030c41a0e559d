"""How a batch shows itself: live on a terminal, plain lines in a log, and its report as tables."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from esorex_bridge.cli import output
from esorex_bridge.cli.tables import Column

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from esorex_bridge.batch.dataset_source import Fetching
    from esorex_bridge.batch.driver import Watcher
    from esorex_bridge.batch.report import BatchReport, RecipeTime
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
_REASONS_SHOWN = 3


class PlainView:
    """One line on stderr for everything that happens."""

    def told(self, line: str) -> None:
        """Tell of something that happened."""
        output.note(f"{time.strftime('%H:%M:%SZ', time.gmtime())} {line}")

    def looked(self, graph: Graph, datasets: int, fetching: Fetching) -> None:
        """Say nothing: a log has the lines of what happened."""


class LiveView:
    """A few lines that change: counts, downloads, and what runs; what went wrong stays above them.

    Parameters
    ----------
    live : Live
        Rich's display.
    """

    def __init__(self, live: Live) -> None:
        self._live = live
        self._drawn = 0.0

    def told(self, line: str) -> None:
        """Tell of something that went wrong; the rest shows in the counts."""
        if not line.startswith(("begun: ", "made: ")):
            self._live.console.print(line, markup=False, highlight=False)

    def looked(self, graph: Graph, datasets: int, fetching: Fetching) -> None:
        """Draw how all stands."""
        now = time.monotonic()
        if now - self._drawn >= _EVERY_S:
            self._drawn = now
            self._live.update(_drawing(graph, datasets, fetching), refresh=True)


def _drawing(graph: Graph, datasets: int, fetching: Fetching) -> Table:
    from rich.table import Table
    from rich.text import Text

    from esorex_bridge.run.graph import NodeState

    table = Table.grid(padding=(0, 2))
    counts = ", ".join(f"{graph.counts[state]} {state.value}" for state in NodeState if graph.counts[state])
    table.add_row("datasets", str(datasets))
    table.add_row("steps", counts or "none yet")
    if fetching.files:
        megabytes = fetching.size_bytes / 1e6
        table.add_row("files", f"{fetching.ended} of {fetching.files}, {megabytes:.1f} MB")
    running = [node for node in graph.in_flight if node.state is NodeState.RUNNING]
    for node in running[:_RUNNING_SHOWN]:
        table.add_row("running", Text(node.label))
    return table


@contextmanager
def watching() -> Iterator[Watcher]:
    """Give what a batch tells its progress to: live on a terminal, plain lines otherwise."""
    if not sys.stderr.isatty():
        yield PlainView()
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        yield LiveView(live)


def show(report: BatchReport, whole: bool = True) -> None:
    """Print a report: a line a dataset that is not simply done, recipes, sums, and what to do next."""
    print(f"batch {report.name}: {report.state} (run {report.run}, begun {report.began[:19]} UT)")
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
    for line in report.next:
        output.say(f"next: {line}")


def _took(each: RecipeTime) -> tuple[str, str]:
    """Return how many processors a recipe kept busy, and the most memory that a run of it took."""
    busy = f"{each.processor_seconds / each.seconds:.1f}" if each.processor_seconds and each.seconds else ""
    return busy, f"{each.memory_bytes / 2**20:.0f}" if each.memory_bytes else ""


def _why(reasons: tuple[str, ...]) -> str:
    left = len(reasons) - _REASONS_SHOWN
    return "; ".join(reasons[:_REASONS_SHOWN]) + (f"; and {left} more" if left > 0 else "")
