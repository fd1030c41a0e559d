"""What a calibration must agree in: as written, as the rules compare, or as its maker groups; never less in silence."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from esorex_bridge.definitions.comparison import compare_with_rules, compares, find_looser, with_rules_match
from esorex_bridge.definitions.folders import read_workflow
from esorex_bridge.definitions.installed_rules import installed_rules
from esorex_bridge.definitions.located import DefinitionError
from esorex_bridge.definitions.oca.grammar import parse_rules
from esorex_bridge.definitions.setting import is_dark, is_exposure, is_template
from esorex_bridge.definitions.steps import Calibration, Validity
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.definitions.workflow_yaml import parse_workflow

RULES = parse_rules(
    """
if DPR.TYPE == "FLAT" then { DO.CATG = "FLAT"; }
if DPR.TYPE == "OBJECT" then { DO.CATG = "OBJECT"; }
select execute(SCIENCE) from inputFiles where DO.CATG == "OBJECT" group by TPL.START;
action SCIENCE
{
minRet = 1; maxRet = 1;
select file as MASTER_FLAT from calibFiles where PRO.CATG == "MASTER_FLAT" and inputFile.INSTRUME == INSTRUME
  and inputFile.INS.FILT1.NAME == INS.FILT1.NAME and inputFile.INS.SLIT1.NAME ?= INS.SLIT1.NAME;
recipe toy_science;
}
""",
    "toy.oca",
)


def toy(flat: str = "{}", dark: str = "{}", more: str = "") -> Workflow:
    return parse_workflow(
        f"""
workflow: toy
instruments: [TOY]
pipeline: toy
state: from documentation
{more}
steps:
  - recipe: toy_dark
    main: [DARK]
    group_by: [DET.DIT, DET.READ.MODE, TPL.START]
    products: [MASTER_DARK]
  - recipe: toy_flat
    main: [FLAT]
    group_by: [DET.DIT, DET.NDIT, TPL.START, INS.GRAT1.NAME]
    products: [MASTER_FLAT]
  - recipe: toy_science
    main: [OBJECT]
    calibrations:
      MASTER_FLAT: {flat}
      MASTER_DARK: {dark}
      CATALOGUE: {{}}
    products: [IMAGE]
""",
        "toy.yaml",
    )


def calibration(workflow: Workflow, category: str) -> Calibration:
    return next(each for step in workflow.steps for each in step.calibrations if each.category == category)


@pytest.mark.parametrize(
    "keyword", ["DET.DIT", "DET.NDIT", "DET2.SEQ1.DIT", "EXPTIME", "TPL.START", "OBS.ID", "ARCFILE", "MJD-OBS"]
)
def test_exposure_and_template_are_no_setting(keyword: str) -> None:
    assert is_exposure(keyword) or is_template(keyword)


@pytest.mark.parametrize("keyword", ["DET.READ.MODE", "INS.FILT1.NAME", "DET.WIN1.BINX", "INS.OPTI6.NAME"])
def test_filters_and_read_outs_are_a_setting(keyword: str) -> None:
    assert not is_exposure(keyword) and not is_template(keyword)


def test_without_a_written_match_the_makers_grouping_counts_without_exposure_and_template() -> None:
    flat = calibration(toy(), "MASTER_FLAT")
    assert flat.match == ("INS.GRAT1.NAME",)
    assert flat.match_from == "group_by"


def test_a_dark_agrees_in_the_exposure_time_too() -> None:
    assert calibration(toy(), "MASTER_DARK").match == ("DET.DIT", "DET.READ.MODE")


def test_a_map_of_bad_pixels_is_no_dark() -> None:
    assert is_dark("NACO_IMG_DARK_AVG")
    assert not is_dark("CAL_DARK_BPM")
    assert not is_dark("BADPIXEL_DARK")


def test_what_no_step_makes_has_nothing_to_agree_in() -> None:
    assert calibration(toy(), "CATALOGUE").match == ()
    assert calibration(toy(), "CATALOGUE").match_from == ""


def test_a_written_match_counts_even_where_it_is_empty() -> None:
    flat = calibration(toy(flat="{match: []}"), "MASTER_FLAT")
    assert flat.match == ()
    assert flat.match_from == "written"


def test_rules_come_before_the_grouping_and_tell_strict_from_lenient() -> None:
    flat = calibration(with_rules_match(toy(), RULES), "MASTER_FLAT")
    assert flat.match == ("INS.FILT1.NAME", "INS.SLIT1.NAME")
    assert flat.strict == ("INS.FILT1.NAME",)
    assert flat.match_from == "rules"


def test_a_written_match_stays_beside_rules() -> None:
    written = with_rules_match(toy(flat="{match: [INS.GRAT1.NAME]}"), RULES)
    assert calibration(written, "MASTER_FLAT").match == ("INS.GRAT1.NAME",)


def test_a_keyword_that_one_branch_of_an_or_compares_need_not_agree() -> None:
    rules = parse_rules(
        'action A { select file as FLAT from calibFiles where PRO.CATG == "FLAT" and '
        "(inputFile.AA == AA or inputFile.BB == BB) and inputFile.CC == CC; }",
        "or.oca",
    )
    assert compares(rules.actions[0].selections[0].condition).keywords == ("CC",)


def test_a_match_that_is_looser_than_the_rules_is_found_unless_it_says_why() -> None:
    silent = toy(flat="{match: [INS.SLIT1.NAME]}")
    problems = [finding.problem for finding in find_looser(silent, RULES, grave=True)]
    assert len(problems) == 1
    assert "MASTER_FLAT without INS.FILT1.NAME" in problems[0]
    explained = toy(flat="{match: [INS.SLIT1.NAME], loose: {INS.FILT1.NAME: the flat is white}}")
    assert list(find_looser(explained, RULES, grave=True)) == []


def test_without_rules_the_makers_grouping_is_what_a_match_is_held_against() -> None:
    silent = toy(dark="{match: [DET.READ.MODE]}")
    assert [each.looser for each in compare_with_rules(silent, None) if each.looser] == [("DET.DIT",)]


def test_time_and_level_are_read_in_the_order_written() -> None:
    flat = calibration(
        toy(flat="{validity: [{days: [-7, 7]}, {days: [-.inf, 10.5], level: 2, match: [INS.MODE]}]}"), "MASTER_FLAT"
    )
    assert flat.validity == (Validity((-7, 7), 0), Validity((-inf, 10.5), 2, ("INS.MODE",)))


@pytest.mark.parametrize(
    ("flat", "problem"),
    [
        ("{validity: [{days: [7, -7]}]}", "days must rise"),
        ("{validity: [{days: [7]}]}", "two numbers"),
        ("{validity: [{level: 1}]}", "needs 'days'"),
        ("{match: [A], strict: [B]}", "B of strict is not among"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(flat: str, problem: str) -> None:
    with pytest.raises(DefinitionError, match=problem):
        toy(flat=flat)


def test_a_minimum_of_each_category_sums_up() -> None:
    text = """
