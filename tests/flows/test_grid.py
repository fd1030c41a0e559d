"""One night with several values of a parameter: what is shared, what differs, and the table of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from astropy.io import fits

from tests.flows.conftest import SMALL, Ended

pytestmark = pytest.mark.usefixtures("esorex")

GRID = ("--grid", "naco_img_jitter.rej=1 1,0 0")


def sums(path: str) -> list[object]:
    with fits.open(path) as hdus:
        return [hdu.header["DATASUM"] for hdu in hdus]


def test_variants_share_what_comes_before_and_are_compared(root: Path, bridge: Callable[..., Ended]) -> None:
    ended = bridge("run", "--root", root, "--json", *SMALL, *GRID)
    assert ended.code == 0, ended.err
    first, other = ended.json["variants"]
    assert [first["executed"], other["executed"]] == [3, 1]
    assert [first["parameters"], other["parameters"]] == [
        {"naco_img_jitter.rej": "1 1"},
        {"naco_img_jitter.rej": "0 0"},
    ]
    paths = [variant["datasets"][0]["end_products"][0]["path"] for variant in (first, other)]
    assert Path(paths[0]).parent != Path(paths[1]).parent
    (compared,) = other["against_first"]
    assert compared["same_data"] == (sums(paths[0]) == sums(paths[1]))
    assert not compared["same_data"]
    assert compared["difference"]
    told = bridge("compare", *paths, "--root", root).out
    assert "parameter naco.naco_img_jitter.rej: 1 1 -> 0 0" in told
    again = bridge("run", "--root", root, *SMALL, *GRID)
    assert again.code == 0
    assert all(path in again.out for path in paths)
    assert "the first" in again.out
    assert "QC." in again.out


def test_a_dry_run_of_a_grid_runs_nothing(root: Path, bridge: Callable[..., Ended]) -> None:
    ended = bridge("run", "--root", root, "--dry-run", *SMALL, *GRID)
    assert ended.code == 0, ended.err
    assert ended.out.count("naco_img_jitter_1") == 2
    assert not (root / "reflex_end_products").exists()


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ("naco_img_jitter.rej", "RECIPE.PARAM=VALUE"),
        ("naco_img_jitter.rej=1 1", "one value"),
        ("naco_img_jittre.rej=1 1,0 0", "naco_img_jittre"),
        ("naco_img_jitter.oddeven=true,perhaps", "perhaps"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_runs(
    grid: str, said: str, root: Path, bridge: Callable[..., Ended]
) -> None:
    ended = bridge("run", "--root", root, *SMALL, "--grid", grid)
    assert ended.code == 1
    assert said in ended.err
    assert not (root / "reflex_tmp_products").exists()
