"""What happens to a batch on a real Slurm: refusals, limits, `scancel`, a controller that is away, odd names."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.definitions.folders import workflow_folder
from tests.batch_runs import (
    JOBS,
    assert_accounted,
    await_that,
    batch_folder,
    ended,
    events,
    executions,
    make_root,
    processes_in,
    recorded,
    report_of,
    run,
    running,
    stand_in,
)
from tests.conformance.conftest import on
from tests.flows.conftest import SMALL
from tests.slurm_cluster import Cluster, may_make_cgroups, slurm_cluster

pytestmark = pytest.mark.usefixtures("esorex", "slurm")

WAITING = 'case "$PWD" in *{step}*) touch {mark}.begun; while ! [ -e {mark} ]; do sleep 0.1; done;; esac'
"""A step that waits for a file."""


def batch(root: Path, folder: Path) -> tuple[object, ...]:
    """Return the words that begin a batch on Slurm."""
    return "batch", root / "jobs.yaml", "--root", root, "--name", "b", *on("slurm", folder), "--keep-going", "--json"


def tickets(root: Path, recipe: str) -> list[str]:
    """Return the jobs that were handed in for a recipe."""
    return [
        each["ticket"] for each in events(root, "b") if each["event"] == "submitted" and _recipe(root, each) == recipe
    ]


def _recipe(root: Path, event: dict[str, Any]) -> str:
    lines = (batch_folder(root, "b") / "tasks.jsonl").read_text().splitlines()
    return next(task["recipe"]["name"] for task in map(json.loads, lines) if task["key"] == event["key"])


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Return what a process says on stderr, up to the line that has some words in it."""
    assert process.stderr is not None
    said = ""
    while words not in said:
        line = process.stderr.readline()
        assert line, f"it ended, and said: {said}"
        said += line
    return said


