"""The ledger of a batch: results go into the store, end products to their place, and what happened into the notes.

Only the driver's process writes here. Workers' results are on disk before the driver hears of them, so that a driver
that was killed loses nothing: the next ledger takes in what lies there.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esorex_bridge.errors import BridgeError, DataError
from esorex_bridge.executors.batch_folder import BatchFolder
from esorex_bridge.reuse.key import Statement, StepKey
from esorex_bridge.reuse.record import Product, Record
from esorex_bridge.reuse.resolve import ResolvedPlan
from esorex_bridge.run.delivery import EndProducts, deliver_all
from esorex_bridge.run.executor import Ticket
from esorex_bridge.run.graph import Node, NodeState
from esorex_bridge.run.result import StepResult
from esorex_bridge.store.step_store import SqliteStore
from esorex_bridge.workspace.folders import Workspace

if TYPE_CHECKING:
    from esorex_bridge.reflex.bookkeeping_records import NotedExecution

_DELIVERED_AT_ONCE = 100
"""So many datasets are delivered in one transaction; until it is written, their locks are held."""

_GATHERED_S = 2.0
"""What comes within this time is delivered together: what several end products were made from is looked up once."""

_DELIVERIES_WAITING = 10
"""Where more transactions wait than these, deliveries are behind."""

_Deliveries = tuple[tuple[Product, ...] | BridgeError | OSError, ...]


class BatchStores(Struct, frozen=True):
    """Where a batch's results go.

    Parameters
    ----------
    folder : BatchFolder
        Of the batch.
    store : SqliteStore
        Of the data root.
    workspace : Workspace
        Where products lie.
    """

    folder: BatchFolder
    store: SqliteStore
    workspace: Workspace


class EarlierRuns(Struct, frozen=True):
    """What earlier runs of a batch left.

    Parameters
    ----------
    runs : int
        How many there were.
    in_flight : mapping of StepKey to (Ticket, int)
        What was handed in and not heard of again, with the number of the attempt.
    begun : frozenset of StepKey
        What of that is known to have begun.
    given_up : mapping of StepKey to (NodeState, str)
        What failed, and what somebody cancelled by the engine's own means, with the reason.
    booked : frozenset of StepKey
        Whose results are in the store.
    """

    runs: int
    in_flight: Mapping[StepKey, tuple[Ticket, int]]
    begun: frozenset[StepKey]
    given_up: Mapping[StepKey, tuple[NodeState, str]]
    booked: frozenset[StepKey]


class _Pending(Struct):
    """A dataset some of whose steps are not settled yet."""

    workflow: str
    keys: frozenset[StepKey]
    targets: dict[StepKey, Record | None]


class Ledger:
    """Keeps the books of one run of a batch.

    Parameters
    ----------
    books : Books
        Where results go.
    started : datetime
        When the run began; names the folder of its end products.
    """

    def __init__(self, books: BatchStores, started: datetime) -> None:
        self._books = books
        self._started = started
        self._noted: list[dict[str, Any]] = []
        self._finished: list[tuple[Record, Statement, str, str]] = []
        self._records: dict[StepKey, Record] = {}
        self._kept: set[StepKey] = set()
        self._packable: list[StepKey] = []
        self._pending: dict[str, _Pending] = {}
        self._awaiting: dict[StepKey, list[str]] = {}
        self._for_reflex: list[Path] = []
        self._deliverable: list[EndProducts] = []
        self._delivering: deque[tuple[list[EndProducts], Future[_Deliveries]]] = deque()
        self._clerk = ThreadPoolExecutor(1, "clerk")
        self._handed_on = time.monotonic()

    def note(self, event: str, **facts: Any) -> None:
        """Take note of something that happened."""
        self._noted.append({"at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", "event": event, **facts})

    def write_notes(self) -> None:
        """Bring the notes to the disk."""
        if self._noted:
            self._books.folder.note("events", *self._noted)
            self._noted = []

    # ----- results

    def keep(self, result: StepResult, place: int | None) -> None:
        """Take in the result of a task that lies at a place; `write` brings it into the store."""
        assert result.record is not None
        self._kept.add(result.key)
        stated = self._books.folder.read_stated(result.key, place)
        if result.key in self._awaiting:  # An end product may be in it.
            self._records[result.key] = result.record
        self._finished.append((result.record, stated.statement, stated.dataset, stated.name))
        if result.verified:
            self._books.store.learn_verified(result.verified)
        self.note_run(result)

    def note_run(self, result: StepResult) -> None:
        """Bring a run, well ended or not, into Reflex's bookkeeping; what the batch makes does not depend on it."""
        if result.folder is not None:
            self._for_reflex.append(result.folder)

    def take_in(self, booked: frozenset[StepKey] = frozenset()) -> None:
        """Take in results that no driver has heard of: one was killed, or left while an engine went on."""
        folder = self._books.folder
        keys = folder.result_keys() - booked - self._kept
        results = [result for key in keys if (result := folder.result(key)) and result.outcome == "made"]
        known = self._books.store.find_all(result.key for result in results)
        places = folder.places_of({result.key for result in results})
        for result in results:
            if not isinstance(known[result.key], Record):
                self.keep(result, places.get(result.key))
            self.note("booked", key=result.key, seconds=result.record.seconds if result.record else 0)

    def let_go(self, keys: Iterable[StepKey]) -> None:
        """Pack results that are recorded and for which no worker waits, with the next `write`."""
        self._packable.extend(keys)

    def write(self) -> None:
        """Record what was made, in one transaction; deliver what was gathered; write the notes."""
        if self._finished:
            self._books.store.record_all(self._finished)
            self._finished = []
        if len(self._deliverable) >= _DELIVERED_AT_ONCE or time.monotonic() - self._handed_on >= _GATHERED_S:
            self._hand_on()
        self._note_deliveries()
        self.write_notes()
        if self._packable:
            self._books.folder.pack_results(self._packable)
            self._packable = []

    def close(self) -> None:
        """Wait for deliveries, and write the last notes."""
        self._hand_on()
        self._clerk.shutdown(wait=True)
        self.write()

    # ----- end products

    def await_dataset(
        self, ahead: ResolvedPlan, open_keys: frozenset[StepKey], there: Mapping[StepKey, Record]
    ) -> None:
        """Deliver a dataset's end products as soon as all these steps are settled."""
        name = ahead.plan.dataset
        targets = [ahead.keys[step.name] for step in ahead.plan.steps if step.makes_end_products]
        records = {key: there.get(key) or self._find_kept(key) for key in targets}
        self._pending[name] = _Pending(ahead.plan.workflow, open_keys, records)
        for key in open_keys:
            self._awaiting.setdefault(key, []).append(name)
        if not open_keys:
            self._deliver(name)

    def _find_kept(self, key: StepKey) -> Record | None:
        """Return what this run made for an earlier dataset."""
        found = self._books.store.find(key) if key in self._kept else None
        return found if isinstance(found, Record) else None

    def settle(self, node: Node) -> None:
        """Take note that nothing more will come of a step."""
        record = self._records.pop(node.key, None)
        for name in self._awaiting.pop(node.key, ()):
            pending = self._pending[name]
            if record is not None and node.key in pending.targets:
                pending.targets[node.key] = record
            pending.keys -= {node.key}
            if not pending.keys:
                self._deliver(name)

    def _deliver(self, name: str) -> None:
        """Have end products brought to their place, with the next `write`."""
        pending = self._pending.pop(name)
        for record in pending.targets.values():
            if record is not None:
                self._deliverable.append(EndProducts(name, pending.workflow, record))

    def _hand_on(self) -> None:
        """Note runs for Reflex, and bring end products to their place; in a thread, because products may be large."""
        self._handed_on = time.monotonic()
        if self._for_reflex:
            self._clerk.submit(_note_in_databases, tuple(self._for_reflex))
            self._for_reflex = []
        books, wanted = self._books, self._deliverable
        for begin in range(0, len(wanted), _DELIVERED_AT_ONCE):
            part = wanted[begin : begin + _DELIVERED_AT_ONCE]
            work = self._clerk.submit(deliver_all, part, books.store, books.workspace, self._started)
            self._delivering.append((part, work))
        self._deliverable = []

    @property
    def is_behind(self) -> bool:
        """Whether so many deliveries wait that no more datasets are to be taken in."""
        return len(self._delivering) > _DELIVERIES_WAITING

    def catch_up(self, patience_s: float) -> None:
        """Wait so long for the next deliveries to end."""
        if self._delivering:
            wait((self._delivering[0][1],), patience_s)
        self._note_deliveries()

    def _note_deliveries(self) -> None:
        while self._delivering and self._delivering[0][1].done():
            wanted, work = self._delivering.popleft()
            for each, found in zip(wanted, _outcomes(work, len(wanted)), strict=True):
                if isinstance(found, Exception):
                    self.note("not delivered", dataset=each.dataset, error=str(found))
                else:
                    self.note("delivered", dataset=each.dataset, paths=[product.file for product in found])


