from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Dataset, files_of, purposes, walk_actions
from esorex_bridge.definitions.oca.classify import Classified
from esorex_bridge.definitions.oca.evaluate import Keywords
from esorex_bridge.definitions.oca.grammar import parse_expression, parse_rules
from esorex_bridge.definitions.oca.supplement import Need, RecipeFacts, supplement_rules
from esorex_bridge.errors import DataError
from esorex_bridge.organise.breakpoints import Breakpoint, read_breakpoints
from esorex_bridge.organise.frames import Frame, time_of
from esorex_bridge.organise.grouping import Candidate, Pool
from esorex_bridge.organise.organiser import organise
from esorex_bridge.organise.why import why_file
from esorex_bridge.plan.facts import lines_of
from tests.night_by_rules import RULES, Night, night, organised


def cascade(dataset: Dataset) -> dict[str, set[str]]:
    return {
        str(purpose): {file.name for file in (*action.files, *action.statics)}
        for action, purpose in walk_actions(dataset.action)
    }


def by_name(files: Night, rules: str = RULES) -> dict[str, Dataset]:
    return {dataset.name: dataset for dataset in organised(files, rules).datasets}


def test_a_night_becomes_datasets_with_their_whole_cascades() -> None:
    found = by_name(night())
    assert list(found) == ["SCI.J.0_tpl", "SCI.K.0_tpl"]
    assert cascade(found["SCI.J.0_tpl"]) == {
        "SCI": {"SCI.J.0", "SCI.J.1", "REF.J"},
        "BIAS/SCI": {"BIAS.0.0", "BIAS.0.1", "BIAS.0.2"},
        "FLAT/SCI": {"FLAT.J.0", "FLAT.J.1", "FLAT.J.2"},
        "BIAS/FLAT/SCI": {"BIAS.0.0", "BIAS.0.1", "BIAS.0.2"},
    }
    assert all(dataset.complete and not dataset.action.messages for dataset in found.values())
    assert dict(found["SCI.J.0_tpl"].descriptors)["OBS.TARG.NAME"] == "field J"
    assert dict(found["SCI.J.0_tpl"].descriptors)["OBS.ID"] == "UNDEFINED"


def test_a_file_in_two_places_of_the_tree_has_both_purposes() -> None:
    served = {file.name: paths for file, paths in purposes(by_name(night())["SCI.J.0_tpl"]).items()}
    assert served["BIAS.0.0"] == ("BIAS/FLAT/SCI", "BIAS/SCI")


def test_the_nearest_in_time_is_taken() -> None:
    files = night()
    moved = {
        name: {**header, "MJD-OBS": float(header["MJD-OBS"] or 0) - 50} if name.startswith("BIAS.0") else header
        for name, header in files.items()
    }
    assert cascade(by_name(moved)["SCI.J.0_tpl"])["BIAS/SCI"] == {"BIAS.1.0", "BIAS.1.1", "BIAS.1.2"}


def test_a_raw_that_is_called_as_a_product_is_none_however_near() -> None:
    files = night()
    near = {**files["BIAS.0.0"], "DPR.TYPE": "CONTAM", "MJD-OBS": files["SCI.J.0"]["MJD-OBS"]}
    called = RULES + 'if DPR.TYPE == "CONTAM" then { REFLEX.CATG = "MASTER_BIAS"; }'
    found = organised({**files, "CONTAM.0": near}, called)
    assert "CONTAM.0" not in {file.name for dataset in found.datasets for file in files_of(dataset)}
    assert cascade(found.datasets[0])["BIAS/SCI"] == {"BIAS.0.0", "BIAS.0.1", "BIAS.0.2"}
    (said,) = (text for text in lines_of(why_file(found, "CONTAM.0")) if "for SCI.J.0" in text)
    assert "it is a raw frame, and recipes make the product MASTER_BIAS" in said