def squeue(what: str, job: str) -> str:
    """Return what Slurm says of a job."""
    done = subprocess.run(
        ["squeue", "-h", "-t", "all", "-j", job, "-o", what], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def test_a_step_that_slurm_refuses_fails_with_the_reason_and_the_rest_is_made(
    tmp_path: Path, frames_folder: Path
) -> None:
    definition = tmp_path / "naco.yaml"
    text = (workflow_folder() / "naco.yaml").read_text()
    definition.write_text(
        text.replace("  - recipe: naco_img_jitter\n", "  - recipe: naco_img_jitter\n    memory_mb: 9999999\n")
    )
    root = make_root(tmp_path / "root", frames_folder, 2, f"workflow: {definition}\n{JOBS}")
    with running(*batch(root, tmp_path)) as process:
        done = ended(process)
        report, err = report_of(done), done.stderr
    assert report["outcomes"]["failed"] == 2, err
    assert all("sbatch" in str(each["reasons"]) for each in report["datasets"])
    assert recorded(root) == {"naco_img_dark": 1, "naco_img_twflat": 1}


def test_a_lost_worker_costs_no_more_time_or_memory(tmp_path: Path, frames_folder: Path, esorex: str) -> None:
    root = make_root(tmp_path / "root", frames_folder, 1)
    mark = tmp_path / "go"
    env = stand_in(tmp_path / "bin", esorex, WAITING.format(step="dark", mark=mark))
    with running(*batch(root, tmp_path), env=env) as process:
        await_that(Path(f"{mark}.begun").exists)
        submitted = (each for each in events(root, "b") if each["event"] == "submitted")
        dark = next(each["key"] for each in submitted if _recipe(root, each) == "naco_img_dark")
        (worker,) = [pid for pid, words in processes_in(root) if f" {dark} " in words]
        mark.touch()
        os.kill(worker, signal.SIGKILL)
        # The partition gives ten minutes, which is what a step asks for: twice that would wait for ever.
        done = ended(process)
        report, err = report_of(done), done.stderr
    assert (report["outcomes"]["done"], report["lost"]) == (1, 1), err
    first, second = tickets(root, "naco_img_dark")
    assert squeue("%l %m", first) == squeue("%l %m", second) == "10:00 200M"
    assert_accounted(root)


def test_a_job_that_slurm_will_never_begin_fails_with_the_reason(tmp_path: Path, frames_folder: Path) -> None:
    root = make_root(tmp_path / "root", frames_folder, 1)
    words = batch(root, tmp_path)
    (tmp_path / "site.yaml").write_text("slurm: {poll_s: 0.3, memory_mb: 200, minutes: 60}\n")
    with running(*words) as process:
        done = ended(process)
        report, err = report_of(done), done.stderr
    assert report["outcomes"]["failed"] == 1, err
    assert "PartitionTimeLimit" in str(report["datasets"])
    await_that(lambda: not subprocess.run(["squeue", "-h"], capture_output=True, text=True, check=True).stdout)


def test_what_waits_for_somebody_to_do_something_is_told(tmp_path: Path, frames_folder: Path) -> None:
    root = make_root(tmp_path / "root", frames_folder, 1)
    subprocess.run(["scontrol", "update", "PartitionName=main", "State=DOWN"], check=True)
    try:
        with running(*batch(root, tmp_path)) as process:
            said = read_until(process, "Slurm's reason PartitionDown")
            held = tickets(root, "naco_img_jitter")[0]
            subprocess.run(["scontrol", "hold", held], check=True)
            said += read_until(process, f"'scontrol release {held}' lets it begin")
            subprocess.run(["scontrol", "update", "PartitionName=main", "State=UP"], check=True)
            subprocess.run(["scontrol", "release", held], check=True)
            done = ended(process)
    finally:
        subprocess.run(["scontrol", "update", "PartitionName=main", "State=UP"], check=True)
    assert (said + done.stderr).count("PartitionDown") == 1
    assert report_of(done)["outcomes"]["done"] == 1, done.stderr


def test_a_job_that_is_cancelled_while_it_waits_for_another_stays_cancelled(
    tmp_path: Path, frames_folder: Path, esorex: str
) -> None:
    root = make_root(tmp_path / "root", frames_folder, 2)
    mark = tmp_path / "go"
    env = stand_in(tmp_path / "bin", esorex, WAITING.format(step="dark", mark=mark))
    with running(*batch(root, tmp_path), env=env) as process:
        await_that(lambda: len(tickets(root, "naco_img_jitter")) == 2)
        job = tickets(root, "naco_img_jitter")[0]
        await_that(lambda: squeue("%T %r", job) == "PENDING Dependency")
        subprocess.run(["scancel", job], check=True)
        await_that(lambda: any(each["event"] == "cancelled" for each in events(root, "b")))
        mark.touch()
        done = ended(process)
        report, err = report_of(done), done.stderr
    assert (report["outcomes"]["done"], report["outcomes"]["cancelled"]) == (1, 1), err
    assert "cancelled in Slurm" in err
    resumed = report_of(run("batch", "resume", "b", "--root", root, "--json"))
    assert (resumed["outcomes"]["reused"], resumed["outcomes"]["cancelled"]) == (1, 1)
    assert executions(root)["naco_img_jitter_1"] == 1
    again = report_of(run("batch", "retry", "b", "--root", root, "--json"))
    assert again["outcomes"]["done"] == 1
    assert executions(root)["naco_img_jitter_1"] == 2 == recorded(root)["naco_img_jitter"]
    assert_accounted(root)


def test_a_controller_that_is_away_ends_nothing(
    slurm: Cluster, tmp_path: Path, frames_folder: Path, esorex: str
) -> None:
    root = make_root(tmp_path / "root", frames_folder, 1)
    mark = tmp_path / "go"
    env = stand_in(tmp_path / "bin", esorex, WAITING.format(step="dark", mark=mark))
    with running(*batch(root, tmp_path), env=env) as process:
        await_that(Path(f"{mark}.begun").exists)
        slurm.stop_controller()
        try:
            said = read_until(process, "controller does not answer")
            mark.touch()
            results = batch_folder(root, "b") / "results"
            await_that(lambda: list(results.glob("*.json")))
        finally:
            slurm.start_controller()
        done = ended(process)
        report, err = report_of(done), done.stderr
    assert "nothing new begins" in said
    assert "answers again" in err
    assert (report["outcomes"]["done"], report["lost"]) == (1, 0), err
    assert sum(executions(root).values()) == 3 == sum(recorded(root).values())


def test_a_step_asks_for_what_its_recipe_took_where_nobody_names_it(
    tmp_path: Path, frames_folder: Path, esorex: str
) -> None:
    root = make_root(tmp_path / "root", frames_folder, 1)
    greedy = f"{shlex.quote(sys.executable)} -c 'taken = bytearray(300 << 20)'"
    env = stand_in(tmp_path / "bin", esorex, f'case "$PWD" in *dark*) {greedy};; esac')
    first = run("run", "--root", root, "--json", *SMALL, env=env)
    usage = next(
        step["usage"] for step in report_of(first)["datasets"][0]["steps"] if step["recipe"] == "naco_img_dark"
    )
    words = batch(root, tmp_path)
    (tmp_path / "site.yaml").write_text("slurm: {poll_s: 0.3}\n")
    with running(*words, "--force", "naco_img_dark", env=env) as process:
        done = ended(process)
        report, err = report_of(done), done.stderr
    assert report["outcomes"]["done"] == 1, err
    (dark,) = tickets(root, "naco_img_dark")
    memory = -(-round(1.25 * usage["memory_bytes"]) // 2**20) + 150
    assert squeue("%m %l %C", dark) == f"{memory}M 5:00 1"


@pytest.mark.parametrize("memory", ["cgroups", "sampled"])
def test_a_step_that_takes_too_much_memory_is_made_with_twice_as_much(
    memory: str, tmp_path: Path, frames_folder: Path, esorex: str
) -> None:
    if memory == "cgroups" and not may_make_cgroups():
        pytest.skip("this machine lets only root limit memory by cgroups of version 1")
    root = make_root(tmp_path / "root", frames_folder, 1)
    greedy = f"{shlex.quote(sys.executable)} -c 'import time; taken = bytearray(250 << 20); time.sleep(2.5)' || exit 1"
    env = stand_in(tmp_path / "bin", esorex, f'case "$PWD" in *dark*) {greedy};; esac')
    with slurm_cluster(tmp_path / "cluster", memory), running(*batch(root, tmp_path), env=env) as process:
        done = ended(process)
        report, err = report_of(done), done.stderr
        assert (report["outcomes"]["done"], report["lost"]) == (1, 1), f"{err}{report}"
        first, second = tickets(root, "naco_img_dark")
        assert (squeue("%m", first), squeue("%m", second)) == ("200M", "400M")
    assert "it was out of memory" in err
    assert sum(executions(root).values()) == 4 == sum(recorded(root).values()) + report["lost"]
    assert_accounted(root)


def test_a_full_queue_ends_nothing_and_stops_nobody_from_cancelling(tmp_path: Path, frames_folder: Path) -> None:
    root = make_root(tmp_path / "root", frames_folder, 3)
    with slurm_cluster(tmp_path / "cluster", most_jobs=4), running(*batch(root, tmp_path)) as process:
        await_that(lambda: sum(recorded(root).values()) == 3)
        began = time.monotonic()
        report = report_of(run("batch", "cancel", "b", "--root", root, "--json"))
        assert time.monotonic() - began < 60
        err = ended(process).stderr
    assert err.count("takes no more jobs at present") == 1, err
    assert (report["outcomes"]["done"], report["outcomes"]["failed"]) == (1, 0), report
    assert sum(executions(root).values()) == 3 == sum(recorded(root).values())


@pytest.mark.slow
def test_what_finds_a_full_queue_is_handed_in_as_others_end(tmp_path: Path, frames_folder: Path) -> None:
    root = make_root(tmp_path / "root", frames_folder, 3)
    with slurm_cluster(tmp_path / "cluster", most_jobs=4), running(*batch(root, tmp_path)) as process:
        done = ended(process, 200)
        report, err = report_of(done), done.stderr
    assert "takes no more jobs at present" in err
    assert (report["outcomes"]["done"], report["lost"]) == (3, 0), err
    assert sum(executions(root).values()) == 5 == sum(recorded(root).values())


def test_signs_in_a_path_mean_nothing_to_slurm(tmp_path: Path, frames_folder: Path) -> None:
    root = make_root(tmp_path / "50%j of a night", frames_folder, 1)
    words = batch(root, tmp_path)
    (tmp_path / "site.yaml").write_text("environment: [echo here]\nslurm: {poll_s: 0.3, memory_mb: 200}\n")
    with running(*words) as process:
        done = ended(process)
        report, err = report_of(done), done.stderr
    assert report["outcomes"]["done"] == 1, err
    outputs = list((batch_folder(root, "b") / "slurm").glob("*.out"))
    assert [path.read_text() for path in outputs] == ["here\n"] * 3


@pytest.mark.parametrize("name", ["m31,deep", "../../../evil", ".."])
def test_a_name_that_slurm_or_a_folder_would_read_otherwise_is_refused(
    name: str, tmp_path: Path, frames_folder: Path
) -> None:
    root = make_root(tmp_path / "root", frames_folder, 1)
    for words in (("batch", root / "jobs.yaml", "--name", name), ("batch", "cancel", name)):
        done = run(*words, "--root", root)
        assert done.returncode == 1
        assert "letters, digits" in done.stderr
    assert not (tmp_path / "evil").exists()
    assert not list(root.glob("reflex_book_keeping/batches/*"))
