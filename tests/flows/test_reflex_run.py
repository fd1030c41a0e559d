"""Workflow files run without Kepler: ours with the real EsoRex, ESO's own with what it needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from esorex_bridge.definitions.folders import workflow_folder
from reflex_actors.headless.catalogue import unknown
from reflex_actors.headless.running import RunOptions
from reflex_actors.moml.check import check
from reflex_actors.moml.read import read, read_file
from tests.flows.conftest import Ended, put_on_disk
from tests.flows.provenance_facts import facts_beside
from tests.stand_in_recipes import StandInRecipes, product, run_workflow

NACO = workflow_folder() / "naco.xml"
DATA = "reflex_input/data_with_raw_calibs"


def reflex_run(bridge: Callable[..., Ended], root: Path, *words: str) -> Ended:
    """Run NACO's workflow file on what lies in a data root."""
    parameters = ("-ROOT_DATA_DIR", root, "-RAW_DATA_DIR", root / DATA, "-CALIB_MODE", "none")
    return bridge("reflex", "run", NACO, "--json", *words, *parameters)


def contents(products: Iterable[tuple[str, str]]) -> list[tuple[str, tuple[str, ...]]]:
    """Return categories with the DATASUMs of all extensions, sorted."""
    found = []
    for path, category in products:
        with fits.open(path) as hdus:
            found.append((category, tuple(str(hdu.header["DATASUM"]) for hdu in hdus)))
    return sorted(found)


def recipe_outcomes(ended: Ended) -> set[str]:
    """Return what came of all runs of recipes that have products."""
    return {each.get("outcome", "ran") for each in ended.json["firings"] if each.get("recipe") and each.get("products")}


@pytest.fixture
def night(tmp_path: Path, frames_folder: Path) -> Callable[[str], Path]:
    """Return a function that makes a data root with a night that recipes take with their defaults."""
    from esorex_bridge.demo.nights.naco import naco_night

    def made(name: str) -> Path:
        put_on_disk(naco_night(), frames_folder, tmp_path / name)
        return tmp_path / name

    return made


@pytest.mark.slow
def test_a_workflow_file_gives_what_run_gives(
    bridge: Callable[..., Ended], night: Callable[[str], Path], esorex: str
) -> None:
    ours, plain = night("reflex"), night("plain")
    report = reflex_run(bridge, ours)
    assert report.code == 0, report.out + report.err
    (dataset,) = bridge("run", "--root", plain, "--json").json["datasets"]
    wanted = [
        (each["path"], each["category"]) for step in dataset["steps"] if step["recipe"] for each in step["products"]
    ]
    made = [pair for firing in report.json["firings"] if firing.get("recipe") for pair in firing.get("products", ())]
    assert contents(made) == contents(wanted)
    (ends,) = report.json["end_products"].values()
    assert contents(ends) == contents((each["path"], each["category"]) for each in dataset["end_products"])
    facts = facts_beside(Path(ends[0][0]))
    assert facts == facts_beside(Path(dataset["end_products"][0]["path"]))
    assert "calSelector" in str(facts)

    assert recipe_outcomes(reflex_run(bridge, ours)) == {"reused"}
    assert set(bridge("run", "--root", ours, "--json").decisions.values()) == {"reuse"}
    page = ours / "reflex_book_keeping" / "report.html"
    assert not page.exists()
    anew = reflex_run(bridge, ours, "-EraseDirs", "true", "-ShowReport", "true")
    assert recipe_outcomes(anew) == {"ran"}
    assert f"report: {page}" in "".join(anew.json["said"])
    assert dataset["dataset"] in page.read_text()


def test_a_dry_run_lists_every_recipe_with_its_files_and_runs_none(
    bridge: Callable[..., Ended], night: Callable[[str], Path], esorex: str
) -> None:
    root = night("root")
    done = reflex_run(bridge, root, "--dry-run")
    assert done.code == 0, done.out + done.err
    firings = {each["recipe"]: each for each in done.json["firings"] if each.get("recipe") and each.get("sof")}
    assert list(firings) == ["naco_img_dark", "naco_img_twflat", "naco_img_jitter"]
    assert {category for _, category in firings["naco_img_jitter"]["sof"]} >= {"IM_JITTER_OBJ", "MASTER_IMG_FLAT"}
    assert {each["outcome"] for each in firings.values()} == {"foreseen"}
    assert {each["dataset"] for each in firings.values()} == {"NACO.2016-03-02T00:30:00.076_tpl"}
    assert done.json["unknown"] == []
    passed_over = {each["actor"]: each.get("outcome") for each in done.json["firings"] if "Fetch" in each["actor"]}
    assert passed_over == {"Get Data.Fetch": "foreseen"}
    assert not (root / "reflex_tmp_products").exists()
    assert "has been reduced" not in done.err
    assert not (root / "reflex_end_products").exists()


