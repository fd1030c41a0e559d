"""Files become jobs by the semantics of EDPS: groups, associations with levels, alternatives, filters, targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.definitions.edps.planned_jobs import Event
from esorex_bridge.errors import UserError
from tests.edps.packages import LAMP, TOY, frame, job_of, master, plan, sof

FILES: dict[str, dict[str, Any]] = {
    "b1": frame("BIAS", 100.0, "TB"),
    "b2": frame("BIAS", 100.01, "TB"),
    "l1": frame("LAMP", 101.0, "TL"),
    "s1": frame("OBJECT", 100.5, "TS"),
}


def test_targets_get_what_they_need_and_nothing_else(tmp_path: Path) -> None:
    jobs = plan(tmp_path, TOY, FILES)
    assert [(job.task, job.reference, job.complete) for job in jobs.jobs] == [
        ("bias", "b1", True),
        ("lamp", "l1", True),
        ("star", "s1", True),
    ]
    star = job_of(jobs, "star", "s1")
    assert sof(jobs, star) == ["s1 STAR", "<bias of b1> MASTER_BIAS", "<lamp of l1> MASTER_LAMP"]
    assert [(each.name, each.level, each.days) for each in star.inputs] == [("bias", 0, -0.5), ("lamp", 0, 0.5)]
    only = plan(tmp_path, TOY, FILES, targets=("lamp",))
    assert [job.task for job in only.jobs] == ["bias", "lamp"]
    labelled = plan(tmp_path, TOY, FILES, meta_targets=("qc1calib",))
    assert [job.task for job in labelled.jobs if job.target] == ["bias", "lamp"]


def test_an_unknown_target_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no task 'moon'; there are: bias, lamp, star"):
        plan(tmp_path, TOY, FILES, targets=("moon",))
    with pytest.raises(UserError, match="no task has the meta target idp; there are: qc1calib, science"):
        plan(tmp_path, TOY, FILES, meta_targets=("idp",))


def test_a_later_rule_gives_a_worse_level(tmp_path: Path) -> None:
    jobs = plan(tmp_path, TOY, {**FILES, "s1": frame("OBJECT", 105.0, "TS")})
    assert [(each.level, each.days) for each in job_of(jobs, "star", "s1").inputs] == [(1, -5.0), (0, -4.0)]


def test_without_a_required_input_a_job_is_incomplete_and_says_what_is_missing(tmp_path: Path) -> None:
    jobs = plan(tmp_path, TOY, {**FILES, "s1": frame("OBJECT", 120.0, "TS")})
    star = job_of(jobs, "star", "s1")
    assert not star.complete and star.missing == ("needs bias (MASTER_BIAS): nothing fits",)
    assert star.warnings == ("made without lamp (MASTER_LAMP)",)


def test_a_missing_keyword_does_not_match_unless_both_lack_it(tmp_path: Path) -> None:
    without = {**frame("OBJECT", 100.5, "TS"), "det.read": None}
    assert not job_of(plan(tmp_path, TOY, {**FILES, "s1": without}), "star", "s1").complete
    biases = {name: {**FILES[name], "det.read": None} for name in ("b1", "b2")}
    assert job_of(plan(tmp_path, TOY, {**FILES, **biases, "s1": without}), "star", "s1").complete


def test_missing_values_agree_in_grouping(tmp_path: Path) -> None:
    files = {name: {**frame("BIAS", 100 + place / 10), "tpl.start": None} for place, name in enumerate("ab")}
    assert [job.main for job in plan(tmp_path, TOY, files, targets=("bias",)).jobs] == [(("a", "BIAS"), ("b", "BIAS"))]


def test_a_product_on_disk_is_no_raw_frame_though_the_rule_does_not_say_so(tmp_path: Path) -> None:
    workflow = TOY.replace('"pro.catg": None, ', "")
    jobs = plan(tmp_path, workflow, {**FILES, "m": {**master("MASTER_BIAS", 100.3), "dpr.type": "BIAS"}})
    assert [job.main for job in jobs.jobs if job.task == "bias"] == [(("b1", "BIAS"), ("b2", "BIAS"))]


PREFERENCE = {
    "raw_per_quality_level": "<bias of b1> MASTER_BIAS",
    "master_per_quality_level": "m MASTER_BIAS",
    "raw": "<bias of b1> MASTER_BIAS",
    "master": "m MASTER_BIAS",
}


@pytest.mark.parametrize("preference", PREFERENCE)
def test_raws_or_masters_come_first_as_asked(tmp_path: Path, preference: str) -> None:
    jobs = plan(tmp_path, TOY, {**FILES, "m": master("MASTER_BIAS", 100.4)}, preference=preference)
    assert PREFERENCE[preference] in sof(jobs, job_of(jobs, "star", "s1"))


def test_by_level_a_master_of_the_first_rule_wins_over_raws_of_the_second(tmp_path: Path) -> None:
    files = {"b1": frame("BIAS", 100.0), "m": master("MASTER_BIAS", 104.5), "s1": frame("OBJECT", 105.0)}
    by_level = plan(tmp_path, TOY, files)
    assert "m MASTER_BIAS" in sof(by_level, job_of(by_level, "star", "s1"))
    by_raw = plan(tmp_path, TOY, files, preference="raw")
    assert "<bias of b1> MASTER_BIAS" in sof(by_raw, job_of(by_raw, "star", "s1"))


def test_all_classes_of_masters_are_wanted_together(tmp_path: Path) -> None:
    workflow = TOY.replace("bias, [MASTER_BIAS]).with_associated_input(lamp", "bias, [MASTER_BIAS, MASTER_LAMP])"
                           ".with_associated_input(lamp")  # fmt: skip
    files = {"m": master("MASTER_BIAS", 100.4), "s1": FILES["s1"]}
    assert not job_of(plan(tmp_path, workflow, files), "star", "s1").complete
    both = plan(tmp_path, workflow, {**files, "n": master("MASTER_LAMP", 100.4)})
    assert sof(both, job_of(both, "star", "s1"))[:3] == ["s1 STAR", "m MASTER_BIAS", "n MASTER_LAMP"]


def test_rules_above_the_quality_threshold_are_not_tried(tmp_path: Path) -> None:
    files = {**FILES, "s1": frame("OBJECT", 105.0, "TS")}
    strict = plan(tmp_path, TOY, files, workflow_parameters=(("quality_threshold", "0"),))
    assert not job_of(strict, "star", "s1").complete


@pytest.mark.parametrize(
    ("event", "crossed"),
    [
        (Event(100.3, ("TOY",)), False),
        (Event(100.3, ("TOY",), "BIAS", "NO_SUCH"), False),
        (Event(100.3, ("OTHER",)), True),
        (Event(100.3, ("TOY",), "LAMP", "MASTER_BIAS"), True),
        (Event(99.0, ("TOY",)), True),
        (Event(100.001, ("TOY",)), True),
    ],
)
def test_no_association_crosses_a_change_of_the_instrument(tmp_path: Path, event: Event, crossed: bool) -> None:
    files = {name: FILES[name] for name in ("b1", "b2", "s1")}
    jobs = plan(tmp_path, TOY, files, events=(event,))
    assert job_of(jobs, "star", "s1").complete is crossed
    assert any("b1 lies beyond a change of the instrument" in text for text in jobs.messages) is not crossed


def test_a_master_is_held_against_its_own_category_by_a_change_of_the_instrument(tmp_path: Path) -> None:
    files = {"m1": master("MASTER_BIAS", 100.0), "s1": FILES["s1"]}
    for event, complete in (
        (Event(100.3, ("TOY",), "BIAS", "OTHER"), True),
        (Event(100.3, (), "X", "MASTER_BIAS"), False),
    ):
        assert job_of(plan(tmp_path, TOY, files, events=(event,)), "star", "s1").complete is complete


def test_an_incomplete_job_is_associated_only_where_no_complete_one_is(tmp_path: Path) -> None:
    workflow = TOY.replace("lamp, [MASTER_LAMP], min_ret=0", "lamp, [MASTER_LAMP]")
    files = {**FILES, "l2": frame("LAMP", 100.6, "TX", det__read="slow", ins__filt="Ks")}
    far = {**files, "l2": {**files["l2"], "det.read": "fast"}}
    lamp = job_of(plan(tmp_path, workflow, far, targets=("lamp",)), "lamp", "l2")
    assert not lamp.complete
    near = plan(tmp_path, workflow.replace('["det.read", "ins.filt"]', '["ins.filt"]'), far)
    assert "<lamp of l1> MASTER_LAMP" in sof(near, job_of(near, "star", "s1"))
    alone = {name: header for name, header in far.items() if name != "l1"}
    jobs = plan(tmp_path, workflow.replace('["det.read", "ins.filt"]', '["ins.filt"]'), alone)
    star = job_of(jobs, "star", "s1")
    assert not star.complete and star.missing[0].startswith("lamp of l2 is incomplete: needs bias")


def test_small_groups_are_dropped_only_where_the_source_is_a_main_input(tmp_path: Path) -> None:
    workflow = TOY.replace('data_source("BIASES")', 'data_source("BIASES").with_min_group_size(3)').replace(
        "bias, [MASTER_BIAS]).with_associated_input(lamp", "biases, max_ret=-1).with_associated_input(lamp"
    )
    jobs = plan(tmp_path, workflow, FILES)
    assert [job.task for job in jobs.jobs] == ["star"]
    assert sof(jobs, jobs.jobs[0]) == ["s1 STAR", "b2 BIAS", "b1 BIAS"]


def test_of_a_data_source_files_are_counted_the_nearest_first(tmp_path: Path) -> None:
    workflow = TOY.replace("bias, [MASTER_BIAS]).with_associated_input(lamp", "biases).with_associated_input(lamp")
    jobs = plan(tmp_path, workflow, FILES)
    assert sof(jobs, job_of(jobs, "star", "s1"))[:2] == ["s1 STAR", "b2 BIAS"]
    assert "of data source BIASES one file is taken, though its groups have more" in jobs.messages


ALTERNATIVES = (
    LAMP
    + """
    from edps import alternative_associated_inputs
    bias = task("bias").with_recipe("toy_bias").with_main_input(biases).build()
    lamp = task("lamp").with_recipe("toy_lamp").with_main_input(lamps).build()
    either = (alternative_associated_inputs(%s)
              .with_associated_input(lamp, [MASTER_LAMP]).with_associated_input(bias, [MASTER_BIAS], %s))
    star = (task("star").with_recipe("toy_star").with_main_input(stars).with_alternatives(either)
            .with_meta_targets([SCIENCE]).build())
