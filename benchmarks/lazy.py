"""The no-op: a finished cascade looked at again, against what other engines need for the same graph.

    python benchmarks/lazy.py [--steps 40 1000 10000] [--rounds 5] [--against ninja doit snakemake]

For each number of steps: a graph of finished steps (a quarter masters of four files each, the rest science steps that
take one file and one master), and a no-op by

- the bridge, through its library: keys of all steps from content digests, the store asked, every product looked at;
- ninja, doit, snakemake on the same graph, as far as they are installed (pip install ninja doit snakemake).

Prints seconds (whole processes) and ratios, and the bridge's peak memory. Goals: at 40 steps 0.7 of doit and 0.1 of
snakemake; at 10,000 steps 4 times ninja and 0.5 of doit; at 100,000 steps within 600 MiB.
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
from collections.abc import Callable
from pathlib import Path

import lazy_graph
from lazy_graph import ToyRunner, build, inputs_of


def main() -> int:
    """Measure and print."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # An installed package has its bytecode written.
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[40, 1000, 10_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--against", nargs="*", default=["ninja", "doit", "snakemake"], help="engines to compare with")
    args = parser.parse_args()
    for steps in args.steps:
        with tempfile.TemporaryDirectory(prefix="lazy-") as made:
            compare(Path(made), steps, args.rounds, args.against)
    return 0


def compare(folder: Path, steps: int, rounds: int, against: list[str]) -> None:
    """Time every engine, and print what came of it."""
    seconds = measure(folder, steps, rounds, against)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    told = ", ".join(f"{name} {value:.3f} s" for name, value in medians.items())
    ratios = ", ".join(
        f"{statistics.median(a / b for a, b in zip(seconds['bridge'], times, strict=True)):.2f} of {name}"
        for name, times in seconds.items()
        if name != "bridge"
    )
    print(f"{steps} steps: {told}; bridge {ratios or 'alone'}; peak {bridge(folder, steps):.0f} MiB", flush=True)


def measure(folder: Path, steps: int, rounds: int, against: list[str]) -> dict[str, list[float]]:
    """Prepare the graph once, then time every engine in turn, and return the seconds of each round."""
    files(folder, steps)
    prepare_bridge(folder, steps)
    engines: dict[str, Callable[[], object]] = {"bridge": lambda: bridge(folder, steps)}
    if "ninja" in against and shutil.which("ninja"):
        ninja_file(folder, steps)
        engines["ninja"] = lambda: quiet(["ninja", "-C", str(folder)])
    if "doit" in against and installed("doit"):
        doit_file(folder, steps)
        engines["doit"] = lambda: quiet(
            [sys.executable, "-m", "doit", "-f", str(folder / "dodo.py"), "-d", str(folder)]
        )
    if "snakemake" in against and installed("snakemake") and steps <= 1000:
        snake_file(folder, steps)
        engines["snakemake"] = lambda: quiet(
            [sys.executable, "-m", "snakemake", "-s", str(folder / "Snakefile"), "-d", str(folder), "-c1", "-q", "all"]
        )
    # The first runs of others touch the products, and ninja goes by times alone: it is the last of them.
    for name in sorted(engines, key=("doit", "snakemake", "ninja", "bridge").index):
        engines[name]()  # brings the books of each engine up to date, and files into memory
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(rounds):
        for name, run in engines.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def files(folder: Path, steps: int) -> None:
    """Make all raws and products: small, whole FITS files."""
    header = "".join(
        card.ljust(80)
        for card in (
            "SIMPLE  =                    T",
            "BITPIX  =                    8",
            "NAXIS   =                    0",
            "END",
        )
    )
    raws = [name for step in range(steps) for name in inputs_of(step, steps) if name.startswith("raw")]
    for number, name in enumerate(dict.fromkeys(raws)):
        (folder / name).write_bytes((header[:240] + f"NUMBER  = {number:20d}".ljust(80) + "END").ljust(2880).encode())
    for step in range(steps):
        (folder / f"product_{step}.fits").write_bytes(header.ljust(2880).encode())


# ----- the bridge


def prepare_bridge(folder: Path, steps: int) -> None:
    """Record every step as made."""
    from esorex_bridge.reuse.record import Product, Record
    from esorex_bridge.run.engine import Engine, resolvable
    from esorex_bridge.store.step_store import open_store
    from esorex_bridge.workspace.folders import Workspace

    with open_store(folder / "books" / "esorex_bridge.db", folder) as store:
        engine = Engine(ToyRunner(), store, Workspace(folder))
        (ahead,) = resolvable(engine.resolve((build(folder, steps),)))
        paths = {name: f"{folder}/product_{name[4:]}.fits" for name in ahead.keys}
        digests = store.digests(paths.values())
        made = []
        for name, key in ahead.keys.items():
            digest = digests[paths[name]]
            assert not isinstance(digest, Exception)
            record = Record(key, (Product(paths[name], "P", digest, 2880),), 1.0, "2026", f"{folder}/x.sof")
            made.append((record, ahead.stated[name], "D", name))
        store.record_all(made)


def bridge(folder: Path, steps: int) -> float:
    """Run a no-op in a process of its own and return its peak memory in MiB."""
    command = [sys.executable, lazy_graph.__file__, str(folder), str(steps)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert told[0] == "0", "something would run, so this is no no-op"
    return int(told[1]) / 1024


# ----- the others


def ninja_file(folder: Path, steps: int) -> None:
    """Write the graph for ninja."""
    lines = ["rule make", "  command = touch $out", ""]
    lines += [f"build product_{step}.fits: make {' '.join(inputs_of(step, steps))}" for step in range(steps)]
    (folder / "build.ninja").write_text("\n".join(lines) + "\n")


def doit_file(folder: Path, steps: int) -> None:
    """Write the graph for doit."""
    tasks = [(step, inputs_of(step, steps)) for step in range(steps)]
    (folder / "dodo.py").write_text(
        f"DOIT_CONFIG = {{'backend': 'sqlite3', 'verbosity': 0}}\nTASKS = {tasks!r}\n"
        "def task_make():\n    for step, deps in TASKS:\n        product = f'product_{step}.fits'\n"
        "        yield {'name': product, 'file_dep': deps, 'targets': [product], 'actions': [f'touch {product}']}\n"
    )


def snake_file(folder: Path, steps: int) -> None:
    """Write the graph for snakemake."""
    rules = [f"rule all:\n    input: {[f'product_{step}.fits' for step in range(steps)]!r}\n"]
    rules += [
        f"rule make_{step}:\n    input: {inputs_of(step, steps)!r}\n    output: 'product_{step}.fits'\n"
        "    shell: 'touch {output}'\n"
        for step in range(steps)
    ]
    (folder / "Snakefile").write_text("".join(rules))


def installed(module: str) -> bool:
    """Tell whether a Python package is there."""
    from importlib.util import find_spec

    return find_spec(module) is not None


def quiet(command: list[str]) -> None:
    """Run a command and throw away what it prints."""
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "HOME": tempfile.gettempdir()})


if __name__ == "__main__":
    sys.exit(main())
