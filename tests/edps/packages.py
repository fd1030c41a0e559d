"""Small workflow packages for tests, and what asks them: written here, in our own words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

from esorex_bridge.definitions.edps.as_workflow import canonical
from esorex_bridge.definitions.edps.options import EdpsOptions
from esorex_bridge.definitions.edps.package import Package
from esorex_bridge.definitions.edps.planned_jobs import Event, PackageJob, PackageJobs
from esorex_bridge.edps.plan import plan_jobs
from esorex_bridge.edps.read import read_package
from esorex_bridge.edps.sources import Sources, gather_sources

LAMP = """
    from edps import SCIENCE, QC1_CALIB, ONE_DAY, ONE_WEEK, classification_rule, data_source, task

    bias_class = classification_rule("BIAS", {"instrume": "TOY", "pro.catg": None, "dpr.type": "BIAS"})
    lamp_class = classification_rule("LAMP", {"instrume": "TOY", "pro.catg": None, "dpr.type": "LAMP"})
    star_class = classification_rule("STAR", {"instrume": "TOY", "pro.catg": None, "dpr.type": ["OBJECT", "STD"]})
    MASTER_BIAS = classification_rule("MASTER_BIAS", {"pro.catg": "MASTER_BIAS"})
    MASTER_LAMP = classification_rule("MASTER_LAMP")

    biases = (data_source("BIASES").with_classification_rule(bias_class).with_grouping_keywords(["tpl.start"])
              .with_match_keywords(["det.read"], time_range=ONE_DAY, level=0)
              .with_match_keywords(["det.read"], time_range=ONE_WEEK, level=1).build())
    lamps = (data_source("LAMPS").with_classification_rule(lamp_class).with_grouping_keywords(["tpl.start"])
             .with_match_keywords(["det.read", "ins.filt"], time_range=ONE_WEEK, level=0).build())
    stars = data_source("STARS").with_classification_rule(star_class).with_grouping_keywords(["tpl.start"]).build()
"""
"""The head of a package of a toy instrument: three classes of raw frames, two of masters."""

TOY = (
    LAMP
    + """
    bias = task("bias").with_recipe("toy_bias").with_main_input(biases).with_meta_targets([QC1_CALIB]).build()
    lamp = (task("lamp").with_recipe("toy_lamp").with_main_input(lamps)
            .with_associated_input(bias, [MASTER_BIAS]).with_meta_targets([QC1_CALIB]).build())
    star = (task("star").with_recipe("toy_star").with_main_input(stars)
            .with_associated_input(bias, [MASTER_BIAS]).with_associated_input(lamp, [MASTER_LAMP], min_ret=0)
            .with_meta_targets([SCIENCE]).build())
"""
)
"""A whole package in which no task has a call-back."""


def write_package(root: Path, workflow: str, others: Mapping[str, str] | None = None, parameters: str = "") -> Sources:
    """Write a package `toy` and return its sources."""
    folder = root / "toy"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "__init__.py").write_text("")
    (folder / "toy_wkf.py").write_text(dedent(workflow))
    for name, text in (others or {}).items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(dedent(text))
    if parameters:
        (folder / "toy_parameters.yaml").write_text(dedent(parameters))
    return gather_sources(folder, "toy_wkf")


def read(root: Path, workflow: str, others: Mapping[str, str] | None = None, parameters: str = "") -> Package:
    """Return what a package says."""
    return read_package(write_package(root, workflow, others, parameters), cache=root / "cache")


def plan(
    root: Path,
    workflow: str,
    files: Mapping[str, Mapping[str, Any]],
    parameters: str = "",
    events: tuple[Event, ...] = (),
    **options: Any,
) -> PackageJobs:
    """Return the jobs that a package makes of files, given by name with their keywords."""
    sources = write_package(root, workflow, parameters=parameters)
    package = read_package(sources, cache=root / "cache")
    headers = {name: {canonical(key): value for key, value in header.items()} for name, header in files.items()}

    def ask(keys: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        return {name: {key: header.get(key) for key in keys} for name, header in headers.items()}

    return plan_jobs(sources, package, ask, EdpsOptions(**options), events)


def frame(kind: str, mjd: float, template: str = "", **more: Any) -> dict[str, Any]:
    """Return the header of a raw frame of the toy instrument."""
    header = {"instrume": "TOY", "dpr.type": kind, "mjd-obs": mjd, "tpl.start": template or f"T{mjd}"}
    return {
        **header,
        "det.read": "slow",
        "ins.filt": "Ks",
        **{key.replace("__", "."): each for key, each in more.items()},
    }


def master(category: str, mjd: float, **more: Any) -> dict[str, Any]:
    """Return the header of a product of the toy instrument."""
    return {**frame("", mjd, **more), "dpr.type": None, "pro.catg": category}


def job_of(jobs: PackageJobs, task: str, reference: str) -> PackageJob:
    """Return the job of a task that starts from a file."""
    return next(job for job in jobs.jobs if (job.task, job.reference) == (task, reference))


def sof(jobs: PackageJobs, job: PackageJob) -> list[str]:
    """Return what a job takes, as `file tag` and `<task of file> tag`, main files first."""
    taken = [f"{name} {tag}" for name, tag in job.main]
    named = [*job.upstream, *(given for each in job.inputs for given in each.jobs)]
    taken += [f"{name} {tag}" for each in job.inputs for name, tag in each.files]
    for given in named:
        of = jobs.jobs[given.job]
        taken += [f"<{of.task} of {of.reference}> {tag}" for tag in given.expected or ("*",)]
    return taken
