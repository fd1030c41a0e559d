"""Documents of `organise`, `why` and `review`: datasets with their cascades, and what can be chosen for them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from esorex_bridge.cli.documents.base import Document, FaultPart, Part
from esorex_bridge.datasets.association import Match, Mode


class DatasetFilePart(Part, frozen=True):
    """A file in its role; `path` is null where it is not on this machine."""

    name: str
    category: str
    path: str | None
    match: Match | None
    certified: bool


class ActionPart(Part, frozen=True):
    """A group of files that is processed together, with what calibrates it."""

    name: str
    complete: bool
    secondary: bool
    auxiliary: bool
    certified: bool
    match: Match | None
    messages: tuple[str, ...]
    replaced: tuple[str, ...]
    files: tuple[DatasetFilePart, ...]
    statics: tuple[DatasetFilePart, ...]
    actions: tuple[ActionPart, ...]


class DatasetPart(Part, frozen=True):
    """A dataset. `name` is the old name of `dataset`, and goes with the next release."""

    dataset: str
    name: str
    instrument: str
    target: str | None
    complete: bool
    secondary: bool
    missing: tuple[str, ...]
    certified: bool
    mode: Mode | None
    requested: Mode | None
    descriptors: dict[str, str]
    action: ActionPart


class OrganiseDocument(Document, frozen=True, kw_only=True):
    """`organise`: the datasets, and what is odd or not here."""

    datasets: tuple[DatasetPart, ...]
    not_on_this_machine: dict[str, tuple[str, ...]]
    unclassified: tuple[str, ...]
    faults: tuple[FaultPart, ...]
    warnings: tuple[str, ...]


class WhyDocument(Document, frozen=True, kw_only=True):
    """`why`: what is known of a name, line by line."""

    about: str
    lines: tuple[str, ...]


class Alternative(Struct, frozen=True):
    """One row of a review.

    Parameters
    ----------
    purpose : str
        What it is for.
    category : str
        What it would be used as.
    file : str
        It, or the first file of its group.
    files : int
        How many files its group has.
    used : bool
        Whether it is in use.
    days : float or None
        Time from the frames it is for; None where not known.
    match : str
        calSelector's word, or the settings in which it differs.
    certified : str
        `yes`, `no`, or `-` where calSelector did not bring it.
    quality : str
        The grade that its header carries, `-` where it has none.
    level : int or None
        How well what the plan takes keeps to the calibration plan (0); None where nothing says.
    members : tuple of str
        All files of its group.
    """

    purpose: str
    category: str
    file: str
    files: int
    used: bool
    days: float | None
    match: str
    certified: str
    quality: str = "-"
    members: tuple[str, ...] = ()
    level: int | None = None


class ReviewDocument(Document, frozen=True, kw_only=True):
    """`review`: what was chosen for a dataset, as `choices.yaml` has it, and the alternatives."""

    dataset: str
    choices: dict[str, Any]
    alternatives: tuple[Alternative, ...]
