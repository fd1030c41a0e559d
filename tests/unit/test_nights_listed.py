"""The nights of the list: one archive can hold all of them, and their definitions make whole plans of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from esorex_bridge.datasets.association import AssociationTree
from esorex_bridge.datasets.build import dataset_from_tree
from esorex_bridge.definitions.folders import own_definitions
from esorex_bridge.demo.nights.catalogue import NIGHTS, make_night, night_name
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight
from esorex_bridge.errors import UserError
from esorex_bridge.plan.cascade import make_plan
from esorex_bridge.plan.plan import FileInput, Keywords, Plan


def test_nights_that_are_served_together_share_no_file_but_the_same_ones() -> None:
    nights = {night.name: night for night in map(make_night, NIGHTS)}
    known: dict[str, ArchiveFile] = {}
    for night in nights.values():
        for file in night.files:
            other = known.setdefault(file.dp_id, file)
            assert other is file or (other.keywords == file.keywords and other.build() == file.build()), file.dp_id


@pytest.mark.parametrize("name", NIGHTS)
def test_every_tree_of_a_night_becomes_a_plan_without_gaps(name: str) -> None:
    night = make_night(name)
    for tree in night.trees:
        plan = planned(night, tree)
        assert any(step.target for step in plan.steps)
        assert [gap for step in plan.steps for gap in step.gaps] == []


@pytest.mark.parametrize(
    ("spelling", "name"),
    [("giraffe", "giraf"), ("GIRAFFE", "giraf"), ("HAWK-I", "hawki"), ("hawki", "hawki"), ("NAOS+CONICA", "naco")],
)
def test_instruments_are_taken_in_the_spellings_of_eso(spelling: str, name: str) -> None:
    assert night_name(spelling) == name
    assert make_night(spelling).name == make_night(name).name


def test_a_night_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UserError, match=r"'metis'; there are: naco, .*visir"):
        night_name("metis")


def test_all_quadrants_of_vimos_go_into_one_run_of_each_recipe() -> None:
    night = make_night("vimos_full")
    (tree,) = night.trees
    quadrants = {file.dp_id: file.keyword("ESO OCS CON QUAD") for file in night.raws}
    steps = planned(night, tree).steps
    assert len(steps) == 6
    for step in steps:
        raws = [file for file in step.inputs if isinstance(file, FileInput) and file.name in quadrants]
        for category in {file.category for file in raws}:
            taken = sorted(quadrants[file.name] for file in raws if file.category == category)
            exposures = 1 if category == "STD" else 2
            assert taken == sorted((1, 2, 3, 4) * exposures), (step.actor, category)


def planned(night: DemoNight, tree: AssociationTree) -> Plan:
    """Return the plan for a tree by the headers of the night's files, none of which is made."""
    paths = {file.dp_id: Path(f"/data/{file.dp_id}.fits") for file in night.files}
    headers = {paths[file.dp_id]: header_of(file) for file in night.files}
    first = headers[paths[night.file(tree.root.files[0].name).dp_id]]
    workflow = own_definitions().choose(night.instrument, first)
    return make_plan(dataset_from_tree(tree, paths), workflow, headers)


def header_of(file: ArchiveFile) -> Keywords:
    """Return the keywords by the names that definitions use."""
    return {name.removeprefix("ESO ").replace(" ", "."): value for name, value in file.keywords}
