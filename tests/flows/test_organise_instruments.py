"""The synthetic nights by the rules that come with the pipelines: organised, and planned as by their trees.

The rules were written by ESO for on-line work. Where their plan differs from that of the tree, the difference is listed
here with its reason, and nothing else may differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.definitions.installed_rules import rule_files
from esorex_bridge.demo.nights.catalogue import NIGHTS
from tests.flows.bare_night import BareNight

PIPELINES = {path.stem for path in rule_files()}

CALIBRATIONS_ALONE = {
    "vimos": "biases and darks; rules make datasets of science",
    "muse_dark": "biases and darks; rules make datasets of science",
    "muse_arcs": "lamps alone; rules make datasets of science",
    "uves_tflat": "flats through the telescope; rules make datasets of science",
}
"""Nights of which rules make no dataset, and why."""

DIFFERENCES = {
    "naco_standards": (
        "standard and PSF star are of other filters than the science: by rules a dataset gets what is of its setting",
        {"naco_img_zpoint", "naco_img_strehl"},
    ),
    "hawki": (
        "rules take what is nearest in time, and the processed dark is of the hour of the science",
        {"MASTER_DARK"},
    ),
    "muse": ("the rules want no dark (maxRet = 0)", {"MASTER_DARK"}),
    "muse_twilight": ("the rules want no dark (maxRet = 0)", {"MASTER_DARK"}),
    "muse_sky": (
        "the rules start no recipe for an exposure of the sky",
        {"SKY_CONTINUUM", "SKY_LINES"},
    ),
    "giraf": ("the rules want a dark for flats of fibres; the tree has none below the flat", {"MASTER_DARK"}),
}
"""Nights whose plans differ: why, and the calibrations or steps concerned."""

Made = tuple[str, frozenset[tuple[str, Any]]]
"""A step: its recipe, and its inputs by tag, files by name and products by what makes them."""


@pytest.fixture(params=NIGHTS)
def bare(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> BareNight:
    name = request.param.split("_")[0]
    if name not in PIPELINES:
        pytest.skip(f"the pipeline of {name} is not installed")
    return BareNight(request.param, tmp_path / "root", capsys)


def name_of(bare: BareNight) -> str:
    return next(name for name, listed in NIGHTS.items() if listed is bare.listed)


def made_by(bare: BareNight, by: str) -> set[Made]:
    """Return the steps of a plan; the plan must be complete."""
    document = bare.raw("plan", "--by", by, *bare.mode, *bare.settings)
    assert "exit code" not in document
    found: set[Made] = set()
    for dataset in document["datasets"]:
        steps = {step["step"]: step for step in dataset["steps"]}
        found.update(made(name, steps) for name in steps)
    return found


def made(name: str, steps: dict[str, Any]) -> Made:
    step = steps[name]
    inputs = (
        (each["category"], Path(each["file"]).name if "file" in each else made(each["step"], steps))
        for each in step["inputs"]
    )
    return step["recipe"], frozenset(inputs)


def without(step: Made, tags: set[str]) -> Made:
    """Return a step that takes nothing under some tags, nor does what it is made of."""
    kept = ((tag, each) for tag, each in step[1] if tag not in tags)
    return step[0], frozenset((tag, without(each, tags) if isinstance(each, tuple) else each) for tag, each in kept)


def makers(step: Made) -> Iterator[Made]:
    for _, each in step[1]:
        if isinstance(each, tuple):
            yield each
            yield from makers(each)


def test_a_night_by_its_pipelines_rules_gives_the_plan_of_its_tree(bare: BareNight) -> None:
    name = name_of(bare)
    trees = made_by(bare, "calselector")
    if name in CALIBRATIONS_ALONE:
        assert "makes a dataset" in bare.raw("plan", "--by", "oca")["error"]["message"]
        return
    rules = made_by(bare, "oca")
    if name not in DIFFERENCES:
        assert rules == trees
        return
    assert rules != trees, "a difference that is no more"
    parts = DIFFERENCES[name][1]
    assert ends(rules, parts) == ends(trees, parts)


def ends(steps: set[Made], parts: set[str]) -> set[Made]:
    """Return the steps from which nothing more is made, with what they are made of, less some recipes and tags."""
    taken = {maker for step in steps for maker in makers(step)}
    return {without(step, parts) for step in steps - taken if step[0] not in parts}


def test_rules_make_one_dataset_of_a_night_and_leave_no_file_without_a_category(bare: BareNight) -> None:
    name = name_of(bare)
    document = bare.raw("organise", "--by", "oca")
    assert document["unclassified"] == []
    assert len(document["datasets"]) == (0 if name in CALIBRATIONS_ALONE else 1)
    assert all(each["complete"] or each["secondary"] for each in document["datasets"])


@pytest.mark.parametrize(
    "verb", ["organise", "plan", "sof", "run --dry-run", "run --explain", "review NAME", "why NAME"]
)
def test_every_verb_takes_the_rules_alone(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = BareNight("naco", tmp_path / "root", capsys)
    (name,) = (each["name"] for each in bare.raw("organise")["datasets"])
    document = bare.raw(*verb.replace("NAME", name).split(), "--workflow", "none")
    assert "error" not in document
    assert "exit code" not in document


def test_rules_alone_add_nothing_that_only_recipes_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = BareNight("naco", tmp_path / "root", capsys)
    words = ("organise", "--by", "oca")
    whole, alone = (bare.raw(*words, *more)["datasets"][0]["action"] for more in ((), ("--workflow", "none")))
    assert [each["name"] for each in whole["actions"]] == ["naco_img_twflat", "naco_img_dark"]
    assert alone["actions"] == []
    planned = bare.raw("plan", "--by", "oca", "--workflow", "none")
    assert planned["exit code"] == 1
    assert "MASTER_IMG_FLAT" in planned["datasets"][0]["incomplete"][0]