"""
)


def test_the_first_branch_that_finds_is_taken_and_no_jobs_are_made_for_the_others(tmp_path: Path) -> None:
    jobs = plan(tmp_path, ALTERNATIVES % ("", ""), FILES)
    assert [job.task for job in jobs.jobs] == ["lamp", "star"]
    without = {name: header for name, header in FILES.items() if name != "l1"}
    assert [job.task for job in plan(tmp_path, ALTERNATIVES % ("", ""), without).jobs] == ["bias", "star"]


def test_with_sort_keys_the_branch_nearest_in_time_is_taken(tmp_path: Path) -> None:
    files = {**FILES, "b1": frame("BIAS", 100.45, "TB")}
    jobs = plan(tmp_path, ALTERNATIVES % ('sort_keys=["mjd-obs"]', ""), files)
    assert [job.task for job in jobs.jobs] == ["bias", "star"]


def test_where_no_branch_finds_one_that_is_optional_leaves_the_job_complete(tmp_path: Path) -> None:
    alone = {"s1": FILES["s1"]}
    assert not plan(tmp_path, ALTERNATIVES % ("", ""), alone).jobs[0].complete
    assert plan(tmp_path, ALTERNATIVES % ("", "min_ret=0"), alone).jobs[0].complete


CALLED = (
    LAMP
    + """
    from edps import get_parameter, match, match_rules
    def colour(files): return files[0].get_keyword_value("ins.filt", "none") + files[0].classification
    def is_red(params): return get_parameter(params, "colour") == "KsSTAR" and get_parameter(params, "use") == "TRUE"
    def is_star(params): return params.get_workflow_param("colour") != "skip"
    def alike(ref, f): return match(ref, f, ["ins.filt"]) and f["mjd-obs"] < ref["mjd-obs"]
    def broken(ref, f): return "x" in f["no.such"]
    def fewer(job):
        job.parameters.recipe_parameters[f"toy.{job.command}.n"] = len(job.input_files)
        job.input_files = job.input_files[:1]
    lamp = task("lamp").with_recipe("toy_lamp").with_main_input(lamps).build()
    star = (task("star").with_recipe("toy_star").with_main_input(stars).with_condition(is_star)
            .with_dynamic_parameter("colour", colour)
            .with_associated_input(lamp, [MASTER_LAMP], condition=is_red)
            .with_associated_input(biases, match_rules=match_rules().with_match_function(broken)
                                   .with_match_function(alike, level=2))
            .with_job_processing(fewer).with_meta_targets([SCIENCE]).build())
