"""Reasons as values: what is known of a file, a dataset, a category or a step, each with the sentence that says it."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from esorex_bridge.plan.plan import Reason


class Fact(Struct, frozen=True, tag_field="kind", tag="fact"):
    """One thing that is known; `text` says it to a person, on one line or several."""

    text: str


class Note(Fact, frozen=True, tag="note"):
    """What is known in words alone."""


class DatasetState(Fact, frozen=True, tag="dataset"):
    """Whether a dataset is complete.

    Parameters
    ----------
    dataset : str
        Its name.
    said_by : str
        `calSelector`, or the rules with their line.
    complete : bool
        Whether nothing is missing.
    secondary : bool
        Whether nothing is missing that a recipe needs.
    """

    dataset: str
    said_by: str
    complete: bool
    secondary: bool = False


class Message(Fact, frozen=True, tag="message"):
    """What calSelector says of a group."""

    purpose: str
    message: str


class AbsentFiles(Fact, frozen=True, tag="not_on_this_machine"):
    """Files of a group that are to be fetched."""

    purpose: str
    files: tuple[str, ...]


class FileClassified(Fact, frozen=True, tag="classified"):
    """Which category a file has by which rule; null where no rule gives it one."""

    file: str
    category: str | None
    rules: str
    line: int | None


class UsedByDataset(Fact, frozen=True, tag="used_by_dataset"):
    """A dataset that a file is in."""

    file: str
    dataset: str
    category: str
    purpose: str


class UsedByNone(Fact, frozen=True, tag="used_by_none"):
    """A file that no dataset uses; what follows says why."""

    file: str


class RuleVerdict(Fact, frozen=True, tag="verdict"):
    """Whether a rule took a candidate for a group.

    Parameters
    ----------
    candidate : str
        The file, or the first file of the group from which it would be made.
    category : str
        What it would be to the group.
    wanted_for : str
        First file of the group.
    line : int or None
        Of the rule.
    taken : bool
        Whether it was taken.
    reasons : tuple of str
        Why not, condition by condition.
    """

    candidate: str
    category: str
    wanted_for: str
    line: int | None
    taken: bool
    reasons: tuple[str, ...]


class AssociationFound(Fact, frozen=True, tag="association"):
    """What was found of a category for a group.

    Parameters
    ----------
    category : str
        What is asked for.
    wanted_for : str
        First file of the group.
    needed : int
        How many are needed.
    found : tuple of str
        Files, or the first files of the groups from which it is made.
    enough : bool
        Whether that suffices.
    query : str or None
        A query of the archive that would find what is missing.
    """

    category: str
    wanted_for: str
    needed: int
    found: tuple[str, ...]
    enough: bool
    query: str | None = None


class FilesOfCategory(Fact, frozen=True, tag="category"):
    """How many files have a category."""

    category: str
    files: int


class TakenByStep(Fact, frozen=True, tag="taken_by_step"):
    """A step that takes a file."""

    dataset: str
    file: str
    step: str
    category: str


class NotUsed(Fact, frozen=True, tag="not_used"):
    """Why no step of a dataset takes a file."""

    dataset: str
    file: str
    category: str
    purpose: str
    reason: Reason
    detail: str


KnownFact = (
    DatasetState
    | Message
    | AbsentFiles
    | FileClassified
    | UsedByDataset
    | UsedByNone
    | RuleVerdict
    | AssociationFound
    | FilesOfCategory
    | TakenByStep
    | NotUsed
    | Note
)
"""What data and plans tell; `kind` tells them apart."""


def lines_of(facts: Iterable[Fact]) -> tuple[str, ...]:
    """Return what facts say, line by line, each line once."""
    return tuple(dict.fromkeys(line for fact in facts for line in fact.text.split("\n")))
