"""What the store tells of its past: whole runs, recipes, and what Reflex made."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import astuple

from esorex_bridge.esorex.recipe import Usage
from esorex_bridge.reuse.key import Statement, StepKey, read_statement
from esorex_bridge.reuse.record import ADOPTED, Record
from esorex_bridge.store.database import Database

KEPT_RUNS = 50
"""Of so many runs of a recipe it is kept what they took, the latest."""

RunEnd = Literal["done", "failed", "killed"]
"""done; failed; killed, as the system does it where memory is short."""

USED = "processor_seconds, memory_bytes, input_bytes"
"""The columns that hold what a run took, null where that was not measured."""

_INSERT_RUN = f"INSERT INTO usages (recipe, pipeline, seconds, ended, {USED}) VALUES (?, ?, ?, ?, ?, ?, ?)"
_FORGET_RUNS = (
    "DELETE FROM usages WHERE recipe = ?1 AND pipeline = ?2 AND rowid <= (SELECT rowid FROM usages "
    f"WHERE recipe = ?1 AND pipeline = ?2 ORDER BY rowid DESC LIMIT 1 OFFSET {KEPT_RUNS})"
)


class RunSummary(Struct, frozen=True):
    """What a whole run came to: when it began (ISO 8601, UTC), how many datasets and steps, how long it took."""

    started: str
    datasets: int
    executed: int
    reused: int
    failed: int
    seconds: float


class RecipeSummary(Struct, frozen=True):
    """What is recorded of a recipe: number of steps, time in all, last time made, size of the products."""

    recipe: str
    steps: int
    seconds: float
    last_made: str
    size_bytes: int


class AdoptedStep(Struct, frozen=True):
    """A step that Reflex made: recipe, Reflex's name of the execution, when (ISO 8601), and the SOF that it ran."""

    recipe: str
    step: str
    made: str
    sof: Path


class History(Database):
    """The part of the store that tells of its past."""

    def log_run(self, run: RunSummary) -> None:
        """Remember what a whole run came to."""
        self._remember("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)", [astuple(run)])

    def runs(self) -> tuple[RunSummary, ...]:
        """Return what earlier runs came to, the latest last."""
        return tuple(RunSummary(*row) for row in self._all("SELECT * FROM runs ORDER BY started", ()))

    def recipes_made(self) -> tuple[RecipeSummary, ...]:
        """Return how often each recipe is recorded, how long it took in all, and how much its products hold."""
        rows = self._all(
            "SELECT recipe, count(*), sum(seconds), max(made),"
            " (SELECT sum(size_bytes) FROM products JOIN steps AS s USING (key) WHERE s.recipe = steps.recipe)"
            " FROM steps GROUP BY recipe ORDER BY recipe",
            (),
        )
        return tuple(RecipeSummary(*row) for row in rows)

    def measured_runs(self, recipe: str, pipeline: str) -> list[tuple[float, RunEnd, Usage]]:
        """Return how long the latest runs of a recipe of a pipeline took, how they ended, and what they took."""
        query = f"SELECT seconds, ended, {USED} FROM usages WHERE recipe = ? AND pipeline = ? ORDER BY rowid"
        return [(seconds, ended, Usage(*used)) for seconds, ended, *used in self._all(query, (recipe, pipeline))]

    def learn_failed_run(self, recipe: str, pipeline: str, seconds: float, ended: RunEnd, usage: Usage) -> None:
        """Remember what a run took of which there is no record."""
        self._remember(_INSERT_RUN, [(recipe, pipeline, seconds, ended, *astuple(usage))])
        self._remember(_FORGET_RUNS, [(recipe, pipeline)])

    def _learn_recorded_runs(self, made: Iterable[tuple[Record, Statement]]) -> None:
        """Remember what recorded runs took, within a transaction: their records may be removed."""
        rows = [
            (statement.recipe, statement.pipeline, record.seconds, "done", *astuple(record.usage))
            for record, statement in made
            if record.usage is not None
        ]
        self._db.executemany(_INSERT_RUN, rows)
        self._db.executemany(_FORGET_RUNS, {row[:2] for row in rows})

    def has_adopted(self) -> bool:
        """Tell whether a history that Reflex made was adopted."""
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM steps WHERE instr(warnings, ?))", (ADOPTED,))[0])

    def list_adopted(self) -> tuple[AdoptedStep, ...]:
        """Return the steps that were taken over from a history of Reflex, in the order in which they were made."""
        query = "SELECT recipe, step, made, sof FROM steps WHERE instr(warnings, ?) ORDER BY made, rowid"
        rows = self._all(query, (ADOPTED,))
        return tuple(AdoptedStep(recipe, step, made, Path(self._at(sof))) for recipe, step, made, sof in rows)

    def adopted_statements(self, recipe: str) -> tuple[Statement, ...]:
        """Return the statements of the steps of a recipe that were taken over, the latest first."""
        query = "SELECT statement FROM steps WHERE recipe = ? AND instr(warnings, ?) ORDER BY made DESC, rowid DESC"
        return tuple(read_statement(text) for (text,) in self._all(query, (recipe, ADOPTED)))

    def adopted_keys(self) -> tuple[StepKey, ...]:
        """Return the keys of the steps that were taken over from a history of Reflex."""
        rows = self._all("SELECT key FROM steps WHERE instr(warnings, ?)", (ADOPTED,))
        return tuple(StepKey(key) for (key,) in rows)


def read_usage(processor_seconds: float | None, memory_bytes: int | None, input_bytes: int | None) -> Usage | None:
    """Return what the columns `USED` say; None where nothing was measured."""
    if processor_seconds is None or memory_bytes is None:
        return None
    return Usage(processor_seconds, memory_bytes, input_bytes or 0)
