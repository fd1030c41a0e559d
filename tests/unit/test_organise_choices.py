from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import yaml

from esorex_bridge.datasets.choices import MARK, Choices, apply_choices, document_of, key_for, read_choices
from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile, files_of, walk_actions
from esorex_bridge.definitions.oca.grammar import parse_expression, parse_rules
from esorex_bridge.definitions.oca.supplement import Need, RecipeFacts, supplement_rules
from esorex_bridge.errors import UserError
from esorex_bridge.organise.adql import query_for
from esorex_bridge.organise.alternatives import best_alternatives, rank_alternatives
from esorex_bridge.organise.combine import combine_datasets
from esorex_bridge.organise.regroup import merge, merged_name, template_of
from esorex_bridge.organise.selection import Method, State, select
from esorex_bridge.organise.why import list_held_up, why_category, why_dataset, why_file, why_tree
from esorex_bridge.plan.facts import AssociationFound, FileClassified, RuleVerdict, lines_of
from esorex_bridge.reflex.checksum import checksum_of
from esorex_bridge.reflex.datasets_json import datasets_json
from tests.night_by_rules import RULES, night, organised


def file(name: str, category: str = "X", here: bool = True) -> DatasetFile:
    return DatasetFile(name, category, Path(f"/d/{name}.fits") if here else None)


def bias(number: int, here: bool = True) -> Action:
    return Action("BIAS", (file(f"bias{number}", "BIAS", here),))


def science(*actions: Action, statics: tuple[DatasetFile, ...] = (), messages: tuple[str, ...] = ()) -> Dataset:
    top = Action("SCI", (file("sci", "OBJECT"),), statics, actions, complete=not messages, messages=messages)
    return Dataset("sci", "TESTCAM", top, mode="Raw2Raw")


def names(dataset: Dataset) -> set[str]:
    return {found.name for found in files_of(dataset)}


# choices


def test_a_file_that_is_used_brings_its_group_and_sends_the_others_away() -> None:
    chosen = apply_choices(science(bias(1), bias(2)), Choices().with_use("BIAS", "bias2"))
    assert names(chosen) == {"sci", "bias2"}
    assert chosen.action.messages == ("Chosen by you: bias2 for BIAS",)


def test_a_group_that_was_not_in_the_dataset_can_be_used() -> None:
    assert names(apply_choices(science(bias(1)), Choices().with_use("BIAS", "bias9"), [bias(9)])) == {"sci", "bias9"}


def dark(name: str) -> Action:
    return Action("DARK", (file(name, "DARK"),))


def with_darks() -> Dataset:
    """Return science with a dark of its own, and a flat with another."""
    return science(dark("mine"), Action("FLAT", (file("flat", "FLAT"),), actions=(dark("flats"),)))


def places(dataset: Dataset) -> set[tuple[str, str]]:
    return {(each.name, str(purpose)) for action, purpose in walk_actions(dataset.action) for each in action.files}


def test_a_choice_for_one_purpose_leaves_the_others_alone() -> None:
    key = key_for(with_darks().action, "DARK")
    assert key == "DARK/SCI"
    chosen = apply_choices(with_darks(), Choices().with_use(key, "new"), [dark("new")])
    assert {("new", "DARK/SCI"), ("flats", "DARK/FLAT/SCI")} <= places(chosen)
    assert [each.name for each, _ in chosen.dropped] == ["mine"]


def test_the_dark_of_the_flat_can_be_chosen_by_its_purpose() -> None:
    chosen = apply_choices(with_darks(), Choices().with_use("DARK/FLAT/SCI", "new"), [dark("new")])
    assert {("mine", "DARK/SCI"), ("new", "DARK/FLAT/SCI")} <= places(chosen)


def test_a_category_without_a_purpose_is_for_all_of_them() -> None:
    chosen = apply_choices(with_darks(), Choices().with_use("DARK", "new"), [dark("new")])
    assert {("new", "DARK/SCI"), ("new", "DARK/FLAT/SCI")} <= places(chosen)


def test_a_group_that_is_missing_is_added_to_the_science() -> None:
    lacking = science(bias(1))
    chosen = apply_choices(lacking, Choices().with_use(key_for(lacking.action, "DARK"), "new"), [dark("new")])
    assert ("new", "DARK/SCI") in places(chosen)


