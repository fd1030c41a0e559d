"""Drafts of definitions from rules and manual pages."""

from __future__ import annotations

from esorex_bridge.definitions.draft import RecipeText, draft_workflow
from esorex_bridge.definitions.oca.grammar import parse_rules
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.definitions.workflow_yaml import parse_workflow

RULES = """
if DPR.TYPE == "DARK" then { DO.CATG = "DARK"; }
if DPR.TYPE == "OBJECT" then { DO.CATG = "OBJECT"; }

select execute(TOY_DARK) from inputFiles where DO.CATG == "DARK" group by DET.DIT;
select execute(TOY_SCIENCE) from inputFiles where DO.CATG == "OBJECT" group by DET.DIT, INS.FILT1.NAME;
select execute(TOY_OTHER) from inputFiles where DO.CATG == "OTHER";

action TOY_DARK
{
    recipe toy_dark;
}
action TOY_SCIENCE
{
    minRet = 1; maxRet = 1;
    select file as MASTER_DARK from calibFiles where PRO.CATG == "MASTER_DARK"
        and inputFile.DET.DIT == DET.DIT;
    recipe toy_science;
}
action TOY_OTHER
{
    recipe toy_other;
}
"""
RECIPES = {
    "toy_dark": RecipeText(takes=frozenset({"DARK"}), holds=frozenset({"DARK", "MASTER_DARK", "NOISE"})),
    "toy_science": RecipeText(
        takes=frozenset({"OBJECT", "MASTER_DARK", "STAR_TABLE"}),
        holds=frozenset({"OBJECT", "MASTER_DARK", "STAR_TABLE", "REDUCED"}),
        parameters=("cdssearch_photom", "radius"),
    ),
}


def drafted() -> tuple[str, Workflow]:
    text = draft_workflow(parse_rules(RULES, "toy.oca"), RECIPES, "toy", ["TOY"], "toy")
    return text, parse_workflow(text, "draft")


def test_raws_keywords_and_calibrations_come_from_the_rules() -> None:
    _, workflow = drafted()
    dark, science = workflow.steps
    assert (dark.recipe, dark.main, dark.group_by) == ("toy_dark", ("DARK",), ("DET.DIT",))
    assert science.group_by == ("DET.DIT", "INS.FILT1.NAME")
    taken = {each.category: each for each in science.calibrations}
    assert taken["MASTER_DARK"].required
    assert taken["MASTER_DARK"].match == ("DET.DIT",)


def test_what_another_recipe_takes_and_only_the_plugin_knows_is_a_product() -> None:
    _, workflow = drafted()
    assert workflow.steps[0].products == ("MASTER_DARK",)
    assert workflow.steps[1].products == ()


def test_a_tag_of_the_manual_page_alone_is_optional() -> None:
    _, workflow = drafted()
    (table,) = (each for each in workflow.steps[1].calibrations if each.category == "STAR_TABLE")
    assert not table.required
    assert table.match == ()


def test_parameters_that_ask_a_server_are_set_to_none() -> None:
    _, workflow = drafted()
    assert dict(workflow.steps[1].parameters) == {"cdssearch_photom": "none"}


def test_an_action_whose_recipe_is_not_installed_is_left_out_by_name() -> None:
    text, workflow = drafted()
    assert "toy_other" not in {step.recipe for step in workflow.steps}
    assert "not installed: toy_other" in text
