"""What the report shows, as values: datasets with their cascades, a time line, quality values over time."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

State = Literal["ran", "reused", "failed", "missing", "planned", "unneeded"]
"""Of a step: made in the latest run; made before; failed; something it needs is missing; not made yet; not needed."""

STATE_WORDS: dict[State, str] = {
    "ran": "ran",
    "reused": "reused",
    "failed": "failed",
    "missing": "incomplete",
    "planned": "not made yet",
    "unneeded": "not needed",
}


class ProductView(Struct, frozen=True):
    """A product: where it lies, what it is, a preview (trusted HTML), its quality values."""

    name: str
    category: str
    path: str
    size_bytes: int
    preview: str = ""
    qc: tuple[tuple[str, str], ...] = ()


class InputView(Struct, frozen=True):
    """What a step took under one tag: a file, or the products of another step (its anchor); how well it fits."""

    category: str
    name: str
    kind: str
    anchor: str = ""
    preview: str = ""
    association: str = ""


class StepView(Struct, frozen=True):
    """A step of a dataset.

    Parameters
    ----------
    anchor : str
        Of its place in the page.
    name, recipe, pipeline : str
        As in the plan.
    state : State
        How it stands.
    reason : str
        Why, in words; what went wrong where it failed.
    made : str
        When, ISO 8601 in UTC; empty where it was not.
    seconds : float
        How long the recipe took.
    parameters : tuple of (str, str, str)
        Name, value and origin of those that somebody set.
    inputs, products : tuple
        What it took and made.
    needs : tuple of str
        Anchors of the steps whose products it takes.
    log : str
        The end of EsoRex's log.
    warnings : tuple of str
        What was said about it.
    folder : str
        Where it ran.
    took : str
        For how long it ran, and what it took of the machine; empty where it was not made.
    """

    anchor: str
    name: str
    recipe: str
    pipeline: str
    state: State
    reason: str
    made: str
    seconds: float
    parameters: tuple[tuple[str, str, str], ...]
    inputs: tuple[InputView, ...]
    products: tuple[ProductView, ...]
    needs: tuple[str, ...]
    log: str
    warnings: tuple[str, ...]
    folder: str
    took: str = ""


class ComparisonView(Struct, frozen=True):
    """One delivery of a dataset against a later one: when each was made, and what differs.

    Parameters
    ----------
    before, after : str
        When the last step of each was made, ISO 8601 in UTC.
    changes : tuple of (str, str, str, str)
        Step, what, before, after.
    products : tuple of (str, str)
        Category, and how the data differ, in words.
    """

    before: str
    after: str
    changes: tuple[tuple[str, str, str, str], ...]
    products: tuple[tuple[str, str], ...]


class DatasetView(Struct, frozen=True):
    """A dataset with its cascade.

    Parameters
    ----------
    anchor, name : str
        Its place in the page, and its name.
    target, night, instrument, setup : str
        Of the science frames, from their headers.
    state : State
        `ran` or `reused` where all is made; else what stands in the way.
    reasons : tuple of str
        What failed or is missing.
    steps : tuple of StepView
        Makers before users.
    end_products : tuple of ProductView
        What was delivered.
    messages : tuple of str
        What calSelector or the rules said.
    drawing : str
        The cascade as SVG (trusted).
    compared : tuple of ComparisonView
        The latest delivery and the one before first; empty where there was one delivery.
    """

    anchor: str
    name: str
    target: str
    night: str
    instrument: str
    setup: str
    state: State
    reasons: tuple[str, ...]
    steps: tuple[StepView, ...]
    end_products: tuple[ProductView, ...]
    messages: tuple[str, ...]
    drawing: str = ""
    compared: tuple[ComparisonView, ...] = ()


class Bar(Struct, frozen=True):
    """A step on the time line: label, recipe, seconds from the beginning, duration in seconds, anchor."""

    label: str
    recipe: str
    start: float
    seconds: float
    anchor: str


class Series(Struct, frozen=True):
    """A quality value of a recipe's products over time: points are (MJD of the observation, value, product)."""

    recipe: str
    setup: str
    keyword: str
    points: tuple[tuple[float, float, str], ...]


class ReflexRow(Struct, frozen=True):
    """An execution that ESO Reflex noted.

    Parameters
    ----------
    workflow, actor, recipe : str
        Names; the recipe is empty where the notes do not tell.
    made : str
        When it began, ISO 8601 in UTC.
    state : str
        `success`, or what its exit code means.
    inputs : tuple of (str, str)
        Category and path.
    products : tuple of (str, str, str)
        Category, path, and the end product that it was copied to; empty where it was not.
    """

    workflow: str
    actor: str
    recipe: str
    made: str
    state: str
    inputs: tuple[tuple[str, str], ...]
    products: tuple[tuple[str, str, str], ...]


class ReportView(Struct, frozen=True):
    """All that the page shows."""

    title: str
    root: str
    written: str
    datasets: tuple[DatasetView, ...]
    bars: tuple[Bar, ...]
    series: tuple[Series, ...]
    reflex: tuple[ReflexRow, ...]
    notes: tuple[str, ...] = ()
