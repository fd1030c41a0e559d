"""The driver: takes datasets as their files come, hands steps to an engine, and hears what came of them."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.batch.dataset_source import Downloaded, Fetching, Item, Planned, Supply, Unplanned
from esorex_bridge.batch.ledger import BatchStores, Ledger, earlier_runs
from esorex_bridge.disk.room import Room
from esorex_bridge.executors.task import task_of
from esorex_bridge.plan.plan import FileInput
from esorex_bridge.reuse.decide import Execute, NotNeeded, Reuse
from esorex_bridge.reuse.key import Statement, StepKey
from esorex_bridge.reuse.record import Record
from esorex_bridge.reuse.resolve import ResolvedPlan, Unresolvable
from esorex_bridge.run.decided import DecidedPlan
from esorex_bridge.run.engine import Engine, resolvable
from esorex_bridge.run.executor import Executor
from esorex_bridge.run.expected import Expectations
from esorex_bridge.run.graph import Graph, Node, NodeState
from esorex_bridge.run.result import StepResult
from esorex_bridge.run.schedule import Schedule
from esorex_bridge.workspace.folders import Workspace
from esorex_bridge.workspace.locks import shared

_PATIENCE_S = 0.25
_LOOK_FOR_DATASETS_S = 0.25
_EXPLAINED_MOST = 200
_ADVICE = " (--keep-going goes on)"
_WORDS = {Execute: "execute", Reuse: "reuse", NotNeeded: "not_needed"}


class Watcher(Protocol):
    """Is told how a batch goes on."""

    def told(self, line: str) -> None:
        """Tell of something that happened."""

    def begun(self, what: str, expected_seconds: float | None) -> None:
        """Tell that a step is being made, and how long it took on earlier occasions."""

    def looked(self, graph: Graph, datasets: int, fetching: Fetching) -> None:
        """Tell how all stands; called a few times a second."""


class BatchOptions(Struct, frozen=True):
    """How a batch is carried out.

    Parameters
    ----------
    esorex : str
        The command that workers run.
    retries : int
        How often a step is tried again whose worker was lost. A recipe that failed is not tried again.
    keep_going : bool
        Whether to go on after a failure with what does not need the failed step.
    retry_failed : bool
        Whether steps that failed in an earlier run of the batch are tried again.
    continues : bool
        Whether an earlier run had the same policy, so that what it made is not forced again.
    detach : bool
        Whether to leave as soon as all is handed in, where the engine goes on by itself.
    most_threads : int
        Processors that one step gets at most.
    """

    esorex: str
    retries: int = 2
    keep_going: bool = False
    retry_failed: bool = False
    continues: bool = False
    detach: bool = False
    most_threads: int = 16


class Driver:
    """Carries a batch out.

    Parameters
    ----------
    books : BatchStores
        Where results go.
    engine : Engine
        Resolves plans and decides about them.
    executor : Executor
        Starts the steps.
    supply : Supply
        Gives the datasets.
    options : BatchOptions
        How.
    watcher : Watcher
        Is told how it goes on.
    room : Room
        Counts what is fetched and made, and refuses what the disks have no room for.
    expectations : Expectations
        What steps are expected to take; learns what they took.
    """

    def __init__(
        self,
        books: BatchStores,
        engine: Engine,
        executor: Executor,
        supply: Supply,
        options: BatchOptions,
        watcher: Watcher,
        room: Room,
        expectations: Expectations,
    ) -> None:
        self._folder = books.folder
        self._store = books.store
        self._engine = engine
        self._executor = executor
        self._supply = supply
        self._options = options
        self._watcher = watcher
        self._footprint = engine.footprint(room)
        rules = options.retries, options.most_threads, _ADVICE
        self._expectations = expectations
        self._schedule = Schedule(executor, books.folder.result, self, *rules, expectations)
        self._graph = self._schedule.graph
        self._ledger = Ledger(books, datetime.now())
        self._earlier = earlier_runs(books.folder)
        self._waiting_for: Counter[StepKey] = Counter()
        self._writable: set[tuple[str, str]] = set()
        self._datasets = self._explained = 0
        self._looked = 0.0

    def run(self) -> str:
        """Go on until all is settled, and return how it ended: `done`, `cancelled`, or `detached`.

        Raises
        ------
        ParameterError
            If a recipe parameter is wrong.
        EngineError
            If the engine refuses.
        """
        self._engine.refuse_unwritable(())
        run = self._earlier.runs + 1
        self._folder.note("datasets", {"run": run})
        self._ledger.note("begun", run=run, host=os.uname().nodename, pid=os.getpid())
        ended = "interrupted"
        try:
            self._ledger.take_in(self._earlier.booked)
            self._note_ended_with_bridge()
            self._ledger.let_go(self._earlier.booked & self._folder.result_keys())
            self._ledger.write()
            with shared(Workspace(self._folder.root).going_on):
                ended = self._loop()
            if self._store.rereading.files:
                self._watcher.told(str(self._store.rereading))
        finally:
            self._close(ended)
        return ended

    def _note_ended_with_bridge(self) -> None:
        """Note what began in an earlier run and ended with the bridge, with no time to tell what came of it."""
        if not self._executor.keeps_order:
            for key in sorted(self._earlier.begun):
                if self._folder.result(key) is None:
                    attempt = self._earlier.in_flight[key][1]
                    self._ledger.note("lost", key=key, attempt=attempt, error="the bridge was stopped")

    def _loop(self) -> str:
        while True:
            self._take()
            if self._folder.stop.exists():
                self._schedule.cancel()
                return "cancelled"
            self._schedule.submit()
            if self._supply.finished and self._graph.settled:
                return "done"
            if self._options.detach and self._executor.keeps_order and self._all_handed_in:
                return "detached"
            self._schedule.hear(0 if self._supply.ready else _PATIENCE_S)
            self._ledger.write()
            self._watcher.looked(self._graph, self._datasets, self._supply.fetching)
            if not self._graph.in_flight and not self._supply.ready and not self._supply.finished:
                time.sleep(_LOOK_FOR_DATASETS_S)

    @property
    def _all_handed_in(self) -> bool:
        return self._supply.finished and not self._graph.counts[NodeState.WAITING]

    def _close(self, ended: str) -> None:
        """Leave all in order, however the loop came to its end."""
        try:
            self._supply.stop()
            self._executor.close()
            self._ledger.take_in(self._earlier.booked)
        finally:
            self._ledger.write()
            self._ledger.close()
            self._ledger.note(ended)
            self._ledger.write_notes()

    # ----- datasets

    def _take(self) -> None:
        now = time.monotonic()
        if not self._supply.ready and now - self._looked < _LOOK_FOR_DATASETS_S:
            return
        if self._ledger.is_behind:  # What waits for its delivery is kept in memory.
            self._ledger.catch_up(_LOOK_FOR_DATASETS_S)
            return
        self._looked = now
        items = self._supply.take()
        for item in items:
            if isinstance(item, Downloaded):
                self._store.learn(item.readings)
                for name, reason in item.missing:
                    self._ledger.note("not fetched", file=name, error=reason)
                    self._watcher.told(f"not fetched: {name}: {reason}")
        lines = [*self._refuse(items), *self._decide_about([item for item in items if isinstance(item, Planned)])]
        if lines:
            self._folder.note("datasets", *lines)

    def _refuse(self, items: Iterable[Item]) -> Iterable[dict[str, Any]]:
        for item in items:
            if isinstance(item, Unplanned):
                self._watcher.told(f"{item.job}: {item.name}: {item.reason}")
                yield {"dataset": item.name, "job": item.job, "problem": item.reason, "outcome": item.outcome}

    def _decide_about(self, planned: list[Planned]) -> Iterable[dict[str, Any]]:
        """Decide about new plans, take in what must be made, and yield their lines for the notes."""
        if not planned:
            return
        resolved = self._engine.resolve((item.dataset, item.plan) for item in planned)
        made = self._earlier.booked if self._options.continues else ()
        plans = self._engine.decide(resolvable(resolved), self._nearest, made)
        self._refuse_without_room(plans)
        decided, unverified = iter(plans), self._find_unverified(plans)
        for item, ahead in zip(planned, resolved, strict=True):
            self._datasets += 1
            if isinstance(ahead, Unresolvable):
                yield {"dataset": item.plan.dataset, "job": item.job, "problem": ahead.reason}
                continue
            plan = next(decided)
            self._take_in(plan, unverified)
            yield _dataset_line(item, plan)

    def _refuse_without_room(self, plans: Iterable[DecidedPlan]) -> None:
        """Refuse to begin what the disks have no room for; what was made before counts in it."""
        for plan in plans:
            self._footprint.add(plan)
        self._footprint.room.refuse()

    def _nearest(self, statement: Statement) -> Statement | None:
        """Return what a step is compared with to say why it runs.

        Looking for it costs more than the rest of planning, so only the first steps of a batch are explained in full.
        """
        self._explained += 1
        return self._store.nearest(statement) if self._explained <= _EXPLAINED_MOST else None

    def _find_unverified(self, plans: Iterable[DecidedPlan]) -> frozenset[str]:
        """Return the files of steps to be made that nobody has held against their own checksums."""
        inputs = (entry for plan in plans for decision in plan.executes for entry in decision.step.inputs)
        return self._store.find_unverified(entry.file for entry in inputs if isinstance(entry, FileInput))

    def _take_in(self, plan: DecidedPlan, unverified: frozenset[str]) -> None:
        runs = {(plan.resolved.plan.workflow, decision.step.actor) for decision in plan.executes}
        if not runs <= self._writable:
            self._engine.refuse_unwritable((plan,))
            self._writable |= runs
        ahead, there = plan.resolved, plan.records
        new = self._schedule.add(ahead, plan.executes)
        self._write_tasks(ahead, new, there, unverified)
        keys = (ahead.keys[decision.step.name] for decision in plan.executes)
        open_keys = frozenset(key for key in keys if not self._graph.nodes[key].state.settled)
        self._ledger.await_dataset(ahead, open_keys, there)
        for node in new:
            if node.state is NodeState.WAITING:
                self._take_up(node)
            node.work = None  # It is written down, and there are many.

    def _write_tasks(
        self, ahead: ResolvedPlan, nodes: Iterable[Node], there: Mapping[StepKey, Record], unverified: frozenset[str]
    ) -> None:
        """Write down what a worker has to know: the tasks, and the records of what is there already."""
        runnable = [node for node in nodes if node.state is NodeState.WAITING]
        for node in runnable:
            decision = replace(node.decision, step=replace(node.step, threads=self._schedule.threads(node)))
            node.place = self._folder.write_task(task_of(ahead, decision, self._options.esorex, unverified))
            for _, need in node.needs:
                self._waiting_for[need] += 1
                if need in there and self._waiting_for[need] == 1 and self._folder.result(need) is None:
                    self._folder.write_result(StepResult(need, 0, "found", there[need]))

    def _take_up(self, node: Node) -> None:
        """Take up what an earlier run left: a job that goes on, or a failure that is not to be tried anew."""
        if node.key in self._earlier.in_flight and self._executor.keeps_order:
            ticket, attempt = self._earlier.in_flight[node.key]
            self._schedule.adopt(node, ticket, attempt)
        elif node.key in self._earlier.given_up and not self._options.retry_failed:
            state, error = self._earlier.given_up[node.key]
            self._schedule.mark_failed(node, state, f"{error} (in an earlier run; 'batch retry' tries it again)")
        else:
            self._folder.forget_result(node.key)

    # ----- what happens to steps

    def submitted(self, node: Node) -> None:
        """Note that an executor has a step; what goes on without us must be known to the next run."""
        self._ledger.note("submitted", key=node.key, attempt=node.attempt, ticket=node.ticket)
        if self._executor.keeps_order:
            self._ledger.write_notes()

    def begun(self, node: Node) -> None:
        """Note that a step is being made."""
        self._ledger.note("running", key=node.key)
        expected = self._expectations.of(node.setup) if node.setup is not None else None
        attempt = f" (attempt {node.attempt})" if node.attempt > 1 else ""
        self._watcher.begun(node.label + attempt, expected.seconds if expected is not None else None)

    def made(self, node: Node, result: StepResult, record: Record) -> None:
        """Record a step."""
        self._ledger.keep(result, node.place)
        self._settle(node)
        usage, facts = record.usage, {"outcome": result.outcome, "seconds": record.seconds}
        if usage is not None:
            facts |= {"processor_seconds": usage.processor_seconds, "memory_bytes": usage.memory_bytes}
        self._ledger.note("made", key=node.key, **facts, whole=round(result.seconds, 4))
        self._watcher.told(f"made: {node.label}: {len(record.products)} products in {record.seconds:.2f} s")

    def failed(self, node: Node, result: StepResult | None) -> None:
        """Note that a step failed or was cancelled."""
        if result is not None:
            self._ledger.note_run(result)
        # What is cancelled with the batch goes on with it; what somebody cancelled alone stays cancelled.
        final = {"final": True} if node.state is NodeState.CANCELLED and not self._folder.stop.exists() else {}
        self._ledger.note(node.state.value, key=node.key, error=node.error, **final)
        self._settle(node)
        if node.attempt or node.state is NodeState.FAILED:
            self._watcher.told(f"{node.state.value}: {node.label}: {node.error}")

    def blocked(self, node: Node) -> None:
        """Note that a step will not be begun."""
        self._ledger.note("blocked", key=node.key, error=node.error)
        self._settle(node)

    def _settle(self, node: Node) -> None:
        """Let go what only this step waited for, and its own result where no step waits for it."""
        self._ledger.settle(node)
        if node.place is not None:
            for _, need in node.needs:
                self._waiting_for[need] -= 1
        self._ledger.let_go(filter(self._is_free, (node.key, *(need for _, need in node.needs))))

    def _is_free(self, key: StepKey) -> bool:
        node = self._graph.nodes.get(key)
        return not self._waiting_for[key] and (node is None or node.state.settled)

    def lost(self, node: Node, why: str, again: bool) -> None:
        """Note that a worker was lost."""
        self._ledger.note("lost", key=node.key, attempt=node.attempt, error=why)
        if again:
            self._watcher.told(f"lost: {node.label}: {why}; it is tried again")

    def go_on(self, node: Node) -> bool:
        """Tell whether to go on after a failure with what does not need the failed step."""
        return self._options.keep_going


def _dataset_line(item: Planned, plan: DecidedPlan) -> dict[str, Any]:
    dataset = item.dataset
    return {
        "dataset": item.plan.dataset,
        "job": item.job,
        "workflow": item.plan.workflow,
        "complete": dataset.complete,
        "secondary": dataset.secondary,
        "certified": dataset.certified,
        "mode": dataset.mode,
        "requested": dataset.requested,
        "messages": item.plan.messages,
        "steps": [
            {
                "step": decision.step.name,
                "recipe": decision.step.recipe,
                "key": plan.resolved.keys[decision.step.name],
                "decision": _WORDS[type(decision)],
                "reason": decision.reason,
                "gaps": decision.step.gaps,
                "warnings": decision.step.warnings,
            }
            for decision in plan.decisions
        ],
    }
