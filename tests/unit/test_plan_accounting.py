"""Every file of a dataset ends in a step or in the list of those not used, with a reason of a closed list."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esorex_bridge.archive.calselector import documents
from esorex_bridge.archive.votable import CALIBRATION, SIBLING, THIS, read_links
from esorex_bridge.datasets.association import (
    AssociatedFile,
    Association,
    AssociationTree,
    Match,
    distinct_files,
)
from esorex_bridge.datasets.build import dataset_from_tree
from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile, walk_actions
from esorex_bridge.datasets.xml import read_tree
from esorex_bridge.definitions.folders import own_definitions, workflow_folder
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.definitions.workflow_yaml import parse_workflow
from esorex_bridge.demo.nights.catalogue import NIGHTS, make_night
from esorex_bridge.plan.accounting import EXCUSED, explain_file, summarise
from esorex_bridge.plan.cascade import make_plan
from esorex_bridge.plan.facts import NotUsed
from esorex_bridge.plan.plan import FileInput, HeadersByPath, Plan, ProductInput, Reason, Step, StepName
from esorex_bridge.workspace.tree_files import read_tree_file

REASONS = frozenset(get_args(Reason))


def assert_all_accounted_for(dataset: Dataset, plan: Plan) -> None:
    """Hold the invariant: each file is in a step, or not used once with a reason, and never both."""
    used = {entry.name for step in plan.steps for entry in step.inputs if isinstance(entry, FileInput)}
    left = [(each.name, each.category) for each in plan.not_used]
    here = {file.name for action, _ in walk_actions(dataset.action) for file in (*action.files, *action.statics)}
    assert here == used | {name for name, _ in left}
    assert len(left) == len(set(left))
    assert used.isdisjoint(name for name, _ in left)
    assert {each.reason for each in plan.not_used} <= REASONS
    wanted = {file.name for action in needed(dataset.action) for file in (*action.files, *action.statics)}
    assert wanted.isdisjoint(each.name for each in plan.not_used if each.reason == "auxiliary")
    excused = {each.name for each in plan.not_used if each.reason in EXCUSED}
    science = {file.name for file in dataset.action.files}
    assert bool(science - used - excused) <= bool(plan.incomplete)


def needed(action: Action) -> Iterator[Action]:
    """Yield the actions that are not auxiliary, and not below such."""
    if not action.auxiliary:
        yield action
        for child in action.actions:
            yield from needed(child)


def files_in(step: Step) -> list[tuple[str, str]]:
    return [(entry.category, entry.name) for entry in step.inputs if isinstance(entry, FileInput)]


def maker(step: Step, category: str) -> StepName:
    """Return the step whose product a step takes under a tag."""
    return next(each.step for each in step.inputs if each.category == category and isinstance(each, ProductInput))


def headers_of(tree: AssociationTree) -> tuple[dict[str, Path], HeadersByPath]:
    """Return places for all files of a tree, and headers that say no more than when the file was taken."""
    paths = {file.name: Path(f"/data/{file.name}.fits") for file in distinct_files(tree.root)}
    return paths, {path: {"MJD-OBS": float(number)} for number, path in enumerate(paths.values())}


def planned(tree: AssociationTree, workflow: Workflow) -> tuple[Dataset, Plan]:
    paths, headers = headers_of(tree)
    dataset = dataset_from_tree(tree, paths)
    return dataset, make_plan(dataset, workflow, headers)


def tree_of_links(path: Path) -> AssociationTree:
    """Return the tree that a flat list means: one group for each category of calibrations."""
    rows = read_links(path.read_bytes()).rows
    science = tuple(AssociatedFile(row.target, row.category) for row in rows if row.semantics in (THIS, SIBLING))
    below: dict[str, list[AssociatedFile]] = {}
    for row in rows:
        if row.semantics == CALIBRATION:
            below.setdefault(row.category, []).append(AssociatedFile(row.target, row.category))
    groups = tuple(Association(name, tuple(files), match="calib_plan") for name, files in below.items())
    return AssociationTree(Association("SCIENCE", science, groups), "Raw2Raw")


def real_trees(real: Path) -> dict[str, AssociationTree]:
    trees = {
        path.name: read_tree_file(path)
        for path in sorted(real.rglob("*.xml"))
        if path.parent.name in ("calselector", "astroquery")
        and "multipart" not in path.name
        and "votable" not in path.name
    }
    (multipart,) = real.rglob("*_multipart.xml")
    body = multipart.read_bytes()
    boundary = body.split(maxsplit=1)[0].removeprefix(b"--").decode()
    parts = documents(f"multipart/form-data; boundary={boundary}", "", body)
    trees |= {part.name: read_tree(part.content) for part in parts}
    return {**trees, **{path.name: tree_of_links(path) for path in sorted(real.rglob("*.votable.xml"))}}


@pytest.mark.real
def test_every_file_of_every_real_tree_is_accounted_for_by_every_definition_of_its_instrument(real: Path) -> None:
    trees = real_trees(real)
    assert len(trees) >= 9
    for name, tree in trees.items():
        prefix = tree.root.files[0].name.split(".")[0]
        serving = [each for each in own_definitions().all() if prefix in each.instruments]
        assert serving, name
        for workflow in serving:
            assert_all_accounted_for(*planned(tree, workflow))


@pytest.mark.real
def test_files_that_are_not_here_are_accounted_for_too(real: Path) -> None:
    for tree in real_trees(real).values():
        prefix = tree.root.files[0].name.split(".")[0]
        dataset = dataset_from_tree(tree, {})
        plan = make_plan(dataset, own_definitions().choose(prefix, {}), {})
        assert_all_accounted_for(dataset, plan)
        assert plan.incomplete


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "workflow"),
    [("FORS2.2021-01-02T00_59_12.533_raw2raw.xml", "fors"), ("GRAVI.2018-01-27T05_30_10.657.xml", "gravity")],
)
def test_real_trees_that_planned_completely_still_do(name: str, workflow: str, real: Path) -> None:
    _, plan = planned(real_trees(real)[name], own_definitions().find(workflow))
    assert plan.incomplete == ()
    assert [gap for step in plan.steps for gap in step.gaps] == []


@pytest.mark.real
def test_sky_frames_of_a_calibrator_are_in_its_step(real: Path) -> None:
    tree = real_trees(real)["GRAVI.2018-01-27T05_30_10.657.xml"]
    _, plan = planned(tree, own_definitions().find("gravity"))
    (step,) = (each for each in plan.steps if any(entry.category == "SINGLE_CAL_RAW" for entry in each.inputs))
    assert ("SINGLE_SKY_RAW", "GRAVI.2018-01-27T06:03:22.741") in files_in(step)


@pytest.mark.real
def test_an_arc_without_a_flat_blocks_the_spectra_of_fibres_and_says_what_is_missing(real: Path) -> None:
    tree = real_trees(real)["VIMOS.2003-06-02T03_08_10.004.xml"]
    _, plan = planned(tree, own_definitions().find("vimos_spectra"))
    assert any("IFU_SCREEN_FLAT 0 < 1" in text for text in plan.incomplete)
    arc = next(each for each in plan.not_used if each.category == "IFU_ARC_SPECTRUM")
    assert (arc.reason, arc.detail) == ("group too small", "IFU_SCREEN_FLAT 0 < 1")


TOY = parse_workflow(
    """
