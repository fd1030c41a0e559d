"""Real replies of calSelector against the definitions: every group is known, or is named as one without a recipe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from esorex_bridge.datasets.build import dataset_from_tree
from esorex_bridge.datasets.dataset import walk_actions
from esorex_bridge.datasets.xml import read_tree_file
from esorex_bridge.plan.cascade import make_plan
from esorex_bridge.plan.workflow import Workflow
from esorex_bridge.run.definitions import own_definitions

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


@pytest.mark.parametrize(
    ("instrument", "keywords", "pattern", "without_recipe"),
    [
        ("HARPS", {}, "HARPS*.votable.xml", {"FLUX", "ASSOCIATION_TREE"}),
        ("SPHERE", {"SEQ.ARM": "IFS"}, "SPHER*.votable.xml", {"ASSOCIATION_TREE"}),
    ],
)
def test_every_category_of_a_real_reply_is_known_or_named_as_without_recipe(
    instrument: str, keywords: dict[str, object], pattern: str, without_recipe: set[str], real: Path
) -> None:
    (path,) = (real / "calselector").glob(pattern)
    rows = re.findall(r"<TR>(.*?)</TR>", path.read_text(encoding="utf-8"), re.DOTALL)
    categories = {re.findall(r"<TD ?/>|<TD>(.*?)</TD>", row, re.DOTALL)[8] for row in rows}
    workflow = own_definitions().choose(instrument, keywords)
    assert len(categories) > 5
    assert categories - known_categories(workflow) == without_recipe
