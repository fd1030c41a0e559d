"""How far calibrations are from what they calibrate, told by archive names alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from esorex_bridge.datasets.association import AssociatedFile, Association
from esorex_bridge.datasets.distance import days_away, list_distances
from esorex_bridge.workspace.tree_files import read_tree_file


def group(name: str, *taken: str, associated: tuple[Association, ...] = (), match: str = "calib_plan") -> Association:
    files = tuple(AssociatedFile(text, name) for text in taken)
    return Association(name, files, associated, match=match)  # type: ignore[arg-type]


SCIENCE = "NACO.2016-03-02T00:00:00.000"


def test_the_nearest_file_of_a_group_counts_on_either_side() -> None:
    flats = group("FLAT", "NACO.2016-03-05T00:00:00.000", "NACO.2016-03-01T12:00:00.000")
    assert days_away(flats, group("SCI", SCIENCE)) == 0.5


def test_names_of_processed_files_do_not_tell_when_they_were_taken() -> None:
    assert days_away(group("BPM", "M.NACO.2016-03-01T12:00:00.000"), group("SCI", SCIENCE)) is None


def test_colons_may_lie_as_underscores_and_what_is_no_time_is_passed_over() -> None:
    flats = group("FLAT", "NACO.2016-03-02T06_00_00.000", "NACO.2016-13-41T00:00:00.000", "night_log")
    assert days_away(flats, group("SCI", SCIENCE)) == 0.25


def test_groups_of_one_kind_are_one_line_and_auxiliary_ones_none() -> None:
    dark = group("DARK", "NACO.2016-03-03T00:00:00.000", match="extended")
    flats = tuple(group("FLAT", f"NACO.2016-03-{day}T00:00:00.000", associated=(dark,)) for day in ("01", "04"))
    aside = Association("ACQ", (AssociatedFile(SCIENCE, "ACQ"),), kind="auxiliary")
    found = list_distances([group("SCI", SCIENCE, associated=(*flats, aside, flats[0]))])
    assert [(each.purpose, each.match, each.level, each.groups, each.days) for each in found] == [
        ("FLAT/SCI", "calib_plan", 0, 2, (1.0, 2.0)),
        ("DARK/FLAT", "extended", 1, 2, (1.0, 2.0)),
    ]


@pytest.mark.real
def test_the_flats_of_a_real_tree_are_a_week_away(real: Path) -> None:
    tree = read_tree_file(real / "astroquery" / "FORS2.2021-01-02T00_59_12.533_raw2raw.xml")
    found = {each.purpose: each for each in list_distances([tree.root])}
    flats = found[f"FLAT_SKY/{tree.root.category}"]
    assert (flats.level, flats.days) == (0, pytest.approx((7.03, 7.03), abs=0.01))
