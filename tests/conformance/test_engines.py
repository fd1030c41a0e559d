"""One suite for all engines: the local one, Parsl, and a real Slurm on this machine.

Every test runs a whole batch by the command line, because what counts is what becomes of the steps.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.batch_runs import (
    assert_accounted,
    await_that,
    batch_folder,
    end,
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
    start,
)
from tests.commands import PATIENCE_S
from tests.conformance.conftest import on
from tests.slurm_cluster import Cluster

pytestmark = pytest.mark.usefixtures("esorex")

SLOW_ONCE = """\
case "$PWD" in *jitter*)
    if grep -q T00:36 data.sof 2>/dev/null && mkdir {mark} 2>/dev/null; then exec sleep 60; fi
    if grep -q T00:42 data.sof 2>/dev/null; then exit 1; fi;;
esac"""


@pytest.mark.parametrize(
    ("engine", "generations"),
    [
        pytest.param("local", 2, id="local"),
        pytest.param("local", 1, id="supervisor"),
        pytest.param("slurm", 2, id="slurm", marks=pytest.mark.slow),
        pytest.param("parsl on slurm", 2, id="parsl on slurm", marks=pytest.mark.slow),
    ],
    indirect=["engine"],
)
def test_a_killed_worker_is_replaced_and_a_failed_recipe_is_told_and_all_else_is_made(
    engine: tuple[str, ...], generations: int, tmp_path: Path, frames_folder: Path, esorex: str
) -> None:
    root = make_root(tmp_path / "root", frames_folder, 4)
    env = stand_in(tmp_path / "bin", esorex, SLOW_ONCE.format(mark=tmp_path / "slow"))
    process = start(
        "batch", root / "jobs.yaml", "--root", root, "--name", "b", "--keep-going", "--json", *engine, env=env
    )
    try:
        await_that(lambda: (tmp_path / "slow").exists())
        (worker,) = await_that(lambda: workers_of_slow(root, generations))
        os.kill(worker, signal.SIGKILL)
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        end(process)
    report = report_of(subprocess.CompletedProcess((), process.returncode, out, err))
    assert process.returncode == 1, err
    assert (report["outcomes"]["done"], report["outcomes"]["failed"]) == (3, 1), err
    assert report["lost"] == 1
    assert recorded(root) == {"naco_img_dark": 1, "naco_img_twflat": 1, "naco_img_jitter": 3}
    # The lost attempt and its successor ran in folders of their own, and the lost recipe died with its worker.
    assert executions(root)["naco_img_jitter_1"] == 5
    assert not [words for pid, words in processes_in(root) if "sleep" in words or "naco_img" in words]
    (failed,) = [each for each in report["datasets"] if each["outcome"] == "failed"]
    assert "T00:42" in failed["dataset"]
    assert "failed with exit code 1" in failed["reasons"][0]
    assert_accounted(root)


def workers_of_slow(root: Path, generations: int) -> list[int]:
    """Return the worker whose recipe sleeps: one generation above it is the supervisor, two is the worker."""
    slow = [pid for pid, words in processes_in(root) if words.startswith("sleep 60")]
    for _ in range(generations):
        slow = [_parent(pid) for pid in slow]
    return slow


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize("engine", ["local", "slurm", "parsl"], indirect=True)
def test_a_batch_that_is_cancelled_from_another_shell_leaves_nothing_running(
    engine: tuple[str, ...], tmp_path: Path, frames_folder: Path, esorex: str
) -> None:
    root = make_root(tmp_path / "a root", frames_folder, 4)
    env = stand_in(tmp_path / "bin", esorex, 'case "$PWD" in *jitter*) exec sleep 60;; esac')
    process = start("batch", root / "jobs.yaml", "--root", root, "--name", "b", "--json", *engine, env=env)
    try:
        await_that(lambda: [words for _, words in processes_in(root) if words.startswith("sleep 60")])
        await_that(lambda: [each for each in events(root, "b") if each["event"] == "running"])
        report = report_of(run("batch", "cancel", "b", "--root", root, "--json"))
        process.communicate(timeout=PATIENCE_S)
    finally:
        end(process)
    assert report["state"] == "cancelled"
    assert report["outcomes"]["cancelled"] == 4
    await_that(lambda: not [words for _, words in processes_in(root) if "sleep" in words or "batch.worker" in words])
    assert recorded(root)["naco_img_jitter"] == 0
    # As many as run at a time may be cancelled after it was told that they begin, and before their recipes did.
    assert_accounted(root, killed=2)
    if engine[1] == "local":
        again = report_of(run("batch", "resume", "b", "--root", root, "--json"))
        assert again["outcomes"]["done"] == 4


@pytest.mark.parametrize("engine", ["local", pytest.param("slurm", marks=pytest.mark.slow)], indirect=True)
def test_two_batches_at_once_in_one_root_make_each_step_once(
    engine: tuple[str, ...], tmp_path: Path, frames_folder: Path, esorex: str
) -> None:
    root = make_root(tmp_path / "root", frames_folder, 2)
    # No recipe ends before both batches have planned all.
    both = " && ".join(f"[ -e {root}/reflex_book_keeping/batches/{name}/go ]" for name in "ab")
    env = stand_in(tmp_path / "bin", esorex, f'case "$PWD" in *dark*) while ! {{ {both}; }}; do sleep 0.1; done;; esac')
    words = ("batch", root / "jobs.yaml", "--root", root, "--json", *engine)
    with running(*words, "--name", "a", env=env) as one, running(*words, "--name", "b", env=env) as other:
        for name in "ab":
            tasks = batch_folder(root, name) / "tasks.jsonl"
            await_that(lambda tasks=tasks: tasks.exists() and len(tasks.read_text().splitlines()) == 4)
            (batch_folder(root, name) / "go").touch()
        reports = [report_of(ended(process)) for process in (one, other)]
    assert [report["outcomes"]["done"] for report in reports] == [2, 2]
    assert sum(executions(root).values()) == 4 == sum(recorded(root).values())
    assert sum(report["executed"] for report in reports) == 4
    assert len(list((root / "reflex_end_products").glob("*/*/*.fits"))) == 2
    assert_accounted(root)


def test_cleaning_beside_a_batch_leaves_all_that_it_needs(tmp_path: Path, frames_folder: Path, esorex: str) -> None:
    root = make_root(tmp_path / "root", frames_folder, 2)
    env = stand_in(tmp_path / "bin", esorex, 'case "$PWD" in *jitter*) exec sleep 60;; esac')
    words = ("batch", root / "jobs.yaml", "--root", root, "--name", "b")
    with running(*words, env=env) as process:
        await_that(lambda: executions(root)["naco_img_jitter_1"])
        refused = run("clean", "--root", root, "--yes")
        assert (refused.returncode, "the batch b is going on" in refused.stderr) == (1, True)
        process.kill()
    told = report_of(run("clean", "--root", root, "--yes", "--json"))
    assert [(each["batch"], each["state"]) for each in told["left_alone"]] == [("b", "interrupted")]
    assert {entry["reason"] for entry in told["folders"]} == {"left by a run that failed or was killed"}
    assert report_of(run("batch", "resume", "b", "--root", root, "--json"))["outcomes"]["done"] == 2
    assert executions(root)["naco_img_dark_1"] == executions(root)["naco_img_twflat_1"] == 1
    told = report_of(run("clean", "--root", root, "--yes", "--json"))
    assert (told["left_alone"], told["kept_for_batches"]) == ([], 4), "the jobs have parameters of their own"
    assert report_of(run("batch", "resume", "b", "--root", root, "--json"))["outcomes"]["reused"] == 2
    assert_accounted(root, killed=2)
    assert len(report_of(run("clean", "--root", root, "--without-batches", "--json"))["folders"]) == 4 * 3


def test_cleaning_after_a_detached_batch_removes_nothing_that_it_made(
    slurm: Cluster, tmp_path: Path, frames_folder: Path
) -> None:
    root = make_root(tmp_path / "root", frames_folder, 1)
    run("batch", root / "jobs.yaml", "--root", root, "--name", "b", *on("slurm", tmp_path), "--detach")
    await_that(lambda: len(list((batch_folder(root, "b") / "results").glob("*.json"))) == 3)
    await_that(lambda: not subprocess.run(["squeue", "-h"], capture_output=True, check=True).stdout)
    told = report_of(run("clean", "--root", root, "--yes", "--json"))
    assert [(each["batch"], each["state"]) for each in told["left_alone"]] == [("b", "detached")]
    assert told["folders"] == []
    resumed = run("batch", "resume", "b", "--root", root, "--json")
    assert report_of(resumed)["outcomes"]["reused"] == 1, resumed.stderr
    assert sum(executions(root).values()) == 3 == sum(recorded(root).values())
    assert_accounted(root)


def test_a_batch_in_slurm_outlives_the_bridge_and_is_taken_in_later(
    slurm: Cluster, tmp_path: Path, frames_folder: Path, esorex: str
) -> None:
    root = make_root(tmp_path / "root", frames_folder, 3)
    words = ("batch", root / "jobs.yaml", "--root", root, "--name", "b", *on("slurm", tmp_path))
    env = stand_in(
        tmp_path / "bin", esorex, f'case "$*" in *data.sof) cat /proc/$PPID/environ >> {tmp_path / "seen"};; esac'
    )
    left = report_of(run(*words, "--detach", "--json", env={**env, "ESO_PASSWORD": "secret", "ESO_USERNAME": "me"}))
    assert left["state"] == "detached"
    folder = root / "reflex_book_keeping" / "batches" / "b"
    await_that(lambda: len(list(folder.glob("results/*.json"))) == 5)
    seen = report_of(run("batch", "status", "b", "--root", root, "--json"))
    assert seen["outcomes"]["done"] == 3, "another shell sees it without Slurm and without the store"
    assert "secret" not in (tmp_path / "seen").read_text(errors="replace"), "no login reaches the cluster"
    assert not recorded(root), "nobody but a driver writes the store"
    taken = report_of(run("batch", "resume", "b", "--root", root, "--json"))
    assert sum(recorded(root).values()) == 5 == sum(executions(root).values())
    assert taken["outcomes"]["reused"] == 3
    assert len(list((root / "reflex_end_products").glob("*/*/*.fits"))) == 3


@pytest.mark.slow
def test_a_job_that_is_cancelled_in_slurm_is_told_and_not_run_again(
    slurm: Cluster, tmp_path: Path, frames_folder: Path, esorex: str
) -> None:
    root = make_root(tmp_path / "root", frames_folder, 3)
    env = stand_in(tmp_path / "bin", esorex, SLOW_ONCE.format(mark=tmp_path / "slow").replace("T00:42", "never"))
    words = ("batch", root / "jobs.yaml", "--root", root, "--name", "b", *on("slurm", tmp_path))
    process = start(*words, "--keep-going", "--json", env=env)
    try:
        await_that(lambda: (tmp_path / "slow").exists())
        slow = next(each["key"] for each in await_that(lambda: _datasets(root)) if "T00:36" in each["dataset"])
        job = next(each["ticket"] for each in events(root, "b") if each["event"] == "submitted" and each["key"] == slow)
        subprocess.run(["scancel", job], check=True, timeout=PATIENCE_S)
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        end(process)
    report = report_of(subprocess.CompletedProcess((), process.returncode, out, err))
    assert (report["outcomes"]["done"], report["outcomes"]["cancelled"]) == (2, 1)
    assert "cancelled in Slurm" in str(report["datasets"])
    assert not [words for _, words in processes_in(root) if "sleep" in words]
    assert executions(root)["naco_img_jitter_1"] == 3
    assert_accounted(root)


def _datasets(root: Path) -> list[dict[str, str]]:
    """Return each dataset with the key of its last step."""
    path = root / "reflex_book_keeping" / "batches" / "b" / "datasets.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        {"dataset": line["dataset"], "key": step["key"]}
        for line in lines
        if "dataset" in line
        for step in line["steps"]
        if step["recipe"] == "naco_img_jitter"
    ]
