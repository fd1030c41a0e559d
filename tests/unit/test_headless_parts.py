"""The parts that run a workflow file: parameters, wiring, the order of firings, what is unknown."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from esorex_bridge.definitions.workflow_yaml import parse_workflow
from esorex_bridge.errors import UserError
from esorex_bridge.esorex.runner import EsoRex
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings
from reflex_actors.dataset_json import read_datasets
from reflex_actors.headless.bridge_recipes import BridgeRecipes
from reflex_actors.headless.command import parameters_first
from reflex_actors.headless.network import build
from reflex_actors.headless.plumbing import time_text
from reflex_actors.headless.report import RunReport, lines
from reflex_actors.headless.running import Firing, RunOptions
from reflex_actors.headless.scripts import erases
from reflex_actors.headless.tokens import WorkflowError, flatten_dataset
from reflex_actors.headless.variables import Variables
from reflex_actors.headless.workflow_run import UnknownPartsError
from reflex_actors.moml.blocks import actor, composite, constant, director, parameter, port_in, port_out, text, wiring
from reflex_actors.moml.model import COMPOSITE, Entity, Property, Relation
from reflex_actors.moml.steps import places, tuned_step
from reflex_actors.sof_json import FitsFile
from tests.programs import first_lines
from tests.stand_in_recipes import StandInRecipes, product, run_workflow


def entity(*properties: Property) -> Entity:
    return Entity("it", properties=properties)


def workflow(entities: Iterable[Entity], wires: Iterable[tuple[str, ...]], *properties: Property) -> Entity:
    relations, links = wiring(wires)
    return Entity("it", COMPOSITE, (director(top=True), *properties), (), tuple(entities), relations, links)


def file(name: str, category: str, *purposes: str) -> dict[str, Any]:
    return {"name": f"/data/{name}.fits", "category": category, "purposes": list(purposes), "checksum": None}


def action(name: str, files: list[dict[str, Any]], *below: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "rawFiles": files, "actions": list(below), "complete": True, "messages": []}


def dataset(name: str, files: list[dict[str, Any]], *below: dict[str, Any]) -> dict[str, Any]:
    return {**action("SCI", files, *below), "datasetName": name, "descriptors": [], "nightlogFile": ""}


def step(name: str, *properties: Property) -> Entity:
    """Return a step with one recipe, as shipped workflows have it."""
    entities = (
        actor("SofSplitter", "org.eso.SofSplitter"),
        actor("SofAccumulator", "org.eso.SofAccumulator"),
        actor(f"{name}_1", "org.eso.RecipeExecuter", properties),
    )
    wires = (
        ("sof_in", "SofSplitter.sof in"),
        ("SofSplitter.sof out", f"{name}_1.sof in"),
        ("SofSplitter.#groups", "SofAccumulator.#groups"),
        (f"{name}_1.sof out", "SofAccumulator.sof in"),
        ("SofAccumulator.sof out", "sof_out"),
    )
    return composite(name, (port_in("sof_in"), port_out("sof_out")), entities, wires)


def reduction(*dark: Property) -> Entity:
    """Return a workflow with a dark step and a science step."""
    router = actor("FitsRouter", "org.eso.FitsRouter")
    entities = (
        constant("Data", "unused", once=True),
        actor("DataOrganizer", "org.eso.DataOrganizer"),
        actor("DataSetChooser", "org.eso.DataSetChooser"),
        replace(router, ports=(*router.ports, port_out("DARK"), port_out("OBJECT"))),
        step("dark", *dark),
        actor("SofCombiner", "org.eso.SofCombiner"),
        step("science"),
        actor("Show", "ptolemy.actor.lib.gui.Display"),
    )
    wires = (
        ("Data.output", "DataOrganizer.input data"),
        ("DataOrganizer.datasets out", "DataSetChooser.datasets in"),
        ("DataSetChooser.dataset out", "FitsRouter.in"),
        ("FitsRouter.DARK", "dark.sof_in"),
        ("FitsRouter.OBJECT", "SofCombiner.sof in"),
        ("dark.sof_out", "SofCombiner.sof in"),
        ("SofCombiner.sof out", "science.sof_in"),
        ("science.sof_out", "Show.input"),
    )
    return workflow(entities, wires, text("ROOT_DATA_DIR", "/data"))


NIGHT = [
    dataset(name, [file(name, "OBJECT", "SCI")], action("DARK", [file("d", "DARK", "DARK/SCI")])) for name in ("a", "b")
]


def run(root: Entity, recipes: StandInRecipes, night: list[dict[str, Any]], folder: Path, jobs: int = 1) -> RunReport:
    listed = folder / "datasets.json"
    listed.write_text(json.dumps(night))
    return run_workflow(root, {}, recipes, RunOptions(datasets=listed, jobs=jobs))


def test_parameters_refer_to_each_other_and_to_those_of_the_composite_around() -> None:
    outer = Variables(entity(text("ROOT", "/data"), text("RAW", "$ROOT/raw")))
    inner = Variables(
        entity(text("A", "${RAW}/$(ROOT) costs $$5"), parameter("B", '"x,y"'), parameter("C", "A")), outer
    )
    assert inner.text("A") == "/data/raw//data costs $5"
    assert inner.text("B") == "x,y"
    assert inner.text("C") == inner.text("A")
    assert Variables(entity(parameter("N", '{1, "two", true}'))).value("N") == (1, "two", True)


def test_a_parameter_that_names_itself_means_the_one_further_out() -> None:
    outer = Variables(entity(text("BOOKKEEPING_DB", "/data/bookkeeping.db"), parameter("N", "3")))
    inner = Variables(entity(text("BOOKKEEPING_DB", "$BOOKKEEPING_DB"), parameter("N", "N")), outer)
    assert inner.text("BOOKKEEPING_DB") == "/data/bookkeeping.db"
    assert inner.value("N") == 3


@pytest.mark.parametrize("value", ["$NOBODY", "$A"])
def test_a_parameter_that_cannot_be_worked_out_is_an_error(value: str) -> None:
    with pytest.raises(WorkflowError):
        Variables(entity(text("A", value))).value("A")


def test_relations_that_are_joined_are_one() -> None:
    show = [actor(name, "ptolemy.actor.lib.gui.Display") for name in ("one", "other")]
    root = workflow((constant("Start", "x", once=True), *show), (("Start.output", "one.input"), ("other.input",)))
    names = [relation.name for relation in root.relations]
    network, _ = build(replace(root, joined=((names[0], names[1]),)), {})
    (start, *_) = network.nodes
    assert [channel.into.owner.name for channel in start.outputs["output"].links[0]] == ["one", "other"]


def test_a_composite_without_a_director_is_part_of_what_it_stands_in() -> None:
    inside = composite(
        "Inside", (port_in("in"),), [actor("Show", "ptolemy.actor.lib.gui.Display")], [("in", "Show.input")]
    )
    clear = replace(inside, properties=())
    root = workflow((constant("Start", "x", once=True), clear), (("Start.output", "Inside.in"),))
    network, _ = build(root, {})
    assert [node.path for node in network.nodes] == ["Start", "Inside.Show"]
    assert network.nodes[0].outputs["output"].links[0][0].into.owner.path == "Inside.Show"


@pytest.mark.parametrize("clear", [True, False])
@pytest.mark.parametrize("width", ["Auto", "-1", None, "2"])
def test_what_comes_side_by_side_to_a_composite_stays_so_within(width: str | None, clear: bool) -> None:
    """So it is in ESO's workflow of X-shooter: a port that takes several relations, and one relation inside."""
    together = actor("Together", "org.eso.SofCombiner")
    inside = composite("Inside", (port_in("sof in", multiport=True),), [together], [("sof in", "Together.sof in")])
    inside = replace(
        inside,
        properties=() if clear else inside.properties,
        relations=tuple(replace(each, width=width) for each in inside.relations),
    )
    starts = (constant("One", "1", once=True), constant("Two", "2", once=True))
    root = workflow((*starts, inside), (("One.output", "Inside.sof in"), ("Two.output", "Inside.sof in")))
    network, _ = build(root, {})
    one, two, last = network.nodes
    if last.inner is not None:
        assert len(last.inputs["sof in"].channels) == 2
        (last,) = last.inner.nodes
        entrance = network.nodes[2].inner.entrances["sof in"]
        reached = [link[0] for link in entrance.links]
    else:
        reached = [node.outputs["output"].links[0][0] for node in (one, two)]
    assert reached == last.inputs["sof in"].channels
    assert len(reached) == 2


