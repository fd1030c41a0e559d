"""Why a file, a job or a task of a workflow package is what it is, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from esorex_bridge.datasets.choices import tell_choices
from esorex_bridge.definitions.edps.planned_jobs import JobAssociation, PackageJob, PackageJobs
from esorex_bridge.edps.chosen import Joined
from esorex_bridge.files import stem
from esorex_bridge.workspace.scan import archive_name


def explain(joined: Joined, what: str) -> tuple[str, ...]:
    """Return what is known of a file, a dataset or a task; nothing where it is none."""
    jobs, needed = joined.jobs, joined.find_needed()
    name = archive_name(Path(what))
    lines: list[str] = list(tell_choices(joined.choices[what])) if what in joined.choices else []
    for job in (job for job in jobs.jobs if job.job in needed):
        if what == job.task or name == archive_name(Path(job.reference)) or job.job == joined.targets.get(what):
            lines.extend(_about_job(jobs, job))
    for file, classes in jobs.classified.items():
        if archive_name(Path(file)) == name:
            lines.extend(_about_file(jobs, needed, file, classes))
    return tuple(dict.fromkeys(lines))


def _about_job(jobs: PackageJobs, job: PackageJob) -> Iterator[str]:
    state = "complete" if job.complete else "incomplete"
    yield f"{job.task} of {_short(job.reference)}: {job.recipe or 'no recipe'} on {len(job.main)} files, {state}"
    for given in job.upstream:
        yield f"  processes the products of {_label(jobs, given.job)}"
    for association in job.inputs:
        yield f"  {association.name}: {_describe_taken(jobs, association)}"
    yield from (f"  {text}" for text in (*job.missing, *job.warnings))
    yield from (f"  {name}: {'holds' if holds else 'does not hold'}" for name, holds in job.answers.items())
    yield from (f"  parameter {name} = {value} (by the package's function)" for name, value in job.dynamic.items())


def _describe_taken(jobs: PackageJobs, association: JobAssociation) -> str:
    files = [f"{_short(name)} ({tag})" for name, tag in association.files]
    taken = [*files, *(_label(jobs, given.job) for given in association.jobs)]
    days = "" if association.days is None else f", {association.days:+g} days"
    level = "" if association.level is None else f", level {association.level}"
    chosen = ", chosen in a review" if association.by_user else ""
    return f"{', '.join(taken)}{level}{days}{chosen}"


def _about_file(
    jobs: PackageJobs, needed: Collection[int], file: str, classes: tuple[tuple[str, str], ...]
) -> Iterator[str]:
    short = _short(file)
    if not classes:
        yield f"{short}: no rule of the workflow's data sources or masters fits it"
    for source, tag in classes:
        yield f"{short}: {tag} in {source}"
    used = [f"{job.task} of {_short(job.reference)}" for job in jobs.jobs if job.job in needed and _takes(job, file)]
    yield f"{short}: used by {', '.join(used)}" if used else f"{short}: no job that the targets need takes it"


def _takes(job: PackageJob, file: str) -> bool:
    return any(file == name for name, _ in (*job.main, *(pair for each in job.inputs for pair in each.files)))


def _label(jobs: PackageJobs, number: int) -> str:
    job = jobs.jobs[number]
    return f"{job.task} of {_short(job.reference)}"


def _short(name: str) -> str:
    return stem(Path(name).name)
