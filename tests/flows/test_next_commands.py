"""What stands behind "next:" is a command: pasted into a shell as it is printed, it runs on the same data."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.naco import naco_night
from tests.commands import run_command
from tests.flows.conftest import SMALL, put_on_disk
from tests.tiny_fits import write_night

DATASET = "NACO.2016-03-02T00:30:00.076_tpl"
PROGRAM = "60.A-9999(A)"
ROOT = "somebody's night"
WINDOW = "--set=naco_img_dark.r=900 900 1000 1000"
HERE = ("--root", ROOT)
THERE = (*HERE, "--archive", "{url}")
JOBS = "jobs: [{datasets: all}]\n"


def _leave(root: Path) -> None:
    """Leave all as it is."""


def _without_science(root: Path) -> None:
    next(root.rglob("NACO.2016-03-02T00:30:00.076.fits")).unlink()


def _without_flats(root: Path) -> None:
    for tree in root.rglob("*.xml"):
        tree.unlink()
    for path in root.rglob("NACO.2016-03-01T22:4*.fits"):
        path.unlink()


def _odd_file(root: Path) -> None:
    shutil.rmtree(root / "reflex_input")
    keywords = {"INSTRUME": "NAOS+CONICA", "DPR.CATG": "NONE", "DPR.TYPE": "NONE", "MJD-OBS": 57449.02}
    write_night(root / "reflex_input", {"NACO.2016-03-02T00:30:00.076": keywords})


def _reduced(root: Path) -> None:
    assert run_command("run", "--root", root, *SMALL).returncode == 0


def _failed(root: Path) -> None:
    assert run_command("run", "--root", root, *SMALL, WINDOW).returncode == 1


def _jobs(root: Path) -> None:
    (root / "jobs.yaml").write_text(JOBS)


@dataclass(frozen=True, slots=True)
class Situation:
    """What somebody types where, and words that the next command must have."""

    what: str
    words: tuple[str, ...]
    next: tuple[str, ...]
    prepare: Callable[[Path], object] = _leave


SITUATIONS = [
    Situation("frames", ("query", "--program", PROGRAM, *THERE), ("reduce", "--program", PROGRAM, "--archive")),
    Situation("one frame", ("query", "--dp-id", "NACO.2016-03-02T00:30:00.076", *THERE),
              ("reduce", "NACO.2016-03-02T00:30:00.076")),
    Situation("calibrations", ("query", "--program", PROGRAM, "--cat", "CALIB", *THERE),
              ("fetch", "--from-query", "--no-calibrations", "--cat", "CALIB")),
    Situation("columns of the user's", ("query", "--night", "2016-03-01", "--columns", "ob_id", *THERE), ("reduce",)),
    Situation("nothing of an instrument", ("query", "--instrument", "nacoo", "--max", "5", *THERE),
              ("query", "--instrument", "naco", "--max")),
    Situation("nothing of a night", ("query", "--night", "2016-03-02", *THERE), ("query", "--night", "2016-03-01")),
    Situation("nothing of a run", ("query", "--program", "60.A-9999(B)", *THERE), ("query", "--program", "60.A-9999")),
    Situation("nothing of a kind", ("query", "--program", PROGRAM, "--type", "OBJECT,SKY", *THERE), ("query",)),
    Situation("nothing of a category", ("query", "--program", PROGRAM, "--cat", "ACQUIRE", *THERE),
              ("query", "--cat", "any")),
    Situation("nothing that meets a condition", ("query", "--where", "exposure > 1e9", *THERE),
              ("query", "--columns", "exposure")),
    Situation("nothing there", ("query", "--program", "1.A-1(A)", *THERE), ("query", "--help")),
    Situation("nothing in the south", ("query", "--ra", "10", "--dec", "-80", "--radius", "0.1", *THERE), ("query",)),
    Situation("products", ("query", "--products", "--instrument", "naco", "--max", "3", *THERE), ()),
    Situation("a whole dataset", ("organise", *HERE), ("plan",)),
    Situation("a folder", ("organise", f"{ROOT}/reflex_input", *HERE, "--by", "oca"), ("plan", "--data", "--by")),
    Situation("files to be fetched", ("organise", *THERE), ("fetch", "--yes", "--archive"), _without_science),
    Situation("calibrations that are missing", ("organise", *HERE), ("why", DATASET), _without_flats),
    Situation("a file of no category", ("organise", *HERE), ("why", "NACO.2016-03-02T00:30:00.076"), _odd_file),
    Situation("a plan", ("plan", DATASET, *HERE, *SMALL, "--quality", "1"), ("run", DATASET, "--set", "--quality")),
    Situation("a plan that lacks something", ("plan", *HERE), ("why", DATASET), _without_flats),
    Situation("a run", ("run", *HERE, *SMALL), ("report", "--set")),
    Situation("a run that would be", ("run", DATASET, *HERE, *SMALL, "--dry-run", "--jobs", "1"),
              ("run", DATASET, SMALL[0], "--jobs")),
    Situation("a run without flats", ("run", *HERE, *SMALL), ("why", DATASET), _without_flats),
    Situation("a recipe that fails", ("run", *HERE, *SMALL, WINDOW), ("log", "naco_img_dark_1")),
    Situation("a reduction that would be", ("reduce", "--program", PROGRAM, "--dry-run", "--root", "new",
                                            "--archive", "{url}", *SMALL), ("reduce", PROGRAM, "{url}")),
    Situation("a log", ("log", "naco_img_dark_1", *HERE), (), _failed),
    Situation("alternatives", ("review", DATASET, *HERE, "--by", "oca"), ()),
    Situation("the history", ("status", *HERE), ("status", "--verify"), _reduced),
    Situation("files that are whole", ("status", "--verify", *HERE), ("clean",), _reduced),
    Situation("a batch that would be", ("batch", f"{ROOT}/jobs.yaml", *HERE, *SMALL, "--dry-run"),
              ("batch", f"{ROOT}/jobs.yaml"), _jobs),
    Situation("a batch", ("batch", f"{ROOT}/jobs.yaml", *HERE, *SMALL), ("report",), _jobs),
    Situation("a batch that fails", ("batch", f"{ROOT}/jobs.yaml", "--name", "b", *HERE, *SMALL, WINDOW),
              ("batch", "retry", "b"), _jobs),
    Situation("a batch without flats", ("batch", f"{ROOT}/jobs.yaml", *HERE, *SMALL), ("why", DATASET),
              lambda root: (_jobs(root), _without_flats(root))),
]  # fmt: skip


@pytest.fixture(scope="module")
def archive(frames_folder: Path) -> Iterator[str]:
    with EmbeddedArchive([naco_night(npix=128)], frames_folder) as served:
        yield served.url


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path) -> Path:
    root = tmp_path_factory.mktemp("template") / "root"
    put_on_disk(naco_night(npix=128), frames_folder, root)
    return root


def next_commands(printed: str) -> list[str]:
    """Return what a page of output says to type next, as it is printed."""
    found, lines = [], iter(printed.splitlines())
    for line in lines:
        _, said, command = line.partition("next: ")
        while command.endswith("\\"):
            command += f"\n{next(lines)}"
        found += [command] if said else []
    return found


def split_by_shell(command: str) -> list[str]:
    """Return the words that a shell makes of a command."""
    told = subprocess.run(["sh", "-c", f"printf '%s\\0' {command}"], capture_output=True, text=True, check=True)
    return told.stdout.split("\0")[:-1]


@pytest.mark.usefixtures("esorex")
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.what)
def test_the_next_command_runs_as_it_is_printed(
    situation: Situation, template: Path, archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(template, tmp_path / ROOT, copy_function=os.link)
    situation.prepare(tmp_path / ROOT)
    monkeypatch.chdir(tmp_path)
    env = {"COLUMNS": "60", "ESOREX_BRIDGE_PATIENCE": "0"}
    done = run_command(*(word.format(url=archive) for word in situation.words), env=env)
    assert done.returncode in (0, 1), done.stderr
    commands = next_commands(done.stdout)
    assert commands, done.stdout + done.stderr
    first = split_by_shell(commands[0])
    assert [word.format(url=archive) for word in situation.next if word.format(url=archive) not in first] == []
    for command in commands:
        words = split_by_shell(command)
        if words[0] == "sh":
            assert Path(words[1]).is_file()
            continue
        assert words[0] == "esorex-bridge"
        after = run_command(*words[1:], env={**env, "ESOREX_BRIDGE_ARCHIVE": archive})
        refused = (
            after.returncode and words[1] not in ("batch", "reduce", "run") and "cannot prompt" not in after.stderr
        )
        assert after.returncode in (0, 1) and not refused, (command, after.stderr)
        assert "Traceback" not in after.stderr


def test_a_batch_names_its_commands_in_json(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, esorex: str
) -> None:
    shutil.copytree(template, tmp_path / ROOT, copy_function=os.link)
    _jobs(tmp_path / ROOT)
    monkeypatch.chdir(tmp_path)
    done = run_command("batch", f"{ROOT}/jobs.yaml", "--name", "b", *HERE, *SMALL, WINDOW, "--json")
    (command, *_) = json.loads(done.stdout)["next"]
    assert command == shlex.join(("esorex-bridge", "batch", "retry", "b", *HERE))