def test_as_many_as_max_ret_are_taken() -> None:
    twice = RULES.replace("minRet = 1; maxRet = 1;", "minRet = 1; maxRet = 2;")
    taken = [action.name for action in by_name(night(), twice)["SCI.J.0_tpl"].action.actions]
    assert taken == ["BIAS", "BIAS", "FLAT"]


def test_a_master_on_disk_is_taken_as_it_is() -> None:
    files = {**night(), "M.1": {"INSTRUME": "TESTCAM", "PRO.CATG": "MASTER_BIAS", "MJD-OBS": 57000.3}}
    dataset = by_name(files)["SCI.J.0_tpl"]
    assert cascade(dataset)["SCI"] >= {"M.1"}
    assert [action.name for action in dataset.action.actions] == ["FLAT"]


def test_what_is_missing_is_told_as_reflex_tells_it() -> None:
    files = night()
    del files["REF.J"]
    result = organised(files)
    missing, whole = result.datasets
    assert (missing.complete, whole.complete) == (False, True)
    assert missing.action.messages == ("Missing REFERENCE",)
    assert "Could not find enough products of type REFERENCE for SCI.J.0. Requested 1. Found 0." in result.warnings


def test_a_gap_deep_in_the_cascade_makes_the_dataset_incomplete() -> None:
    files = {name: header for name, header in night().items() if not name.startswith("BIAS")}
    dataset = by_name(files)["SCI.J.0_tpl"]
    (flat,) = dataset.action.actions
    assert not dataset.complete
    assert flat.messages == ("Missing MASTER_BIAS",)


def test_an_optional_calibration_that_cannot_be_made_does_not_hold_up_the_science() -> None:
    optional = RULES.replace(
        "minRet = 1; maxRet = 1;\n  select file as MASTER_FLAT", "minRet = 0; maxRet = 1;\n  select file as MASTER_FLAT"
    )
    optional = optional.replace(
        "action FLAT\n{",
        'action FLAT\n{ minRet = 1; maxRet = 1; select file as GONE from calibFiles where REFLEX.CATG == "GONE";',
    )
    dataset = by_name(night(), optional)["SCI.J.0_tpl"]
    assert dataset.complete
    assert dataset.action.messages == ("MASTER_FLAT is left out: FLAT is incomplete",)


def test_a_cycle_in_the_rules_is_refused_with_a_reason() -> None:
    cyclic = RULES.replace(
        "action BIAS { recipe",
        "action BIAS { minRet = 1; maxRet = 1; select file as MASTER_FLAT "
        'from calibFiles where REFLEX.CATG == "MASTER_FLAT"; recipe',
    )
    result = organised(night(), cyclic)
    assert not any(dataset.complete for dataset in result.datasets)
    assert any("cycle in the rules is refused" in warning for warning in result.warnings)


def test_gasganos_rules_group_by_template_and_look_at_its_last_file() -> None:
    rules = """
    if DPR.CATG == "SCIENCE" then { DO.CATG = "OBJECT"; }
    if DPR.TYPE == "SKY" then { DO.CATG = "SKY"; }
    select execute(sci) from inputFiles where SIG.TEMPLATE == 1 and LF.DO.CATG == "SKY";
    action sci { recipe r; }
    """
    files = {
        name: {**header, "DPR.TYPE": "SKY"} if name.endswith(".1") else header
        for name, header in night().items()
        if name.startswith("SCI")
    }
    found = by_name(files, rules)
    assert cascade(found["SCI.J.0_tpl"]) == {"sci": {"SCI.J.0", "SCI.J.1"}}
    assert {file.category for file in found["SCI.J.0_tpl"].action.files} == {"OBJECT", "SKY"}


def test_a_clock_that_jumps_does_not_change_the_last_file_of_a_template() -> None:
    rules = """
    if DPR.CATG == "SCIENCE" then { DO.CATG = "OBJECT"; }
    if DPR.TYPE == "SKY" then { DO.CATG = "SKY"; }
    select execute(sci) from inputFiles where SIG.TEMPLATE == 1 and LF.DO.CATG == "SKY";
    """
    files = {
        name: {**header, "DPR.TYPE": "SKY", "MJD-OBS": 50000.0} if name.endswith(".1") else header
        for name, header in night().items()
        if name.startswith("SCI")
    }
    assert len(organised(files, rules).datasets) == 2


