"""Batches: two workers against one and against `xargs -P2`; what a step costs; planning a thousand datasets.

    python benchmarks/batch.py [--npix 512] [--rounds 3] [--only workers|steps|planning]

`workers`   24 independent runs of naco_img_jitter: one worker, two workers, and `xargs -P2` over bare `esorex`, with
            `xargs -P1` for its ratio. Goal: two workers at least 1.9 times one, from the first recipe to the last.
`steps`     what a step costs the driver beside its recipe, with an engine that does nothing: 100, 1,000, 10,000 steps.
`planning`  1,000 datasets of 100 files each, from trees and headers to plans: `scale.py` has more of that.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from instant import InstantExecutor, SilentWatcher
from msgspec.structs import replace
from scale import measure_part
from spent import most_resident_mb

from esorex_bridge.batch.dataset_source import Fetching, Item, Planned, Supply
from esorex_bridge.batch.driver import BatchOptions, Driver
from esorex_bridge.batch.jobs import read_jobs
from esorex_bridge.batch.ledger import BatchStores
from esorex_bridge.batch.start import BatchRequest, new_batch
from esorex_bridge.datasets.association import AssociationTree
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.demo.archive.tree_xml import tree_document
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.demo.nights.night import FrameFolder, group
from esorex_bridge.disk.room import Room
from esorex_bridge.executors.batch_folder import BatchFolder
from esorex_bridge.process import begin
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import Record
from esorex_bridge.run.executor import TaskRequest, Ticket
from esorex_bridge.run.expected import Expectations
from esorex_bridge.run.result import StepResult
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings

COMMAND = str(Path(sys.executable).with_name("esorex-bridge"))
RUNS = 24
JOBS = f"""\
jobs:
  - datasets: all
    parameters:
      naco_img_dark: {{r: "8 8 8 8"}}
      naco_img_twflat: {{r: "8 8 8 8"}}
    sweep:
      naco_img_jitter: {{rej: {[f"0 {number}" for number in range(RUNS)]}}}
"""


def main() -> int:
    """Run the benchmarks that are asked for."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # An installed package has its bytecode written.
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--npix", type=int, default=512, help="size of the frames")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("workers", "steps", "planning"))
    args = parser.parse_args()
    if shutil.which("esorex") is None:
        print("esorex is not installed: nothing to compare with")
        return 1
    with tempfile.TemporaryDirectory(prefix="batch-") as made:
        if args.only in (None, "workers"):
            workers(Path(made) / "workers", args.npix, args.rounds)
        if args.only in (None, "steps"):
            steps(Path(made) / "steps")
        if args.only in (None, "planning"):
            planning(Path(made) / "planning")
    return 0


# ----- two workers


def workers(folder: Path, npix: int, rounds: int) -> None:
    """Print the times of one and two workers, of the bridge and of xargs, in turn."""
    frames = put_jitter(folder / "data", npix)
    lines: list[tuple[float, ...]] = []
    for number in range(rounds + 1):
        times = (
            bridge(folder, number, 1),
            bridge(folder, number, 2),
            by_xargs(folder, frames, 1),
            by_xargs(folder, frames, 2),
        )
        flat = (*times[0], *times[1], times[2], times[3])
        if number:  # the first round warms up
            lines.append(flat)
            print(sentence(flat))
    print("median: " + sentence(tuple(statistics.median(column) for column in zip(*lines, strict=True))))


def sentence(times: tuple[float, ...]) -> str:
    """Return a round's times in words."""
    one, inner_one, two, inner_two, xargs_one, xargs_two = times
    return (
        f"bridge 1 worker {one:.2f} s, 2 workers {two:.2f} s: {one / two:.2f}x in all, "
        f"{inner_one / inner_two:.2f}x from first to last recipe; "
        f"esorex by xargs {xargs_one:.2f} s, {xargs_two:.2f} s: {xargs_one / xargs_two:.2f}x"
    )


