"""The parameters that a definition has for some files, as the actors `step_parameters` and `run_recipe` give them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.definitions.folders import read_workflow, workflow_folder
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.definitions.steps import StepDefinition
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings
from reflex_actors.actors.run_recipe import plan_of
from reflex_actors.actors.step_parameters import text_for, work
from reflex_actors.definitions import find_definition
from reflex_actors.protocol import Inputs
from reflex_actors.sof_json import FitsFile, RecipeParameter, SetOfFiles, parameter
from tests.tiny_fits import fits_of, header_bytes

EXTENSION = ("XTENSION= 'IMAGE   '", "BITPIX  =                    8", "NAXIS   =                    0")


def step(name: str) -> StepDefinition:
    (found,) = (each for each in read_workflow(workflow_folder() / "muse.yaml").steps if each.name == name)
    return found


def bias(folder: Path, ifus: int) -> SetOfFiles:
    """Return a bias of the first so many IFUs of MUSE."""
    raw = folder / "MUSE.2020-01-01T00:00:00.000.fits"
    channels = (header_bytes([*EXTENSION, f"EXTNAME = 'CHAN{number:02d}'"]) for number in range(1, ifus + 1))
    raw.write_bytes(fits_of({"INSTRUME": "MUSE", "MJD-OBS": 58849.0}) + b"".join(channels))
    return SetOfFiles("bias", (FitsFile(str(raw), "BIAS"),))


def by_actor(name: str, sof: SetOfFiles, by_hand: tuple[RecipeParameter, ...] = ()) -> dict[str, Any]:
    sop = work(Inputs({"in_sof": sof, "in_sop": by_hand, "step": text_for(step(name))}))["out_sop"]
    return {each.display_name: each.value for each in sop}


def by_run_recipe(folder: Path, sof: SetOfFiles, **given: str) -> dict[str, Any]:
    chosen = tuple(ParameterSetting("muse_bias", *pair, "in_sop") for pair in given.items())
    with Session(Settings(root=folder)) as session:
        (made,) = plan_of(session, "muse_bias", sof, None, chosen).steps
    return {each.name: each.value for each in made.settings}


@pytest.mark.parametrize(("ifus", "nifu"), [(1, 1), (24, -1)])
def test_a_file_of_one_ifu_is_told_from_one_of_all(tmp_path: Path, ifus: int, nifu: int) -> None:
    assert by_actor("muse_bias_1", bias(tmp_path, ifus)) == {"nifu": nifu}
    assert by_run_recipe(tmp_path, bias(tmp_path, ifus)) == {"nifu": nifu}


def test_what_a_user_set_goes_before_a_case(tmp_path: Path) -> None:
    by_hand = (parameter("muse_bias", "nifu", "7"), parameter("muse_bias", "ksigma", "3"))
    assert by_actor("muse_bias_1", bias(tmp_path, 1), by_hand) == {"nifu": "7", "ksigma": "3"}
    assert by_run_recipe(tmp_path, bias(tmp_path, 1), nifu="-1", ksigma="3") == {"nifu": "-1", "ksigma": "3"}


def test_a_case_counts_where_a_calibration_is_lacking() -> None:
    tables = SetOfFiles("cube", (FitsFile("/not/there.fits", "PIXTABLE_OBJECT"), FitsFile("/s.fits", "SKY_LINES")))
    profile = FitsFile("/p.fits", "LSF_PROFILE")
    assert by_actor("muse_scipost_1", tables) == {"skymethod": "simple"}
    assert by_actor("muse_scipost_1", tables.with_files((*tables.files, profile))) == {"skymethod": "model"}


def test_a_group_without_files_gets_what_holds_for_all() -> None:
    assert by_actor("muse_bias_1", SetOfFiles("none")) == {"nifu": -1}


def test_a_table_that_any_detector_could_have_does_not_hide_whose_frames_these_are(tmp_path: Path) -> None:
    table, raw = tmp_path / "M.VISIR.2016-01-01T00:00:02.202.fits", tmp_path / "VISIR.2016-05-03T02:00:00.076.fits"
    table.write_bytes(fits_of({"INSTRUME": "VISIR", "PRO.CATG": "SPEC_CAL_LINES"}))
    raw.write_bytes(fits_of({"INSTRUME": "VISIR", "MJD-OBS": 57511.1}))
    sof = SetOfFiles("night", (FitsFile(str(table), "SPEC_CAL_LINES"), FitsFile(str(raw), "SPEC_CAL_PHOT")))
    with Session(Settings(root=tmp_path)) as session:
        workflow, found = find_definition(session.planning, "visir_spc_reduce", sof)
    assert workflow is not None and workflow.name == "visir_aquarius"
    assert found is not None and found.main == ("SPEC_CAL_PHOT",)
