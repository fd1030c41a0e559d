"""What is known of single instruments: each test holds a definition against a fact, and not against our own tables.

The facts are those of the pipelines' manuals, their rules for Reflex and on-line work, the workflows that ESO publishes
for EDPS, and complete trees of calSelector.
"""

from __future__ import annotations

import pytest

from esorex_bridge.definitions.folders import own_definitions
from esorex_bridge.definitions.steps import Calibration, StepDefinition, Validity
from esorex_bridge.definitions.workflow import Workflow


def workflow(name: str) -> Workflow:
    return own_definitions().named(name)


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
