"""What the engine needs of the outside: a runner of recipes, a store of what was made, a reporter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct, field

from esorex_bridge.errors import DataError, RecipeError
from esorex_bridge.files import Digest
from esorex_bridge.plan.parameters import Parameter, ParameterSchema
from esorex_bridge.plan.sof import Sof

if TYPE_CHECKING:
    from esorex_bridge.run.key import Statement, StepKey
    from esorex_bridge.run.report import StepReport


ADOPTED = "made by Reflex"
"""How the warning of a record begins that was taken over from a history of Reflex."""

How = Literal["unless_there", "forced", "reflex"]
"""When to run a step: unless its products are there; in any case; or as Reflex's own rule says."""


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
    """

    name: str
    plugin_path: Path
    pipeline: str
    plugin: Digest
    parameters: tuple[ParameterSchema, ...]


class Job(Struct, frozen=True):
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
    """

    recipe: Recipe
    sof: Sof
    parameters: tuple[Parameter, ...]
    folder: Path


class Output(Struct, frozen=True):
    """A product as EsoRex lists it: where it lies, and its category."""

    path: Path
    category: str


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
        Errors that the recipe reported though it ended with 0.
    """

    outputs: tuple[Output, ...]
    seconds: float
    log: Path | None
    complaints: tuple[str, ...] = ()


class RecipeRunner(Protocol):
    """Starts recipes."""

    def recipes(self, names: Iterable[str]) -> dict[str, Recipe | RecipeError]:
        """Return installed recipes by name, and the error where one is not installed."""

    def execute(self, job: Job) -> Execution:
        """Run a recipe to its end; raise RecipeError with a diagnosis where it fails."""

    def stop(self) -> None:
        """End what runs, with all that it started, and start nothing more."""


class Product(Struct, frozen=True, gc=False):
    """A product in the store: where it lies (an absolute path as text), its category, its content."""

    file: str = field(name="path")
    category: str
    digest: Digest
    size_bytes: int

    @property
    def path(self) -> Path:
        """Where it lies."""
        return Path(self.file)


class Record(Struct, frozen=True, gc=False):
    """A finished step.

    Parameters
    ----------
    key : StepKey
        What it was made of.
    products : tuple of Product
        What it made, in the recipe's order.
    seconds : float
        How long EsoRex took.
    made : str
        When, ISO 8601 in UTC.
    sof_file : str
        Absolute path of the SOF that was run.
    warnings : tuple of str
        What was said about it.
    """

    key: StepKey
    products: tuple[Product, ...]
    seconds: float
    made: str
    sof_file: str = field(name="sof")
    warnings: tuple[str, ...] = ()

    @property
    def sof(self) -> Path:
        """The SOF that was run."""
        return Path(self.sof_file)

    @property
    def adopted(self) -> bool:
        """Whether Reflex made it: its files are Reflex's, and none of ours to remove."""
        return any(text.startswith(ADOPTED) for text in self.warnings)


class Absent(Struct, frozen=True, gc=False):
    """Why the products of a key cannot be reused, in words; empty where the key was never recorded."""

    reason: str = ""


class Store(Protocol):
    """Remembers what was made, and the digests of files."""

    def digests(self, files: Iterable[str]) -> dict[str, Digest | DataError]:
        """Return the content digests of files, reading only those that changed; the error where one is damaged."""

    def learn(self, digests: Mapping[str, Digest], verified: bool = True) -> None:
        """Remember digests that were taken elsewhere, for instance during a download."""

    def verify(self, files: Iterable[str]) -> None:
        """Hold files against their own CHECKSUM and DATASUM; raise DataError where they differ."""

    def find(self, key: StepKey) -> Record | Absent:
        """Return the record of a key with its products whole and in place, or why there is none."""

    def expected_seconds(self, recipe: str) -> float | None:
        """Return how long a recipe takes by experience; None where it never ran."""

    def nearest(self, statement: Statement) -> Statement | None:
        """Return the latest recorded statement that is most like this one (same recipe), to explain the difference."""

    def record(self, record: Record, statement: Statement, dataset: str, step: str) -> None:
        """Remember a finished step."""


class Reporter(Protocol):
    """Is told what goes on."""

    def started(self, what: str, number: int, of: int, expected_seconds: float | None) -> None:
        """Tell that a recipe was started, and how long it took on earlier occasions."""

    def finished(self, report: StepReport) -> None:
        """Tell how a step ended."""

    def go_on(self, step: str, error: str) -> bool:
        """Tell whether to go on with what does not need a step that failed."""


class SilentReporter:
    """Tells nobody, and goes on after failures."""

    def started(self, what: str, number: int, of: int, expected_seconds: float | None) -> None:
        """Pass over that a recipe was started."""

    def finished(self, report: StepReport) -> None:
        """Pass over how a step ended."""

    def go_on(self, step: str, error: str) -> bool:
        """Go on."""
        return True
