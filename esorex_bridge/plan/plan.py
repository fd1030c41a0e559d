"""A plan: the ordered steps that make a dataset's products, each one run of one recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NewType

from msgspec import Struct, field

from esorex_bridge.datasets.association import Match
from esorex_bridge.datasets.dataset import Purpose
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.files import DpId

Keywords = Mapping[str, str | int | float | bool | None]
"""Header keywords of a file in ESO's dotted form (`DET.DIT`, `MJD-OBS`)."""

HeadersByPath = Mapping[Path, Keywords]
"""Keywords of every file at hand."""

StepName = NewType("StepName", str)
"""`<recipe>_<n>`: the n-th run of a recipe in a plan."""


Reason = Literal[
    "no recipe for the category",
    "setting differs",
    "group too small",
    "over the limit",
    "outside validity",
    "its maker is not needed",
    "same content",
    "chosen by the user",
    "unsupported",
    "auxiliary",
    "not on this machine",
    "not a product",
    "another instrument",
]
"""Why a file is in no step; there is no reason but these.

`its maker is not needed` is said of raws from which nothing is made that a step takes, and `auxiliary` of groups alone
that calSelector calls so.
"""


class FileInput(Struct, frozen=True, gc=False):
    """A file of the dataset that is on this machine (its absolute path as text), under the tag it has in the SOF.

    Plans hold ten thousands, and a Path costs more than to look at the file: it is made where one is wanted.
    """

    name: DpId
    file: str = field(name="path")
    category: str

    @property
    def path(self) -> Path:
        """Where it lies."""
        return Path(self.file)


ALL_PRODUCTS = "*"
"""In the place of a category: all products of a step, each under its own."""


class ProductInput(Struct, frozen=True, gc=False, omit_defaults=True):
    """Products of an earlier step: all of one category, under the tag they have in the SOF, or all there are.

    Parameters
    ----------
    step : StepName
        Makes them.
    product : str
        Their category, or `ALL_PRODUCTS`.
    category : str
        Their tag; of all products, a word for people.
    drop : tuple of str
        Of all products: categories that stay out.
    renamed : tuple of (str, str)
        Of all products: categories that have another tag in the SOF.
    optional : bool
        Whether nothing need be said where the step made none.
    """

    step: StepName
    product: str
    category: str
    drop: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    optional: bool = False

    def tag_of(self, made: str) -> str | None:
        """Return the tag in the SOF of a product of a category; None where it stays out."""
        if self.product != ALL_PRODUCTS:
            return self.category if made == self.product else None
        return None if made in self.drop else dict(self.renamed).get(made, made)

    @property
    def words(self) -> str:
        """What is taken, for statements and messages."""
        if self.product != ALL_PRODUCTS:
            return self.product
        renamed = "".join(f",{old}={new}" for old, new in sorted(self.renamed))
        return ALL_PRODUCTS + "".join(f"-{category}" for category in sorted(self.drop)) + renamed


StepInput = FileInput | ProductInput


class StepLevel(Struct, frozen=True, gc=False):
    """The quality of one association.

    Parameters
    ----------
    input : str
        The task or data source that it is with.
    level : int or None
        0: as the calibration plan wants it; higher is worse; None where the rules do not say.
    days : float or None
        From the step's first main file to what was associated.
    """

    input: str
    level: int | None
    days: float | None


