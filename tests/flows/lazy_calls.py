"""Calls of `esorex`, run by it and by `esorex-lazy`, and what they leave behind, made comparable."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from esorex_bridge.fits.header import read_header
from tests.flows.conftest import put_on_disk

LAZY = str(Path(sys.executable).with_name("esorex-lazy"))

_NOISE = re.compile(
    r"Run-time version|Unable to open directory|seconds to complete|processing rate|esorex_lazy|Start time"
)
"""Lines that differ from run to run, or that the narrow recipe folder spares."""

_CHANGING_CARDS = (b"DATE    =", b"CHECKSUM=", b"DATASUM =")

R = "--r=8 8 8 8"
"""What naco_img_dark needs to run on frames of 128 pixels."""


@dataclass(frozen=True, slots=True)
class Left:
    """What a call left: exit code, words, and files by their names."""

    code: int
    out: str
    err: str
    files: dict[str, bytes]


def run_call(command: str, folder: Path, words: tuple[str, ...], env: dict[str, str] | None = None) -> Left:
    """Run a command in a folder; `{here}` in words is that folder."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    variables = {**os.environ, "PWD": str(folder), **(env or {})}
    done = subprocess.run(
        [command, *(word.format(here=folder) for word in words)],
        cwd=folder, env=variables, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=100, check=False,
    )  # fmt: skip
    files = {
        str(path.relative_to(folder)): _comparable(path, folder)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and before.get(path) != path.stat().st_mtime_ns
    }
    return Left(done.returncode, comparable_text(done.stdout, folder), comparable_text(done.stderr, folder), files)


def comparable_text(text: str, folder: Path) -> str:
    """Return messages without times, noise, and the folder's name."""
    plain = text.replace("\\/", "/").replace(str(folder), "HERE")
    lines = [line for line in plain.splitlines() if not _NOISE.search(line)]
    return "\n".join(re.sub(r"^\d\d:\d\d:\d\d |# Date:.*", "", line) for line in lines if line.strip())


def _comparable(path: Path, folder: Path) -> bytes:
    data = path.read_bytes()
    if data.startswith(b"SIMPLE  ="):
        cards = (data[at : at + 80] for at in range(0, len(data), 80))
        return b"".join(card for card in cards if not card.startswith(_CHANGING_CARDS))
    return comparable_text(data.decode(errors="replace"), folder).encode()


def assert_same(left: Left, other: Left) -> None:
    assert left.code == other.code
    assert left.files.keys() == other.files.keys()
    assert left.out == other.out
    assert left.err == other.err
    for name, content in left.files.items():
        assert content == other.files[name], name


@pytest.fixture(scope="module")
def night_folder(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path) -> Path:
    from esorex_bridge.demo.nights.naco import naco_night

    return put_on_disk(naco_night(npix=128), frames_folder, tmp_path_factory.mktemp("night"))


@pytest.fixture(scope="module")
def darks(night_folder: Path) -> list[Path]:
    return [path for path in sorted(night_folder.glob("*.fits")) if read_header(path).get("DPR.TYPE") == "DARK"][:3]


class Desk:
    """A folder with sets of files, and `esorex-lazy` with a store and a count of what the real one ran."""

    def __init__(self, folder: Path, esorex: str, darks: list[Path]) -> None:
        self.folder, self.darks = folder, darks
        self.counted = folder / "runs"
        self.counting = folder / "counting-esorex"
        self.counting.write_text(
            f'#!/bin/sh\ncase "$*" in *--create-config=*answer.json*) ;; *) echo "$*" >> {self.counted};; esac\n'
            f'exec {esorex} "$@"\n'
        )
        self.counting.chmod(0o755)
        self.env = {"ESOREX_LAZY_ESOREX": str(self.counting), "ESOREX_LAZY_STORE": str(folder / "store")}

    @property
    def runs(self) -> int:
        return len(self.counted.read_text().splitlines()) if self.counted.exists() else 0

    def place(self, name: str) -> Path:
        place = self.folder / name / "here"
        for part in ("out", "log"):
            (place / part).mkdir(parents=True)
        for number, dark in enumerate(self.darks):
            (place / f"dark{number}.fits").symlink_to(dark)
        lines = [f"dark{number}.fits CAL_DARK\n" for number in range(len(self.darks))]
        (place / "data.sof").write_text("# darks\n" + "".join(lines))
        (place / "first.sof").write_text(lines[0])
        (place / "second.sof").write_text("".join(lines[1:]).rstrip())
        (place / "broken.sof").write_text("".join(lines) + "nothing.fits CAL_DARK\n")
        (place / "dollar.sof").write_text(lines[0] + "$PWD/dark1.fits CAL_DARK\n")
        (place / "wrong.sof").write_text(lines[0].replace("CAL_DARK", "CAL_NOTHING"))
        (place / "own.rc").write_text('naco.naco_img_dark.rej_bord="8 8 8 8"\nnaco.naco_img_dark.nsamples="90"\n')
        (place / "esorex.rc").write_text("esorex.caller.output-dir=out\nesorex.caller.msg-level=warning\n")
        return place

    def lazy(self, name: str, words: tuple[str, ...], **env: str) -> Left:
        place = self.folder / name / "here"
        return run_call(LAZY, place if place.exists() else self.place(name), words, {**self.env, **env})


@pytest.fixture
def desk(tmp_path: Path, esorex: str, darks: list[Path]) -> Desk:
    return Desk(tmp_path, esorex, darks)