workflow: toy
instruments: [TOY]
pipeline: toy
state: from documentation
unsupported: {POLARIMETRY: no recipe takes it}
steps:
  - {recipe: toy_ifu, main: [FLAT, ARC], minimum: {FLAT: 1, ARC: 2}, products: [TRACE]}
"""
    workflow = parse_workflow(text, "toy.yaml")
    assert workflow.steps[0].minimum == 3
    assert workflow.steps[0].minima == (("FLAT", 1), ("ARC", 2))
    assert workflow.unsupported == (("POLARIMETRY", "no recipe takes it"),)


def test_a_definition_that_extends_one_keeps_what_it_does_not_change(tmp_path: Path) -> None:
    changed = parse_workflow(
        "workflow: mine\nextends: toy\nchange: {toy_science: {calibrations: {MASTER_FLAT: {required: true}}}}\n",
        str(tmp_path / "mine.yaml"),
        lambda name: toy(flat="{match: [INS.MODE], strict: true}", more="unsupported: {X: no recipe}"),
    )
    flat = calibration(changed, "MASTER_FLAT")
    assert (flat.required, flat.match, flat.strict, flat.match_from) == (True, ("INS.MODE",), ("INS.MODE",), "written")
    assert changed.unsupported == (("X", "no recipe"),)


def test_a_definition_of_the_users_own_compares_what_the_installed_rules_compare(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "workflow: mine\ninstruments: [NAOS+CONICA]\npipeline: naco\nstate: from documentation\nsteps:\n"
        "  - {recipe: naco_img_twflat, main: [CAL_FLAT_TW], products: [MASTER_IMG_FLAT]}\n"
        "  - recipe: naco_img_jitter\n    main: [IM_JITTER_OBJ]\n    calibrations: {MASTER_IMG_FLAT: {}}\n"
        "    products: [COADDED_IMG]\n"
    )
    if installed_rules("NAOS+CONICA") is None:
        pytest.skip("the NACO pipeline is not installed")
    flat = calibration(read_workflow(path), "MASTER_IMG_FLAT")
    assert set(flat.match) == {"INS.OPTI6.NAME", "INS.OPTI7.NAME", "DET.WIN.NX", "DET.WIN.NY"}
    assert flat.strict == flat.match
    assert flat.match_from == "rules"