def test_a_file_with_an_unknown_actor_is_refused_by_name(bridge: Callable[..., Ended], tmp_path: Path) -> None:
    odd = tmp_path / "odd.xml"
    odd.write_text(NACO.read_text().replace("org.resurgence.actor.StringToInt", "org.example.StringToInteger"))
    done = bridge("reflex", "run", odd, "-ROOT_DATA_DIR", tmp_path)
    assert done.code == 1
    assert "Close DataSet.String To Int: there is no actor org.example.StringToInteger" in done.err


def test_a_workflow_leaves_other_instruments_alone_and_says_whose_they_are(
    bridge: Callable[..., Ended], night: Callable[[str], Path], tmp_path: Path, frames_folder: Path, esorex: str
) -> None:
    from esorex_bridge.demo.nights.hawki import hawki_night

    root = night("both")
    for path in put_on_disk(hawki_night(), frames_folder, tmp_path / "other").iterdir():
        path.rename(root / DATA / path.name)
    done = reflex_run(bridge, root, "--dry-run")
    assert done.code == 0, done.out + done.err
    assert done.json["datasets"] == ["NACO.2016-03-02T00:30:00.076_tpl"]
    assert "not for dataset HAWKI." in done.err
    assert "of HAWKI: 'hawki' takes it" in done.err


METIS_FIRINGS = [
    ("rrrecipe_calib", ["CAL{0}_0.fits", "CAL{0}_1.fits"], ("CAL/SCI",)),
    ("rrrecipe", ["LINE.fits", "RRRECIPE_CALIB.fits", "SCI{0}.fits"], ("SCI",)),
]
"""What Ptolemy's own DDF director fires for one of the datasets below."""


def metis_datasets(folder: Path) -> list[dict[str, Any]]:
    """Write two datasets for ESO's METIS workflow, and return them as DataOrganizer would."""
    folder.mkdir()

    def file(name: str, category: str, *purposes: str) -> dict[str, Any]:
        path = folder / f"{name}.fits"
        path.write_bytes(product(category))
        return {"name": str(path), "category": category, "purposes": list(purposes), "checksum": None}

    found = []
    for number in range(2):
        raws = [file(f"CAL{number}_{each}", "RRRECIPE_CALIB_DOCATG_RAW", "CAL/SCI") for each in range(2)]
        below = {"name": "CAL", "rawFiles": raws, "actions": []}
        own = [file(f"SCI{number}", "RRRECIPE_DOCATG_RAW", "SCI"), file("LINE", "LINE_INTMON_TABLE", "SCI")]
        found.append({"name": "SCI", "datasetName": f"METIS.SCI{number}", "rawFiles": own, "actions": [below]})
    return found


@pytest.mark.real
def test_metis_own_workflow_fires_what_the_engine_fires(real: Path, tmp_path: Path) -> None:
    source = (real / "reflex" / "metis" / "metis.xml.in").read_text()
    root = read(source.replace("@prefix@", "/usr").replace("@VERSION@", "1.0").encode(), "metis.xml").root
    listed = tmp_path / "datasets.json"
    listed.write_text(json.dumps(metis_datasets(tmp_path / "data")))
    recipes = StandInRecipes(tmp_path / "made")
    values = dict.fromkeys(("RAW_DATA_DIR", "CALIB_DATA_DIR"), str(tmp_path / "data"))
    values["ROOT_DATA_DIR"] = str(tmp_path / "root")
    report = run_workflow(root, values, recipes, RunOptions(datasets=listed))
    assert report.done, (report.problem, report.left)
    assert report.datasets == ("METIS.SCI0", "METIS.SCI1")
    fired = [(each.recipe, sorted(Path(file.name).name for file in each.sof.files), each.sof.purposes)
             for each in recipes.requests]  # fmt: skip
    wanted = [
        (recipe, sorted(name.format(number) for name in names), purposes)
        for number in range(2)
        for recipe, names, purposes in METIS_FIRINGS
    ]
    assert fired == wanted
    assert sum(report.counts.values()) == 136
    assert {each.display_name for each in recipes.requests[1].parameters} >= {"stropt", "intopt"}
    delivered = [Path(path) for products in report.end_products.values() for path, _ in products]
    assert [path.parent.name for path in delivered] == ["METIS.SCI0", "METIS.SCI1"]
    assert all(path.name == "Test_RRRECIPE.fits" for path in delivered)
    assert "METIS.SCI1" in (delivered[1].parents[1] / "README").read_text()


@pytest.mark.real
def test_real_workflows_hold_nothing_that_cannot_be_run(real: Path) -> None:
    files = [path for path in (real / "reflex").rglob("*") if path.name.endswith((".xml", ".xml.in", ".kar"))]
    assert files
    for path in files:
        read = read_file(path)
        assert list(unknown(read.root)) == [], path.name
        assert {finding.rule for finding in check(read.root, read.oddities)} <= {"placeholders"}, path.name
