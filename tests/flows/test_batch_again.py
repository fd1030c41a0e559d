"""A batch that is killed, cancelled or meets failures: nothing is lost, nothing is made twice, all is told."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.batch import ledger
from esorex_bridge.cli import main
from esorex_bridge.run.delivery import EndProducts, deliver_all
from tests.batch_runs import (
    assert_accounted,
    await_that,
    batch_folder,
    end,
    events,
    executions,
    make_root,
    processes_in,
    recorded,
    report_of,
    run,
    stand_in,
    start,
)
from tests.commands import PATIENCE_S

DATASETS = 8
SLOW = pytest.mark.slow


def survive(root: Path, kills: int, seed: int) -> None:
    """Kill a batch at random points, go on each time, and count what was recorded."""
    chance = random.Random(seed)
    words: tuple[object, ...] = ("batch", root / "jobs.yaml", "--root", root, "--name", "b")
    for _ in range(kills):
        before = recorded(root)
        process = start(*words, "--jobs", 2)
        time.sleep(chance.uniform(0.1, 1.3))
        process.send_signal(chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]))
        process.communicate(timeout=PATIENCE_S)
        await_that(lambda: not processes_in(root))
        assert not before - recorded(root), "a step that was recorded is not recorded any more"
        if (batch_folder(root, "b") / "batch.json").exists():
            words = ("batch", "resume", "b", "--root", root)
    report = report_of(run(*words, "--json"))
    assert "error" not in report, report
    assert {each["outcome"] for each in report["datasets"]} <= {"done", "reused"}
    assert recorded(root) == {"naco_img_dark": 1, "naco_img_twflat": 1, "naco_img_jitter": DATASETS}
    products = list((root / "reflex_end_products").glob("*/*/*.fits"))
    assert len(products) == DATASETS
    assert report_of(run("batch", "resume", "b", "--root", root, "--json"))["executed"] == 0
    assert_accounted(root, killed=2 * kills)


def test_a_batch_that_is_killed_at_random_points_completes_with_each_step_recorded_once(
    tmp_path: Path, frames_folder: Path, esorex: str
) -> None:
    survive(make_root(tmp_path / "root", frames_folder, DATASETS), kills=3, seed=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(11, 18))
def test_a_batch_that_is_killed_at_seventy_points_completes(
    tmp_path: Path, frames_folder: Path, esorex: str, seed: int
) -> None:
    survive(make_root(tmp_path / "root", frames_folder, DATASETS), kills=10, seed=seed)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), pytest.param(signal.SIGHUP, 129, marks=SLOW)],
)
def test_an_interrupt_leaves_nothing_running_and_says_how_to_go_on(
    tmp_path: Path, frames_folder: Path, esorex: str, number: signal.Signals, code: int
) -> None:
    root = make_root(tmp_path / "root", frames_folder, 2)
    env = stand_in(tmp_path / "bin", esorex, 'case "$*" in *jitter*sof) sleep 60;; esac')
    process = start("batch", root / "jobs.yaml", "--root", root, "--name", "b", "--jobs", 2, env=env)
    try:
        await_that(
            lambda: (
                any(each["event"] == "running" for each in events(root, "b")) and executions(root)["naco_img_jitter_1"]
            )
        )
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE_S)
    finally:
        end(process)
    assert process.returncode == code, err
    assert processes_in(root) == []
    status = report_of(run("batch", "status", "b", "--root", root, "--json"))
    assert status["state"] == "interrupted"
    assert "batch resume b" in " ".join(status["next"])
    assert report_of(run("batch", "resume", "b", "--root", root, "--json"))["outcomes"]["done"] == 2


def test_a_failed_recipe_stops_what_needs_it_and_retry_makes_it_later(
    tmp_path: Path, frames_folder: Path, esorex: str
) -> None:
    root = make_root(tmp_path / "root", frames_folder, 3)
    broken = tmp_path / "broken"
    broken.touch()
    script = f'case "$PWD $*" in *jitter*sof) grep -q T00:36 data.sof && test -e {broken} && exit 1;; esac'
    env = stand_in(tmp_path / "bin", esorex, script)
    words = ("batch", root / "jobs.yaml", "--root", root, "--name", "b", "--keep-going", "--json")
    first = run(*words, env=env)
    report = report_of(first)
    assert first.returncode == 1
    assert (report["outcomes"]["done"], report["outcomes"]["failed"]) == (2, 1)
    (failed,) = [each for each in report["datasets"] if each["outcome"] == "failed"]
    assert "failed with exit code 1" in failed["reasons"][0]
    assert "batch retry b" in " ".join(report["next"])

    ran = sum(executions(root).values())
    resumed = report_of(run("batch", "resume", "b", "--root", root, "--json", env=env))
    assert resumed["outcomes"]["failed"] == 1
    assert sum(executions(root).values()) == ran, "what failed is not tried again without being asked for"

    broken.unlink()
    retried = report_of(run("batch", "retry", "b", "--failed", "--root", root, "--json", env=env))
    assert (retried["outcomes"]["done"], retried["outcomes"]["reused"], retried["executed"]) == (1, 2, 1)


def test_without_keep_going_nothing_is_begun_after_a_failure(tmp_path: Path, frames_folder: Path, esorex: str) -> None:
    root = make_root(tmp_path / "root", frames_folder, 6)
    env = stand_in(tmp_path / "bin", esorex, 'case "$*" in *naco_img_dark*sof) exit 1;; esac')
    report = report_of(run("batch", root / "jobs.yaml", "--root", root, "--name", "b", "--json", "--jobs", 1, env=env))
    assert report["outcomes"]["failed"] == 6, "all need the dark"
    assert executions(root)["naco_img_jitter_1"] == 0


def test_end_products_that_come_soon_after_each_other_are_delivered_together(
    tmp_path: Path, frames_folder: Path, esorex: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_root(tmp_path / "root", frames_folder, 2)
    together: list[int] = []

    def deliver(wanted: Sequence[EndProducts], *where: Any) -> Any:
        together.append(len(wanted))
        return deliver_all(wanted, *where)

    monkeypatch.setattr(ledger, "deliver_all", deliver)
    monkeypatch.setattr(ledger, "_GATHERED_S", 3600.0)  # for whatever this machine does meanwhile
    assert main(["batch", str(root / "jobs.yaml"), "--root", str(root), "--name", "b"]) == 0
    assert together == [2]
    assert [event["event"] for event in events(root, "b")].count("delivered") == 2


def test_two_drivers_of_one_batch_are_refused(tmp_path: Path, frames_folder: Path, esorex: str) -> None:
    root = make_root(tmp_path / "root", frames_folder, 1)
    env = stand_in(tmp_path / "bin", esorex, 'case "$*" in *sof) sleep 60;; esac')
    process = start("batch", root / "jobs.yaml", "--root", root, "--name", "b", env=env)
    try:
        await_that(lambda: executions(root))
        second = run("batch", "resume", "b", "--root", root)
        assert second.returncode == 1
        assert "is being run" in second.stderr
        same = run("batch", root / "jobs.yaml", "--root", root, "--name", "b")
        assert "there is a batch 'b' already" in same.stderr
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
    assert processes_in(root) == []
