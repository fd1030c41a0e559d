"""Making steps in this process: what the engine's decisions become, step by step."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import get_ident

from msgspec.structs import replace

from esorex_bridge.esorex.recipe import RecipeRunner
from esorex_bridge.esorex.supervisor import supervisor
from esorex_bridge.plan.sof import Sof
from esorex_bridge.process import load_rest
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import Record
from esorex_bridge.run.capacity import Capacity, limits_of
from esorex_bridge.run.dataset_report import report_executed
from esorex_bridge.run.decided import DecidedPlan, Executed
from esorex_bridge.run.expected import Expectations
from esorex_bridge.run.graph import Node, NodeState
from esorex_bridge.run.in_process import InProcessExecutor
from esorex_bridge.run.reflex_notes import ReflexNotes
from esorex_bridge.run.reporter import Reporter
from esorex_bridge.run.result import StepResult
from esorex_bridge.run.schedule import Schedule, run_to_end
from esorex_bridge.run.step import StepRunner
from esorex_bridge.store.step_store import SqliteStore
from esorex_bridge.workspace.folders import Workspace
from esorex_bridge.workspace.locks import shared

_PATIENCE_S = 0.5
"""Not without end: Python sees no Ctrl-C that came a moment before such a wait."""

_BEGINNING_MS = 10
"""So long at most a step that runs leaves Python to those that are to begin; one may wait for another process."""


def execute(
    runner: RecipeRunner,
    store: SqliteStore,
    workspace: Workspace,
    decided: Sequence[DecidedPlan],
    reporter: Reporter,
    jobs: int,
    memory_mb: int | None = None,
) -> Executed:
    """Make what must be made; as `Engine.execute`."""
    supervisor()  # It starts while the first step is prepared.
    runner = _runner_for(runner, decided)
    execution = _Execution(runner, store, workspace, reporter, decided)
    capacity = Capacity(limits_of(jobs, memory_mb), execution.expectations.of)
    executor = InProcessExecutor(execution.make, runner.stop, jobs, capacity, execution.waits)
    schedule = Schedule(executor, executor.result, execution, expectations=execution.expectations)
    execution.nodes, execution.counts = schedule.graph.nodes, schedule.graph.counts
    with shared(workspace.going_on):
        try:
            for plan in decided:
                schedule.add(plan.resolved, plan.executes)
            run_to_end(schedule, _PATIENCE_S)
        finally:
            executor.close()
            execution.finish()
    return execution.report()


class _Execution:
    """The listener of a schedule in this process: keeps records, and tells the reporter."""

    def __init__(
        self,
        runner: RecipeRunner,
        store: SqliteStore,
        workspace: Workspace,
        reporter: Reporter,
        decided: Sequence[DecidedPlan],
    ) -> None:
        self._for_reflex = ReflexNotes(self._are_steps_left)
        self._step_runner = StepRunner(runner, store, workspace, self._for_reflex.note, self._use_the_wait)
        self._reporter = reporter
        self._notes: dict[StepKey, tuple[str, ...]] = {}
        self.expectations = Expectations(store)
        self._records = {key: record for plan in decided for key, record in plan.records.items()}
        self._results: dict[StepKey, StepResult] = {}
        self.nodes: dict[StepKey, Node] = {}
        self.counts: Counter[NodeState] = Counter()
        self._begun: set[int] = set()
        """The threads whose recipes run."""

    def make(self, key: StepKey) -> tuple[Record, bool]:
        """Make the step of a key; called in threads."""
        node = self.nodes[key]
        try:
            return self._step_runner.make(node.resolved, node.step, self._records, node.decision.how)
        finally:
            self._begun.discard(get_ident())

    def _are_steps_left(self) -> bool:
        """Tell whether steps are still to be handed in."""
        return any(node.state is NodeState.WAITING for node in tuple(self.nodes.values()))

    def _use_the_wait(self, sof: Sof, folder: Path) -> None:
        """Do what can wait while a recipe runs, and of the last ones what is wanted after them."""
        self._begun.add(get_ident())
        self._let_others_begin()
        self._for_reflex.go_on(None if self._are_steps_left() else partial(_prepare_the_end, sof, folder))

    def _let_others_begin(self) -> None:
        """Leave Python to the steps that were handed in with this one, until their recipes run too."""
        for _ in range(_BEGINNING_MS):
            if len(self._begun) >= sum(self.counts[state] for state in (NodeState.SUBMITTED, NodeState.RUNNING)):
                return
            time.sleep(0.001)

    def finish(self) -> None:
        """Wait for the notes, and add to the records what was told of runs since they ended."""
        told = self._for_reflex.finish()
        for key, result in self._results.items() if told else ():
            record = result.record
            more = told.get(Path(record.sof_file).parent, ()) if record is not None else ()
            if record is not None and more:
                self._records[key] = replace(record, warnings=(*record.warnings, *more))
                self._results[key] = replace(result, record=self._records[key])

    def report(self) -> Executed:
        """Return what came of all steps."""
        return Executed(self._records, self.nodes, self._results, self._notes)

    def submitted(self, node: Node) -> None:
        """Pass over that a step is handed in: it begins at once."""

    def begun(self, node: Node) -> None:
        """Report that a recipe is started."""
        number = list(self.nodes).index(node.key) + 1
        expected = self.expectations.of(node.setup) if node.setup is not None else None
        seconds = expected.seconds if expected is not None else None
        self._reporter.started(node.label, number, len(self.nodes), seconds)

    def made(self, node: Node, result: StepResult, record: Record) -> None:
        """Keep the record of a step."""
        self._records[node.key] = record
        self._results[node.key] = result
        self._report(node)

    def failed(self, node: Node, result: StepResult | None) -> None:
        """Keep what came of a step that failed."""
        if result is not None:
            self._results[node.key] = result
        self._report(node)

    def blocked(self, node: Node) -> None:
        """Report a step that cannot be begun."""
        self._report(node)

    def lost(self, node: Node, why: str, again: bool) -> None:
        """Keep that a recipe was killed; it is made again, with the machine for itself."""
        if again:
            self._note(node.key, f"{why.partition('; ')[0]}; it is run again alone")

    def waits(self, key: StepKey, why: str) -> None:
        """Keep that a step waits for memory."""
        self._note(key, f"waits {why}")

    def _note(self, key: StepKey, text: str) -> None:
        known = self._notes.get(key, ())
        if text.partition(":")[0] not in {each.partition(":")[0] for each in known}:
            self._notes[key] = (*known, text)
            self._reporter.told(f"{self.nodes[key].name}: {text}")

    def go_on(self, node: Node) -> bool:
        """Ask the reporter whether to go on after a failure."""
        return self._reporter.go_on(node.step.name, node.error)

    def _report(self, node: Node) -> None:
        self._reporter.finished(report_executed(node.resolved, node.decision, self.report()))


def _prepare_the_end(sof: Sof, folder: Path) -> None:
    """Load what is wanted after the recipes while they run, and read what the note of one wants."""
    for module in ("run.delivery", "run.end_names", "provenance.beside", "reflex.bookkeeping_writer"):
        import_module(f"esorex_bridge.{module}")
    import_module("shutil")  # copies end products
    load_rest()
    from esorex_bridge.reflex.bookkeeping_writer import read_ahead

    read_ahead(sof, folder)


def _runner_for(runner: RecipeRunner, decided: Sequence[DecidedPlan]) -> RecipeRunner:
    """Return what starts the recipes of plans, and the user's own programs where there are any."""
    if not any(decision.step.command for plan in decided for decision in plan.executes):
        return runner
    from esorex_bridge.esorex.user_steps import ProgramRunner

    return ProgramRunner(runner)