def test_every_dataset_is_reduced_with_its_own_files(tmp_path: Path) -> None:
    recipes = StandInRecipes(tmp_path / "made")
    report = run(reduction(), recipes, NIGHT, tmp_path)
    assert report.done
    assert report.datasets == ("a", "b")
    inputs = [[Path(each.name).name for each in request.sof.files] for request in recipes.requests]
    assert [request.recipe for request in recipes.requests] == ["dark", "science"] * 2
    assert inputs[1] == ["DARK.fits", "a.fits"]
    assert inputs[3] == ["DARK.fits", "b.fits"]


def test_two_recipes_at_a_time_give_the_same(tmp_path: Path) -> None:
    one = run(reduction(), StandInRecipes(tmp_path / "one"), NIGHT, tmp_path)
    two = run(reduction(), StandInRecipes(tmp_path / "two"), NIGHT, tmp_path, jobs=2)
    assert one.counts == two.counts
    assert [(each.actor, each.purposes) for each in one.firings] == [
        (each.actor, each.purposes) for each in two.firings
    ]


def test_a_recipe_that_fails_stops_the_workflow_or_lets_it_go_on(tmp_path: Path) -> None:
    stopped = run(reduction(), StandInRecipes(tmp_path / "1", fails=frozenset({"dark"})), NIGHT, tmp_path)
    assert "dark failed" in stopped.problem
    assert not stopped.done
    on = StandInRecipes(tmp_path / "2", fails=frozenset({"dark"}))
    report = run(reduction(text("Recipe Failure Mode", "Continue")), on, NIGHT, tmp_path)
    assert report.problem == ""
    assert [request.recipe for request in on.requests].count("science") == 2
    assert not report.done


