"""Constraints become ADQL: quoted strictly, with the archive's own names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esorex_bridge.archive.query import Constraints, adql, product_files_adql, quote_text
from esorex_bridge.definitions.spelling import instrument_name
from esorex_bridge.errors import UserError


@pytest.mark.parametrize(
    ("name", "instrume"),
    [
        ("naco", "NAOS+CONICA"),
        ("NAOS+CONICA", "NAOS+CONICA"),
        ("spher", "SPHERE"),
        ("sphere", "SPHERE"),
        ("XSHOO", "XSHOOTER"),
        ("fors2", "FORS2"),
        ("gravi", "GRAVITY"),
        ("HAWK-I", "HAWKI"),
        ("hawk-i", "HAWKI"),
        ("Giraffe", "GIRAFFE"),
        ("giraf", "GIRAFFE"),
        ("X-shooter", "XSHOOTER"),
        ("CRIRES+", "CRIRES"),
        ("NaCo", "NAOS+CONICA"),
        ("an-other", "AN-OTHER"),
    ],
)
def test_common_names_and_prefixes_become_instrume(name: str, instrume: str) -> None:
    assert instrument_name(name) == instrume
    assert f"instrument = '{instrume}'" in adql(Constraints(instrument=name))


def test_only_science_frames_are_asked_for_unless_another_category_is() -> None:
    assert "dp_cat = 'SCIENCE'" in adql(Constraints(instrument="naco"))
    assert "dp_cat = 'CALIB'" in adql(Constraints(instrument="naco", category="calib"))
    assert "dp_cat =" not in adql(Constraints(instrument="naco", category=None))


def test_a_night_is_from_noon_to_noon() -> None:
    text = adql(Constraints(night="2016-02-29"))
    assert "exp_start >= '2016-02-29T12:00:00.000'" in text and "exp_start < '2016-03-01T12:00:00.000'" in text


def test_a_date_as_an_end_includes_that_day_and_a_time_is_meant_as_it_stands() -> None:
    assert "exp_start < '2016-03-01T00:00:00.000'" in adql(Constraints(end="2016-02-29"))
    assert "exp_start <= '2016-02-29T01:02:03.000'" in adql(Constraints(end="2016-02-29T01:02:03"))


def test_a_target_is_compared_in_upper_case_with_and_without_underscores() -> None:
    text = adql(Constraints(target="sgr  a"))
    assert "target IN ('SGR A', 'SGR_A', 'SGRA') OR object IN ('SGR A', 'SGR_A', 'SGRA')" in text


def test_a_percent_stands_for_any_text() -> None:
    assert "prog_id LIKE '098.C-%'" in adql(Constraints(program="098.C-%"))
    assert "prog_id = '098.C-0739(C)'" in adql(Constraints(program="098.C-0739(C)"))


def test_further_conditions_stand_in_brackets() -> None:
    assert "AND (a = 1 OR b = 2)" in adql(Constraints(instrument="naco", where="a = 1 OR b = 2"))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"ra": 1.0},
        {"ra": 1.0, "dec": 2.0},
        {"ra": 361.0, "dec": 0.0, "radius": 1.0},
        {"ra": 1.0, "dec": 91.0, "radius": 1.0},
        {"ra": 1.0, "dec": 1.0, "radius": 0.0},
        {"night": "yesterday"},
        {"begin": "2016-13-01"},
        {"instrument": "naco", "columns": ("a; drop",)},
        {"instrument": "naco", "limit": 0},
        {"program": "a\nb"},
        {"ra": float("nan"), "dec": 1.0, "radius": 1.0},
    ],
)
def test_constraints_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        adql(Constraints(**values))


@given(st.text(st.characters(min_codepoint=32), min_size=1))
def test_no_text_leaves_its_quotes(value: str) -> None:
    literal = quote_text(value)
    assert literal[0] == literal[-1] == "'"
    assert literal[1:-1].replace("''", "'") == value
    assert literal[1:-1].replace("''", "").count("'") == 0


def test_rows_are_ordered_by_a_column_that_is_asked_for() -> None:
    assert adql(Constraints(instrument="naco")).endswith("ORDER BY exp_start")
    assert adql(Constraints(instrument="naco", columns=("dp_id",))).endswith("ORDER BY dp_id")
    assert "ORDER" not in adql(Constraints(instrument="naco", columns=("object",)))


def test_ancillary_files_of_a_product_and_of_a_collection() -> None:
    one = product_files_adql("ADP.2014-10-01T10:19:21.580", None, None, None)
    assert "p.product_id = 'ADP.2014-10-01T10:19:21.580'" in one and "JOIN" not in one
    many = product_files_adql(None, "MUSE", "ancillary.preview", 10)
    assert "SELECT TOP 10 " in many and "ON p.product_id = o.dp_id" in many
    assert "o.obs_collection = 'MUSE'" in many and "p.eso_category = 'ANCILLARY.PREVIEW'" in many
    with pytest.raises(UserError):
        product_files_adql(None, None, "ANCILLARY.PREVIEW", None)
