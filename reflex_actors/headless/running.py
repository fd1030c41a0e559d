"""What the actors of a running workflow share: the options, the recipes, and the account of what was done."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from reflex_actors.headless.network import RunningActor
from reflex_actors.headless.tokens import Flatten, Value
from reflex_actors.headless.variables import Variables
from reflex_actors.sof_json import FitsFile, RecipeParameter, SetOfFiles

if TYPE_CHECKING:
    from esorex_bridge.plan.plan import Plan


class RunOptions(Struct, frozen=True):
    """How a workflow is run.

    Parameters
    ----------
    flatten : {'last', 'merge'}
        What becomes of the purposes of a file that stands in several actions of a dataset.
    dry_run : bool
        Run no recipe and write nothing.
    interactive : bool
        Open the windows that the workflow has.
    datasets : Path or None
        A list of datasets, as DataOrganizer writes it, to take instead of organising.
    jobs : int
        How many recipes may run at a time.
    """

    flatten: Flatten = "last"
    dry_run: bool = False
    interactive: bool = False
    datasets: Path | None = None
    jobs: int = 1


class RecipeRequest(Struct, frozen=True):
    """One run of a recipe that a workflow asks for.

    Parameters
    ----------
    actor, recipe : str
        Name of the actor, and of the recipe.
    sof : SetOfFiles
        What it is given, in the order of its SOF.
    parameters : tuple of RecipeParameter
        Those that differ from the recipe's own.
    """

    actor: str
    recipe: str
    sof: SetOfFiles
    parameters: tuple[RecipeParameter, ...]


class RecipeResult(Struct, frozen=True):
    """What came of it.

    Parameters
    ----------
    products : tuple of FitsFile
        Without purposes.
    parameters : tuple of RecipeParameter
        All that it ran with.
    outcome : str
        `ran`, `reused`, or `foreseen` in a dry run.
    log : str
        EsoRex's log; empty where products were reused.
    """

    products: tuple[FitsFile, ...]
    parameters: tuple[RecipeParameter, ...]
    outcome: str
    log: str = ""


class Recipes(Protocol):
    """What runs recipes."""

    def missing(self, recipes: tuple[str, ...]) -> dict[str, str]:
        """Return why recipes cannot run, by name; nothing for those that can."""

    def learn(self, plans: Mapping[str, Plan]) -> None:
        """Take over the plans that datasets were organised by, by the names of these."""

    def run(self, request: RecipeRequest) -> RecipeResult:
        """Run a recipe, or reuse what it made; raise BridgeError where it fails."""


class Firing(Struct, frozen=True, omit_defaults=True):
    """A recipe or a script that was started, or would be.

    Parameters
    ----------
    actor : str
        Full name of the actor.
    dataset : str
        For which dataset.
    outcome : str
        `ran`, `reused`, `foreseen`, `empty`, `skipped`, `disabled`, `passed through` or `failed`.
    recipe : str
        The recipe; empty for a script.
    purposes : tuple of str
        What its products are for.
    sof : tuple of (str, str)
        Paths and categories.
    parameters : dict of str to value
        Those that the workflow sets.
    products : tuple of (str, str)
        Paths and categories.
    reason : str
        Why it failed.
    """

    actor: str
    dataset: str = ""
    outcome: str = "ran"
    recipe: str = ""
    purposes: tuple[str, ...] = ()
    sof: tuple[tuple[str, str], ...] = ()
    parameters: dict[str, str] = {}
    products: tuple[tuple[str, str], ...] = ()
    reason: str = ""


class Account(Struct):
    """What was done, in the order in which it was begun."""

    firings: list[Firing] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)
    end_products: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def begin(self, firing: Firing) -> int:
        """Note a firing, and return its number."""
        self.firings.append(firing)
        return len(self.firings) - 1

    def end(self, number: int, outcome: str, products: SetOfFiles | None = None, reason: str = "") -> None:
        """Note how a firing ended."""
        made = pairs(products) if products else ()
        self.firings[number] = replace(self.firings[number], outcome=outcome, products=made, reason=reason)

    def count(self, node: RunningActor) -> None:
        """Count a firing of any actor."""
        self.counts[node.path] = self.counts.get(node.path, 0) + 1


def pairs(sof: SetOfFiles) -> tuple[tuple[str, str], ...]:
    """Return the paths and categories of a set of files."""
    return tuple((file.name, file.category) for file in sof.files)


class Running(Struct):
    """A workflow that runs.

    Parameters
    ----------
    options : RunOptions
        How.
    variables : Variables
        The global parameters.
    recipes : Recipes
        What runs recipes.
    pool : Executor
        Where recipes run.
    account : Account
        What was done.
    started : list of Future
        Recipes that were started.
    delayed : list of (Variables, str, value)
        Parameters to be set after this round.
    """

    options: RunOptions
    variables: Variables
    recipes: Recipes
    pool: Executor
    account: Account = field(default_factory=Account)
    started: list[Future[Any]] = field(default_factory=list)
    delayed: list[tuple[Variables, str, Value]] = field(default_factory=list)
