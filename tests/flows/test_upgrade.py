"""What version 0.1.0 left on disk is read and reused: no recipe runs again because of a new version of the bridge.

Older versions are protected from what newer ones write: they say so, and touch nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from esorex_bridge.demo.nights.naco import naco_night
from tests.flows.conftest import SMALL, Ended, put_on_disk
from tests.flows.lazy_calls import LAZY, run_call
from tests.statements import installed_pipelines
from tests.upgrade.restore import Restored, move_times

VERSION = "0.1.0"
PIPELINE = "4.4.11"
DATASET = "NACO.2016-03-02T00:30:00.076_tpl"
RECIPES = ("naco_img_twflat", "naco_img_dark", "naco_img_jitter")
LEFT_WITH = SMALL[:-1]
"""The parameters that it ran with."""
DATABASE = "reflex_book_keeping/esorex_bridge.db"

Bridge = Callable[..., Ended]


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path, esorex: str) -> Path:
    """Return a folder in which version 0.1.0 worked; tests that write work on copies."""
    if installed_pipelines().get("naco") != PIPELINE:
        pytest.skip(f"what was left is of the pipeline naco {PIPELINE}; of another one everything is made again")
    here = tmp_path_factory.mktemp("left") / "here"
    for root in ("night", "second"):
        put_on_disk(naco_night(npix=128), frames_folder, here / root)
    Restored(VERSION, here)
    return here


@pytest.fixture
def here(left: Path, frames_folder: Path, tmp_path: Path) -> Path:
    """Return a folder of its own in which version 0.1.0 worked."""
    for root in ("night", "second"):
        put_on_disk(naco_night(npix=128), frames_folder, tmp_path / root)
    Restored(VERSION, tmp_path)
    return tmp_path


@pytest.fixture
def counted(tmp_path: Path, esorex: str) -> tuple[dict[str, str], Callable[[], list[str]]]:
    """Return an environment in which EsoRex is counted, and what was run with a set of files."""
    folder, runs = tmp_path / "bin", tmp_path / "runs"
    folder.mkdir()
    command = folder / "esorex"
    command.write_text(f'#!/bin/sh\ncase "$*" in *.sof) echo "$*" >> {runs};; esac\nexec {esorex} "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}, lambda: runs.read_text().splitlines() if runs.exists() else []


Counted = tuple[dict[str, str], Callable[[], list[str]]]


def test_a_root_is_reused_with_the_choices_in_it_and_no_recipe_runs(
    here: Path, bridge: Bridge, counted: Counted
) -> None:
    variables, runs = counted
    root = here / "night"
    ended = bridge("run", "--root", root, "--json", *LEFT_WITH, env=variables)
    assert ended.code == 0, ended.err
    assert ended.decisions == dict.fromkeys(RECIPES, "reuse")
    assert any("naco_img_dark.nsamples = 50" in text for text in ended.json["datasets"][0]["messages"])
    (end,) = ended.json["datasets"][0]["end_products"]
    assert Path(end["path"]).is_relative_to(root / "reflex_end_products" / move_times("2026-11-21T17:59:09"))
    assert ended.json["executed"] == 0
    assert runs() == []


def test_what_was_made_before_a_choice_is_there_when_it_is_taken_back(here: Path, bridge: Bridge) -> None:
    root = here / "night"
    assert bridge("review", DATASET, "--root", root, "--reset").code == 0
    ended = bridge("run", "--root", root, "--json", *LEFT_WITH)
    assert ended.decisions == dict.fromkeys(RECIPES, "reuse"), ended.out
    assert f"made {move_times('2026-11-21T17:59:07')}Z" in ended.step("naco_img_dark")["reason"]


def test_a_change_is_explained_by_the_statements_of_old(here: Path, bridge: Bridge) -> None:
    ended = bridge(
        "run", "--root", here / "night", "--json", "--dry-run", *LEFT_WITH, "--set=naco_img_dark.nsamples=60"
    )
    assert ended.decisions == {**dict.fromkeys(RECIPES, "execute"), "naco_img_twflat": "reuse"}
    assert re.fullmatch("parameter nsamples (50|100) → 60", ended.step("naco_img_dark")["reason"])


def test_records_of_old_are_put_under_the_keys_of_today_and_that_is_said(here: Path, bridge: Bridge) -> None:
    steps = bridge("run", "--root", here / "night", "--explain", "--json", *LEFT_WITH).json["steps"]
    with closing(sqlite3.connect(here / "night" / DATABASE)) as db:
        recorded = {key for (key,) in db.execute("SELECT key FROM steps")}
        older = {key for (key,) in db.execute("SELECT key FROM older_steps")}
    assert {step["key"] for step in steps} < recorded
    assert len(recorded) == 6 and len(older) == 3
    assert all("taken over" in step["reason"] for step in steps)


def test_with_a_library_that_was_replaced_since_every_recipe_runs(here: Path, bridge: Bridge, tmp_path: Path) -> None:
    (library,) = Path("/usr/lib").glob("*/naco-*/libnaco.so.0")
    (tmp_path / "patched").mkdir()
    shutil.copyfile(library, tmp_path / "patched" / library.name)
    ended = bridge(
        "run", "--root", here / "night", "--json", *LEFT_WITH, env={"LD_LIBRARY_PATH": str(tmp_path / "patched")}
    )
    assert ended.decisions == dict.fromkeys(RECIPES, "execute")
    assert "a library of the recipe is later than the earlier run" in ended.step("naco_img_dark")["reason"]


def test_everything_is_verified_and_the_history_is_told(here: Path, bridge: Bridge) -> None:
    ended = bridge("status", "--root", here / "night", "--verify", "--json")
    assert ended.code == 0, ended.err
    told = ended.json
    assert (told["verified"], told["damaged"]) == (6, [])
    assert told["verified_files"] >= 15
    assert {each["recipe"]: each["steps"] for each in told["recipes"]} == {
        "naco_img_dark": 2,
        "naco_img_jitter": 3,
        "naco_img_twflat": 1,
    }
    assert [(run["executed"], run["reused"]) for run in told["runs"]] == [(3, 0), (2, 1)]


def test_a_product_that_was_damaged_since_is_found(here: Path, bridge: Bridge) -> None:
    product = next((here / "night" / "reflex_tmp_products").rglob("naco_img_jitter.fits"))
    product.write_bytes(product.read_bytes().replace(b"COADDED", b"COADDEX"))
    ended = bridge("status", "--root", here / "night", "--verify", "--json")
    assert ended.code == 1
    assert len(ended.json["damaged"]) == 1


def test_sof_files_name_the_products_of_old(here: Path, bridge: Bridge) -> None:
    sofs = bridge("sof", "--root", here / "night", "--json", *LEFT_WITH).json["sofs"]
    (science,) = [Path(sof["sof"]) for sof in sofs if sof["recipe"] == "naco_img_jitter"]
    named = {line.split()[1]: Path(line.split()[0]) for line in science.read_text().splitlines()}
    assert named["NACO_IMG_DARK_AVG"].is_relative_to(here / "night" / "reflex_tmp_products")
    assert named["NACO_IMG_DARK_AVG"].parent.name == move_times("2026-11-21T17:59:09.467")


def test_clean_would_take_what_nothing_but_a_batch_needs_and_nothing_else(here: Path, bridge: Bridge) -> None:
    assert bridge("clean", "--root", here / "night", "--json", *LEFT_WITH).json["kept_for_batches"] == 1
    ended = bridge("clean", "--root", here / "night", "--without-batches", "--json", *LEFT_WITH)
    assert ended.code == 0, ended.err
    places = [Path(each["path"]) for each in ended.json["folders"] if "batches" not in each["path"]]
    assert {(path.parent.name, path.name) for path in places} == {
        ("naco_img_dark_1", move_times("2026-11-21T17:59:07.514")),
        ("naco_img_jitter_1", move_times("2026-11-21T17:59:07.655")),
        ("naco_img_jitter_1", move_times("2026-11-21T17:59:10.704")),
    }


def test_a_batch_is_told_of_and_resumed_without_running_anything(here: Path, bridge: Bridge, counted: Counted) -> None:
    variables, runs = counted
    for action in ("status", "report"):
        told = bridge("batch", action, "survey", "--root", here / "night", "--json").json
        assert (told["state"], told["outcomes"]["done"], told["executed"]) == ("done", 1, 1)
    resumed = bridge("batch", "resume", "survey", "--root", here / "night", "--json", env=variables)
    assert resumed.code == 0, resumed.err
    assert (resumed.json["outcomes"]["reused"], resumed.json["executed"]) == (1, 0)
    assert runs() == []


def test_a_history_that_was_adopted_stays_adopted(here: Path, bridge: Bridge, counted: Counted) -> None:
    variables, runs = counted
    ended = bridge("run", "--root", here / "second", "--json", *LEFT_WITH, env=variables)
    assert ended.code == 0, ended.err
    assert ended.decisions == dict.fromkeys(RECIPES, "reuse")
    assert runs() == []
    adopted = bridge("status", "--root", here / "second", "--json").json["adopted"]
    assert {each["recipe"] for each in adopted} == set(RECIPES)


def test_esorex_lazy_finds_what_it_kept(here: Path, counted: Counted) -> None:
    variables, runs = counted
    shutil.rmtree(here / "calls" / "out")
    (here / "calls" / "out").mkdir()
    words = ("--output-dir=out", "--log-dir=.", "naco_img_dark", "--r=8 8 8 8", "data.sof")
    ended = run_call(LAZY, here / "calls", words, {**variables, "ESOREX_LAZY_STORE": str(here / "esorex-lazy")})
    assert ended.code == 0, ended.err
    assert len(list((here / "calls" / "out").glob("*.fits"))) == 4
    assert runs() == []


@pytest.mark.parametrize(
    "words",
    [
        ("run", *LEFT_WITH),
        ("run", "--dry-run", *LEFT_WITH),
        ("run", "--explain", *LEFT_WITH),
        ("status",),
        ("sof", *LEFT_WITH),
        ("clean", *LEFT_WITH, "--yes"),
        ("batch", "resume", "survey"),
    ],
    ids=["run", "dry run", "explain", "status", "sof", "clean", "batch"],
)
def test_a_store_of_a_later_version_is_refused_and_left_alone(
    words: tuple[str, ...], left: Path, tmp_path: Path, bridge: Bridge
) -> None:
    root = tmp_path / "night"
    shutil.copytree(left / "night", root, symlinks=True)
    with closing(sqlite3.connect(root / DATABASE)) as db:
        db.execute("PRAGMA user_version = 99")
    before = (root / DATABASE).read_bytes()
    ended = bridge(*words, "--root", root, "--json")
    assert ended.code == 1
    assert f"{root / DATABASE} was written by a later version of esorex-bridge" in ended.json["error"]["message"]
    assert (root / DATABASE).read_bytes() == before


def test_a_batch_of_another_version_is_refused(left: Path, tmp_path: Path, bridge: Bridge) -> None:
    root = tmp_path / "night"
    shutil.copytree(left / "night", root, symlinks=True)
    about = root / "reflex_book_keeping" / "batches" / "survey" / "batch.json"
    about.write_text(about.read_text().replace('"version": 1', '"version": 2'))
    ended = bridge("batch", "resume", "survey", "--root", root)
    assert ended.code == 1
    assert "another version of esorex-bridge" in ended.err


def test_choices_of_a_later_version_are_refused_and_left_alone(left: Path, tmp_path: Path, bridge: Bridge) -> None:
    root = tmp_path / "night"
    shutil.copytree(left / "night", root, symlinks=True)
    choices = root / "choices.yaml"
    choices.write_text(choices.read_text().replace("version: 1", "version: 2"))
    text = choices.read_text()
    for words in (("run", "--dry-run"), ("review", DATASET, "--reset")):
        ended = bridge(*words, "--root", root)
        assert ended.code == 1
        assert str(choices) in ended.err
        assert "version" in ended.err
    assert choices.read_text() == text
