"""End products of one kind are named by what tells them apart."""

from __future__ import annotations

import random

import pytest

from esorex_bridge.run.end_names import Header, distinct_names

BASE = "NIGHT_MASTER_DARK"


def test_a_product_by_itself_has_its_own_name() -> None:
    assert distinct_names([BASE, "NIGHT_FLAT"], [{}, {}]) == (BASE, "NIGHT_FLAT")


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ([{"EXTNAME": "CHAN13.DATA"}, {"EXTNAME": "CHAN02.DATA"}], ["CHAN13", "CHAN02"]),
        ([{"PIPEFILE": "MASTER_DARK-13.fits"}, {"PIPEFILE": "MASTER_DARK-02.fits"}], ["13", "02"]),
        ([{"OCS.CON.QUAD": 1}, {"OCS.CON.QUAD": 2}], ["1", "2"]),
        ([{"DET.CHIP1.ID": "CCID20-14"}, {"DET.CHIP1.ID": "EEV"}], ["CCID20-14", "EEV"]),
        ([{"ARCFILE": "A.1.fits"}, {"ARCFILE": "A.2.fits"}], ["A.1", "A.2"]),
    ],
)
def test_products_of_one_kind_are_named_by_what_differs(headers: list[Header], words: list[str]) -> None:
    assert distinct_names([BASE] * 2, headers) == tuple(f"{BASE}_{word}" for word in words)


def test_what_all_share_is_in_no_name() -> None:
    headers: list[Header] = [{"EXTNAME": "SCI", "ARCFILE": "A.1.fits"}, {"EXTNAME": "SCI", "ARCFILE": "A.2.fits"}]
    assert distinct_names([BASE] * 2, headers) == (f"{BASE}_A.1", f"{BASE}_A.2")


def test_names_do_not_depend_on_the_order_of_products() -> None:
    headers: list[Header] = [{"EXTNAME": f"CHAN{number:02}.DATA"} for number in range(24)]
    named = dict(zip(map(str, headers), distinct_names([BASE] * 24, headers), strict=True))
    shuffled = random.Random(1).sample(headers, 24)
    assert dict(zip(map(str, shuffled), distinct_names([BASE] * 24, shuffled), strict=True)) == named


def test_a_counter_comes_where_nothing_differs() -> None:
    assert distinct_names([BASE] * 2, [{}, {}]) == (BASE, f"{BASE}_1")