def test_a_flat_that_is_missing_joins_the_arcs_that_its_recipe_takes_it_with() -> None:
    def takes(action: Action) -> tuple[str, ...]:
        return ("FLAT", "ARC") if action.name == "CAL" else ()

    lacking = science(Action("CAL", (file("arc", "ARC"),), actions=(bias(1),)))
    key = key_for(lacking.action, "FLAT", takes)
    assert key == "FLAT/CAL/SCI"
    flat = Action("FLAT", (file("flat", "FLAT"),))
    chosen = apply_choices(lacking, Choices().with_use(key, "flat"), [flat], takes=takes)
    assert {("arc", "CAL/SCI"), ("flat", "CAL/SCI")} <= places(chosen)


def test_a_purpose_that_there_is_not_is_refused() -> None:
    with pytest.raises(UserError, match="no purpose STD/SCI"):
        apply_choices(with_darks(), Choices().with_use("DARK/STD/SCI", "new"), [dark("new")])


def test_a_dropped_file_can_be_used_again() -> None:
    assert Choices().with_drop("a").with_drop("b").without_drop("a") == Choices(drop=("b",))


def test_a_static_can_be_exchanged_for_another() -> None:
    dataset = science(statics=(file("s1", "TABLE"), file("other", "MASK")))
    chosen = apply_choices(dataset, Choices().with_use("TABLE", "s2"), [file("s2", "TABLE")])
    assert names(chosen) == {"sci", "s2", "other"}


def test_a_dropped_file_is_gone_everywhere_and_an_empty_group_with_it() -> None:
    flat = Action("FLAT", (file("flat1", "FLAT"), file("flat2", "FLAT")), actions=(bias(1),))
    chosen = apply_choices(science(bias(1), flat), Choices().with_drop("bias1").with_drop("flat2"))
    assert names(chosen) == {"sci", "flat1"}


def test_an_own_master_replaces_what_would_be_made() -> None:
    flat = Action("FLAT", (file("flat1", "FLAT"),), actions=(bias(1),))
    choices = Choices().with_replacement("MASTER_FLAT", Path("/mine/my_flat.fits"))
    chosen = apply_choices(science(flat), choices, makes=lambda action: ("MASTER_FLAT",) * (action.name == "FLAT"))
    assert [(f.name, f.category) for f in chosen.action.statics] == [("my_flat", "MASTER_FLAT")]
    assert chosen.action.actions == ()
    chosen = apply_choices(
        science(flat), choices, makes=lambda action: ("MASTER_FLAT", "BPM") * (action.name == "FLAT")
    )
    assert (chosen.action.replaced, chosen.action.actions) == (("MASTER_FLAT",), (flat,))


@pytest.mark.parametrize(
    "choices",
    [
        Choices().with_use("BIAS", "nowhere"),
        Choices().with_use("FLAT", "bias1"),
        Choices().with_drop("nowhere"),
        Choices().with_replacement("NOTHING", Path("/x.fits")),
    ],
)
def test_a_choice_of_what_is_not_there_is_refused(choices: Choices) -> None:
    with pytest.raises(UserError):
        apply_choices(science(bias(1)), choices)


def test_a_later_choice_takes_the_place_of_an_earlier_one() -> None:
    choices = Choices().with_use("BIAS", "a").with_use("BIAS", "b").with_drop("b")
    assert choices == Choices(drop=("b",))
    assert choices.with_use("BIAS", "b") == Choices(use=(("BIAS", "b"),))
    set_twice = choices.with_parameter("bias", "r", 4).with_parameter("flat", "r", 1).with_parameter("bias", "r", 8)
    assert set_twice == Choices(drop=("b",), parameters=(("flat", "r", 1), ("bias", "r", 8)))


def test_what_was_chosen_is_carried_by_the_dataset() -> None:
    choices = Choices().with_use("BIAS", "bias2").with_parameter("bias", "r", 8)
    chosen = apply_choices(science(bias(1), bias(2)), choices)
    assert (chosen.chosen, chosen.parameters) == (("bias2",), (("bias", "r", 8),))
    assert f"{MARK}bias.r = 8" in chosen.action.messages


