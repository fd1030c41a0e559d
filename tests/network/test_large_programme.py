"""A programme of many frames: fetched while calSelector is asked, killed and resumed, in little memory."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.archive.calselector import BATCH
from esorex_bridge.datasets.association import AssociatedFile, Association, AssociationTree
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.archive.exchange import HttpReply, HttpRequest
from esorex_bridge.demo.archive.faults import Fault
from esorex_bridge.demo.nights.dummies import dummy_content
from esorex_bridge.demo.nights.frames import Keywords, mjd, timestamp
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight
from esorex_bridge.files import DpId
from esorex_bridge.workspace.tree_files import read_tree_file
from tests.batch_runs import await_that
from tests.network.conftest import await_quiet

PROGRAMME = "098.C-0739"
CALIBRATIONS_OF_A_NIGHT = 8
TEMPLATES_OF_A_NIGHT = 25
MOST_MB = 300


class Asked(EmbeddedArchive):
    """An archive that notes the frames that calSelector is asked about, and what was asked when."""

    def answer(self, request: HttpRequest) -> HttpReply:
        if request.path.endswith("/associations"):
            self.frames.append(request.all("dp_id"))
        return super().answer(request)

    @property
    def frames(self) -> list[tuple[str, ...]]:
        found: list[tuple[str, ...]] = self.__dict__.setdefault("asked", [])
        return found


class Ended(Struct, frozen=True):
    """How a command ended: exit code, greatest memory in MB, what it said."""

    code: int
    memory_mb: float
    said: str


def programme(templates: int, frames: int) -> DemoNight:
    """Return templates of some science frames each; those of one night share their calibrations."""
    files: list[ArchiveFile] = []
    trees = []
    for template in range(templates):
        night, place = divmod(template, TEMPLATES_OF_A_NIGHT)
        evening = datetime(2016, 1, 1, 12) + timedelta(days=night)
        calibrations = [AssociatedFile(name_at(evening, number), "DARK") for number in range(CALIBRATIONS_OF_A_NIGHT)]
        if place == 0:
            files += [frame(evening, number, evening, "CALIB", night) for number in range(CALIBRATIONS_OF_A_NIGHT)]
        start = evening + timedelta(hours=12, minutes=20 * place)
        science = [frame(start, number, start, "SCIENCE", night) for number in range(frames)]
        files += science
        dark = Association("DARK", tuple(calibrations), match="calib_plan")
        root = Association("SCI", tuple(file.associated for file in science), associated=(dark,))
        trees.append(AssociationTree(root, "Raw2Raw"))
    return DemoNight(f"programme-{templates}x{frames}", "NAOS+CONICA", tuple(files), tuple(trees), kept=False)


def name_at(start: datetime, number: int) -> DpId:
    return DpId(f"NACO.{timestamp(start + timedelta(seconds=number))[:-1]}")


def frame(start: datetime, number: int, template: datetime, category: str, night: int) -> ArchiveFile:
    moment = start + timedelta(seconds=number)
    name = name_at(start, number)
    keywords: Keywords = (
        ("INSTRUME", "NAOS+CONICA"),
        ("DATE-OBS", timestamp(moment)),
        ("MJD-OBS", mjd(moment)),
        ("OBJECT", "NGC 1365"),
        ("ARCFILE", f"{name}.fits"),
        ("ESO DPR CATG", category),
        ("ESO OBS PROG ID", f"{PROGRAMME}({'ABCD'[night % 4]})"),
        ("ESO TPL START", timestamp(template)[:19]),
    )
    return ArchiveFile(name, category, keywords, partial(dummy_content, name, 2 * 2880), estimated_bytes=2 * 2880)


def start(url: str, root: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "esorex_bridge", "fetch", "--from-query", "--program", f"{PROGRAMME}%", "--yes"]
    words += ["--archive", url, "--root", str(root)]
    variables = {**os.environ, "ESOREX_BRIDGE_PATIENCE": "0.01"}
    # What it says goes into a file: nobody reads a pipe while we wait.
    with (root.parent / "said.txt").open("a") as said:
        return subprocess.Popen(words, stdout=said, stderr=said, text=True, env=variables)


def end(process: subprocess.Popen[str], root: Path) -> Ended:
    memory_mb = 0.0
    while process.poll() is None:
        memory_mb = max(memory_mb, peak_mb(process.pid))
        time.sleep(0.02)
    return Ended(process.returncode, memory_mb, (root.parent / "said.txt").read_text())


def peak_mb(pid: int) -> float:
    """Return the most memory that a process had so far; 0 where it has ended.

    What the system counts for a process that was waited for includes the memory of its parent before `exec`.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found.group(1)) / 1024 if found else 0.0


def data(root: Path) -> Path:
    return root / "reflex_input" / "data_with_raw_calibs"


