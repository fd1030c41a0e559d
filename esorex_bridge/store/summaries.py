"""What the store tells of its past: whole runs, recipes, and what Reflex made."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct
from msgspec.structs import astuple

from esorex_bridge.reuse.key import Statement, StepKey, read_statement
from esorex_bridge.reuse.record import ADOPTED
from esorex_bridge.store.database import Database


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

    def has_adopted(self) -> bool:
        """Tell whether a history that Reflex made was adopted."""
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM steps WHERE instr(warnings, ?))", (ADOPTED,))[0])

    def adopted(self) -> tuple[AdoptedStep, ...]:
        """Return the steps that were taken over from a history of Reflex, in the order in which they were made."""
        rows = self._all("SELECT recipe, step, made, sof FROM steps WHERE instr(warnings, ?) ORDER BY made", (ADOPTED,))
        return tuple(AdoptedStep(recipe, step, made, Path(self._at(sof))) for recipe, step, made, sof in rows)

    def adopted_statements(self, recipe: str) -> tuple[Statement, ...]:
        """Return the statements of the steps of a recipe that were taken over, the latest first."""
        query = "SELECT statement FROM steps WHERE recipe = ? AND instr(warnings, ?) ORDER BY made DESC"
        return tuple(read_statement(text) for (text,) in self._all(query, (recipe, ADOPTED)))

    def adopted_keys(self) -> tuple[StepKey, ...]:
        """Return the keys of the steps that were taken over from a history of Reflex."""
        rows = self._all("SELECT key FROM steps WHERE instr(warnings, ?)", (ADOPTED,))
        return tuple(StepKey(key) for (key,) in rows)
