"""Datasets become plans: what is taken, what is refused, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile
from esorex_bridge.definitions.workflow_yaml import parse_workflow
from esorex_bridge.plan import cascade as planning
from esorex_bridge.plan.cascade import make_plan
from esorex_bridge.plan.matching import choose
from esorex_bridge.plan.plan import FileInput, Keywords, Plan, ProductInput, Step

WORKFLOW = parse_workflow(
    """
workflow: toy
instruments: [TOY]
pipeline: toy
state: from documentation
steps:
  - recipe: toy_dark
    main: [DARK]
    group_by: [DET.DIT]
    minimum: 2
    products: [MASTER_DARK]
  - recipe: toy_flat
    main: [FLAT]
    group_by: [FILTER]
    calibrations:
      MASTER_DARK: {required: true, match: [DET.DIT]}
    products: [MASTER_FLAT]
  - recipe: toy_science
    main: [OBJECT]
    group_by: [FILTER]
    calibrations:
      MASTER_FLAT: {required: true, match: [FILTER]}
      MASTER_DARK: {match: [DET.DIT]}
      CATALOGUE: {}
    parameters: {r: 8}
    products: [IMAGE]
""",
    "toy.yaml",
)


class Night:
    """Files with their keywords, made one by one."""

    def __init__(self) -> None:
        self.headers: dict[Path, Keywords] = {}

    def file(self, name: str, category: str, mjd: float = 1.0, **keywords: str | float) -> DatasetFile:
        path = Path("/data") / f"{name}.fits"
        self.headers[path] = {"MJD-OBS": mjd, **{key.replace("_", "."): value for key, value in keywords.items()}}
        return DatasetFile(name, category, path)

    def darks(self, prefix: str, dit: float, mjd: float = 1.0, number: int = 2) -> tuple[DatasetFile, ...]:
        return tuple(self.file(f"{prefix}.{i}", "DARK", mjd + i / 1000, DET_DIT=dit) for i in range(number))

    def plan(self, action: Action) -> Plan:
        return make_plan(Dataset("D", "TOY", action), WORKFLOW, self.headers)


def inputs(step: Step) -> list[tuple[str, str]]:
    return [(entry.category, entry.name if isinstance(entry, FileInput) else entry.step) for entry in step.inputs]


def cascade(night: Night) -> Action:
    """Return a science action with a flat and darks of two DITs, the flat's dark twice in the tree."""
    flat_dark = Action("DARK", night.darks("D2", 2))
    flats = tuple(night.file(f"F.{i}", "FLAT", FILTER="Ks", DET_DIT=2) for i in range(2))
    science = tuple(night.file(f"S.{i}", "OBJECT", 2.0 + i, FILTER="Ks", DET_DIT=10) for i in (1, 0))
    return Action(
        "SCI",
        science,
        actions=(Action("FLAT", flats, actions=(flat_dark,)), Action("DARK", night.darks("D10", 10)), flat_dark),
    )


def test_products_enter_the_next_step_by_their_category_and_producers_come_first() -> None:
    night = Night()
    plan = night.plan(cascade(night))
    assert [step.name for step in plan.steps] == ["toy_dark_1", "toy_flat_1", "toy_dark_2", "toy_science_1"]
    assert inputs(plan.steps[-1]) == [
        ("OBJECT", "S.0"),
        ("OBJECT", "S.1"),
        ("MASTER_FLAT", "toy_flat_1"),
        ("MASTER_DARK", "toy_dark_2"),
    ]
    assert [step.target for step in plan.steps] == [False, False, False, True]


def test_a_sub_tree_that_repeats_is_one_step() -> None:
    night = Night()
    action = cascade(night)
    twice = replace(action, actions=(*action.actions, *action.actions))
    assert night.plan(twice).steps == night.plan(action).steps


def test_raws_of_different_settings_are_never_mixed_in_one_step() -> None:
    night = Night()
    mixed = Action("DARK", (*night.darks("D2", 2), *night.darks("D10", 10)))
    flats = (night.file("F.1", "FLAT", FILTER="Ks", DET_DIT=2),)
    science = (night.file("S.1", "OBJECT", FILTER="Ks", DET_DIT=10),)
    plan = night.plan(Action("SCI", science, actions=(mixed, Action("FLAT", flats, actions=(mixed,)))))
    for step in plan.steps:
        if step.recipe == "toy_dark":
            dits = {night.headers[entry.path]["DET.DIT"] for entry in step.inputs if isinstance(entry, FileInput)}
            assert len(dits) == 1
    assert sum(step.recipe == "toy_dark" for step in plan.steps) == 2


def test_a_calibration_of_another_setting_is_not_taken_and_the_reason_is_told() -> None:
    night = Night()
    action = cascade(night)
    wrong = replace(action, actions=tuple(child for child in action.actions if "D10" not in child.files[0].name))
    science = night.plan(wrong).steps[-1]
    assert not [entry for entry in science.inputs if entry.category == "MASTER_DARK"]
    assert any("MASTER_DARK" in text and "DET.DIT 2 ≠ 10" in text for text in science.warnings)


def test_a_required_calibration_that_is_missing_blocks_the_step_with_the_reason() -> None:
    night = Night()
    science = (night.file("S.1", "OBJECT", FILTER="Ks", DET_DIT=10),)
    (step,) = night.plan(Action("SCI", science)).steps
    assert any("toy_science needs MASTER_FLAT" in gap for gap in step.gaps)


