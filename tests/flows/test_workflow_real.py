"""Real replies of calSelector against the definitions: every group is known, or is named as one without a recipe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from esorex_bridge.datasets.association import AssociatedFile, Association, AssociationTree, distinct_files
from esorex_bridge.datasets.build import dataset_from_tree
from esorex_bridge.datasets.dataset import walk_actions
from esorex_bridge.definitions.folders import own_definitions
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.files import is_processed
from esorex_bridge.plan.cascade import make_plan
from esorex_bridge.workspace.tree_files import read_tree_file

pytestmark = pytest.mark.real


def known_categories(workflow: Workflow) -> set[str]:
    mains = {category for step in workflow.steps for category in step.main}
    return mains | {category for step in workflow.steps for each in step.calibrations for category in each.accepted}


def test_the_fors_tree_becomes_a_plan_in_which_every_group_has_its_recipe(real: Path) -> None:
    tree = read_tree_file(real / "astroquery" / "FORS2.2021-01-02T00_59_12.533_raw2raw.xml")
    dataset = dataset_from_tree(tree, {}, requested="Raw2Raw")
    workflow = own_definitions().choose("FORS2", {})
    plan = make_plan(dataset, workflow, {})
    assert {step.recipe for step in plan.steps} == {
        "fors_bias", "fors_img_sky_flat", "fors_zeropoint", "fors_img_science",
    }  # fmt: skip
    for action, _ in walk_actions(dataset.action):
        for file in (*action.files, *action.statics):
            assert file.category in known_categories(workflow)
    assert not [group for group in plan.unused if group.recipe is None and "auxiliary" not in group.reason]


def rows_of(path: Path) -> list[tuple[str, str, str]]:
    """Return name, semantics and category of each row of calSelector's list."""
    rows = re.findall(r"<TR>(.*?)</TR>", path.read_text(encoding="utf-8"), re.DOTALL)
    cells = [re.findall(r"<TD ?/>|<TD>(.*?)</TD>", row, re.DOTALL) for row in rows]
    names = [re.search(r"((?:M\.)?[A-Z]+\.\d{4}-\d\d-\d\dT[\d:]+\.\d+)(?!.*/)", row[1]) for row in cells]
    return [(name.group(1), row[4], row[8]) for name, row in zip(names, cells, strict=True) if name]


def tree_of(path: Path, workflow: Workflow) -> AssociationTree:
    """Return the tree that a list means: raws of one step are a group, and each group has all processed files."""
    science: list[AssociatedFile] = []
    processed: list[Association] = []
    raws: dict[str, list[AssociatedFile]] = {}
    for name, semantics, category in rows_of(path):
        file = AssociatedFile(name, category)
        if semantics == "#this" or semantics.endswith("sibling_raw"):
            science.append(file)
        elif category == "ASSOCIATION_TREE":
            continue
        elif is_processed(name):
            processed.append(Association(category, (file,), match="N/A"))
        else:
            step = workflow.step_for([category])
            raws.setdefault(step.name if step else category, []).append(file)
    groups: list[Association] = []
    for step in workflow.steps:
        if step.name in raws:  # in the order of the definition: what comes before calibrates what comes after
            groups.append(Association(step.name, tuple(raws.pop(step.name)), (*processed, *groups), match="calib_plan"))
    others = [Association(name, tuple(files), match="calib_plan") for name, files in raws.items()]
    return AssociationTree(Association("SCIENCE", tuple(science), (*processed, *groups, *others)), "Raw2Master")


@pytest.mark.parametrize(
    ("instrument", "keywords", "pattern", "recipes"),
    [
        (
            "HARPS",
            {},
            "HARPS*.votable.xml",
            {"espdr_orderdef", "espdr_mflat", "espdr_wave_TH_drift", "espdr_cal_flux", "espdr_sci_red"},
        ),
        ("SPHERE", {"SEQ.ARM": "IFS"}, "SPHER*.votable.xml", {"sph_ifs_science_dr"}),
    ],
)
def test_a_real_reply_becomes_a_plan_without_gaps(
    instrument: str, keywords: dict[str, object], pattern: str, recipes: set[str], real: Path
) -> None:
    (path,) = (real / "calselector").glob(pattern)
    workflow = own_definitions().choose(instrument, keywords)
    tree = tree_of(path, workflow)
    files = {file.name: Path(f"/data/{file.name}.fits") for file in distinct_files(tree.root)}
    assert len(files) > 10
    plan = make_plan(dataset_from_tree(tree, files), workflow, {})
    assert {step.recipe for step in plan.steps} == recipes
    assert [gap for step in plan.steps for gap in step.gaps] == []
    assert [group.reason for group in plan.unused if group.recipe is None] == []
    for action, _ in walk_actions(dataset_from_tree(tree, files).action):
        for file in (*action.files, *action.statics):
            assert file.category in known_categories(workflow)
