"""What is seen while something goes on: each attempt that is made again, and on a terminal what a recipe does."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from esorex_bridge.progress.live import RunningStep, describe_running, last_message
from tests.commands import PATIENCE_S
from tests.flows.conftest import SMALL, Ended


def test_retries_are_told_as_they_happen(bridge: Callable[..., Ended]) -> None:
    words = ("query", "--night", "2016-03-01", "--archive", "http://127.0.0.1:9")
    ended = bridge(*words, env={"ESOREX_BRIDGE_PATIENCE": "0"})
    assert ended.code == 1
    assert re.findall(r"; try (\d) of 5 in", ended.err) == ["2", "3", "4", "5"]
    assert "WARNING" not in ended.err


def test_the_last_message_is_that_of_the_latest_run(tmp_path: Path) -> None:
    for stamp, text in (("2026-01-01T00:00:00.000", "old"), ("2026-01-02T00:00:00.000", "Loading frame 3")):
        folder = tmp_path / "naco" / "naco_img_dark_1" / stamp
        folder.mkdir(parents=True)
        (folder / ".logfile").write_text(f"21:00:29 [ INFO  ] naco_img_dark: [tid=000] {text}\n\n")
    assert last_message(tmp_path, "naco_img_dark_1") == "Loading frame 3"
    assert last_message(tmp_path, "naco_img_jitter_1") == ""


def test_the_line_has_times_and_fits() -> None:
    running = [RunningStep("naco_img_dark_1", 0.0, 10.0), RunningStep("naco_img_twflat_1", 1.0)]
    assert describe_running(running, 3.2, str, 80) == "naco_img_dark_1 3 s of about 10 s, naco_img_twflat_1 2 s"
    assert len(describe_running(running[:1], 3.2, lambda step: "x" * 200, 79)) == 79


@pytest.mark.usefixtures("esorex")
def test_a_terminal_shows_what_a_recipe_does(root: Path, tmp_path: Path) -> None:
    seen = on_a_terminal(tmp_path, "run", "--root", str(root), "--jobs", "1", *SMALL)
    assert re.search(rb"naco_img_(dark|twflat)_1 [1-9]\d* s", seen), seen


def test_a_terminal_shows_what_a_batch_does(root: Path, tmp_path: Path) -> None:
    """Counts, how long it goes on, and what runs: since when, and how long it took before."""
    words = ("batch", "--data", str(root / "reflex_input"), "--root", str(root), "--jobs", "1", *SMALL)
    seen = on_a_terminal(tmp_path, *words)
    assert re.search(rb"running +naco_img_(dark|twflat)_1 of \S+ [1-9]\d* s", seen), seen
    assert re.search(rb"elapsed +0:0\d:(0[1-9]|[1-5]\d)", seen) and re.search(rb"steps +.*1 running", seen), seen
    again = on_a_terminal(tmp_path, *words, "--lazy", "off")
    assert re.search(rb"running +naco_img_(dark|twflat)_1 of \S+ [1-9]\d* s of about [0-9]+ s", again), again


def on_a_terminal(tmp_path: Path, *words: str) -> bytes:
    """Return what a command shows on a terminal while each recipe takes a second longer."""
    program = tmp_path / "bin" / "esorex"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\ncase "$*" in *data.sof*) sleep 1.5;; esac\nexec {_esorex()} "$@"\n')
    program.chmod(0o755)
    master, slave = pty.openpty()
    command = [str(Path(sys.executable).with_name("esorex-bridge")), *words]
    env = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "TERM": "xterm"}
    started = subprocess.Popen(command, stderr=slave, stdout=subprocess.DEVNULL, env=env)
    os.close(slave)
    seen = b""
    ends = time.monotonic() + PATIENCE_S
    while started.poll() is None and time.monotonic() < ends:
        try:
            seen += os.read(master, 4096)
        except OSError:  # the other side was closed
            break
    assert started.wait(PATIENCE_S) == 0
    os.close(master)
    return seen


def _esorex() -> str:
    import shutil

    return str(shutil.which("esorex"))
