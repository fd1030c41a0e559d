"""Twelve situations on four instruments come to the same through `run`, `batch`, the actors and `run --dry-run`.

`pytest -k parity` prints the table: for each situation and instrument, what every entrance has other than `run`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.parity import ENTRANCES, INSTRUMENTS, SITUATIONS, Bench, Outcome, run

pytestmark = pytest.mark.usefixtures("esorex")

BATCH = "the report of a batch names the end products of one target only"
STATED = "an input that is a product is stated by its content, elsewhere by the step that made it: it is made again"
NO_INPUT = "run_recipe has no input for it"
REFLEX = "Reflex's rule is asked only when a step is about to run"

DISAGREE: dict[tuple[str, ...], str] = {
    **dict.fromkeys(
        ((situation, "actors") for situation in ("own step", "file parameter")),
        "the definition lists own steps last, and the actors go through it in its order",
    ),
    **dict.fromkeys(
        (
            (situation, "actors", "amber")
            for situation in ("adopted history", "statics", "choices", "forced", "lazy off")
        ),
        "the actors do not come to the steps that take products of a product's own step",
    ),
    ("reflex", "actors"): "run_recipe asks the bookkeeping of its own runs",
    ("gap", "actors"): "a recipe runs without what it needs",
    ("missing file", "actors"): "a recipe runs with the files that are there",
    ("wrong instrument", "actors"): "the actor has words of its own for it",
    ("failed recipe", "actors"): "what needs a failed step goes on",
}
"""Situations and entrances that are known not to agree with `run` yet, and why. Who mends one takes it away here."""

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


@pytest.mark.parametrize("instrument", INSTRUMENTS)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_parity_has_the_situation_that_it_names(
    situation: str,
    instrument: str,
    bench: Bench,
    references: dict[tuple[str, str], Outcome],
    table: Table,
    request: pytest.FixtureRequest,
) -> None:
    mark_known(request, situation, "run", instrument)
    expected, shown = reference(bench, references, situation, instrument), SITUATIONS[situation].shows
    words = {word for words in (expected.decisions or {}).values() for word in words}
    words |= {"failed"} if expected.failed else set()
    table[situation, instrument] = {"run": ", ".join(sorted(words))}
    assert words == shown if len(shown) == 1 and "failed" not in shown else words >= shown, expected
    assert "failed" in shown or not expected.failed or situation == "gap", expected


def mark_known(request: pytest.FixtureRequest, situation: str, entrance: str, instrument: str) -> None:
    """Expect a test to fail where that is known."""
    if reason := DISAGREE.get((situation, entrance)) or DISAGREE.get((situation, entrance, instrument)):
        request.applymarker(pytest.mark.xfail(strict=False, reason=reason))


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("instrument", INSTRUMENTS)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_parity_of_entrances(
    situation: str,
    instrument: str,
    entrance: str,
    bench: Bench,
    references: dict[tuple[str, str], Outcome],
    table: Table,
    request: pytest.FixtureRequest,
) -> None:
    mark_known(request, situation, entrance, instrument)
    expected = reference(bench, references, situation, instrument)
    found = ENTRANCES[entrance](SITUATIONS[situation].prepare(bench, instrument))
    differences = found.differences(expected)
    table.setdefault((situation, instrument), {})[entrance] = ", ".join(differences) or "same"
    pairs = ((name, expected.shown(name), found.shown(name)) for name in differences)
    told = "\n".join(f"{name}:\n  run: {one}\n  {entrance}: {other}" for name, one, other in pairs)
    assert not differences, told
