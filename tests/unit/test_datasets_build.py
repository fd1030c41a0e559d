from __future__ import annotations

from pathlib import Path

import pytest

from esorex_bridge.datasets.association import AssociatedFile, Association, AssociationTree, Kind
from esorex_bridge.datasets.build import dataset_from_tree
from esorex_bridge.datasets.dataset import missing_files, purposes
from esorex_bridge.errors import DataError
from esorex_bridge.organise.tree_datasets import tree_datasets


def files(category: str, *names: str) -> tuple[AssociatedFile, ...]:
    return tuple(AssociatedFile(name, category) for name in names)


BIAS = Association("BIAS", files("BIAS_RAW", "B.1", "B.2"), match="calib_plan")
STATIC = Association("TAB", files("TAB", "M.X.2020-01-01T00:00:00.000"), match="N/A", complete=False, messages=("old",))
FLAT = Association("FLAT", files("FLAT_RAW", "F.1"), (BIAS, STATIC), match="extended")
SCIENCE = Association(
    "SCI", files("OBJ", "S.2", "S.1"), (FLAT, BIAS), messages=("Missing TAB for S.1: requested 1, found 0",)
)


def test_the_dataset_is_named_by_its_first_science_file_and_marked_as_a_template() -> None:
    assert dataset_from_tree(AssociationTree(SCIENCE, "Raw2Raw"), {}).name == "S.1_tpl"
    alone = Association("SCI", files("OBJ", "S.1"))
    assert dataset_from_tree(AssociationTree(alone, "Raw2Raw"), {}).name == "S.1"


def test_purposes_of_a_file_that_serves_twice_are_merged() -> None:
    dataset = dataset_from_tree(AssociationTree(SCIENCE, "Raw2Raw"), {})
    served = {file.name: purpose for file, purpose in purposes(dataset).items()}
    assert served["B.1"] == ("BIAS/FLAT/SCI", "BIAS/SCI")
    assert served["S.1"] == ("SCI",)


def test_a_static_joins_the_action_that_uses_it_and_nothing_said_about_it_is_lost() -> None:
    dataset = dataset_from_tree(AssociationTree(SCIENCE, "Raw2Raw"), {})
    flat, _ = dataset.action.actions
    assert [file.category for file in flat.statics] == ["TAB"]
    assert flat.messages == ("old",)
    assert not flat.complete
    assert dataset.action.messages == SCIENCE.messages


def test_equal_sub_trees_become_one_value() -> None:
    dataset = dataset_from_tree(AssociationTree(SCIENCE, "Raw2Raw"), {})
    flat, bias = dataset.action.actions
    assert flat.actions[0] is bias


def test_files_that_are_not_on_this_machine_are_known_as_missing() -> None:
    dataset = dataset_from_tree(AssociationTree(SCIENCE, "Raw2Raw"), {"S.1": Path("/data/S.1.fits")})
    assert {file.name for file in missing_files(dataset)} == {"S.2", "F.1", "B.1", "B.2", "M.X.2020-01-01T00:00:00.000"}


def test_a_tree_without_science_files_is_refused() -> None:
    with pytest.raises(DataError, match="names no science file"):
        dataset_from_tree(AssociationTree(Association("SCI", ()), "Raw2Raw"), {})


@pytest.mark.parametrize(
    ("kind", "message", "secondary"),
    [("auxiliary", "", True), ("auxiliary", "Missing ACQ for S.1: requested 1, found 0", True), ("main", "", False)],
)
def test_a_dataset_that_lacks_auxiliary_files_alone_is_incomplete_in_nothing_that_a_recipe_needs(
    kind: Kind, message: str, secondary: bool
) -> None:
    acquisition = Association("ACQ", files("ACQ", "A.1"), complete=False, kind=kind)
    told = (message,) if message else ()
    root = Association("SCI", files("OBJ", "S.1"), (BIAS, acquisition), messages=told, complete=False)
    dataset = dataset_from_tree(AssociationTree(root, "Raw2Raw"), {})
    assert (dataset.complete, dataset.secondary) == (False, secondary)


def test_a_complete_dataset_is_not_called_incomplete_in_anything() -> None:
    root = Association("SCI", files("OBJ", "S.1"), (BIAS,))
    dataset = dataset_from_tree(AssociationTree(root, "Raw2Raw"), {})
    assert (dataset.complete, dataset.secondary) == (True, False)


@pytest.mark.parametrize(
    ("folder", "requested"), [("data_with_processed_calibs", "Raw2Master"), ("data_with_raw_calibs", None)]
)
def test_a_downgraded_dataset_knows_what_was_asked_for_by_its_folder(folder: str, requested: str | None) -> None:
    path = Path("/root/reflex_input") / folder / "S.1.fits"
    tree = AssociationTree(Association("SCI", files("OBJ", "S.1"), (BIAS,)), "Raw2Raw")
    (dataset,) = tree_datasets([tree], {"S.1": path}, lambda _: {"INSTRUME": "TESTCAM"})
    assert (dataset.mode, dataset.requested) == ("Raw2Raw", requested)
