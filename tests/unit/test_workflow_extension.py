"""Definitions that extend others: what is changed, taken away and added, and whose word counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from esorex_bridge.definitions.folders import Definitions
from esorex_bridge.definitions.located import DefinitionError
from esorex_bridge.definitions.workflow import Workflow, choose_workflow
from esorex_bridge.definitions.workflow_yaml import parse_workflow
from esorex_bridge.errors import UserError

BASE = """
workflow: toy
title: Toys
instruments: [TOY]
pipeline: toy
state: from documentation
steps:
  - recipe: toy_dark
    main: [DARK]
    products: [MASTER_DARK]
  - recipe: toy_flat
    main: [FLAT]
    calibrations:
      MASTER_DARK: {required: true, match: [DET.DIT]}
      MASK: {}
    parameters: {kappa: 3, method: median}
    products: [MASTER_FLAT]
"""


def extended(text: str) -> Workflow:
    return parse_workflow(f"workflow: mine\nextends: toy\n{text}", "mine.yaml", lambda _: parse_workflow(BASE, "toy"))


def test_what_is_not_said_stays_as_it_is() -> None:
    mine, base = extended(""), parse_workflow(BASE, "toy")
    assert (mine.name, mine.extends) == ("mine", "toy")
    assert (mine.title, mine.instruments, mine.state, mine.steps) == (
        base.title, base.instruments, base.state, base.steps,
    )  # fmt: skip


def test_parameters_are_merged() -> None:
    step = extended("change: {toy_flat: {parameters: {kappa: 5, niter: 2}}}").steps[1]
    assert dict(step.parameters) == {"kappa": 5, "method": "median", "niter": 2}


def test_a_parameter_that_is_changed_goes_before_the_cases_that_were_there() -> None:
    cases = "    cases: [{when: {MODE: [SLOW]}, parameters: {kappa: 9, method: mean}}]\n"
    base = parse_workflow(BASE + cases, "toy")

    def chosen(change: str) -> dict[str, object]:
        text = f"workflow: mine\nextends: toy\nchange: {{toy_flat: {{{change}}}}}"
        return dict(parse_workflow(text, "mine.yaml", lambda _: base).steps[1].parameters_for({"MODE": "SLOW"}, ()))

    assert chosen("minimum: 2") == {"kappa": 9, "method": "mean"}
    assert chosen("parameters: {kappa: 5}") == {"kappa": 5, "method": "mean"}
    new = "cases: [{when: {MODE: [SLOW]}, parameters: {kappa: 7}}]"
    assert chosen(f"parameters: {{kappa: 5}}, {new}") == {"kappa": 7, "method": "median"}


def test_a_calibration_is_merged_added_and_taken_away() -> None:
    step = extended(
        "change: {toy_flat: {calibrations: {MASTER_DARK: {limit: 2}, MASK: null, CATALOGUE: {required: true}}}}"
    ).steps[1]
    dark, catalogue = step.calibrations
    assert (dark.category, dark.required, dark.match, dark.limit) == ("MASTER_DARK", True, ("DET.DIT",), 2)
    assert (catalogue.category, catalogue.required) == ("CATALOGUE", True)


def test_a_step_is_taken_away() -> None:
    assert [step.recipe for step in extended("remove: [toy_dark]").steps] == ["toy_flat"]


def test_an_own_command_is_found_beside_its_definition() -> None:
    text = "steps:\n  - {name: smooth, command: [./smooth.py, -v], main: [MASTER_FLAT], products: [SMOOTH]}"
    base = parse_workflow(BASE, "/etc/toy.yaml")
    mine = parse_workflow(f"workflow: mine\nextends: toy\n{text}", "/home/me/mine.yaml", lambda _: base)
    step = mine.steps[-1]
    assert (step.recipe, step.name) == ("smooth", "smooth_1")
    assert step.command == ("/home/me/smooth.py", "-v")


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("change: {toy_flats: {}}", 3, "there is no step 'toy_flats' in the workflow; there are: toy_dark_1, toy_flat"),
        ("change: {toy_flat: {recipe: other}}", 3, "the change of toy_flat_1 has no 'recipe'"),
        ("change: {toy_flat: {calibrations: {PSF: null}}}", 3, "there is no calibration PSF to take away"),
        ("remove: [toy_bias]", 3, "there is no step 'toy_bias'"),
        ("steps: [{command: [x], main: [A], products: [B]}]", 3, "a step with a command needs a 'name'"),
        ("steps: [{main: [A], products: [B]}]", 3, "a step has either a 'recipe' or a 'command'"),
        ("steps: [{recipe: other, main: [A], products: [MASTER_DARK]}]", 3, "made by both toy_dark and other"),
        ("steps: [{recipe: other, main: [MASTER_FLAT], products: [MASK]}]", 11, "circular dependency"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(DefinitionError, match=problem) as told:
        extended(text)
    assert told.value.line == line


def test_a_change_without_a_base_is_refused() -> None:
    with pytest.raises(DefinitionError, match="'change' needs 'extends: NAME'"):
        parse_workflow(BASE + "change: {toy_flat: {}}", "toy.yaml")


def test_the_first_of_two_definitions_for_an_instrument_counts_and_a_mode_chooses() -> None:
    imaging = parse_workflow(BASE.replace("title:", "applies: {INS.MODE: [IMG]}\ntitle:"), "img")
    spectra = parse_workflow(BASE.replace("workflow: toy", "workflow: spectra"), "spc")
    assert choose_workflow((imaging, spectra), "toy", {"INS.MODE": "IMG "}).name == "toy"
    assert choose_workflow((imaging, spectra), "TOY", {"INS.MODE": "SPC"}).name == "spectra"
    with pytest.raises(UserError, match=r"for this mode \(INS.MODE of toy: IMG\)"):
        choose_workflow((imaging,), "TOY", {"INS.MODE": "SPC"})


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    own, ours = tmp_path / "own", tmp_path / "ours"
    own.mkdir()
    ours.mkdir()
    (ours / "toy.yaml").write_text(BASE)
    (ours / "other.yaml").write_text(BASE.replace("TOY", "OTHER").replace("workflow: toy", "workflow: other"))
    return own, ours


def test_a_user_changes_a_definition_under_its_own_name(folders: tuple[Path, Path]) -> None:
    (folders[0] / "toy.yaml").write_text("workflow: toy\nextends: toy\nchange: {toy_flat: {parameters: {kappa: 9}}}\n")
    chosen = Definitions(folders).choose("TOY", {})
    assert dict(chosen.steps[1].parameters)["kappa"] == 9
    assert {workflow.name for workflow in Definitions(folders).all()} == {"toy", "other"}


def test_only_definitions_that_name_the_instrument_are_read(folders: tuple[Path, Path]) -> None:
    (folders[1] / "broken.yaml").write_text("workflow: [this is no definition")
    assert Definitions(folders).choose("OTHER", {}).name == "other"
    with pytest.raises(DefinitionError):
        Definitions(folders).all()


def test_a_definition_that_extends_one_of_another_instrument_is_not_read(folders: tuple[Path, Path]) -> None:
    (folders[0] / "mine.yaml").write_text("workflow: mine\nextends: toy\nchange: {toy_flat: no change}\n")
    assert Definitions(folders).choose("OTHER", {}).name == "other"
    with pytest.raises(DefinitionError):
        Definitions(folders).choose("TOY", {})


def test_a_missing_base_is_named(folders: tuple[Path, Path]) -> None:
    (folders[0] / "mine.yaml").write_text("workflow: mine\nextends: gone\n")
    with pytest.raises(UserError, match="there is no workflow 'gone'; there are: mine, other, toy"):
        Definitions(folders).find("mine")


def test_definitions_that_extend_each_other_are_refused(folders: tuple[Path, Path]) -> None:
    (folders[0] / "one.yaml").write_text("workflow: one\nextends: two\n")
    (folders[0] / "two.yaml").write_text("workflow: two\nextends: one\n")
    with pytest.raises(UserError, match=r"one.yaml extends itself, by way of .*two.yaml"):
        Definitions(folders).find("one")


TWO_FLATS = f"""{BASE}
  - recipe: toy_flat
    main: [POL_FLAT]
    products: [POL_MASTER]
"""


def change_two(text: str) -> Workflow:
    return parse_workflow(
        f"workflow: mine\nextends: toy\n{text}", "mine.yaml", lambda _: parse_workflow(TWO_FLATS, "toy")
    )


def test_the_name_of_a_recipe_means_all_its_steps() -> None:
    changed = change_two("change: {toy_flat: {parameters: {kappa: 9}}}")
    assert [dict(step.parameters).get("kappa") for step in changed.steps] == [None, 9, 9]
    changed = change_two("change: {toy_flat_2: {parameters: {kappa: 9}}}")
    assert [dict(step.parameters).get("kappa") for step in changed.steps] == [None, 3, 9]
    assert [step.recipe for step in change_two("remove: [toy_flat]").steps] == ["toy_dark"]


def test_what_belongs_to_one_step_is_not_changed_in_all_of_a_recipe() -> None:
    with pytest.raises(
        DefinitionError, match="toy_flat is the recipe of toy_flat_1, toy_flat_2, and main is that of one"
    ):
        change_two("change: {toy_flat: {main: [SKY_FLAT]}}")