def test_an_incomplete_dataset_is_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    night = [{**NIGHT[0], "complete": False, "messages": ["Missing DARK"]}, NIGHT[1]]
    report = run(reduction(), StandInRecipes(tmp_path / "made"), night, tmp_path)
    assert report.datasets == ("b",)
    assert any("Missing DARK" in line for line in report.said)
    assert "a is incomplete, so it is left out: Missing DARK" in capsys.readouterr().err
    none = run(reduction(), StandInRecipes(tmp_path / "made"), night[:1], tmp_path)
    assert "no dataset is complete" in none.problem and not none.done


def test_a_report_leaves_out_what_did_nothing_unless_all_is_asked_for() -> None:
    firings = (
        Firing("Get Data.Fetch"),
        Firing("dark_1", "a", "empty", "dark"),
        Firing("flat_1", "a", "failed", "flat", reason="too few"),
        Firing("science_1", "a", "ran", "science"),
        Firing("Close.Collect", "a", "failed", reason="disk full"),
    )
    ends = {"a": [("/e/x.fits", "X")]}
    report = RunReport(1, "w", ("a",), firings, {}, ends, (), (), "", ())
    told = list(lines(report))
    assert [line.split()[0] for line in told] == ["failed", "too", "ran", "failed", "disk", "a:", "/e/x.fits"]
    assert "a: 1 end product" in told
    assert len(list(lines(report, whole=True))) == len(told) + 2


def test_a_workflow_that_stands_still_says_where(tmp_path: Path) -> None:
    root = reduction()
    unfed = tuple(link for link in root.links if link.port != "dark.sof_out")
    report = run(replace(root, links=unfed), StandInRecipes(tmp_path / "made"), NIGHT, tmp_path)
    assert not report.done
    assert [(left.actor, left.waits_for) for left in report.left] == [("SofCombiner", ("sof in",))]


def test_what_a_select_did_not_choose_is_no_work_left(tmp_path: Path) -> None:
    chosen = Property("value", "ptolemy.data.expr.Parameter", "false")
    once = parameter("firingCountLimit", "1")
    entities = (
        constant("One", "1", once=True),
        constant("Two", "2", once=True),
        actor("Which", "ptolemy.actor.lib.Const", (chosen, once)),
        actor("Select", "ptolemy.domains.ddf.lib.DDFBooleanSelect"),
        actor("Show", "ptolemy.actor.lib.gui.Display"),
    )
    wires = (
        ("One.output", "Select.trueInput"),
        ("Two.output", "Select.falseInput"),
        ("Which.output", "Select.control"),
        ("Select.output", "Show.input"),
    )
    report = run(workflow(entities, wires), StandInRecipes(tmp_path / "made"), NIGHT, tmp_path)
    assert report.said == ("2",)
    assert report.done, report.left