workflow: toy
instruments: [TOY]
pipeline: toy
state: from documentation
unsupported: {POLARIMETRY: the pipeline has no recipe for it}
steps:
  - {recipe: toy_dark, main: [DARK], group_by: [DET.DIT], minimum: 2, products: [MASTER_DARK]}
  - recipe: toy_flat
    main: [FLAT]
    group_by: [FILTER]
    maximum: 2
    calibrations: {MASTER_DARK: {match: [DET.DIT]}}
    products: [MASTER_FLAT]
  - recipe: toy_standard
    main: [STD]
    always: true
    calibrations: {MASTER_FLAT: {match: [FILTER]}}
    products: [ZEROPOINT]
  - recipe: toy_science
    main: [OBJECT, SKY]
    group_by: [FILTER, DET.DIT]
    minimum: {OBJECT: 1}
    calibrations:
      MASTER_FLAT: {required: true, match: [FILTER]}
      MASTER_DARK: {match: [DET.DIT], validity: [{days: [-3, 3]}, {days: [-10, 10], level: 2}]}
      CATALOGUE: {}
    products: [IMAGE]
""",
    "toy.yaml",
)

CATEGORIES = ["DARK", "FLAT", "STD", "OBJECT", "SKY", "CATALOGUE", "PORTRAIT", "POLARIMETRY", "MASTER_FLAT"]


@st.composite
def cascades(draw: st.DrawFn) -> tuple[Dataset, HeadersByPath]:
    """Return any dataset of the toy instrument, whatever sense it makes."""
    headers: dict[Path, dict[str, str | float]] = {}
    matches: list[Match | None] = ["calib_plan", "extended", "N/A", None]

    def file(category: str) -> DatasetFile:
        name = f"{'M.' if category in ('CATALOGUE', 'MASTER_FLAT') else ''}TOY.{draw(st.integers(0, 12)):03}"
        path = Path(f"/data/{name}.fits")
        headers.setdefault(
            path,
            {
                "MJD-OBS": float(draw(st.integers(0, 30))),
                "FILTER": draw(st.sampled_from(["H", "Ks"])),
                "DET.DIT": draw(st.sampled_from([2.0, 10.0])),
            },
        )
        here = draw(st.booleans()) or draw(st.booleans())
        return DatasetFile(name, category, path if here else None, draw(st.sampled_from(matches)))

    def action(depth: int) -> Action:
        files = tuple(file(draw(st.sampled_from(CATEGORIES))) for _ in range(draw(st.integers(1, 4))))
        statics = tuple(file(draw(st.sampled_from(CATEGORIES))) for _ in range(draw(st.integers(0, 2))))
        below = tuple(action(depth - 1) for _ in range(draw(st.integers(0, 3)) if depth else 0))
        name = draw(st.sampled_from(["SCI", "FLAT", "DARK"]))
        return Action(
            name, files, statics, below, auxiliary=draw(st.integers(0, 5)) == 0, match=draw(st.sampled_from(matches))
        )

    top = action(2)
    return Dataset("D", "TOY", Action("SCI", top.files, top.statics, top.actions), mode="Raw2Raw"), headers


@given(cascades())
def test_every_file_of_any_dataset_is_accounted_for(made: tuple[Dataset, HeadersByPath]) -> None:
    dataset, headers = made
    assert_all_accounted_for(dataset, make_plan(dataset, TOY, headers))


@given(cascades(), st.integers(0, 2))
def test_a_limit_of_quality_leaves_nobody_out_of_the_account(made: tuple[Dataset, HeadersByPath], most: int) -> None:
    dataset, headers = made
    plan = make_plan(dataset, TOY, headers, quality=most)
    assert_all_accounted_for(dataset, plan)
    assert all(each.level is None or each.level <= most for step in plan.steps for each in step.associations)


class Night:
    """Files of the toy instrument with their keywords."""

    def __init__(self) -> None:
        self.headers: dict[Path, dict[str, str | float]] = {}

    def files(
        self, category: str, number: int = 1, mjd: float = 1.0, filter_name: str = "H", dit: float = 2.0, **role: Match
    ) -> tuple[DatasetFile, ...]:
        made = []
        for _ in range(number):
            name = f"TOY.{len(self.headers):03}"
            path = Path(f"/data/{name}.fits")
            self.headers[path] = {"MJD-OBS": mjd, "FILTER": filter_name, "DET.DIT": dit}
            made.append(DatasetFile(name, category, path, role.get("match")))
        return tuple(made)

    def plan(self, *children: Action, science: tuple[DatasetFile, ...] = (), quality: int | None = None) -> Plan:
        files = science or self.files("OBJECT")
        dataset = Dataset("D", "TOY", Action("SCI", files, actions=children))
        plan = make_plan(dataset, TOY, self.headers, quality=quality)
        assert_all_accounted_for(dataset, plan)
        return plan

    def flats(self, filter_name: str = "H", **given: float) -> Action:
        return Action("FLAT", self.files("FLAT", 2, filter_name=filter_name, **given))


def reasons(plan: Plan) -> set[tuple[str, str, str]]:
    return {(each.category, each.reason, each.detail) for each in plan.not_used}


def test_a_category_without_a_recipe_is_named() -> None:
    night = Night()
    plan = night.plan(night.flats(), Action("PORTRAIT", night.files("PORTRAIT")))
    assert reasons(plan) == {("PORTRAIT", "no recipe for the category", "workflow toy has none for PORTRAIT")}
    assert plan.incomplete == ()


def test_a_flat_of_another_filter_is_not_used_for_its_setting() -> None:
    night = Night()
    plan = night.plan(night.flats(), night.flats("Ks"))
    assert reasons(plan) == {("FLAT", "setting differs", "MASTER_FLAT: FILTER Ks ≠ H")}


def test_files_over_the_most_that_a_recipe_takes_are_not_used() -> None:
    night = Night()
    plan = night.plan(Action("FLAT", night.files("FLAT", 3)))
    assert reasons(plan) == {("FLAT", "over the limit", "toy_flat takes 2")}


def test_a_group_that_is_further_away_is_over_the_limit() -> None:
    night = Night()
    plan = night.plan(night.flats(), night.flats(mjd=9.0))
    assert {each[:2] for each in reasons(plan)} == {("FLAT", "over the limit")}


def test_a_group_of_too_few_is_not_used() -> None:
    night = Night()
    plan = night.plan(night.flats(), Action("DARK", night.files("DARK")))
    assert reasons(plan) == {("DARK", "group too small", "1 < 2")}


def test_a_dark_of_another_season_is_outside_its_validity() -> None:
    night = Night()
    plan = night.plan(night.flats(), Action("DARK", night.files("DARK", 2, mjd=40.0)))
    assert {each[:2] for each in reasons(plan)} == {("DARK", "outside validity")}
    assert "39.0 days away" in next(iter(reasons(plan)))[2]


def test_what_is_made_for_nobody_is_not_needed() -> None:
    night = Night()
    dark = Action("DARK", night.files("DARK", 2, dit=2.0))
    other = Action("FLAT", night.files("FLAT", 2, filter_name="Ks"), actions=(dark,))
    plan = night.plan(night.flats(), Action("DARK", night.files("DARK", 2, dit=2.0)), other)
    assert ("DARK", "its maker is not needed", "MASTER_DARK: nearer in the cascade is toy_dark of DARK") in reasons(
        plan
    )


def test_what_the_definition_calls_unsupported_leaves_the_plan_complete() -> None:
    night = Night()
    science = (*night.files("OBJECT"), *night.files("POLARIMETRY"))
    plan = night.plan(night.flats(), science=science)
    assert reasons(plan) == {("POLARIMETRY", "unsupported", "the pipeline has no recipe for it")}
    assert plan.incomplete == ()


def test_a_science_file_without_a_recipe_makes_the_plan_incomplete_after_the_rest_was_planned() -> None:
    night = Night()
    plan = night.plan(night.flats(), science=(*night.files("OBJECT"), *night.files("PORTRAIT")))
    assert [step.recipe for step in plan.steps if step.target] == ["toy_science"]
    assert plan.incomplete == (
        "1 PORTRAIT in no step: no recipe for the category (workflow toy has none for PORTRAIT)",
    )


def test_a_step_that_cannot_run_makes_the_plan_incomplete() -> None:
    plan = Night().plan()
    assert plan.incomplete == ("toy_science_1 cannot run: toy_science needs MASTER_FLAT: the dataset has none",)


def test_auxiliary_is_said_of_auxiliary_groups_alone() -> None:
    night = Night()
    shared = night.files("PORTRAIT")
    other = night.files("PORTRAIT")
    plan = night.plan(
        night.flats(),
        Action("PORTRAIT", shared),
        Action("LOOK", (*shared, *other), auxiliary=True, actions=(Action("BELOW", night.files("DARK", 2)),)),
    )
    told = {each.name: each.reason for each in plan.not_used}
    assert told.pop(shared[0].name) == "no recipe for the category"
    assert told.keys() >= {other[0].name}
    assert set(told.values()) == {"auxiliary"}


def test_files_that_share_a_reason_are_told_once() -> None:
    night = Night()
    plan = night.plan(night.flats(), Action("PORTRAIT", night.files("PORTRAIT", 24)))
    assert list(summarise(plan.not_used)) == [
        "24 PORTRAIT (PORTRAIT/SCI): no recipe for the category (workflow toy has none for PORTRAIT)"
    ]


def test_one_file_is_explained_by_its_step_or_its_reason() -> None:
    night = Night()
    flats, portrait = night.flats(), night.files("PORTRAIT")
    plan = night.plan(flats, Action("PORTRAIT", portrait))
    assert [fact.text for fact in explain_file(plan, flats.files[0].name)] == ["D: in toy_flat_1 as FLAT"]
    (fact,) = explain_file(plan, portrait[0].name)
    assert fact.text.startswith("D: not used (PORTRAIT of PORTRAIT/SCI): no recipe")
    assert isinstance(fact, NotUsed) and fact.reason == "no recipe for the category"


def test_two_settings_in_one_template_are_two_groups_each_with_its_own_calibrations() -> None:
    night = Night()
    science = (*night.files("OBJECT", 2, dit=2.0), *night.files("OBJECT", 2, filter_name="Ks", dit=10.0))
    darks = Action("DARK", (*night.files("DARK", 2, dit=2.0), *night.files("DARK", 2, dit=10.0)), match="calib_plan")
    flats = Action("FLAT", (*night.files("FLAT", 2), *night.files("FLAT", 2, filter_name="Ks")), match="calib_plan")
    plan = night.plan(darks, flats, science=science)
    setups = {step.name: dict(step.setup) for step in plan.steps}
    for step in plan.steps:
        if step.recipe == "toy_science":
            flat, dark = maker(step, "MASTER_FLAT"), maker(step, "MASTER_DARK")
            assert setups[flat]["FILTER"] == setups[step.name]["FILTER"]
            assert setups[dark]["DET.DIT"] == setups[step.name]["DET.DIT"]
    assert sum(step.recipe == "toy_science" for step in plan.steps) == 2


def test_a_group_of_another_setting_is_for_the_other_frames_even_where_calselector_put_it_there() -> None:
    night = Night()
    science = (*night.files("OBJECT"), *night.files("OBJECT", filter_name="Ks"))
    flats = Action("FLAT", night.files("FLAT", 2), match="calib_plan")
    plan = night.plan(flats, science=science)
    assert any("FILTER H ≠ Ks" in text for text in plan.incomplete)


def test_what_calselector_put_there_is_taken_with_a_warning_though_it_differs() -> None:
    night = Night()
    plan = night.plan(Action("FLAT", night.files("FLAT", 2, filter_name="Ks"), match="extended"))
    science = plan.steps[-1]
    assert plan.incomplete == ()
    assert science.gaps == ()
    assert any("FILTER Ks ≠ H" in text and "kept as calSelector put it there" in text for text in science.warnings)


def test_what_final_rules_associate_is_not_chosen_again() -> None:
    night = Night()
    deeper = Action("FLAT", night.files("FLAT", 2), actions=(Action("DARK", night.files("DARK", 2)),))
    other = Action("FLAT", night.files("FLAT", 2, filter_name="Ks"))
    science = Action(
        "SCI", night.files("OBJECT"), actions=(other, Action("STD", night.files("STD"), actions=(deeper,)))
    )
    plan = make_plan(Dataset("D", "TOY", science, final=True), TOY, night.headers)
    (step,) = (each for each in plan.steps if each.recipe == "toy_science")
    assert dict(plan.step(maker(step, "MASTER_FLAT")).setup)["FILTER"] == "Ks"
    assert not any(each.category == "MASTER_DARK" for each in step.inputs)


def test_what_rules_associate_is_refused_where_it_differs() -> None:
    night = Night()
    plan = night.plan(night.flats("Ks"))
    assert any("FILTER Ks ≠ H" in text for text in plan.incomplete)


def test_days_level_match_and_certification_of_each_association_are_stated() -> None:
    night = Night()
    dark = Action("DARK", night.files("DARK", 2, mjd=6.0), match="extended", certified=False)
    plan = night.plan(night.flats(), dark)
    found = {each.category: each for each in plan.steps[-1].associations}
    assert (found["MASTER_DARK"].days, found["MASTER_DARK"].level) == (5.0, 2)
    assert (found["MASTER_DARK"].match, found["MASTER_DARK"].certified) == ("extended", False)
    assert any("5.0 days away" in text for text in plan.steps[-1].warnings)


def test_a_limit_of_quality_refuses_even_what_calselector_associated() -> None:
    night = Night()
    dark = Action("DARK", night.files("DARK", 2, mjd=6.0), match="calib_plan")
    plan = night.plan(night.flats(), dark, quality=1)
    assert reasons(plan) == {("DARK", "outside validity", "MASTER_DARK: 5.0 days away, level 2 is above 1")}


def test_an_extended_association_is_called_so_without_any_validity_in_the_definition() -> None:
    night = Night()
    plan = night.plan(Action("FLAT", night.files("FLAT", 2, mjd=41.0), match="extended"))
    (flat,) = (each for each in plan.steps[-1].associations if each.category == "MASTER_FLAT")
    assert (flat.days, flat.level) == (40.0, 1)
    assert any("40.0 days away is of the extended calibration plan" in text for text in plan.steps[-1].warnings)


@pytest.mark.parametrize("path", sorted(workflow_folder().glob("*.yaml")), ids=lambda path: path.stem)
def test_an_unknown_category_never_vanishes_whatever_the_definition(path: Path) -> None:
    workflow = own_definitions().read(path)
    prefix = workflow.instruments[0].split("-")[0]
    raws = tuple(dict.fromkeys(category for step in workflow.steps for category in step.main))
    files = tuple(AssociatedFile(f"{prefix}.{number:04}", category) for number, category in enumerate(raws))
    odd = (AssociatedFile(f"{prefix}.9999", "NEVER_SEEN"),)
    tree = AssociationTree(Association("SCI", (*files, *odd), (Association("ODD", odd),)), "Raw2Raw")
    assert_all_accounted_for(*planned(tree, workflow))


@pytest.mark.parametrize("name", NIGHTS)
def test_every_file_of_every_synthetic_night_is_accounted_for(name: str) -> None:
    night = make_night(name)
    paths = {str(file.dp_id): Path(f"/data/{file.dp_id}.fits") for file in night.files}
    headers = {
        paths[str(file.dp_id)]: {
            key.removeprefix("ESO ").replace(" ", ".") if key.startswith("ESO ") else key: value
            for key, value in file.keywords
        }
        for file in night.files
    }
    for tree in night.trees:
        dataset = dataset_from_tree(tree, paths, night.files[0].keyword("INSTRUME"))
        workflow = own_definitions().choose(dataset.instrument, headers[paths[tree.root.files[0].name]])
        plan = make_plan(dataset, workflow, headers)
        assert_all_accounted_for(dataset, plan)
        if tree.mode == NIGHTS[name].mode:
            assert plan.incomplete == ()
