"""The association trees of the synthetic nights, and their document."""

from __future__ import annotations

from pathlib import Path

import pytest

from esorex_bridge.datasets.association import AssociatedFile, Association, AssociationTree, walk
from esorex_bridge.datasets.xml import read_tree
from esorex_bridge.demo.archive.tree_xml import tree_document
from esorex_bridge.demo.nights.amber import amber_night
from esorex_bridge.demo.nights.hawki import hawki_night
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.demo.nights.night import DemoNight

NIGHTS = (naco_night(npix=64, templates=2), hawki_night(npix=64), amber_night())


@pytest.mark.real
def test_a_real_tree_is_written_byte_for_byte(real: Path) -> None:
    document = (real / "astroquery" / "FORS2.2021-01-02T00_59_12.533_raw2raw.xml").read_bytes()
    assert tree_document(read_tree(document)).encode() == document


@pytest.mark.parametrize("night", NIGHTS, ids=lambda night: night.name)
def test_trees_survive_being_written_and_read(night: DemoNight) -> None:
    for tree in night.trees:
        assert read_tree(tree_document(tree).encode()) == tree


def test_what_xml_could_misread_survives() -> None:
    odd = Association("A<&>\"'", (AssociatedFile("N<1>", "T&T"),), messages=('it\'s 5 > 3 & "so"',), complete=False)
    tree = AssociationTree(odd, "Raw2Master")
    assert read_tree(tree_document(tree).encode()) == tree


def test_deep_trees_are_indented_by_half_a_line_at_most() -> None:
    node = Association("LEAF", (AssociatedFile("X.2020-01-01T00:00:00.000", "LEAF"),), match="N/A")
    for _ in range(6):
        node = Association("NODE", (), (node,), match="N/A")
    lines = tree_document(AssociationTree(Association("ROOT", (), (node,)), "Raw2Raw")).splitlines()
    assert max(len(line) - len(line.lstrip()) for line in lines) == 36


@pytest.mark.parametrize("night", NIGHTS, ids=lambda night: night.name)
def test_trees_name_only_files_of_the_night_with_their_tags(night: DemoNight) -> None:
    for tree in night.trees:
        for node in walk(tree.root):
            for file in node.files:
                assert night.file(file.name).category == file.category


def test_the_naco_tree_has_what_real_trees_have() -> None:
    night = NIGHTS[0]
    root = night.trees[0].root
    darks = [child for child in root.associated if child.category == "DARK"]
    flat = next(child for child in root.associated if child.category == "FLAT_TW")
    dits = [{night.file(file.name).keyword("ESO DET DIT") for file in dark.files} for dark in darks]
    assert root.category != root.files[0].category
    assert dits == [{10.0}, {2.0}], "two groups of one category, apart by a keyword"
    assert flat.associated == (darks[1],), "the same sub-tree twice"
    assert [child.certified for child in root.associated if child.kind == "auxiliary"] == [False]
    assert [child.match for child in root.associated if child.files[0].name.startswith("M.")] == ["N/A"]


def test_raw2master_is_downgraded_where_there_are_no_masters() -> None:
    naco, hawki, _ = NIGHTS
    modes = [
        tree.mode for night in (naco, hawki) if (tree := night.tree(night.science[0].dp_id, "Raw2Master")) is not None
    ]
    assert modes == ["Raw2Raw", "Raw2Master"]


def test_calibrations_have_no_tree() -> None:
    night = NIGHTS[0]
    assert night.tree(night.raws[0].dp_id, "Raw2Raw") is None
