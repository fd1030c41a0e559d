"""A raw is never taken as a product, and a file of another instrument never at all, whoever put them there."""

from __future__ import annotations

from pathlib import Path

import pytest

from esorex_bridge.datasets.association import AssociatedFile, Association, AssociationTree
from esorex_bridge.datasets.build import dataset_from_tree
from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile
from esorex_bridge.definitions.folders import own_definitions
from esorex_bridge.definitions.workflow_yaml import parse_workflow
from esorex_bridge.plan.cascade import make_plan
from esorex_bridge.plan.plan import FileInput, HeadersByPath, Keywords, Plan, ProductInput

TOY = parse_workflow(
    """
workflow: toy
instruments: [TOY]
pipeline: toy
state: from documentation
steps:
  - recipe: toy_contam
    main: [RAW_CONTAM, CONTAM]
    tags: {CONTAM: RAW_CONTAM}
    products: [CONTAM]
  - recipe: toy_dark
    main: [DARK]
    products: [MASTER_DARK]
  - recipe: toy_science
    main: [OBJECT]
    calibrations: {CONTAM: {}, MASTER_DARK: {}, CATALOGUE: {}, LAMP: {}}
    products: [IMAGE]
""",
    "toy.yaml",
)
RAW = {"DPR.CATG": "CALIB"}


class Night:
    """Files of a toy instrument with their headers."""

    def __init__(self) -> None:
        self.headers: dict[Path, Keywords] = {}

    def file(self, category: str, name: str = "", instrument: str = "TOY", **header: str) -> DatasetFile:
        name = name or f"TOY.2020-01-01T00:00:{len(self.headers):02}.000"
        path = Path(f"/data/{name}.fits")
        told = {"INSTRUME": instrument} if instrument else {}
        self.headers[path] = {**told, **{key.replace("_", "."): value for key, value in header.items()}}
        return DatasetFile(name, category, path, "calib_plan")

    def plan(self, *actions: Action, statics: tuple[DatasetFile, ...] = ()) -> Plan:
        action = Action("SCIENCE", (self.file("OBJECT"),), statics, actions)
        return make_plan(Dataset("D", "TOY", action), TOY, self.headers)


def inputs(plan: Plan, recipe: str) -> list[tuple[str, str]]:
    """Return what a recipe takes beside the science: tag, and the file or the step that makes it."""
    entries = (entry for step in plan.steps if step.recipe == recipe for entry in step.inputs)
    found = [(each.category, each.name if isinstance(each, FileInput) else each.step) for each in entries]
    return [each for each in found if each[0] != "OBJECT"]


def reasons(plan: Plan) -> list[tuple[str, str, str]]:
    return [(each.category, each.reason, each.detail) for each in plan.not_used]


def test_a_raw_that_is_called_as_the_product_feeds_the_recipe_that_makes_it() -> None:
    night = Night()
    raw = night.file("CONTAM")
    plan = night.plan(Action("CONTAM", (raw,), match="calib_plan"))
    assert inputs(plan, "toy_contam") == [("RAW_CONTAM", raw.name)]
    assert inputs(plan, "toy_science") == [("CONTAM", "toy_contam_1")]
    assert plan.not_used == ()


@pytest.mark.parametrize("name", ["M.TOY.2020-01-01T00:00:00.000", "ADP.2020-01-01T00:00:00.000", "own_contam"])
@pytest.mark.parametrize("below", [True, False])
def test_a_product_of_that_name_goes_to_science_and_not_through_its_recipe_again(name: str, below: bool) -> None:
    night = Night()
    product = night.file("CONTAM", name, PRO_CATG="CONTAM", DPR_CATG="CALIB")
    group = Action("CONTAM", (product,), actions=(Action("LAMP", (night.file("LAMP"),)),))
    plan = night.plan(*((group,) if below else ()), statics=() if below else (product,))
    assert ("CONTAM", name) in inputs(plan, "toy_science")
    assert [step.recipe for step in plan.steps] == ["toy_science"]


@pytest.mark.parametrize("header", [{}, RAW])
@pytest.mark.parametrize("static", [True, False])
def test_a_raw_in_the_place_of_a_product_that_no_recipe_makes_of_it_is_refused(
    static: bool, header: dict[str, str]
) -> None:
    night = Night()
    raw = night.file("MASTER_DARK", "dark" if header else "", **{key.replace(".", "_"): header[key] for key in header})
    dark = Action("MASTER_DARK", (raw,), match="calib_plan")
    plan = night.plan(*(() if static else (dark,)), statics=(raw,) if static else ())
    assert inputs(plan, "toy_science") == []
    said = "MASTER_DARK: a raw frame, where the product of toy_dark is wanted"
    assert reasons(plan) == [("MASTER_DARK", "not a product", said)]


