"""Every raw category for which an installed pipeline starts a recipe is served, or left out with a reason."""

from __future__ import annotations

import pytest

from esorex_bridge.definitions.inspection import categories_given
from esorex_bridge.definitions.installed_rules import read_rules
from tests.pipeline_table import (
    DOCUMENT,
    classified,
    coverage,
    definitions,
    document,
    reasons,
    reasons_of_recipes,
    rule_files,
    started,
)

PIPELINES = tuple(rule_files())

RECIPES_OF_SCIENCE = {
    "muse": (
        "muse_bias", "muse_flat", "muse_wavecal", "muse_lsf", "muse_scibasic", "muse_standard", "muse_create_sky",
        "muse_scipost", "muse_exp_align", "muse_exp_combine",
    ),
    "uves": (
        "uves_cal_mbias", "uves_cal_predict", "uves_cal_orderpos", "uves_cal_mflat", "uves_cal_wavecal",
        "uves_cal_response", "uves_obs_scired", "flames_cal_predict", "flames_cal_orderpos", "flames_cal_mkmaster",
        "flames_cal_prep_sff_ofpos", "flames_cal_wavecal", "flames_obs_scired",
    ),
}  # fmt: skip
"""Installed recipes of the tasks that ESO's lists for EDPS mark as used in science (eso/edps-doc)."""

pytestmark = pytest.mark.skipif(not PIPELINES, reason="no pipeline is installed")


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_raw_categories_are_served_or_left_out_with_a_reason(pipeline: str) -> None:
    found = coverage(pipeline, rule_files()[pipeline], definitions())
    told = [name for names in reasons().get(pipeline, {}).values() for name in names]
    assert len(told) == len(set(told))
    assert found.left_out == set(told)


@pytest.mark.parametrize("pipeline", RECIPES_OF_SCIENCE)
def test_recipes_that_eso_uses_in_science_are_used_or_left_out_with_a_reason(pipeline: str) -> None:
    found = coverage(pipeline, rule_files()[pipeline], definitions())
    wanted = set(RECIPES_OF_SCIENCE[pipeline])
    assert wanted <= found.installed
    told = {name for names in reasons_of_recipes().get(pipeline, {}).values() for name in names}
    assert wanted - found.recipes == told


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_rules_say_the_same_to_the_table_and_to_the_bridges_own_reader(pipeline: str) -> None:
    path = rule_files()[pipeline]
    given = set(categories_given(read_rules(path)))
    assert classified(path) <= given
    assert len(classified(path)) >= 14
    assert started(path).keys() & classified(path)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_what_is_said_not_to_be_installed_is_not(pipeline: str) -> None:
    path = rule_files()[pipeline]
    installed, recipes = coverage(pipeline, path, definitions()).installed, started(path)
    for reason, categories in reasons().get(pipeline, {}).items():
        if "not installed" in reason:
            assert not {name for each in categories for name in recipes[each]} & installed, reason


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_definitions_name_no_recipe_that_the_pipeline_does_not_have(pipeline: str) -> None:
    found = coverage(pipeline, rule_files()[pipeline], definitions())
    assert found.recipes <= found.installed


def test_the_table_of_pipelines_is_what_the_rules_and_the_definitions_give() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "the table is out of date: run 'make tables'"
