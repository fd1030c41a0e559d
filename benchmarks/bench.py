"""All benchmarks beside other tools, in one table: `make bench`.

    python benchmarks/bench.py [--rounds 9] [--only cascade reflex help noop lazy fetch organise workers scale alone]

Each round runs ours and theirs in turn; what counts is the median of the ratios of the rounds, because ratios travel
between machines and seconds do not. Writes `benchmarks/RESULTS.md`; ends with 1 where a goal is missed or a tool is not
there. Let the machine do nothing else meanwhile: it takes about a quarter of an hour on two cores, and with `--datasets
1000 10000 100000` an hour and 30 GB more.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import batch
import cascade
import fetch
import lazy
import lazy_esorex
import organise
import reflex
import scale
from table import NOT_THERE, Goal, Row, report, versions

from esorex_bridge.cli import VERBS
from esorex_bridge.definitions.oca.library import PATTERNS, rule_file

RESULTS = Path(__file__).with_name("RESULTS.md")
COMMAND = str(Path(sys.executable).with_name("esorex-bridge"))
FILES, FILE_BYTES, LATENCY_S = 200, 2_000_000, 0.03
HEADERS, COMPARED = 2_000, 200
SCALE_ROUNDS = 3


def run_cascades(folder: Path, rounds: int) -> Iterator[Row]:
    """Cold cascades of NACO, in a new root each time, and with nothing remembered of earlier runs."""
    for npix, goal in ((128, 0.62), (512, 0.70)):
        place = folder / str(npix)
        place.mkdir(parents=True)
        data = cascade.prepare(place, npix)
        pairs = [cascade.one_round(place, data, npix, number) for number in range(rounds + 1)][1:]
        what = f"cascade of 3 recipes on frames of {npix} px ({size_of(data.glob('*.fits'))}), from nothing"
        scripts, bridges = tuple(zip(*pairs, strict=True))
        yield Row(what, bridges, "shell script with esorex", scripts, Goal(goal))
        firsts = []
        for number in range(rounds):
            with setting("XDG_CACHE_HOME", str(place / f"caches{number}")):
                firsts.append(cascade.one_round(place, data, npix, number))
        scripts, bridges = tuple(zip(*firsts, strict=True))
        yield Row(f"{what}, first use ever", bridges, "shell script with esorex", scripts, Goal(0.9))


def run_workflow_file(folder: Path, rounds: int) -> Iterator[Row]:
    """NACO's workflow file and `run` on the same night, each in a new root."""
    folder.mkdir()
    data = cascade.prepare(folder, 512)
    times: dict[str, list[float]] = {"run": [], "reflex run": []}
    for number in range(rounds + 1):
        plain = reflex.run(folder, data, f"plain{number}")
        by_file = reflex.run(folder, data, f"reflex{number}", reflex.WORKFLOW)
        if number:
            times["run"].append(plain)
            times["reflex run"].append(by_file)
    what = "`reflex run naco.xml`, a cascade of 3 recipes on frames of 512 px, from nothing"
    yield Row(what, tuple(times["reflex run"]), "`run` on the same night", tuple(times["run"]), Goal(1.3))


def run_help(folder: Path, rounds: int) -> Iterator[Row]:
    """`--help` of all verbs: the slowest one."""
    words = [[], *([name] for name in VERBS), *([name, sub] for name, verb in VERBS.items() for sub in verb.sub)]
    times: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for verb in words:
            seconds = cascade.timed([COMMAND, *verb, "--help"])
            if number:
                times.setdefault(" ".join(verb), []).append(seconds)
    slowest = max(times, key=lambda verb: statistics.median(times[verb]))
    yield Row("`--help`", tuple(times[""]), goal=Goal(0.06))
    yield Row(f"`{slowest} --help`, the slowest of {len(words) - 1} verbs", tuple(times[slowest]), goal=Goal(0.06))


def run_noops(folder: Path, rounds: int) -> Iterator[Row]:
    """A finished graph looked at again."""
    goals = {
        40: {"doit": Goal(0.7), "snakemake": Goal(0.1)},
        1_000: {"ninja": Goal(8), "doit": Goal(0.7), "snakemake": Goal(0.1)},
        10_000: {"ninja": Goal(4), "doit": Goal(0.5)},
    }
    for steps, wanted in goals.items():
        place = folder / str(steps)
        place.mkdir(parents=True)
        seconds = lazy.measure(place, steps, rounds, ["ninja", "doit", "snakemake"])
        for peer in ("ninja", "doit", "snakemake"):
            if peer in seconds:
                what = f"nothing to do in a graph of {steps:,} steps"
                yield Row(what, tuple(seconds["bridge"]), peer, tuple(seconds[peer]), wanted.get(peer))


