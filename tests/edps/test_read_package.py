"""What the stand-in takes down of a package: each builder, each object, and what it does not know."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from esorex_bridge.definitions.edps.as_workflow import workflow_of
from esorex_bridge.definitions.edps.package import Package, PackageTask
from esorex_bridge.edps.process import PackageError
from esorex_bridge.edps.read import read_package
from esorex_bridge.errors import UserError
from tests.edps.packages import LAMP, TOY, read, write_package


def only_task(package: Package) -> PackageTask:
    return package.description.tasks[-1]


def test_a_package_without_call_backs_is_read_completely(tmp_path: Path) -> None:
    package = read(tmp_path, TOY)
    said = package.description
    assert package.name == "toy.toy_wkf"
    assert [task.name for task in said.tasks] == ["bias", "lamp", "star"]
    assert [source.name for source in said.sources] == ["BIASES", "LAMPS", "STARS"]
    assert [rule.tag for rule in said.classes] == ["BIAS", "LAMP", "STAR", "MASTER_BIAS", "MASTER_LAMP"]
    assert said.not_understood == () and said.call_backs() == ()


def test_a_rule_holds_texts_absence_and_lists(tmp_path: Path) -> None:
    bias, _, star, _, bare = read(tmp_path, TOY).description.classes
    assert bias.keywords == {"instrume": "TOY", "pro.catg": None, "dpr.type": "BIAS"}
    assert star.keywords is not None and star.keywords["dpr.type"] == ("OBJECT", "STD")
    assert bare.keywords is None and bare.function is None


def test_match_rules_keep_their_order_with_days_and_levels(tmp_path: Path) -> None:
    (branch,) = read(tmp_path, TOY).description.tasks[1].branches()
    assert [(rule.match, rule.days, rule.level) for rule in branch.rules] == [
        (("det.read",), (-1.0, 1.0), 0),
        (("det.read",), (-7.0, 7.0), 1),
    ]


BUILDERS = {
    "with_recipe": ("", lambda task: task.recipe == "toy_x"),
    "with_function": (
        ".with_function(copy_all, recipes=['a', 'b'])",
        lambda task: task.function.name == "copy_all" and task.recipes == ("a", "b"),
    ),
    "with_shell_command": (".with_shell_command('make it')", lambda task: task.shell_command == "make it"),
    "with_main_input of a task with classes": (
        ".with_main_input(first, [MASTER_BIAS])",
        lambda task: task.main_input.kind == "task" and task.main_classes == ("MASTER_BIAS",),
    ),
    "with_associated_input": (
        ".with_associated_input(first, [MASTER_BIAS], min_ret=0, max_ret=10)",
        lambda task: (
            [(b.kind, b.min_ret, b.max_ret, b.categories) for b in task.branches()]
            == [("task", 0, 10, ("MASTER_BIAS",))]
        ),
    ),
    "associated_input": (
        ".with_associated_input(associated_input(lamps, min_ret=2))",
        lambda task: [(b.kind, b.name, b.min_ret) for b in task.branches()] == [("source", "LAMPS", 2)],
    ),
    "condition": (
        ".with_associated_input(lamps, condition=holds)",
        lambda task: next(task.branches()).condition.name == "holds",
    ),
    "match_rules": (
        ".with_associated_input(lamps, match_rules=match_rules().with_match_function(fits, level=2))",
        lambda task: (
            [(r.function.name, r.level) for r in next(task.branches()).rules] == [("fits", 2)]
            and next(task.branches()).own_rules
        ),
    ),
    "with_alternatives": (
        ".with_alternatives(alternative_associated_inputs(sort_keys=['mjd-obs'])"
        ".with_associated_input(lamps).with_associated_input(biases, min_ret=0))",
        lambda task: (
            task.inputs[0].alternatives
            and task.inputs[0].sort_keys == ("mjd-obs",)
            and [branch.name for branch in task.branches()] == ["LAMPS", "BIASES"]
        ),
    ),
    "with_alternative_associated_inputs": (
        ".with_alternative_associated_inputs(alternative_association().with_associated_input(lamps))",
        lambda task: task.inputs[0].alternatives,
    ),
    "alternative_associated_input": (
        ".with_alternatives(alternative_associated_input().with_associated_input(lamps))",
        lambda task: task.inputs[0].alternatives,
    ),
    "with_dynamic_parameter": (
        ".with_dynamic_parameter('band', holds)",
        lambda task: task.dynamic_parameters["band"].name == "holds",
    ),
    "with_condition": (".with_condition(holds)", lambda task: task.condition.name == "holds"),
    "with_job_processing": (
        ".with_job_processing(holds).with_job_processing(fits)",
        lambda task: [function.name for function in task.job_functions] == ["holds", "fits"],
    ),
    "with_input_filter": (
        ".with_input_filter(MASTER_BIAS, 'OTHER')",
        lambda task: (task.input_filter.mode, task.input_filter.tags) == ("SELECT", ("MASTER_BIAS", "OTHER")),
    ),
    "with_input_filter that rejects": (
        ".with_input_filter(MASTER_BIAS, mode='REJECT')",
        lambda task: task.input_filter.mode == "REJECT",
    ),
    "with_output_filter": (
        ".with_output_filter(MASTER_BIAS, mode=FilterMode.REJECT)",
        lambda task: (task.output_filter.mode, task.output_filter.tags) == ("REJECT", ("MASTER_BIAS",)),
    ),
    "with_input_map": (
        ".with_input_map({bias_class: lamp_class})",
        lambda task: task.input_map == {"BIAS": "LAMP"},
    ),
    "with_grouping_keywords": (
        ".with_grouping_keywords(['obs.id'])",
        lambda task: task.grouping.keywords == ("obs.id",),
    ),
    "with_cluster": (
        ".with_cluster('SKY.POSITION', max_separation=0.1, max_diameter='largest')",
        lambda task: task.grouping.cluster == ("SKY.POSITION", "0.1", "largest"),
    ),
    "with_grouping_function": (
        ".with_grouping_function(holds)",
        lambda task: task.grouping.function.name == "holds",
    ),
    "with_min_group_size": (".with_min_group_size(4)", lambda task: task.grouping.minimum == 4),
    "with_meta_targets": (
        ".with_meta_targets([SCIENCE, QC0, 'own'])",
        lambda task: task.meta_targets == ("science", "qc0", "own"),
    ),
    "with_report": (
        ".with_report('toy_rawdisp', ReportInput.RECIPE_INPUTS_OUTPUTS, driver='png')",
        lambda task: task.reports == ("toy_rawdisp",),
    ),
    "with_description": (".with_description('what it does')", lambda task: task.name == "x"),
    "with_subworkflow_name": (".with_subworkflow_name('flats')", lambda task: task.subworkflow == "flats"),
}


@pytest.mark.parametrize("method", BUILDERS)
def test_each_method_of_a_task_is_taken_down(tmp_path: Path, method: str) -> None:
    call, holds = BUILDERS[method]
    head = """
    from edps import *
    def holds(*given): return True
    def fits(ref, f): return True
    first = task("first").with_recipe("toy_first").with_main_input(biases).build()
    """
    package = read(
        tmp_path,
        LAMP
        + head
        + f"""
    made = task("x").with_recipe("toy_x").with_main_input(biases){call}.build()
    """,
    )
    assert package.description.not_understood == ()
    assert holds(only_task(package)), only_task(package)


SOURCES = {
    "label": ("data_source()", lambda source: source.name == "BIAS"),
    "with_classification_rule": (
        "data_source('S').with_classification_rule(lamp_class)",
        lambda source: source.classes == ("LAMP", "BIAS"),
    ),
    "with_setup_keywords": (
        "data_source('S').with_setup_keywords(['det.read'])",
        lambda source: source.setup == ("det.read",),
    ),
    "with_match_function": (
        "data_source('S').with_match_function(fits, time_range=IN_THE_PAST, level=3)",
        lambda source: [(r.function.name, r.days, r.level) for r in source.rules] == [("fits", (None, 0.0), 3)],
    ),
    "with_match_rules": (
        "data_source('S').with_match_rules(match_rules().with_match_keywords(['a.b'], time_range=NEXT_DAY))",
        lambda source: [(r.match, r.days) for r in source.rules] == [(("a.b",), (0.0, 1.0))],
    ),
    "RelativeTimeRange": (
        "data_source('S').with_match_keywords([], time_range=RelativeTimeRange(-0.5, INF), level=-1)",
        lambda source: [(r.match, r.days, r.level) for r in source.rules] == [((), (-0.5, None), -1)],
    ),
    "with_cluster by position": (
        "data_source('S').with_cluster('SKY.POSITION', 1, 2)",
        lambda source: source.grouping.cluster == ("SKY.POSITION", "1", "2"),
    ),
    "with_custom_grouping": (
        "data_source('S').with_custom_grouping(fits)",
        lambda source: source.grouping.function.name == "fits",
    ),
    "with_min_group_size": (
        "data_source('S').with_min_group_size(3)",
        lambda source: source.grouping.minimum == 3,
    ),
}


@pytest.mark.parametrize("method", SOURCES)
def test_each_method_of_a_data_source_is_taken_down(tmp_path: Path, method: str) -> None:
    call, holds = SOURCES[method]
    package = read(
        tmp_path,
        LAMP
        + f"""
    from edps import *
    def fits(*given): return True
    made = {call}.with_classification_rule(bias_class).build()
    """,
    )
    assert package.description.not_understood == ()
    assert holds(package.description.sources[-1]), package.description.sources[-1]


DAYS = {
    "ONE_AND_HALF_HOURS": 0.0625,
    "SAME_NIGHT": 0.4,
    "ONE_DAY": 1,
    "TWO_DAYS": 2,
    "THREE_DAYS": 3,
    "FOUR_DAYS": 4,
    "FIVE_DAYS": 5,
    "ONE_WEEK": 7,
    "TWO_WEEKS": 14,
    "THREE_WEEKS": 21,
    "ONE_MONTH": 30,
    "QUARTERLY": 90,
}


def test_all_time_ranges_have_their_days(tmp_path: Path) -> None:
    package = read(
        tmp_path,
        LAMP
        + f"""
    import edps.generator.time_range as ranges
    for name in {list(DAYS)}:
        data_source(name).with_match_keywords([], time_range=getattr(ranges, name)).build()
    """,
    )
    found = {source.name: source.rules[0].days for source in package.description.sources[3:]}
    assert found == {name: (-days, days) for name, days in DAYS.items()}


def test_builders_change_what_they_are_called_on(tmp_path: Path) -> None:
    package = read(
        tmp_path,
        LAMP
        + """
    half = task("half")
    half.with_recipe("toy_half")
    half.with_main_input(biases)
    def more(builder): builder.with_associated_input(lamps)
    more(half)
    done = half.build()
    """,
    )
    assert only_task(package).recipe == "toy_half"
    assert [branch.name for branch in only_task(package).branches()] == ["LAMPS"]


def test_what_was_built_does_not_change_with_its_builder(tmp_path: Path) -> None:
    package = read(
        tmp_path,
        LAMP
        + """
    half = data_source("half").with_classification_rule(bias_class)
    first = half.with_grouping_keywords(["a.b"]).build()
    half.with_grouping_keywords(["c.d"]).with_match_keywords(["e.f"])
    base = task("base").with_recipe("toy_base").with_main_input(first)
    one = base.build()
    base.with_associated_input(lamps)
    other = task("other").with_recipe("toy_other").with_main_input(half).build()
    """,
    )
    base, _ = package.description.tasks
    assert list(base.branches()) == [] and base.main_input is not None
    first, half = (source for source in package.description.sources if source.name == "half")
    assert (first.grouping.keywords, first.rules) == (("a.b",), ())
    assert (half.grouping.keywords, [rule.match for rule in half.rules]) == (("c.d",), [("e.f",)])


def test_numbers_and_tags_that_are_not_known_refuse_nothing(tmp_path: Path) -> None:
    package = read(
        tmp_path,
        LAMP
        + """
    from edps import MANY, PREFIX
    from nowhere import names
    odd_class = classification_rule(names.odd, {names.key: "x"})
    odd = (task("odd").with_recipe("toy_odd").with_main_input(biases, [odd_class])
           .with_associated_input(lamps, max_ret=MANY).with_min_group_size(MANY).build())
    """,
    )
    assert only_task(package).name == "odd"
    assert {"MANY", "PREFIX"} <= {each.name for each in package.description.not_understood}


def test_unknown_names_are_listed_with_file_and_line_and_refuse_nothing(tmp_path: Path) -> None:
    package = read(
        tmp_path,
        TOY
        + """
    from edps import teleport
    odd = (task("odd").with_recipe("toy_odd").with_main_input(biases)
           .with_phase_of_the_moon("full").with_associated_input(lamps, colour="red").build())
    beam = teleport(odd)
    """,
    )
    found = {each.name: each for each in package.description.not_understood}
    assert set(found) == {"teleport", "with_phase_of_the_moon", "with_associated_input(colour=…)"}
    assert found["with_phase_of_the_moon"].where == "task odd"
    lines = (tmp_path / "toy" / "toy_wkf.py").read_text().splitlines()
    assert "teleport" in lines[found["teleport"].line - 1]
    assert found["teleport"].file.endswith("toy/toy_wkf.py")
    assert [task.name for task in package.description.tasks] == ["bias", "lamp", "star", "odd"]


def test_what_is_not_installed_is_inert_and_told(tmp_path: Path) -> None:
    package = read(
        tmp_path,
        TOY
        + """
    import numpy as np
    from adari_core.report import AdariReportBase
    half = np.array([1, 2]) * 2
    class Report(AdariReportBase):
        pass
    """,
    )
    assert [task.name for task in package.description.tasks] == ["bias", "lamp", "star"]
    assert "module numpy is not installed where packages are read; it means nothing here" in package.description.remarks


def test_tasks_of_imported_workflows_and_subworkflows_belong_to_it(tmp_path: Path) -> None:
    others = {
        "other/__init__.py": "",
        "other/other_wkf.py": LAMP
        + """
    lent = task("lent").with_recipe("toy_lent").with_main_input(lamps).build()
    """,
    }
    package = read(
        tmp_path,
        LAMP
        + """
    from edps import subworkflow
    from other import other_wkf
    @subworkflow("inner", "")
    def inner():
        return task("hidden").with_recipe("toy_hidden").with_main_input(biases).build()
    last = task("last").with_recipe("toy_last").with_main_input(inner()).build()
    """,
        others,
    )
    tasks = {task.name: task for task in package.description.tasks}
    assert set(tasks) == {"lent", "hidden", "last"}
    assert tasks["hidden"].subworkflow == "inner"


PARAMETERS = """
    default_parameters: &default
      is_default: yes
      workflow_parameters: &names
        $group: "tpl.start"
        use: "TRUE"
      recipe_parameters: &recipes
        star:
          toy.toy_star.kappa: 3.0
          toy.toy_star.clean: TRUE
        sky: {toy.toy_sky.order: 2}
    science_parameters:
      <<: *default
      is_default: no
      workflow_parameters:
        <<: *names
        use: "FALSE"
