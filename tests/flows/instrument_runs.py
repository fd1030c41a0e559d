"""Whole reductions of synthetic nights, as `esorex-bridge demo` does them, and the table that says what ran."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from esorex_bridge.definitions.folders import workflow_folder
from esorex_bridge.definitions.ran_here import FILE_NAME, StepRun, read_runs
from esorex_bridge.demo.nights.catalogue import NIGHTS
from tests.flows.conftest import Ended
from tests.statements import pipeline_of

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reference" / "instruments.md"
STEPS = workflow_folder() / FILE_NAME
BEGIN, END = "<!-- table written by the tests: begin -->", "<!-- table written by the tests: end -->"
WRITE = "WRITE_INSTRUMENT_TABLE"
"""Environment variable; where it is set, the table is written instead of compared."""
COLUMNS = ("night", "what is reduced", "recipes", "frames", "seconds", "products")


@dataclass(frozen=True, slots=True)
class Reduction:
    """A night reduced twice."""

    name: str
    code: int
    runs: tuple[dict[str, Any], ...]
    root: Path

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The steps of the first run that have a recipe and were needed, those that datasets share once."""
        steps = (step for dataset in self.runs[0]["datasets"] for step in dataset["steps"] if step["products"])
        found: dict[str, dict[str, Any]] = {}
        for step in steps:
            found.setdefault(step["sof"], step)
        return list(found.values())

    @property
    def recipes(self) -> list[str]:
        """The recipes that ran, in their order."""
        return [step["recipe"] for step in self.steps]

    def decisions(self, run: int) -> set[str]:
        """Return all decisions on steps with products in a run."""
        steps = (step for dataset in self.runs[run]["datasets"] for step in dataset["steps"])
        return {step["decision"] for step in steps if step["products"]}

    def products(self, category: str) -> list[Path]:
        """Return the products of a category."""
        listed = (product for step in self.steps for product in step["products"])
        return [Path(product["path"]) for product in listed if product["category"] == category]

    def product(self, category: str) -> Path:
        """Return the only product of a category."""
        (found,) = self.products(category)
        return found

    @property
    def actors(self) -> dict[tuple[str, str], str]:
        """The steps of definitions that ran, by workflow and name, with the pipelines: a run lies in their folders."""
        places = ((step["recipe"], Path(step["sof"]).parents) for step in self.steps)
        return {(folders[2].name, folders[1].name): pipeline_of(recipe) for recipe, folders in places}

    @property
    def row(self) -> tuple[str, ...]:
        """What the table says of it."""
        counts: dict[str, int] = {}
        for step in self.steps:
            for product in step["products"]:
                counts[product["category"]] = counts.get(product["category"], 0) + 1
        products = ", ".join(f"{number} {name}" if number > 1 else name for name, number in counts.items())
        seconds = sum(step["seconds"] for step in self.steps)
        frames = str(len(self.runs[0]["files"]))
        return (self.name, NIGHTS[self.name].shows, " → ".join(self.recipes), frames, f"{seconds:.1f}", products)


Runs = dict[str, Reduction]


def reduce_twice(name: str, root: Path, bridge: Callable[..., Ended], seconds: float = 1000) -> Reduction:
    """Run the demonstration of an instrument, which goes the whole road twice."""
    done = bridge("demo", "--instrument", name, "--root", root, "--json", seconds=seconds)
    assert done.code in (0, 1), done.out + done.err
    return Reduction(name, done.code, tuple(done.json["runs"]), root)


@pytest.fixture(scope="module")
def done() -> Runs:
    """What was reduced so far, by night."""
    return {}


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory, bridge: Callable[..., Ended], esorex: str, done: Runs
) -> Callable[[str], Reduction]:
    """Return a function that reduces a night, once for all tests."""

    def of(name: str) -> Reduction:
        if name not in done:
            done[name] = reduce_twice(name, tmp_path_factory.mktemp(name), bridge)
        return done[name]

    return of


def run_without(night: Reduction, recipe: str, category: str, folder: Path) -> dict[str, Path]:
    """Run a recipe again by itself, with the parameters that it had but without the files of a category."""
    return _products(_run_again_without(night, recipe, category, folder), folder)


def run_with(
    night: Reduction, recipe: str, other: tuple[str, Callable[[Path, Path], None]], folder: Path
) -> dict[str, Path]:
    """Run a recipe again by itself, with files in the place of those of a category that a function writes from them."""
    category, write = other
    taken, rows = _rows_of(night, recipe, category)
    for number, (path, tag) in enumerate(rows):
        if tag == category:
            write(path, folder / f"other_{number}.fits")
            rows[number] = (folder / f"other_{number}.fits", tag)
    return _products(_run_again(recipe, taken, rows, folder), folder)