def put_jitter(folder: Path, npix: int) -> str:
    """Make a night whose masters are there already, and return the SOF of its science recipe."""
    night = naco_night(npix)
    place = folder / "reflex_input" / "data_with_raw_calibs"
    place.mkdir(parents=True)
    for file in night.files:
        FrameFolder(folder / "frames").fits(night, file).rename(place / f"{file.dp_id}.fits")
    (place / f"{night.trees[0].root.files[0].name}_raw2raw.xml").write_text(tree_document(night.trees[0]))
    sets = [f"--set={recipe}.r=8 8 8 8" for recipe in ("naco_img_dark", "naco_img_twflat")]
    subprocess.run([COMMAND, "run", "--root", str(folder), *sets], check=True, capture_output=True)
    (sof,) = (folder / "reflex_book_keeping").glob("naco/naco_img_jitter_1/*T*/data.sof")
    return sof.read_text()


def put_darks(folder: Path, npix: int) -> list[Path]:
    """Make a dataset of darks alone, and return its frames."""
    night = naco_night(npix)
    darks = tuple(file for file in night.files if file.category == "CAL_DARK" and file.keyword("ESO DET DIT") == 10.0)
    place = folder / "reflex_input" / "data_with_raw_calibs"
    place.mkdir(parents=True)
    for file in darks:
        FrameFolder(folder / "frames").fits(night, file).rename(place / f"{file.dp_id}.fits")
    tree = AssociationTree(group("DARK", darks), "Raw2Raw")
    (place / f"{darks[0].dp_id}_raw2raw.xml").write_text(tree_document(tree))
    return sorted(place.glob("*.fits"))


