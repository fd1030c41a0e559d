"""The package written for these tests, where it is present: its jobs, one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.definitions.edps.as_workflow import canonical
from esorex_bridge.definitions.edps.options import EdpsOptions
from esorex_bridge.definitions.edps.package import Package
from esorex_bridge.definitions.edps.parameters import choose_set
from esorex_bridge.definitions.edps.planned_jobs import PackageJob, PackageJobs
from esorex_bridge.edps.plan import plan_jobs
from esorex_bridge.edps.read import read_package
from esorex_bridge.edps.sources import gather_sources
from tests.edps.packages import job_of, sof

pytestmark = pytest.mark.real
REQUESTS = range(4)
MASTERS: dict[str, dict[str, Any]] = {
    "m1": {"pro.catg": "MASTER_IMG_FLAT", "ins.opti6.name": "J", "ins.opti7.name": "S13", "mjd-obs": 57447.0},
    "m2": {"pro.catg": "NACO_IMG_DARK_AVG", "det.dit": 30.0, "det.ncorrs.name": "Double_RdRstRd", "mjd-obs": 57440.0},
}


@pytest.fixture
def folder(real: Path) -> Path:
    place = real.parent / "edps"
    if not place.is_dir():
        pytest.skip("the test package is not present beside this checkout")
    return place


def jobs_of(
    folder: Path, cache: Path, options: EdpsOptions, more: dict[str, dict[str, Any]]
) -> tuple[Package, PackageJobs]:
    sources = gather_sources(folder / "naco", "naco_wkf")
    package = read_package(sources, cache=cache)
    window = {"instrume": "NAOS+CONICA", "det.win.nx": 512, "det.win.ny": 512}
    night = json.loads((folder / "night.json").read_text())
    files = {file.pop("name"): file for file in night} | {name: {**window, **each} for name, each in more.items()}
    headers = {name: {canonical(key): value for key, value in file.items()} for name, file in files.items()}

    def ask(keys: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        return {name: {key: header.get(key) for key in keys} for name, header in headers.items()}

    return package, plan_jobs(sources, package, ask, options)


def told(jobs: PackageJobs, job: PackageJob, recipes: dict[str, dict[str, str]]) -> dict[str, Any]:
    return {
        "task": job.task,
        "complete": job.complete,
        "main": [f"{name} {tag}" for name, tag in job.main],
        "associated": sorted(sof(jobs, job)[len(job.main) :]),
        "levels": {each.name: each.level for each in job.inputs},
        "parameters": {**job.parameters, **recipes.get(job.task, {})},
        "dynamic": job.dynamic,
    }


@pytest.mark.parametrize("number", REQUESTS)
def test_the_jobs_are_those_expected_one_by_one(folder: Path, tmp_path: Path, number: int) -> None:
    asked = json.loads((folder / "expected.json").read_text())[number]
    options = EdpsOptions(
        meta_targets=tuple(asked["targets"]),
        parameter_set=asked["set"],
        workflow_parameters=tuple(asked["workflow_parameters"].items()),
    )
    package, jobs = jobs_of(folder, tmp_path, options, {})
    recipes = choose_set(package.sets, asked["set"], package.name).recipes
    found = sorted((told(jobs, job, recipes) for job in jobs.jobs), key=lambda job: (job["task"], job["main"]))
    assert found == [{**job, "associated": sorted(job["associated"])} for job in asked["jobs"]]
    assert [task for name, task in package.unknown_tasks() if name == asked["set"]] == asked["unknown_tasks"]


def test_masters_of_any_branch_complete_a_job(folder: Path, tmp_path: Path) -> None:
    _, jobs = jobs_of(folder, tmp_path, EdpsOptions(), MASTERS)
    job = job_of(jobs, "jitter", "x1")
    assert job.complete
    assert sof(jobs, job) == ["x1 IM_JITTER_OBJ", "m1 MASTER_IMG_FLAT", "m2 NACO_IMG_DARK_AVG"]
    assert [(each.level, each.days) for each in job.inputs] == [(0, -2.25), (2, -9.25)]


def test_five_functions_are_reported_and_nothing_is_unknown(folder: Path, tmp_path: Path) -> None:
    package = read_package(gather_sources(folder / "naco", "naco_wkf"), cache=tmp_path)
    names = {function.name for function in package.description.call_backs()}
    assert names == {"is_twilight_flat", "dark_fits_flat", "which_band", "wants_dark", "errors_of_long_series"}
    assert package.description.not_understood == ()
