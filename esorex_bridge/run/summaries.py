"""What the store tells of its past: whole runs, recipes, and what Reflex made."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct


class RunSummary(Struct, frozen=True):
    """What a whole run came to: when it began (ISO 8601), how many datasets and steps, how long it took."""

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
