"""Jobs that EDPS left behind: listed, and reused where pipeline, inputs and parameters can be established."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.cli import main
from tests.edps.test_run_package import SMALL, call, camera, root

__all__ = ["root"]


def left_by_edps(report: dict[str, Any], place: Path) -> dict[str, Path]:
    """Lay out the steps of a run as EDPS leaves them, with log, report and database, and return folders by task."""
    place.mkdir()
    (place / "db.json").write_text('{"_default": {"1": {}}}')
    folders: dict[str, Path] = {}
    moved: dict[str, Path] = {}
    for number, step in enumerate(report["datasets"][0]["steps"]):
        task = step["step"].rpartition("_")[0]
        folder = place / "NACO" / task / f"6becd624-e8bd-4324-a9d4-ca1cdc44cec{number}"
        (folder / "naco_rawdisp").mkdir(parents=True)
        (folder / "naco_rawdisp" / "plot.png").write_bytes(b"a report")
        (folder / f"{step['recipe']}.log").write_text("a log")
        lines = [line.split() for line in Path(step["sof"]).read_text().splitlines()]
        here = [(moved.get(os.path.realpath(path), Path(path).resolve()), tag) for path, tag in lines]
        (folder / "input.sof").write_text("".join(f"{path} {tag}\n" for path, tag in here))
        for product in step["products"]:
            # Names as with `output_prefix`: category and content tell, not the name.
            target = folder / f"edps.NACO.2026-01-01T00:00:0{len(moved)}.000.fits"
            shutil.copy2(product["path"], target)
            moved[os.path.realpath(product["path"])] = target
        folders[task] = folder
    (folders["dark"] / "parameters.rc").write_text('# by EDPS\nnaco.naco_img_dark.rej_bord="8 8 8 8"\n')
    (folders["flat"] / "parameters.rc").write_text(
        'naco.naco_img_twflat.rej_bord="8 8 8 8"\nnaco.naco_img_twflat.bpm=TRUE\n'
    )
    return folders


@pytest.fixture
def night(tmp_path: Path, root: Path, esorex: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    words = ("--workflow", camera(tmp_path), *SMALL[:-1])  # so that a job has no parameters of its own
    report = call(capsys, "run", "--root", str(root), *words)
    folders = left_by_edps(report, tmp_path / "EDPS_data")
    data = ("--data", str(root / "reflex_input"))
    return {"place": tmp_path / "EDPS_data", "folders": folders, "words": (*words, *data), "new": tmp_path / "new"}


def adopt(night: dict[str, Any], capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    return call(capsys, "adopt", "--edps", str(night["place"]), "--root", str(night["new"]), *more)


def test_what_edps_made_is_not_made_again(night: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    listed = adopt(night, capsys, "--dry-run")
    assert {job["task"]: (job["recipe"], job["result"]) for job in listed["jobs"]} == {
        "flat": ("naco_img_twflat", "adopted"),
        "dark": ("naco_img_dark", "adopted"),
        "image": ("naco_img_jitter", "adopted"),
    }
    assert adopt(night, capsys)["adopted"] == 3
    again = call(capsys, "run", "--root", str(night["new"]), *night["words"])
    assert again["executed"] == 0
    assert [product["category"] for product in again["datasets"][0]["end_products"]] == ["COADDED_IMG"]
    first = again["datasets"][0]["steps"][0]
    assert first["sof"] == str(night["folders"]["flat"] / "input.sof")
    assert first["warnings"][0].startswith("made by Reflex's successor EDPS, adopted from ")


def reasons(found: dict[str, Any]) -> dict[str, str | None]:
    return {job["task"]: job["reason"] for job in found["jobs"]}


def test_jobs_whose_parameters_or_inputs_are_not_sure_are_not_taken(
    night: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (night["folders"]["dark"] / "parameters.rc").write_text("")
    flat = night["folders"]["flat"] / "input.sof"
    first = Path(flat.read_text().split()[0])
    os.utime(first, (time.time() + 60, time.time() + 60))
    told = reasons(adopt(night, capsys))
    assert told["dark"] is not None and "its product says that r was 8 8 8 8" in told["dark"]
    assert told["flat"] is not None and "was written after it ran" in told["flat"]
    assert told["image"] is None


def test_jobs_without_products_or_of_an_unknown_parameter_are_listed_with_the_reason(
    night: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for path in night["folders"]["image"].glob("*.fits"):
        path.unlink()
    (night["folders"]["dark"] / "parameters.rc").write_text("naco.naco_img_dark.moon=full\n")
    told = reasons(adopt(night, capsys))
    assert told["image"] == "it has no product"
    assert told["dark"] == "it had the parameter naco.naco_img_dark.moon, which naco_img_dark does not have now"


def test_a_folder_without_jobs_is_refused(tmp_path: Path, esorex: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adopt", "--edps", str(tmp_path), "--root", str(tmp_path), "--json"]) == 1
    assert "holds no job of EDPS" in json.loads(capsys.readouterr().out)["error"]["message"]