def test_choices_survive_their_file() -> None:
    parameters = (("bias", "kappa", 3.5), ("bias", "r", "4 4"))
    choices = {"sci": Choices((("BIAS", "b"),), ("c",), (("FLAT", Path("/f.fits")),), parameters)}
    text = yaml.safe_dump(document_of({**choices, "none": Choices()}))
    assert read_choices(yaml.safe_load(text), "x") == choices


@pytest.mark.parametrize(
    "document",
    [
        "text",
        {"version": 2},
        {"version": 1, "datasets": ["x"]},
        {"version": 1, "datasets": {"a": {"eat": []}}},
        {"version": 1, "datasets": {"a": {"use": ["x"]}}},
        {"version": 1, "datasets": {"a": 3}},
        {"version": 1, "datasets": {"a": {"parameters": {"bias": 3}}}},
        {"version": 1, "datasets": {"a": {"parameters": {"bias": {"r": [4]}}}}},
    ],
)
def test_a_wrong_file_of_choices_is_refused_by_name(document: object) -> None:
    with pytest.raises(UserError, match=r"choices\.yaml"):
        read_choices(document, "choices.yaml")


# selection


def test_datasets_are_selected_by_state_name_and_keyword() -> None:
    one, two = science(), Dataset("other", "TESTCAM", Action("SCI", (file("sci2"),)), descriptors=(("A.B", "7"),))
    states = {"sci": State.REDUCED}
    assert select((one, two), Method.NEW, states) == (two,)
    assert select((one, two), Method.REDUCED, states) == (one,)
    assert select((one, two), Method.FAILED, states) == ()
    assert select((one, two), pattern="o*r") == (two,)
    headers = {Path("/d/sci.fits"): {"INS.FILT1.NAME": "Ks"}}
    assert select((one, two), where=parse_expression('INS.FILT1.NAME == "Ks"'), headers=headers) == (one,)
    assert select((one, two), where=parse_expression("A.B == 7"), headers=headers) == (two,)


# alternatives


def test_settings_decide_before_time() -> None:
    near, far = bias(1), bias(2)
    headers = {
        Path("/d/sci.fits"): {"MJD-OBS": 100.0, "DET.READ.SPEED": "fast", "INS.MODE": "IMG"},
        Path("/d/bias1.fits"): {"MJD-OBS": 100.1, "DET.READ.SPEED": "slow", "INS.MODE": "X"},
        Path("/d/bias2.fits"): {"MJD-OBS": 150.0, "DET.READ.SPEED": "fast", "INS.MODE": "X"},
    }
    dataset = science(near, far)
    best, other = rank_alternatives(dataset.action, (near, far), headers)
    assert (best.action, best.disagreements) == (far, ())
    assert other.disagreements == ("DET.READ.SPEED slow ≠ fast",)
    assert best_alternatives(dataset, headers).action.actions == (far,)
    same = {**headers, Path("/d/bias1.fits"): headers[Path("/d/bias2.fits")] | {"MJD-OBS": 100.1}}
    assert best_alternatives(dataset, same).action.actions == (near,)


# trees


def test_trees_of_single_files_become_one_dataset_a_template() -> None:
    def single(number: int, *actions: Action) -> Dataset:
        return Dataset(f"sci{number}", "TESTCAM", Action("SCI", (file(f"sci{number}", "OBJECT"),), actions=actions))

    starts = {1: "t1", 2: "t1", 3: "t2"}
    parts = [single(2, bias(1)), single(1, bias(1), bias(2)), single(3, bias(1))]
    together: dict[object, list[Dataset]] = {}
    for part in parts:
        together.setdefault(template_of(part.name, (), {"TPL.START": starts[int(part.name[-1])]}), []).append(part)
    first, second = map(merge, together.values())
    assert [merged_name([part.name for part in each]) for each in together.values()] == ["sci1_tpl", "sci3"]
    assert (first.name, second.name) == ("sci1_tpl", "sci3")
    assert [found.name for found in first.action.files] == ["sci1", "sci2"]
    assert first.action.actions == (bias(1), bias(2))