def refusal_without(night: Reduction, recipe: str, category: str, folder: Path) -> str:
    """Return what a recipe says that cannot do without the files of a category."""
    done = _run_again_without(night, recipe, category, folder)
    assert done.returncode != 0 and not list(folder.glob("*.fits"))
    return (done.stdout + done.stderr).decode(errors="replace")  # errors go to stderr


def _run_again_without(
    night: Reduction, recipe: str, category: str, folder: Path
) -> subprocess.CompletedProcess[bytes]:
    taken, rows = _rows_of(night, recipe, category)
    kept = [(path, tag) for path, tag in rows if tag != category]
    assert 0 < len(kept) < len(rows)
    return _run_again(recipe, taken, kept, folder)


def _rows_of(night: Reduction, recipe: str, category: str) -> tuple[Path, list[tuple[Path, str]]]:
    """Return the folder of a run of a recipe that had files of a category, and all its files with their tags."""
    steps = (step for step in night.steps if step["recipe"] == recipe)
    sof = next(Path(step["sof"]) for step in steps if f" {category}\n" in Path(step["sof"]).read_text())
    rows = (line.rsplit(" ", 1) for line in sof.read_text().splitlines())
    return sof.parent, [(sof.parent / path, tag) for path, tag in rows]


def _run_again(
    recipe: str, parameters_of: Path, rows: Iterable[tuple[Path, str]], folder: Path
) -> subprocess.CompletedProcess[bytes]:
    (folder / "run.sof").write_text("".join(f"{path} {tag}\n" for path, tag in rows))
    options = (f"--recipe-config={parameters_of / recipe}.rc", "--products-sof=products.json", "--msg-level=error")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(
        ["esorex", *options, recipe, "run.sof"], cwd=folder, env=environment, capture_output=True, check=False
    )


def _products(done: subprocess.CompletedProcess[bytes], folder: Path) -> dict[str, Path]:
    """Return what a run has made, by category."""
    assert done.returncode == 0, done.stdout
    products = json.loads((folder / "products.json").read_text())
    return {product["category"]: folder / product["name"] for product in products}


def table_rows(text: str) -> dict[str, tuple[str, ...]]:
    """Return the rows of the document's table by night."""
    table = text.partition(BEGIN)[2].partition(END)[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")][2:]
    rows = (tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines)
    return {row[0]: row for row in rows}


def written(text: str, rows: Iterable[tuple[str, ...]]) -> str:
    """Return the document with its table replaced."""
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}"


def assert_told(nights: Iterable[Reduction]) -> None:
    """Hold the table, and the file of steps, against what ran; or write them, where the environment says so."""
    nights = tuple(nights)
    assert_steps_told(nights)
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = table_rows(text)
    done = {night.name: night.row for night in nights}
    if WRITE in os.environ:
        known = {**rows, **done}
        DOCUMENT.write_text(written(text, [known[name] for name in sorted(known)]), encoding="utf-8")
        return
    for name, row in done.items():
        told = rows.get(name, ())
        assert _timeless(told) == _timeless(row), f"the table is out of date; write it anew with {WRITE}=1"


def assert_steps_told(nights: Iterable[Reduction]) -> None:
    """Hold the file that says which steps ran against what ran; or write it, where the environment says so."""
    told = read_runs(STEPS.read_text())
    for night in nights:
        found = with_night(told, night)
        if WRITE in os.environ:
            told = found
            STEPS.write_bytes(msgspec.json.format(msgspec.json.encode(told, order="sorted"), indent=1) + b"\n")
        assert told == found, f"the file of steps that ran is out of date; write it anew with {WRITE}=1"


def with_night(told: dict[str, dict[str, StepRun]], night: Reduction) -> dict[str, dict[str, StepRun]]:
    """Return what ran, with what a night says of its own steps in the place of what was said."""
    found: dict[str, dict[str, StepRun]] = {}
    pipelines = {(workflow, step): run.pipeline for workflow, runs in told.items() for step, run in runs.items()}
    nights = {(workflow, step): set(run.nights) for workflow, runs in told.items() for step, run in runs.items()}
    for place, pipeline in night.actors.items():
        pipelines[place] = pipeline
        nights.setdefault(place, set())
    for (workflow, step), names in nights.items():
        kept = names - {night.name} | ({night.name} if (workflow, step) in night.actors else set())
        if kept:
            run = StepRun(pipelines[workflow, step], tuple(sorted(kept)))
            found.setdefault(workflow, {})[step] = run
    return found


def _timeless(row: tuple[str, ...]) -> tuple[str, ...]:
    """Return a row without its seconds, which differ from machine to machine."""
    return (*row[:4], *row[5:])
