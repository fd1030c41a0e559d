"""What is known of single instruments: each test holds a definition against a fact, and not against our own tables.

The facts are those of the pipelines' manuals, their rules for Reflex and on-line work, the workflows that ESO publishes
for EDPS, and complete trees of calSelector.
"""

from __future__ import annotations

import json
from math import inf
from pathlib import Path

import pytest

from esorex_bridge.definitions.comparison import find_looser
from esorex_bridge.definitions.folders import own_definitions
from esorex_bridge.definitions.installed_rules import rule_files, rules_for
from esorex_bridge.definitions.steps import Calibration, StepDefinition, Validity
from esorex_bridge.definitions.workflow import Workflow


def workflow(name: str) -> Workflow:
    return own_definitions().find(name)


def step(name: str, category: str) -> StepDefinition:
    """Return the first step of a definition that takes a category."""
    found = workflow(name).step_for([category])
    assert found is not None, f"{name} has no step for {category}"
    return found


def calibration(name: str, category: str, tag: str) -> Calibration:
    found = [each for each in step(name, category).calibrations if each.category == tag]
    assert found, f"{name} gives {category} no {tag}"
    return found[0]


@pytest.mark.parametrize("field", ["SINGLE", "DUAL"])
@pytest.mark.parametrize("kind", ["CAL", "SCI"])
def test_gravity_skies_go_with_both_calibrator_and_science(field: str, kind: str) -> None:
    assert step("gravity", f"{field}_{kind}_RAW").main == (f"{field}_{kind}_RAW", f"{field}_SKY_RAW")


@pytest.mark.parametrize("category", ["SINGLE_SCI_RAW", "SINGLE_CAL_RAW", "DUAL_SCI_RAW", "DUAL_CAL_RAW"])
def test_gravity_darks_agree_in_both_exposure_times_window_gain_and_metrology(category: str) -> None:
    wanted = {"DET2.SEQ1.DIT", "DET3.SEQ1.DIT", "INS.FDDL.WINDOW", "INS.DET3.GAIN", "INS.MET.MODE"}
    assert wanted <= set(calibration("gravity", category, "DARK").match)
    assert wanted <= set(step("gravity", "DARK_RAW").group_by)


def test_gravity_takes_the_positions_of_diodes_and_the_diameters_where_the_recipes_do() -> None:
    assert not calibration("gravity", "SINGLE_SCI_RAW", "DIODE_POSITION").required
    assert not calibration("gravity", "SINGLE_SCI_VIS", "DIAMETER_CAT").required


def test_gravity_never_mixes_single_and_dual_field() -> None:
    for each in workflow("gravity").steps:
        named = (*each.main, *each.products, *(tag for one in each.calibrations for tag in one.accepted))
        assert not ({name[:4] for name in named} >= {"SING", "DUAL"}), each.name


@pytest.mark.parametrize("category", ["CAL_FLAT_TW", "CAL_FLAT_LAMP", "IM_JITTER_OBJ"])
def test_naco_filters_stand_in_two_wheels(category: str) -> None:
    assert {"INS.OPTI5.NAME", "INS.OPTI6.NAME"} <= set(step("naco", category).group_by)


def test_naco_flats_fit_in_both_wheels_whatever_their_exposure_time() -> None:
    match = calibration("naco", "IM_JITTER_OBJ", "MASTER_IMG_FLAT").match
    assert {"INS.OPTI5.NAME", "INS.OPTI6.NAME", "INS.OPTI7.NAME"} <= set(match)
    assert "DET.DIT" not in match


@pytest.mark.parametrize(("category", "tag"), [("IM_JITTER_OBJ", "NACO_IMG_DARK_AVG"), ("CAL_FLAT_TW", "CAL_DARK")])
def test_naco_darks_agree_in_the_read_out_too(category: str, tag: str) -> None:
    assert {"DET.DIT", "DET.NCORRS.NAME", "DET.MODE.NAME"} <= set(calibration("naco", category, tag).match)


@pytest.mark.parametrize("tag", ["MASTER_CONF", "MASTER_READGAIN", "MASTER_TWILIGHT_FLAT"])
def test_hawki_products_of_flats_follow_the_filter(tag: str) -> None:
    assert {"INS.FILT1.NAME", "INS.FILT2.NAME"} <= set(calibration("hawki", "OBJECT", tag).match)


