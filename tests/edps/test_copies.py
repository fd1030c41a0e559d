"""Tasks that run nothing and hand on their inputs: all, or those of other tasks."""

from __future__ import annotations

from pathlib import Path

from esorex_bridge.definitions.edps.package import ParameterSet
from esorex_bridge.edps.chosen import join, name_targets
from esorex_bridge.edps.jobs import JobPlanner
from esorex_bridge.edps.read import read_package
from esorex_bridge.plan.plan import ALL_PRODUCTS, FileInput, Plan, ProductInput
from tests.edps.packages import LAMP, TOY, frame, master, plan, write_package

FILES = {
    "b1": frame("BIAS", 100.0, "TB"),
    "l1": frame("LAMP", 100.2, "TL"),
    "s1": frame("OBJECT", 100.5, "TS"),
    "s2": frame("OBJECT", 100.6, "TS2"),
}


def plans(root: Path, workflow: str, files: dict[str, dict[str, object]], target: str) -> list[Plan]:
    jobs = plan(root, workflow, files, targets=(target,))
    package = read_package(write_package(root, workflow), cache=root / "cache")
    joined = join(jobs, name_targets(jobs), {})
    return [each for _, each in JobPlanner(package, joined, ParameterSet(""), (), {}).plans()]


def taken(found: Plan, actor: str) -> list[tuple[str, str]]:
    (step,) = (step for step in found.steps if step.actor == actor)
    return [(entry.step, entry.product) if isinstance(entry, ProductInput) else (entry.name, entry.category)
            for entry in step.inputs]  # fmt: skip


def test_copy_all_gathers_what_several_jobs_made(tmp_path: Path) -> None:
    gathering = """
    from edps import copy_all
    together = (task("together").with_function(copy_all).with_main_input(star).with_associated_input(lamp, min_ret=0)
                .with_grouping_keywords(["ins.filt"]).build())
    both = task("both").with_recipe("toy_both").with_main_input(together).build()
    """
    (found,) = plans(tmp_path, TOY + gathering, FILES, "both")
    assert taken(found, "both") == [("star_1", ALL_PRODUCTS), ("star_2", ALL_PRODUCTS), ("lamp_1", ALL_PRODUCTS)]
    assert [step.actor for step in found.steps] == ["bias", "lamp", "star", "star", "both"]
    assert found.steps[-1].gaps == () and found.unused == () and found.messages == ()


def test_a_filter_of_a_copying_task_leaves_one_category(tmp_path: Path) -> None:
    isolating = """
    from edps import copy_all, FilterMode
    WEIGHT = classification_rule("WEIGHT")
    weights = (task("weights").with_function(copy_all).with_main_input(lamp)
               .with_input_filter(WEIGHT, mode=FilterMode.ACCEPT).build())
    last = (task("last").with_recipe("toy_last").with_main_input(stars)
            .with_associated_input(weights, [WEIGHT]).build())
    """
    found = plans(tmp_path, TOY + isolating, FILES, "last")[0]
    assert taken(found, "last") == [("s1", "STAR"), ("lamp_1", "WEIGHT")]


RELAY = """
    from edps import copy_upstream
    bias = task("bias").with_recipe("toy_bias").with_main_input(biases).build()
    lamp = task("lamp").with_recipe("toy_lamp").with_main_input(lamps).build()
    relay = (task("relay").with_function(copy_upstream).with_main_input(stars).with_associated_input(biases)
             .with_associated_input(lamp, [MASTER_LAMP]).with_output_filter(MASTER_LAMP).build())
    last = (task("last").with_recipe("toy_last").with_main_input(stars)
            .with_associated_input(relay, [MASTER_LAMP]).build())
"""


def test_copy_upstream_hands_on_products_and_no_raw_frames(tmp_path: Path) -> None:
    found = plans(tmp_path, LAMP + RELAY, FILES, "last")[0]
    assert taken(found, "last") == [("s1", "STAR"), ("lamp_1", "MASTER_LAMP")]
    assert [step.actor for step in found.steps] == ["lamp", "last"]


def test_copy_upstream_hands_on_masters_that_stand_in_for_a_task(tmp_path: Path) -> None:
    files = {name: FILES[name] for name in ("b1", "s1")} | {"m1": master("MASTER_LAMP", 100.1)}
    (found,) = plans(tmp_path, LAMP + RELAY, files, "last")
    (step,) = found.steps
    assert step.inputs[1] == FileInput("m1", "m1", "MASTER_LAMP")


def test_what_a_copying_task_lacks_is_lacking_where_it_is_taken(tmp_path: Path) -> None:
    files = {name: FILES[name] for name in ("b1", "s1")}
    (found,) = plans(tmp_path, LAMP + RELAY, files, "last")
    (gap,) = found.steps[-1].gaps
    assert gap.startswith("relay of s1 is incomplete: needs lamp (MASTER_LAMP)")


def test_other_functions_are_still_reported(tmp_path: Path) -> None:
    own = RELAY.replace("with_function(copy_upstream)", "with_function(lambda *a: None)")
    found = plans(tmp_path, LAMP + own, FILES, "last")[0]
    assert "task relay runs <lambda> (toy_wkf.py:20) instead of a recipe" in found.steps[-1].gaps[0]
