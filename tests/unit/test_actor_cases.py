"""The actor `run_recipe` and `reflex run` give files what the cases of a definition have for them, as `run` does."""

from __future__ import annotations

from pathlib import Path

import pytest

from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings
from reflex_actors.actors.run_recipe import plan_of
from reflex_actors.headless.bridge_recipes import BridgeRecipes
from reflex_actors.headless.running import RecipeRequest
from reflex_actors.sof_json import FitsFile, SetOfFiles, parameter
from tests.tiny_fits import fits_of

GENERAL = {"nifu": "-1"}
"""What the workflow file has for all files, as MUSE's does."""


def bias(folder: Path, block: str) -> SetOfFiles:
    """Return a bias of MUSE that was taken in an observation block."""
    raw = folder / "MUSE.2020-01-01T00:00:00.000.fits"
    raw.write_bytes(fits_of({"INSTRUME": "MUSE", "OBS.NAME": block, "MJD-OBS": 58849.0}))
    return SetOfFiles("bias", (FitsFile(str(raw), "BIAS"),))


def parameters(folder: Path, block: str, **given: str) -> dict[str, object]:
    """Return what a bias of MUSE is reduced with."""
    sof = bias(folder, block)
    chosen = tuple(ParameterSetting("muse_bias", *pair, "in_sop") for pair in {**GENERAL, **given}.items())
    with Session(Settings(root=folder)) as session:
        (step,) = plan_of(session, "muse_bias", sof, None, chosen).steps
    return {each.name: each.value for each in step.settings}


@pytest.mark.parametrize(("block", "nifu"), [("MUSE_ONE_IFU", 1), ("ANY", "-1")])
def test_a_case_goes_before_what_the_workflow_file_has_for_all_files(tmp_path: Path, block: str, nifu: object) -> None:
    assert parameters(tmp_path, block) == {"nifu": nifu}


def test_what_a_user_chose_goes_before_a_case(tmp_path: Path) -> None:
    assert parameters(tmp_path, "MUSE_ONE_IFU", nifu="7", ksigma="3") == {"nifu": "7", "ksigma": "3"}


@pytest.mark.parametrize(("ours", "nifu"), [(True, 1), (False, "-1")])
def test_a_workflow_file_that_is_run_has_the_cases_of_its_definition_where_it_was_made_from_one(
    tmp_path: Path, ours: bool, nifu: object
) -> None:
    set_there = (parameter("muse_bias", "nifu", "-1"),)
    request = RecipeRequest("muse_bias_1", "muse_bias", bias(tmp_path, "MUSE_ONE_IFU"), set_there)
    with Session(Settings(root=tmp_path)) as session:
        (step,) = BridgeRecipes(session, "muse", by_definition=ours).plan_request(request).steps
    assert {each.name: each.value for each in step.settings} == {"nifu": nifu}
