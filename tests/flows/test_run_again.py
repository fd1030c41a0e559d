"""What runs again after something changed, and what does not: with the real recipes on small frames."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from esorex_bridge.demo.nights.naco import naco_night
from tests.flows.conftest import SMALL, Ended, put_on_disk

pytestmark = pytest.mark.usefixtures("esorex")
ALL = {"naco_img_dark": "reuse", "naco_img_twflat": "reuse", "naco_img_jitter": "reuse"}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path, bridge: Callable[..., Ended]) -> Path:
    """Return a data root in which the small night was reduced; tests work on copies of it."""
    root = tmp_path_factory.mktemp("done") / "root"
    put_on_disk(naco_night(npix=128), frames_folder, root)
    first = bridge("run", "--root", root, "--json", *SMALL)
    assert first.code == 0, first.err
    return root


@pytest.fixture
def again(done: Path, tmp_path: Path, bridge: Callable[..., Ended]) -> tuple[Path, Callable[..., Ended]]:
    """Return a copy of the root, and a function that runs it again."""
    root = tmp_path / "copy"
    shutil.copytree(done, root, symlinks=True)

    def run(*words: str) -> Ended:
        return bridge("run", "--root", root, "--json", *SMALL, *words)

    return root, run


DATASET = "NACO.2016-03-02T00:30:00.076_tpl"
Again = tuple[Path, Callable[..., Ended]]


def frame(root: Path, category: str, **keywords: float) -> Path:
    """Return the first frame of a category (DPR TYPE) with these keywords."""
    for path in sorted((root / "reflex_input").rglob("NACO*.fits")):
        header = fits.getheader(path)
        if header.get("HIERARCH ESO DPR TYPE") == category and all(
            header[f"HIERARCH ESO {key.replace('_', ' ')}"] == value for key, value in keywords.items()
        ):
            return path
    raise LookupError(category)


def change_a_pixel(path: Path) -> None:
    with fits.open(path, mode="update") as hdus:
        hdus[0].data[5, 5] += 1


def test_a_root_that_was_moved_runs_nothing(again: Again) -> None:
    _, run = again
    assert run().decisions == ALL


def test_raws_that_were_renamed_or_touched_run_nothing(again: Again) -> None:
    root, run = again
    folder = root / "reflex_input" / "data_with_raw_calibs"
    for path in folder.glob("NACO*.fits"):
        path.rename(folder / path.name.replace(":", "_"))
    for path in folder.glob("*.fits"):
        path.touch()
    assert run().decisions == ALL


def test_one_pixel_of_one_raw_runs_just_what_depends_on_it(again: Again) -> None:
    root, run = again
    change_a_pixel(frame(root, "FLAT,SKY"))
    ended = run()
    assert ended.decisions == {**ALL, "naco_img_twflat": "execute", "naco_img_jitter": "execute"}
    assert "CAL_FLAT_TW changed: NACO." in ended.step("naco_img_twflat")["reason"]


def test_a_parameter_runs_just_what_depends_on_it_and_is_named(again: Again) -> None:
    _, run = again
    ended = run("--set", "naco_img_dark.nsamples=50")
    assert ended.decisions == {**ALL, "naco_img_dark": "execute", "naco_img_jitter": "execute"}
    assert ended.step("naco_img_dark")["reason"] == "parameter nsamples 100 → 50"


def test_a_parameter_given_with_its_own_default_runs_nothing(again: Again) -> None:
    _, run = again
    assert run("--set", "naco_img_dark.nsamples=100").decisions == ALL


def test_a_science_product_that_is_gone_is_made_again_from_the_masters_that_are_there(again: Again) -> None:
    root, run = again
    for path in (root / "reflex_tmp_products").rglob("naco_img_jitter*.fits"):
        path.unlink()
    ended = run()
    assert ended.decisions == {**ALL, "naco_img_jitter": "execute"}
    assert "is missing" in ended.step("naco_img_jitter")["reason"]


def test_masters_that_are_gone_are_not_needed_while_the_science_product_is_there(again: Again) -> None:
    root, run = again
    for path in (root / "reflex_tmp_products").rglob("naco_img_[dt]*.fits"):
        path.unlink()
    assert run().decisions == {**ALL, "naco_img_dark": "not_needed", "naco_img_twflat": "not_needed"}


@pytest.mark.parametrize("harm", ["truncated", "edited"])
def test_a_damaged_product_is_noticed_and_made_again(again: Again, harm: str) -> None:
    root, run = again
    (product,) = (root / "reflex_tmp_products").rglob("naco_img_jitter*.fits")
    if harm == "truncated":
        product.write_bytes(product.read_bytes()[:-2880])
    else:
        change_a_pixel(product)
    ended = run()
    assert ended.decisions == {**ALL, "naco_img_jitter": "execute"}
    assert "is damaged" in ended.step("naco_img_jitter")["reason"]


def test_an_end_product_that_was_deleted_is_delivered_again_and_nothing_runs(again: Again) -> None:
    root, run = again
    shutil.rmtree(root / "reflex_end_products")
    ended = run()
    assert ended.decisions == ALL
    assert all(Path(product["path"]).is_file() for product in ended.json["datasets"][0]["end_products"])


def test_a_dry_run_says_what_would_run_and_changes_nothing(again: Again) -> None:
    root, run = again
    before = sorted(path for path in root.rglob("*") if path.is_file())
    ended = run("--dry-run", "--set", "naco_img_jitter.rej=1 1")
    assert ended.decisions == {**ALL, "naco_img_jitter": "execute"}
    assert ended.step("naco_img_jitter")["outcome"] == "planned"
    assert sorted(path for path in root.rglob("*") if path.is_file()) == before
    assert run("--set", "naco_img_jitter.rej=1 1").decisions == ended.decisions


def test_datasets_that_share_calibrations_make_them_once(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    put_on_disk(naco_night(npix=128, templates=3), frames_folder, tmp_path)
    ended = bridge("run", "--root", tmp_path, "--json", *SMALL)
    assert ended.code == 0, ended.err
    assert ended.json["executed"] == 2 + 3
    assert len(ended.json["datasets"]) == 3
    assert bridge("run", "--root", tmp_path, "--json", *SMALL).json["executed"] == 0


def test_a_forced_step_runs_and_what_is_made_from_it_is_reused(again: Again) -> None:
    _, run = again
    ended = run("--force", "naco_img_dark")
    assert ended.decisions == {**ALL, "naco_img_dark": "execute"}
    assert ended.step("naco_img_dark")["reason"] == "forced"
    assert run().decisions == ALL


def test_starting_from_a_step_runs_it_and_all_that_depends_on_it(again: Again) -> None:
    _, run = again
    ended = run("--from", "naco_img_twflat_1")
    assert ended.decisions == {"naco_img_dark": "reuse", "naco_img_twflat": "execute", "naco_img_jitter": "execute"}


def test_lazy_mode_off_runs_all(again: Again) -> None:
    _, run = again
    assert set(run("--lazy", "off").decisions.values()) == {"execute"}


def test_parameters_come_from_a_file_too_and_its_line_is_told(again: Again, tmp_path: Path) -> None:
    _, run = again
    file = tmp_path / "mine.yaml"
    file.write_text("naco_img_dark:\n  nsamples: 50\n")
    assert run("--parameters", str(file)).decisions["naco_img_dark"] == "execute"
    file.write_text("naco_img_dark:\n  nsamples: many\n")
    refused = run("--parameters", str(file))
    assert refused.code == 1
    assert f"{file}:2" in refused.json["error"]["message"]


def test_a_step_tells_what_it_depends_on_and_why_it_would_run(again: Again, bridge: Callable[..., Ended]) -> None:
    root, run = again
    told = {step["step"]: step for step in run("--explain", "--set", "naco_img_dark.nsamples=50").json["steps"]}
    dark = told["naco_img_dark_1"]
    assert (dark["decision"], dark["reason"]) == ("execute", "parameter nsamples 100 → 50")
    assert {"name": "nsamples", "value": "50", "origin": "--set"} in dark["parameters"]
    assert [entry["category"] for entry in dark["inputs"]] == ["CAL_DARK"] * 3
    assert told["naco_img_twflat_1"]["decision"] == "reuse"
    (change,) = dark["changes"]
    assert (change["code"], change["name"]) == ("parameter", "naco.naco_img_dark.nsamples")
    assert [each["value"] for each in (*change["before"], *change["after"])] == ["100", "50"]
    words = bridge("why", "naco_img_dark_1", "--root", root).out
    assert "naco_img_dark_1 of NACO." in words
    assert "CAL_DARK: NACO." in words


def test_why_gives_its_reasons_as_values(again: Again, bridge: Callable[..., Ended]) -> None:
    root, _ = again

    def reasons(*words: str) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for reason in bridge("why", *words, "--root", root, "--json").json["reasons"]:
            found.setdefault(reason["kind"], []).append(reason)
        return found

    state = reasons(DATASET)["dataset"][0]
    assert (state["dataset"], state["said_by"], state["complete"]) == (DATASET, "calSelector", True)
    (told,) = reasons("naco_img_dark_1", *SMALL, "--set", "naco_img_dark.nsamples=50")["step"]
    name = told["step"]["inputs"][0]["name"]
    (taken,) = reasons(name)["taken_by_step"]
    assert (taken["dataset"], taken["step"], taken["category"]) == (DATASET, "naco_img_dark_1", "CAL_DARK")
    assert [change["code"] for change in told["step"]["changes"]] == ["parameter"]


def test_a_file_that_a_parameter_names_counts_by_its_content(again: Again, tmp_path: Path) -> None:
    _, run = again
    file = tmp_path / "offsets.txt"
    file.write_text("0 0\n8 5\n-6 9\n4 -10\n-8 -5\n")
    setting = ("--set", f"naco_img_jitter.off={file}")
    first = run(*setting)
    assert first.decisions["naco_img_jitter"] == "execute"
    assert run(*setting).decisions == ALL
    file.write_text("0 0\n7 5\n-6 9\n4 -10\n-8 -5\n")
    assert run(*setting).decisions["naco_img_jitter"] == "execute"


def test_reflexs_own_rule_looks_at_paths_and_times(again: Again) -> None:
    root, run = again
    assert set(run("--lazy", "off").decisions.values()) == {"execute"}
    assert run("--lazy", "reflex").decisions == ALL
    frame(root, "FLAT,SKY").touch()
    assert run("--lazy", "reflex").decisions["naco_img_twflat"] == "execute"
    assert run().decisions == ALL
