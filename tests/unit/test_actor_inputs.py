"""What a recipe takes through the actors: groups with all that they need, and inputs as a plan has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.definitions.folders import read_workflow, workflow_folder
from esorex_bridge.errors import DataError
from esorex_bridge.plan.plan import FileInput, ProductInput, StepName
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import Product, Record
from esorex_bridge.store.step_store import RecordedStep
from reflex_actors.actors.sof_for_recipe import work
from reflex_actors.dataset_json import ReflexAction, ReflexDataset
from reflex_actors.one_recipe import planned_inputs
from reflex_actors.protocol import Inputs
from reflex_actors.sof_json import FitsFile, SetOfFiles
from tests.tiny_fits import fits_of

AMBER = read_workflow(workflow_folder() / "amber.yaml")
FLAT = FitsFile("/d/flat.fits", "CAL_FLAT_TW", ("FLAT/SCIENCE",))
SCIENCE = FitsFile("/d/science.fits", "IM_JITTER_OBJ", ("SCIENCE",))
MASTER = FitsFile("/t/master.fits", "MASTER_IMG_FLAT", ("SCIENCE",))


def night(complete: bool = True, said: str = "", pairs: int = 1) -> ReflexDataset:
    """Return a dataset of science with flats."""
    flats = tuple(ReflexAction(f"FLAT_{number}" if number else "FLAT", (FLAT,)) for number in range(pairs))
    messages = (said,) if said else ()
    return ReflexDataset("night", ReflexAction("SCIENCE", (SCIENCE,), flats, complete, messages=messages))


def asked(dataset: ReflexDataset, *products: FitsFile, **more: Any) -> dict[str, Any]:
    """Return what the actor hands on for the science of a dataset."""
    given = {"dataset": dataset.document(), "recipe": "naco_img_jitter", "workflow": "naco"}
    return work(Inputs({**given, "products": SetOfFiles("night", products), **more}))


def test_a_group_with_all_that_it_needs_is_handed_on() -> None:
    answer = asked(night(), MASTER)
    assert {file.category for file in answer["out_sof"].files} == {"IM_JITTER_OBJ", "MASTER_IMG_FLAT"}
    assert answer["messages"] == ""


def test_what_the_plan_says_is_missing_is_refused_in_its_words() -> None:
    with pytest.raises(DataError, match=r"^flat\.fits \(CAL_FLAT_TW\) is not on this machine$"):
        asked(night(complete=False, said="flat.fits (CAL_FLAT_TW) is not on this machine"), MASTER)


def test_a_recipe_does_not_run_without_what_an_earlier_one_was_to_make() -> None:
    with pytest.raises(DataError, match=r"naco_img_jitter needs MASTER_IMG_FLAT .*: naco_img_twflat was not made"):
        asked(night())
    with pytest.raises(DataError, match="naco_img_twflat was not made"):
        asked(night(pairs=2), MASTER)


def test_a_recipe_goes_on_without_what_the_user_names() -> None:
    answer = asked(night(), without="MASTER_IMG_FLAT, MASTER_IMG_FLAT_BADPIX")
    assert [file.category for file in answer["out_sof"].files] == ["IM_JITTER_OBJ"]


def recorded(*products: tuple[str, str]) -> dict[str, RecordedStep]:
    """Return a step of AMBER that made products (path, category), by these."""
    made = tuple(Product(path, category, "sha256:0", 2880) for path, category in products)  # type: ignore[arg-type]
    record = Record(StepKey("k" * 64), made, 1.0, "2026-01-01T00:00:00Z", "/b/data.sof")
    return {path: RecordedStep(record, "amber_trf", StepName("amber_trf_1")) for path, _ in products}


def calibrate() -> Any:
    """Return the step that takes the transfer functions of three bands."""
    return next(step for step in AMBER.steps if step.recipe == "amber_calibrate")


def test_inputs_are_products_of_their_step_and_name_what_it_did_not_make() -> None:
    files = tuple(FitsFile(f"/t/k{number}.fits", "AMBER_TRF_K") for number in ("_2", ""))
    makers = recorded(("/t/k.fits", "AMBER_TRF_K"), ("/t/k_2.fits", "AMBER_TRF_K"))
    inputs = planned_inputs(SetOfFiles("night", files), calibrate(), AMBER.steps, makers)
    bands = [(entry.product, entry.category) for entry in inputs.entries if isinstance(entry, ProductInput)]
    assert bands == [(f"AMBER_TRF_{band}", f"AMBER_TRF_{band}") for band in "JHK"]
    assert inputs.before == (("amber_trf_1", "k" * 64),)


def test_some_of_the_products_of_a_step_are_files_by_themselves() -> None:
    makers = recorded(("/t/k.fits", "AMBER_TRF_K"), ("/t/k_2.fits", "AMBER_TRF_K"))
    one = SetOfFiles("night", (FitsFile("/t/k.fits", "AMBER_TRF_K"),))
    inputs = planned_inputs(one, None, (), makers)
    assert inputs.entries == (FileInput("k", "/t/k.fits", "AMBER_TRF_K"),)
    assert inputs.before == ()


def test_of_several_calibrations_the_nearest_in_time_stands_first_as_in_a_plan(tmp_path: Path) -> None:
    vimos = read_workflow(workflow_folder() / "vimos.yaml")
    noise = next(step for step in vimos.steps if step.recipe == "vimos_ima_det_noise")
    times = {"flat": ("FLAT_TWILIGHT", 57000.9), "early": ("BIAS", 57000.4), "late": ("BIAS", 57000.6)}
    for name, (_, time) in times.items():
        (tmp_path / f"{name}.fits").write_bytes(fits_of({"MJD-OBS": time}))
    files = tuple(FitsFile(str(tmp_path / f"{name}.fits"), tag) for name, (tag, _) in times.items())
    found = planned_inputs(SetOfFiles("night", files), noise, vimos.steps, {})
    assert [entry.name for entry in found.entries if isinstance(entry, FileInput)] == ["flat", "late", "early"]
