"""The table of `bench.py`: rows, goals, machine and versions."""

from __future__ import annotations

import os
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import scale

from esorex_bridge.version import __version__

NOT_THERE = "not installed"
_NEXT = " · "


class Goal(NamedTuple):
    """What a ratio, or a time, should be."""

    value: float
    at_least: bool = False

    def met(self, found: float) -> bool:
        """Tell whether it is."""
        return found >= self.value if self.at_least else found <= self.value

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.value:g}"


class Row(NamedTuple):
    """Ours beside theirs: seconds of each round, and their goal, which is for the seconds where nothing is beside."""

    work: str
    ours: tuple[float, ...]
    peer: str = ""
    theirs: tuple[float, ...] = ()
    goal: Goal | None = None
    turned: bool = False
    """Whether the ratio is theirs to ours: how many times as fast."""
    unit: str = "s"

    @property
    def ratios(self) -> tuple[float, ...]:
        """Of each round."""
        if not self.theirs:
            return self.ours
        pairs = zip(self.ours, self.theirs, strict=True)
        return tuple(peer / own if self.turned else own / peer for own, peer in pairs)

    @property
    def verdict(self) -> str:
        """Whether the goal is met."""
        if self.goal is None:
            return ""
        return "met" if self.goal.met(statistics.median(self.ratios)) else "**missed**"

    def line(self) -> str:
        """Return the row of the table."""
        ratios = self.ratios
        found = f"{statistics.median(ratios):.3g} ({min(ratios):.3g}–{max(ratios):.3g})" if self.theirs else ""
        theirs = shown(self.theirs, self.unit) if self.theirs else ""
        goal = f"{self.goal}{'' if self.theirs else f' {self.unit}'}" if self.goal else ""
        cells = (self.work, shown(self.ours, self.unit), self.peer, theirs, found, goal, self.verdict)
        return f"| {' | '.join(cells)} |"


def shown(found: tuple[float, ...], unit: str) -> str:
    """Return the median of what was found, with the least and the greatest."""
    return f"{statistics.median(found):.3g} {unit} ({min(found):.3g}–{max(found):.3g})"


def report(rows: Iterable[Row], alone: str, measured: Sequence[scale.Measured], rounds: int) -> str:
    """Return the document."""
    listed = tuple(rows)
    missed = "".join(f"- {row.work}: {row.peer or 'alone'}\n" for row in listed if "missed" in row.verdict)
    lacking = _NEXT.join(name for name, found in versions().items() if found == NOT_THERE)
    return "\n".join(
        (
            "# Measured beside other tools",
            "",
            f"Written by `make bench`: {rounds} rounds, ours and theirs in turn; medians, and from least to greatest.",
            "A ratio is ours to theirs, round by round (for batches theirs to ours, how many times as fast).",
            "",
            f"Machine: {machine()}",
            "",
            f"Versions: {_NEXT.join(f'{name} {found}' for name, found in versions().items())}",
            "",
            "| work | ours | beside | theirs | ratio | goal | |",
            "|---|---|---|---|---|---|---|",
            *(row.line() for row in listed),
            "",
            *(["Very many datasets:", "", *scale.table(measured), ""] if measured else []),
            *(["Without a peer:", "", *(f"- {line}" for line in alone.splitlines()), ""] if alone else []),
            *([f"Not measured, because not installed: {lacking}", ""] if lacking else []),
            f"Goals missed:\n\n{missed}" if missed else "All goals are met.\n",
        )
    )


def machine() -> str:
    """Return what the machine is, without its name."""
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
        memory = re.search(r"MemTotal:\s*(\d+) kB", Path("/proc/meminfo").read_text())
        system = re.search(r'PRETTY_NAME="(.+)"', Path("/etc/os-release").read_text())
    except OSError:
        found = memory = system = None
    parts = (
        f"{os.cpu_count()} processors ({found[1] if found else platform.machine()})",
        f"{int(memory[1]) / 1e6:.0f} GB" if memory else "",
        system[1] if system else platform.system(),
        f"kernel {platform.release().partition('-')[0]}",
        f"Python {platform.python_version()}",
    )
    return ", ".join(filter(None, parts))


def versions() -> dict[str, str]:
    """Return the versions of ours and of the tools beside."""
    found = {"esorex-bridge": __version__}
    for program in ("esorex", "curl", "ninja", "xargs"):
        found[program] = program_version(program)
    for package in ("doit", "snakemake", "astroquery", "ccdproc"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = NOT_THERE
    return found


def program_version(program: str) -> str:
    """Return what a program says of its version."""
    if shutil.which(program) is None:
        return NOT_THERE
    with tempfile.TemporaryDirectory() as place:  # EsoRex leaves a log where it is started.
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, cwd=place)
    number = re.search(r"\d+(\.\d+)+", said.stdout + said.stderr)
    return number[0] if number else "of unknown version"