class AssociatedInput(Struct, frozen=True, gc=False):
    """How well a file, or the products of a step, fit the step that takes them.

    Parameters
    ----------
    category : str
        The tag under which the step takes it.
    source : str
        Name of the file, or of the step that makes it.
    days : float or None
        Days between it and the first main file; None where a time is not known.
    level : int or None
        How well it keeps to the calibration plan: by the definition's validity, else by calSelector's `match` (0 for
        `calib_plan`, 1 for `extended`); None where neither says anything.
    match : {'calib_plan', 'extended', 'N/A'} or None
        What calSelector says.
    certified : bool
        Whether ESO certified the association.
    chosen_by : str
        Who put it there: `calSelector`; `rules`, of the DataOrganizer or of a workflow package; `workflow NAME`, whose
        definition picked it among what there was; `review`, the user. Empty where that is not known.
    """

    category: str
    source: str
    days: float | None = None
    level: int | None = None
    match: Match | None = None
    certified: bool = True
    chosen_by: str = ""

    @property
    def words(self) -> str:
        """All that is known of it, in words: `calSelector: calib_plan, level 0, 0.1 days`."""
        said = f"{self.chosen_by}: {self.match}" if self.match else self.chosen_by
        level = "" if self.level is None else f"level {self.level}"
        days = "" if self.days is None else f"{self.days:.1f} days"
        return ", ".join(filter(None, (said, level, days, "" if self.certified else "not certified")))


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
    delivered : bool
        Whether the products of a target are end products; those of a check that always runs may be none.
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
    levels : tuple of StepLevel
        How good each association is, where the rules grade it.
    associations : tuple of AssociatedInput
        How well its calibrations fit, in the order of the inputs.
    raw_associations : tuple of AssociatedInput
        Of a calibration, how its own files were associated; none of science frames, which were asked for.
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
    delivered: bool = True
    required: tuple[str, ...] = ()
    unnoted: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    threads: int = 1
    memory_mb: int | None = None
    levels: tuple[StepLevel, ...] = ()
    associations: tuple[AssociatedInput, ...] = ()
    raw_associations: tuple[AssociatedInput, ...] = ()

    def __repr__(self) -> str:
        """Return its name and inputs."""
        return f"<Step {self.name}: {', '.join(input_counts(self))}>"

    @property
    def makes_end_products(self) -> bool:
        """Whether its products go to the end products."""
        return self.target and self.delivered

    @property
    def needs(self) -> tuple[StepName, ...]:
        """The steps whose products it takes."""
        return tuple(dict.fromkeys(entry.step for entry in self.inputs if isinstance(entry, ProductInput)))


def association_of(step: Step, entry: StepInput) -> AssociatedInput | None:
    """Return how well an input of a step fits; None for what it processes."""
    source = entry.name if isinstance(entry, FileInput) else entry.step
    fits = (each for each in step.associations if (each.category, each.source) == (entry.category, source))
    return next(fits, None)


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


class UnusedFile(Struct, frozen=True):
    """A file of the dataset that no step takes.

    Parameters
    ----------
    name, category : str
        Of the file.
    file : str
        Its path as text; its name where it is not on this machine.
    purpose : Purpose
        Its place in the cascade, the first where it has several.
    reason : Reason
        Why no step takes it.
    detail : str
        The particulars: `INS.FILT1.NAME H ≠ Ks`, `2 < 3`, the file or step that is used instead.
    """

    name: str
    category: str
    file: str
    purpose: Purpose
    reason: Reason
    detail: str = ""


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
    not_used : tuple of UnusedFile
        Every file of the dataset that is in no step, with the reason.
    incomplete : tuple of str
        Science files that are not reduced, and why; empty where all are.
    before : tuple of (StepName, str)
        Steps that were made before and whose products the steps take, with the keys of their records.
    """

    dataset: str
    workflow: str
    steps: tuple[Step, ...]
    unused: tuple[UnusedGroup, ...] = ()
    messages: tuple[str, ...] = ()
    not_used: tuple[UnusedFile, ...] = ()
    incomplete: tuple[str, ...] = ()
    before: tuple[tuple[StepName, str], ...] = ()

    def step(self, name: StepName) -> Step:
        """Return a step by its name."""
        return next(step for step in self.steps if step.name == name)

    def __repr__(self) -> str:
        """Return its dataset and its steps."""
        names = " → ".join(step.name for step in self.steps) or "no steps"
        return f"<Plan of {self.dataset} by {self.workflow}: {names}>"

    def _repr_html_(self) -> str:
        from esorex_bridge.values import html_table

        rows = [
            (step.name, step.recipe, ", ".join(input_counts(step)), ", ".join(step.needs), "; ".join(step.gaps))
            for step in self.steps
        ]
        return html_table(("step", "recipe", "inputs", "after", "cannot run"), rows, repr(self)[1:-1])


def input_counts(step: Step) -> tuple[str, ...]:
    """Return how many inputs of each category a step takes: `5 CAL_FLAT_TW`."""
    counts: dict[str, int] = {}
    for entry in step.inputs:
        counts[entry.category] = counts.get(entry.category, 0) + 1
    return tuple(f"{number} {category}" for category, number in counts.items())