@pytest.mark.parametrize("category", ["POL_JITTER_OBJ", "POL_JITTER_SKY"])
def test_naco_reduces_each_wire_grid_by_itself(category: str) -> None:
    assert step("naco", category).recipe == "naco_img_jitter"
    assert "INS.OPTI3.NAME" in step("naco", category).group_by


def test_giraffe_settings_differ_by_grating() -> None:
    assert {"INS.GRAT.ID", "INS.EXP.MODE"} <= set(step("giraf", "SCIENCE").group_by)
    assert calibration("giraf", "SCIENCE", "GRATING_DATA").match == ("INS.GRAT.ID",)


@pytest.mark.parametrize("tag", ["IFU_TRACE", "IFU_IDS", "IFU_TRANSMISSION"])
def test_vimos_fibres_agree_in_grism_and_filter(tag: str) -> None:
    assert {"INS.GRIS1.ID", "INS.FILT1.NAME"} <= set(calibration("vimos_spectra", "IFU_SCIENCE", tag).match)


def test_vimos_masks_agree_in_grism_filter_and_mask() -> None:
    match = calibration("vimos_spectra", "MOS_SCIENCE", "MOS_CURV_COEFF").match
    assert {"INS.GRIS1.ID", "INS.FILT1.NAME", "INS.MASK1.ID"} <= set(match)


def test_vimos_biases_take_the_table_of_the_chip() -> None:
    assert calibration("vimos_spectra", "BIAS", "CCD_TABLE")


def test_crires_flats_are_of_one_slit_and_exposure_time() -> None:
    assert {"INS.SLIT1.ID", "DET.SEQ1.DIT", "INS.WLEN.ID"} <= set(step("crires", "FLAT").group_by)


def test_crires_flats_are_of_the_plan_for_a_week_and_doubtful_after_ten_days() -> None:
    flat = calibration("crires", "OBS_NODDING_OTHER", "CAL_FLAT_MASTER")
    assert flat.validity[:2] == (Validity((-7, 7), 0), Validity((-10, 10), 2))
    assert flat.match == ("INS.WLEN.ID", "INS.SLIT1.ID")


@pytest.mark.parametrize("category", ["OBS_NODDING_OTHER", "OBS_STARING_OTHER"])
def test_crires_passes_no_dark_to_nodding_and_staring(category: str) -> None:
    assert not any("DARK" in each.category for each in step("crires", category).calibrations)


def test_crires_linearity_needs_lamps_beside_its_darks_and_is_of_half_a_year() -> None:
    linearity = step("crires", "DETLIN_LAMP")
    assert linearity.main == ("DETLIN_LAMP", "DETLIN_DARK") and dict(linearity.minima) == {"DETLIN_LAMP": 3}
    taken = calibration("crires", "FLAT", "CAL_DETLIN_COEFFS")
    assert taken.validity == (Validity((-100, 100), 0), Validity((-180, 180), 1))
    assert "DET.READ.CURNAME" not in taken.match


def test_crires_polarimetry_takes_four_frames_and_a_dark_of_any_exposure_time() -> None:
    assert step("crires", "OBS_POLARIMETRY_OTHER").minimum == 4
    dark = calibration("crires", "OBS_POLARIMETRY_OTHER", "CAL_DARK_MASTER")
    assert "DET.SEQ1.DIT" not in dark.match and dark.validity[0] == Validity((-1, 1), 0)


def test_crires_extended_objects_take_all_skies_of_their_template() -> None:
    sky = calibration("crires", "OBS_2D_OBJECT", "OBS_2D_SKY")
    assert (sky.match, sky.limit, sky.required) == (("TPL.START",), None, False)


def test_kmos_illumination_takes_a_dark_of_its_exposure_time() -> None:
    assert "DET.SEQ1.DIT" in calibration("kmos", "FLAT_SKY", "MASTER_DARK").match


@pytest.mark.parametrize(
    ("name", "category", "tag"),
    [
        ("sphere_ifs", "IFS_SCIENCE_DR_RAW", "IFS_MASTER_DARK"),
        ("sphere_irdis", "IRD_SCIENCE_DBI_RAW", "IRD_MASTER_DARK"),
    ],
)
def test_sphere_darks_agree_in_exposure_time(name: str, category: str, tag: str) -> None:
    assert "DET.SEQ1.DIT" in calibration(name, category, tag).match


