from __future__ import annotations

import pytest

from esorex_bridge.definitions.folders import read_workflow, workflow_folder
from esorex_bridge.definitions.located import DefinitionError
from esorex_bridge.definitions.workflow import choose_workflow
from esorex_bridge.definitions.workflow_yaml import parse_workflow

GOOD = """workflow: toy
instruments: [TOY]
pipeline: toy
state: from documentation
steps:
  - recipe: toy_dark
    main: [DARK]
    products: [MASTER_DARK]
  - recipe: toy_flat
    main: [FLAT]
    calibrations:
      MASTER_DARK: {required: true, limit: all}
    products: [MASTER_FLAT]
"""


def test_a_definition_is_read() -> None:
    toy = parse_workflow(GOOD, "toy.yaml")
    assert [step.recipe for step in toy.steps] == ["toy_dark", "toy_flat"]
    assert toy.steps[1].calibrations[0].limit is None
    assert toy.step_for(["FLAT"]) is toy.steps[1]
    assert toy.step_for(["UNKNOWN"]) is None
    assert choose_workflow([toy], "toy") is toy


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        ("pipeline: toy", "pipelines: toy", 3, "has no 'pipelines'; allowed: workflow, title"),
        ("state: from documentation", "state: guessed", 4, "allowed: verified on real recipes, from documentation"),
        ("    main: [DARK]\n", "", 6, "needs 'main'"),
        ("required: true", "required: perhaps", 12, "required must be true or false"),
        ("limit: all", "limit: -1", 12, "limit must be a whole number"),
        ("main: [FLAT]", "main: {FLAT: 1}", 10, "main must be a list"),
        ("[MASTER_FLAT]", "[MASTER_DARK]", 9, "MASTER_DARK is made by both toy_dark and toy_flat"),
        ("main: [DARK]", "main: [DARK", 7, "this is not YAML"),
        ("workflow: toy", "workflow: toy\nworkflow: toy", 2, "'workflow' is given twice"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_is_allowed(old: str, new: str, line: int, problem: str) -> None:
    assert old in GOOD
    with pytest.raises(DefinitionError, match=problem) as told:
        parse_workflow(GOOD.replace(old, new, 1), "toy.yaml")
    if "not YAML" not in problem:
        assert told.value.line == line
    assert str(told.value).startswith("toy.yaml:")


def test_several_recipes_may_make_a_category_of_raws_of_their_own_where_the_definition_says_so() -> None:
    both = GOOD.replace("[MASTER_FLAT]", "[MASTER_DARK]")
    said = both.replace("pipeline: toy", "pipeline: toy\nseveral_makers: [MASTER_DARK]", 1)
    assert parse_workflow(said, "toy.yaml").several_makers == ("MASTER_DARK",)
    with pytest.raises(DefinitionError, match="MASTER_DARK is made by both toy_dark and toy_flat"):
        parse_workflow(said.replace("main: [FLAT]", "main: [DARK]"), "toy.yaml")


def test_steps_that_need_each_other_are_refused() -> None:
    circle = GOOD.replace(
        "    products: [MASTER_DARK]", "    calibrations: {MASTER_FLAT: {}}\n    products: [MASTER_DARK]"
    )
    with pytest.raises(DefinitionError, match="circular dependency"):
        parse_workflow(circle, "toy.yaml")


def test_all_definitions_that_come_with_the_bridge_can_be_read() -> None:
    found = {read_workflow(path).name for path in workflow_folder().glob("*.yaml")}
    assert {"naco", "hawki"} <= found