def run_lazy(folder: Path, rounds: int) -> Iterator[Row]:
    """`esorex-lazy` in the place of `esorex`."""
    esorex = shutil.which("esorex") or "esorex"
    folder.mkdir()
    times = {
        name: [value / 1e3 for value in values] for name, values in lazy_esorex.measure(folder, esorex, rounds).items()
    }
    start = tuple(times["default esorex"])
    yield Row("`esorex-lazy`, known run", tuple(times["hit"]), "esorex", start, Goal(0.6))
    yield Row("`esorex-lazy`, new run", tuple(times["miss"]), "esorex", start, Goal(1.0))


def run_fetch(folder: Path, rounds: int) -> Iterator[Row]:
    """Downloads from an archive on this machine."""
    tools: dict[str, fetch.Tool] = {
        "astroquery": fetch.astroquery, "curl": fetch.curl(4), "x4": fetch.ours(4), "x8": fetch.ours(8)
    }  # fmt: skip
    here, there = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=fetch.serve, args=(FILES, FILE_BYTES, LATENCY_S, folder / "frames", there)
    )
    server.start()
    url, names = here.recv()
    times: dict[str, list[float]] = {name: [] for name in tools}
    for number in range(rounds + 1):
        for name, tool in tools.items():
            seconds = fetch.measure(tool, url, names if number else names[:8], folder / "run")
            if number:
                times[name].append(seconds)
    here.send("done")
    server.join()
    what = f"fetch {FILES} files of 2 MB ({LATENCY_S * 1e3:.0f} ms latency), verified and hashed, {{}} connections"
    four, eight = tuple(times["x4"]), tuple(times["x8"])
    yield Row(what.format(4), four, "astroquery", tuple(times["astroquery"]), Goal(0.28))
    yield Row(what.format(4), four, "curl, 4 connections, neither", tuple(times["curl"]), Goal(1.1))
    yield Row(what.format(8), eight, "astroquery", tuple(times["astroquery"]), Goal(0.15))


def run_organise(folder: Path, rounds: int) -> Iterator[Row]:
    """Headers of a season, a file."""
    installed = [path for pattern in PATTERNS for path in Path("/usr/share").glob(pattern)]
    rules = rule_file("NAOS+CONICA", installed)
    assert rules is not None, "the NACO pipeline is not installed"
    season, some = folder / "season", folder / "some"
    folder.mkdir()
    organise.write(season, HEADERS)
    organise.write(some, COMPARED)
    first, again, theirs = [], [], []
    for number in range(rounds):
        organise.warm(season)
        one, other = organise.ours(season, rules, folder / f"cache{number}.jsonl")
        organise.warm(some)
        theirs.append(organise.ccdproc(some))
        first.append(one)
        again.append(other)
    what = f"headers of {HEADERS:,} raws of {organise.CARDS} cards read and classified by rules, a file"
    yield Row(what, tuple(first), f"ccdproc's summary of 12 keywords ({COMPARED} files)", tuple(theirs), Goal(0.04))
    yield Row(f"{what}, again", tuple(again), "the first time", tuple(first), Goal(0.1))


def run_workers(folder: Path, rounds: int) -> Iterator[Row]:
    """Batches of independent runs; what two at once gain without us is the most that this machine has to give."""
    sof = batch.put_jitter(folder / "data", 512)
    ones, twos, bare_ones, bare_twos = [], [], [], []
    for number in range(rounds):
        ones.append(batch.bridge(folder, number, 1)[1])
        twos.append(batch.bridge(folder, number, 2)[1])
        bare_ones.append(batch.by_xargs(folder, sof, 1))
        bare_twos.append(batch.by_xargs(folder, sof, 2))
    what = f"batch of {batch.RUNS} runs of naco_img_jitter of 512 px, two workers, from first recipe to last"
    yield Row(what, tuple(twos), "one worker", tuple(ones), Goal(1.9, at_least=True), turned=True)
    yield Row(what, tuple(twos), "xargs -P2 over bare esorex", tuple(bare_twos), Goal(1.0, at_least=True), turned=True)
    yield Row(
        "the same 24 runs, xargs -P2 over bare esorex", tuple(bare_twos), "xargs -P1", tuple(bare_ones), turned=True
    )


