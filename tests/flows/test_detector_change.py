"""A night in which the detector was changed: `breakpoints.json` of the archive counts in every verb."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from esorex_bridge.definitions.installed_rules import installed_rules
from tests.flows.bare_night import BareNight

SCIENCE = "NACO.2016-03-02T00:30:00.076_tpl"
FLAT = "NACO.2016-03-01T22:40:00.076"
CHANGE = 57449.0
"""0 h UT: between the flats of the evening and the science."""


@pytest.fixture
def night(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> BareNight:
    bare = BareNight("naco", tmp_path / "root", capsys)
    record = {"mjdObs": CHANGE, "instrument": "NACO", "dpInstrument": "NACO"}
    records = [
        {**record, "rawType": "ANY", "proCatg": "ANY", "doClass": "ANY"},
        {**record, "instrument": "UVES", "dpInstrument": "UVES", "rawType": "A", "proCatg": "B", "doClass": "C"},
    ]
    (bare.root / "breakpoints.json").write_text(json.dumps(records))
    return bare


def said(night: BareNight, *words: str) -> str:
    return json.dumps(night.raw(*words), ensure_ascii=False)


@pytest.mark.skipif(installed_rules("NAOS+CONICA") is None, reason="the NACO pipeline is not installed")
def test_rules_take_nothing_from_beyond_the_change_and_why_names_it(night: BareNight) -> None:
    change = f"a change of the instrument (breakpoint MJD {CHANGE:g}) lies between them"
    for asked in (FLAT, SCIENCE, "MASTER_IMG_FLAT"):
        assert change in said(night, "why", asked, "--by", "oca")
    planned = night.raw("plan", "--by", "oca")
    assert planned["exit code"] == 1
    assert "MASTER_IMG_FLAT" in planned["datasets"][0]["incomplete"][0]


@pytest.mark.parametrize("verb", ["organise", "plan", f"why {SCIENCE}", "run --dry-run"])
def test_what_calselector_put_beyond_the_change_is_kept_and_every_verb_says_so(night: BareNight, verb: str) -> None:
    text = said(night, *verb.split(), "--by", "calselector")
    assert f"{FLAT} (CAL_FLAT_TW) lies beyond a change of the instrument (breakpoint MJD {CHANGE:g})" in text
    assert "kept as calSelector put it there" in text
    planned = night.raw("plan", "--by", "calselector")
    assert "exit code" not in planned