def answered(root: Path) -> set[str]:
    """Return the frames whose association was kept, as the notes beside the trees say."""
    notes = data(root) / ".esorex_bridge_trees.jsonl"
    lines = notes.read_text().splitlines()[1:] if notes.exists() else []
    trees = [data(root) / json.loads(line)["file"] for line in lines if line.endswith("}")]
    return {file.name for tree in trees for file in read_tree_file(tree).root.files}


def kill_when(archive: Asked, root: Path, condition: Callable[[], bool]) -> float:
    """Begin to fetch, and kill that as soon as a condition holds; return the memory that it needed."""
    process = start(archive.url, root)
    await_that(lambda: condition() or process.poll() is not None, 200)
    memory_mb = peak_mb(process.pid)
    process.send_signal(signal.SIGKILL)
    end(process, root)
    await_quiet(archive)
    return memory_mb


def fetch_with_kills(archive: Asked, root: Path, templates: int, kills: int) -> Ended:
    """Fetch a programme, killed when so many parts of its trees are there; no frame with an answer is asked again.

    The memory is the most that any of the processes needed.
    """
    known: set[str] = set()
    before, memory_mb = 0, 0.0
    for kill in range(1, kills + 1):
        wanted = templates * kill // (kills + 1)
        most = kill_when(archive, root, lambda wanted=wanted: len(list(data(root).glob("*.xml"))) >= wanted)  # type: ignore[misc]
        memory_mb = max(memory_mb, most)
        refuse_twice(archive, known, before)
        known, before = answered(root), len(archive.frames)
    ended = end(start(archive.url, root), root)
    refuse_twice(archive, known, before)
    return replace(ended, memory_mb=max(memory_mb, ended.memory_mb))


def refuse_twice(archive: Asked, known: set[str], before: int) -> None:
    again = {name for names in archive.frames[before:] for name in names} & known
    assert not again, f"{len(again)} frames were asked about twice"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return an empty data root."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def test_downloads_begin_before_all_associations_are_known(frames_folder: Path, root: Path) -> None:
    with Asked([programme(130, 2)], frames_folder) as archive:
        archive.fault(Fault.CAL504)
        ended = end(start(archive.url, root), root)
        kinds = [request.kind for request in archive.requests if request.kind in ("file", "calselector")]
    assert ended.code == 0, ended.said
    assert "calSelector: " in ended.said and "of 260 frames" in ended.said
    assert len(list(data(root).glob("*.fits"))) == 260 + 6 * CALIBRATIONS_OF_A_NIGHT
    assert kinds.index("file") < len(kinds) - 1 - kinds[::-1].index("calselector")


def test_a_programme_that_is_killed_is_resumed_where_it_was(frames_folder: Path, root: Path) -> None:
    with Asked([programme(150, 1)], frames_folder) as archive:
        archive.fault(Fault.CAL504)
        ended = fetch_with_kills(archive, root, 150, kills=1)
    assert ended.code == 0, ended.said
    assert len(list(data(root).glob("*.fits"))) == 150 + 6 * CALIBRATIONS_OF_A_NIGHT
    assert ended.memory_mb <= MOST_MB


def test_what_calselector_answered_before_it_failed_is_kept(frames_folder: Path, root: Path) -> None:
    with Asked([programme(250, 1)], frames_folder) as archive:
        archive.fault(Fault.CAL500LATE)
        ended = end(start(archive.url, root), root)
        assert ended.code == 1 and "HTTP 500" in ended.said
        known = answered(root)
        assert len(known) >= 200
        archive.clear_faults()
        before = len(archive.frames)
        ended = end(start(archive.url, root), root)
    assert ended.code == 0, ended.said
    assert not {name for names in archive.frames[before:] for name in names} & known
    assert len(answered(root)) == 250


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_frames_come_in_little_memory_and_through_three_kills(frames_folder: Path, root: Path) -> None:
    templates, frames = 2500, 4
    with Asked([programme(templates, frames)], frames_folder) as archive:
        began = time.monotonic()
        at_once_mb = kill_when(archive, root, lambda: archive.count("file") > 0)
        first_s = time.monotonic() - began
        ended = fetch_with_kills(archive, root, templates, kills=3)
    memory_mb = max(at_once_mb, ended.memory_mb)
    print(f"first download after {first_s:.1f} s, at most {memory_mb:.0f} MB")
    assert ended.code == 0, ended.said[-3000:]
    assert len(list(data(root).glob("*.fits"))) == templates * frames + 100 * CALIBRATIONS_OF_A_NIGHT
    asked = sum(map(len, archive.frames))
    assert asked <= templates + 4 * BATCH, "a frame of each template once, and again what was on its way at a kill"
    assert first_s <= 10
    assert memory_mb <= MOST_MB
