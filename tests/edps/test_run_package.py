"""A workflow package planned and run through the command line, on frames that real recipes take."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from esorex_bridge.cli import main
from esorex_bridge.datasets.choices import Choices
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.demo.nights.night import FrameFolder
from esorex_bridge.organise.choices_file import write_choices_file
from tests.edps.packages import TOY, write_package

if TYPE_CHECKING:
    from esorex_bridge.demo.archive.embedded import EmbeddedArchive

CAMERA = """
    from edps import ONE_DAY, QC1_CALIB, SCIENCE, classification_rule, data_source, match, match_rules, task
    raw = {"instrume": "NAOS+CONICA", "pro.catg": None}
    darks = (data_source("DARKS").with_classification_rule(classification_rule("CAL_DARK", {**raw, "dpr.type": "DARK"}))
             .with_grouping_keywords(["tpl.start"]).with_min_group_size(2)
             .with_match_keywords(["det.dit"], time_range=ONE_DAY, level=0).build())
    objects = (data_source("OBJECTS").with_classification_rule(
                   classification_rule("IM_JITTER_OBJ", {**raw, "dpr.type": "OBJECT", "dpr.catg": "SCIENCE"}))
               .with_grouping_keywords(["tpl.start"]).build())
    twilight = (data_source("TWILIGHT").with_classification_rule(
                    classification_rule("CAL_FLAT_TW", lambda f: f["dpr.type"] == "FLAT,SKY" and f["pro.catg"] is None))
                .with_grouping_keywords(["tpl.start"])
                .with_match_keywords(["ins.opti6.name"], level=0).build())
    DARK = classification_rule("NACO_IMG_DARK_AVG")
    FLAT = classification_rule("MASTER_IMG_FLAT")
    def near(ref, f): return match(ref, f, ["det.dit"]) and abs(f["mjd-obs"] - ref["mjd-obs"]) < 1
    def with_mask(job): job.parameters.recipe_parameters["naco.naco_img_twflat.bpm"] = "TRUE"
    dark = task("dark").with_recipe("naco_img_dark").with_main_input(darks).with_meta_targets([QC1_CALIB]).build()
    flat = (task("flat").with_recipe("naco_img_twflat").with_main_input(twilight)
            .with_associated_input(darks, min_ret=0, match_rules=match_rules().with_match_function(near))
            .with_job_processing(with_mask).build())
    image = (task("image").with_recipe("naco_img_jitter").with_main_input(objects)
             .with_associated_input(flat, [FLAT]).with_associated_input(dark, [DARK])
             .with_input_filter(FLAT, DARK).with_meta_targets([SCIENCE]).build())
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = FrameFolder(tmp_path / "root" / "reflex_input")
    night = naco_night(npix=128)
    for file in night.files:
        folder.fits(night, file)
    return tmp_path / "root"


SMALL = ("--set=dark.r=8 8 8 8", "--set=naco_img_twflat.r=8 8 8 8", "--set=image.xcorr=12 12 20 20")


def camera(tmp_path: Path) -> str:
    folder = tmp_path / "packages" / "camera"
    folder.mkdir(parents=True)
    (folder / "camera_wkf.py").write_text(dedent(CAMERA))
    return f"edps:{folder}"


