"""An installed recipe, one run of it, and what came of the run; and what starts recipes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from esorex_bridge.definitions.parameters import Parameter, ParameterSchema
from esorex_bridge.errors import RecipeError
from esorex_bridge.files import Digest
from esorex_bridge.plan.sof import Sof


class Recipe(Struct, frozen=True):
    """An installed recipe.

    Parameters
    ----------
    name : str
        EsoRex's name of it.
    plugin_path : Path
        Its plugin file.
    pipeline : str
        Name and version of the pipeline (`naco/4.4.11`).
    plugin : Digest
        Of the plugin file.
    parameters : tuple of ParameterSchema
        With types, ranges and defaults.
    libraries : tuple of (str, str)
        The shared libraries that the plugin runs with: name, and digest or name of the file.
    changed_ns : int
        When the last of these, or the plugin, was changed or put there; 0 where that is not known.
    cpl : str
        CPL among these libraries, as products name it (`cpl-7.2.3`); empty where that is not known.
    """

    name: str
    plugin_path: Path
    pipeline: str
    plugin: Digest
    parameters: tuple[ParameterSchema, ...]
    libraries: tuple[tuple[str, str], ...] = ()
    changed_ns: int = 0
    cpl: str = ""


class RecipeRun(Struct, frozen=True):
    """One run of a recipe, ready to start.

    Parameters
    ----------
    recipe : Recipe
        What to run.
    sof : Sof
        Readable by EsoRex as it is.
    parameters : tuple of Parameter
        Every parameter of the recipe.
    folder : Path
        Private to this run; empty but for links that the SOF names.
    command : tuple of str
        Program and arguments of a step of the user's own; empty for a recipe.
    products : tuple of str
        Categories that the definition says it makes.
    input_bytes : int
        Of the files that it takes; products of earlier steps are not counted.
    """

    recipe: Recipe
    sof: Sof
    parameters: tuple[Parameter, ...]
    folder: Path
    command: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    input_bytes: int = 0


class Output(Struct, frozen=True):
    """A product as EsoRex lists it: where it lies, and its category."""

    path: Path
    category: str


class Usage(Struct, frozen=True, gc=False):
    """What a run of a recipe took of the machine.

    Parameters
    ----------
    processor_seconds : float
        Of all its threads and processes together.
    memory_bytes : int
        The most that one of its processes held at a time.
    input_bytes : int
        Of the files that it was given; products of earlier steps are not counted. Its needs are compared by that.
    """

    processor_seconds: float
    memory_bytes: int
    input_bytes: int = 0


def describe_cost(seconds: float, usage: Usage | None) -> str:
    """Return in words how long a run took, and what of the machine; empty where it took no time.

    >>> describe_cost(5.0, Usage(7.5, 345 << 20))
    '5.00 s, 1.5 processors, 345 MB'
    """
    if not seconds:
        return ""
    more = f", {usage.processor_seconds / seconds:.1f} processors, {usage.memory_bytes / 2**20:.0f} MB" if usage else ""
    return f"{seconds:.2f} s{more}"


class FailedRunError(RecipeError):
    """A recipe was started and failed.

    Parameters
    ----------
    message : str
        What happened, with the place of the log.
    usage : Usage
        What it took until then.
    killed : bool
        Whether it got a SIGKILL that nobody here sent, as the kernel does it where memory is short.
    """

    def __init__(self, message: str, usage: Usage, killed: bool = False) -> None:
        super().__init__(message)
        self.usage = usage
        self.killed = killed


class Execution(Struct, frozen=True):
    """How a run ended: successfully, because failures are raised as RecipeError.

    Parameters
    ----------
    outputs : tuple of Output
        What EsoRex lists as products.
    seconds : float
        Wall time.
    log : Path or None
        EsoRex's log.
    complaints : tuple of str
        Errors that the recipe reported though it exited with status 0.
    usage : Usage or None
        What it took; None where that was not measured.
    """

    outputs: tuple[Output, ...]
    seconds: float
    log: Path | None
    complaints: tuple[str, ...] = ()
    usage: Usage | None = None


def pass_over() -> None:
    """Do nothing about it that a recipe runs by now, or that EsoRex is asked."""


class RecipeRunner(Protocol):
    """Starts recipes."""

    def recipes(self, names: Iterable[str], asking: Callable[[], None] = pass_over) -> dict[str, Recipe | RecipeError]:
        """Return installed recipes by name, and the error where one is not installed.

        Where EsoRex must be asked, which takes a while, `asking` is called meanwhile.
        """

    def execute(self, job: RecipeRun, begun: Callable[[], None] = pass_over) -> Execution:
        """Run a recipe to its end, `begun` being called while it runs; RecipeError with a diagnosis where it fails."""

    def stop(self) -> None:
        """End what runs, with all that it started, and start nothing more."""
