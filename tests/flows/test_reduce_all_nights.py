"""A programme with data of many instruments, as a new user reduces it: the archive served, one command, no option.

What frames need beyond the defaults of their recipes, the definitions must know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.amber import amber_night
from esorex_bridge.demo.nights.catalogue import NIGHTS, make_night
from esorex_bridge.demo.nights.night import DemoNight
from esorex_bridge.demo.nights.visir import visir_night
from tests.flows.conftest import Ended

PROGRAM = "60.A-9999(A)"


def reduce_programme(nights: Iterable[DemoNight], frames: Path, bridge: Callable[..., Ended], root: Path) -> Any:
    """Return what `reduce --program` says of the nights of an archive, with no option but the archive."""
    with EmbeddedArchive(list(nights), frames) as archive:
        words = ("reduce", "--program", PROGRAM, "--archive", archive.url, "--root", root, "--json")
        ended = bridge(*words, seconds=6000)
    assert ended.code == 0, ended.err
    return ended.json


def science_templates(nights: Iterable[DemoNight]) -> list[set[str]]:
    """Return the names of the science frames that calSelector has a tree of, for each tree."""
    trees = [tree for night in nights for tree in night.trees if tree.mode == "Raw2Raw"]
    science = {file.dp_id for night in nights for file in night.files if file.is_science}
    return [names for tree in trees if (names := {file.name for file in tree.root.files} & science)]


def assert_all_reduced(document: Any, nights: Iterable[DemoNight]) -> None:
    """Hold every dataset to products of science, or to the reason why there are none, and every step to its end."""
    science = {file.dp_id for night in nights for file in night.files if file.is_science}
    names = {each["dataset"].removesuffix("_tpl") for each in document["datasets"]}
    assert names <= science and len(names) == len(document["datasets"]) == len(science_templates(nights))
    for dataset in document["datasets"]:
        ends = {step["step"]: step["outcome"] for step in dataset["steps"]}
        assert set(ends.values()) <= {"done", "skipped"}, (dataset["dataset"], ends)
        assert dataset["end_products"] or dataset["unreduced"], dataset["dataset"]
        for product in dataset["end_products"]:
            assert Path(product["path"]).stat().st_size > 2880


def test_nights_of_two_instruments_are_reduced_by_one_command(
    bridge: Callable[..., Ended], frames_folder: Path, tmp_path: Path, esorex: str
) -> None:
    nights = (amber_night(), visir_night())
    document = reduce_programme(nights, frames_folder, bridge, tmp_path)
    assert_all_reduced(document, nights)
    assert {each["workflow"] for each in document["datasets"]} == {"amber", "visir"}


@pytest.mark.slow
@pytest.mark.timeout(9000)
def test_all_nights_are_reduced_by_one_command(
    bridge: Callable[..., Ended], frames_folder: Path, tmp_path: Path, esorex: str
) -> None:
    # HAWK-I's night of full size takes as long as all others: its recipes look for stars in every pixel many times.
    nights = tuple({night.name: night for night in map(make_night, NIGHTS)}.values())
    document = reduce_programme(nights, frames_folder, bridge, tmp_path)
    assert_all_reduced(document, nights)
    again = reduce_programme(nights, frames_folder, bridge, tmp_path)
    assert again["executed"] == 0
