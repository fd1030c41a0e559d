"""Choices of a review for datasets of a workflow package: what is offered, what a choice changes, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.datasets.choices import Choices, document_of, read_choices
from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.definitions.edps.as_workflow import canonical
from esorex_bridge.definitions.edps.planned_jobs import InputSlot
from esorex_bridge.edps.workflow import EdpsWorkflow
from esorex_bridge.errors import UserError
from esorex_bridge.plan.plan import FileInput, Plan, ProductInput
from tests.edps.packages import LAMP, TOY, frame, master, write_package

FILES = {
    "b1": frame("BIAS", 100.0, "TB"),
    "b2": frame("BIAS", 97.0, "TB2"),
    "b3": frame("BIAS", 100.1, "TB3", det__read="fast"),
    "l1": frame("LAMP", 100.2, "TL"),
    "l2": frame("LAMP", 100.3, "TL"),
    "s1": frame("OBJECT", 100.5, "TS"),
    "s2": frame("OBJECT", 100.6, "TS2"),
}


def pooled(files: Mapping[str, Mapping[str, Any]]) -> Any:
    headers = {name: {canonical(key): value for key, value in header.items()} for name, header in files.items()}

    def ask(keys: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        return {name: {key: header.get(key) for key in keys} for name, header in headers.items()}

    return ask


class Night:
    """A package, and files as it sees them."""

    def __init__(self, root: Path, workflow: str = TOY, files: Mapping[str, Mapping[str, Any]] = FILES) -> None:
        write_package(root, workflow)
        self.package, self.ask = EdpsWorkflow(f"edps:{root}/toy"), pooled(files)

    def plans(self, **choices: Choices) -> dict[str, tuple[Dataset, Plan]]:
        made = self.package.with_choices(choices).plans(self.ask)
        return {dataset.name: (dataset, plan) for dataset, plan in made}

    def slots(self, name: str, choices: Choices | None = None) -> dict[tuple[str, str], InputSlot]:
        package = self.package.with_choices({name: choices} if choices else {})
        return {(slot.input, slot.purpose): slot for slot in package.survey(self.ask, name).slots}


def taken(plan: Plan, step: str) -> list[str]:
    (found,) = (each for each in plan.steps if each.name == step)
    return [entry.step if isinstance(entry, ProductInput) else entry.name for entry in found.inputs]


def raws(plan: Plan, task: str) -> list[list[str]]:
    return [[each.name for each in step.inputs if isinstance(each, FileInput)]
            for step in plan.steps if step.actor == task]  # fmt: skip


def test_a_survey_has_what_rules_allow_for_each_purpose_with_its_level(tmp_path: Path) -> None:
    slots = Night(tmp_path).slots("s1")
    assert list(slots) == [("bias", "star"), ("lamp", "star"), ("bias", "lamp/star")]
    offers = {offer.file: (offer.taken, offer.level, offer.days) for offer in slots["bias", "star"].offers}
    assert offers == {"b1": (True, 0, -0.5), "b2": (False, 1, -3.5)}, "b3 is of another readout"
    assert {offer.file for offer in slots["lamp", "star"].offers if offer.taken} == {"l1"}
    assert slots["lamp", "star"].offers[0].files == ("l1", "l2")
    assert {"bias", "MASTER_BIAS", "BIAS"} <= set(slots["bias", "star"].names)


def test_a_choice_counts_for_its_purpose_alone(tmp_path: Path) -> None:
    night = Night(tmp_path)
    before = night.plans()
    after = night.plans(s1=Choices(use=(("bias/star", "b2"),)))
    dataset, plan = after["s1"]
    assert raws(plan, "bias") == [["b2"], ["b1"]], "the lamp takes its own bias still"
    (star,) = (step for step in plan.steps if step.actor == "star")
    chosen = {each.category: (each.chosen_by, each.level) for each in star.associations}
    assert chosen == {"MASTER_BIAS": ("review", 1), "MASTER_LAMP": ("rules", 0)}
    assert dataset.chosen == ("b2",) and plan.messages == ("Chosen by you: b2 for bias/star",)
    assert "Chosen by you: b2 for bias/star" in dataset.action.messages
    assert after["s2"] == before["s2"], "another dataset is as it was, names of steps too"
    slots = night.slots("s1", Choices(use=(("bias/star", "b2"),)))
    assert [offer.file for offer in slots["bias", "star"].offers if offer.taken] == ["b2"]
    assert [offer.file for offer in slots["bias", "lamp/star"].offers if offer.taken] == ["b1"]


def test_a_choice_further_down_makes_the_jobs_above_anew_for_this_dataset(tmp_path: Path) -> None:
    after = Night(tmp_path).plans(s1=Choices(use=(("bias/lamp/star", "b2"),)))
    assert taken(after["s1"][1], "lamp_2") == ["l1", "l2", "bias_2"]
    assert taken(after["s1"][1], "star_1") == ["s1", "bias_1", "lamp_2"], "nobody else needs the star of before"
    assert taken(after["s2"][1], "lamp_1") == ["l1", "l2", "bias_1"]


def test_a_choice_without_a_purpose_is_for_all(tmp_path: Path) -> None:
    _, plan = Night(tmp_path).plans(s1=Choices(use=(("bias", "b2"),)))["s1"]
    assert raws(plan, "bias") == [["b2"]]


def test_what_no_rule_allows_is_taken_with_a_warning_and_told_as_outside(tmp_path: Path) -> None:
    night = Night(tmp_path)
    choices = Choices(use=(("bias/star", "b3"),))
    _, plan = night.plans(s1=choices)["s1"]
    (star,) = (step for step in plan.steps if step.actor == "star")
    told = "b3 as bias: det.read is fast, not slow"
    assert star.warnings == (f"chosen in a review, though no association rule allows it: {told}",)
    found = night.package.with_choices({"s1": choices}).survey(night.ask, "s1")
    assert found.outside == (("bias/star", "b3", told),)
    (odd,) = (offer for offer in {slot.purpose: slot for slot in found.slots if slot.input == "bias"}["star"].offers
              if offer.file == "b3")  # fmt: skip
    assert (odd.taken, odd.level, odd.match) == (True, None, told)


def test_a_file_that_was_left_out_is_not_there_for_this_dataset(tmp_path: Path) -> None:
    after = Night(tmp_path).plans(s1=Choices(drop=("b1", "l1")))
    assert raws(after["s1"][1], "bias") == [["b2"]] and raws(after["s1"][1], "lamp") == [["l2"]]
    assert raws(after["s2"][1], "lamp") == [["l1", "l2"]]


def test_a_target_keeps_its_name_without_its_first_file(tmp_path: Path) -> None:
    night = Night(tmp_path, files={**FILES, "s1b": frame("OBJECT", 100.55, "TS")})
    after = night.plans(s1=Choices(drop=("s1",)))
    assert raws(after["s1"][1], "star") == [["s1b"]] and list(after) == ["s1", "s2"]
    with pytest.raises(UserError, match="nothing is left of s1"):
        night.plans(s1=Choices(drop=("s1", "s1b")))


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        (Choices(use=(("bias/star", "b9"),)), "b9, chosen for bias/star of s1, is not among the data"),
        (Choices(use=(("lamp/star", "b1"),)), "b1 is no alternative for lamp of purpose star"),
        (Choices(use=(("bias/dome/star", "b1"),)), "b1 is no alternative for bias of purpose dome/star"),
        (Choices(replace=(("NOTHING", Path(__file__)),)), "nothing in s1 takes NOTHING"),
    ],
)
def test_a_choice_that_means_nothing_is_refused_with_what_mends_it(tmp_path: Path, choices: Choices, told: str) -> None:
    night = Night(tmp_path)
    if choices.replace:
        choices = Choices(replace=(("NOTHING", _own(tmp_path)),))
    with pytest.raises(UserError, match=told) as refused:
        night.plans(s1=choices)
    assert "--reset" in str(refused.value)


def _own(folder: Path) -> Path:
    from astropy.io import fits

    path = folder / "mine.fits"
    fits.PrimaryHDU(header=fits.Header({"MJD-OBS": 99.0})).writeto(path)
    return path


def test_an_own_master_stands_in_for_what_would_be_made(tmp_path: Path) -> None:
    path = _own(tmp_path)
    _, plan = Night(tmp_path).plans(s1=Choices(replace=(("MASTER_LAMP", path),)))["s1"]
    assert taken(plan, "star_1") == ["s1", "bias_1", "mine"]
    assert [step.actor for step in plan.steps] == ["bias", "star"]


TWO = (
    LAMP
    + """
    MASK = classification_rule("MASK")
    lamp = task("lamp").with_recipe("toy_lamp").with_main_input(lamps).build()
    star = (task("star").with_recipe("toy_star").with_main_input(stars)
            .with_associated_input(lamp, [MASTER_LAMP, MASK]).with_associated_input(biases)
            .with_associated_input(biases, max_ret=2).with_meta_targets([SCIENCE]).build())