def test_what_calselector_does_not_support_is_organised_by_rules() -> None:
    result = organised(night())
    tree = Dataset(
        "SCI.J.0",
        "TESTCAM",
        Action(
            "OBJ",
            (file("SCI.J.0", "OBJECT"),),
            complete=False,
            messages=("No association could be established: this file type is not supported",),
        ),
    )
    replaced, other = combine_datasets([tree], [result])
    assert replaced.action.actions == result.datasets[0].action.actions
    assert "calSelector does not support" in replaced.action.messages[-1]
    assert other == result.datasets[1]


def test_a_missing_group_is_filled_from_the_files_on_disk() -> None:
    result = organised(night())
    tree = Dataset(
        "SCI.J.0_tpl",
        "TESTCAM",
        Action(
            "OBJ",
            (file("SCI.J.0", "OBJECT"),),
            complete=False,
            messages=("Missing REFERENCE for SCI.J.0: requested 1, found 0", "Missing MASTER_FLAT"),
        ),
    )
    filled = combine_datasets([tree], [result])[0]
    assert [f.name for f in filled.action.statics] == ["REF.J"]
    assert [action.name for action in filled.action.actions] == ["FLAT"]
    assert filled.complete
    assert filled.action.messages == ("Filled by rules: REFERENCE", "Filled by rules: MASTER_FLAT")


def test_a_group_that_is_not_on_this_machine_is_filled_and_one_that_is_stays() -> None:
    result = organised(night())
    away = Action("FLAT", (file("FLAT.X.0", "FLAT", here=False),))
    kept = Action("BIAS", (file("BIAS.1.0", "BIAS"),))
    tree = Dataset("SCI.J.0_tpl", "TESTCAM", Action("OBJ", (file("SCI.J.0", "OBJECT"),), actions=(away, kept)))
    filled = combine_datasets([tree], [result])[0]
    assert [action.files[0].name for action in filled.action.actions] == ["BIAS.1.0", "FLAT.J.0"]


def test_a_group_that_calselector_does_not_support_is_filled_by_rules() -> None:
    odd = Action(
        "FLAT", (), complete=False, messages=("No association could be established: this file type is not supported",)
    )
    tree = Dataset("SCI.J.0_tpl", "TESTCAM", Action("OBJ", (file("SCI.J.0"),), actions=(odd,), complete=False))
    filled = combine_datasets([tree], [organised(night())])[0]
    assert [action.files[0].name for action in filled.action.actions] == ["FLAT.J.0"]


def test_a_tree_that_is_whole_is_not_touched() -> None:
    tree = Dataset("SCI.J.0_tpl", "TESTCAM", Action("OBJ", (file("SCI.J.0"),), actions=(bias(1),)))
    assert combine_datasets([tree], [organised(night())])[0] == tree


def test_files_that_are_not_here_are_listed_with_what_they_hold_up() -> None:
    assert list_held_up([science(bias(1, here=False)), science(bias(2))]) == {"bias1": ("sci",)}


# supplement


def test_rules_without_products_get_them_from_what_is_known_of_recipes() -> None:
    bare = parse_rules(
        'if DPR.TYPE == "FLAT" then { DO.CATG = "FLAT"; }'
        'if DPR.CATG == "SCIENCE" then { DO.CATG = "OBJECT"; }'
        'select execute(flat) from inputFiles where SIG.TEMPLATE == 1 and DO.CATG == "FLAT";'
        'select execute(sci) from inputFiles where SIG.TEMPLATE == 1 and DO.CATG == "OBJECT";'
        "action flat { recipe r_flat; } action sci { recipe r_sci; }",
        "x.oca",
    )
    facts = [
        RecipeFacts("r_flat", ("MASTER_FLAT",)),
        RecipeFacts("r_sci", ("OUT",), (Need("MASTER_FLAT", True, ("INS.FILT1.NAME",)),)),
    ]
    alone, whole = (organised(night(), str(rules)).datasets[0] for rules in (bare, supplement_rules(bare, facts)))
    assert alone.action.actions == ()
    assert [found.name for found in whole.action.actions[0].files] == ["FLAT.J.0", "FLAT.J.1", "FLAT.J.2"]


