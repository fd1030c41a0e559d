"""How many bytes the steps of plans will make: known by what their recipes made before, else by the sizes of inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from esorex_bridge.disk.room import Room
from esorex_bridge.disk.stamp import size_in, stamp_of
from esorex_bridge.errors import BridgeError
from esorex_bridge.plan.plan import ProductInput, Step
from esorex_bridge.plan.sof import parse_sof
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import Record
from esorex_bridge.run.decided import DecidedPlan
from esorex_bridge.run.step import input_bytes
from esorex_bridge.store.step_store import SqliteStore
from esorex_bridge.workspace.folders import Workspace

Sizes = Mapping[str, float]
"""Bytes by category."""

_ALL = ""
"""What stands for all categories where they are not known."""

_NOTHING: Sizes = {}
"""What is kept of a target, which hardly any step takes: there are many."""

_LATEST = 50


class Footprint:
    """Counts what the steps of plans will make, each step once, in the room of a data root.

    A step makes of each byte that it takes as much as its recipe made at most in its last runs. A recipe that never ran
    is taken to make as much as the files that it takes, or where it takes products alone, as the largest of them.

    Parameters
    ----------
    store : SqliteStore
        What was made before.
    workspace : Workspace
        Where products will lie.
    room : Room
        Counts.
    """

    def __init__(self, store: SqliteStore, workspace: Workspace, room: Room) -> None:
        self._store, self._workspace, self.room = store, workspace, room
        self._growth: dict[str, Sizes] = {}
        self._made: dict[StepKey, Sizes] = {}

    def add(self, plan: DecidedPlan) -> None:
        """Count in what a plan makes; a step that lacks something makes nothing, nor does what needs it."""
        records = plan.records
        for decision in plan.executes:
            step, key = decision.step, plan.resolved.keys[decision.step.name]
            needs = {need: _sizes_in(records[need]) if need in records else self._made.get(need)
                     for need in plan.resolved.needs(step)}  # fmt: skip
            if key in self._made or step.gaps or None in needs.values():
                continue
            made = self._estimate(step, plan, {need: sizes for need, sizes in needs.items() if sizes is not None})
            size_bytes = int(sum(made.values()))
            self.room.take_made(self._workspace.tmp_products, size_bytes)
            if step.makes_end_products:
                self.room.take_made(self._workspace.end_products, size_bytes)
            self._made[key] = _NOTHING if step.target else made

    def _estimate(self, step: Step, plan: DecidedPlan, made: Mapping[StepKey, Sizes]) -> Sizes:
        """Return what a step will make, by category, given what the steps made whose products it takes."""
        keys = plan.resolved.keys
        files = input_bytes(step)
        taken = (entry for entry in step.inputs if isinstance(entry, ProductInput))
        products = [_size_of(made[keys[entry.step]], entry.product) for entry in taken]
        if step.recipe not in self._growth:
            self._growth[step.recipe] = growth(self._store.latest(step.recipe))
        if known := self._growth[step.recipe]:
            return {category: factor * (files + sum(products)) for category, factor in known.items()}
        return {_ALL: files or max(products, default=0)}


def made_per_byte(store: SqliteStore, workspace: Workspace) -> float:
    """Return how many bytes of products came of each byte of data in the last steps; 1 where nothing was made."""
    latest = store.latest(most=_LATEST)
    inputs = {path for record in latest for path in _inputs(record)}
    data = sum(_size(path) for path in inputs if not path.is_relative_to(workspace.tmp_products))
    made = sum(product.size_bytes for record in latest for product in record.products)
    return made / data if data else 1.0


def growth(records: Iterable[Record]) -> Sizes:
    """Return how many bytes of each category a recipe makes at most of each byte that it takes; none unknown."""
    most: dict[str, float] = {}
    for record in records:
        if taken := sum(map(_size, _inputs(record))):
            for category, size_bytes in _sizes_in(record).items():
                most[category] = max(most.get(category, 0.0), size_bytes / taken)
    return most


def _sizes_in(record: Record) -> Sizes:
    sizes: Counter[str] = Counter()
    for product in record.products:
        sizes[product.category] += product.size_bytes
    return sizes


def _size_of(made: Sizes, category: str) -> float:
    """Return the bytes of a category that a step makes; of all where they are not told apart."""
    return made[category] if category in made else sum(made.values())


def _inputs(record: Record) -> tuple[Path, ...]:
    """Return the files that a step was made of; none where its SOF is not there any more."""
    with suppress(OSError, UnicodeDecodeError, BridgeError):
        return tuple(entry.path for entry in parse_sof(record.sof.read_text("utf-8")).entries)
    return ()


def _size(path: Path) -> int:
    """Return the size of a file; 0 where it is not there any more, so that it says nothing."""
    return max(0, size_in(stamp_of(path)))