"""
)


def test_of_several_classes_an_own_file_takes_the_place_of_one(tmp_path: Path) -> None:
    _, plan = Night(tmp_path, TWO).plans(s1=Choices(replace=(("MASK", _own(tmp_path)),)))["s1"]
    (star,) = (step for step in plan.steps if step.actor == "star")
    (made,) = (entry for entry in star.inputs if isinstance(entry, ProductInput))
    assert made.drop == ("MASK",) and "mine" in taken(plan, "star_1")


def test_masters_of_all_classes_are_taken_together(tmp_path: Path) -> None:
    masters = {"m1": master("MASTER_LAMP", 100.4), "k1": master("MASK", 99.0), "k2": master("MASK", 98.0)}
    night = Night(tmp_path, TWO, {**FILES, **masters})
    _, plan = night.plans(s1=Choices(use=(("lamp/star", "m1"),)))["s1"]
    assert taken(plan, "star_1")[:3] == ["s1", "m1", "k1"]
    _, plan = night.plans(s1=Choices(use=(("lamp/star", "k2"),)))["s1"]
    assert taken(plan, "star_1")[:3] == ["s1", "k2", "m1"]


def test_a_master_that_lacks_another_class_is_taken_by_a_later_branch(tmp_path: Path) -> None:
    workflow = TWO.replace(
        ".with_associated_input(lamp, [MASTER_LAMP, MASK])", ".with_alternatives(either)"
    ).replace("    star = (task", """    from edps import alternative_associated_inputs
    either = (alternative_associated_inputs().with_associated_input(lamp, [MASTER_LAMP, MASK])
              .with_associated_input(lamp, [MASTER_LAMP]))
    star = (task""")  # fmt: skip
    for filt, warned in (("Ks", False), ("J", True)):
        night = Night(tmp_path, workflow, {**FILES, "m1": master("MASTER_LAMP", 100.4, ins__filt=filt)})
        _, plan = night.plans(s1=Choices(use=(("lamp/star", "m1"),)))["s1"]
        (star,) = (step for step in plan.steps if step.actor == "star")
        assert taken(plan, star.name)[:2] == ["s1", "m1"] and bool(star.warnings) is warned


def test_two_inputs_of_one_source_have_names_of_their_own(tmp_path: Path) -> None:
    files = {**FILES, "b4": frame("BIAS", 100.05, "TB")}
    night = Night(tmp_path, TWO, files)
    assert [name for name, _ in night.slots("s1")] == ["lamp", "BIASES", "BIASES#2"]
    _, plan = night.plans(s1=Choices(use=(("BIASES#2/star", "b1"),)))["s1"]
    assert taken(plan, "star_1") == ["s1", "lamp_1", "b4", "b1"], "one, and the group of the other; each once"


def test_alternatives_are_one_input_and_a_job_function_sees_what_was_chosen(tmp_path: Path) -> None:
    workflow = (
        TOY
        + """
    from edps import alternative_associated_inputs
    def count(job): job.parameters.recipe_parameters["toy.first"] = job.associated_files[0]["tpl.start"]
    either = (alternative_associated_inputs().with_associated_input(biases)
              .with_associated_input(lamps))
    best = (task("best").with_recipe("toy_best").with_main_input(stars).with_alternatives(either)
            .with_job_processing(count).with_meta_targets(["best"]).build())
    """
    )
    write_package(tmp_path, workflow)
    from esorex_bridge.definitions.edps.options import EdpsOptions

    package = EdpsWorkflow(f"edps:{tmp_path}/toy", EdpsOptions(targets=("best",)))
    ask = pooled(FILES)
    (slot,) = package.survey(ask, "s1").slots
    assert (slot.input, slot.purpose) == ("BIASES", "best")
    assert [offer.file for offer in slot.offers if offer.taken] == ["b1"] and "l2" in {o.file for o in slot.offers}
    plans = package.with_choices({"s1": Choices(use=(("BIASES/best", "l2"),))}).plans(ask)
    step = plans[0][1].steps[-1]
    assert [entry.category for entry in step.inputs] == ["STAR", "LAMP"]
    assert [(each.name, each.value) for each in step.settings] == [("toy.first", "TL")]


def test_a_parameter_that_was_chosen_is_for_its_dataset_and_gives_way_to_the_user(tmp_path: Path) -> None:
    from esorex_bridge.definitions.parameters import ParameterSetting

    night = Night(tmp_path)
    package = night.package.with_choices({"s1": Choices(parameters=(("toy_lamp", "smooth", "3"),))})
    (_, one), (_, other) = package.plans(night.ask, (ParameterSetting("lamp", "smooth", "9", "--set"),))
    lamps = [step for plan in (one, other) for step in plan.steps if step.actor == "lamp"]
    assert [[(each.value, each.origin) for each in step.settings] for step in lamps] == [
        [("3", "review"), ("9", "--set")],
        [("9", "--set")],
    ]
    assert lamps[0].name != lamps[1].name, "one name, one job, in all plans"


def test_choices_are_kept_by_package_beside_those_of_definitions() -> None:
    own, packaged = Choices(drop=("a",)), Choices(use=(("bias/star", "b2"),))
    document = document_of({"s1": packaged}, document_of({"s1": own}), "toy.toy_wkf")
    assert document["packages"] == {"toy.toy_wkf": {"s1": {"use": {"bias/star": "b2"}}}}
    assert read_choices(document, "x") == {"s1": own}
    assert read_choices(document, "x", "toy.toy_wkf") == {"s1": packaged}
    assert read_choices(document, "x", "other.other_wkf") == {}
    assert document_of({}, document, "toy.toy_wkf") == {"version": 1, "datasets": {"s1": {"drop": ["a"]}}}
    with pytest.raises(UserError, match="'packages' must be"):
        read_choices({"version": 1, "packages": ["x"]}, "x", "toy.toy_wkf")
