"""Every raw category for which an installed pipeline starts a recipe is served, or left out with a reason."""

from __future__ import annotations

import pytest

from tests.pipeline_table import DOCUMENT, coverage, definitions, document, reasons, rule_files

PIPELINES = tuple(rule_files())

pytestmark = pytest.mark.skipif(not PIPELINES, reason="no pipeline is installed")


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_raw_categories_are_served_or_left_out_with_a_reason(pipeline: str) -> None:
    found = coverage(pipeline, rule_files()[pipeline], definitions())
    told = [name for names in reasons().get(pipeline, {}).values() for name in names]
    assert len(told) == len(set(told))
    assert found.left_out == set(told)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_definitions_name_no_recipe_that_the_pipeline_does_not_have(pipeline: str) -> None:
    found = coverage(pipeline, rule_files()[pipeline], definitions())
    assert found.recipes <= found.installed


def test_the_table_of_pipelines_is_what_the_rules_and_the_definitions_give() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "the table is out of date: run 'make tables'"
