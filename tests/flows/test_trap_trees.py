"""Trees of calSelector with a trap each: odd shapes, odd files, and what lies beside them on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from esorex_bridge.errors import DataError, UserError
from esorex_bridge.plan.plan import FileInput, Plan, ProductInput, Step
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings
from tests.tiny_fits import Value, write_night
from tests.unit.test_plan_accounting import assert_all_accounted_for

Files = list[tuple[str, str]]
Headers = dict[str, dict[str, Value]]

NACO: dict[str, Value] = {
    "INSTRUME": "NAOS+CONICA",
    "DET.DIT": 2.0,
    "DET.NCORRS.NAME": "Double_RdRstRd",
    "DET.MODE.NAME": "HighDynamic",
    "DET.WIN.NX": 1024,
    "DET.WIN.NY": 1024,
    "INS.OPTI5.NAME": "empty",
    "INS.OPTI6.NAME": "H",
    "INS.OPTI7.NAME": "S27",
}
FORS: dict[str, Value] = {
    "INSTRUME": "FORS2",
    "DET.WIN1.BINX": 2,
    "DET.WIN1.BINY": 2,
    "DET.READ.CLOCK": "200Kps/2ports,low_gain",
    "INS.FILT1.NAME": "R_SPECIAL",
    "INS.MODE": "IMG",
}
CHIPS: tuple[dict[str, Value], ...] = ({"DET.CHIP1.ID": "CCID20-14-5-3"}, {"DET.CHIP1.ID": "CCID20-14-5-6"})


def named(category: str, hour: int, number: int = 3, prefix: str = "NACO") -> Files:
    return [(f"{prefix}.2016-03-02T{hour:02}:00:{second:02}.000", category) for second in range(number)]


SCIENCE, FLATS, DARKS = named("IM_JITTER_OBJ", 2), named("CAL_FLAT_TW", 10), named("CAL_DARK", 11)
MASTER: Files = [("M.NACO.2016-03-05T00:00:00.000", "NACO_IMG_DARK_AVG")]
HOURS = {name: int(name[16:18]) for name, _ in (*SCIENCE, *FLATS, *DARKS)}


def headers() -> Headers:
    return {name: {**NACO, "MJD-OBS": 57449 + hour / 24} for name, hour in HOURS.items()}


def group(category: str, files: Files, *below: str, attributes: str = 'match="calib_plan" type="main"') -> str:
    """Return an association; `certified` and `complete` are true where the attributes do not say."""
    given = attributes if "certified" in attributes else f'certified="true" {attributes}'
    named_files = "".join(f'<file category="{tag}" name="{name}"/>' for name, tag in files)
    return (
        f'<association category="{category}" complete="true" {given}><mainFiles>{named_files}</mainFiles>'
        f"<messages/><associatedFiles>{''.join(below)}</associatedFiles></association>"
    )


def science(*below: str, files: Files = SCIENCE, attributes: str = 'mode="Raw2Raw" type="main"') -> str:
    return group("SCI", files, *below, attributes=attributes)


FLAT, DARK = group("FLAT", FLATS), group("DARK", DARKS)


def plan_trees(root: Path, found: Mapping[str, Mapping[str, Value]], *trees: str) -> Plan:
    """Return the plan of the one dataset that trees mean; every file of it is accounted for."""
    folder = root / "reflex_input" / "data_with_raw_calibs"
    write_night(folder, {name: {**header, "TPL.EXPNO": at} for at, (name, header) in enumerate(found.items())})
    for number, tree in enumerate(trees):
        (folder / f"tree{number}.xml").write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n{tree}')
    return plan_root(root)


def plan_root(root: Path) -> Plan:
    with Session(Settings(root, by="calselector")) as session:
        ((dataset, plan),) = session.planning.plan_datasets()
    assert_all_accounted_for(dataset, plan)
    return plan


def step_of(plan: Plan, recipe: str) -> Step:
    (step,) = (each for each in plan.steps if each.recipe == recipe)
    return step


def products_in(plan: Plan) -> dict[str, str]:
    """Return what the jitter takes of other steps: by tag, the recipe."""
    made = (entry for entry in step_of(plan, "naco_img_jitter").inputs if isinstance(entry, ProductInput))
    return {entry.category: plan.step(entry.step).recipe for entry in made}


WHOLE = {
    "MASTER_IMG_FLAT": "naco_img_twflat",
    "MASTER_IMG_FLAT_BADPIX": "naco_img_twflat",
    "NACO_IMG_DARK_AVG": "naco_img_dark",
}


@pytest.mark.parametrize(
    "trees",
    [
        (science(FLAT, DARK), science(FLAT, DARK)),
        (science(group("X", [], group("Y", [], FLAT)), DARK),),
        (science(FLAT, DARK, group("SCI_AGAIN", SCIENCE)),),
        (science(FLAT, DARK, FLAT),),
    ],
    ids=["one tree twice", "groups without files between", "the science below itself", "one group twice"],
)
def test_odd_shapes_of_a_tree_make_the_same_plan(trees: tuple[str, ...], tmp_path: Path) -> None:
    plan = plan_trees(tmp_path, headers(), *trees)
    assert plan.incomplete == () and products_in(plan) == WHOLE
    assert len(plan.steps) == 3


def test_names_with_underscores_for_colons_are_the_files_of_the_tree(tmp_path: Path) -> None:
    found = {name.replace(":", "_"): header for name, header in headers().items()}
    assert products_in(plan_trees(tmp_path, found, science(FLAT, DARK))) == WHOLE


def test_a_second_copy_of_a_file_is_taken_once(tmp_path: Path) -> None:
    plan_trees(tmp_path, headers(), science(FLAT, DARK))
    folder = tmp_path / "reflex_input" / "data_with_raw_calibs"
    (folder / "again").mkdir()
    shutil.copy(folder / f"{FLATS[0][0]}.fits", folder / "again")
    step = step_of(plan_root(tmp_path), "naco_img_twflat")
    assert len(step.inputs) == 3


def test_masters_beside_raws_are_taken_where_they_fit_and_the_raws_where_not(tmp_path: Path) -> None:
    tree = science(FLAT, DARK, group("NACO_IMG_DARK_AVG", MASTER, attributes='match="N/A" type="main"'))
    master: dict[str, Value] = {**NACO, "PRO.CATG": "NACO_IMG_DARK_AVG", "MJD-OBS": 57449.2}
    taken = plan_trees(tmp_path / "fits", {**headers(), MASTER[0][0]: master}, tree)
    assert "NACO_IMG_DARK_AVG" not in products_in(taken)
    assert MASTER[0][0] in {getattr(entry, "name", "") for entry in step_of(taken, "naco_img_jitter").inputs}
    refused = plan_trees(tmp_path / "not", {**headers(), MASTER[0][0]: {**master, "DET.DIT": 10.0}}, tree)
    assert products_in(refused) == WHOLE
    (left,) = refused.not_used
    assert (left.name, left.reason) == (MASTER[0][0], "setting differs") and "DET.DIT 10.0 ≠ 2.0" in left.detail


def test_what_eso_did_not_certify_is_taken_and_said(tmp_path: Path) -> None:
    attributes = 'match="calib_plan" certified="false" type="main"'
    plan = plan_trees(tmp_path, headers(), science(group("FLAT", FLATS, attributes=attributes), DARK))
    associations = step_of(plan, "naco_img_jitter").associations
    assert {each.category: each.certified for each in associations} == {
        "MASTER_IMG_FLAT": False,
        "MASTER_IMG_FLAT_BADPIX": False,
        "NACO_IMG_DARK_AVG": True,
    }


def test_a_group_without_files_is_no_calibration(tmp_path: Path) -> None:
    plan = plan_trees(tmp_path, headers(), science(FLAT, group("DARK", [])))
    step = step_of(plan, "naco_img_jitter")
    assert plan.incomplete == ()
    assert "made without NACO_IMG_DARK_AVG: the dataset has none" in step.warnings


def test_a_file_of_two_purposes_serves_both(tmp_path: Path) -> None:
    plan = plan_trees(tmp_path, headers(), science(group("FLAT", FLATS, group("DARK_OF_FLATS", DARKS)), DARK))
    names = {entry.name for entry in step_of(plan, "naco_img_twflat").inputs if isinstance(entry, FileInput)}
    assert len(names & {name for name, _ in DARKS}) == 1
    assert products_in(plan) == WHOLE and plan.not_used == ()


def test_flats_that_calselector_calls_auxiliary_are_not_taken_in_silence(tmp_path: Path) -> None:
    aside = group("FLAT", FLATS, attributes='match="N/A" type="auxiliary"')
    plan = plan_trees(tmp_path, headers(), science(aside, DARK))
    assert any("MASTER_IMG_FLAT" in text for text in plan.incomplete)
    assert {each.reason for each in plan.not_used} == {"auxiliary"}


def test_a_science_frame_that_is_not_here_or_that_no_recipe_takes_makes_the_plan_incomplete(tmp_path: Path) -> None:
    found = headers()
    del found[SCIENCE[1][0]]
    lacking = plan_trees(tmp_path / "lacking", found, science(FLAT, DARK))
    assert any("is not on this machine" in text for text in lacking.incomplete)
    more = [*SCIENCE, ("NACO.2016-03-02T02:00:09.000", "WHATEVER")]
    strange = plan_trees(tmp_path / "strange", {**headers(), more[-1][0]: NACO}, science(FLAT, DARK, files=more))
    assert strange.incomplete == (
        "1 WHATEVER in no step: no recipe for the category (workflow naco has none for WHATEVER)",
    )
    assert products_in(strange) == WHOLE


def test_a_tree_without_science_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="names no science file"):
        plan_trees(tmp_path, headers(), science(FLAT, DARK, files=[]))


def test_an_instrument_without_a_definition_is_named(tmp_path: Path) -> None:
    found = {name.replace("NACO", "EFOSC"): {**header, "INSTRUME": "EFOSC"} for name, header in headers().items()}
    with pytest.raises(UserError, match="no workflow for instrument 'EFOSC'"):
        plan_trees(tmp_path, found, science(FLAT, DARK).replace("NACO.", "EFOSC."))


def fors_night() -> tuple[dict[str, Files], Headers]:
    """Return frames of both chips by turns, with five biases of another binning."""
    files = {
        "SCI": named("SCIENCE_IMG", 2, 2, "FORS2"),
        "FLAT": named("SKY_FLAT_IMG", 10, 10, "FORS2"),
        "BIAS": named("BIAS", 14, 15, "FORS2"),
    }
    found: Headers = {}
    for kind, each in files.items():
        for place, (name, _) in enumerate(each):
            fine: dict[str, Value] = {"DET.WIN1.BINX": 1, "DET.WIN1.BINY": 1} if place >= 10 and kind == "BIAS" else {}
            found[name] = {**FORS, **CHIPS[place % 2], **fine, "MJD-OBS": 57449 + int(name[17:19]) / 24}
    return files, found


def test_two_chips_and_two_binnings_in_one_group_never_meet(tmp_path: Path) -> None:
    files, found = fors_night()
    bias = group("BIAS", files["BIAS"])
    plan = plan_trees(tmp_path, found, science(group("FLAT_SKY", files["FLAT"], bias), bias, files=files["SCI"]))
    assert plan.incomplete == ()
    assert sorted(step.recipe for step in plan.steps) == sorted(
        ["fors_bias", "fors_img_science", "fors_img_sky_flat"] * 2
    )
    for step in plan.steps:
        names = [entry.name for entry in step.inputs if isinstance(entry, FileInput)]
        assert len({found[name]["DET.CHIP1.ID"] for name in names}) == 1
        assert {found[name]["DET.WIN1.BINX"] for name in names} == {2}
        for entry in step.inputs:
            if isinstance(entry, ProductInput):
                assert dict(plan.step(entry.step).setup)["DET.CHIP1.ID"] == dict(step.setup)["DET.CHIP1.ID"]
    assert {each.reason for each in plan.not_used} == {"setting differs"} and len(plan.not_used) == 5


def test_the_flat_of_one_chip_does_not_serve_the_other(tmp_path: Path) -> None:
    files, found = fors_night()
    bias = group("BIAS", files["BIAS"])
    plan = plan_trees(tmp_path, found, science(group("FLAT_SKY", files["FLAT"][::2], bias), bias, files=files["SCI"]))
    assert any("DET.CHIP1.ID CCID20-14-5-3 ≠ CCID20-14-5-6" in text for text in plan.incomplete)
