"""Breakpoints of the archive: what they are about, and that each takes effect on the raw and on the master it names."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile
from esorex_bridge.definitions.oca.classify import Classified
from esorex_bridge.organise.breakpoints import (
    UNCERTAIN_DAYS,
    Breakpoint,
    concerning,
    read_breakpoints,
    separating,
    with_breakpoint_messages,
)
from esorex_bridge.organise.frames import Frame

EVENT = 57000.5


def frame(name: str, mjd: float, category: str = "", instrument: str = "", **keywords: str) -> Frame:
    header = {"INSTRUME": instrument, **{key.replace("_", "."): value for key, value in keywords.items()}}
    return Frame(name, None, header, Classified({"DO.CATG": category}, ()), mjd)


SCIENCE = frame("TOYS.2016-01-01T00:00:00", EVENT + 1, "OBJECT", "TOYSCOPE")
FLATS = Breakpoint(EVENT, ("TOYSCOPE", "TOYS"), "FLAT_RED", "MASTER_FLAT_RED", "FLAT_RED_LAMP")
ALL = Breakpoint(EVENT, ("TOYSCOPE", "TOYS"), "ANY", "ANY", "ANY")


@pytest.mark.real
def test_every_record_of_the_archive_separates_the_raw_and_the_master_that_it_names(real: Path) -> None:
    text = (real / "calselector" / "breakpoints_sample.json").read_text()
    records: list[dict[str, Any]] = json.loads(text)
    points = read_breakpoints(text, "sample")
    assert len(records) == 43
    for record in records:
        day, prefix = record["mjdObs"], record["dpInstrument"]
        tag = "ANY_OTHER" if record["doClass"] == "ANY" else record["doClass"]
        product = "ANY_MASTER" if record["proCatg"] == "ANY" else record["proCatg"]
        raw = frame(f"{prefix}.2010-01-01T00:00:00.000", day - 1, tag, record["instrument"])
        master = frame(f"M.{prefix}.2010-01-01T00:00:00.000", day - 1, product, PRO_CATG=product)
        science = frame(f"{prefix}.2020-01-01T00:00:00.000", day + 1, "SOME_SCIENCE", record["instrument"])
        mine = tuple(each for each in points if each.mjd == day)
        assert separating(mine, raw, science) is not None, record
        assert separating(mine, master, science) is not None, record
        assert separating(mine, science, raw) is None or record["doClass"] == "ANY"


def test_a_raw_is_known_by_its_class_alone() -> None:
    raw = frame("TOYS.1", EVENT - 1, "FLAT_RED_LAMP", "TOYSCOPE", DPR_TYPE="LAMP,FLAT")
    assert FLATS.separates(raw, SCIENCE)
    assert not FLATS.separates(frame("TOYS.1", EVENT - 1, "MASTER_FLAT_RED", "TOYSCOPE"), SCIENCE)


def test_a_master_is_known_by_its_category_alone() -> None:
    assert FLATS.separates(frame("M.TOYS.1", EVENT - 1, "", PRO_CATG="MASTER_FLAT_RED"), SCIENCE)
    assert not FLATS.separates(frame("M.TOYS.1", EVENT - 1, "", PRO_CATG="FLAT_RED_LAMP"), SCIENCE)


def test_the_raw_type_counts_where_rules_gave_one() -> None:
    assert not FLATS.separates(frame("TOYS.1", EVENT - 1, "FLAT_RED_LAMP", "TOYSCOPE", RAW_TYPE="FLAT_BLUE"), SCIENCE)
    assert FLATS.separates(frame("TOYS.1", EVENT - 1, "FLAT_RED_LAMP", "TOYSCOPE", RAW_TYPE="FLAT_RED"), SCIENCE)


@pytest.mark.parametrize("name", ["TOYS.1", "M.TOYS.1"])
def test_any_is_every_calibration_of_the_instrument(name: str) -> None:
    assert ALL.separates(frame(name, EVENT - 9, "WHATEVER"), SCIENCE)
    assert not ALL.separates(frame(name.replace("TOYS", "OTHER"), EVENT - 9, "WHATEVER"), SCIENCE)


def test_the_instrument_is_known_by_either_of_its_names() -> None:
    assert ALL.separates(frame("renamed", EVENT - 1, "X", "TOYSCOPE"), SCIENCE)
    naco = Breakpoint(EVENT, ("NACO",))
    assert naco.separates(frame("renamed", EVENT - 1, "X", "NAOS+CONICA"), SCIENCE)


@pytest.mark.parametrize("near", [-0.9 * UNCERTAIN_DAYS, 0.0, 0.9 * UNCERTAIN_DAYS])
def test_what_lies_as_near_as_times_are_rounded_is_kept(near: float) -> None:
    assert not ALL.separates(frame("TOYS.1", EVENT + near, "X"), SCIENCE)
    assert ALL.separates(frame("TOYS.1", EVENT - 2 * UNCERTAIN_DAYS, "X"), SCIENCE)


def test_what_has_no_time_is_not_separated() -> None:
    assert not ALL.separates(frame("M.TOYS.1", inf, "CATALOGUE"), SCIENCE)


def test_files_on_the_same_side_are_not_separated() -> None:
    assert not ALL.separates(frame("TOYS.1", EVENT + 9, "X"), SCIENCE)


def test_only_breakpoints_of_the_instruments_at_hand_are_looked_at() -> None:
    other = Breakpoint(EVENT, ("ELSEWHERE",))
    everywhere = Breakpoint(EVENT)
    assert concerning((ALL, other, everywhere), [SCIENCE]) == (ALL, everywhere)


def test_repeated_records_are_one() -> None:
    record = {"mjdObs": EVENT, "instrument": "T", "dpInstrument": "T", "rawType": "R", "proCatg": "P", "doClass": "D"}
    assert read_breakpoints(json.dumps([record, record]), "x") == (Breakpoint(EVENT, ("T",), "R", "P", "D"),)


def test_a_tree_keeps_what_lies_beyond_a_breakpoint_and_says_so() -> None:
    headers = {
        Path("/s.fits"): {"MJD-OBS": EVENT + 1, "INSTRUME": "TOYSCOPE"},
        Path("/f.fits"): {"MJD-OBS": EVENT - 1, "INSTRUME": "TOYSCOPE"},
    }
    flats = Action("FLAT", (DatasetFile("TOYS.f", "FLAT_RED_LAMP", Path("/f.fits")),), match="calib_plan")
    science = Action("SCI", (DatasetFile("TOYS.s", "OBJECT", Path("/s.fits")),), actions=(flats,))
    dataset = with_breakpoint_messages(Dataset("D", "TOYSCOPE", science), headers, (FLATS,))
    assert dataset.action.actions == (flats,)
    (told,) = dataset.action.messages
    assert "TOYS.f (FLAT_RED_LAMP) lies beyond a change of the instrument" in told
    assert "kept as calSelector put it there" in told
