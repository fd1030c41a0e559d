"""Every definition against trees such as calSelector gives: each group becomes a step, is a static, or is named."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from esorex_bridge.datasets.association import AssociatedFile, Association, AssociationTree, distinct_files
from esorex_bridge.datasets.build import dataset_from_tree
from esorex_bridge.definitions.folders import own_definitions, read_workflow, workflow_folder
from esorex_bridge.definitions.inspection import inspect
from esorex_bridge.definitions.steps import StepDefinition
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.plan.cascade import make_plan
from esorex_bridge.plan.plan import HeadersByPath, Plan

DEFINITIONS = sorted(workflow_folder().glob("*.yaml"))
INSTRUMENTS = (
    "FORS1", "FORS2", "KMOS", "SINFONI", "XSHOOTER", "VIRCAM", "ESPRESSO", "SPHERE", "GRAVITY", "MATISSE", "CRIRES",
    "HARPS", "FLAMES-UVES", "NIRPS", "ERIS", "NACO", "HAWKI", "VISIR", "UVES", "VIMOS", "GIRAFFE", "MUSE",
)  # fmt: skip


MONITORING: dict[str, set[str]] = {}
"""Steps beside others on the same raws, whose products no step takes."""


class Archive:
    """Answers of calSelector for one definition: raws for each step, processed files for what no step makes."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.origins = {
            category: step for step in reversed(workflow.steps) for category in (*step.main, *step.products)
        }
        self.groups: dict[str, Association] = {}
        self.seconds = 0

    def tree(self, step: StepDefinition) -> AssociationTree:
        root = self.group(step, ())
        extra = (
            Association("ACQ", (self.file("ACQUISITION"),), match="N/A", kind="auxiliary"),
            Association("PORTRAIT", (self.file("PORTRAIT_OF_THE_MIRROR"),), match="calib_plan"),
        )
        return AssociationTree(Association(root.category, root.files, (*root.associated, *extra)), "Raw2Raw")

    def group(self, step: StepDefinition, above: tuple[str, ...]) -> Association:
        """Return the raws of a step with all that calibrates them, the same ones whenever it is asked for."""
        # Some raws are for several recipes: flats for a flat and for the noise. calSelector names them once.
        # Skies beside a star and beside the science are of one category, and yet of two groups.
        kin = [other for other in self.workflow.steps if other.main[0] in step.main or step.main[0] in other.main]
        names = (*above, *(each.name for each in kin))
        if step.name not in self.groups:
            after = [other for each in kin for other in self.following(each)]
            of_each = max((number for _, number in step.minima), default=1)
            number = max(*(each.minimum for each in (*kin, *after)), of_each * len(step.main))
            files = tuple(self.file(step.main[place % len(step.main)]) for place in range(number))
            below: dict[str, Association] = {}
            for calibration in (each for other in (*kin, *after) for each in other.calibrations):
                origin = next((self.origins[each] for each in calibration.accepted if each in self.origins), None)
                # What a recipe makes anew, it takes a first of from its pipeline.
                if origin is None or origin.name in above or calibration in origin.calibrations:
                    static = (self.file(calibration.category, processed=True),)
                    below[calibration.category] = Association(calibration.category, static, match="N/A")
                elif origin not in (*kin, *after):
                    below[origin.name] = self.group(origin, names)
            found = Association(step.name.upper(), files, tuple(below.values()), match="calib_plan")
            self.groups.update(dict.fromkeys((each.name for each in kin), found))
        return self.groups[step.name]

    def following(self, step: StepDefinition) -> list[StepDefinition]:
        """Return the steps that process what a step makes, and what these make."""
        after = [other for other in self.workflow.steps if other != step and set(other.main) & set(step.products)]
        return [each for other in after for each in (other, *self.following(other))]

    def file(self, category: str, processed: bool = False) -> AssociatedFile:
        self.seconds += 1
        at = f"{self.seconds // 3600:02}:{self.seconds // 60 % 60:02}:{self.seconds % 60:02}.000"
        prefix = self.workflow.instruments[0].split("-")[0]
        return AssociatedFile(f"{'M.' if processed else ''}{prefix}.2020-01-01T{at}", category)


def planned(workflow: Workflow, tree: AssociationTree) -> Plan:
    """Return the plan for a tree whose files are all on this machine, and agree in every keyword."""
    keys = {key for step in workflow.steps for key in step.group_by}
    keys |= {key for step in workflow.steps for each in step.calibrations for key in each.match}
    paths = {file.name: Path(f"/data/{file.name}.fits") for file in distinct_files(tree.root)}
    headers: HeadersByPath = {
        path: {**dict.fromkeys(keys, "one"), "MJD-OBS": float(number)} for number, path in enumerate(paths.values())
    }
    return make_plan(dataset_from_tree(tree, paths), workflow, headers)


def roots(workflow: Workflow) -> list[StepDefinition]:
    """Return the steps that take files; the others follow from their products."""
    made = {product for step in workflow.steps for product in step.products}
    return [step for step in workflow.steps if not made.issuperset(step.main)]


@cache
def plans(path: Path) -> dict[StepDefinition, Plan]:
    """Return the plan of each tree that calSelector could give for a definition, by the step at its root."""
    workflow = read_workflow(path)
    return {step: planned(workflow, Archive(workflow).tree(step)) for step in roots(workflow)}


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.stem)
def test_a_definition_says_what_it_is_and_holds(path: Path) -> None:
    workflow = read_workflow(path)
    assert workflow.name == path.stem
    assert workflow.title != workflow.name
    assert workflow.sources
    assert [finding.problem for finding in inspect(workflow) if finding.grave] == []
    assert workflow.versions or workflow.state == "from documentation"


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.stem)
def test_every_group_of_a_tree_becomes_a_step_or_is_named_as_without_one(path: Path) -> None:
    workflow = read_workflow(path)
    for step, plan in plans(path).items():
        targets = {entry.actor for entry in plan.steps if entry.target}
        assert targets & {other.name for other in workflow.steps if set(other.main) & set(step.main)}, step.name
        assert [gap for entry in plan.steps for gap in entry.gaps] == [], step.name
        assert {group.reason for group in plan.unused} == {
            "auxiliary: for a person to look at, no recipe takes it",
            f"workflow {workflow.name} has no recipe for PORTRAIT_OF_THE_MIRROR",
        }, step.name


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.stem)
def test_every_step_of_a_definition_is_reached_by_some_tree(path: Path) -> None:
    workflow = read_workflow(path)
    reached = {entry.actor for plan in plans(path).values() for entry in plan.steps}
    assert {step.name for step in workflow.steps} - reached == MONITORING.get(path.stem, set())


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_each_instrument_has_a_definition(instrument: str) -> None:
    assert instrument in own_definitions().choose(instrument, {}).instruments


@pytest.mark.parametrize(
    ("instrument", "keywords", "name"),
    [
        ("FORS2", {"DPR.TECH": "IMAGE"}, "fors"),
        ("FORS2", {"DPR.TECH": "SPECTRUM"}, "fors_spectra"),
        ("SPHERE", {"SEQ.ARM": "IRDIS"}, "sphere_irdis"),
        ("SPHERE", {"SEQ.ARM": "ZIMPOL"}, "sphere_zimpol"),
        ("CRIRES", {}, "crires"),
        ("SINFO", {}, "sinfoni"),
    ],
)
def test_a_mode_has_the_definition_that_is_for_it(instrument: str, keywords: dict[str, object], name: str) -> None:
    assert own_definitions().choose(instrument, keywords).name == name
