"""Static calibrations of a pipeline's kit in a reduction with real recipes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from esorex_bridge.demo.nights.hawki import hawki_night
from esorex_bridge.demo.nights.night import DemoNight
from tests.flows.conftest import Ended, put_on_disk

STATICS = ("PHOTCAL_TAB", "SCHLEGEL_MAP_NORTH", "SCHLEGEL_MAP_SOUTH")


@pytest.fixture
def night() -> DemoNight:
    return hawki_night(npix=128)


@pytest.fixture
def root(tmp_path: Path, frames_folder: Path, night: DemoNight) -> Path:
    """Return a data root whose static tables lie in the folder of a kit, under the names that a kit gives them."""
    folder = put_on_disk(night, frames_folder, tmp_path / "night")
    (tmp_path / "kit" / "hawki-2.4.11").mkdir(parents=True)
    for file in night.files:
        if file.category in STATICS:
            (folder / f"{file.dp_id}.fits").rename(tmp_path / "kit" / "hawki-2.4.11" / f"{file.category.lower()}.fits")
    return tmp_path / "night"


def edit_unseen(path: Path) -> None:
    """Give a file another content of the same size, and its old times."""
    state, data = path.stat(), path.read_bytes()
    at = data.index(b"END" + b" " * 77)
    path.write_bytes(data[: at - 1] + (b"y" if data[at - 1 : at] != b"y" else b"x") + data[at:])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.slow
def test_the_tables_of_a_kit_take_the_place_of_those_of_the_archive_where_the_user_says_so(
    bridge: Callable[..., Ended], root: Path, esorex: str
) -> None:
    (root / "statics.yaml").write_text("folders: [../kit]\nfirst: kit\n")
    ended = bridge("run", "--root", root, "--json")
    assert ended.code == 0, ended.err
    assert ended.decisions["hawki_science_process"] == "execute"
    again = bridge("run", "--root", root, "--json")
    assert again.decisions["hawki_science_process"] == "reuse"
    edit_unseen(root.parent / "kit" / "hawki-2.4.11" / "photcal_tab.fits")
    decisions = bridge("run", "--root", root, "--json", "--dry-run").decisions
    assert (decisions["hawki_dark_combine"], decisions["hawki_science_process"]) == ("reuse", "execute")
    (plan,) = bridge("plan", "--root", root, "--json").json["datasets"]
    science = next(step for step in plan["steps"] if step["recipe"] == "hawki_science_process")
    inputs = {entry["category"]: str(entry) for entry in science["inputs"]}
    assert all(f"/kit/hawki-2.4.11/{category.lower()}.fits" in inputs[category] for category in STATICS)


def test_without_that_word_the_archive_s_are_asked_for(bridge: Callable[..., Ended], root: Path) -> None:
    (root / "statics.yaml").write_text("folders: [../kit]\n")
    (plan,) = bridge("plan", "--root", root, "--json").json["datasets"]
    science = next(step for step in plan["steps"] if step["recipe"] == "hawki_science_process")
    assert [gap for gap in science["gaps"] if "(PHOTCAL_TAB) is not on this machine" in gap]
    assert "/kit/" not in str(science["inputs"])
