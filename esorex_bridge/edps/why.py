"""Why a file, a job or a task of a workflow package is what it is, as typed reasons."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from esorex_bridge.datasets.choices import tell_choices
from esorex_bridge.definitions.edps.planned_jobs import JobAssociation, PackageJob, PackageJobs
from esorex_bridge.edps.chosen import Joined
from esorex_bridge.files import stem
from esorex_bridge.plan.facts import (
    ChoiceMade,
    FileInSource,
    JobCondition,
    JobInputTaken,
    JobParameter,
    JobState,
    KnownFact,
    Message,
    UsedByJobs,
)
from esorex_bridge.workspace.scan import archive_name


def explain(joined: Joined, what: str) -> tuple[KnownFact, ...]:
    """Return what is known of a file, a dataset or a task; nothing where it is none."""
    jobs, needed = joined.jobs, joined.find_needed()
    name = archive_name(Path(what))
    chosen = tell_choices(joined.choices[what]) if what in joined.choices else ()
    facts: list[KnownFact] = [ChoiceMade(text, what) for text in chosen]
    for job in (job for job in jobs.jobs if job.job in needed):
        if what == job.task or name == archive_name(Path(job.reference)) or job.job == joined.targets.get(what):
            facts.extend(_about_job(jobs, job))
    for file, classes in jobs.classified.items():
        if archive_name(Path(file)) == name:
            facts.extend(_about_file(jobs, needed, file, classes))
    return tuple(dict.fromkeys(facts))


def _about_job(jobs: PackageJobs, job: PackageJob) -> Iterator[KnownFact]:
    of = job.task, _short(job.reference)
    state = "complete" if job.complete else "incomplete"
    said = f"{of[0]} of {of[1]}: {job.recipe or 'no recipe'} on {len(job.main)} files, {state}"
    yield JobState(said, *of, job.recipe, len(job.main), job.complete, job.missing, job.warnings)
    for given in job.upstream:
        maker = _label(jobs, given.job)
        yield JobInputTaken(f"  processes the products of {maker}", *of, "main", (), (maker,))
    for association in job.inputs:
        yield _describe_input(jobs, association, of)
    yield from (Message(f"  {text}", job.task, text) for text in (*job.missing, *job.warnings))
    for name, holds in job.answers.items():
        yield JobCondition(f"  {name}: {'holds' if holds else 'does not hold'}", *of, name, holds)
    for name, value in job.dynamic.items():
        yield JobParameter(f"  parameter {name} = {value} (by the package's function)", *of, name, str(value))


def _describe_input(jobs: PackageJobs, association: JobAssociation, of: tuple[str, str]) -> JobInputTaken:
    """Return what an input of a job, of which task and trigger are given, takes."""
    return JobInputTaken(
        f"  {association.name}: {_describe_taken(jobs, association)}",
        *of,
        input=association.name,
        files=tuple(_short(name) for name, _ in association.files),
        jobs=tuple(_label(jobs, given.job) for given in association.jobs),
        level=association.level,
        days=association.days,
        chosen=association.by_user,
    )


def _describe_taken(jobs: PackageJobs, association: JobAssociation) -> str:
    files = [f"{_short(name)} ({tag})" for name, tag in association.files]
    taken = [*files, *(_label(jobs, given.job) for given in association.jobs)]
    days = "" if association.days is None else f", {association.days:+g} days"
    level = "" if association.level is None else f", level {association.level}"
    chosen = ", chosen in a review" if association.by_user else ""
    return f"{', '.join(taken)}{level}{days}{chosen}"


def _about_file(
    jobs: PackageJobs, needed: Collection[int], file: str, classes: tuple[tuple[str, str], ...]
) -> Iterator[KnownFact]:
    short = _short(file)
    if not classes:
        said = f"{short}: no rule of the workflow's data sources or masters fits it"
        yield FileInSource(said, short, None, None)
    for source, tag in classes:
        yield FileInSource(f"{short}: {tag} in {source}", short, source, tag)
    used = tuple(
        f"{job.task} of {_short(job.reference)}" for job in jobs.jobs if job.job in needed and _takes(job, file)
    )
    said = f"{short}: used by {', '.join(used)}" if used else f"{short}: no job that the targets need takes it"
    yield UsedByJobs(said, short, used)


def _takes(job: PackageJob, file: str) -> bool:
    return any(file == name for name, _ in (*job.main, *(pair for each in job.inputs for pair in each.files)))


def _label(jobs: PackageJobs, number: int) -> str:
    job = jobs.jobs[number]
    return f"{job.task} of {_short(job.reference)}"


def _short(name: str) -> str:
    return stem(Path(name).name)
