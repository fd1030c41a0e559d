"""A reduction whose archive is gone: played again from a trace, with the same files and the same products."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from esorex_bridge.cli import main
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.fits.header import read_header
from tests.flows.conftest import SMALL
from tests.flows.lazy_calls import _CHANGING_CARDS

CARD = 80

CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>

static const time_t then = 1700000000;

time_t time(time_t *into) { if (into) *into = then; return then; }

int gettimeofday(struct timeval *into, void *zone) { into->tv_sec = then; into->tv_usec = 0; return 0; }

int clock_gettime(clockid_t clock, struct timespec *into)
{
    if (clock == CLOCK_REALTIME) { into->tv_sec = then; into->tv_nsec = 0; return 0; }
    return ((int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime"))(clock, into);
}
"""
"""A clock of the system that stands still: recipes write the time into what they make."""


@pytest.fixture
def standing(esorex: str, tmp_path: Path) -> Path:
    """Return a folder with an `esorex` whose clock stands still."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler, to make a clock that stands still")
    folder = tmp_path / "standing"
    folder.mkdir()
    (folder / "clock.c").write_text(CLOCK)
    library = folder / "clock.so"
    words = [compiler, "-shared", "-fPIC", "-o", str(library), str(folder / "clock.c"), "-ldl"]
    subprocess.run(words, check=True, timeout=60)
    wrapper = folder / "esorex"
    wrapper.write_text(f'#!/bin/sh\nLD_PRELOAD={library} exec {esorex} "$@"\n')
    wrapper.chmod(0o755)
    return folder


def stable(content: bytes) -> bytes:
    """Return a product without the cards that say when it was made."""
    cards = (content[at : at + CARD] for at in range(0, len(content), CARD))
    return b"".join(card for card in cards if not card.startswith(_CHANGING_CARDS))


def products(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "reflex_end_products").rglob("*.fits")}


def data(root: Path) -> Path:
    return root / "reflex_input" / "data_with_raw_calibs"


def record(frames: Path, root: Path, trace: Path) -> list[str]:
    """Reduce a night, with a trace; return the words of the command, without the root. The archive is gone then."""
    with EmbeddedArchive([naco_night(npix=128)], frames) as archive:
        words = ["reduce", "--program", "60.A-9999(A)", "--archive", archive.url, *SMALL, "--root"]
        assert main([*words, str(root), "--trace-http", str(trace)]) == 0
    return words


def test_a_recorded_reduction_makes_the_same_products_without_the_archive(
    standing: Path, frames_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again, trace = tmp_path / "first", tmp_path / "again", tmp_path / "trace"
    monkeypatch.setenv("PATH", str(standing), prepend=":")
    words = record(frames_folder, first, trace)
    monkeypatch.setenv("ESOREX_BRIDGE_REPLAY_HTTP", f"{trace}:{data(first)}")
    assert main([*words, str(again)]) == 0
    for path in data(first).glob("*.fits*"):
        assert path.read_bytes() == (data(again) / path.name).read_bytes()
    assert products(first) and products(first) == products(again)


def test_a_recorded_reduction_played_again_where_it_was_runs_nothing(
    esorex: str,
    frames_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, trace, kept = tmp_path / "root", tmp_path / "trace", tmp_path / "kept"
    words = record(frames_folder, root, trace)
    before = products(root)
    data(root).rename(kept)
    monkeypatch.setenv("ESOREX_BRIDGE_REPLAY_HTTP", f"{trace}:{kept}")
    capsys.readouterr()
    assert main([*words, str(root), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["executed"] == 0 and document["reused"] > 0
    assert {file["status"] for file in document["files"]} == {"fetched"}
    assert before and products(root) == before


def test_it_is_the_recipe_that_writes_the_time(esorex: str, standing: Path, tmp_path: Path) -> None:
    """Two runs of EsoRex alone differ in the cards that name the time, and in nothing else."""
    night = naco_night()
    darks = [file for file in night.raws if file.category == "CAL_DARK"][:3]
    paths = [tmp_path / f"{file.dp_id}.fits" for file in darks]
    for file, path in zip(darks, paths, strict=True):
        path.write_bytes(file.build())
    sof = tmp_path / "darks.sof"
    sof.write_text("".join(f"{path} CAL_DARK\n" for path in paths))

    def run(command: str, name: str) -> bytes:
        folder = tmp_path / name
        folder.mkdir()
        words = [command, f"--output-dir={folder}", "naco_img_dark", str(sof)]
        subprocess.run(words, check=True, cwd=folder, capture_output=True, timeout=100)
        return min(folder.glob("*.fits")).read_bytes()

    first = run(esorex, "first")
    time.sleep(1.0)
    again = run(esorex, "again")
    assert first != again and stable(first) == stable(again)
    still = str(standing / "esorex")
    assert run(still, "still") == run(still, "still_again")
    assert read_header(min((tmp_path / "still").glob("*.fits")))["DATE"].startswith("2023-11-14T22:13:20")