"""


def test_parameter_sets_keep_values_as_written_and_merge(tmp_path: Path) -> None:
    first, second = read(tmp_path, TOY, parameters=PARAMETERS).sets
    assert (first.name, first.is_default) == ("default_parameters", True)
    assert first.recipes["star"] == {"toy.toy_star.kappa": "3.0", "toy.toy_star.clean": "TRUE"}
    assert (second.is_default, second.workflow) == (False, {"$group": "tpl.start", "use": "FALSE"})
    assert second.recipes == first.recipes


def test_entries_of_parameter_sets_that_name_no_task_are_told(tmp_path: Path) -> None:
    package = read(tmp_path, TOY, parameters=PARAMETERS)
    assert package.unknown_tasks() == (("default_parameters", "sky"), ("science_parameters", "sky"))


def test_a_package_that_does_not_import_is_told_with_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"toy_wkf\.py:3: ZeroDivisionError"):
        read(tmp_path, "\nx = 1\ny = x / 0\n")
    with pytest.raises(PackageError, match=r"toy_wkf\.py:1: SyntaxError"):
        read(tmp_path, "def broken(:\n    pass\n")


def test_parameters_that_are_not_yaml_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"toy_parameters\.yaml cannot be read"):
        read(tmp_path, TOY, parameters="a: [1\n")


def test_merges_that_multiply_without_end_are_refused(tmp_path: Path) -> None:
    bomb = "a0: &a0 {" + ", ".join(f"k{n}: v" for n in range(100)) + "}\n"
    for level in range(1, 9):
        bomb += f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 10)}]}}\n"
    with pytest.raises(UserError, match="merges to more than"):
        read(tmp_path, TOY, parameters=bomb)


def test_rules_whose_levels_fall_or_repeat_are_told(tmp_path: Path) -> None:
    again = TOY.replace("time_range=ONE_WEEK, level=1", "time_range=ONE_WEEK, level=0")
    (told,) = read(tmp_path / "again", again).description.remarks
    assert told == "data source BIASES: several association rules have one level; they are tried as written"
    falling = TOY.replace("time_range=ONE_WEEK, level=1", "time_range=ONE_WEEK, level=-1")
    (told,) = read(tmp_path / "fall", falling).description.remarks
    assert told == "data source BIASES: the levels of its association rules fall; they are tried as written"


def test_a_package_is_read_again_only_when_it_or_what_it_imports_changes(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    others = {"other/__init__.py": "", "other/rules.py": "kind = 'LAMP'\n"}
    sources = write_package(tmp_path, TOY + "\n    from other import rules\n", others)
    first = read_package(sources, cache=cache)
    (remembered,) = cache.iterdir()
    remembered.write_bytes(remembered.read_bytes().replace(b"toy_star", b"toy_moon"))
    assert read_package(sources, cache=cache).description.tasks[-1].recipe == "toy_moon"
    changed = write_package(tmp_path, TOY + "\n    from other import rules\n", {"other/rules.py": "kind = 'SKY'\n"})
    assert changed.digest() != sources.digest()
    assert read_package(changed, cache=cache).description == first.description


def test_a_package_becomes_a_definition_with_validity_and_levels(tmp_path: Path) -> None:
    workflow = workflow_of(read(tmp_path, TOY, parameters=PARAMETERS))
    assert workflow.instruments == ("TOY",)
    star = workflow.steps[-1]
    assert (star.name, star.recipe, star.main, star.group_by) == ("star", "toy_star", ("STAR",), ("TPL.START",))
    bias, lamp = star.calibrations
    assert (bias.category, bias.required, bias.match, bias.limit) == ("MASTER_BIAS", True, ("DET.READ",), 1)
    assert [(each.days, each.level) for each in bias.validity] == [((-1.0, 1.0), 0), ((-7.0, 7.0), 1)]
    assert (lamp.category, lamp.required) == ("MASTER_LAMP", False)
    assert dict(star.parameters) == {"toy.toy_star.kappa": "3.0", "toy.toy_star.clean": "TRUE"}


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    place = tmp_path / "no-folder"
    place.write_text("a file")
    sources = write_package(tmp_path, TOY)
    assert read_package(sources, cache=place) == read_package(sources, cache=tmp_path / "cache")


NAMES = (
    "ClassificationRule, ClassifiedFitsFile, DataSource, File, FilterMode, FitsFile, INF, InvokerProvider, Job, "
    "JobParameters, List, NEGATIVE_INF, ProductClassificationRule, ProductRenamer, RecipeInputs, "
    "RecipeInvocationArguments, RecipeInvocationResult, RelativeTimeRange, ReportInput, Task, "
    "alternative_associated_input, alternative_associated_inputs, alternative_association, associated_input, "
    "classification_rule, copy_all, copy_upstream, data_source, get_parameter, match, match_rules, subworkflow, "
    "task, SCIENCE, QC0, QC1_CALIB, CALCHECKER, IDP, ALL, science, qc0, qc1calib, calchecker, idp, "
    "ONE_AND_HALF_HOURS, SAME_NIGHT, NEXT_DAY, ONE_DAY, IN_THE_PAST, UNLIMITED, QUARTERLY"
)


def test_all_names_of_the_language_are_known(tmp_path: Path) -> None:
    package = read(tmp_path, f"from edps import {NAMES}\nfrom edps import *\n" + dedent(TOY))
    assert package.description.not_understood == ()


def test_objects_of_functions_can_be_made_and_old_rules_be_used(tmp_path: Path) -> None:
    package = read(tmp_path, LAMP + """
    from edps import (ClassificationRule, FitsFile, ProductClassificationRule, RecipeInputs, RecipeInvocationResult)
    made = RecipeInvocationResult(return_code=0, output_files=[FitsFile(name="a", category="B")])
    assert made.return_code == 0 and made.output_files[0].category == "B"
    inputs = RecipeInputs(main_upstream_inputs=[], associated_upstream_inputs=[])
    old = ClassificationRule("OLD", {"dpr.type": "OLD"})
    product = ProductClassificationRule("PRODUCT")
    assert old.classification == "OLD"
    source = data_source().with_classification_rule(old).with_classification_rule(product).build()
    """)  # fmt: skip
    assert package.description.sources[-1].classes == ("OLD", "PRODUCT")


def test_listed_tasks_and_modules_belong_to_a_workflow(tmp_path: Path) -> None:
    others = {
        "toy/__init__.py": "",
        "toy/toy_flats.py": LAMP + """
    flat = task("flat").with_recipe("toy_flat").with_main_input(lamps).build()
    """,
        "toy/toy_standards.py": LAMP + """
    standard = task("standard").with_recipe("toy_standard").with_main_input(stars).build()
    unused = task("unused").with_recipe("toy_unused").with_main_input(stars).build()
    """,
    }  # fmt: skip
    package = read(tmp_path, LAMP + """
    from . import toy_flats, toy_standards
    __all__ = ["toy_flats"]
    imported_tasks = [toy_standards.standard]
    """, others)  # fmt: skip
    assert sorted(task.name for task in package.description.tasks) == ["flat", "standard"]
