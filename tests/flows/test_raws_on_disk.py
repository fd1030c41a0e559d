"""Raws that lie on disk under any name: reduced in one step, in batches, and adopted by what their headers say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from tests.flows.conftest import SMALL, Ended

RECIPES = {"naco_img_dark", "naco_img_twflat", "naco_img_jitter"}
NOWHERE = ("--archive", "http://127.0.0.1:9")


@pytest.fixture
def raws(root: Path, tmp_path: Path) -> Path:
    """Return a folder with the raws of a night under names of somebody's own, without trees."""
    folder = tmp_path / "raws"
    folder.mkdir()
    for number, path in enumerate(sorted(root.rglob("*.fits"))):
        (folder / f"frame_{number}.fits").symlink_to(path)
    return folder


@pytest.mark.usefixtures("esorex")
def test_reduce_takes_a_folder_and_asks_no_archive(raws: Path, tmp_path: Path, bridge: Callable[..., Ended]) -> None:
    done = bridge("reduce", raws, "--root", tmp_path / "out", *NOWHERE, "--json", *SMALL)
    assert done.code == 0, done.err
    assert done.decisions == dict.fromkeys(RECIPES, "execute")
    assert Path(done.json["datasets"][0]["end_products"][0]["path"]).is_relative_to(tmp_path / "out")
    again = bridge("run", "--data", raws, "--root", tmp_path / "out", "--json", *SMALL)
    assert again.json["executed"] == 0
    batch = bridge("batch", "--data", raws, "--root", tmp_path / "out", *NOWHERE, "--json", *SMALL)
    assert batch.code == 0, batch.err
    assert [(each["outcome"], each["made"]) for each in batch.json["datasets"]] == [("reused", 0)]


def test_a_folder_and_a_query_are_refused_together(raws: Path, tmp_path: Path, bridge: Callable[..., Ended]) -> None:
    refused = bridge("reduce", raws, "--program", "60.A-9999(A)", "--root", tmp_path / "out")
    assert refused.code == 1
    assert "leave out --program '60.A-9999(A)', or the folder" in refused.err


def test_adopt_knows_raws_by_their_header(
    raws: Path, tmp_path: Path, bridge: Callable[..., Ended], small_archive: EmbeddedArchive
) -> None:
    adopted = bridge("adopt", raws, "--root", tmp_path / "adopted", "--json")
    assert adopted.json["linked"] >= 18, adopted.err
    names = {path.name for path in (tmp_path / "adopted" / "reflex_input").rglob("*.fits")}
    assert "NACO.2016-03-02T00:30:00.076.fits" in names
    words = ("--root", tmp_path / "adopted", "--archive", small_archive.url, "--yes", "--json")
    fetched = bridge("fetch", "NACO.2016-03-02T00:30:00.076", *words)
    assert fetched.code == 0, fetched.err
    status = {file["name"]: file["status"] for file in fetched.json["files"]}
    assert status["NACO.2016-03-02T00:30:00.076"] == "kept"
    assert sum(value == "fetched" for value in status.values()) <= 2