"""
)
USE = """
    default_parameters:
      is_default: yes
      workflow_parameters: {use: "FALSE"}
"""


def test_functions_of_the_package_are_asked_and_their_answers_recorded(tmp_path: Path) -> None:
    files = {**FILES, "s2": frame("OBJECT", 100.51, "TS")}
    jobs = plan(tmp_path, CALLED, files, parameters=USE)
    (star,) = jobs.jobs
    assert star.dynamic == {"colour": "KsSTAR"}
    assert star.parameters == {"toy.toy_star.n": "2"} and star.answers == {
        "is_star": True,
        "is_red": False,
        "alike": True,
    }
    assert sof(jobs, star) == ["s1 STAR", "b2 BIAS"] and star.inputs[0].level == 2
    (told,) = [text for text in jobs.messages if "broken" in text]
    assert "broken (toy_wkf.py:" in told and "TypeError" in told and "taken as no" in told
    used = plan(tmp_path, CALLED, files, parameters=USE, workflow_parameters=(("use", "TRUE"),))
    assert [job.task for job in used.jobs] == ["lamp", "star"]


def test_job_functions_change_a_job_one_after_the_other(tmp_path: Path) -> None:
    changing = (
        LAMP
        + """
    def tune(job):
        job.parameters.recipe_parameters[f"{job.command}.of"] = job.task_name
        job.parameters.recipe_parameters["n"] = len(job.associated_files)
    def strip(job):
        job.input_files = job.input_files[:1]
        job.associated_files = [f for f in job.associated_files if f.classification != "BIAS"]
        job.parameters.recipe_parameters["mode"] = job.parameters.workflow_parameters["mode"]
    star = (task("star").with_recipe("toy_star").with_main_input(stars)
            .with_associated_input(biases).with_associated_input(lamps)
            .with_job_processing(tune).with_job_processing(strip).with_meta_targets([SCIENCE]).build())
    """
    )
    files = {**FILES, "s2": frame("OBJECT", 100.6, "TS")}
    parameters = "default_parameters: {is_default: yes, workflow_parameters: {mode: deep}}"
    (star,) = plan(tmp_path, changing, files, parameters).jobs
    assert star.parameters == {"toy_star.of": "star", "n": "2", "mode": "deep"}
    assert star.main == (("s1", "STAR"),) and [each.files for each in star.inputs] == [(), (("l1", "LAMP"),)]


def test_keywords_that_only_a_function_asks_for_are_read_too(tmp_path: Path) -> None:
    workflow = (
        LAMP
        + """
    def deep(files): return "-".join(str(file[f"det.{name}"]) for name in ("ndit",) for file in files)
    star = (task("star").with_recipe("toy_star").with_main_input(stars).with_dynamic_parameter("deep", deep)
            .with_meta_targets([SCIENCE]).build())
    """
    )
    jobs = plan(tmp_path, workflow, {"s1": frame("OBJECT", 100.5, "TS", det__ndit=7)})
    assert jobs.jobs[0].dynamic == {"deep": "7"}


def test_a_condition_of_a_task_that_does_not_hold_makes_no_job(tmp_path: Path) -> None:
    workflow = CALLED.replace('!= "skip"', '== "skip"')
    jobs = plan(tmp_path, workflow, FILES, parameters=USE)
    assert jobs.jobs == ()
    why, detail = jobs.refused_files["s1"]
    assert why == "condition" and detail.startswith("star: ") and detail.endswith(" does not hold")


GROUPED = (
    LAMP
    + """
    star = (task("star").with_recipe("toy_star").with_main_input(stars).with_meta_targets([SCIENCE])%s.build())
