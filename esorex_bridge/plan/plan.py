"""A plan: the ordered steps that make a dataset's products, each one run of one recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NewType

from msgspec import Struct, field

from esorex_bridge.datasets.dataset import Purpose
from esorex_bridge.definitions.parameters import ParameterSetting

Keywords = Mapping[str, str | int | float | bool | None]
"""Header keywords of a file in ESO's dotted form (`DET.DIT`, `MJD-OBS`)."""

HeadersByPath = Mapping[Path, Keywords]
"""Keywords of every file at hand."""

StepName = NewType("StepName", str)
"""`<recipe>_<n>`: the n-th run of a recipe in a plan."""


class FileInput(Struct, frozen=True, gc=False):
    """A file of the dataset that is on this machine (its absolute path as text), under the tag it has in the SOF.

    Plans hold ten thousands, and a Path costs more than to look at the file: it is made where one is wanted.
    """

    name: str
    file: str = field(name="path")
    category: str

    @property
    def path(self) -> Path:
        """Where it lies."""
        return Path(self.file)


class ProductInput(Struct, frozen=True, gc=False):
    """All products of one category of an earlier step, under the tag they have in the SOF."""

    step: StepName
    product: str
    category: str


StepInput = FileInput | ProductInput


class Step(Struct, frozen=True, gc=False):
    """One run of one recipe.

    Parameters
    ----------
    name : StepName
        Unique in its plan.
    actor : str
        The step definition that it follows; names the folders, as an actor does in Reflex.
    recipe : str
        EsoRex's name of the recipe.
    inputs : tuple of FileInput or ProductInput
        In the order of the SOF. The first frame gives products their header.
    settings : tuple of ParameterSetting
        Parameters that differ from the recipe's defaults.
    products : tuple of str
        Categories that the definition says it makes.
    purpose : Purpose
        What it serves (the first, where equal groups serve several).
    setup : tuple of (str, str)
        The keywords in which its main files agree.
    gaps : tuple of str
        Why it cannot run; empty when it can.
    warnings : tuple of str
        What a reader of the products should know: made without an optional calibration, for example.
    target : bool
        Whether its products are what the dataset is for.
    required : tuple of str
        Tags that the recipe must have, and must have used.
    unnoted : tuple of str
        Tags that the recipe uses and does not name in its products.
    command : tuple of str
        Program and arguments of a step of the user's own; empty for a recipe.
    threads : int
        Processors that it keeps busy.
    memory_mb : int or None
        Memory that it needs at most, where that is known.
    """

    name: StepName
    actor: str
    recipe: str
    inputs: tuple[StepInput, ...]
    settings: tuple[ParameterSetting, ...]
    products: tuple[str, ...]
    purpose: Purpose
    setup: tuple[tuple[str, str], ...] = ()
    gaps: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    target: bool = False
    required: tuple[str, ...] = ()
    unnoted: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    threads: int = 1
    memory_mb: int | None = None

    @property
    def needs(self) -> tuple[StepName, ...]:
        """The steps whose products it takes."""
        return tuple(dict.fromkeys(entry.step for entry in self.inputs if isinstance(entry, ProductInput)))


class UnusedGroup(Struct, frozen=True):
    """An action of the dataset that needs no step.

    Parameters
    ----------
    purpose : Purpose
        Its place in the cascade.
    recipe : str or None
        The recipe that could process it; None where the workflow has none.
    reason : str
        Why it is not processed.
    """

    purpose: Purpose
    recipe: str | None
    reason: str


class Plan(Struct, frozen=True):
    """The steps of one dataset, producers first.

    Parameters
    ----------
    dataset, workflow : str
        Names of both.
    steps : tuple of Step
        Ordered so that a step follows all it needs.
    unused : tuple of UnusedGroup
        What the dataset holds and no step takes, with the reason.
    messages : tuple of str
        What calSelector or the rules said is missing or odd.
    """

    dataset: str
    workflow: str
    steps: tuple[Step, ...]
    unused: tuple[UnusedGroup, ...] = ()
    messages: tuple[str, ...] = ()

    def step(self, name: StepName) -> Step:
        """Return a step by its name."""
        return next(step for step in self.steps if step.name == name)


def recipes_of(plans: Iterable[Plan]) -> tuple[str, ...]:
    """Return the recipes that plans use, once each, in order."""
    return tuple(dict.fromkeys(step.recipe for plan in plans for step in plan.steps))
