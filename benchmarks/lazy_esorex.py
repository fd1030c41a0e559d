"""`esorex-lazy` against `esorex` as it is installed: a run that is known, one that is not, and a question.

All run `naco_img_dark` on three frames of 128 pixels, which is little more than EsoRex's start: most of that goes into
loading the plugins of every pipeline, which a narrow recipe folder spares.

    python benchmarks/lazy_esorex.py [--rounds 15]

Prints medians and their ratios to a default `esorex` start. Goals: a hit 0.6; a miss not slower (1.0), also the first
one of all, which asks EsoRex for its settings and the recipe's parameters; `--version` a few milliseconds more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.demo.nights.night import FrameFolder
from esorex_bridge.fits.header import read_header

LAZY = str(Path(sys.executable).with_name("esorex-lazy"))
RUN = ("naco_img_dark", "--r=8 8 8 8", "data.sof")


def main() -> int:
    """Prepare the frames, run all cases in turn, print the medians."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # An installed package has its bytecode written.
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    esorex = shutil.which("esorex")
    if esorex is None:
        print("esorex is not installed: nothing to compare with")
        return 1
    with tempfile.TemporaryDirectory(prefix="lazy-") as made:
        report(measure(Path(made), esorex, args.rounds))
    return 0


def measure(folder: Path, esorex: str, rounds: int) -> dict[str, list[float]]:
    """Return the times of each case in milliseconds, taken in turn after one round that does not count."""
    prepare(folder)
    store = folder / "store"
    times: dict[str, list[float]] = {}
    for _ in range(rounds + 1):
        shutil.rmtree(store, ignore_errors=True)
        cases: list[tuple[str, str, tuple[str, ...]]]
        cases = [("default esorex", esorex, RUN), ("first miss of all", LAZY, RUN), ("hit", LAZY, RUN)]
        cases += [("miss", LAZY, RUN), ("esorex --version", esorex, ("--version",))]
        cases += [("esorex-lazy --version", LAZY, ("--version",))]
        for name, command, words in cases:
            if name == "miss":
                shutil.rmtree(store / "steps")
            times.setdefault(name, []).append(timed(folder, store, command, words))
    return {name: values[1:] for name, values in times.items()}


def timed(folder: Path, store: Path, command: str, words: tuple[str, ...]) -> float:
    """Return how long a command takes in milliseconds."""
    env = {**os.environ, "ESOREX_LAZY_STORE": str(store)}
    begun = time.perf_counter()
    subprocess.run([command, *words], cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begun) * 1000


def prepare(folder: Path) -> None:
    """Put three darks and their set of files into a folder."""
    night = naco_night(npix=128)
    frames = [FrameFolder(folder / "frames").fits(night, file) for file in night.files]
    darks = [path for path in frames if read_header(path).get("DPR.TYPE") == "DARK"][:3]
    (folder / "data.sof").write_text("".join(f"{path} CAL_DARK\n" for path in darks))


def report(times: dict[str, list[float]]) -> None:
    """Print the medians and the ratios to a default start."""
    default = statistics.median(times["default esorex"])
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:<24} {median:7.1f} ms   {median / default:5.2f} of a default start")


if __name__ == "__main__":
    raise SystemExit(main())