def test_a_single_frame_signal_makes_a_dataset_of_each_file() -> None:
    rules = """if DPR.CATG == "SCIENCE" then { DO.CATG = "OBJECT"; }
    select execute(sci) from inputFiles where SIG.FRAME == 1 and DO.CATG == "OBJECT";"""
    assert list(by_name(night(), rules)) == ["SCI.J.0", "SCI.J.1", "SCI.K.0", "SCI.K.1"]


@pytest.mark.parametrize(
    ("files", "rules", "told"),
    [
        ({}, RULES, "No FITS files"),
        (night(), 'if A == 1 then { DO.CATG = "X"; }', "classify none of 18 files"),
        ({"BIAS": night()["BIAS.0.0"]}, RULES, "No datasets have been created: no file is marked as a target"),
        ({"BIAS": night()["BIAS.0.0"]}, RULES.replace('REFLEX.TARGET = "T";', ""), "no group with a science file"),
        (
            night(),
            RULES.replace("select execute(SCI)", "select execute(SCI2)").replace('"OBJECT" group', '"NONE" group'),
            "no rule executes an action on it",
        ),
    ],
)
def test_why_there_are_no_datasets_is_told(files: Night, rules: str, told: str) -> None:
    result = organised(files, rules)
    assert not result.datasets
    assert any(told in warning for warning in result.warnings)


def test_files_without_any_time_are_organised_all_the_same() -> None:
    files = {
        name: {key: value for key, value in header.items() if key != "MJD-OBS"} for name, header in night().items()
    }
    lenient = RULES.replace("MJD-OBS between", "MJD-OBS tryBetween")
    assert all(dataset.complete for dataset in organised(files, lenient).datasets)


def test_a_calibration_beyond_a_breakpoint_is_not_taken() -> None:
    headers = {Path(f"/n/{name}.fits"): header for name, header in night().items()}
    split = (Breakpoint(57000.1, ("TESTCAM",)),)
    before, after = (organise(headers, parse_rules(RULES, "x"), points).datasets[0] for points in ((), split))
    assert "BIAS.0.0" in cascade(before)["BIAS/SCI"]
    assert "BIAS.1.0" in cascade(after)["BIAS/SCI"]
    elsewhere = organise(headers, parse_rules(RULES, "x"), (Breakpoint(57000.1, ("OTHER",)),)).datasets[0]
    assert cascade(elsewhere) == cascade(before)


def test_why_tells_of_a_change_of_the_instrument_between_a_calibration_and_the_science() -> None:
    headers = {Path(f"/n/{name}.fits"): header for name, header in night().items()}
    changed = organise(headers, parse_rules(RULES, "x"), (Breakpoint(57000.1, ("TESTCAM",), "ANY", "ANY", "ANY"),))
    lines = lines_of(why_file(changed, "BIAS.0.0"))
    assert any("a change of the instrument (breakpoint MJD 57000.1) lies between them" in line for line in lines)


def test_the_archives_breakpoints_are_read_and_nonsense_is_refused() -> None:
    text = '[{"mjdObs": 57000.5, "instrument": "NACO", "dpInstrument": "NACO", "rawType": null, "doClass": "BIAS"}]'
    assert read_breakpoints(text, "b.json") == (Breakpoint(57000.5, ("NACO",), category="BIAS"),)
    for wrong in ("{}", "[1]", "[{}]", "nonsense"):
        with pytest.raises(DataError, match=r"b\.json"):
            read_breakpoints(wrong, "b.json")


def test_the_time_comes_from_date_obs_where_there_is_no_mjd() -> None:
    assert time_of({"DATE-OBS": "2016-03-02T12:00:00.000"}) == pytest.approx(57449.5)
    assert time_of({"DATE-OBS": "13/05/93"}) == float("inf")
    assert time_of({"MJD-OBS": float("nan")}) == float("inf")


