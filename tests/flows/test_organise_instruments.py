"""The nights of several instruments organised by their pipelines' rules: as deep as the rules and the files go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.demo.nights.catalogue import make_night
from tests.flows.conftest import Ended, put_on_disk

pytestmark = pytest.mark.usefixtures("esorex")


def cascade(action: dict[str, Any]) -> dict[str, Any]:
    """Return the names of an action's cascade, nested."""
    return {child["name"]: cascade(child) for child in action["actions"]}


def organised(name: str, frames: Path, root: Path, bridge: Callable[..., Ended]) -> dict[str, Any]:
    put_on_disk(make_night(name), frames, root)
    dataset, *_ = bridge("organise", "--root", root, "--by", "oca", "--json").json["datasets"]
    found: dict[str, Any] = dataset["action"]
    return found


def test_a_night_of_visir_joins_flats_to_science(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    action = organised("visir", frames_folder, tmp_path, bridge)
    assert action["complete"]
    assert cascade(action) == {"visir_img_ff": {}}


def test_a_night_of_naco_spectra_joins_lamp_flats(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    action = organised("naco_spectra", frames_folder, tmp_path, bridge)
    assert action["complete"]
    assert cascade(action) == {"naco_spc_lampflat": {}}


def test_a_night_of_uves_has_its_whole_cascade_but_for_the_guess_that_the_night_does_not_hold(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    action = organised("uves_guess", frames_folder, tmp_path, bridge)
    bias: dict[str, Any] = {"UVES_MASTER_BIAS_B": {}}
    orders = {"UVES_CAL_ORDERPOS_B": bias}
    dark = {"UVES_MASTER_DARK_B": bias}
    flat = {"UVES_MASTER_FLAT_B": {**bias, **dark, **orders}}
    arc = {"UVES_CAL_WAVECAL_B": {**orders, **bias, **flat}}
    assert cascade(action) == {**orders, **arc, **bias, **flat, **dark}
    missing = [text for child in action["actions"] for text in child["messages"]]
    assert missing == ["Missing LINE_GUESS_TAB_BLUE"]


def test_a_night_of_muse_joins_flats_and_biases(
    tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    action = organised("muse", frames_folder, tmp_path, bridge)
    assert cascade(action)["muse_flat"] == {"muse_bias": {}}
    assert action["messages"] == ["Missing WAVECAL_TABLE"], "the night holds no arcs"
