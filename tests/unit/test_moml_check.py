"""The check of workflow files finds what is wrong, and nothing where nothing is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from esorex_bridge.cli import main
from esorex_bridge.definitions.folders import read_workflow, workflow_folder
from reflex_actors.moml.blocks import actor, composite, constant, parameter, port_in, port_out, text
from reflex_actors.moml.check import check
from reflex_actors.moml.describe import describe, edges, lines, picture
from reflex_actors.moml.model import DeclaredPort, Entity, Link, Property, Relation
from reflex_actors.moml.read import UnreadableWorkflowError, read, read_file
from reflex_actors.moml.reduction import reduction
from reflex_actors.moml.text import write


def small(*wires: tuple[str, ...]) -> Entity:
    """Return a workflow of two steps in a row, as it should be."""
    inner = composite(
        "Step",
        (port_in("sof_in"), port_out("sof_out")),
        (
            actor("Splitter", "org.eso.SofSplitter"),
            actor("Accumulator", "org.eso.SofAccumulator"),
            actor("naco_img_dark_1", "org.eso.RecipeExecuter", (parameter("recipe_param_1", "hot_t=9"),)),
        ),
        (
            ("sof_in", "Splitter.sof in"),
            ("Splitter.sof out", "naco_img_dark_1.sof in"),
            ("Splitter.#groups", "Accumulator.#groups"),
            ("naco_img_dark_1.sof out", "Accumulator.sof in"),
            ("Accumulator.sof out", "sof_out"),
        ),
    )
    ends = constant("Start", "x", once=True), actor("End", "ptolemy.actor.lib.gui.Display")
    usual = (("Start.output", "Step.sof_in"), ("Step.sof_out", "End.input"))
    top = composite("small", (), (ends[0], inner, ends[1]), wires or usual)
    director = Property(
        "DDF Director",
        "ptolemy.domains.ddf.kernel.DDFDirector",
        None,
        (parameter("runUntilDeadlockInOneIteration", "false"),),
    )
    identity = Property("entityId", "org.kepler.moml.NamedObjId", "urn:lsid:uuid:x:1:1")
    return replace(top, properties=(identity, director))


def changed(root: Entity, actor_name: str, **fields: Any) -> Entity:
    inner = tuple(replace(each, **fields) if each.name == actor_name else each for each in root.entities)
    return replace(root, entities=inner)


def texts(root: Entity) -> str:
    return "\n".join(finding.text for finding in check(root))


def step() -> Entity:
    found = small().entity("Step")
    assert found is not None
    return found


def test_a_sound_workflow_has_no_findings() -> None:
    assert check(small()) == ()


def test_an_input_without_a_source_waits_for_ever() -> None:
    root = small(("Start.output", "End.input"))
    jammed = replace(root, relations=(*root.relations, Relation("r")), links=(*root.links, Link("Step.sof_in", "r")))
    assert "Step.sof_in is linked to no source (r), so its actor waits for ever" in texts(jammed)


def test_two_sources_on_one_relation() -> None:
    root = small(("Start.output", "Step.sof_out", "End.input"))
    assert "send into one channel" in texts(root)


def test_relations_that_are_joined_in_a_row_are_one() -> None:
    root = small(("Start.output",), ("Step.sof_in",), ("Step.sof_out", "End.input"))
    assert "linked to no source" in texts(root)
    row = (Relation("vertex"), Relation("vertex2"))
    joined = (("relation", "vertex"), ("vertex2", "relation2"), ("vertex", "vertex2"))
    whole = replace(root, relations=(*root.relations, *row), joined=joined)
    assert texts(whole) == ""
    assert ("Start.output", "Step.sof_in") in set(edges(whole))


@pytest.mark.parametrize(("width", "found"), [("Auto", False), ("0", False), (None, False), ("2", True)])
def test_a_width_that_is_left_open_is_the_default(width: str | None, found: bool) -> None:
    root = small()
    wide = replace(root, relations=tuple(replace(each, width=width) for each in root.relations))
    assert ("has width" in texts(wide)) == found


def test_a_workflow_in_which_nothing_keeps_the_next_dataset_back() -> None:
    root = reduction(read_workflow(workflow_folder() / "naco.yaml"))
    assert check(root) == ()
    closing = ("Close DataSet.current_dataset", "Close DataSet.dataset")
    loose = replace(root, links=tuple(link for link in root.links if link.port not in closing))
    assert "nothing links Initialise Current Dataset to the actor that closes" in texts(loose)


def test_a_single_port_takes_one_relation() -> None:
    root = small(("Start.output", "Step.sof_in"), ("Start.output", "End.input"))
    assert "Start.output takes one relation and is linked to 2" in texts(root)


def test_links_that_end_nowhere() -> None:
    root = small()
    for link, said in (
        (Link("Nobody.x", "relation"), "there is no actor 'Nobody'"),
        (Link("End.output", "relation"), "has no port 'output'"),
        (Link("Start.output", "gone"), "'gone', which is not there"),
    ):
        assert said in texts(replace(root, links=(*root.links, link)))


def test_directors() -> None:
    assert "it has no director" in texts(replace(small(), properties=small().properties[:1]))
    wrong = Property(
        "D",
        "ptolemy.domains.ddf.kernel.DDFDirector",
        None,
        (parameter("runUntilDeadlockInOneIteration", "false"), parameter("iterations", "1")),
    )
    found = texts(changed(small(), "Step", properties=(wrong,)))
    assert "must be true inside a composite" in found
    assert "iterations must be 0" in found
    at_top = replace(wrong, properties=(parameter("runUntilDeadlockInOneIteration", "true"),))
    assert "refuses at the top" in texts(replace(small(), properties=(small().properties[0], at_top)))


def test_a_rate_on_the_port_of_a_composite() -> None:
    port = DeclaredPort("sof_out", properties=(Property("output"), parameter("tokenProductionRate", "1")))
    assert "holds back datasets" in texts(changed(small(), "Step", ports=(port_in("sof_in"), port)))


def test_a_constant_that_fires_for_ever() -> None:
    assert "fires for ever" in texts(changed(small(), "Start", properties=(parameter("firingCountLimit", "NONE"),)))


def test_parameters_for_each_group_and_not_for_each_dataset() -> None:
    sop = (constant("Once", "a:b=c", once=True), actor("SopCreator", "org.eso.SopCreator"))
    relations = (*step().relations, Relation("r1"), Relation("r2"))
    links = (
        *step().links,
        Link("Once.output", "r1"),
        Link("SopCreator.param in", "r1"),
        Link("SopCreator.sop out", "r2"),
        Link("naco_img_dark_1.sop in", "r2"),
    )
    root = changed(small(), "Step", entities=(*step().entities, *sop), relations=relations, links=links)
    assert "gives parameters once" in texts(root)


def test_unconnected_ports() -> None:
    links = tuple(link for link in step().links if link.port != "Accumulator.#groups")
    assert "Accumulator.#groups is not connected" in texts(changed(small(), "Step", links=links))


def test_names() -> None:
    assert "holds a period" in texts(changed(small(), "End", name="E.nd"))
    assert "2 actors have the name 'End'" in texts(replace(small(), entities=(*small().entities, small().entities[-1])))


def test_a_text_in_an_expression() -> None:
    router = actor("Router", "org.eso.FitsRouter", (parameter("DARK_config", "CAL_DARK"),))
    found = texts(replace(small(), entities=(*small().entities, router)))
    assert "make it a StringParameter" in found
    assert "configures the port DARK, which is not there" in found


def test_a_setting_that_was_left_behind_is_no_fault_where_its_files_go_elsewhere() -> None:
    settings = (text("STD_config", "STD_.*,CAT"), text("OLD_config", "STD_UVB, CAT"))
    router = actor("Router", "org.eso.FitsRouter", settings)
    router = replace(router, ports=(*router.ports, port_out("STD")))
    with_router = replace(small(), entities=(*small().entities, router))
    assert "configures" not in texts(with_router)
    lost = replace(router, properties=(*settings, text("GONE_config", "STD_UVB,LAMP")))
    assert "GONE_config configures the port GONE" in texts(replace(small(), entities=(*small().entities, lost)))


def test_a_constant_fires_as_often_as_a_schedule_says() -> None:
    endless = changed(small(), "Start", properties=(parameter("firingCountLimit", "NONE"),))
    scheduled = Property("SDF Director", "ptolemy.domains.sdf.kernel.SDFDirector")
    root = replace(endless, properties=(endless.properties[0], scheduled))
    assert "fires for ever" not in texts(root)


def test_placeholders() -> None:
    value = Property("Script", "ptolemy.data.expr.FileParameter", "@prefix@/x.py")
    assert "the placeholder @prefix@" in texts(changed(small(), "End", properties=(value,)))


def test_recipes_and_their_parameters() -> None:
    assert check(small(), recipes={"naco_img_dark": ("hot_t",)}) == ()
    (missing,) = check(small(), recipes={})
    assert missing.text == "recipe naco_img_dark is not installed here"
    (unknown,) = check(small(), recipes={"naco_img_dark": ("r",)})
    assert "has no parameter 'hot_t'" in unknown.text


def test_against_the_document_type() -> None:
    text = write(small()).replace('<link port="Start.output"', '<wire/><link speed="1" port="Start.output"')
    found = read(text.encode(), "x")
    assert [said for _, said in found.oddities] == ["MoML has no element <wire>", "<link> has no attribute 'speed'"]


@pytest.mark.parametrize("content", [b"", b"<entity", b"<html/>", b"\x00"])
def test_what_is_no_workflow_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableWorkflowError, match="is no workflow"):
        read(content, "x")


def test_entities_of_a_hostile_document_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("password")
    path = tmp_path / "x.xml"
    path.write_text(
        f'<!DOCTYPE entity [<!ENTITY x SYSTEM "file://{secret}">]><entity name="a" class="b"><doc>&x;</doc></entity>'
    )
    assert "password" not in repr(read_file(path))


def test_what_is_in_a_workflow() -> None:
    root = small()
    found = msgspec.json.decode(msgspec.json.encode(describe(root)))
    assert found["recipes"] == [
        {"actor": ".small.Step.naco_img_dark_1", "recipe": "naco_img_dark", "parameters": {"hot_t": "9"}}
    ]
    assert {"in": ".small", "from": "Start.output", "to": "Step.sof_in"} in found["links"]
    assert "  naco_img_dark_1 [RecipeExecuter] recipe naco_img_dark" in list(lines(root))
    assert ("Splitter.sof out", "naco_img_dark_1.sof in") in list(edges(step()))


@pytest.mark.real
def test_esos_metis_workflow_has_only_true_findings(
    real: Path, tmp_path: Path, esorex: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, drawn = real / "reflex" / "metis" / "metis.xml.in", tmp_path / "metis.svg"
    assert main(["reflex", "check", str(path), "--json", "--picture", str(drawn)]) == 1
    found = json.loads(capsys.readouterr().out)
    kinds = {(finding["rule"], finding["text"].partition(" holds")[0]) for finding in found["findings"]}
    assert {rule for rule, _ in kinds} == {"placeholders", "recipe"}
    assert ("recipe", "recipe rrrecipe is not installed here") in kinds
    assert {each["recipe"] for each in found["workflow"]["recipes"]} == {"rrrecipe", "rrrecipe_calib"}
    assert "DataOrganizer" in drawn.read_text()


def test_our_own_workflows_pass_with_the_recipes_that_are_installed(
    esorex: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("naco", "hawki"):
        assert main(["reflex", "workflow", name]) == 0
        path = tmp_path / f"{name}.xml"
        path.write_text(capsys.readouterr().out)
        assert main(["reflex", "check", str(path)]) == 0, capsys.readouterr().out
        assert "nothing wrong found" in capsys.readouterr().out


def test_a_picture_is_drawn_of_what_has_a_place() -> None:
    drawn = picture(read(write(small()).encode(), "x").root)
    assert drawn.startswith("<svg")
    assert drawn.rstrip().endswith("</svg>")