@pytest.mark.parametrize(
    ("name", "category", "tag", "key"),
    [
        ("giraf", "SCIENCE", "MASTER_DARK", "EXPTIME"),
        ("uves", "SCIENCE_BLUE", "MASTER_DARK_BLUE", "EXPTIME"),
        ("flames_uves", "SFLAT_RED", "MASTER_DARK_REDL", "EXPTIME"),
    ],
)
def test_a_dark_that_the_recipe_scales_may_differ_in_exposure_time_and_says_why(
    name: str, category: str, tag: str, key: str
) -> None:
    dark = calibration(name, category, tag)
    assert key not in dark.match
    assert dict(dark.loose)[key]


def test_matisse_estimates_the_flat_of_one_dark_and_a_static_flat() -> None:
    flat = step("matisse", "OBSDARK")
    assert dict(flat.minima) == {"OBSDARK": 1}
    assert calibration("matisse", "OBSDARK", "FLATFIELD").required


def test_matisse_skies_go_with_target_and_calibrator() -> None:
    assert {"TARGET_RAW", "SKY_RAW"} <= set(step("matisse", "TARGET_RAW").main)
    assert {"CALIB_RAW", "SKY_RAW"} <= set(step("matisse", "CALIB_RAW").main)
    assert calibration("matisse", "CALIB_RAW", "JSDC_CAT")


def test_matisse_targets_are_calibrated_by_all_stars_of_their_exposure_time() -> None:
    stars = calibration("matisse", "TARGET_RAW_INT", "CALIB_RAW_INT")
    assert stars.required and stars.limit is None
    assert "DET.SEQ1.DIT" in stars.match and "TPL.START" not in stars.match
    assert step("matisse", "TARGET_RAW_INT").products == ("TARGET_CAL_INT",)


def test_vimos_fibres_need_a_flat_and_an_arc_and_two_arcs_are_none() -> None:
    assert dict(step("vimos_spectra", "IFU_ARC_SPECTRUM").minima) == {"IFU_SCREEN_FLAT": 1, "IFU_ARC_SPECTRUM": 1}


@pytest.mark.parametrize("category", ["FIB_ORDEF_RED", "FIB_ARC_LAMP_RED"])
def test_flames_fibres_are_of_one_plate(category: str) -> None:
    assert {"INS.SLIT3.PLATE", "INS.GRAT2.ID"} <= set(step("flames_uves", category).group_by)
    assert "INS.SLIT3.PLATE" in calibration("flames_uves", "FIB_SCI_SIM_RED", "FIB_LINE_TABLE_REDL").match


@pytest.mark.parametrize("keyword", ["DET.WIN1.NX", "DET.WIN1.STRX", "DET.OUTPUTS", "DET.CHIPS"])
def test_flames_biases_are_of_one_window_and_port(keyword: str) -> None:
    assert keyword in calibration("flames_uves", "FIB_SCI_SIM_RED", "MASTER_BIAS_REDL").match


def test_naco_twilight_flats_may_take_a_dark_of_their_own() -> None:
    assert not calibration("naco", "CAL_FLAT_TW", "CAL_DARK").required


def test_naco_zero_points_come_from_standards_a_catalogue_and_the_flat_of_their_filter() -> None:
    assert "CAL_STD_JITTER" in step("naco", "CAL_STD_JITTER").main
    assert calibration("naco", "CAL_STD_JITTER", "IMG_STD_CATALOG").required
    flat = calibration("naco", "CAL_STD_JITTER", "MASTER_IMG_FLAT")
    assert {"INS.OPTI5.NAME", "INS.OPTI6.NAME"} <= set(flat.match)


def test_flames_makes_its_guesses_from_the_format_check() -> None:
    made = step("flames_uves", "FIB_ARC_LAMP_FORM_RED").products
    for chip in ("REDL", "REDU"):
        assert {f"FIB_LIN_GUE_{chip}", f"FIB_ORD_GUE_{chip}"} <= set(made)
        assert calibration("flames_uves", "FIB_ORDEF_RED", f"FIB_ORD_GUE_{chip}")
        assert calibration("flames_uves", "FIB_ARC_LAMP_RED", f"FIB_LIN_GUE_{chip}")


