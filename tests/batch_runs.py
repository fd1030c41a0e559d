"""What tests of batches share: roots with many datasets, jobs files, and a look into what a batch left."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.executors.batch_folder import BatchFolder
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import Record
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings
from tests.commands import COMMAND, run_command
from tests.flows.conftest import put_on_disk

JOBS = """\
parameters:
  naco_img_dark: {r: "8 8 8 8"}
  naco_img_twflat: {r: "8 8 8 8"}
  naco_img_jitter: {xcorr: "12 12 20 20"}
jobs:
  - datasets: all
"""


def make_root(root: Path, frames: Path, datasets: int, jobs: str = JOBS) -> Path:
    """Return a root with small datasets that share their calibrations, and a jobs file in it."""
    put_on_disk(naco_night(npix=128, templates=datasets), frames, root)
    (root / "jobs.yaml").write_text(jobs)
    return root


def run(*words: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `esorex-bridge` to its end."""
    return run_command(*words, env=env)


def start(
    *words: object, env: dict[str, str] | None = None, command: tuple[object, ...] = (COMMAND,)
) -> subprocess.Popen[str]:
    """Start `esorex-bridge`."""
    variables = {**os.environ, **(env or {})}
    return subprocess.Popen(
        [*map(str, command), *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=variables, start_new_session=True,
    )  # fmt: skip


def report_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the one JSON document on stdout."""
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def batch_folder(root: Path, name: str) -> Path:
    return root / "reflex_book_keeping" / "batches" / name


def events(root: Path, name: str) -> list[dict[str, Any]]:
    """Return the notes of a batch."""
    path = batch_folder(root, name) / "events.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


def executions(root: Path) -> Counter[str]:
    """Return how often each recipe was started below a root, by the folders that runs leave.

    The SOF is written before EsoRex begins; `cmdline.sh` only while it runs, so that a kill may come before it.
    """
    sofs = (root / "reflex_book_keeping" / "naco").glob("*/*/data.sof")
    return Counter(path.parent.parent.name for path in sofs if not path.parent.is_symlink())


def recorded(root: Path) -> Counter[str]:
    """Return how many steps of each recipe are recorded."""
    store = root / "reflex_book_keeping" / "esorex_bridge.db"
    if not store.exists():
        return Counter()
    with closing(sqlite3.connect(store)) as db:
        try:
            return Counter(recipe for (recipe,) in db.execute("SELECT recipe FROM steps"))
        except sqlite3.OperationalError:
            return Counter()


def assert_accounted(root: Path, killed: int = 0) -> None:
    """Hold a root in which nothing runs any more against its books.

    Every recipe that was started was recorded or reported as lost, failed or cancelled, and no product is lost. What
    was killed may have been between telling that a step begins and starting its recipe, once each time.
    """
    told = Counter(dict.fromkeys(("lost", "failed", "cancelled"), 0))
    for folder in (root / "reflex_book_keeping" / "batches").glob("*"):
        begun = set()
        for line in events(root, folder.name):
            event, key = line["event"], line.get("key")
            if key is None:
                continue
            if event == "running":
                begun.add(key)
            elif event == "lost" or (event in ("failed", "cancelled") and (key in begun or _ran(folder, key))):
                told[event] += 1
            if event != "running":
                begun.discard(key)
        assert not begun, f"steps of {folder.name} began, and nobody said how they ended"
    started, kept = executions(root).total(), recorded(root).total()
    assert abs(started - kept - told.total()) <= killed, (
        f"{started} recipes started, {kept} recorded, told of others: {dict(told)}"
    )
    with Session(Settings(root=root)) as session:
        found = session.store.find_all(session.store.all_keys())
    assert [absent for absent in found.values() if not isinstance(absent, Record)] == []
    links = list((root / "reflex_end_products").glob("*/*/*.fits"))
    assert [link for link in links if not link.exists()] == []


def _ran(folder: Path, key: str) -> bool:
    """Tell whether a recipe was started for a step, though the driver was not told that it began."""
    result = BatchFolder(folder).result(StepKey(key))
    return result is not None and result.folder is not None and result.record is None


def processes_in(root: Path) -> list[tuple[int, str]]:
    """Return the processes that work below a root or were started for it."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            where = os.readlink(entry / "cwd")  # noqa: PTH115
        except OSError:
            continue
        if where.startswith(str(root)) or (str(root) in words and "esorex" in words):
            found.append((int(entry.name), words))
    return found


def await_that(condition: Callable[[], object], seconds: float = 120.0) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


def stand_in(folder: Path, esorex: str, script: str) -> dict[str, str]:
    """Return the environment in which `esorex` first does what a shell script says, then what it is there for."""
    folder.mkdir(exist_ok=True)
    path = folder / "esorex"
    path.write_text(f'#!/bin/sh\n{script}\nexec {esorex} "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@contextmanager
def running(
    *words: object, env: dict[str, str] | None = None, command: tuple[object, ...] = (COMMAND,)
) -> Iterator[subprocess.Popen[str]]:
    """Start `esorex-bridge`, and end it whatever happens."""
    process = start(*words, env=env, command=command)
    try:
        yield process
    finally:
        end(process)


def ended(process: subprocess.Popen[str], seconds: float = 150) -> subprocess.CompletedProcess[str]:
    """Wait for the end of a process, and return what it said."""
    out, err = process.communicate(timeout=seconds)
    return subprocess.CompletedProcess((), process.returncode, out, err)


def end(process: subprocess.Popen[str]) -> None:
    """End a process that a test started, if it still runs."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
