"""Calls of `esorex`, run by it and by `esorex-lazy`, and what they leave behind, made comparable."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LAZY = str(Path(sys.executable).with_name("esorex-lazy"))

_NOISE = re.compile(
    r"Run-time version|Unable to open directory|seconds to complete|processing rate|esorex_lazy|Start time"
)
"""Lines that differ from run to run, or that the narrow recipe folder spares."""

_CHANGING_CARDS = (b"DATE    =", b"CHECKSUM=", b"DATASUM =", b"HIERARCH ESO PRO REC1 START", b"HIERARCH ESO PRO REC1 STOP")


@dataclass(frozen=True, slots=True)
class Left:
    """What a call left: exit code, words, and files by their names."""

    code: int
    out: str
    err: str
    files: dict[str, bytes]


def run_call(command: str, folder: Path, words: tuple[str, ...], env: dict[str, str] | None = None) -> Left:
    """Run a command in a folder; `{here}` in words and variables is that folder."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    variables = {**os.environ, "PWD": str(folder), **{name: value.format(here=folder) for name, value in (env or {}).items()}}
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
    lines = [line for line in text.replace("\\/", "/").replace(str(folder), "HERE").splitlines() if not _NOISE.search(line)]
    return "\n".join(re.sub(r"^\d\d:\d\d:\d\d |# Date:.*", "", line) for line in lines if line.strip())


def _comparable(path: Path, folder: Path) -> bytes:
    data = path.read_bytes()
    if data.startswith(b"SIMPLE  ="):
        cards = (data[at : at + 80] for at in range(0, len(data), 80))
        return b"".join(card for card in cards if not card.startswith(_CHANGING_CARDS))
    return comparable_text(data.decode(errors="replace"), folder).encode()