@settings(max_examples=25)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_files_changes_nothing(dice: random.Random) -> None:
    files = list(night().items())
    dice.shuffle(files)
    assert organised(dict(files)).datasets == organised(night()).datasets


@settings(max_examples=25)
@given(st.sampled_from(["ACQ", "WAVE", None]), st.floats(56990, 57010), st.sampled_from(["J", "K", "H"]))
def test_an_unrelated_file_changes_no_dataset(kind: str | None, mjd: float, filter_name: str) -> None:
    stranger = {
        "INSTRUME": "TESTCAM",
        "DPR.CATG": "CALIB",
        "DPR.TYPE": kind,
        "MJD-OBS": mjd,
        "INS.FILT1.NAME": filter_name,
        "TPL.START": "sJ",
    }
    assert organised({**night(), "STRANGER": stranger}).datasets == organised(night()).datasets


@pytest.mark.parametrize("gone", ["REF.J", "REF.K", "FLAT.J", "FLAT.K", "BIAS"])
def test_removing_what_is_needed_makes_exactly_its_datasets_incomplete(gone: str) -> None:
    whole = by_name(night())
    needing = {name for name, dataset in whole.items() if any(file.name.startswith(gone) for file in files_of(dataset))}
    left = by_name({name: header for name, header in night().items() if not name.startswith(gone)})
    assert {name for name, dataset in left.items() if not dataset.complete} == needing
    assert all(left[name] == whole[name] for name in left.keys() - needing)


def test_datasets_that_begin_with_the_same_file_get_different_names() -> None:
    twice = RULES + 'select execute(SCI2) from inputFiles where RAW.TYPE == "OBJECT" group by TPL.START as (TPL_A,tpl);'
    assert list(by_name(night(), twice)) == [
        "SCI.J.0_tpl_SCI",
        "SCI.J.0_tpl_SCI2",
        "SCI.K.0_tpl_SCI",
        "SCI.K.0_tpl_SCI2",
    ]


def test_a_cycle_of_a_group_with_itself_is_harmless() -> None:
    result = organised(
        night(),
        RULES.replace(
            "action BIAS { recipe",
            "action BIAS { minRet = 0; maxRet = 1; select "
            'file as MASTER_BIAS from calibFiles where REFLEX.CATG == "MASTER_BIAS"; recipe',
        ),
    )
    assert all(dataset.complete for dataset in result.datasets)
    first = result.datasets[0].action
    assert replace(first, actions=()) == replace(organised(night()).datasets[0].action, actions=())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 1.0, 2.0, 3.0, float("inf")]), st.text("abc", min_size=1, max_size=2)),
        max_size=8,
        unique=True,
    ),
    st.sampled_from([0.0, 1.5, 2.0, 9.0, float("inf")]),
)
def test_candidates_come_in_the_order_of_their_distance(files: list[tuple[float, str]], time: float) -> None:
    candidates = [Candidate(Frame(name, None, {}, Classified({}, ()), moment)) for moment, name in files]
    found = [
        (frame.time, frame.name)
        for frame in (candidate.frame for candidate in Pool(candidates).nearest(parse_expression("T"), time))
    ]

    def distance(file: tuple[float, str]) -> float:
        return float("inf") if float("inf") in (file[0], time) else abs(file[0] - time)

    assert sorted(found) == sorted(files)
    assert [(distance(file), file[1]) for file in found] == sorted((distance(file), file[1]) for file in files)


def test_files_of_one_group_that_differ_in_a_setting_are_associated_each_by_its_own() -> None:
    facts = (
        RecipeFacts("r_flat", ("MASTER_FLAT",), main=("FLAT",), group_by=("INS.FILT1.NAME",)),
        RecipeFacts("r_sci", main=("OBJECT",), group_by=("INS.FILT1.NAME",)),
    )
    text = RULES.replace("group by INS.FILT1.NAME, TPL.START as", "group by OBS.ID as")
    files = {Path(f"/n/{name}.fits"): {**header, "OBS.ID": 1} for name, header in night().items()}
    (dataset,) = organise(files, supplement_rules(parse_rules(text, "on_line.oca"), facts)).datasets
    names = (file.name for action in dataset.action.actions if action.name == "FLAT" for file in action.files)
    flats = {name.split(".")[1] for name in names}
    assert flats == {"J", "K"}