"""
)


def groups(tmp_path: Path, workflow: str, files: dict[str, dict[str, Any]], **options: Any) -> list[str]:
    jobs = plan(tmp_path, workflow, files, **options).jobs
    return ["".join(name for name, _ in job.main) for job in jobs]


def test_a_keyword_of_grouping_may_be_named_by_a_parameter(tmp_path: Path) -> None:
    workflow = GROUPED.replace('lamp_class).with_grouping_keywords(["tpl.start"])', "lamp_class)") % ""
    workflow = workflow.replace('star_class).with_grouping_keywords(["tpl.start"])',
                                'star_class).with_grouping_keywords(["$by"])')  # fmt: skip
    files = {name: frame("OBJECT", 100 + place / 10, f"T{place}", obs__id=place // 2)
             for place, name in enumerate("abcd")}  # fmt: skip
    sets = 'default_parameters: {is_default: yes, workflow_parameters: {$by: "tpl.start"}}'
    assert groups(tmp_path, workflow, files, parameters=sets) == ["a", "b", "c", "d"]
    named = (("by", "obs.id"),)
    assert groups(tmp_path, workflow, files, parameters=sets, workflow_parameters=named) == ["ab", "cd"]
    night = (("$by", "night"),)
    assert groups(tmp_path, workflow, files, parameters=sets, workflow_parameters=night) == ["abcd"]


def test_a_workflow_parameter_that_the_package_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such parameter; it has: use"):
        plan(tmp_path, CALLED, FILES, parameters=USE, workflow_parameters=(("usr", "TRUE"),))
    with pytest.raises(UserError, match="no parameter set 'idp'; it has: default_parameters"):
        plan(tmp_path, CALLED, FILES, parameters=USE, parameter_set="idp")


def test_files_near_each_other_on_the_sky_are_clusters(tmp_path: Path) -> None:
    files = {
        name: frame("OBJECT", 100 + place / 10, "TS", ra=ra, dec=-30.0)
        for place, (name, ra) in enumerate({"a": 10.0, "b": 10.05, "c": 10.1, "d": 20.0}.items())
    }
    assert groups(tmp_path, GROUPED % '.with_cluster("SKY.POSITION", 0.06, 1.0)', files) == ["abc", "d"]
    assert groups(tmp_path, GROUPED % '.with_cluster("SKY.POSITION", 0.06, 0.06)', files) == ["ab", "c", "d"]


def test_a_function_may_group(tmp_path: Path) -> None:
    files = {name: frame("OBJECT", 100 + place / 10, "TS") for place, name in enumerate("abcd")}
    by_pairs = ".with_grouping_function(lambda files: [files[:2], files[2:]])"
    assert groups(tmp_path, GROUPED % by_pairs, files) == ["ab", "cd"]


CHAIN = (
    LAMP
    + """
    from edps import FilterMode
    bias = task("bias").with_recipe("toy_bias").with_main_input(biases)%s.build()
    first = task("first").with_recipe("toy_first").with_main_input(stars).build()
    star = (task("star").with_recipe("toy_star").with_main_input(first%s).with_associated_input(bias, [MASTER_BIAS])%s
            .with_meta_targets([SCIENCE]).build())