def test_what_is_unknown_is_named_before_anything_starts(tmp_path: Path) -> None:
    recipes = StandInRecipes(tmp_path / "made")
    odd = Entity("Odd One", "org.example.Strange")
    root = replace(reduction(), entities=(*reduction().entities, odd))
    with pytest.raises(UnknownPartsError, match=r"Odd One: there is no actor org\.example\.Strange"):
        run(root, recipes, NIGHT, tmp_path)
    assert recipes.requests == []


def test_an_unknown_parameter_an_unknown_port_and_a_foreign_command_are_named(tmp_path: Path) -> None:
    shell = Entity("Shell", "ptolemy.actor.lib.Exec", (text("command", "sh"),))
    bad = (
        replace(reduction(), entities=(*reduction().entities, shell)),
        replace(reduction(), links=(*reduction().links, replace(reduction().links[0], port="science.nothing"))),
        reduction(text("Recipe Failure Mode", "$NOBODY")),
    )
    for root, said in zip(bad, ("Shell: it runs a command", "has no port 'nothing'", "NOBODY"), strict=True):
        with pytest.raises(UnknownPartsError, match=said):
            run(root, StandInRecipes(tmp_path / "made"), NIGHT, tmp_path)


def test_a_workflow_that_kepler_has_saved_runs(tmp_path: Path) -> None:
    recipes = StandInRecipes(tmp_path / "made")
    report = run(replace(reduction(), cls="org.kepler.moml.CompositeClassEntity"), recipes, NIGHT, tmp_path)
    assert report.done
    assert len(recipes.requests) == 4


def test_purposes_are_those_of_the_last_action_or_of_all() -> None:
    shared = file("d", "DARK", "DARK/SCI"), file("d", "DARK", "DARK/FLAT/SCI")
    flat = action("FLAT", [file("f", "FLAT", "FLAT/SCI")], action("DARK", [shared[1]]))
    (found,) = read_datasets(dataset("a", [file("a", "OBJECT", "SCI")], action("DARK", [shared[0]]), flat))
    dark = {how: flatten_dataset(found, how).files[1].purposes for how in ("last", "merge")}
    assert dark == {"last": ("DARK/FLAT/SCI",), "merge": ("DARK/FLAT/SCI", "DARK/SCI")}


def test_parameters_are_taken_as_esoreflex_takes_them() -> None:
    words = ["-ROOT_DATA_DIR", "/data", "--json", "-RecipeFailureMode", "Continue", "--jobs", "2"]
    assert parameters_first(words) == (
        ["--json", "--jobs", "2"],
        {"ROOT_DATA_DIR": "/data", "RecipeFailureMode": "Continue"},
    )
    assert parameters_first(["-ROOT_DATA_DIR=/a=b", "-v"]) == (["-v"], {"ROOT_DATA_DIR": "/a=b"})
    with pytest.raises(UserError, match="RAW_DATA_DIR has no value"):
        parameters_first(["-RAW_DATA_DIR"])


def test_only_the_script_that_removes_what_earlier_runs_left_is_taken_for_it() -> None:
    script = 'if [ "x$E" = "xtrue" ]; then echo "a"; rm -rf $B/*; rm -rf $L/* ; else echo "b"; fi'
    assert erases(script)
    assert not erases(script.replace("rm -rf $L/* ;", "rm -rf / ;"))
    assert not erases("echo hello")


def test_times_are_written_as_java_writes_them() -> None:
    assert time_text(datetime(2026, 3, 4, 5, 6, 7, 89000), "yyyy-MM-dd'T'HH:mm:ss.SSS") == "2026-03-04T05:06:07.089"


def test_a_wide_relation_keeps_tokens_side_by_side() -> None:
    wide = Relation("wide", "2")
    starts = (constant("One", "1", once=True), constant("Two", "2", once=True))
    root = workflow(
        (*starts, actor("Together", "ptolemy.actor.lib.Synchronizer"), actor("Show", "ptolemy.actor.lib.gui.Display")),
        (("One.output", "Together.input"), ("Two.output", "Together.input"), ("Together.output", "Show.input")),
    )
    root = replace(root, relations=tuple(wide if each.name == "relation3" else each for each in root.relations))
    root = replace(
        root,
        links=tuple(replace(each, relation="wide") if each.relation == "relation3" else each for each in root.links),
    )
    network, _ = build(root, {})
    assert len(network.nodes[3].inputs["input"].channels) == 2


