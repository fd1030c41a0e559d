"""What a dataset misses, asked of the archive: of the setting that is wanted, and never of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.datasets.dataset import Dataset, files_of
from esorex_bridge.definitions.oca.grammar import parse_rules
from esorex_bridge.organise.adql import is_in_path
from esorex_bridge.organise.gaps import fill_from_archive, gaps_of
from esorex_bridge.organise.organiser import Organised, organise
from tests.night_by_rules import RULES, night


def without_flats() -> Organised:
    """Return a night of science in J and K without the flats in K."""
    headers = {Path(f"/n/{name}.fits"): header for name, header in night().items() if not name.startswith("FLAT.K")}
    return organise(headers, parse_rules(RULES, "x"))


def in_k(organised: Organised) -> Dataset:
    (found,) = (dataset for dataset in organised.datasets if ("INS.FILT1.NAME", "K") in dataset.descriptors)
    return found


def row(second: int, filter_path: str | None, mjd: float = 57000.3) -> dict[str, Any]:
    name = f"TESTC.2015-01-01T00:00:{second:02}.000"
    return {"dp_id": name, "mjd_obs": mjd, "tpl_start": f"t{second}", "dp_type": "FLAT", "filter_path": filter_path}


def names_from(rows: list[dict[str, Any]]) -> set[str]:
    """Return the files of the archive that fill the gaps of the science in K."""
    organised = without_flats()
    dataset = in_k(organised)
    filled = fill_from_archive(dataset, gaps_of(dataset, organised, 7.0), lambda query: rows)
    return {file.name for file in files_of(filled) if file.path is None}


def test_the_query_asks_for_the_columns_that_tell_the_setting() -> None:
    organised = without_flats()
    gap = next(gap for gap in gaps_of(in_k(organised), organised, 7.0) if gap.raw_category == "FLAT")
    assert gap.paths == (("filter_path", "K"),)
    for column in ("filter_path", "grat_path", "gris_path", "slit_path", "det_dit", "ins_mode"):
        assert column in gap.query


def test_a_flat_of_another_filter_is_not_kept_though_it_is_nearer() -> None:
    assert names_from([row(1, "J"), row(2, "K", mjd=57003.0)]) == {"TESTC.2015-01-01T00:00:02.000"}


def test_where_there_is_only_another_filter_nothing_is_kept() -> None:
    assert names_from([row(1, "J"), row(2, "NB_K")]) == set()


def test_better_files_that_arrive_later_are_found() -> None:
    assert names_from([row(1, "J")]) == set()
    assert names_from([row(1, "J"), row(2, "K")]) == {"TESTC.2015-01-01T00:00:02.000"}


def test_a_row_that_does_not_tell_its_filter_is_not_refused() -> None:
    assert names_from([row(1, None)]) == {"TESTC.2015-01-01T00:00:01.000"}


@pytest.mark.parametrize(
    ("path", "name", "inside"),
    [
        ("Ks", "Ks", True),
        ("empty,Ks", "Ks", True),
        ("NB_2.17/empty", "NB_2.17", True),
        ("H+K", "H+K", True),
        ("H+K", "K", False),
        ("", "Ks", True),
        (None, "Ks", True),
        ("Ks", "H", False),
    ],
)
def test_a_path_names_what_is_in_the_lights_way(path: str | None, name: str, inside: bool) -> None:
    assert is_in_path(path, name) is inside