@pytest.mark.parametrize("arm", ["BLUE", "RED"])
def test_uves_holds_flats_through_the_telescope_against_older_ones(arm: str) -> None:
    assert step("uves", f"TFLAT_{arm}").recipe == "uves_cal_tflat"
    for chip in {"BLUE": ("BLUE",), "RED": ("REDL", "REDU")}[arm]:
        assert calibration("uves", f"TFLAT_{arm}", f"REF_TFLAT_{chip}").required


@pytest.mark.parametrize("arm", ["BLUE", "RED"])
def test_uves_makes_its_guesses_from_the_format_check(arm: str) -> None:
    made = step("uves", f"ARC_LAMP_FORM_{arm}").products
    chips = ("BLUE",) if arm == "BLUE" else ("REDL", "REDU")
    assert {f"{kind}_GUESS_TAB_{chip}" for kind in ("LINE", "ORDER") for chip in chips} <= set(made)
    for chip in chips:
        assert calibration("uves", f"ORDER_FLAT_{arm}", f"ORDER_GUESS_TAB_{chip}")
        assert calibration("uves", f"ARC_LAMP_{arm}", f"LINE_GUESS_TAB_{chip}")


def test_hawki_takes_skies_beside_objects() -> None:
    assert step("hawki", "SKY").main == ("OBJECT", "SKY")


@pytest.mark.parametrize("category", ["IM_CAL_FLAT", "IM_OBS_CHO_NOD_JIT"])
def test_visir_settings_differ_by_filter_scale_and_mode(category: str) -> None:
    assert {"DET.MODE.NAME", "INS.FILT1.NAME", "INS.PFOV"} <= set(step("visir", category).group_by)


def test_muse_science_ends_in_a_cube_and_exposures_are_combined() -> None:
    assert "DATACUBE_FINAL" in step("muse", "PIXTABLE_OBJECT").products
    assert step("muse", "PIXTABLE_REDUCED").minimum == 2
    assert calibration("muse", "PIXTABLE_OBJECT", "STD_RESPONSE").required


@pytest.mark.parametrize("mode", ["UVB", "VIS", "NIR"])
def test_xshooter_flats_are_of_the_slit_and_biases_of_the_read_out(mode: str) -> None:
    flat = calibration("xshooter", f"OBJECT_SLIT_STARE_{mode}", f"MASTER_FLAT_SLIT_{mode}")
    slit = {"UVB": "INS.OPTI3.NAME", "VIS": "INS.OPTI4.NAME", "NIR": "INS.OPTI5.NAME"}[mode]
    assert slit in flat.match


def test_masters_are_made_of_the_raws_that_the_archives_breakpoints_name_for_them(real: Path) -> None:
    records = json.loads((real / "calselector" / "breakpoints_sample.json").read_text())
    held = set()
    for record in records:
        steps = [
            one for each in own_definitions().all() if record["instrument"] in each.instruments for one in each.steps
        ]
        makers = [one for one in steps if record["proCatg"] in one.products]
        if makers:
            assert any(record["doClass"] in one.main for one in makers), record
            held.add(record["proCatg"])
    assert len(held) >= 6, held


@pytest.mark.parametrize("arm", ["UVB", "VIS", "NIR"])
def test_xshooter_takes_flexures_and_a_response_of_each_way_of_observing(arm: str) -> None:
    for mode in ("NOD", "STARE", "OFFSET"):
        assert not calibration("xshooter", f"OBJECT_SLIT_{mode}_{arm}", f"XSH_MOD_CFG_OPT_AFC_{arm}").required
        assert step("xshooter", f"STD_FLUX_SLIT_{mode}_{arm}").products == (f"RESPONSE_MERGE1D_SLIT_{arm}",)
        response = calibration("xshooter", f"OBJECT_SLIT_{mode}_{arm}", f"RESPONSE_MERGE1D_SLIT_{arm}")
        assert response.match == ()
    assert calibration("xshooter", f"OBJECT_IFU_STARE_{arm}", f"ORDER_TAB_AFC_IFU_{arm}").required


@pytest.mark.parametrize("category", ["SCIENCE_PMOS", "STANDARD_PMOS"])
def test_fors_takes_all_angles_of_the_retarder_together(category: str) -> None:
    angles = step("fors_spectra", category)
    assert not angles.each and angles.minimum == 2 and "OBS.ID" in angles.group_by
    assert calibration("fors_spectra", category, "DISP_COEFF_PMOS").required


