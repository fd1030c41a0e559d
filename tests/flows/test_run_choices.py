"""Choices made in a review, and datasets made by rules alone, count for every later run."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows.conftest import SMALL, Ended

pytestmark = pytest.mark.usefixtures("esorex")


def test_an_own_master_takes_the_place_of_the_cascades_and_can_be_taken_back(
    root: Path, bridge: Callable[..., Ended], tmp_path: Path
) -> None:
    first = bridge("run", "--root", root, "--json", *SMALL)
    (dataset,) = first.json["datasets"]
    (flat,) = (p for p in first.step("naco_img_twflat")["products"] if p["category"] == "MASTER_IMG_FLAT")
    mine = tmp_path / "my_flat.fits"
    shutil.copy(flat["path"], mine)
    from astropy.io import fits

    with fits.open(mine, mode="update") as hdus:
        hdus[0].data *= 1.01
    done = bridge("review", dataset["dataset"], "--root", root, "--replace", f"MASTER_IMG_FLAT={mine}")
    assert done.code == 0, done.err
    second = bridge("run", "--root", root, "--json", *SMALL)
    assert second.code == 0, second.err
    science = second.step("naco_img_jitter")
    assert science["decision"] == "execute"
    assert "MASTER_IMG_FLAT replaced by review: my_flat for MASTER_IMG_FLAT of" in science["reason"]
    inputs = [line.split() for line in Path(science["sof"]).read_text().splitlines()]
    assert [path for path, tag in inputs if tag == "MASTER_IMG_FLAT"] == [str(mine)]
    assert [tag for _, tag in inputs].count("MASTER_IMG_FLAT_BADPIX") == 1, "what else the cascade makes is gone"
    assert second.decisions["naco_img_twflat"] == "reuse"
    assert any("Chosen by you" in message for message in second.json["datasets"][0]["messages"])
    assert bridge("review", dataset["dataset"], "--root", root, "--reset").code == 0
    assert set(bridge("run", "--root", root, "--json", *SMALL).decisions.values()) == {"reuse"}


def test_a_parameter_that_was_chosen_counts_for_its_dataset_and_gives_way_to_the_command_line(
    root: Path, bridge: Callable[..., Ended]
) -> None:
    (plan,) = bridge("plan", "--root", root, "--json").json["datasets"]
    told = bridge("review", plan["dataset"], "--root", root, "--json", "--set", "naco_img_dark.nsamples=50").json
    assert told["choices"] == {"parameters": {"naco_img_dark": {"nsamples": "50"}}}
    why = bridge("why", "naco_img_dark", "--root", root, *SMALL)
    assert "parameter nsamples = 50 (review)" in why.out
    why = bridge("why", "naco_img_dark", "--root", root, *SMALL, "--set", "naco_img_dark.nsamples=60")
    assert "parameter nsamples = 60 (--set)" in why.out
    done = bridge("run", "--root", root, "--json", *SMALL)
    assert done.code == 0, done.err
    written = Path(done.step("naco_img_dark")["sof"]).with_name("naco_img_dark.rc").read_text()
    assert '# review:\nnaco.naco_img_dark.nsamples="50"' in written
    assert '# --set:\nnaco.naco_img_dark.rej_bord="8 8 8 8"' in written
    kept = (root / "choices.yaml").read_text()
    for value, why in (("nsamples=many", "must be a whole number"), ("nosuch=1", "has no parameter 'nosuch'")):
        refused = bridge("review", plan["dataset"], "--root", root, "--set", f"naco_img_dark.{value}")
        assert refused.code == 1
        assert why in refused.err
    assert (root / "choices.yaml").read_text() == kept
    (root / "choices.yaml").write_text(kept.replace("50", "many"))
    refused = bridge("run", "--root", root, *SMALL)
    assert refused.code == 1
    assert "must be a whole number (from review)" in refused.err


def test_a_misspelt_recipe_is_refused(root: Path, bridge: Callable[..., Ended]) -> None:
    for verb in (("run", "--dry-run"), ("why", "naco_img_dark")):
        refused = bridge(*verb, "--root", root, "--set", "naco_img_drak.nsamples=50")
        assert refused.code == 1
        assert "workflow naco has no recipe 'naco_img_drak', did you mean 'naco_img_dark'" in refused.err


def test_a_frame_that_was_dropped_is_not_in_the_sof(root: Path, bridge: Callable[..., Ended]) -> None:
    (plan,) = bridge("plan", "--root", root, "--json").json["datasets"]
    science = next(step for step in plan["steps"] if step["recipe"] == "naco_img_jitter")
    frames = [entry["file"] for entry in science["inputs"] if entry["category"] == "IM_JITTER_OBJ"]
    assert bridge("review", plan["dataset"], "--root", root, "--drop", Path(frames[-1]).stem).code == 0
    (again,) = bridge("plan", "--root", root, "--json").json["datasets"]
    science = next(step for step in again["steps"] if step["recipe"] == "naco_img_jitter")
    assert [entry["file"] for entry in science["inputs"] if entry["category"] == "IM_JITTER_OBJ"] == frames[:-1]


def test_files_without_a_tree_are_reduced_by_the_rules_of_the_pipeline(
    root: Path, bridge: Callable[..., Ended]
) -> None:
    for tree in (root / "reflex_input").rglob("*.xml"):
        tree.unlink()
    refused = bridge("run", "--root", root, "--by", "calselector", *SMALL)
    assert refused.code == 1
    assert "--by oca" in refused.err
    ended = bridge("run", "--root", root, "--json", *SMALL)
    assert ended.code == 0, ended.err
    assert ended.decisions["naco_img_jitter"] == "execute"
    assert {"COADDED_IMG"} == {
        product["category"] for dataset in ended.json["datasets"] for product in dataset["end_products"]
    }


def test_a_review_says_what_the_plan_takes_for_what_and_a_dropped_file_comes_back(
    root: Path, bridge: Callable[..., Ended]
) -> None:
    (plan,) = bridge("plan", "--root", root, "--json").json["datasets"]
    name = plan["dataset"]

    def used(*words: str) -> dict[tuple[str, str], tuple[bool, int | None]]:
        rows = bridge("review", name, "--root", root, "--json", *words).json["alternatives"]
        return {(row["file"], row["purpose"]): (row["used"], row["level"]) for row in rows}

    before = used()
    science, flat = "IMGJITOBJ_SW", "FLAT_TW/IMGJITOBJ_SW"
    darks = {file for file, purpose in before if purpose == flat}
    assert all(before[file, flat] == (True, 0) for file in darks), "the flat takes a dark of its own exposure time"
    assert all(before[file, science] == (False, None) for file in darks), "the science does not"
    assert [file for (file, purpose), found in before.items() if found[0] and purpose == science]
    dropped = next(file for file, purpose in before if purpose == science and before[file, purpose][0])
    assert used("--drop", dropped, "--force")[dropped, science] != before[dropped, science]
    assert used("--undrop", dropped) == before
    refused = bridge("review", name, "--root", root, "--undrop", dropped)
    assert refused.code == 1
    assert f"no dropped file '{dropped}'" in refused.err


def test_a_review_says_of_a_copy_what_the_plan_says(root: Path, bridge: Callable[..., Ended]) -> None:
    """A dark lies there twice under two names of the archive, and the tree names both: the plan takes it once."""
    folder = root / "reflex_input" / "data_with_raw_calibs"
    (tree,) = folder.glob("*.xml")
    twin = "NACO.2016-03-02T21:00:00.500"
    first = re.findall(r'category="CAL_DARK" name="([^"]*)"', tree.read_text())[0]
    line = next(line for line in tree.read_text().splitlines() if first in line)
    tree.write_text(tree.read_text().replace(line, f"{line}\n{line.replace(first, twin)}"))
    shutil.copy(folder / f"{first}.fits", folder / f"{twin}.fits")
    (planned,) = bridge("plan", "--root", root, "--json").json["datasets"]
    assert {"same content"} == {each["reason"] for each in planned["not_used"] if twin in each["file"]}
    report = bridge("review", planned["dataset"], "--root", root, "--json", "--drop", twin)
    assert report.code == 0, report.err
    assert "takes nothing in place of" not in report.err, "it was not taken before either"
