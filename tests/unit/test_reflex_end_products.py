"""What a dataset is for is delivered, noted and said with what was left out; what runs left is erased when asked."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.definitions.folders import read_workflow, workflow_folder
from esorex_bridge.errors import UserError
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings
from reflex_actors.actors import erase_folders
from reflex_actors.actors.collect_products import target_steps, work
from reflex_actors.actors.erase_folders import FOLDERS
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
    assert {file.category for file in answer["out_sof"].files} == expected
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
    add_final_products(database, {"earlier": {}}, datetime.now(UTC))
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
        assert [each.name for each in session.planning.workflows] == ["naco"]


LOG = """12:00:00 [ INFO  ] esorex: [tid=000] Computing
12:00:01 [ ERROR ] visir_old_img_combine: [tid=000] No beam was found in the image
12:00:01 [ ERROR ] esorex: [tid=000] Execution of recipe failed
"""


def failed_run(bookkeeping: Path, time: str, raw: Path, log: str) -> None:
    """Leave what Reflex leaves of a run that failed."""
    run, logs = bookkeeping / "visir_old_img_combine_1" / time, bookkeeping.parent / "logs" / time
    run.mkdir(parents=True)
    logs.mkdir(parents=True)
    (run / "data.sof").write_text(f"{raw} IM_OBS_CHO_NOD_JIT\n")
    (run / "log_dir").symlink_to(logs)
    (logs / "esorex.log").write_text(log)


def test_the_cause_of_a_failure_is_told_of_the_dataset_that_it_happened_to(tmp_path: Path) -> None:
    bookkeeping = tmp_path / "book" / "visir"
    failed_run(bookkeeping, "2020-01-01T00:00:00.000", Path("/d/IM_OBS_CHO_NOD_JIT.fits"), LOG)
    failed_run(bookkeeping, "2020-01-02T00:00:00.000", Path("/d/other.fits"), LOG.replace("No beam", "Another"))
    given = {
        "in_sof": SetOfFiles("night"),
        "dataset": dataset("IM_OBS_CHO_NOD_JIT"),
        "workflow": "visir",
        "bookkeeping_db": str(bookkeeping / "bookkeeping.db"),
        "end_products_dir": str(tmp_path / "end"),
        "timestamp": "t",
    }
    said = "visir_old_img_combine made no products: visir_old_img_combine: No beam was found in the image"
    assert said in work(Inputs(given))["message"]
    assert said in (tmp_path / "end" / "t" / "README").read_text()


def test_after_the_last_dataset_a_table_says_what_came_of_all(tmp_path: Path) -> None:
    (image,) = made(tmp_path, "visir_old_img_combine_1", "IMG_OBS_COMBINED_CNJ")
    shared = {
        "timestamp": "t",
        "end_products_dir": str(tmp_path / "end"),
        "selected": "2",
        "name": "HIERARCH.ESO.PRO.CATG",
    }
    modes = {"copy_mode": "copy", "exists_mode": "append_version"}
    first = work(Inputs({**shared, **modes, "in_sof": SetOfFiles("night", (image,))}))
    assert "2 datasets" not in first["message"]
    last = work(
        Inputs({**shared, "in_sof": SetOfFiles("NACO.2016", ()), "messages": "SCI is left out: it has no DARK"})
    )
    assert last["message"].splitlines()[-3:] == [
        "2 datasets",
        "night      end products:   1",
        "NACO.2016  end products:   0  SCI is left out: it has no DARK",
    ]


def left_by_runs(root: Path) -> dict[str, str]:
    """Leave files of earlier runs, and return what the actor is told."""
    told = {"root_dir": str(root), "erase": "true"}
    for port, name in zip(FOLDERS, ("reflex_book_keeping", "reflex_logs", "reflex_tmp_products"), strict=True):
        place = root / name / "visir"
        (place / "actor" / "time").mkdir(parents=True)
        (place / "actor" / "time" / "file").touch()
        (place / "link").symlink_to(root / "reflex_input")
        told[port] = str(place)
    (root / "reflex_input").mkdir()
    (root / "reflex_input" / "raw.fits").touch()
    return told


def test_folders_are_emptied_where_the_user_wants_it_and_links_are_not_followed(tmp_path: Path) -> None:
    told = left_by_runs(tmp_path)
    erase_folders.work(Inputs({**told, "erase": "false"}))
    assert len(list(tmp_path.rglob("file"))) == 3
    erase_folders.work(Inputs(told))
    assert [list(Path(told[port]).iterdir()) for port in FOLDERS] == [[], [], []]
    assert (tmp_path / "reflex_input" / "raw.fits").exists()


@pytest.mark.parametrize("place", [".", "..", "/", "reflex_input/visir", "reflex_logs/../reflex_input"])
def test_nothing_is_removed_where_a_folder_is_not_one_of_the_runs(tmp_path: Path, place: str) -> None:
    told = left_by_runs(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="EraseDirs would empty"):
        erase_folders.work(Inputs({**told, "products_dir": str(tmp_path / place)}))
    assert sorted(tmp_path.rglob("*")) == before