def test_rules_made_for_reflex_are_final_and_nothing_is_added_to_them() -> None:
    facts = (RecipeFacts("r_sci", ("IMAGE",), (Need("CATALOGUE", True),), ("OBJECT",), ("DET.DIT",)),)
    rules = parse_rules(RULES, "toy_wkf.oca")
    assert rules.is_final
    assert supplement_rules(rules, facts) == rules
    assert not parse_rules(RULES, "toy.oca").is_final
    headers = {Path(f"/n/{name}.fits"): header for name, header in night().items()}
    assert all(dataset.final for dataset in organise(headers, rules).datasets)


# what is known of recipes

ON_LINE = """
if DPR.TYPE == "STD" then { DO.CATG = "STD"; }
if DPR.TYPE == "DARK" and DPR.CATG == "SCIENCE" then { DO.CATG = "OWN_DARK"; }
if DPR.TYPE == "OBJECT" then { DO.CATG = "OBJECT"; }
if PRO.CATG == "EXTINCTION" then { DO.CATG = "EXTINCTION"; }
select execute(reduce) from inputFiles where SIG.FRAME == 1 and (DO.CATG == "OBJECT" or DO.CATG == "STD");
select execute(reduce) from inputFiles where SIG.TEMPLATE == 1 and LF.DO.CATG == "OWN_DARK";
action reduce { minRet = 1; maxRet = 1; select file as GUESS from calibFiles where DO.CATG == "GUESS"; recipe r_table; }
"""

CHAIN = (
    RecipeFacts("r_table", ("TABLE_OBJECT",), main=("OBJECT",), needs=(Need("OWN_DARK"),)),
    RecipeFacts("r_table", ("TABLE_STD",), main=("STD",)),
    RecipeFacts("r_response", ("RESPONSE",), (Need("EXTINCTION", True), Need("FLUXES")), ("TABLE_STD",)),
    RecipeFacts("r_cube", ("CUBE",), (Need("RESPONSE", True),), ("TABLE_OBJECT",)),
)


def raw(kind: str, number: int, mjd: float = 57000.0, catg: str = "CALIB", **more: str) -> Keywords:
    return {
        "INSTRUME": "TESTCAM",
        "DPR.CATG": catg,
        "DPR.TYPE": kind,
        "DPR.TECH": "IFU",
        "TPL.START": kind,
        "TPL.EXPNO": number + 1,
        "MJD-OBS": mjd + number * 1e-3,
        **{key.replace("_", "."): value for key, value in more.items()},
    }


def chained(files: dict[str, Keywords], facts: tuple[RecipeFacts, ...] = CHAIN) -> tuple[Dataset, ...]:
    headers = {Path(f"/n/{name}.fits"): header for name, header in files.items()}
    return organise(headers, supplement_rules(parse_rules(ON_LINE, "on_line.oca"), facts)).datasets


def test_what_the_last_recipe_of_a_chain_needs_is_associated_with_the_first() -> None:
    (dataset,) = chained(
        {
            "obj0": raw("OBJECT", 0, catg="SCIENCE"),
            "obj1": raw("OBJECT", 1, catg="SCIENCE"),
            "std": raw("STD", 0, 57000.1),
            "ext": {"INSTRUME": "TESTCAM", "PRO.CATG": "EXTINCTION"},
            "flux": {"INSTRUME": "TESTCAM", "PRO.CATG": "FLUXES"},
            "M.response": {**raw("OBJECT", 0), "PRO.CATG": "ELSE"},
        }
    )
    assert [file.name for file in dataset.action.files] == ["obj0", "obj1"], "one dataset of the whole template"
    (standard,) = dataset.action.actions
    assert [file.name for file in standard.files] == ["std"]
    assert {file.category for file in standard.statics} == {"EXTINCTION", "FLUXES"}, "named by itself, without a rule"


