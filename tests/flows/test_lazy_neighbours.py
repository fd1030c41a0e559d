"""`esorex-lazy` among other processes: signals, kills, equal calls at a time, one working folder for two."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.batch_runs import await_that
from tests.commands import PATIENCE_S
from tests.flows.lazy_calls import LAZY, Desk, R, assert_same, darks, desk, night_folder, run_call

__all__ = ["darks", "desk", "night_folder"]

STARTED: list[subprocess.Popen[bytes]] = []
WORDS = ("naco_img_dark", R, "data.sof")


@pytest.fixture
def slow(desk: Desk, esorex: str) -> Desk:
    """Return a desk whose EsoRex notes its process and takes its time before a recipe runs."""
    desk.counting.write_text(
        f'#!/bin/sh\ncase "$*" in *answer.json*) exec {esorex} "$@";; esac\n'
        f'echo $$ >> {desk.counted}\nsleep "${{SLOW:-30}}"\nexec {esorex} "$@"\n'
    )
    return desk


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """End what a failed test left running."""
    yield
    for process in STARTED:
        process.kill()
        process.wait()
    STARTED.clear()


def begin(desk: Desk, place: Path, *words: str, seconds: str = "30") -> subprocess.Popen[bytes]:
    env = {**os.environ, **desk.env, "SLOW": seconds}
    silent = subprocess.DEVNULL
    STARTED.append(subprocess.Popen([LAZY, *words], cwd=place, env=env, stdout=silent, stderr=silent))
    return STARTED[-1]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_esorex_too(slow: Desk, number: signal.Signals) -> None:
    slow.counting.write_text(slow.counting.read_text().replace("sleep", "exec sleep"))
    process = begin(slow, slow.place("here"), *WORDS)
    await_that(lambda: slow.runs == 1)
    child = int(slow.counted.read_text())
    process.send_signal(number)
    assert process.wait(PATIENCE_S) == -number
    await_that(lambda: not is_alive(child))
    assert list((slow.folder / "store").glob("steps/*/*")) == []


@pytest.mark.parametrize("way", ["sleep 30", "setsid sleep 30 & wait", "(setsid sleep 30 &); exec sleep 30"])
def test_a_wrapper_around_esorex_leaves_no_orphan(slow: Desk, way: str) -> None:
    slow.counting.write_text(slow.counting.read_text().replace('sleep "${SLOW:-30}"', way))
    place = slow.place("here")
    process = begin(slow, place, *WORDS)
    await_that(lambda: any("sleep" in name for name in working_in(place)))
    process.kill()
    process.wait(PATIENCE_S)
    await_that(lambda: not working_in(place))


def test_when_the_guard_is_killed_esorex_ends_too(slow: Desk) -> None:
    slow.counting.write_text(slow.counting.read_text().replace("sleep", "exec sleep"))
    place = slow.place("here")
    process = begin(slow, place, *WORDS)
    await_that(lambda: slow.runs == 1)
    child = int(slow.counted.read_text())
    os.kill(parent_of(child), signal.SIGKILL)
    assert process.wait(PATIENCE_S) == -signal.SIGKILL
    await_that(lambda: not working_in(place))


def is_left(place: Path) -> bool:
    """Tell whether no program works in a folder any more."""
    return not working_in(place)


def working_in(place: Path) -> list[str]:
    """Return the names of the programs that work in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if os.readlink(entry / "cwd") == str(place):  # noqa: PTH115
                    found.append((entry / "comm").read_text().strip())
    return found


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_recipe_that_crashed_looks_as_under_esorex(slow: Desk, number: signal.Signals) -> None:
    slow.counting.write_text(slow.counting.read_text().replace("sleep", f"kill -{number:d} $$; sleep"))
    assert begin(slow, slow.place("here"), *WORDS).wait(PATIENCE_S) == -number
    assert slow.runs == 1


def test_of_equal_calls_at_a_time_one_runs(slow: Desk) -> None:
    calls = [begin(slow, slow.place(f"place{number}"), *WORDS, seconds="0.3") for number in range(4)]
    assert [call.wait(PATIENCE_S) for call in calls] == [0] * 4
    assert slow.runs == 1
    for number in range(4):
        assert len(list((slow.folder / f"place{number}" / "here").glob("naco_img_dark_set01*.fits"))) == 4


def test_two_runs_in_one_folder_are_not_kept(slow: Desk) -> None:
    place, mark = slow.place("shared"), slow.folder / "go"
    wait = f"while [ $SLOW = 1 ] && ! [ -e {mark} ]; do sleep 0.1; done"
    slow.counting.write_text(slow.counting.read_text().replace('sleep "${SLOW:-30}"', wait))
    first = begin(slow, place, "--output-dir=out", *WORDS, seconds="1")
    await_that(lambda: slow.runs == 1)
    second = begin(slow, place, "--output-dir=log", "naco_img_dark", R, "--nsamples=90", "data.sof", seconds="0")
    assert second.wait(PATIENCE_S) == 0
    mark.touch()
    assert first.wait(PATIENCE_S) == 0
    assert list((slow.folder / "store").glob("steps/*/*")) == []


def test_products_of_other_frames_are_not_kept(desk: Desk, esorex: str) -> None:
    # The products that EsoRex lists are those of another set of files, as in a working folder that two runs share.
    desk.counting.write_text(
        f'#!/bin/sh\ncase "$*" in *answer.json*) exec {esorex} "$@";; esac\n'
        f'echo run >> {desk.counted}\nexec {esorex} naco_img_dark "{R}" other.sof\n'
    )
    place = desk.place("here")
    for number, dark in enumerate(desk.darks):
        (place / f"other{number}.fits").write_bytes(dark.read_bytes())
    (place / "other.sof").write_text("".join(f"other{number}.fits CAL_DARK\n" for number in range(len(desk.darks))))
    assert desk.lazy("here", WORDS).code == 0
    assert list((desk.folder / "store").glob("steps/*/*")) == []


VARIANTS = ("70", "80", "90")


def call(number: str) -> tuple[str, ...]:
    return ("naco_img_dark", R, f"--nsamples={number}", "data.sof")


def survive(desk: Desk, esorex: str, kills: int, seed: int) -> None:
    """Kill calls at random points, and compare what they leave in the end with what EsoRex leaves."""
    chance, done = random.Random(seed), set()
    for kill in range(kills):
        variant, place = chance.choice(VARIANTS), desk.place(f"kill{kill}")
        process = begin(desk, place, *call(variant))
        time.sleep(chance.uniform(0.02, 0.6))
        process.send_signal(chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]))
        if process.wait(PATIENCE_S) == 0:
            done.add(variant)
        await_that(partial(is_left, place))
    for variant in VARIANTS:
        before = desk.runs
        left = desk.lazy(f"last{variant}", call(variant))
        assert variant not in done or desk.runs == before, "a run that was kept is lost"
        assert_same(left, run_call(esorex, desk.place(f"plain{variant}"), call(variant)))
        again = desk.runs
        assert_same(desk.lazy(f"again{variant}", call(variant)), left)
        assert desk.runs == again


def test_calls_that_are_killed_leave_what_undisturbed_ones_leave(desk: Desk, esorex: str) -> None:
    survive(desk, esorex, kills=5, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 8))
def test_calls_that_are_killed_at_sixty_points_leave_what_undisturbed_ones_leave(
    desk: Desk, esorex: str, seed: int
) -> None:
    survive(desk, esorex, kills=10, seed=seed)