@pytest.mark.parametrize("camera", ["CAM1", "CAM2"])
def test_zimpol_science_can_do_without_every_master(camera: str) -> None:
    for tag in ("MASTER_BIAS", "MASTER_DARK", "INT_FLAT_FIELD", "MODEM_EFF", "STAR_CENTER_POL"):
        assert not calibration("sphere_zimpol", "ZPL_SCIENCE_P1_RAW", f"ZPL_{tag}_{camera}").required


def test_ifs_darks_of_the_archive_get_the_name_that_the_recipe_knows() -> None:
    assert step("sphere_ifs", "IFS_CAL_DARK_RAW").tag("IFS_CAL_DARK_RAW") == "IFS_DARK_RAW"


def test_harps_by_its_etalon_takes_no_drift_of_thorium() -> None:
    taken = {each.category for each in step("harps_fp", "OBJ_SKY").calibrations}
    assert {"WAVE_MATRIX_THAR_FP_A", "WAVE_MATRIX_FP_THAR_B"} <= taken
    assert not any("DRIFT" in each for each in taken)
    assert own_definitions().choose("HARPS", {}).name == "harps"


@pytest.mark.parametrize(("name", "category"), [("harps", "OBJ_SKY"), ("nirps", "OBJ_SKY")])
def test_each_exposure_of_harps_and_nirps_is_reduced_by_itself_in_its_mode(name: str, category: str) -> None:
    assert step(name, category).each
    assert "INS.MODE" in calibration(name, category, "ORDER_TABLE_A").match


UNLIMITED = (-inf, inf)


@pytest.mark.parametrize(
    ("name", "category", "tag", "ranges"),
    [
        ("gravity", "SINGLE_SCI_RAW", "DARK", [((-1.5, 1.5), 0), ((-14, 14), 1), ((-30, 30), 3)]),
        ("gravity", "DUAL_CAL_RAW", "P2VM", [((-1.5, 1.5), 0), ((-14, 14), 1), ((-30, 30), 3)]),
        ("gravity", "SINGLE_SCI_RAW", "DISP_MODEL", [((-inf, 0), 0), (UNLIMITED, 3)]),
        ("gravity", "SINGLE_SCI_VIS", "SINGLE_CAL_VIS", [((-1, 1), 0)]),
        ("uves", "SCIENCE_BLUE", "MASTER_BIAS_BLUE", [((-4, 4), 0), ((-7, 7), 1), (UNLIMITED, 3)]),
        ("uves", "SCI_POINT_RED", "MASTER_BIAS_REDU", [((-4, 4), 0), ((-7, 7), 1), (UNLIMITED, 3)]),
        ("kmos", "ARC_ON", "XCAL", [((-0.16, 0.16), 0), ((-2, 2), 1), (UNLIMITED, 3)]),
        (
            "kmos",
            "SCIENCE",
            "LCAL",
            [((-0.0625, 0.0625), -1), ((0, 1), 0), ((-2, 2), 1), ((-14, 14), 2), (UNLIMITED, 3)],
        ),
        ("muse", "OBJECT", "ILLUM", [((-2 / 24, 2 / 24), 0), ((-4 / 24, 4 / 24), 1)]),
        ("espresso", "OBJ_SKY", "WAVE_MATRIX_THAR_FP_A", [((0, 1), 0), ((-1, 1), 1), ((-14, 14), 2), (UNLIMITED, 3)]),
        ("espresso", "BIAS", "CCD_GEOM", [((-inf, 0), 0), (UNLIMITED, 3)]),
    ],
)
def test_validity_is_that_of_esos_workflows_for_edps(
    name: str, category: str, tag: str, ranges: list[tuple[tuple[float, float], int]]
) -> None:
    assert_valid(name, category, tag, ranges)


HOURS = 1 / 24


