"""Documents of `organise`, `why` and `review`: datasets with their cascades, and what can be chosen for them."""

from __future__ import annotations

from typing import Any

from esorex_bridge.cli.documents.base import Document, FaultPart, Part
from esorex_bridge.datasets.association import Match, Mode
from esorex_bridge.organise.review import Alternative
from esorex_bridge.plan.facts import KnownFact
from esorex_bridge.run.explanation import StepFact


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


WhyReason = KnownFact | StepFact
"""What `why` knows; `kind` tells them apart."""


class WhyDocument(Document, frozen=True, kw_only=True):
    """`why`: what is known of a name, reason by reason, and line by line as a person reads it."""

    about: str
    reasons: tuple[WhyReason, ...]
    lines: tuple[str, ...]


class ReviewDocument(Document, frozen=True, kw_only=True):
    """`review`: what was chosen for a dataset, as `choices.yaml` has it, and the alternatives."""

    dataset: str
    choices: dict[str, Any]
    alternatives: tuple[Alternative, ...]