"""
)


def test_a_task_on_a_task_has_a_job_for_each_job_unless_it_regroups(tmp_path: Path) -> None:
    files = {**FILES, "s2": frame("OBJECT", 100.6, "TU", obs__id=1), "s1": frame("OBJECT", 100.5, "TS", obs__id=1)}
    each = plan(tmp_path, CHAIN % ("", "", ""), files)
    assert [job.reference for job in each.jobs if job.task == "star"] == ["s1", "s2"]
    together = plan(tmp_path, CHAIN % ("", "", '.with_grouping_keywords(["obs.id"])'), files)
    (star,) = [job for job in together.jobs if job.task == "star"]
    assert len(star.upstream) == 2 and star.inputs[0].level == 0


FILTERS = {
    "all products": (("", "", ""), [(None, ()), (None, ())]),
    "selected": (
        ("", "", ".with_input_filter(MASTER_BIAS, 'OTHER')"),
        [(("MASTER_BIAS", "OTHER"), ()), (("MASTER_BIAS", "OTHER"), ())],
    ),
    "rejected": (("", "", ".with_input_filter('ODD', mode='REJECT')"), [(None, ("ODD",)), (None, ("ODD",))]),
    "of the maker": (
        (".with_output_filter('MASTER_BIAS', 'MAP')", "", ""),
        [(None, ()), (("MASTER_BIAS", "MAP"), ())],
    ),
    "classes of the main input": (("", ", [MASTER_LAMP]", ""), [(("MASTER_LAMP",), ()), (None, ())]),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILTERS)
def test_filters_say_which_products_come_into_the_sof(tmp_path: Path, kind: str) -> None:
    words, expected = FILTERS[kind]
    jobs = plan(tmp_path, CHAIN % words, FILES)
    star = job_of(jobs, "star", "s1")
    (of_bias,) = star.inputs[0].jobs
    assert [(given.keep, given.drop) for given in (*star.upstream, of_bias)] == expected


def test_a_filter_leaves_raw_frames_in_and_the_map_renames(tmp_path: Path) -> None:
    workflow = (
        LAMP
        + """
    star = (task("star").with_recipe("toy_star").with_main_input(stars).with_associated_input(biases)
            .with_input_filter(MASTER_BIAS).with_input_map({star_class: "OBJECT", bias_class: "ZERO"})
            .with_meta_targets([SCIENCE]).build())
    """
    )
    jobs = plan(tmp_path, workflow, FILES)
    assert sof(jobs, jobs.jobs[0]) == ["s1 OBJECT", "b2 ZERO"]


def test_numbers_compare_as_numbers(tmp_path: Path) -> None:
    workflow = TOY.replace('"dpr.type": ["OBJECT", "STD"]', '"dpr.type": "OBJECT", "det.dit": "2"')
    jobs = plan(tmp_path, workflow, {**FILES, "s1": frame("OBJECT", 100.5, "TS", det__dit=2.0)})
    assert job_of(jobs, "star", "s1").complete


def test_keywords_may_be_written_in_full(tmp_path: Path) -> None:
    workflow = TOY.replace('"dpr.type": "BIAS"', '"HIERARCH ESO DPR TYPE": "BIAS"').replace(
        '"dpr.type": "LAMP"', '"DPR.TYPE": "LAMP"'
    )
    assert [job.task for job in plan(tmp_path, workflow, FILES).jobs] == ["bias", "lamp", "star"]
