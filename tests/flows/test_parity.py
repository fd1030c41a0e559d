"""Twelve situations on four instruments come to the same through `run`, `batch`, the actors and `run --dry-run`.

`pytest -k parity` prints the table: for each situation and instrument, what every entrance has other than `run`. Where
slow tests are left out, it has a row for each situation.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.parity import ENTRANCES, INSTRUMENTS, SITUATIONS, Bench, Outcome, run

pytestmark = pytest.mark.usefixtures("esorex")

QUICK = {
    "adopted history": "amber",
    "own step": "naco",
    "file parameter": "uves",
    "statics": "naco",
    "choices": "visir",
    "forced": "amber",
    "lazy off": "visir",
    "gap": "naco",
    "missing file": "uves",
    "wrong instrument": "uves",
    "failed recipe": "amber",
    "reflex": "visir",
}
"""Each situation once, each instrument thrice; the other cells are slow."""

CELLS = [
    pytest.param(situation, instrument, marks=() if QUICK[situation] == instrument else pytest.mark.slow)
    for situation in SITUATIONS
    for instrument in INSTRUMENTS
]

Table = dict[tuple[str, str], dict[str, str]]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path, esorex: str) -> Bench:
    return Bench(tmp_path_factory.mktemp("parity"), frames_folder, esorex)


@pytest.fixture(scope="module")
def references() -> dict[tuple[str, str], Outcome]:
    """What `run` came to, by situation and instrument."""
    return {}


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    """What was found, printed in the end."""
    found: Table = {}
    yield found
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\n" + drawn(found))


def drawn(found: Table) -> str:
    """Return the table as text."""
    rows = [("situation", "instrument", "run", *ENTRANCES)]
    for (situation, instrument), cells in found.items():
        rows.append((situation, instrument, *(cells.get(name, "-") for name in ("run", *ENTRANCES))))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def reference(bench: Bench, references: dict[tuple[str, str], Outcome], situation: str, instrument: str) -> Outcome:
    """Return what `run` came to, once for all entrances."""
    if (situation, instrument) not in references:
        references[situation, instrument] = run(SITUATIONS[situation].prepare(bench, instrument))
    return references[situation, instrument]


@pytest.mark.parametrize(("situation", "instrument"), CELLS)
def test_parity_has_the_situation_that_it_names(
    situation: str,
    instrument: str,
    bench: Bench,
    references: dict[tuple[str, str], Outcome],
    table: Table,
) -> None:
    expected, shown = reference(bench, references, situation, instrument), SITUATIONS[situation].shows
    words = {word for words in (expected.decisions or {}).values() for word in words}
    words |= {"failed"} if expected.failed else set()
    table[situation, instrument] = {"run": ", ".join(sorted(words))}
    assert words == shown if len(shown) == 1 and "failed" not in shown else words >= shown, expected
    assert "failed" in shown or not expected.failed or situation == "gap", expected


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize(("situation", "instrument"), CELLS)
def test_parity_of_entrances(
    situation: str,
    instrument: str,
    entrance: str,
    bench: Bench,
    references: dict[tuple[str, str], Outcome],
    table: Table,
) -> None:
    expected = reference(bench, references, situation, instrument)
    found = ENTRANCES[entrance](SITUATIONS[situation].prepare(bench, instrument))
    differences = found.differences(expected)
    table.setdefault((situation, instrument), {})[entrance] = ", ".join(differences) or "same"
    pairs = ((name, expected.shown(name), found.shown(name)) for name in differences)
    told = "\n".join(f"{name}:\n  run: {one}\n  {entrance}: {other}" for name, one, other in pairs)
    assert not differences, told