def test_a_raw_that_no_recipe_makes_is_taken_as_it_is() -> None:
    night = Night()
    lamp = night.file("LAMP", DPR_CATG="CALIB")
    assert inputs(night.plan(Action("LAMP", (lamp,))), "toy_science") == [("LAMP", lamp.name)]


def test_a_raw_does_not_tell_products_apart() -> None:
    """A raw that fits in all is no reason to refuse the master that calSelector put beside it."""
    night = Night()
    raw, master = night.file("MASTER_DARK"), night.file("MASTER_DARK", "M.TOY.2020-01-01T00:00:00.000")
    plan = night.plan(Action("MASTER_DARK", (raw, master), match="calib_plan"))
    assert inputs(plan, "toy_science") == [("MASTER_DARK", master.name)]


@pytest.mark.parametrize("name", ["espresso", "harps", "harps_fp", "nirps"])
@pytest.mark.parametrize("lamp", ["THAR", "FP"])
def test_frames_of_contamination_are_taken_as_the_archive_calls_them(name: str, lamp: str) -> None:
    workflow = own_definitions().of_file(name)
    prefix = workflow.instruments[0]
    science = AssociatedFile(f"{prefix}.2020-01-01T03:00:00.000", "OBJ_FP")
    raw = AssociatedFile(f"{prefix}.2020-01-01T01:00:00.000", f"CONTAM_{lamp}")
    tree = AssociationTree(
        Association("SCIENCE", (science,), (Association("CONTAM", (raw,), match="calib_plan"),)), "Raw2Raw"
    )
    paths = {file.name: Path(f"/data/{file.name}.fits") for file in (science, raw)}
    headers: HeadersByPath = {path: {"INSTRUME": prefix} for path in paths.values()}
    plan = make_plan(dataset_from_tree(tree, paths), workflow, headers)
    (made,) = (step for step in plan.steps if step.recipe == "espdr_cal_contam")
    assert [(each.category, each.name) for each in made.inputs if isinstance(each, FileInput)] == [
        (f"RAW_CONTAM_{lamp}", raw.name)
    ]
    (reduced,) = (step for step in plan.steps if step.recipe == "espdr_sci_red")
    assert ProductInput(made.name, f"CONTAM_{lamp}", f"CONTAM_{lamp}") in reduced.inputs


@pytest.mark.parametrize("category", ["DARK", "MASTER_DARK", "CONTAM", "LAMP"])
@pytest.mark.parametrize("below", [True, False])
def test_a_file_of_another_instrument_is_refused_though_a_tree_puts_it_there(category: str, below: bool) -> None:
    night = Night()
    name = "M.OTHER.2020-01-01T00:00:00.000" if category == "MASTER_DARK" else ""
    other = night.file(category, name, "OTHER", DPR_CATG="" if name else "CALIB")
    group = Action(category, (other,), match="calib_plan")
    plan = night.plan(*((group,) if below else ()), statics=() if below else (other,))
    assert [step.recipe for step in plan.steps] == ["toy_science"]
    assert inputs(plan, "toy_science") == []
    assert reasons(plan) == [(category, "another instrument", "INSTRUME OTHER, not TOY")]


@pytest.mark.parametrize("name", ["M.OTHER.2020-01-01T00:00:00.000", "stars"])
def test_a_table_that_no_recipe_makes_may_carry_the_name_of_another_instrument(name: str) -> None:
    night = Night()
    catalogue = night.file("CATALOGUE", name, "OTHER", PRO_CATG="CATALOGUE")
    assert inputs(night.plan(statics=(catalogue,)), "toy_science") == [("CATALOGUE", name)]


def test_of_a_group_of_two_instruments_its_own_frames_are_taken() -> None:
    night = Night()
    dark, other = night.file("DARK"), night.file("DARK", instrument="OTHER")
    plan = night.plan(Action("DARK", (dark, other), match="calib_plan"))
    assert inputs(plan, "toy_dark") == [("DARK", dark.name)]
    assert [each[1] for each in reasons(plan)] == ["another instrument"]
    assert plan.incomplete == ()


@pytest.mark.parametrize("instrument", ["", "TOY", "toy ", "TOY/2.3"])
def test_a_static_that_names_no_instrument_is_one_of_any(instrument: str) -> None:
    night = Night()
    static = night.file("CATALOGUE", "M.TOY.2020-01-01T00:00:00.000", instrument)
    assert inputs(night.plan(statics=(static,)), "toy_science") == [("CATALOGUE", static.name)]


def test_a_science_frame_of_another_instrument_makes_the_plan_incomplete() -> None:
    night = Night()
    action = Action("SCIENCE", (night.file("OBJECT"), night.file("OBJECT", instrument="OTHER")))
    plan = make_plan(Dataset("D", "TOY", action), TOY, night.headers)
    assert len(plan.steps) == 1
    assert plan.incomplete == ("1 OBJECT in no step: another instrument (INSTRUME OTHER, not TOY)",)
