"""The scripts in Jython of ESO's kits: each is known by what it says, and does what it would do in Kepler."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from reflex_actors.headless.running import RunOptions
from reflex_actors.headless.workflow_run import UnknownPartsError
from reflex_actors.moml.blocks import actor, constant, director, port_in, port_out, wiring
from reflex_actors.moml.model import COMPOSITE, Entity, Property
from reflex_actors.sof_json import FitsFile, SetOfFiles
from tests.stand_in_recipes import StandInRecipes, product, run_workflow

SET_PURPOSE = """
class Main:
  def fire(self):
    master = JSONTools.fromJSON(self.master_purpose.get(0).stringValue()).getFiles()[0].purposes
    for each in JSONTools.fromJSON(self.in_sof.get(0).stringValue()).getFiles():
      each.setPurposes(master)
"""

TABLE = """
class Main:
  def fire(self):
    for each in files:
      if each.category == 'CONFIG_TABLE':
        start = table.getElement(0, table.findColumn('startwavelength'))[0]
        text = "w_calib:startwave="+str(start)+"\\n"
        degree = table.getElement(0, table.findColumn('wdegree'))[0]
        text = text + "w_calib:wdegree="+str(degree)+"\\n"
"""


def outcome(script: str, inputs: Mapping[str, SetOfFiles], output: str, folder: Path) -> str:
    """Return what a script sends, which gets sets of files."""
    ports = (*map(port_in, inputs), port_out(output))
    properties = (Property("script", "ptolemy.kernel.util.StringAttribute", script),)
    entities = (
        *(constant(f"Give {port}", json.dumps(sof.document()), once=True) for port, sof in inputs.items()),
        Entity("Script", "ptolemy.actor.lib.python.PythonScript", properties, ports),
        actor("Show", "ptolemy.actor.lib.gui.Display"),
    )
    given = ((f"Give {port}.output", f"Script.{port}") for port in inputs)
    relations, links = wiring((*given, (f"Script.{output}", "Show.input")))
    root = Entity("it", COMPOSITE, (director(top=True),), (), entities, relations, links)
    report = run_workflow(root, {}, StandInRecipes(folder / "made"), RunOptions())
    assert report.done, (report.problem, report.left)
    (said,) = report.said
    return said


def sof(*files: FitsFile) -> SetOfFiles:
    return SetOfFiles("night", files)


FLAT = FitsFile("/data/flat.fits", "MASTER_FLAT", ("FLAT/STD/SCI", "FLAT/SCI"))


@pytest.mark.parametrize(
    ("others", "purposes"),
    [((FitsFile("/data/std.fits", "STD", ("STD/SCI",)), FLAT), ["STD/SCI"]), ((), [])],
)
def test_set_purpose_gives_files_those_of_the_first_file_of_another_set(
    others: tuple[FitsFile, ...], purposes: list[str], tmp_path: Path
) -> None:
    said = outcome(SET_PURPOSE, {"in_sof": sof(FLAT), "master_purpose": sof(*others)}, "out_sof", tmp_path)
    (file,) = json.loads(said)["files"]
    assert (file["category"], file["purposes"]) == ("MASTER_FLAT", purposes)


def test_recipe_parameters_come_out_of_the_table_that_is_among_the_files(tmp_path: Path) -> None:
    row = np.array([(4800.0, 4)], dtype=[("startwavelength", "f4"), ("wdegree", "i4")])
    table = fits.BinTableHDU(row)
    primary = fits.PrimaryHDU()
    primary.header["HIERARCH ESO PRO CATG"] = "CONFIG_TABLE"
    fits.HDUList([primary, table]).writeto(tmp_path / "table.fits")
    files = sof(FLAT, FitsFile(str(tmp_path / "table.fits"), "CONFIG_TABLE"))
    assert outcome(TABLE, {"input": files}, "output", tmp_path) == "w_calib:startwave=4800.0\nw_calib:wdegree=4\n"
    assert outcome(TABLE, {"input": sof(FLAT)}, "output", tmp_path) == ""


def test_a_table_without_a_column_ends_the_workflow_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "table.fits"
    path.write_bytes(product("CONFIG_TABLE"))
    with pytest.raises(AssertionError, match=r"table\.fits holds no parameters"):
        outcome(TABLE, {"input": sof(FitsFile(str(path), "CONFIG_TABLE"))}, "output", tmp_path)


def test_a_script_that_is_not_known_is_named_and_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(UnknownPartsError, match="Script: its script in Jython is none of those that are known"):
        outcome("import os; os.remove('x')", {"input": sof(FLAT)}, "output", tmp_path)