@pytest.mark.parametrize(
    ("name", "category", "tag", "ranges"),
    [
        # The association maps of calSelector: HAWK-I, GIRAFFE (with its workflow for EDPS), FORS.
        ("hawki", "OBJECT", "MASTER_DARK", [((-1, 1), 0), (UNLIMITED, 2)]),
        ("hawki", "FLAT_TWILIGHT", "MASTER_DARK", [((-1, 1), 0), (UNLIMITED, 2)]),
        ("hawki", "STD", "MASTER_TWILIGHT_FLAT", [((-21, 21), 0), (UNLIMITED, 2)]),
        ("giraf", "SCIENCE", "MASTER_BIAS", [((-2.5, 2.5), 0), (UNLIMITED, 2)]),
        ("giraf", "SCIENCE", "MASTER_DARK", [((-30, 30), 0), (UNLIMITED, 2)]),
        ("giraf", "SCIENCE", "FF_EXTSPECTRA", [((-2.5, 2.5), 0), ((-14, 14), 1), (UNLIMITED, 3)]),
        ("giraf", "ARC_SPECTRUM", "FF_LOCCENTROID", [((-2.5, 2.5), 0), ((-14, 14), 1), (UNLIMITED, 3)]),
        ("fors", "SKY_FLAT_IMG", "MASTER_BIAS", [((-5, 5), 0), (UNLIMITED, 2)]),
        ("fors", "SCIENCE_IMG", "MASTER_SKY_FLAT_IMG", [((-14, 14), 0), (UNLIMITED, 2)]),
        # The checks of AMBER's calibration plan.
        ("amber", "AMBER_SCIENCE", "P2VM_REDUCED", [((-6 * HOURS, 0), 0), (UNLIMITED, 2)]),
        ("amber", "SCIENCE_REDUCED", "AMBER_TRF_K", [((-1.2 * HOURS, 1.2 * HOURS), 0), (UNLIMITED, 2)]),
        # Darks of NACO and flats of VISIR are taken every day.
        ("naco", "IM_JITTER_OBJ", "NACO_IMG_DARK_AVG", [((-1, 1), 0), (UNLIMITED, 2)]),
        ("visir", "IM_OBS_CHO_NOD_JIT", "BPM", [((-1, 1), 0), (UNLIMITED, 2)]),
        # Reflex's rules for VIMOS want flats and arcs after the exposure.
        ("vimos_spectra", "IFU_SCIENCE", "IFU_TRACE", [((0, inf), 0), (UNLIMITED, 2)]),
        ("vimos_spectra", "IFU_SCIENCE", "MASTER_BIAS", [((-2.5, 2.5), 0), (UNLIMITED, 1)]),
        ("vimos", "IMG_SCIENCE", "MASTER_BIAS", [((-2.5, 2.5), 0), (UNLIMITED, 1)]),
    ],
)
def test_validity_is_that_of_esos_rules_and_calibration_plans(
    name: str, category: str, tag: str, ranges: list[tuple[tuple[float, float], int]]
) -> None:
    assert_valid(name, category, tag, ranges)


def test_every_installed_pipeline_has_calibrations_with_a_validity() -> None:
    graded = {
        each.pipeline
        for each in own_definitions().all()
        if any(calibration.validity for step in each.steps for calibration in step.calibrations)
    }
    assert {path.stem for path in rule_files()} <= graded


@pytest.mark.parametrize("keyword", ["INS.IFUE.MAG", "INS.IFUS.MODE"])
@pytest.mark.parametrize("category", ["IFU_SCIENCE", "IFU_SCREEN_FLAT"])
def test_vimos_fibres_agree_in_magnification_and_shutter(category: str, keyword: str) -> None:
    assert keyword in step("vimos_spectra", category).group_by


def assert_valid(name: str, category: str, tag: str, ranges: list[tuple[tuple[float, float], int]]) -> None:
    found = calibration(name, category, tag).validity
    assert [each.level for each in found] == [level for _, level in ranges]
    for each, (days, _) in zip(found, ranges, strict=True):
        assert each.days == pytest.approx(days, abs=1e-3)


@pytest.mark.parametrize("name", sorted(own_definitions().paths))
def test_every_definition_of_an_installed_pipeline_is_held_against_its_rules(name: str) -> None:
    definition = workflow(name)
    rules = {path.stem for path in rule_files()}
    if definition.pipeline not in rules:
        pytest.skip(f"the pipeline {definition.pipeline} is not installed")
    found = rules_for(definition)
    assert found is not None and found.name.startswith(definition.pipeline)
    assert [each.problem for each in find_looser(definition, found, grave=True)] == []
