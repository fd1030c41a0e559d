"""What people see: golden pictures of the verbs at 80 and 120 columns, in which no line is too long, no name broken."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.naco import naco_night
from tests.commands import run_command
from tests.flows.conftest import SMALL

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "terminal"
DATASET = "NACO.2016-03-02T00:30:00.076_tpl"
FEW = SMALL[:-1]
"""Of which a command fits into one line of the wider terminal."""
WINDOW = "naco_img_dark.r=900 900 1000 1000"
VERBS: dict[str, tuple[str, ...]] = {
    "query": ("query", "--program", "60.A-9999(A)"),
    "organise": ("organise", "--root", "night"),
    "plan": ("plan", "--root", "night"),
    "run": ("run", "--root", "night", *FEW),
    "run_failed": ("run", "--root", "night", *FEW, "--set", WINDOW),
    "review": ("review", DATASET, "--root", "night"),
    "status": ("status", "--root", "night"),
    "batch_status": ("batch", "status", "first", "--root", "night"),
}
TIME = re.compile(r"20[2-9]\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
NUMBER = re.compile(r" +\d+\.\d+(?= |$)", re.MULTILINE)


def typed(words: tuple[str, ...], folder: Path, archive: str, width: int) -> subprocess.CompletedProcess[str]:
    """Run a command as a user whose terminal has a width."""
    return run_command(*words, folder=folder, env={"COLUMNS": str(width), "ESOREX_BRIDGE_ARCHIVE": archive})


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path, esorex: str) -> Iterator[tuple[Path, str]]:
    """Yield a folder with a root in which a batch reduced a night, and the archive that it came from."""
    folder = tmp_path_factory.mktemp("terminal")
    with EmbeddedArchive([naco_night(npix=128)], frames_folder) as archive:
        words = ("batch", "--program", "60.A-9999(A)", "--name", "first", "--root", "night", "--jobs", "1", *FEW)
        done = typed(words, folder, archive.url, 80)
        assert done.returncode == 0, done.stderr
        yield folder, archive.url


@pytest.fixture(scope="module")
def pictures(night: tuple[Path, str]) -> dict[tuple[str, int], subprocess.CompletedProcess[str]]:
    """Return what each verb prints at each width, typed in one order: what `status` shows depends on it."""
    return {(verb, width): typed(words, *night, width) for verb, words in VERBS.items() for width in (80, 120)}


def picture(text: str) -> str:
    """Return a text without what differs from run to run: times, and figures with a point."""
    text = TIME.sub("2000-00-00T00:00:00", text)
    return NUMBER.sub(lambda found: "#.#".rjust(len(found.group())), text)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("verb", VERBS)
def test_the_picture_is_the_golden_one(
    verb: str,
    width: int,
    pictures: dict[tuple[str, int], subprocess.CompletedProcess[str]],
    update_goldens: bool,
) -> None:
    done = pictures[verb, width]
    assert done.returncode == (1 if verb == "run_failed" else 0), done.stderr
    assert [line for line in done.stdout.splitlines() if len(line) > width] == []
    for name in set(re.findall(r"NACO\.\S+|[a-z]+_img_\w+", done.stdout.replace("\n", " "))) - {"naco_img_"}:
        assert name in done.stdout
    golden = GOLDEN / f"{verb}-{width}.txt"
    if update_goldens:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(picture(done.stdout), encoding="utf-8")
    assert picture(done.stdout) == golden.read_text(encoding="utf-8")


def test_a_pipe_without_a_width_has_no_long_lines(night: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, archive = night
    monkeypatch.delenv("COLUMNS", raising=False)
    for words in VERBS.values():
        done = run_command(*words, folder=folder, env={"ESOREX_BRIDGE_ARCHIVE": archive})
        assert max(map(len, done.stdout.splitlines())) <= 120


def test_a_failure_is_printed_once(night: tuple[Path, str]) -> None:
    done = typed(VERBS["run_failed"], *night, 120)
    assert (done.stdout + done.stderr).count("Illegal input") == 1
    assert done.stdout.splitlines()[-1].endswith("next: esorex-bridge log naco_img_dark_1 --root night")


def test_log_shows_what_the_recipe_said(night: tuple[Path, str]) -> None:
    typed(VERBS["run_failed"], *night, 120)
    by_step = typed(("log", "naco_img_dark_1", "--root", "night", "--warnings"), *night, 120)
    assert by_step.returncode == 0, by_step.stderr
    assert "Illegal input" in by_step.stdout
    assert "exit code 14" in by_step.stdout
    product = next((night[0] / "night" / "reflex_end_products").rglob("*.fits"))
    by_product = typed(("log", str(product), "--root", "night"), *night, 120)
    assert by_product.stdout.startswith("naco_img_jitter_1: exit code 0")
    misspelt = typed(("log", "naco_img_drak_1", "--root", "night"), *night, 120)
    assert (misspelt.returncode, "did you mean 'naco_img_dark_1'" in misspelt.stderr) == (1, True)


def test_query_gives_the_rest_in_other_forms(night: tuple[Path, str]) -> None:
    words = VERBS["query"]
    assert typed((*words, "--columns", "dp_id,ob_id"), *night, 80).stdout.split()[:2] == ["dp_id", "ob_id"]
    assert "tpl_start" in typed((*words, "--format", "csv"), *night, 80).stdout
    ecsv = typed((*words, "--format", "ecsv"), *night, 80).stdout
    assert ecsv.startswith("# %ECSV 1.0")
    assert "unit: s" in ecsv
    assert typed((*words, "--format", "votable"), *night, 80).stdout.startswith("<?xml")
    assert typed((*words, "--csv"), *night, 80).stdout == typed((*words, "--format", "csv"), *night, 80).stdout


def test_a_missing_file_is_named_with_the_command_that_fetches_it(night: tuple[Path, str], tmp_path: Path) -> None:
    import shutil

    shutil.copytree(night[0] / "night" / "reflex_input", tmp_path / "night" / "reflex_input")
    dark = next((tmp_path / "night").rglob("NACO.2016-03-01T16:00:00.076.fits*"))
    dark.unlink()
    told = typed(("organise", "--root", "night"), tmp_path, night[1], 80)
    assert "complete" not in told.stdout.splitlines()[1].split()
    assert "not on this machine: NACO.2016-03-01T16:00:00.076" in told.stdout
    command = told.stdout.replace(" \\\n", " ").splitlines()[-1].partition("next: ")[2].split()
    assert command[:2] == ["esorex-bridge", "fetch"]
    assert typed(tuple(command[1:]), tmp_path, night[1], 80).returncode == 0
    assert dark.with_suffix("").with_suffix("").name  # it came back, maybe packed
    assert "1 complete" in typed(("organise", "--root", "night"), tmp_path, night[1], 80).stdout


def test_organise_ends_with_1_where_nothing_can_be_reduced(night: tuple[Path, str], tmp_path: Path) -> None:
    assert typed(("organise", "--root", "."), tmp_path, night[1], 80).returncode == 1
