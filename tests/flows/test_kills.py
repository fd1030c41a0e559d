"""Killed at any point, the next run completes: nothing half-made is taken as made, nothing finished is lost."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from astropy.io import fits

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.naco import naco_night
from tests.batch_runs import await_that
from tests.commands import COMMAND, PATIENCE_S
from tests.flows.conftest import SMALL, Ended, put_on_disk

pytestmark = pytest.mark.usefixtures("esorex")
Words = tuple[str, ...]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path) -> Path:
    """Return a root in which nothing was reduced yet."""
    root = tmp_path_factory.mktemp("pristine") / "root"
    put_on_disk(naco_night(npix=128, templates=2), frames_folder, root)
    return root


@pytest.fixture(scope="module")
def truth(pristine: Path, tmp_path_factory: pytest.TempPathFactory, bridge: Callable[..., Ended]) -> dict[str, str]:
    """Return the DATASUM of every end product of an undisturbed run."""
    root = tmp_path_factory.mktemp("undisturbed") / "root"
    shutil.copytree(pristine, root)
    return datasums(bridge("run", "--root", root, "--json", *SMALL))


def datasums(ended: Ended) -> dict[str, str]:
    assert ended.code == 0, ended.err
    return {
        Path(product["path"]).name: fits.getval(product["path"], "DATASUM")
        for dataset in ended.json["datasets"]
        for product in dataset["end_products"]
    }


def recorded(root: Path) -> set[str]:
    """Return the recipes and datasets that the store has a record of."""
    store = root / "reflex_book_keeping" / "esorex_bridge.db"
    if not store.exists():
        return set()
    with closing(sqlite3.connect(store)) as db:
        try:
            return {key for (key,) in db.execute("SELECT key FROM steps")}
        except sqlite3.OperationalError:  # killed before its tables were made
            return set()


def kill_after(words: Words, root: Path, seconds: float, kind: signal.Signals) -> None:
    """Start a command and end it after a while."""
    process = subprocess.Popen(
        [COMMAND, *words, "--root", str(root), "--json", *SMALL],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    time.sleep(seconds)
    process.send_signal(kind)
    process.wait(PATIENCE_S)


def children_of(root: Path) -> list[str]:
    """Return the command lines of all processes that work below a root."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                where = os.readlink(entry / "cwd")  # noqa: PTH115  (the target may be gone)
            except OSError:
                continue
            if where.startswith(str(root)):
                found.append(where)
    return found


def survive(words: Words, root: Path, truth: dict[str, str], bridge: Callable[..., Ended], seed: int) -> None:
    """Kill a command at random points until it is through, then compare with the undisturbed one."""
    chance = random.Random(seed)
    for _ in range(5):
        before = recorded(root)
        kind = chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
        kill_after(words, root, chance.uniform(0.05, 1.2 if words[0] == "run" else 3), kind)
        wait_for_end(root)
        assert before <= recorded(root), "a step that was recorded is not recorded any more"
    before = recorded(root)
    ended = bridge(*words, "--root", root, "--json", *SMALL)
    assert datasums(ended) == truth
    assert ended.json["executed"] == len(recorded(root)) - len(before)
    assert bridge(*words, "--root", root, "--json", *SMALL).json["executed"] == 0
    for path in (root / "reflex_tmp_products").rglob("*.fits"):
        if ".part" not in path.parent.name:
            assert json.dumps(fits.getval(path, "HIERARCH ESO PRO CATG"))
    assert not list((root / "reflex_input").rglob("*.part"))
    verified = bridge("status", "--verify", "--root", root, "--json")
    assert verified.code == 0, verified.err