def test_of_several_calibrations_that_match_the_nearest_in_time_is_taken() -> None:
    night = Night()
    action = cascade(night)
    far = Action("DARK", night.darks("FAR", 10, mjd=30.0))
    near = Action("DARK", night.darks("NEAR", 10, mjd=2.1))
    others = tuple(child for child in action.actions if child.name == "FLAT")
    for order in ((far, near), (near, far)):
        plan = night.plan(replace(action, actions=(*others, *order)))
        (dark,) = [
            plan.step(entry.step)
            for entry in plan.steps[-1].inputs
            if isinstance(entry, ProductInput) and entry.category == "MASTER_DARK"
        ]
        assert inputs(dark) == [("DARK", "NEAR.0"), ("DARK", "NEAR.1")]


def test_statics_and_auxiliary_groups_need_no_step() -> None:
    night = Night()
    catalogue = night.file("M.TOY.1", "CATALOGUE")
    auxiliary = Action("ACQ", (night.file("A.1", "ACQ"),), auxiliary=True)
    action = cascade(night)
    plan = night.plan(replace(action, statics=(catalogue,), actions=(*action.actions, auxiliary)))
    assert ("CATALOGUE", "M.TOY.1") in inputs(plan.steps[-1])
    assert [(group.purpose, group.recipe) for group in plan.unused] == [("ACQ/SCI", None)]


def test_a_file_that_is_not_on_this_machine_holds_up_its_step_and_is_named() -> None:
    night = Night()
    action = cascade(night)
    lost = replace(action.files[0], path=None)
    plan = night.plan(replace(action, files=(lost, action.files[1])))
    assert any(f"{lost.name} (OBJECT) is not on this machine" in gap for gap in plan.steps[-1].gaps)


def test_too_few_frames_make_no_step_and_the_reason_is_told() -> None:
    night = Night()
    action = cascade(night)
    few = Action("DARK", night.darks("ONE", 10, number=1))
    others = tuple(child for child in action.actions if child.name == "FLAT")
    plan = night.plan(replace(action, actions=(*others, few)))
    assert [step.name for step in plan.steps] == ["toy_dark_1", "toy_flat_1", "toy_science_1"]
    assert [(each.name, each.reason, each.detail) for each in plan.not_used] == [("ONE.0", "group too small", "1 < 2")]
    assert any("made without MASTER_DARK" in text and "1 < 2" in text for text in plan.steps[-1].warnings)


@pytest.mark.parametrize(("frames", "recipes"), [(1, ["toy_first"]), (2, ["toy_first", "toy_combine"])])
def test_what_combines_products_of_several_frames_runs_only_where_there_are_several(
    frames: int, recipes: list[str]
) -> None:
    workflow = parse_workflow(
        """
workflow: toy
title: Toy
instruments: [TOY]
pipeline: toy
versions: [1.0]
state: from documentation
sources: [made up]
steps:
  - recipe: toy_first
    main: [OBJECT]
    products: [TABLE]
  - recipe: toy_combine
    main: [TABLE]
    minimum: 2
    products: [CUBE]
""",
        "toy.yaml",
    )
    night = Night()
    action = Action("SCI", tuple(night.file(f"S.{number}", "OBJECT", number) for number in range(frames)))
    plan = make_plan(Dataset("D", "TOY", action), workflow, night.headers)
    assert [step.recipe for step in plan.steps] == recipes
    assert [gap for step in plan.steps for gap in step.gaps] == []


def test_the_order_of_files_and_groups_in_the_tree_does_not_matter() -> None:
    night = Night()
    action = cascade(night)
    turned = replace(action, files=action.files[::-1], actions=action.actions[::-1])
    assert set(map(step_content, night.plan(turned).steps)) == set(map(step_content, night.plan(action).steps))


def step_content(step: Step) -> tuple[object, ...]:
    return step.recipe, tuple(entry.name for entry in step.inputs if isinstance(entry, FileInput)), step.gaps


def test_a_plan_grows_with_its_groups_and_not_with_the_ways_that_lead_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[str] = []

    def count(*given: Any) -> Any:
        chosen.append(given[2].category)
        return choose(*given)

    monkeypatch.setattr(planning, "choose", count)
    levels = 10
    steps = "".join(
        f"  - recipe: toy_{level}\n    main: [RAW{level}]\n    products: [P{level}]\n    calibrations:\n"
        + "".join(f"      P{below}: {{required: true}}\n" for below in (level + 1, level + 2))
        for level in range(levels)
    )
    ends = "".join(
        f"  - recipe: toy_{level}\n    main: [RAW{level}]\n    products: [P{level}]\n" for level in (levels, levels + 1)
    )
    head = "workflow: tall\ninstruments: [TOY]\npipeline: toy\nstate: from documentation\nsteps:\n"
    night, actions = Night(), list[Action]()
    for level in reversed(range(levels + 2)):
        actions.append(Action(f"A{level}", (night.file(f"R.{level}", f"RAW{level}"),), actions=tuple(actions[-2:])))
    plan = make_plan(Dataset("D", "TOY", actions[-1]), parse_workflow(head + steps + ends, "tall.yaml"), night.headers)
    assert [step.recipe for step in plan.steps if step.target] == ["toy_0"]
    assert len(plan.steps) == levels + 2
    assert len(chosen) == 2 * levels