def call(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main([*words, "--json"]) == 0, capsys.readouterr()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_plan_has_tasks_levels_parameters_and_what_is_missing(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = call(capsys, "plan", "--root", str(root), "--workflow", camera(tmp_path))
    steps = {step["step"]: step for step in found["steps"]}
    assert [(step["task"], step["recipe"], step["complete"]) for step in found["steps"]] == [
        ("flat", "naco_img_twflat", True),
        ("dark", "naco_img_dark", True),
        ("image", "naco_img_jitter", True),
    ]
    assert steps["image_1"]["levels"] == {"flat": 0, "dark": 0} and steps["image_1"]["missing"] == []
    assert steps["flat_1"]["parameters"] == {"naco.naco_img_twflat.bpm": "TRUE"}
    assert [entry["category"] for entry in steps["image_1"]["inputs"]][-2:] == ["MASTER_IMG_FLAT", "NACO_IMG_DARK_AVG"]


def test_the_command_to_type_next_names_the_package_and_the_data(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, data = camera(tmp_path), str(root / "reflex_input")
    where = f"--root {tmp_path}/new --workflow {given} --data {data}"
    for words, following in (
        (["organise", data], f"plan {where}"),
        (["plan", "--data", data, "--target", "image"], f"run {where} --target-task image"),
        (["run", "--data", data, "--dry-run"], f"run --data {data} --root {tmp_path}/new --workflow {given}"),
        (["review", "NACO.2016-03-02T00:30:00.076", "--data", data], f"--for DARKS --purpose flat/image {where}"),
    ):
        assert main([*words, "--root", str(tmp_path / "new"), "--workflow", given]) == 0
        said = " ".join(capsys.readouterr().out.replace("\\\n", " ").split())
        assert said.endswith(following), said


def test_every_file_is_in_a_step_or_not_used_with_the_reason(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = camera(tmp_path)
    found = call(capsys, "plan", "--root", str(root), "--workflow", given, "--target", "flat")
    used = {entry["file"] for step in found["steps"] for entry in step["inputs"] if "file" in entry}
    left = {each["file"]: each for each in found["not_used"]}
    assert used.isdisjoint(left) and used.union(left) == {str(path) for path in root.rglob("*.fits*")}
    reasons = {(each["category"], each["reason"]) for each in left.values()}
    assert ("IM_JITTER_OBJ", "its maker is not needed") in reasons
    assert {category for category, reason in reasons if reason == "no recipe for the category"} == {""}

    place = tmp_path / "packages" / "camera" / "camera_wkf.py"
    place.write_text(place.read_text().replace("with_min_group_size(2)", "with_min_group_size(99)"))
    found = call(capsys, "plan", "--root", str(root), "--workflow", given)
    details = {each["detail"] for each in found["not_used"] if each["reason"] == "group too small"}
    assert details and all(detail.startswith("dark: ") and detail.endswith(" < 99") for detail in details)


def test_without_any_job_the_failures_of_the_package_s_functions_are_told(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = camera(tmp_path)
    place = tmp_path / "packages" / "camera" / "camera_wkf.py"
    place.write_text(place.read_text().replace('f["dpr.type"] == "FLAT,SKY"', 'f.get("dpr.type")'))
    assert main(["plan", "--root", str(root), "--workflow", given, "--target", "flat"]) == 1
    assert "makes no job of the data for its targets; <lambda> (camera_wkf.py:11) failed: " in capsys.readouterr().err


def test_breakpoints_of_the_archive_count_for_packages_too(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = camera(tmp_path)
    (root / "breakpoints.json").write_text(json.dumps([BREAKPOINT]))
    found = call(capsys, "plan", "--root", str(root), "--workflow", given)
    (image,) = (step for step in found["steps"] if step["task"] == "image")
    assert image["missing"] == [
        "needs flat (MASTER_IMG_FLAT): nothing fits",
        "needs dark (NACO_IMG_DARK_AVG): nothing fits",
    ]
    assert any("beyond a change of the instrument (breakpoint MJD 57449)" in text
               for text in found["datasets"][0]["messages"])  # fmt: skip
    elsewhere = tmp_path / "none.json"
    elsewhere.write_text("[]")
    found = call(capsys, "plan", "--root", str(root), "--workflow", given, "--breakpoints", str(elsewhere))
    assert all(step["complete"] for step in found["steps"])


def test_quality_limits_the_levels_of_associations(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = camera(tmp_path)
    workflow = tmp_path / "packages" / "camera" / "camera_wkf.py"
    workflow.write_text(workflow.read_text().replace("time_range=ONE_DAY, level=0", "time_range=ONE_DAY, level=2"))
    words = ("plan", "--root", str(root), "--workflow", name)
    (fair,) = call(capsys, *words, "--quality", "2")["datasets"]
    image = fair["steps"][-1]
    assert fair["complete"] and image["levels"]["dark"] == 2
    assert image["inputs"][-1] == {
        "category": "NACO_IMG_DARK_AVG",
        "step": "dark_1",
        "product": "NACO_IMG_DARK_AVG",
        "days": image["days"]["dark"],
        "level": 2,
        "match": None,
        "certified": True,
    }
    (poor,) = call(capsys, *words, "--quality", "1")["datasets"]
    assert poor["incomplete"] == ["NACO.2016-03-02T00:30:00.076 (image): needs dark (NACO_IMG_DARK_AVG): nothing fits"]


def test_data_may_lie_elsewhere_and_targets_be_chosen(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--root", str(tmp_path / "new"), "--data", str(root / "reflex_input"), "--workflow", camera(tmp_path))
    by_label = call(capsys, "plan", *words, "--meta-target", "qc1calib")
    by_name = call(capsys, "plan", *words, "--target", "dark")
    assert by_label == by_name
    assert {step["task"] for step in by_name["steps"]} == {"dark"}


def test_organise_lists_the_jobs_of_targets(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = call(capsys, "organise", "--root", str(root), "--workflow", camera(tmp_path))
    assert [(dataset["name"], dataset["complete"]) for dataset in found["datasets"]] == [
        ("NACO.2016-03-02T00:30:00.076", True)
    ]


def test_a_package_runs_and_its_second_run_starts_nothing(
    tmp_path: Path, root: Path, esorex: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("run", "--root", str(root), "--workflow", camera(tmp_path), *SMALL)
    first = call(capsys, *words)
    assert first["executed"] == 3
    (dataset,) = first["datasets"]
    assert [product["category"] for product in dataset["end_products"]] == ["COADDED_IMG"]
    assert call(capsys, *words)["executed"] == 0


def test_an_association_tree_says_which_files_and_the_package_what_is_made(tmp_path: Path, root: Path) -> None:
    from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile
    from esorex_bridge.session import Session
    from esorex_bridge.settings import Settings

    files = [DatasetFile(path.stem, "ANY", path) for path in sorted((root / "reflex_input").rglob("*.fits"))]
    few = [file for file in files if "T16:10" not in file.name and "T16:11" not in file.name]
    asked = Dataset("tree", "NAOS+CONICA", Action("SCIENCE", tuple(few)))
    (root / "breakpoints.json").write_text(json.dumps([BREAKPOINT]))  # calSelector has it too, and chose
    with Session(Settings(root, workflow=Path(camera(tmp_path)))) as session:
        ((_, plan),) = session.planning.plans((asked,))
    assert [step.name for step in plan.steps] == ["flat_1", "dark_1", "image_1"]
    assert [step.name for step in plan.steps if step.target] == ["image_1"]
    assert [step.gaps for step in plan.steps] == [(), (), ()]


def test_packages_in_our_folder_are_listed_and_not_executed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    root = tmp_path / "esorex-bridge" / "edps"
    write_package(root, "raise SystemExit('executed')")
    found = call(capsys, "workflows")
    assert {"name": "edps:toy.toy_wkf", "folder": str(root / "toy"), "origin": "configuration"} in found["packages"]
    write_package(root, TOY)
    assert call(capsys, "workflows", "show", "edps:toy")["tasks"][0]["name"] == "bias"


def test_workflow_dir_of_edps_is_searched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".edps").mkdir()
    (tmp_path / ".edps" / "application.properties").write_text(f"[application]\nworkflow_dir=/none, {tmp_path}/w\n")
    write_package(tmp_path / "w", TOY)
    assert [each["origin"] for each in call(capsys, "workflows")["packages"]] == ["application.properties"]


def test_a_package_may_extend_one_that_lies_under_another_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_package(tmp_path / "pipeline", TOY)
    extension = """
        from edps import task
        from toy import toy_wkf
        more = task("more").with_recipe("toy_more").with_main_input(toy_wkf.star).build()
    """
    folder = tmp_path / "own" / "toypol"
    folder.mkdir(parents=True)
    (folder / "toypol_wkf.py").write_text(dedent(extension))
    (tmp_path / ".edps").mkdir()
    (tmp_path / ".edps" / "application.properties").write_text(f"[application]\nworkflow_dir={tmp_path}/pipeline\n")
    found = call(capsys, "workflows", "show", f"edps:{folder}")
    assert [task["name"] for task in found["tasks"]] == ["bias", "lamp", "star", "more"]
    assert found["tasks"][0]["file"] == f"{tmp_path}/pipeline/toy/toy_wkf.py" and found["remarks"] == []
    (tmp_path / "pipeline" / "toy" / "toy_wkf.py").write_text("1 / 0\n")
    assert main(["workflows", "show", f"edps:{folder}"]) == 1
    assert f"{tmp_path}/pipeline/toy/toy_wkf.py:1: ZeroDivisionError" in capsys.readouterr().err


def test_of_several_versions_the_latest_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("esorex_bridge.edps.find._PREFIXES", (str(tmp_path),))
    for version in ("1.9.2", "1.10.0", "1.2.30"):
        write_package(tmp_path / "share" / "esopipes" / "workflows" / f"toy-{version}", TOY)
    assert call(capsys, "workflows", "show", "edps:toy")["root"].endswith("toy-1.10.0")
    assert [each["name"] for each in call(capsys, "workflows")["packages"]] == ["edps:toy.toy_wkf"]


def test_a_review_is_kept_and_every_later_verb_follows_it(
    tmp_path: Path, root: Path, esorex: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, words = "NACO.2016-03-02T00:30:00.076", ("--root", str(root), "--workflow", camera(tmp_path))
    rows = call(capsys, "review", name, *words)["alternatives"]
    used = [(row["purpose"], row["input"], row["category"], row["level"]) for row in rows if row["used"]]
    assert used == [
        ("image", "flat", "CAL_FLAT_TW", 0),
        ("image", "dark", "CAL_DARK", 0),
        ("flat/image", "DARKS", "CAL_DARK", 0),
    ]
    other = next(row["file"] for row in rows if row["input"] == "DARKS" and not row["used"])
    for wrong, why in (
        (("--use", other, "--for", "dark"), "dark: det.dit is 2.0, not 10.0; --force keeps it all the same"),
        (("--use", other, "--for", "FLAT"), "no input 'FLAT', did you mean 'flat'"),
        (("--use", other, "--for", "DARKS", "--purpose", "dark/image"), "no purpose with the input DARKS"),
        (("--drop", "NACO.2016-03-09T00:00:00.000"), "so it cannot be dropped"),
        (("--set", "naco_img_drak.r=1"), "has no recipe 'naco_img_drak', did you mean 'naco_img_dark'"),
        (("--set", "dark.nosuch=1"), "has no parameter 'nosuch'"),
    ):
        assert main(["review", name, *words, *wrong]) == 1
        assert why in capsys.readouterr().err
    assert not (root / "choices.yaml").exists()
    made = call(capsys, "review", name, *words, "--use", other, "--for", "DARKS", "--set", "dark.r=8 8 8 8")
    assert made["choices"] == {"use": {"DARKS/flat/image": other}, "parameters": {"dark": {"r": "8 8 8 8"}}}
    again = {(row["input"], row["file"]): row["used"] for row in made["alternatives"]}
    assert again["DARKS", other] and sum(again.values()) == 3

    (plan,) = call(capsys, "plan", *words)["datasets"]
    flat = next(step for step in plan["steps"] if step["task"] == "flat")
    assert flat["step"] == "flat_1" and other in flat["inputs"][-1]["file"]
    assert f"Chosen by you: {other} for DARKS/flat/image" in plan["messages"]
    lines = call(capsys, "why", "flat", *words)["lines"]
    assert f"  DARKS: {other} (CAL_DARK), level 0, -0.26944 days, chosen in a review" in lines
    ran = call(capsys, "run", *words, "--dry-run", "--set", "naco_img_twflat.r=8 8 8 8")["datasets"][0]
    assert f"Chosen by you: {other} for DARKS/flat/image" in ran["messages"]
    (organised,) = call(capsys, "organise", *words)["datasets"]
    assert "Chosen by you" in json.dumps(organised)
    assert call(capsys, "review", name, *words, "--reset")["choices"] == {}
    assert not (root / "choices.yaml").exists()


def test_the_actors_take_a_package_for_a_workflow(tmp_path: Path, root: Path) -> None:
    from reflex_actors.actors import organise_datasets
    from reflex_actors.definitions import definition_named
    from reflex_actors.protocol import Inputs

    given, name = camera(tmp_path), "NACO.2016-03-02T00:30:00.076"
    assert [step.recipe for step in definition_named(given).steps] == [
        "naco_img_dark",
        "naco_img_twflat",
        "naco_img_jitter",
    ]
    write_choices_file(root, {name: Choices(drop=("NACO.2016-03-01T16:00:40.213",))}, "camera.camera_wkf")
    inputs = {"data_dir": str(root / "reflex_input"), "root_dir": str(root), "workflow": given, "by": "auto", "oca": ""}
    (dataset,) = organise_datasets.work(Inputs({**inputs, "form": "list"}))["datasets"]
    names = {action["name"]: len(action["rawFiles"]) for action in dataset["actions"]}
    assert (dataset["datasetName"], names) == (name, {"flat": 6, "dark": 2})


def test_a_package_is_not_drawn_as_a_workflow_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reflex", "workflow", camera(tmp_path)]) == 1
    assert "'esorex-bridge run --workflow edps:" in capsys.readouterr().err


def test_show_has_inputs_with_their_rules_and_what_was_not_understood(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_package(tmp_path, TOY + "\n    from edps import teleport\n")
    found = call(capsys, "workflows", "show", f"edps:{tmp_path}/toy")
    star = found["tasks"][-1]
    assert (star["main_input"], star["recipe"]) == ("STARS", "toy_star")
    first, second = star["inputs"]
    assert (first["categories"], first["match"], first["days"], first["level"]) == (
        ["MASTER_BIAS"],
        ["det.read"],
        [-1.0, 1.0],
        0,
    )
    assert (first["minimum"], first["maximum"], second["minimum"], first["condition"]) == (1, 1, 0, None)
    assert [each["name"] for each in found["not_understood"]] == ["teleport"]
    assert [source["name"] for source in found["sources"]] == ["BIASES", "LAMPS", "STARS"]
    assert found["classes"][0]["tag"] == "BIAS"


def test_check_says_which_recipes_are_not_installed_and_what_names_nothing(
    tmp_path: Path, esorex: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_package(tmp_path, TOY, parameters="default_parameters: {recipe_parameters: {sky: {a: 1}}}\n")
    found = call(capsys, "workflows", "check", f"edps:{tmp_path}/toy")
    problems = [finding["problem"] for finding in found["findings"]]
    assert "recipes that are not installed: toy_bias, toy_lamp, toy_star" in problems
    assert any("there is no task 'sky'" in problem for problem in problems)


def test_a_target_or_a_package_that_is_not_there_is_refused(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = camera(tmp_path)
    assert main(["plan", "--root", str(root), "--workflow", name, "--target", "moon"]) == 1
    assert "no task 'moon'; there are: dark, flat, image" in capsys.readouterr().err
    assert main(["plan", "--root", str(root), "--workflow", "edps:moon"]) == 1
    assert "there is no workflow package 'moon'" in capsys.readouterr().err
    assert main(["plan", "--root", str(root), "--workflow", name, "--set", "moon.x=1"]) == 1
    assert "has no recipe or task moon" in capsys.readouterr().err


@pytest.mark.real
def test_the_real_package_makes_coadded_images_and_its_second_run_starts_nothing(
    tmp_path: Path, real: Path, esorex: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = FrameFolder(tmp_path / "reflex_input")
    night = naco_night()
    for file in night.files:
        folder.fits(night, file)
    words = ("run", "--root", str(tmp_path), "--workflow", f"edps:{real.parent}/edps/naco")
    first = call(capsys, *words)
    assert first["executed"] == 3
    assert [product["category"] for product in first["datasets"][0]["end_products"]] == ["COADDED_IMG"]
    assert call(capsys, *words)["executed"] == 0


def test_sof_files_come_with_options_that_esorex_knows(
    tmp_path: Path, root: Path, esorex: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sof", "--root", str(root), "--workflow", camera(tmp_path)]) == 0
    assert "esorex naco_img_twflat --bpm=TRUE " in capsys.readouterr().out


def test_why_tells_of_files_and_tasks(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("why", "--root", str(root), "--workflow", camera(tmp_path))
    task = "\n".join(call(capsys, *words, "image")["lines"])
    assert "image of NACO.2016-03-02T00:30:00.076: naco_img_jitter on 5 files, complete" in task
    assert "dark: dark of NACO.2016-03-01T16:00:00.076, level 0, -0.354" in task
    used = call(capsys, *words, "NACO.2016-03-01T22:40:40.213")["lines"]
    assert used == [
        "NACO.2016-03-01T22:40:40.213: CAL_FLAT_TW in TWILIGHT",
        "NACO.2016-03-01T22:40:40.213: used by flat of NACO.2016-03-01T22:40:00.076",
    ]
    other = call(capsys, *words, "NACO.2016-03-02T00:28:20.076")["lines"]
    assert other[0].endswith("no rule of the workflow's data sources or masters fits it")


def test_why_gives_reasons_of_jobs_with_their_facts(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("why", "--root", str(root), "--workflow", camera(tmp_path))
    job, *inputs = call(capsys, *words, "image")["reasons"]
    assert (job["kind"], job["task"], job["recipe"], job["complete"]) == ("job", "image", "naco_img_jitter", True)
    dark = next(each for each in inputs if each["kind"] == "job_input" and each["input"] == "dark")
    assert (dark["jobs"], dark["level"], dark["files"]) == (["dark of NACO.2016-03-01T16:00:00.076"], 0, [])
    source, used = call(capsys, *words, "NACO.2016-03-01T22:40:40.213")["reasons"]
    assert (source["kind"], source["source"], source["tag"]) == ("in_data_source", "TWILIGHT", "CAL_FLAT_TW")
    assert (used["kind"], used["jobs"]) == ("used_by_jobs", ["flat of NACO.2016-03-01T22:40:00.076"])
    kinds = {each["kind"] for each in call(capsys, *words, "NACO.2016-03-02T00:28:20.076")["reasons"]}
    assert kinds == {"in_data_source", "used_by_jobs"}


BREAKPOINT = {
    "mjdObs": 57448.98,
    "instrument": "NACO",
    "dpInstrument": "NACO",
    "rawType": "ANY",
    "proCatg": "ANY",
    "doClass": "ANY",
}


def test_clean_keeps_what_a_package_needs_and_a_batch_reuses_it(
    tmp_path: Path, root: Path, esorex: str, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ("--root", str(root), "--workflow", camera(tmp_path), *SMALL)
    call(capsys, "run", *named)
    assert call(capsys, "clean", *named, "--dry-run")["folders"] == []
    jobs = tmp_path / "jobs.yaml"
    jobs.write_text("batch: all\njobs:\n  - name: all\n    datasets: all\n")
    batch = call(capsys, "batch", str(jobs), *named)
    assert batch["steps"]["reused"] == 3, batch["steps"]


def test_all_products_but_those_rejected_come_in_by_run_and_batch_alike(
    tmp_path: Path, root: Path, esorex: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = camera(tmp_path)
    workflow = tmp_path / "packages" / "camera" / "camera_wkf.py"
    others = '"NACO_IMG_DARK_HOT", "NACO_IMG_DARK_COLD", "NACO_IMG_DARK_DEV", "MASTER_IMG_FLAT_ERRMAP", mode="REJECT"'
    workflow.write_text(workflow.read_text().replace("with_input_filter(FLAT, DARK)", f"with_input_filter({others})"))
    jobs = tmp_path / "jobs.yaml"
    jobs.write_text("batch: all\njobs:\n  - name: all\n    datasets: all\n")
    named = ("--root", str(root), "--workflow", name, *SMALL)
    image = next(step for step in call(capsys, "plan", *named)["steps"] if step["task"] == "image")
    assert [entry.get("product") for entry in image["inputs"]][-2:] == ["*", "*"]
    call(capsys, "batch", str(jobs), *named)
    again = call(capsys, "run", *named)
    assert again["executed"] == 0
    sof = next(Path(step["sof"]) for step in again["datasets"][0]["steps"] if step["recipe"] == "naco_img_jitter")
    tags = [line.split()[1] for line in sof.read_text().splitlines()]
    assert sorted(tags[5:]) == ["MASTER_IMG_FLAT", "MASTER_IMG_FLAT_BADPIX", "NACO_IMG_DARK_AVG"]


def test_reduce_goes_from_the_archive_to_products_by_a_package(
    tmp_path: Path, small_archive: EmbeddedArchive, esorex: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("reduce", "--program", "60.A-9999(A)", "--root", str(tmp_path / "root"), "--archive", small_archive.url)
    named = ("--workflow", camera(tmp_path), *SMALL)
    first = call(capsys, *words, *named)
    (dataset,) = first["datasets"]
    assert [step["step"] for step in dataset["steps"] if step["outcome"] == "done"] == ["flat_1", "dark_1", "image_1"]
    assert [product["category"] for product in dataset["end_products"]] == ["COADDED_IMG"]
    assert call(capsys, *words, *named)["executed"] == 0
