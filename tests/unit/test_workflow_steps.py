"""What a definition can say of its steps, and what the plan makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile
from esorex_bridge.definitions.inspection import inspect
from esorex_bridge.definitions.located import DefinitionError
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.definitions.workflow_yaml import parse_workflow
from esorex_bridge.plan.cascade import make_plan
from esorex_bridge.plan.plan import FileInput, Keywords, Plan, ProductInput, Step

HEAD = "workflow: toy\ninstruments: [TOY]\npipeline: toy\nstate: from documentation\nsteps:\n"


def workflow(*steps: str) -> Workflow:
    return parse_workflow(HEAD + "".join(f"  - {{{step}}}\n" for step in steps), "toy.yaml")


def files(category: str, number: int) -> tuple[DatasetFile, ...]:
    return tuple(DatasetFile(f"{category}.{i}", category, Path(f"/data/{category}.{i}.fits")) for i in range(number))


def plan(definition: Workflow, action: Action) -> Plan:
    headers = {
        file.path: {"MJD-OBS": float(number)}
        for each in (action, *action.actions)
        for number, file in enumerate(each.files)
        if file.path is not None
    }
    return make_plan(Dataset("D", "TOY", action), definition, headers)


def names(step: Step) -> list[str]:
    return [entry.name if isinstance(entry, FileInput) else f"{entry.step}:{entry.category}" for entry in step.inputs]


SCIENCE = "recipe: toy_science, main: [OBJECT], products: [IMAGE]"


def test_each_file_is_a_run_of_its_own_where_the_recipe_takes_only_one() -> None:
    made = plan(workflow("recipe: toy_arc, main: [ARC], each: true, products: [WAVE]"), Action("ARC", files("ARC", 3)))
    assert [names(step) for step in made.steps] == [["ARC.0"], ["ARC.1"], ["ARC.2"]]
    assert all(step.target for step in made.steps)


def test_no_more_files_than_the_maximum_are_taken_the_first_ones() -> None:
    made = plan(
        workflow("recipe: toy_noise, main: [FLAT], maximum: 2, products: [GAIN]"), Action("F", files("FLAT", 5))
    )
    assert names(made.steps[0]) == ["FLAT.0", "FLAT.1"]


def test_raws_get_the_tag_that_the_recipe_knows() -> None:
    definition = workflow("recipe: toy_flat, main: [SKY_FLAT], tags: {SKY_FLAT: FLAT}, products: [MASTER_FLAT]")
    made = plan(definition, Action("F", files("SKY_FLAT", 1)))
    assert [entry.category for entry in made.steps[0].inputs] == ["FLAT"]


def test_a_step_that_always_runs_is_a_target_though_nothing_takes_its_products() -> None:
    definition = workflow(SCIENCE, "recipe: toy_std, main: [STD], always: true, products: [ZERO_POINT]")
    made = plan(definition, Action("OBJECT", files("OBJECT", 1), actions=(Action("STD", files("STD", 1)),)))
    assert {step.recipe: step.target for step in made.steps} == {"toy_science": True, "toy_std": True}


@pytest.mark.parametrize(("said", "delivered"), [("", True), (", delivered: false", False)])
def test_what_always_runs_makes_end_products_unless_the_definition_says_no(said: str, delivered: bool) -> None:
    definition = workflow(SCIENCE, f"recipe: toy_dark, main: [DARK], always: true{said}, products: [MASTER_DARK]")
    dark = Action("DARK", files("DARK", 1))
    below = plan(definition, Action("OBJECT", files("OBJECT", 1), actions=(dark,)))
    assert {step.recipe: step.makes_end_products for step in below.steps} == {
        "toy_science": True,
        "toy_dark": delivered,
    }
    (own,) = plan(definition, dark).steps
    assert own.makes_end_products


def test_two_recipes_on_the_same_raws_run_when_their_products_are_asked_for() -> None:
    definition = workflow(
        "recipe: toy_flat, main: [FLAT], products: [MASTER_FLAT]",
        "recipe: toy_noise, main: [FLAT], maximum: 1, calibrations: {MASTER_FLAT: {required: true}}, products: [GAIN]",
        "recipe: toy_science, main: [OBJECT], calibrations: {GAIN: {required: true}}, products: [IMAGE]",
    )
    made = plan(definition, Action("OBJECT", files("OBJECT", 1), actions=(Action("FLAT", files("FLAT", 2)),)))
    assert [step.recipe for step in made.steps] == ["toy_flat", "toy_noise", "toy_science"]
    assert names(made.steps[1]) == ["FLAT.0", "toy_flat_1:MASTER_FLAT"]
    assert names(made.steps[2]) == ["OBJECT.0", "toy_noise_1:GAIN"]


def test_a_step_on_products_follows_the_step_that_makes_them() -> None:
    definition = workflow(SCIENCE, "recipe: toy_post, main: [IMAGE], products: [FINAL]")
    made = plan(definition, Action("OBJECT", files("OBJECT", 2)))
    assert [step.recipe for step in made.steps] == ["toy_science", "toy_post"]
    assert made.steps[1].inputs == (ProductInput(made.steps[0].name, "IMAGE", "IMAGE"),)
    assert all(step.target for step in made.steps)


def test_an_own_step_comes_between_a_calibration_and_what_takes_it() -> None:
    definition = workflow(
        "recipe: toy_flat, main: [FLAT], products: [MASTER_FLAT]",
        "name: smooth, command: [smooth], main: [MASTER_FLAT], products: [SMOOTH_FLAT]",
        "recipe: toy_science, main: [OBJECT], calibrations: {MASTER_FLAT: {required: true, from: SMOOTH_FLAT}}, "
        "products: [IMAGE]",
    )
    made = plan(definition, Action("OBJECT", files("OBJECT", 1), actions=(Action("FLAT", files("FLAT", 2)),)))
    assert [step.recipe for step in made.steps] == ["toy_flat", "smooth", "toy_science"]
    assert made.steps[1].command == ("smooth",)
    assert made.steps[2].inputs[1] == ProductInput(made.steps[1].name, "SMOOTH_FLAT", "MASTER_FLAT")


def test_an_own_step_comes_before_the_science_recipe() -> None:
    definition = workflow(
        "name: clean, command: [clean], main: [OBJECT], products: [CLEAN]",
        "recipe: toy_science, main: [CLEAN], tags: {CLEAN: OBJECT}, products: [IMAGE]",
    )
    made = plan(definition, Action("OBJECT", files("OBJECT", 2)))
    assert [step.recipe for step in made.steps] == ["clean", "toy_science"]
    assert made.steps[1].inputs == (ProductInput(made.steps[0].name, "CLEAN", "OBJECT"),)


def test_a_first_guess_of_its_own_product_is_no_circle() -> None:
    definition = workflow("recipe: toy_wave, main: [ARC], calibrations: {WAVE: {}}, products: [WAVE]")
    made = plan(definition, Action("ARC", files("ARC", 1), statics=files("WAVE", 1)))
    assert names(made.steps[0]) == ["ARC.0", "WAVE.0"]


def test_an_inspection_names_contradictions_and_loose_ends() -> None:
    definition = workflow(
        "recipe: toy_flat, main: [FLAT], tags: {SKY: FLAT}, each: true, minimum: 3, maximum: 2, "
        "products: [MASTER_FLAT]",
        "recipe: toy_science, main: [OBJECT], calibrations: {DARK: {from: NOTHING}, PSF: {}}, products: [IMAGE]",
    )
    grave = [finding.problem for finding in inspect(definition) if finding.grave]
    other = [finding.problem for finding in inspect(definition) if not finding.grave]
    assert grave == [
        "toy_flat_1 renames SKY, which is not among its main categories",
        "toy_flat_1 takes each file by itself, and yet needs at least 3",
        "toy_flat_1 needs at least 3 files and takes at most 2",
        "DARK shall come from NOTHING, which no step makes",
    ]
    assert other == [
        "static calibrations, which no step makes: DARK, PSF",
        "products that no step takes: IMAGE, MASTER_FLAT",
    ]


def test_a_step_for_single_files_says_what_is_missing_where_there_is_none() -> None:
    absent = (DatasetFile("ARC.0", "ARC"),)
    made = plan(workflow("recipe: toy_arc, main: [ARC], each: true, products: [WAVE]"), Action("ARC", absent))
    assert made.steps[0].gaps[0] == "ARC.0 (ARC) is not on this machine"


CASES = (
    "cases: [{when: {INS.MODE: [SLOW, SLOWER]}, parameters: {kappa: 9}}, {when: {DET.NX: ['64']}, parameters: {r: 2}}, "
    "{when: {DET.NY: {below: 100}, 'EXTNAME[2]': null}, parameters: {s: 1}}]"
)


@pytest.mark.parametrize(
    ("keywords", "parameters"),
    [
        ({}, {"kappa": 5}),
        ({"INS.MODE": "FAST"}, {"kappa": 5}),
        ({"INS.MODE": "SLOW "}, {"kappa": 9}),
        ({"INS.MODE": "SLOWER", "DET.NX": 64}, {"kappa": 9, "r": 2}),
        ({"DET.NY": 99.5}, {"kappa": 5, "s": 1}),
        ({"DET.NY": 99, "EXTNAME[2]": "CHAN02"}, {"kappa": 5}),
        ({"DET.NY": 100}, {"kappa": 5}),
        ({"DET.NY": "few"}, {"kappa": 5}),
    ],
)
def test_a_case_has_parameters_for_files_whose_header_says_so(
    keywords: Keywords, parameters: dict[str, object]
) -> None:
    definition = workflow(f"recipe: toy_dark, main: [DARK], products: [D], parameters: {{kappa: 5}}, {CASES}")
    action = Action("DARK", files("DARK", 1))
    (path,) = (file.path for file in action.files if file.path is not None)
    (step,) = make_plan(Dataset("D", "TOY", action), definition, {path: keywords}).steps
    assert {setting.name: setting.value for setting in step.settings} == parameters
    assert {setting.origin for setting in step.settings} == {"workflow toy"}


def test_a_case_is_decided_by_the_raws_that_a_product_is_made_of() -> None:
    definition = workflow(
        "recipe: toy_basic, main: [OBJECT], products: [TABLE]",
        f"recipe: toy_cube, main: [TABLE], products: [CUBE], {CASES}",
    )
    action = Action("OBJECT", files("OBJECT", 1))
    (path,) = (file.path for file in action.files if file.path is not None)
    steps = make_plan(Dataset("D", "TOY", action), definition, {path: {"INS.MODE": "SLOW"}}).steps
    assert [[(each.name, each.value) for each in step.settings] for step in steps] == [[], [("kappa", 9)]]


@pytest.mark.parametrize("there", [True, False])
def test_a_case_is_decided_by_the_calibrations_that_the_recipe_gets(there: bool) -> None:
    lacking = "calibrations: {SKY: {}}, cases: [{without: [SKY], parameters: {method: simple}}]"
    definition = workflow(f"recipe: toy_cube, main: [OBJECT], products: [CUBE], {lacking}")
    sky = Action("SKY", files("SKY", 1))
    (step,) = plan(definition, Action("OBJECT", files("OBJECT", 1), actions=(sky,) if there else ())).steps
    assert {each.name: each.value for each in step.settings} == ({} if there else {"method": "simple"})


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        ("[{when: {}, parameters: {a: 1}}]", "a case without conditions is for all files"),
        ("[{when: {NAXIS2: {above: 3}}, parameters: {a: 1}}]", "has no 'above'; allowed: below"),
        ("[{without: [], parameters: {a: 1}}]", "a case without conditions"),
        ("[{when: {INS.MODE: [A]}}]", "parameters"),
        ("[{where: {INS.MODE: [A]}, parameters: {a: 1}}]", "where"),
    ],
)
def test_a_case_that_says_too_little_is_refused(cases: str, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        workflow(f"recipe: toy_dark, main: [DARK], products: [D], cases: {cases}")