def test_a_run_that_is_killed_some_times_ends_like_an_undisturbed_one(
    pristine: Path, truth: dict[str, str], tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    shutil.copytree(pristine, tmp_path / "root")
    survive(("run",), tmp_path / "root", truth, bridge, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_a_run_that_is_killed_at_fifty_points_ends_like_an_undisturbed_one(
    pristine: Path, truth: dict[str, str], tmp_path: Path, bridge: Callable[..., Ended], seed: int
) -> None:
    shutil.copytree(pristine, tmp_path / "root")
    survive(("run",), tmp_path / "root", truth, bridge, seed)


@pytest.fixture
def reduced(
    small_archive: EmbeddedArchive, tmp_path_factory: pytest.TempPathFactory, bridge: Callable[..., Ended]
) -> tuple[Words, dict[str, str]]:
    """Return the words that reduce a night from the archive, and the DATASUM of every end product of that."""
    words = ("reduce", "--program", "60.A-9999(A)", "--archive", small_archive.url)
    return words, datasums(bridge(*words, "--root", tmp_path_factory.mktemp("reduced"), "--json", *SMALL))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(14))
def test_a_reduction_that_is_killed_at_seventy_points_ends_like_an_undisturbed_one(
    reduced: tuple[Words, dict[str, str]], tmp_path: Path, bridge: Callable[..., Ended], seed: int
) -> None:
    words, truth = reduced
    survive(words, tmp_path / "root", truth, bridge, seed)


def test_ctrl_c_ends_with_130_and_leaves_nothing_running(pristine: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(pristine, root)
    process = subprocess.Popen(
        [COMMAND, "run", "--root", str(root), *SMALL], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    while not children_of(root) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "the next run goes on from there" in err
    assert children_of(root) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_run_that_is_asked_to_stop_ends_in_order(
    pristine: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    root = tmp_path / "root"
    shutil.copytree(pristine, root)
    process = start_run(root)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code
    assert f"stopped by {number.name}; what was finished is kept" in err
    assert children_of(root) == []


WRAPPERS = {
    "child": "sleep 300",
    "background": "sleep 300 & sleep 300",
    "session": "setsid sleep 300 & wait",
    "daemon": "(setsid sleep 300 &) ; sleep 300",
    "deaf": "trap '' TERM HUP INT; sleep 300; sleep 300",
}
"""What a wrapper script around EsoRex may do when a recipe is to run."""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("way", WRAPPERS)
def test_a_wrapper_around_esorex_leaves_no_orphan(
    pristine: Path, tmp_path: Path, esorex: str, number: signal.Signals, way: str
) -> None:
    root = tmp_path / "root"
    shutil.copytree(pristine, root)
    process = start_run(root, wrapped(tmp_path, esorex, WRAPPERS[way]))
    wait_for_sleep(root)
    process.send_signal(number)
    process.communicate(timeout=PATIENCE_S)
    wait_for_end(root)


def test_when_the_supervisor_is_killed_the_run_ends_with_a_sentence(
    pristine: Path, tmp_path: Path, esorex: str
) -> None:
    root = tmp_path / "root"
    shutil.copytree(pristine, root)
    process = start_run(root, wrapped(tmp_path, esorex, WRAPPERS["background"]))
    wait_for_sleep(root)
    (supervisor,) = [int(entry) for entry in below(process.pid) if b"supervise" in command_of(entry)]
    os.kill(supervisor, signal.SIGKILL)
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "the process that starts recipes was killed; run again" in " ".join(out.split())
    wait_for_end(root)


def test_what_a_recipe_leaves_in_the_background_ends_with_it(
    pristine: Path, tmp_path: Path, esorex: str, bridge: Callable[..., Ended], truth: dict[str, str]
) -> None:
    root = tmp_path / "root"
    shutil.copytree(pristine, root)
    env = wrapped(tmp_path, esorex, "sleep 300 & setsid sleep 300 &")
    process = start_run(root, env)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert children_of(root) == []
    assert datasums(bridge("run", "--root", root, "--json", *SMALL)) == truth


def test_a_command_starts_one_supervisor_and_nothing_else_beside_its_recipes(
    pristine: Path, tmp_path: Path, esorex: str
) -> None:
    root, notes = tmp_path / "root", tmp_path / "notes"
    shutil.copytree(pristine, root)
    env = wrapped(tmp_path, esorex, f"echo $PPID >> {notes}")
    (tmp_path / "bin" / "setpriv").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin" / "setpriv").chmod(0o755)
    process = start_run(root, env)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    parents = notes.read_text().split()
    assert len(parents) > 1
    assert len(set(parents)) == 1


def wrapped(folder: Path, esorex: str, script: str) -> dict[str, str]:
    """Return an environment in which EsoRex is a script that does something before it runs a recipe."""
    wrapper = folder / "bin" / "esorex"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\ncase "$*" in *data.sof*)\n{script}\n;; esac\n{esorex} "$@"\n')
    wrapper.chmod(0o755)
    return {**os.environ, "PATH": f"{wrapper.parent}:{os.environ['PATH']}"}


def wait_for_sleep(root: Path) -> None:
    """Wait until the wrapper's own programs run."""
    await_that(lambda: "sleep" in commands_of(root))


def wait_for_end(root: Path) -> None:
    """Wait until nothing runs below a root; that takes the time of some signals."""
    await_that(lambda: not children_of(root))


def commands_of(root: Path) -> set[str]:
    """Return the names of the programs that work below a root."""
    names = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if os.readlink(entry / "cwd").startswith(str(root)):  # noqa: PTH115
                    names.add((entry / "comm").read_text().strip())
    return names


def command_of(process: str) -> bytes:
    """Return the command line of a process."""
    return (Path("/proc") / process / "cmdline").read_bytes()


def below(parent: int) -> list[str]:
    """Return the children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    found.append(entry.name)
    return found


def start_run(root: Path, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a run and wait until a recipe of it runs."""
    process = subprocess.Popen(
        [COMMAND, "run", "--root", str(root), *SMALL], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env=env,
    )  # fmt: skip
    while not children_of(root) and process.poll() is None:
        time.sleep(0.005)
    return process


def test_a_full_disk_gives_a_clear_error_and_the_next_run_completes(
    pristine: Path, truth: dict[str, str], tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    root = tmp_path / "root"
    shutil.copytree(pristine, root)
    # A file system that takes no more: the limit on the size of a file, which EsoRex meets as it meets a full disk.
    command = (
        f"ulimit -f 40; exec {shlex.quote(COMMAND)} run --root {root} --json {' '.join(f'{word!r}' for word in SMALL)}"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 1, done.stderr
    assert datasums(bridge("run", "--root", root, "--json", *SMALL)) == truth
