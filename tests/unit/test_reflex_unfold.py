"""A plan unfolded for Reflex: what it decided by headers stands in the purposes."""

from __future__ import annotations

from pathlib import Path

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile, purposes
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.definitions.workflow_yaml import parse_workflow
from esorex_bridge.plan.cascade import make_plan
from esorex_bridge.plan.unfold import shared_steps, unfold_plan
from reflex_actors.purposes import of_step
from reflex_actors.sof_json import FitsFile, SetOfFiles

STEPS = """
workflow: w
instruments: [W]
pipeline: w
state: from documentation
steps:
  - {recipe: w_dark, main: [DARK], group_by: [DET.DIT], minimum: 2, products: [MASTER_DARK]}
  - {recipe: w_flat, main: [FLAT], products: [MASTER_FLAT],
     calibrations: {MASTER_DARK: {required: true, match: [DET.DIT]}}}
  - {recipe: w_noise, main: [FLAT], products: [NOISE], calibrations: {DARK: {match: [DET.DIT], limit: 2}}}
  - {recipe: w_science, main: [OBJECT], group_by: [FILTER], products: [IMAGE],
     calibrations: {MASTER_DARK: {match: [DET.DIT]}, MASTER_FLAT: {required: true}, NOISE: {}}}
"""
HEADERS = {
    **{Path(f"/d/dark2_{n}.fits"): {"DET.DIT": 2} for n in range(2)},
    **{Path(f"/d/dark10_{n}.fits"): {"DET.DIT": 10} for n in range(2)},
    **{Path(f"/d/flat_{n}.fits"): {"DET.DIT": 2} for n in range(2)},
    **{Path(f"/d/object_{word}.fits"): {"DET.DIT": 10, "FILTER": word} for word in ("J", "K")},
}


def workflow() -> Workflow:
    return parse_workflow(STEPS, "w.yaml")


def files(prefix: str, category: str) -> tuple[DatasetFile, ...]:
    return tuple(DatasetFile(path.stem, category, path) for path in HEADERS if path.stem.startswith(prefix))


def dataset() -> Dataset:
    darks = Action("DARK", files("dark", "DARK"))
    flats = Action("FLAT", files("flat", "FLAT"), actions=(darks,))
    return Dataset("night", "W", Action("SCI", files("object", "OBJECT"), actions=(darks, flats)))


def unfolded_night() -> tuple[Dataset, ...]:
    plan = make_plan(dataset(), workflow(), HEADERS)
    return unfold_plan(dataset(), plan, shared_steps(workflow()))


def told(found: Dataset) -> dict[str, tuple[str, ...]]:
    return {f"{file.name} {file.category}": tuple(served) for file, served in purposes(found).items()}


def test_each_setting_of_the_science_frames_is_a_dataset() -> None:
    assert [(found.name, found.action.files[0].name) for found in unfolded_night()] == [
        ("night", "object_J"),
        ("night_2", "object_K"),
    ]


def test_darks_serve_what_has_their_setting_and_nothing_else() -> None:
    found = told(unfolded_night()[0])
    assert found["dark10_0 DARK"] == ("DARK/SCI",)
    assert found["dark2_0 DARK"] == ("DARK/FLAT.w_flat_1/SCI", "FLAT.w_noise_1/SCI")


def test_steps_with_the_same_main_files_have_purposes_of_their_own() -> None:
    assert shared_steps(workflow()) == {"w_flat_1", "w_noise_1"}
    assert told(unfolded_night()[0])["flat_0 FLAT"] == ("FLAT.w_flat_1/SCI", "FLAT.w_noise_1/SCI")


def test_a_step_takes_what_is_marked_for_it_and_what_is_not_marked() -> None:
    sof = SetOfFiles(
        "d",
        (
            FitsFile("/a", "FLAT", ("FLAT.w_flat_1/SCI", "FLAT.w_noise_1/SCI")),
            FitsFile("/b", "FLAT", ("FLAT/SCI",)),
            FitsFile("/c", "FLAT", ("FLAT.w_noise_1/SCI",)),
        ),
    )
    assert [(file.name, file.purposes) for file in of_step(sof, "w_flat_1").files] == [
        ("/a", ("FLAT.w_flat_1/SCI",)),
        ("/b", ("FLAT/SCI",)),
    ]


def test_a_gap_makes_a_dataset_incomplete_and_says_why() -> None:
    headers = {path: keys for path, keys in HEADERS.items() if "dark2_1" not in path.stem}
    one_dark = Action("DARK", tuple(file for file in files("dark", "DARK") if file.path in headers))
    flats = Action("FLAT", files("flat", "FLAT"), actions=(one_dark,))
    night = Dataset("night", "W", Action("SCI", files("object", "OBJECT"), actions=(one_dark, flats)))
    found = unfold_plan(night, make_plan(night, workflow(), headers))[0]
    assert not found.complete
    assert any(
        "DARK: 1 < 2" in text
        for action in found.action.actions
        for child in (action, *action.actions)
        for text in child.messages
    )


CHAIN = """
workflow: w
instruments: [W]
pipeline: w
state: from documentation
steps:
  - {recipe: w_science, main: [OBJECT], products: [IMAGE]}
  - {recipe: w_tile, main: [IMAGE], products: [TILE]}
"""


def test_a_step_whose_products_another_target_takes_is_no_dataset_of_its_own() -> None:
    definition = parse_workflow(CHAIN, "w.yaml")
    science = Dataset("night", "W", Action("SCI", files("object", "OBJECT")))
    (found,) = unfold_plan(science, make_plan(science, definition, HEADERS))
    assert told(found) == {"object_J OBJECT": ("SCI/SCI",), "object_K OBJECT": ("SCI/SCI",)}
