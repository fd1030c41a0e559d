"""What a dataset is for is delivered, noted as Reflex notes it, and said with what was left out."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.definitions.folders import read_workflow, workflow_folder
from esorex_bridge.session import Session, Settings
from reflex_actors.actors.collect_products import target_steps, work
from reflex_actors.protocol import Inputs
from reflex_actors.sof_json import FitsFile, SetOfFiles
from tests.stand_in_recipes import product


def named(name: str) -> Any:
    return read_workflow(workflow_folder() / f"{name}.yaml")


def files(**purposes: str) -> SetOfFiles:
    return SetOfFiles("night", tuple(FitsFile(f"/d/{name}", name, (text,)) for name, text in purposes.items()))


@pytest.mark.parametrize(
    ("workflow", "own", "recipes"),
    [
        ("visir", files(IM_OBS_CHO_NOD_JIT="SCI", IM_CAL_DARK="DARK/SCI"), ["visir_old_img_combine"]),
        ("muse", files(DARK="DARK", BIAS="BIAS/DARK"), ["muse_dark"]),
        ("hawki", files(OBJECT="SCI/SCI", DARK="DARK/SCI/SCI"), ["hawki_science_process", "hawki_science_postprocess"]),
    ],
)
def test_a_dataset_is_for_the_products_of_its_own_files(workflow: str, own: SetOfFiles, recipes: list[str]) -> None:
    definition = named(workflow)
    assert [step.recipe for step in target_steps(definition, own) if not step.always] == recipes


def dataset(*categories: str) -> dict[str, Any]:
    raws = [{"name": f"/d/{name}.fits", "category": name, "purposes": ["SCI"]} for name in categories]
    return {"name": "SCI", "datasetName": "night", "rawFiles": raws, "actions": []}


def made(folder: Path, actor: str, *categories: str) -> tuple[FitsFile, ...]:
    place = folder / "reflex_tmp_products" / "visir" / actor / "2020-01-01T00:00:00.000"
    place.mkdir(parents=True)
    for name in categories:
        (place / f"{name}.fits").write_bytes(product(name))
    return tuple(FitsFile(str(place / f"{name}.fits"), name) for name in categories)


def test_only_what_the_dataset_is_for_is_delivered_with_all_that_its_step_made(tmp_path: Path) -> None:
    dark = made(tmp_path, "visir_img_dark_1", "IMG_DARK_AVG")
    image = made(tmp_path, "visir_old_img_combine_1", "IMG_OBS_COMBINED_CNJ", "NOT_LISTED")
    inputs = {
        "in_sof": SetOfFiles("night", (*dark, *image)),
        "dataset": dataset("IM_OBS_CHO_NOD_JIT"),
        "workflow": "visir",
        "messages": "SCI is left out: it has no IMG_FF\n\n",
        "timestamp": "t",
        "name": "HIERARCH.ESO.PRO.CATG",
        "copy_mode": "copy",
        "exists_mode": "append_version",
    }
    answer = work(Inputs(inputs))
    wanted = {step.name for step in target_steps(named("visir"), files(IM_OBS_CHO_NOD_JIT="SCI"))}
    expected = {"IMG_OBS_COMBINED_CNJ", *(("NOT_LISTED",) if "visir_old_img_combine_1" in wanted else ())}
    always = {name for step in named("visir").steps if step.always for name in step.products}
    assert {file.category for file in answer["out_sof"].files} - always == expected
    readme = (tmp_path / "reflex_end_products" / "t" / "README").read_text()
    assert "SCI is left out: it has no IMG_FF" in readme


def test_a_dataset_without_products_says_why(tmp_path: Path) -> None:
    given = {"in_sof": SetOfFiles("night"), "messages": "SCI is left out", "end_products_dir": str(tmp_path)}
    answer = work(Inputs({**given, "timestamp": "t"}))
    assert answer["message"] == "night: no products\n  SCI is left out"
    assert "SCI is left out" in (tmp_path / "t" / "README").read_text()


def test_end_products_are_noted_in_reflex_own_database(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from esorex_bridge.reflex.bookkeeping_db import add_final_products

    database = tmp_path / "bookkeeping.db"
    add_final_products(database, "earlier", {}, datetime.now(UTC))
    (file,) = made(tmp_path, "visir_old_img_combine_1", "IMAGE")
    inputs = {"in_sof": SetOfFiles("night", (file,)), "bookkeeping_db": str(database), "timestamp": "t"}
    modes = {"copy_mode": "copy", "exists_mode": "append_version", "name": "HIERARCH.ESO.PRO.CATG"}
    answer = work(Inputs({**inputs, **modes}))
    with sqlite3.connect(database) as db:
        rows = db.execute(
            "SELECT alias, final_products.name, datasets.name FROM final_products JOIN datasets"
        ).fetchall()
    db.close()
    assert (answer["out_sof"].files[0].name, file.name) in {(alias, name) for alias, name, _ in rows}
    assert "night" in {dataset for _, _, dataset in rows}


def test_a_recipe_that_made_nothing_of_what_the_dataset_is_for_is_named(tmp_path: Path) -> None:
    dark = made(tmp_path, "nobody_1", "SOMETHING")
    given = {"in_sof": SetOfFiles("night", dark), "dataset": dataset("IM_OBS_CHO_NOD_JIT"), "workflow": "visir"}
    answer = work(Inputs({**given, "end_products_dir": str(tmp_path / "end"), "timestamp": "t"}))
    assert "visir_old_img_combine made no products" in answer["message"]
    assert "visir_old_img_combine made no products" in (tmp_path / "end" / "t" / "README").read_text()


def test_a_folder_with_the_name_of_a_workflow_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "naco").mkdir()
    monkeypatch.chdir(tmp_path)
    with Session(Settings(tmp_path, workflow=Path("naco"))) as session:
        assert [each.name for each in session.workflows] == ["naco"]