BROWSER = """{python}import re, sys, urllib.parse, urllib.request
address = re.search('url=([^"]*)', urllib.request.urlopen(sys.argv[1]).read().decode()).group(1)
page = urllib.request.urlopen(address).read().decode()
open({seen!r}, "a").write(re.search("<h1>(.*?)</h1>", page).group(1) + "\\n")
form = dict(do="continue", keep="1", quiet="1") | {{"p.kappa": "12"}}
urllib.request.urlopen(address, urllib.parse.urlencode(form).encode()).read()
"""

TUNED = """
workflow: w
instruments: [W]
pipeline: w
state: from documentation
steps:
  - {recipe: w_dark, main: [DARK], products: [MASTER_DARK]}
"""


def test_what_a_user_says_on_the_page_counts_for_the_next_dataset_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, browser = tmp_path / "seen", tmp_path / "browser"
    browser.write_text(BROWSER.format(python=first_lines(), seen=str(seen)))
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    (place,) = places(parse_workflow(TUNED, "w.yaml"))
    tuned = tuned_step(place, [("kappa", 3), ("text", "$x")])
    root = reduction()
    wires = tuple(replace(each, port=each.port.replace("dark.", f"{place.name}.")) for each in root.links)
    entities = tuple(tuned if each.name == "dark" else each for each in root.entities)
    extra = (text("BRIDGE_ACTORS", "/actors"), text("GlobalPlotInteractivity", "true"), text("TMP_PRODUCTS_DIR", ""))
    names = ("LOGS_DIR", "BOOKKEEPING_DIR", "BOOKKEEPING_DB", "RecipeFailureMode")
    properties = (*root.properties, *extra, *(text(name, "") for name in names))
    root = replace(root, entities=entities, links=wires, properties=properties)
    empty = dataset("c", [file("c", "OBJECT", "SCI")])
    listed = tmp_path / "datasets.json"
    made = [FitsFile(str(tmp_path / "d.fits"), "DARK")]
    Path(made[0].name).write_bytes(product("DARK"))
    night = json.dumps([empty, *NIGHT]).replace("/data/d.fits", made[0].name)
    listed.write_text(night)
    recipes = StandInRecipes(tmp_path / "made")
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DISPLAY", f"127.0.0.1:{server.getsockname()[1] - 6000}")
        report = run_workflow(root, {}, recipes, RunOptions(datasets=listed, interactive=True))
    assert report.done, (report.problem, report.left, report.failed)
    darks = [request for request in recipes.requests if request.recipe == "w_dark"]
    values = [{each.display_name: each.value for each in request.parameters} for request in darks]
    assert values == [{"kappa": "3", "text": "$x"}, {"kappa": "12", "text": "$x"}]
    assert seen.read_text() == "w_dark: a\n"


def test_a_window_without_parameters_is_passed_as_one_with_them(tmp_path: Path) -> None:
    (place,) = places(parse_workflow(TUNED, "w.yaml"))
    root = reduction()
    wires = tuple(replace(each, port=each.port.replace("dark.", f"{place.name}.")) for each in root.links)
    entities = tuple(tuned_step(place, ()) if each.name == "dark" else each for each in root.entities)
    names = ("LOGS_DIR", "BOOKKEEPING_DIR", "BOOKKEEPING_DB", "TMP_PRODUCTS_DIR", "RecipeFailureMode", "BRIDGE_ACTORS")
    properties = (*root.properties, text("GlobalPlotInteractivity", "false"), *(text(name, "") for name in names))
    recipes = StandInRecipes(tmp_path / "made")
    report = run(replace(root, entities=entities, links=wires, properties=properties), recipes, NIGHT, tmp_path)
    assert report.done, (report.problem, report.left, report.failed)
    assert [request.recipe for request in recipes.requests] == ["w_dark", "science"] * 2


def test_recipes_that_are_not_installed_are_named_without_a_start_of_esorex(tmp_path: Path) -> None:
    with Session(Settings(tmp_path)) as session:
        session.__dict__["esorex"] = EsoRex(tmp_path / "no-esorex", {"w_flat": tmp_path / "no-plugin"})
        missing = BridgeRecipes(session, "w").missing(("w_flat", "w_gone"))
    assert list(missing) == ["w_gone"]
    assert "recipe w_gone is not installed" in missing["w_gone"]
