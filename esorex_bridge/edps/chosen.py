"""A user's choices for jobs of a workflow package: put as a request, and its answer joined with the jobs of all.

A job that several targets share is changed for the one target alone for which something was chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.datasets.choices import Choices, split_key
from esorex_bridge.definitions.edps.planned_jobs import JobInput, PackageJob, PackageJobs, ReviewedJobs
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.errors import UserError
from esorex_bridge.workspace.scan import archive_name

ORIGIN = "review"
"""Where the value of a parameter comes from that was set in a review."""


class WantedJob(Struct, frozen=True):
    """What a user wants of one target job; `survey` says that he wants to see what else its inputs could take.

    Parameters
    ----------
    dataset : str
        Its name.
    task, reference : str
        The task, and the first main file.
    use : tuple of (str, str)
        (key, path) of files to take.
    drop : tuple of str
        Paths of files that are not there for it.
    replace : tuple of (str, str)
        (class, path) of own files.
    survey : bool
        Whether the answer is to have `slots`.
    """

    dataset: str
    task: str
    reference: str
    use: tuple[tuple[str, str], ...] = ()
    drop: tuple[str, ...] = ()
    replace: tuple[tuple[str, str], ...] = ()
    survey: bool = False


class Joined(Struct, frozen=True):
    """The jobs of all targets, with those of targets for which a user chose.

    Parameters
    ----------
    jobs : PackageJobs
        All of them, producers first.
    targets : mapping of str to int
        The number of the target job of each dataset.
    settings : mapping of int to tuple of ParameterSetting
        By job: what a user chose for its recipe.
    choices : mapping of str to Choices
        By dataset, of those that there are.
    made : int
        How many of the jobs the package makes by itself; those that follow are of the user.
    """

    jobs: PackageJobs
    targets: dict[str, int]
    settings: dict[int, tuple[ParameterSetting, ...]]
    choices: dict[str, Choices]
    made: int

    def find_needed(self) -> frozenset[int]:
        """Return the numbers of the target jobs, and of all that they need."""
        found: set[int] = set()
        waiting = list(self.targets.values())
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting += (given.job for given in needs_of(self.jobs.jobs[number]))
        return frozenset(found)


def needs_of(job: PackageJob) -> tuple[JobInput, ...]:
    """Return the jobs whose products a job takes."""
    return (*job.upstream, *(given for each in job.inputs for given in each.jobs))


def name_targets(jobs: PackageJobs) -> dict[str, int]:
    """Return the numbers of target jobs that run a recipe, by the names of their datasets.

    A dataset is named by the first main file; with the task where several targets start from it.
    """
    targets = [job for job in jobs.jobs if job.target and job.runs == "recipe"]
    references = [job.reference for job in targets]
    found: dict[str, int] = {}
    for job in targets:
        name = archive_name(Path(job.reference))
        stem = name if references.count(job.reference) == 1 else f"{name}_{job.task}"
        found[stem if stem not in found else f"{stem}_{job.job}"] = job.job
    return found


def ask_for(
    jobs: PackageJobs, targets: Mapping[str, int], choices: Mapping[str, Choices], survey: str, paths: Iterable[str]
) -> tuple[WantedJob, ...]:
    """Return what is asked of the child process for the datasets for which a user chose files.

    Parameters
    ----------
    jobs, targets : PackageJobs, mapping of str to int
        Of all files, without choices; their numbers by dataset.
    choices : mapping of str to Choices
        By dataset.
    survey : str
        The dataset of which it is asked what its inputs could take; empty for none.
    paths : iterable of str
        All files that there are.

    Raises
    ------
    UserError
        If a file that was chosen is not there, or several have its name.
    """
    by_name: dict[str, list[str]] = {}
    for path in paths:
        by_name.setdefault(archive_name(Path(path)), []).append(path)
    found = []
    for name, number in targets.items():
        chosen = choices.get(name, Choices())
        if not (chosen.use or chosen.drop or chosen.replace or name == survey):
            continue
        job = jobs.jobs[number]
        use = tuple((key, _locate(by_name, file, key, name)) for key, file in chosen.use)
        drop = tuple(path for file in chosen.drop for path in by_name.get(file, ()))
        own = tuple((category, str(_require(path, category, name))) for category, path in chosen.replace)
        found.append(WantedJob(name, job.task, job.reference, use, drop, own, name == survey))
    return tuple(found)


def _locate(by_name: Mapping[str, list[str]], file: str, key: str, dataset: str) -> str:
    found = by_name.get(file, [])
    if len(found) > 1:
        raise UserError(f"{file}, chosen for {key} of {dataset}, is the name of several files: {', '.join(found)}")
    if not found:
        raise UserError(f"{file}, chosen for {key} of {dataset}, is not among the data; {_mend(dataset)}")
    return found[0]


def _require(path: Path, category: str, dataset: str) -> Path:
    if not path.is_file():
        raise UserError(f"{path}, chosen as {category} for {dataset}, is not there; put it back, or {_mend(dataset)}")
    return path


def _mend(dataset: str) -> str:
    return f"take the choice back with 'esorex-bridge review {dataset} --workflow edps:… --reset'"


def refuse_idle(reviewed: Iterable[ReviewedJobs], choices: Mapping[str, Choices]) -> None:
    """Refuse choices for which nothing could be taken.

    Raises
    ------
    UserError
        If there is one; the message names the first.
    """
    for each in reviewed:
        name = each.dataset
        if not each.jobs:
            raise UserError(
                f"without the files that were left out in a review nothing is left of {name}; {_mend(name)}"
            )
        for key in each.idle:
            file = dict(choices[name].use).get(key)
            category, purpose = split_key(key)
            where = f" of purpose {purpose}" if purpose else ""
            text = (
                f"nothing in {name} takes {key}" if file is None else f"{file} is no alternative for {category}{where}"
            )
            raise UserError(
                f"{text}; 'esorex-bridge review {name} --workflow edps:…' lists those there are, or {_mend(name)}"
            )


def join(common: PackageJobs, targets: Mapping[str, int], choices: Mapping[str, Choices]) -> Joined:
    """Return the jobs of all targets, with those of reviewed targets in the place of what the package alone makes.

    What a review does not change stays one job for all targets.
    """
    present = {name: choices[name] for name in targets if choices.get(name)}
    jobs = list(common.jobs)
    known = {_identity(job, ()): job.job for job in reversed(common.jobs)}
    settings: dict[int, tuple[ParameterSetting, ...]] = {}
    numbers = dict(targets)
    reviewed = {each.dataset: each.jobs for each in common.reviewed if each.jobs}
    for name, chosen in present.items():
        own = tuple(ParameterSetting(recipe, key, value, ORIGIN) for recipe, key, value in chosen.parameters)
        moved: dict[int, int] = {}
        for job in reviewed.get(name) or _closure(common, targets[name]):
            given = tuple(each for each in own if each.recipe in (job.recipe or job.task, job.task))
            changed = _renumber(job, moved)
            number = known.setdefault(_identity(changed, given), len(jobs))
            if number == len(jobs):
                jobs.append(replace(changed, job=number))
                if given:
                    settings[number] = given
            moved[job.job] = number
            numbers[name] = number
    return Joined(replace(common, jobs=tuple(jobs)), numbers, settings, present, len(common.jobs))


def _closure(common: PackageJobs, target: int) -> tuple[PackageJob, ...]:
    """Return a job after all that it needs."""
    alone = Joined(common, {"": target}, {}, {}, len(common.jobs)).find_needed()
    return tuple(job for job in common.jobs if job.job in alone)


def _identity(job: PackageJob, settings: tuple[ParameterSetting, ...]) -> bytes:
    """Return what makes two jobs one: all but their number, and for which targets they are."""
    return msgspec.json.encode((replace(job, job=0, target=False), settings))


def _renumber(job: PackageJob, numbers: Mapping[int, int]) -> PackageJob:
    def move(given: JobInput) -> JobInput:
        return replace(given, job=numbers[given.job])

    inputs = (replace(each, jobs=tuple(map(move, each.jobs))) for each in job.inputs)
    return replace(job, upstream=tuple(map(move, job.upstream)), inputs=tuple(inputs))