def test_what_the_rules_say_themselves_stays() -> None:
    rules = parse_rules(RULES, "x")
    assert (
        supplement_rules(
            rules,
            [RecipeFacts("r_bias", ("MASTER_BIAS",)), RecipeFacts("r_flat", ("MASTER_FLAT",), (Need("MASTER_BIAS"),))],
        )
        == rules
    )


# why


def test_a_file_is_explained_by_its_rule_and_its_use() -> None:
    lines = lines_of(why_file(organised(night()), "BIAS.0.0"))
    assert lines[0] == 'BIAS.0.0 is BIAS: test.oca:2, if DPR.TYPE == "BIAS".'
    assert "BIAS.0.0 is used by SCI.J.0_tpl as BIAS (BIAS/SCI)." in lines


def test_a_file_that_is_not_used_is_explained_rule_by_rule() -> None:
    late = {**night()["FLAT.J.0"], "TPL.START": "late", "MJD-OBS": 57012.6}
    facts = why_file(organised({**night(), "FLAT.J.9": late}), "FLAT.J.9")
    lines = lines_of(facts)
    verdicts = [fact for fact in facts if isinstance(fact, RuleVerdict)]
    assert verdicts and not any(fact.taken for fact in verdicts)
    assert any("12.3 days away, limit 7" in reason for fact in verdicts for reason in fact.reasons)
    assert "FLAT.J.9 is used by no dataset." in lines
    assert any("12.3 days away, limit 7" in line for line in lines)
    assert any("INS.FILT1.NAME J ≠ K" in line for line in lines)
    farther = lines_of(why_file(organised(night()), "BIAS.1.0"))
    assert any("is nearer (at most 1)" in line for line in farther)


def test_a_file_without_category_is_explained() -> None:
    facts = why_file(organised({**night(), "ODD": {"DPR.CATG": "CALIB", "DPR.TYPE": "ODD"}}), "ODD")
    lines = lines_of(facts)
    assert isinstance(facts[0], FileClassified) and facts[0].category is None
    assert "no rule of test.oca gives it a category" in lines[0]


def test_an_incomplete_dataset_is_told_what_would_complete_it() -> None:
    files = {name: header for name, header in night().items() if not name.startswith("FLAT.J")}
    result = organised(files)
    facts = why_dataset(result, result.datasets[0])
    (lacking,) = [fact for fact in facts if isinstance(fact, AssociationFound) and not fact.enough]
    assert (lacking.category, lacking.needed, lacking.found) == ("MASTER_FLAT", 1, ())
    assert lacking.query is not None and "dp_type = 'FLAT'" in lacking.query
    text = "\n".join(lines_of(facts))
    assert "MASTER_FLAT for SCI.J.0: none, needed 1: this makes it incomplete" in text
    assert "INS.FILT1.NAME K ≠ J" in text
    assert "SELECT TOP 500 dp_id" in text and "dp_type = 'FLAT'" in text
    assert "MASTER_BIAS for SCI.J.0: made by BIAS from 3 files beginning with BIAS.0.0" in text


def test_a_static_that_is_missing_is_not_searched_among_raw_files() -> None:
    files = {name: header for name, header in night().items() if name != "REF.J"}
    result = organised(files)
    text = "\n".join(lines_of(why_dataset(result, result.datasets[0])))
    assert "REFERENCE is not made from raw files" in text


def test_a_category_is_explained_and_an_unknown_one_is_not() -> None:
    assert why_category(organised(night()), "REFERENCE")[0].text.startswith("REFERENCE: 2 files on disk")
    assert why_category(organised(night()), "NONSENSE") == ()


def test_a_tree_is_explained_by_its_messages_and_absent_files() -> None:
    text = "\n".join(lines_of(why_tree(science(bias(1, here=False), messages=("Missing X",)))))
    assert "SCI: Missing X" in text and "BIAS/SCI: 1 files are not on this machine: bias1" in text


def test_quotes_in_a_header_do_not_break_out_of_a_query() -> None:
    rules = parse_rules(
        RULES.replace("inputFile.INS.FILT1.NAME == INS.FILT1.NAME", "inputFile.INS.MODE == INS.MODE"), "x"
    )
    files = {name: {**header, "INS.MODE": "a' OR 1=1 --"} for name, header in night().items()}
    result = organised(files, str(rules))
    query = query_for("MASTER_FLAT", result.rules, result.targets[0])
    assert query is not None and "ins_mode = 'a'' OR 1=1 --'" in query