def rows_of_scale(measured: Sequence[scale.Measured]) -> Iterator[Row]:
    """Very many datasets that are all made: time for a thousand and growth from there, memory, and files left."""
    before: scale.Measured | None = None
    for each in measured:
        what = f"batch of {each.datasets:,} datasets of 100 files, all made: planned, found made, reported"
        seconds = tuple(spent.seconds for spent in each.found)
        if before is None:
            yield Row(what, seconds, goal=Goal(2 * each.datasets / 1000))
        else:
            earlier = tuple(spent.seconds for spent in before.found)
            most = Goal(12 if each.datasets == 10 * before.datasets else 1.2 * each.datasets / before.datasets)
            yield Row(what, seconds, f"{before.datasets:,} of them", earlier, most)
        before = each
    if before is not None:
        most_taken = (before.first.megabytes, *(spent.megabytes for spent in before.found))
        yield Row(f"memory of {before.datasets:,} datasets", most_taken, goal=Goal(600), unit="MB")
        left = 1000 * before.left / max(1000, before.steps)
        yield Row("files that a batch leaves in its folder, for 1,000 steps", (left,), goal=Goal(20), unit="files")


BENCHMARKS: dict[str, Callable[[Path, int], Iterator[Row]]] = {
    "cascade": run_cascades,
    "reflex": run_workflow_file,
    "help": run_help,
    "noop": run_noops,
    "lazy": run_lazy,
    "fetch": run_fetch,
    "organise": run_organise,
    "workers": run_workers,
}


APART = ("scale", "alone")
"""What else is measured, and has tables or lines of its own."""


def run_scale(numbers: Sequence[int]) -> tuple[scale.Measured, ...]:
    """Return what very many datasets take."""
    with tempfile.TemporaryDirectory(prefix="scale-") as place:
        return scale.measure(Path(place), numbers, SCALE_ROUNDS)


def run_alone() -> str:
    """Return what `batch.py` prints of work that no other tool does."""
    program = str(Path(__file__).with_name("batch.py"))
    said = []
    for part in ("steps", "planning"):
        done = subprocess.run([sys.executable, program, "--only", part], capture_output=True, text=True, check=False)
        failed = f"{part}: failed ({done.stderr.strip().rpartition(chr(10))[2]})\n"
        said.append(failed if done.returncode else done.stdout)
    return "".join(said)


def size_of(files: Iterable[Path]) -> str:
    """Return how many files there are, and how large they are."""
    sizes = [path.stat().st_size for path in files]
    return f"{len(sizes)} files, {sum(sizes) / 1e6:.1f} MB"


@contextlib.contextmanager
def setting(name: str, value: str) -> Iterator[None]:
    """Set a variable for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def main() -> int:
    """Measure, write, and name the goals that are missed."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # An installed package has its bytecode written.
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", nargs="+", choices=(*BENCHMARKS, *APART), default=[*BENCHMARKS, *APART])
    parser.add_argument("--datasets", type=int, nargs="+", default=[1000, 10_000], help="of `scale`")
    parser.add_argument("--into", type=Path, default=RESULTS, help="the file that is written")
    args = parser.parse_args()
    if shutil.which("esorex") is None:
        print("esorex is not installed: nothing to compare with")
        return 1
    rows: list[Row] = []
    for name in args.only:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="bench-") as made:
            for row in BENCHMARKS[name](Path(made) / name, args.rounds) if name in BENCHMARKS else ():
                rows.append(row)
                print(row.line(), flush=True)
        print(f"({name}: {time.monotonic() - began:.0f} s)", file=sys.stderr)
    measured = run_scale(args.datasets) if "scale" in args.only else ()
    rows += rows_of_scale(measured)
    written = report(rows, run_alone() if "alone" in args.only else "", measured, args.rounds)
    args.into.write_text(written, encoding="utf-8")
    print(written.rpartition("|\n")[2].strip())
    return int(any("missed" in row.verdict for row in rows) or NOT_THERE in versions().values())


if __name__ == "__main__":
    sys.exit(main())
