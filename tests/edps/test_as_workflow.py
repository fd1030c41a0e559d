"""A package as a definition: alternatives in order, conditions, numbers, tags, filters, parameter sets, functions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from esorex_bridge.cli import main
from esorex_bridge.definitions.edps.as_workflow import workflow_of
from esorex_bridge.definitions.steps import Calibration, StepDefinition, Validity
from tests.edps.packages import LAMP, TOY, read, write_package

RICH = (
    LAMP
    + """
    from edps import alternative_associated_inputs, get_parameter, match_rules

    def colour(files): return "red"
    def is_red(params): return get_parameter(params, "colour") == "red"
    def wanted(params): return True
    def alike(ref, f): return True
    def tune(job): pass

    FLAT = classification_rule("FLAT", {"pro.catg": "FLAT"})
    BIAS, LAMP_TAG = classification_rule("BIAS_OF_STARS"), classification_rule("LAMP")
    bias = task("bias").with_recipe("toy_bias").with_main_input(biases).with_output_filter(MASTER_BIAS).build()
    lamp = (task("lamp").with_recipe("toy_lamp").with_main_input(lamps)
            .with_associated_input(bias, [MASTER_BIAS]).build())
    ways = (alternative_associated_inputs()
            .with_associated_input(lamp, [MASTER_LAMP, FLAT], match_rules=match_rules().with_match_function(alike))
            .with_associated_input(lamp, [MASTER_LAMP], condition=is_red))
    star = (task("star").with_recipe("toy_star").with_main_input(stars)
            .with_associated_input(biases, min_ret=3, max_ret=-1)
            .with_associated_input(bias, [MASTER_BIAS], min_ret=0)
            .with_alternatives(ways)
            .with_dynamic_parameter("colour", colour).with_condition(wanted).with_job_processing(tune)
            .with_input_filter(FLAT, mode="REJECT").with_input_map({star_class: BIAS, MASTER_LAMP: LAMP_TAG})
            .with_grouping_keywords(["$group", "ins.filt"]).with_meta_targets([SCIENCE]).build())
"""
)
SETS = """
    default_parameters:
      is_default: yes
      workflow_parameters: {$group: "tpl.start"}
      recipe_parameters: {star: {toy.toy_star.n: 3}}
    other_parameters:
      workflow_parameters: {$group: "obs.id"}
"""


@pytest.fixture
def star(tmp_path: Path) -> StepDefinition:
    workflow = workflow_of(read(tmp_path, RICH, parameters=SETS))
    return next(step for step in workflow.steps if step.name == "star")


def calibration(step: StepDefinition, category: str) -> Calibration:
    return next(each for each in step.calibrations if each.category == category)


def test_alternatives_keep_their_order_with_rules_conditions_and_numbers(star: StepDefinition) -> None:
    first, second = calibration(star, "FLAT").branches
    assert (first.origin, first.categories, first.minimum, first.limit) == ("task lamp", ("MASTER_LAMP", "FLAT"), 1, 1)
    assert first.validity == (Validity(match=(), function="alike (toy_wkf.py:22)"),) and first.condition == ""
    assert (second.categories, second.condition) == (("MASTER_LAMP",), "is_red (toy_wkf.py:20)")
    assert [way.days for way in second.validity] == [(-7, 7)]


def test_a_number_above_one_and_an_optional_input_are_told_apart(star: StepDefinition) -> None:
    biases = calibration(star, "BIAS")
    assert biases.required and biases.limit is None and [way.minimum for way in biases.branches] == [3]
    masters = calibration(star, "MASTER_BIAS")
    assert not masters.required and masters.limit == 1 and masters.branches == ()
    assert [(way.days, way.level) for way in masters.validity] == [((-1, 1), 0), ((-7, 7), 1)]


def test_what_not_every_branch_brings_is_not_required(tmp_path: Path) -> None:
    plain = RICH.replace(", condition=is_red", "").replace(
        ".with_input_map({star_class: BIAS, MASTER_LAMP: LAMP_TAG})", ""
    )
    step = workflow_of(read(tmp_path, plain, parameters=SETS)).steps[-1]
    assert calibration(step, "MASTER_LAMP").required and not calibration(step, "FLAT").required


def test_conditions_filters_tags_and_functions_of_a_task_are_its_terms(star: StepDefinition) -> None:
    assert star.tags == (("STAR", "BIAS_OF_STARS"),)
    terms = star.terms
    assert terms is not None
    assert (terms.condition, terms.dynamic) == ("wanted (toy_wkf.py:21)", (("colour", "colour (toy_wkf.py:19)"),))
    assert (terms.takes, terms.gives, terms.labels) == (("all but", "FLAT"), (), ("science",))
    assert terms.renamed == (("STAR", "BIAS_OF_STARS"), ("MASTER_LAMP", "LAMP"))
    assert terms.changed_by == ("tune (toy_wkf.py:23)",)
    assert terms.group_by == ("$group", "ins.filt")


def test_parameter_sets_are_kept_and_the_chosen_one_counts(tmp_path: Path) -> None:
    package = read(tmp_path, RICH, parameters=SETS)
    workflow = workflow_of(package)
    assert [(each.name, each.is_default, dict(each.workflow)) for each in workflow.sets] == [
        ("default_parameters", True, {"$group": "tpl.start"}),
        ("other_parameters", False, {"$group": "obs.id"}),
    ]
    assert dict(workflow.sets[0].steps) == {"star": (("toy.toy_star.n", "3"),)}
    assert workflow.steps[-1].group_by == ("TPL.START", "INS.FILT")
    assert workflow.steps[-1].parameters == (("toy.toy_star.n", "3"),)
    assert workflow_of(package, "other").steps[-1].group_by == ("OBS.ID", "INS.FILT")


def test_compare_tells_where_conditions_alternatives_and_filters_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_package(tmp_path / "one", TOY)
    write_package(tmp_path / "other", RICH)
    assert main(["workflows", "compare", f"edps:{tmp_path}/one/toy", f"edps:{tmp_path}/other/toy", "--json"]) == 0
    rows = {(row["recipe"], row["category"], row["field"]): (row["left"], row["right"])
            for row in json.loads(capsys.readouterr().out)["compared"] if not row["same"]}  # fmt: skip
    assert rows["toy_star", "", "condition"] == ("-", "wanted (toy_wkf.py:21)")
    assert rows["toy_star", "", "takes"] == ("-", "all but FLAT")
    assert rows["toy_star", "", "tags"] == ("-", "STAR as BIAS_OF_STARS")
    assert rows["toy_bias", "", "gives"] == ("-", "only MASTER_BIAS")
    assert rows["toy_star", "", "changed_by"] == ("-", "tune (toy_wkf.py:23)")