# Reflex's datasets.json


def keys_of(document: object) -> object:
    """Return the shape of a document: keys in their order, and types."""
    if isinstance(document, dict):
        return {key: keys_of(value) for key, value in document.items()}
    if isinstance(document, list):
        return [keys_of(document[0])] if document else []
    return type(document)


def like_the_sample(sample: dict) -> Dataset:
    """Return a dataset of the shape of the real one."""

    def action(record: dict) -> Action:
        files = tuple(
            DatasetFile(Path(raw["name"]).stem, raw["category"], Path(raw["name"])) for raw in record["rawFiles"]
        )
        return Action(
            record["name"],
            files,
            (),
            tuple(map(action, record["actions"])),
            record["complete"],
            messages=tuple(record["messages"]),
        )

    descriptors = tuple((entry["key"], entry["value"]) for entry in sample["descriptors"])
    return Dataset(sample["datasetName"], "VIMOS", action(sample), descriptors=descriptors)


@pytest.mark.real
def test_the_document_equals_a_real_one_key_by_key(real: Path) -> None:
    (sample,) = json.loads((real / "reflex" / "samples" / "datasets_first_only.json").read_text())
    sums = {raw["name"]: raw["checksum"] for raw in _raws(sample)}
    (ours,) = datasets_json([like_the_sample(sample)], lambda path: sums[str(path)])
    assert keys_of(ours) == keys_of(sample)
    assert list(ours) == list(sample)
    assert list(ours["rawFiles"][0]) == list(sample["rawFiles"][0])
    assert list(ours["actions"][0]) == list(sample["actions"][0])
    united = {
        raw["name"]: sorted(
            {purpose for other in _raws(sample) if other["name"] == raw["name"] for purpose in other["purposes"]}
        )
        for raw in _raws(sample)
    }
    for mine, theirs in zip(_raws(ours), _raws(sample), strict=True):
        assert {**mine, "purposes": None} == {**theirs, "purposes": None}
        assert mine["purposes"] == united[theirs["name"]]
    # Reflex found the night log on its disk; here there is none, and only one that exists is named.
    assert ours["nightlogFile"] == ""
    rest = {"rawFiles", "actions", "nightlogFile"}
    assert {key: ours[key] for key in ours.keys() - rest} == {key: sample[key] for key in sample.keys() - rest}


def _raws(record: dict) -> list[dict]:
    return [*record["rawFiles"], *(raw for action in record["actions"] for raw in _raws(action))]


def test_each_occurrence_of_a_file_carries_all_its_purposes() -> None:
    flat = Action("FLAT", (file("flat", "FLAT"),), actions=(bias(1),))
    (document,) = datasets_json([science(bias(1), flat)], lambda path: None)
    found = [raw["purposes"] for raw in _raws(document) if raw["name"] == "/d/bias1.fits"]
    assert found == [["BIAS/FLAT/SCI", "BIAS/SCI"]] * 2


def test_a_file_that_is_not_here_is_left_out_and_told() -> None:
    (document,) = datasets_json([science(bias(1, here=False))], lambda path: None)
    assert document["complete"] is False
    assert document["actions"][0]["rawFiles"] == []
    assert document["actions"][0]["messages"] == ["Missing file bias1"]


def test_the_checksum_is_that_of_a_real_file_of_a_real_run() -> None:
    found = checksum_of(1524236760000, 3104640, "746bcc5170c7cc51064714e4f44655bd")
    assert found == "3881D4032BDC8FD60B8ED8CE404F2B9E"
    text = b"15242367600003104640746bcc5170c7cc51064714e4f44655bd"
    assert found == hashlib.md5(text).hexdigest().upper()


def test_purposes_run_from_the_own_action_to_the_target() -> None:
    dataset = organised(night()).datasets[0]
    assert {str(purpose) for _, purpose in walk_actions(dataset.action)} == {
        "SCI",
        "BIAS/SCI",
        "FLAT/SCI",
        "BIAS/FLAT/SCI",
    }