def test_what_the_recipe_can_do_without_leaves_the_dataset_incomplete_in_nothing_that_is_needed() -> None:
    files = {"obj": raw("OBJECT", 0, catg="SCIENCE"), "std": raw("STD", 0)}
    (lacking,) = chained(files)
    assert (lacking.complete, lacking.secondary) == (False, False)
    (dataset,) = chained({**files, "ext": {"INSTRUME": "TESTCAM", "PRO.CATG": "EXTINCTION"}})
    assert dataset.action.messages == ("Missing GUESS",)
    assert (dataset.complete, dataset.secondary) == (False, True)
    assert [action.files[0].name for action in dataset.action.actions] == ["std"]


def test_darks_of_the_science_make_no_dataset() -> None:
    (dataset,) = chained({"obj": raw("OBJECT", 0, catg="SCIENCE"), "dark": raw("DARK", 0, catg="SCIENCE")})
    assert [file.category for file in (*dataset.action.files, *dataset.action.statics)] == ["OBJECT", "OWN_DARK"]


def test_a_product_that_keeps_the_cards_of_its_raw_is_no_file_of_the_template() -> None:
    text = ON_LINE.replace('SIG.FRAME == 1 and (DO.CATG == "OBJECT" or DO.CATG == "STD")', 'LF.DO.CATG == "OBJECT"')
    files = {"obj": raw("OBJECT", 0, catg="SCIENCE"), "M.master": {**raw("OBJECT", 9), "PRO.CATG": "GUESS"}}
    headers = {Path(f"/n/{name}.fits"): header for name, header in files.items()}
    (dataset,) = organise(headers, supplement_rules(parse_rules(text, "on_line.oca"), (*CHAIN, guess()))).datasets
    assert [file.name for file in dataset.action.files] == ["obj"]


def guess() -> RecipeFacts:
    return RecipeFacts("r_other", (), (Need("GUESS"),), ("ELSE",))


@pytest.mark.parametrize(
    ("mjd", "filter_name", "tech", "joins"),
    [
        (57000.2, "H", "IFU", True),
        (57003.0, "H", "IFU", False),
        (57000.2, "Ks", "IFU", False),
        (57000.2, "H", "IMAGE", False),
    ],
)
def test_what_always_runs_joins_a_dataset_of_its_setting_and_night(
    mjd: float, filter_name: str, tech: str, joins: bool
) -> None:
    always = (
        RecipeFacts("r_table", ("IMAGE",), main=("OBJECT",)),
        RecipeFacts("r_zero", ("ZERO",), main=("STD",), group_by=("INS.FILT1.NAME", "TPL.START"), always=True),
    )
    (dataset,) = chained(
        {
            "obj": raw("OBJECT", 0, catg="SCIENCE", INS_FILT1_NAME="H"),
            "std": {**raw("STD", 0, mjd, INS_FILT1_NAME=filter_name), "DPR.TECH": tech},
        },
        always,
    )
    assert [action.name for action in dataset.action.actions] == (["reduce"] if joins else [])


def test_rules_look_in_the_widest_range_of_time_that_a_calibration_is_valid() -> None:
    facts = (
        RecipeFacts("r_table", ("IMAGE",), (Need("EXTINCTION", days=(-10.0, 3.0)),), ("OBJECT",)),
        RecipeFacts("r_table", ("TABLE_STD",), main=("STD",)),
    )
    far = {"INSTRUME": "TESTCAM", "PRO.CATG": "EXTINCTION", "MJD-OBS": 57004.0}
    for mjd, found in ((56995.0, 1), (57004.0, 0), (None, 1)):
        files = {"obj": raw("OBJECT", 0, catg="SCIENCE"), "ext": {**far, "MJD-OBS": mjd}}
        (dataset,) = chained(files, facts)
        assert len(dataset.action.statics) == found, mjd
