"""What the verb installs, how products are collected, and the ways of organising, as a user meets them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.naco import naco_night
from tests.flows.reflex_driver import ReflexDriver

SCIENCE = "NACO.2016-03-02T00:30:00.076"


@pytest.fixture
def reflex(tmp_path: Path, actors_folder: Path, empty_home: Path) -> ReflexDriver:
    (tmp_path / "scratch").mkdir()
    return ReflexDriver(actors_folder, tmp_path / "scratch", empty_home)


@pytest.fixture(scope="module")
def fetched(
    tmp_path_factory: pytest.TempPathFactory, frames_folder: Path, actors_folder: Path, empty_home: Path
) -> Path:
    """Return a data folder that an actor filled, for tests to copy."""
    place = tmp_path_factory.mktemp("fetched")
    reflex = ReflexDriver(actors_folder, place, empty_home)
    with EmbeddedArchive([naco_night(npix=128)], frames_folder) as archive:
        words = {"data_dir": str(place / "naco"), "dp_ids": SCIENCE, "archive": archive.url}
        found = reflex.ok("calselector_fetch.py", **words)
    assert int(found["n_files"]) == len(found["out_sof"]["files"]) > 10
    return place / "naco"


@pytest.fixture
def data(fetched: Path, tmp_path: Path) -> Path:
    return shutil.copytree(fetched, tmp_path / "root" / "reflex_input" / "naco")


def test_fetched_frames_are_plain_fits_with_categories_and_all_purposes(reflex: ReflexDriver, data: Path) -> None:
    found = reflex.ok("calselector_fetch.py", data_dir=str(data), archive="http://127.0.0.1:9")  # all is there
    assert not list(data.glob("*.Z"))
    darks = [file for file in found["out_sof"]["files"] if file["category"] == "CAL_DARK"]
    assert {tuple(file["purposes"]) for file in darks} == {
        ("DARK/IMGJITOBJ_SW",),
        ("DARK/FLAT_TW/IMGJITOBJ_SW", "DARK/IMGJITOBJ_SW"),
    }


def test_datasets_hold_what_the_plan_decided(reflex: ReflexDriver, data: Path) -> None:
    (dataset,) = json.loads(reflex.ok("organise_datasets.py", data_dir=str(data))["datasets"])
    assert dataset["complete"] is True
    assert [action["name"] for action in dataset["actions"]] == ["FLAT_TW", "DARK"]
    (flats, darks) = dataset["actions"]
    assert [file["category"] for file in flats["rawFiles"]].count("CAL_DARK") == 1
    assert {tuple(file["purposes"]) for file in darks["rawFiles"]} == {("DARK/IMGJITOBJ_SW",)}


def test_a_folder_for_calselector_mode_has_a_tree_for_each_science_file(reflex: ReflexDriver, data: Path) -> None:
    found = reflex.ok("organise_datasets.py", data_dir=str(data), form="folder")
    assert found["out_data_dir"] == str(data)
    assert (data / f"{SCIENCE}.xml").read_bytes() == (data / f"{SCIENCE}_raw2raw.xml").read_bytes()
    assert len(list(data.glob("NACO.*[0-9].xml"))) == 5
    assert json.loads(reflex.ok("organise_datasets.py", data_dir=str(data))["datasets"])[0]["complete"] is True


def test_folders_come_as_one_path_or_as_an_array(reflex: ReflexDriver, data: Path, tmp_path: Path) -> None:
    (tmp_path / "calib").mkdir()
    for given in (str(data), json.dumps([str(data), str(tmp_path / "calib")]), f'{{"{data}", "{tmp_path}/calib"}}'):
        assert reflex.ok("organise_datasets.py", data_dir=given)["n_datasets"] == "1"


def test_nothing_is_asked_where_nothing_shall_be_fetched(reflex: ReflexDriver, tmp_path: Path) -> None:
    found = reflex.ok("calselector_fetch.py", data_dir=str(tmp_path), mode="none", archive="http://127.0.0.1:9")
    assert found["executed_mode"] == "none"


def test_datasets_are_selected_by_rule(reflex: ReflexDriver, data: Path) -> None:
    listed = reflex.ok("organise_datasets.py", data_dir=str(data))["datasets"]
    for rule in ("complete", "all", "first", "NACO.*_tpl"):
        assert reflex.ok("select_dataset.py", datasets=listed, rule=rule)["n_selected"] == "1"
    ended = reflex.run("select_dataset.py", {"datasets": listed, "rule": "HAWKI*"})
    assert ended.status == 1
    assert f"there are: {SCIENCE}_tpl" in ended.stderr


def test_products_are_named_versioned_and_told(reflex: ReflexDriver, data: Path, tmp_path: Path) -> None:
    source = min(data.glob("NACO*.fits"))
    other = tmp_path / "other.fits"
    shutil.copyfile(source, other)
    with other.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"\x01")
    where: dict[str, Any] = {
        "end_products_dir": str(tmp_path / "end"),
        "timestamp": "2020-01-01T00:00:00",
        "name": "INSTRUME,'_',HIERARCH.ESO.DPR.CATG",
    }
    sof = f"night|{source};X;SCI,{other};X;SCI"
    first = [Path(file["name"]) for file in reflex.ok("collect_products.py", in_sof=sof, **where)["out_sof"]["files"]]
    assert [path.name for path in first] == ["NAOS+CONICA_CALIB.fits", "NAOS+CONICA_CALIB_1.fits"]
    assert first[0].stat().st_mtime_ns == source.stat().st_mtime_ns
    assert "Dataset has been reduced and saved in" in (first[0].parents[1] / "README").read_text()
    again = reflex.ok("collect_products.py", in_sof=sof, **where)["out_sof"]["files"]
    assert [Path(file["name"]) for file in again] == first
    ended = reflex.run("collect_products.py", {"in_sof": f"night|{other};X;", **where, "exists_mode": "stop"})
    assert "set exists_mode" in ended.stderr
    linked = reflex.ok("collect_products.py", in_sof=sof, **{**where, "timestamp": "t"}, copy_mode="link")
    assert Path(linked["out_sof"]["files"][0]["name"]).is_symlink()


def test_nothing_to_collect_is_said(reflex: ReflexDriver) -> None:
    assert reflex.ok("collect_products.py", in_sof="night|")["message"] == "night: no products"


def test_install_and_doctor_from_the_command(bridge: Callable[..., Any], tmp_path: Path, esorex: str) -> None:
    place = tmp_path / "actors"
    before = bridge("reflex", "doctor", "--into", place, "--json")
    assert before.code == 1
    assert before.json["checks"][0]["state"] == "mend"
    done = bridge("reflex", "install", "--into", place, "--json").json
    assert {Path(path).stem for path in done["workflows"]} >= {"naco", "hawki"}
    assert any(line.startswith("esoreflex.workflow-path=") for line in done["esoreflex.rc"])
    after = bridge("reflex", "doctor", place / "workflows" / "naco.xml", "--into", place, "--json")
    states = {check["what"]: check["state"] for check in after.json["checks"]}
    assert (states["actors"], states["EsoRex"], states["recipes"]) == ("ok", "ok", "ok")
    assert after.code == 0, after.out


def test_the_doctor_reads_reflexs_own_settings(bridge: Callable[..., Any], tmp_path: Path, empty_home: Path) -> None:
    settings = tmp_path / ".esoreflex" / "esoreflex.rc"
    settings.parent.mkdir()
    settings.write_text("esoreflex.python-command=/no/such/python\nesoreflex.esorex-command=/no/such/esorex\n")
    found = bridge("reflex", "doctor", "--into", tmp_path, "--json", env={"HOME": str(tmp_path)}).json["checks"]
    said = {check["what"]: check["text"] for check in found if check["state"] == "mend"}
    assert "/no/such/python does not start" in said["Reflex's Python"]
    assert "'/no/such/esorex' is not found" in said["EsoRex"]
