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
    """What calSelector says of a group; of a job of a package, what is missing or odd, with its task as purpose."""

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


class FileUnusable(Fact, frozen=True, tag="unusable"):
    """A file that cannot be read or is not what its name says."""

    file: str


class ChoiceMade(Fact, frozen=True, tag="choice"):
    """What a user chose for a dataset in a review."""

    dataset: str


class JobState(Fact, frozen=True, tag="job"):
    """A job of a workflow package.

    Parameters
    ----------
    task : str
        What it is a job of.
    trigger : str
        The file that tells it from other jobs of its task.
    recipe : str or None
        What it runs.
    files : int
        How many main files it has.
    complete : bool
        Whether nothing is missing.
    missing, warnings : tuple of str
        What is missing, and what is odd.
    """

    task: str
    trigger: str
    recipe: str | None
    files: int
    complete: bool
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class JobInputTaken(Fact, frozen=True, tag="job_input"):
    """What an input of a job takes.

    Parameters
    ----------
    task, trigger : str
        Of the job.
    input : str
        The task or the data source that it names; `main` of jobs whose products are its main files.
    files : tuple of str
        Files that it takes.
    jobs : tuple of str
        Jobs whose products it takes, as task and trigger.
    level : int or None
        Of the rule by which it was taken.
    days : float or None
        From the trigger to it.
    chosen : bool
        Whether a user chose it.
    """

    task: str
    trigger: str
    input: str
    files: tuple[str, ...]
    jobs: tuple[str, ...]
    level: int | None = None
    days: float | None = None
    chosen: bool = False


class JobCondition(Fact, frozen=True, tag="job_condition"):
    """Whether a condition of the package holds for a job."""

    task: str
    trigger: str
    condition: str
    holds: bool


class JobParameter(Fact, frozen=True, tag="job_parameter"):
    """A parameter of a job that a function of the package gave."""

    task: str
    trigger: str
    parameter: str
    value: str


class FileInSource(Fact, frozen=True, tag="in_data_source"):
    """A data source of a package that a file is in, with the tag that it has there; null where it is in none."""

    file: str
    source: str | None
    tag: str | None


class UsedByJobs(Fact, frozen=True, tag="used_by_jobs"):
    """The jobs that take a file, as task and trigger; none where no target needs it."""

    file: str
    jobs: tuple[str, ...]


class ProductMade(Fact, frozen=True, tag="product"):
    """Where a product of this data root comes from.

    Parameters
    ----------
    file, category, sha256 : str
        The product.
    dataset, step, recipe : str or None
        What made it; null where that is not recorded any more.
    raws : tuple of str
        The raw frames that it was made from.
    """

    file: str
    category: str
    sha256: str
    dataset: str | None
    step: str | None
    recipe: str | None
    raws: tuple[str, ...]


class StepForgotten(Fact, frozen=True, tag="not_recorded"):
    """A step on the way to a product that is not recorded any more."""

    key: str


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
    | FileUnusable
    | ChoiceMade
    | JobState
    | JobInputTaken
    | JobCondition
    | JobParameter
    | FileInSource
    | UsedByJobs
    | ProductMade
    | StepForgotten
    | Note
)
"""What data and plans tell; `kind` tells them apart."""


def lines_of(facts: Iterable[Fact]) -> tuple[str, ...]:
    """Return what facts say, line by line, each line once."""
    return tuple(dict.fromkeys(line for fact in facts for line in fact.text.split("\n")))