def _outcomes(work: Future[_Deliveries], number: int) -> _Deliveries:
    """Return what came of deliveries; where none could be recorded, the reason for each."""
    try:
        return work.result()
    except (BridgeError, OSError) as error:
        return (error,) * number


def _note_in_databases(folders: Iterable[Path]) -> None:
    """Note runs of recipes in Reflex's bookkeeping, those of a workflow in one transaction."""
    from esorex_bridge.reflex.bookkeeping_db import DATABASE_NAME, add_execution
    from esorex_bridge.reflex.execution_folders import read_folder

    together: dict[Path, list[NotedExecution]] = {}
    for folder in folders:
        with suppress(DataError, OSError):
            if (execution := read_folder(folder)) is not None:
                together.setdefault(folder.parent.parent / DATABASE_NAME, []).append(execution)
    for database, executions in together.items():
        with suppress(DataError):
            add_execution(database, *executions)


def earlier_runs(folder: BatchFolder) -> EarlierRuns:
    """Return what earlier runs of a batch left."""
    runs = 0
    in_flight: dict[StepKey, tuple[Ticket, int]] = {}
    given_up: dict[StepKey, tuple[NodeState, str]] = {}
    begun: set[StepKey] = set()
    booked: set[StepKey] = set()
    for line in folder.read_notes("events"):
        event, key = line.get("event"), StepKey(line.get("key", ""))
        if event == "begun":
            runs = line.get("run", runs)
        elif event == "submitted":
            in_flight[key] = Ticket(line["ticket"]), line["attempt"]
            given_up.pop(key, None)
            begun.discard(key)
        elif event == "running":
            begun.add(key)
        elif event in ("made", "booked"):
            booked.add(key)
            in_flight.pop(key, None)
        elif event in ("failed", "lost", "cancelled"):
            in_flight.pop(key, None)
            if event == "failed" or line.get("final"):
                given_up[key] = NodeState(event), line["error"].partition(" (in an earlier run")[0]
    return EarlierRuns(runs, in_flight, frozenset(begun & in_flight.keys()), given_up, frozenset(booked))