def bridge(folder: Path, number: int, jobs: int) -> tuple[float, float]:
    """Return the seconds of a batch of 24 runs: in all, and from the first recipe's beginning to the last one's end."""
    root = folder / f"bridge-{number}-{jobs}"
    shutil.copytree(folder / "data", root, symlinks=True)
    (root / "jobs.yaml").write_text(JOBS)
    command = [COMMAND, "batch", str(root / "jobs.yaml"), "--root", str(root), "--jobs", str(jobs), "--json"]
    began = time.perf_counter()
    done = subprocess.run([*command, "--name", "b"], check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    assert json.loads(done.stdout)["executed"] == RUNS
    notes = (root / "reflex_book_keeping" / "batches" / "b" / "events.jsonl").read_text().splitlines()
    moments = [
        datetime.fromisoformat(event["at"]) for event in map(json.loads, notes) if event["event"] in ("running", "made")
    ]
    shutil.rmtree(root)
    return seconds, (max(moments) - min(moments)).total_seconds()


def by_xargs(folder: Path, sof: str, jobs: int) -> float:
    """Return the seconds of the same 24 runs of bare `esorex`, each in a folder of its own."""
    place = folder / "xargs"
    place.mkdir()
    (place / "data.sof").write_text(sof)
    line = "mkdir {} && cd {} && exec esorex naco_img_jitter --rej='0 {}' ../data.sof >/dev/null"
    values = "\n".join(map(str, range(RUNS)))
    began = time.perf_counter()
    subprocess.run(
        ["xargs", "-P", str(jobs), "-I", "{}", "sh", "-c", line], input=values, text=True, check=True, cwd=place,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    assert len(list(place.glob("*/naco_img_jitter.fits"))) == RUNS
    shutil.rmtree(place)
    return seconds


# ----- what a step costs


class NothingExecutor(InstantExecutor):
    """Makes steps of nothing."""

    def __init__(self, folder: BatchFolder, product: Record) -> None:
        super().__init__(folder, self.make)
        self._product = product
        self.spent = 0.0

    def submit(self, order: TaskRequest, after: Sequence[Ticket] = ()) -> Ticket:
        """Make it, as a worker would: its time is not the driver's."""
        began = time.thread_time()
        ticket = super().submit(order, after)
        self.spent += time.thread_time() - began
        return ticket

    def make(self, order: TaskRequest) -> StepResult:
        """Read what is to be done, and do nothing."""
        self._folder.task(order.key, order.place)
        return StepResult(order.key, 1, "made", replace(self._product, key=order.key))


class ReadySupply(Supply):
    """Plans that are there already."""

    def __init__(self, planned: tuple[Planned, ...]) -> None:
        self._planned_ones = planned
        self.ready = False
        self.fetching = Fetching()

    @property
    def finished(self) -> bool:
        """Whether they were taken."""
        return not self._planned_ones

    def take(self) -> tuple[Item, ...]:
        """Return all."""
        taken, self._planned_ones = self._planned_ones, ()
        return taken

    def stop(self) -> None:
        """Have nothing to stop."""


def steps(folder: Path) -> None:
    """Print what a step costs the driver, for more and more steps."""
    put_darks(folder, 128)
    settings = Settings(root=folder)
    with Session(settings) as session:
        (dataset,) = session.planning.datasets()
        ((_, plan),) = session.planning.plans((dataset,))
        workflow = session.planning.workflow_for(dataset)
    before = None
    for number in (100, 1_000, 10_000):
        planned = tuple(
            Planned("job", dataset, replace(plan, dataset=f"d{i}", steps=(
                replace(plan.steps[0], settings=(ParameterSetting("naco_img_dark", "nsamples", i, "-"),)),
            )), workflow)
            for i in range(10, 10 + number)
        )  # fmt: skip
        shutil.rmtree(folder / "reflex_book_keeping", ignore_errors=True)
        batch = new_batch(folder, "b", "jobs: [{datasets: all}]", BatchRequest(settings))
        with Session(settings) as session:
            assert session.esorex is not None
            key, sof = StepKey(plan.dataset), str(folder / "data.sof")
            nothing = Record(key, (), 0.0, "2026-01-01T00:00:00Z", sof)
            engine = NothingExecutor(batch, nothing)
            books = BatchStores(batch, session.store, session.workspace)
            driver = Driver(
                books,
                session.require_engine(),
                engine,
                ReadySupply(planned),
                BatchOptions("esorex"),
                SilentWatcher(),
                Room(),
                Expectations(session.store),
            )
            began, own = time.perf_counter(), time.thread_time()
            assert driver.run() == "done"
            seconds, own = time.perf_counter() - began, time.thread_time() - own - engine.spent
            assert len(session.store.all_keys()) == number
        each = 1e3 * own / number
        growth = f", {each / before:.2f} times what it was" if before else ""
        files = sum(path.is_file() for path in batch.path.rglob("*"))
        print(
            f"{number} steps: {seconds:.2f} s, of the driver {each:.2f} ms of a processor a step{growth}; "
            f"{files} files, {most_resident_mb():.0f} MB at most"
        )
        before = each


# ----- planning


def planning(folder: Path) -> None:
    """Print the time and the memory of planning 1,000 datasets of 100 files."""
    measure_part("build", folder, 1000)
    begin()  # as every command
    before = most_resident_mb()
    for _ in range(2):
        began = time.perf_counter()
        jobs = read_jobs("jobs: [{datasets: all}]", "-").jobs
        with Session(Settings(root=folder)) as session:
            supply = Supply(jobs, session.planning, partial(getattr, session, "client"), Room())
            plans = (item.plan for item in supply.on_disk() if isinstance(item, Planned))
            inputs = [sum(len(step.inputs) for step in plan.steps) for plan in plans]
        seconds = time.perf_counter() - began
        assert len(inputs) == 1000, len(inputs)
    print(
        f"planning 1,000 datasets of 100 files ({sum(inputs)} inputs of steps): {seconds:.2f} s, "
        f"{most_resident_mb():.0f} MB at most ({before:.0f} MB before)"
    )


if __name__ == "__main__":
    sys.exit(main())
