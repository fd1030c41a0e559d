"""Before a step in a workflow: what belongs to it is handed on, and nothing that would mislead its recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.errors import UserError
from reflex_actors.actors.step_inputs import ACTOR, by_header, work
from reflex_actors.protocol import Inputs
from reflex_actors.sof_json import FitsFile, SetOfFiles
from tests.tiny_fits import fits_of


def sof(*files: tuple[str, str, str]) -> SetOfFiles:
    return SetOfFiles("night", tuple(FitsFile(f"/d/{n}", category, tuple(p.split())) for n, category, p in files))


def handed_on(**given: Any) -> list[tuple[str, str, str]]:
    found = work(Inputs(given))["out_sof"]
    return [(file.name[3:], file.category, " ".join(file.purposes)) for file in found.files]


def test_a_step_without_main_files_gets_nothing() -> None:
    assert handed_on(in_sof=sof(("d", "MASTER_DARK", "SCI")), main_sof=sof()) == []


def test_calibrations_stay_where_main_files_have_their_purpose() -> None:
    both = sof(("f", "FLAT", "FLAT/SCI"), ("d", "MASTER_DARK", "FLAT/SCI SCI"), ("u", "TABLE", ""), ("x", "Y", "SCI"))
    assert handed_on(in_sof=both, main_sof=sof(("f", "FLAT", "FLAT/SCI"))) == [
        ("f", "FLAT", "FLAT/SCI"),
        ("d", "MASTER_DARK", "FLAT/SCI"),
        ("u", "TABLE", ""),
    ]


def test_groups_of_steps_that_take_the_same_files_directly_are_left_to_them() -> None:
    darks = sof(("a", "DARK", "DARK/SCI"), ("b", "DARK", "FLAT/SCI"), ("c", "DARK", "ARC/SCI"))
    found = handed_on(
        in_sof=darks,
        main_sof=darks,
        others_sof=sof(("f", "FLAT", "FLAT/SCI")),
        others_sof_2=sof(("l", "LAMP", "ARC/SCI")),
    )
    assert found == [("a", "DARK", "DARK/SCI")]


def test_files_marked_for_another_step_are_left_to_it() -> None:
    flats = sof(("f", "FLAT", "FLAT.one_1/SCI FLAT.two_1/SCI"))
    assert handed_on(in_sof=flats, main_sof=flats, step="two_1") == [("f", "FLAT", "FLAT.two_1/SCI")]


def test_tags_become_those_that_the_recipe_knows() -> None:
    assert handed_on(in_sof=sof(("b", "IMG_BPM", "SCI")), names="IMG_BPM=BPM") == [("b", "BPM", "SCI")]
    with pytest.raises(UserError, match="OLD=NEW"):
        work(Inputs({"in_sof": sof(), "names": "IMG_BPM"}))


def test_a_group_that_lacks_what_the_recipe_needs_is_left_out_and_told() -> None:
    both = sof(("a", "OBJECT", "SCI"), ("b", "OBJECT", "SCI_2"), ("f", "MASTER_FLAT", "SCI"), ("u", "TABLE", ""))
    found = work(Inputs({"in_sof": both, "main_sof": both, "required": "MASTER_FLAT,TABLE"}))
    assert {file.name for file in found["out_sof"].files} == {"/d/a", "/d/f", "/d/u"}
    assert found["messages"] == "SCI_2 is left out: it has no MASTER_FLAT"


def test_where_every_group_is_left_out_universal_files_do_not_stay_alone() -> None:
    assert handed_on(in_sof=sof(("a", "OBJECT", "SCI"), ("u", "TABLE", "")), required="MASTER_FLAT") == []


def test_no_actor_has_an_input_and_an_output_of_one_name() -> None:
    import importlib

    from reflex_actors.actors import NAMES

    for name in NAMES:
        face = importlib.import_module(f"reflex_actors.actors.{name}").ACTOR
        assert face.name == name
        inputs, outputs = {port.name for port in face.inputs}, {port.name for port in face.outputs}
        assert inputs.isdisjoint(outputs), name
        assert len(inputs) == len(face.inputs) and len(outputs) == len(face.outputs)
    assert ACTOR.name in NAMES


def test_a_product_that_is_listed_under_another_category_gets_that_of_its_header(tmp_path: Path) -> None:
    transfer = tmp_path / "trf.fits"
    transfer.write_bytes(fits_of({"PRO.CATG": "AMBER_TRF_K"}))
    listed = SetOfFiles("night", (FitsFile(str(transfer), "CALIB_REDUCED", ("SCI",)),))
    assert [file.category for file in by_header(listed, ("AMBER_TRF_K",)).files] == ["AMBER_TRF_K"]
    assert by_header(listed, ("CALIB_REDUCED", "AMBER_TRF_K")) == listed
    assert by_header(listed, ("SCIENCE_REDUCED",)) == listed
