"""Jobs of a workflow package as values: what the child process plans, and what a user may choose of it."""

from __future__ import annotations

from msgspec import Struct

from esorex_bridge.definitions.edps.package import Plain


class Event(Struct, frozen=True):
    """A change of the instrument that no association crosses (a breakpoint).

    Parameters
    ----------
    mjd : float
        When it happened.
    instruments : tuple of str
        What the instrument is called; empty for all.
    raws, masters : str
        Tag of the raws and `PRO.CATG` of the masters concerned; empty or `ANY` for all.
    """

    mjd: float
    instruments: tuple[str, ...] = ()
    raws: str = ""
    masters: str = ""


class JobInput(Struct, frozen=True):
    """Products of another job.

    Parameters
    ----------
    job : int
        Its number.
    expected : tuple of str
        Categories that the package names.
    keep : tuple of str or None
        The categories that come into the SOF: the expected ones, and others that are welcome; None: all.
    drop : tuple of str
        Categories that stay out.
    renamed : dict of str to str
        Other tags in the SOF, by category.
    """

    job: int
    expected: tuple[str, ...] = ()
    keep: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    renamed: dict[str, str] = {}


class JobAssociation(Struct, frozen=True):
    """What one associated input of a job is: files as (name, tag), or jobs; with level and days, and who chose it."""

    name: str
    level: int | None
    days: float | None
    files: tuple[tuple[str, str], ...] = ()
    jobs: tuple[JobInput, ...] = ()
    by_user: bool = False


COPIES = ("copy_all", "copy_upstream")
"""Jobs that hand on their inputs, all or those of other tasks, and run nothing."""


class PackageJob(Struct, frozen=True):
    """A job as the child process plans it.

    It `runs` a `recipe`, a `function` (or command) that is not run here, one of `COPIES`, or `nothing`. `answers` are
    those of the conditions of the task and its inputs, and of the functions by which something was associated.
    """

    job: int
    task: str
    recipe: str | None
    runs: str
    target: bool
    reference: str
    main: tuple[tuple[str, str], ...]
    upstream: tuple[JobInput, ...]
    inputs: tuple[JobAssociation, ...]
    parameters: dict[str, str]
    dynamic: dict[str, Plain]
    complete: bool
    missing: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    answers: dict[str, bool] = {}


class InputOffer(Struct, frozen=True):
    """What one input of a job could take by an association rule, or takes.

    Parameters
    ----------
    file, tag : str
        It, or the first main file of the job that makes it; and the tag of that.
    files : tuple of str
        The file, or all raw files of the job.
    taken : bool
        Whether it is.
    level : int or None
        Of the first rule that allows it.
    days : float or None
        From the trigger to it.
    match : str
        The keywords, or the function, of the rule; of what no rule allows, why.
    lacks : str
        What makes the job incomplete.
    """

    file: str
    tag: str
    files: tuple[str, ...]
    taken: bool
    level: int | None
    days: float | None
    match: str
    lacks: str = ""


class InputSlot(Struct, frozen=True):
    """One input of one job, by the purpose of the job.

    Parameters
    ----------
    purpose : str
        The tasks from the job up to the target.
    input : str
        The task or data source, the first of alternatives; the second input of one job that is of it, with `#2`.
    names : tuple of str
        What it may be called: also the tags of its classes and raws.
    offers : tuple of InputOffer
        What it could take.
    """

    purpose: str
    input: str
    names: tuple[str, ...]
    offers: tuple[InputOffer, ...]


class ReviewedJobs(Struct, frozen=True):
    """The job of one dataset as a user wants it.

    Parameters
    ----------
    dataset : str
        Its name.
    jobs : tuple of PackageJob
        The target, last, and all it needs; none where no main file is left.
    idle : tuple of str
        Keys and classes of choices for which nothing could be taken.
    outside : tuple of (str, str, str)
        (key, file, why) of choices that no association rule allows.
    slots : tuple of InputSlot
        What its inputs could take, where that was asked.
    """

    dataset: str
    jobs: tuple[PackageJob, ...] = ()
    idle: tuple[str, ...] = ()
    outside: tuple[tuple[str, str, str], ...] = ()
    slots: tuple[InputSlot, ...] = ()


class PackageJobs(Struct, frozen=True):
    """All jobs for a request, producers first.

    Parameters
    ----------
    jobs : tuple of PackageJob
        Those of the targets, and all they need.
    messages : tuple of str
        What is worth telling.
    asked : tuple of str
        Keywords that were wanted and not sent.
    no_target : str
        Why there is no target; empty where there is one.
    refused : tuple of str
        What the package tried that it may not do.
    classified : dict of str to tuple of (str, str)
        Of each file, the data sources (or `masters`) that it is in, with the tag that it has there.
    refused_files : dict of str to (str, str)
        Of main files of which a task makes no job, `few` or `condition`, and the particulars.
    reviewed : tuple of ReviewedJobs
        Of the datasets for which a user chose.
    """

    jobs: tuple[PackageJob, ...] = ()
    messages: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    no_target: str = ""
    refused: tuple[str, ...] = ()
    classified: dict[str, tuple[tuple[str, str], ...]] = {}
    refused_files: dict[str, tuple[str, str]] = {}
    reviewed: tuple[ReviewedJobs, ...] = ()
