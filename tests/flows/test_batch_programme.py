"""Many datasets at once: every distinct step once, nothing twice, and exactly what a change reaches again."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from astropy.io import fits

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.archive.exchange import HttpReply, HttpRequest
from esorex_bridge.demo.archive.faults import Fault
from esorex_bridge.demo.nights.naco import naco_night
from tests.batch_runs import (
    COMMAND,
    JOBS,
    await_that,
    events,
    executions,
    make_root,
    recorded,
    report_of,
    run,
    stand_in,
)
from tests.commands import PATIENCE_S
from tests.flows.conftest import SMALL

pytestmark = pytest.mark.usefixtures("esorex")
SHARED = 2
"""One dark and one flat serve all datasets."""


def changed(path: Path) -> None:
    """Change one pixel."""
    with fits.open(path, mode="update") as stream:
        stream[0].data[3, 5] += 1


def programme(root: Path, frames: Path, datasets: int) -> None:
    """Reduce, reduce again, change a science frame, then a dark, and count."""
    make_root(root, frames, datasets)
    words = ("batch", root / "jobs.yaml", "--root", root, "--jobs", 2, "--json")
    first = report_of(run(*words, "--name", "first"))
    assert first["outcomes"]["done"] == datasets
    assert first["executed"] == datasets + SHARED == sum(executions(root).values())
    assert recorded(root) == {"naco_img_dark": 1, "naco_img_twflat": 1, "naco_img_jitter": datasets}
    products = [path for dataset in first["datasets"] for path in dataset["end_products"]]
    assert len(products) == datasets
    assert all(fits.getval(path, "HIERARCH ESO PRO CATG") == "COADDED_IMG" for path in products[:3])

    second = report_of(run(*words, "--name", "second"))
    assert (second["executed"], second["outcomes"]["reused"]) == (0, datasets)

    folder = root / "reflex_input" / "data_with_raw_calibs"
    science = sorted(folder.glob("*.fits"))[-1]
    changed(science)
    third = report_of(run(*words, "--name", "third"))
    assert third["executed"] == 1
    assert [each["outcome"] for each in third["datasets"]].count("done") == 1

    dark = next(path for path in sorted(folder.glob("NACO*.fits")) if fits.getval(path, "HIERARCH ESO DET DIT") == 10.0)
    changed(dark)
    fourth = report_of(run(*words, "--name", "fourth"))
    assert fourth["executed"] == 1 + datasets, "the dark, and all that is made with it; not the flat"
    assert recorded(root)["naco_img_twflat"] == 1


@pytest.mark.parametrize(
    "datasets", [4, pytest.param(30, marks=pytest.mark.slow), pytest.param(200, marks=pytest.mark.slow)]
)
def test_a_batch_makes_each_distinct_step_once_and_a_change_reaches_exactly_its_descendants(
    tmp_path: Path, frames_folder: Path, datasets: int
) -> None:
    programme(tmp_path / "root", frames_folder, datasets)


def test_a_dataset_begins_while_files_of_others_are_still_fetched(tmp_path: Path, frames_folder: Path) -> None:
    root, night = tmp_path / "root", naco_night(npix=128, templates=4)
    last = night.science[-1].dp_id

    class Holding(EmbeddedArchive):
        """Gives the last frame away once a recipe has begun."""

        def answer(self, request: HttpRequest) -> HttpReply:
            if unquote(request.path).endswith(f"/file/{last}"):
                await_that(lambda: any(event["event"] == "running" for event in events(root, "b")))
            return super().answer(request)

    with Holding([night], frames_folder) as archive:
        words = ("--archive", archive.url, "--root", root, "--json", "--name", "b", *SMALL)
        report = report_of(run("batch", "--program", "60.A-9999(A)", *words))
    assert report["outcomes"]["done"] == 4
    assert report["executed"] == 4 + SHARED
    assert list((root / "reflex_input" / "data_with_raw_calibs").glob(f"{last}.fits*"))


def test_what_is_downgraded_is_made_of_the_raw_calibrations_among_which_it_lies(
    tmp_path: Path, frames_folder: Path
) -> None:
    root = tmp_path / "root"
    with EmbeddedArchive([naco_night(npix=128, templates=2)], frames_folder) as archive:
        archive.fault(Fault.DOWNGRADE)
        words = ("--mode", "master", "--archive", archive.url, "--root", root, "--json", *SMALL)
        report = report_of(run("batch", "--program", "60.A-9999(A)", *words))
        assert report["outcomes"]["done"] == 2
        again = report_of(run("reduce", "--program", "60.A-9999(A)", *words))
    assert (again["executed"], len(again["datasets"])) == (0, 2)
    assert {each["requested"] for each in again["datasets"]} == {"Raw2Master"}
    folder = root / "reflex_input"
    assert not list(folder.glob("data_with_processed_calibs/*.fits*"))
    assert len(list(folder.glob("data_with_raw_calibs/*.xml"))) == 2


def test_what_calselector_cannot_give_is_reported_and_the_rest_is_made(tmp_path: Path, frames_folder: Path) -> None:
    root = make_root(tmp_path / "root", frames_folder, 2)
    jobs = JOBS + "  - name: elsewhere\n    datasets: [NACO.2001-01-01T00:00:00.000_tpl]\n"
    (root / "jobs.yaml").write_text(jobs)
    done = run("batch", root / "jobs.yaml", "--root", root, "--json")
    report = report_of(done)
    assert done.returncode == 1
    assert report["outcomes"]["done"] == 2
    (missing,) = [each for each in report["datasets"] if each["outcome"] == "incomplete"]
    assert missing["job"] == "elsewhere"
    assert "has no dataset" in missing["reasons"][0]


def test_a_sweep_makes_one_product_for_each_value_and_shares_what_does_not_depend_on_it(
    tmp_path: Path, frames_folder: Path
) -> None:
    jobs = JOBS + "    sweep:\n      naco_img_jitter: {rej: ['1 1', '2 2', '0 0']}\n"
    root = make_root(tmp_path / "root", frames_folder, 2, jobs)
    report = report_of(run("batch", root / "jobs.yaml", "--root", root, "--json"))
    assert report["outcomes"]["done"] == 6
    assert report["executed"] == 6 + SHARED
    names = {each["dataset"].partition("@")[2] for each in report["datasets"]}
    assert names == {"rej=1_1", "rej=2_2", "rej=0_0"}
    assert len({path for each in report["datasets"] for path in each["end_products"]}) == 6


def test_a_wrong_parameter_is_refused_before_anything_runs(tmp_path: Path, frames_folder: Path) -> None:
    root = make_root(tmp_path / "root", frames_folder, 1, JOBS.replace("{r:", "{rr:"))
    done = run("batch", root / "jobs.yaml", "--root", root)
    assert done.returncode == 1
    assert "has no parameter 'rr'" in done.stderr
    assert f"{root / 'jobs.yaml'}:" in done.stderr
    assert not executions(root)


def test_the_products_are_those_of_a_plain_run(tmp_path: Path, frames_folder: Path) -> None:
    by_batch, by_run = tmp_path / "batch", tmp_path / "run"
    make_root(by_batch, frames_folder, 1)
    shutil.copytree(by_batch, by_run)
    report = report_of(run("batch", by_batch / "jobs.yaml", "--root", by_batch, "--json"))
    plain = report_of(run("run", "--root", by_run, "--json", *SMALL))
    (mine,), (theirs,) = report["datasets"][0]["end_products"], plain["datasets"][0]["end_products"]
    assert fits.getval(mine, "DATASUM") == fits.getval(theirs["path"], "DATASUM")
    after = report_of(run("run", "--root", by_batch, "--json", *SMALL))
    assert after["executed"] == 0, "a run reuses what a batch made"


def test_the_cluster_engine_is_loaded_only_where_it_is_asked_for() -> None:
    loaded = "print(*(name in sys.modules for name in ('parsl', 'rich', 'astropy', 'requests')))"
    code = f"import sys, esorex_bridge.cli.batch, esorex_bridge.batch.start; {loaded}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"] * 4


def test_a_dry_run_tells_what_would_be_made_and_changes_nothing(tmp_path: Path, frames_folder: Path) -> None:
    root = make_root(tmp_path / "root", frames_folder, 3)
    words = ("batch", root / "jobs.yaml", "--root", root, "--json")
    before = report_of(run(*words, "--dry-run"))
    assert before["recipes"] == {"naco_img_dark": 1, "naco_img_twflat": 1, "naco_img_jitter": 3}
    assert not (root / "reflex_book_keeping" / "batches").exists()
    assert not executions(root)
    run(*words)
    after = report_of(run(*words, "--dry-run"))
    assert (after["recipes"], after["reused"]) == ({}, 5)


def test_on_a_terminal_the_batch_shows_what_runs_in_a_few_lines(
    tmp_path: Path, frames_folder: Path, esorex: str
) -> None:
    root = make_root(tmp_path / "root", frames_folder, 2)
    command = f"{shlex.quote(COMMAND)} batch {root / 'jobs.yaml'} --root {root} --jobs 1"
    typescript = tmp_path / "typescript"
    # The recipe goes on when it has been shown.
    wait = f"while ! grep -q 'naco_img_jitter_1 of' {typescript}; do sleep 0.1; done"
    env = stand_in(tmp_path / "bin", esorex, f'case "$PWD" in *jitter*) {wait};; esac')
    words = ["script", "-qefc", command, str(typescript)]
    quiet = {"stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    subprocess.run(words, check=True, env={**os.environ, **env}, timeout=PATIENCE_S, **quiet)
    shown = typescript.read_text(errors="replace")
    assert "naco_img_jitter_1 of NACO.2016-03-02T00:3" in shown
    assert "running" in shown
    assert "begun:" not in shown
