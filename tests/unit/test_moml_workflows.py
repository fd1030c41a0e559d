"""Workflow files made from definitions: as checked in, as Kepler wants them, as the engine needs them."""

from __future__ import annotations

import itertools
import json
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from esorex_bridge.cli import main
from esorex_bridge.definitions.folders import own_definitions, read_workflow, workflow_folder
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.definitions.workflow_yaml import parse_workflow
from reflex_actors.moml.canvas import Box, actor_box, boxes, frames, place_of
from reflex_actors.moml.check import check, ends_of
from reflex_actors.moml.describe import edges, picture
from reflex_actors.moml.inventory import ACTORS, IN
from reflex_actors.moml.kar import kar
from reflex_actors.moml.model import COMPOSITE, Entity
from reflex_actors.moml.read import read, read_file
from reflex_actors.moml.reduction import GUARD, reduction, science_ports
from reflex_actors.moml.steps import UnsupportedError, places
from reflex_actors.moml.text import write
from reflex_actors.verb import head_comment

NAMES = sorted(path.stem for path in workflow_folder().glob("*.yaml"))


@pytest.fixture(params=NAMES)
def workflow(request: pytest.FixtureRequest) -> Workflow:
    return definition_of(request.param)


@pytest.fixture
def root(workflow: Workflow) -> Entity:
    return made(workflow.name)


@cache
def definition_of(name: str) -> Workflow:
    """Return a definition, read once for all tests."""
    return read_workflow(workflow_folder() / f"{name}.yaml")


@cache
def made(name: str) -> Entity:
    """Return the workflow file of a definition, once for all tests: it takes some tenths of a second."""
    return reduction(definition_of(name))


def test_workflow_files_are_checked_in() -> None:
    assert {"naco", "hawki"} <= {path.stem for path in workflow_folder().glob("*.xml")}


@pytest.mark.parametrize("path", sorted(workflow_folder().glob("*.xml")), ids=lambda path: path.stem)
def test_a_checked_in_workflow_file_is_what_its_definition_gives(path: Path) -> None:
    definition = definition_of(path.stem)
    fresh = write(made(path.stem), head_comment(definition))
    assert path.read_text() == fresh, (
        f"{path.name} is stale: run  esorex-bridge reflex workflow {path.stem} > workflows/{path.stem}.xml"
    )


def test_a_workflow_comes_back_from_its_text(root: Entity) -> None:
    again = read(write(root).encode(), root.name)
    assert again.root == root
    assert again.oddities == ()
    assert any(relation.vertex for _, entity in again.root.walk() for relation in entity.relations)


def test_nothing_is_wrong_with_a_generated_workflow(root: Entity) -> None:
    assert check(root) == ()


def test_a_workflow_is_made_the_same_every_time(workflow: Workflow, root: Entity) -> None:
    again = reduction(workflow)
    assert again is not root
    assert kar(again) == kar(root)  # with its text in it


def test_every_step_of_a_definition_has_its_recipe_actor(workflow: Workflow, root: Entity) -> None:
    actors = {actor.name: actor for _, actor in root.walk() if actor.cls == "org.eso.RecipeExecuter"}
    recipes = [step for step in workflow.steps if not step.command]
    assert set(actors) == {step.name for step in recipes}
    for step in recipes:
        values = {each.value for each in actors[step.name].properties if each.name.startswith("recipe_param_")}
        wanted = dict(step.parameters).keys() | dict(step.tune).keys()
        assert {str(value).partition("=")[0] for value in values} == wanted
        tags = str(actors[step.name].value("Input Files Category")).split(",")
        assert set(step.main) <= set(tags)


def test_every_maker_of_a_category_has_a_path_to_every_step_that_takes_it(workflow: Workflow, root: Entity) -> None:
    onward: dict[str, set[str]] = {}
    for source, sink in edges(root):
        onward.setdefault(source.partition(".")[0], set()).add(sink.partition(".")[0])
    names = {place.step.name: place.name for place in places(workflow)}
    for taker in workflow.steps:
        taken = {*taker.main, *(category for need in taker.calibrations for category in need.accepted)}
        for maker in workflow.steps:
            if maker is not taker and taken.intersection(maker.products):
                assert reaches(onward, names[maker.name], names[taker.name]), (maker.name, taker.name)


def reaches(onward: dict[str, set[str]], start: str, end: str) -> bool:
    """Tell whether tokens get from one actor to another on the canvas."""
    seen, waiting = {start}, [start]
    while waiting:
        for name in onward.get(waiting.pop(), set()) - seen:
            seen.add(name)
            waiting.append(name)
    return end in seen


def test_the_steps_that_the_definition_names_have_a_window_with_their_parameters(
    workflow: Workflow, root: Entity
) -> None:
    windows = {}
    for composite in composites(root):
        inside = {actor.name: actor for actor in composite.entities}
        if "Tune" in inside:
            (recipe,) = (actor for actor in composite.entities if actor.cls == "org.eso.RecipeExecuter")
            assert composite.value("EnableInteractivity") == "$GlobalPlotInteractivity"
            windows[recipe.name] = str(composite.value("InitialParameters")).splitlines()
    assert windows.keys() == {step.name for step in workflow.steps if step.tune}
    for step in (step for step in workflow.steps if step.tune):
        names = [line.partition("=")[0] for line in windows[step.name]]
        by_case = {name for case in step.cases for name, _ in case.parameters}
        assert names == [f"{step.recipe}:{name}" for name, _ in step.tune if name not in by_case]


def test_a_window_begins_with_what_the_definition_sets() -> None:
    own = STEP % ("w_one", "RAW", "P", ", parameters: {kappa: 5, save: all}, tune: {kappa: 3, method: mean}")
    root = reduction(definition(own))
    assert check(root) == ()
    (initial,) = [value for _, each in root.walk() if (value := each.value("InitialParameters"))]
    assert initial == "w_one:kappa=5\nw_one:method=mean"
    (recipe,) = [each for _, each in root.walk() if each.cls == "org.eso.RecipeExecuter"]
    assert recipe.value("recipe_param_1") == "save=all"


def test_a_step_with_cases_is_told_the_parameters_of_each_group() -> None:
    case = ", parameters: {kappa: 5, save: all}, cases: [{when: {MODE: [SLOW]}, parameters: {kappa: 9}}]"
    for tune in ("", ", tune: {kappa: 3, method: mean}"):
        root = reduction(definition(STEP % ("w_one", "RAW", "P", case + tune)))
        assert check(root) == ()
        actors = {each.name: each for _, each in root.walk()}
        written = [actors["w_one_1"].value(f"recipe_param_{number}") for number in (1, 2, 3)]
        assert written == ["save=all", *(["kappa=PORT", "method=PORT"] if tune else ["kappa=PORT", None])]
        assert actors["Step Parameters"].cls == "org.eso.PythonActor"
        assert '"kappa": 5' in str(actors["Cases"].value("value"))
        if tune:
            assert [each.value("InitialParameters") for each in actors.values()].count("w_one:method=mean") == 1


@pytest.mark.parametrize(
    ("step", "said"),
    [("", "write into 'parameters' what kappa is"), (", command: [./x.py], name: own", "a command cannot have cases")],
)
def test_cases_that_a_workflow_file_cannot_tell_are_refused(step: str, said: str) -> None:
    case = ", cases: [{when: {MODE: [SLOW]}, parameters: {kappa: 9}}]"
    text = STEP % ("w_one", "RAW", "P", case + step)
    with pytest.raises(UnsupportedError, match=said):
        reduction(definition(text.replace("recipe: w_one, ", "") if step else text))


def test_every_verified_science_step_with_parameters_has_a_window() -> None:
    found = {
        step.recipe
        for name in ("naco", "hawki", "muse", "uves", "visir", "vimos", "vimos_spectra", "amber", "giraf")
        for step in definition_of(name).steps
        if step.tune
    }
    assert found >= {"naco_img_jitter", "hawki_science_process", "muse_scipost", "uves_obs_scired", "vmmosscience"}


def test_a_window_of_an_eso_kit_takes_the_place_of_our_page() -> None:
    definition = definition_of("naco")
    values = {"naco_img_jitter": (("objmethod", "detect"),)}
    root = reduction(definition, tunable=values, windows={"naco_img_jitter": "/kit/naco_plot.py"})
    assert check(root) == ()
    tune = next(actor for _, actor in root.walk() if actor.name == "Tune")
    assert tune.value("Python script") == "/kit/naco_plot.py"
    assert {port.name for port in tune.ports} >= {"in_sof", "in_sop", "in_sof_rec_orig", "enable", "set_init_sop"}
    assert tune.port("set_init_text") is None


def test_nothing_overlaps_in_a_step_with_a_window() -> None:
    definition = definition_of("naco")
    root = reduction(definition, tunable={"naco_img_jitter": (("objmethod", "detect"),)})
    for composite in composites(root):
        room = list(boxes(composite))
        overlapping = [(a, b) for number, a in enumerate(room) for b in room[number + 1 :] if a.overlaps(b)]
        assert overlapping == [], composite.name


STAGES = [
    "Step 1: Data Organisation and Selection",
    "Step 2: Calibration",
    "Step 3: Science",
    "Step 4: Output and Organisation",
]


def test_nothing_overlaps_on_any_canvas(root: Entity) -> None:
    for composite in composites(root):
        room = list(boxes(composite))
        assert {box.name for box in room} >= {each.name for each in composite.entities}
        for number, one in enumerate(room):
            for other in room[number + 1 :]:
                assert not one.overlaps(other), (composite.name, one, other)


def test_the_four_stages_have_frames_of_at_most_five_columns_below_each_other(root: Entity) -> None:
    stages = [frame for frame in frames(root) if frame.name.startswith("Step")]
    assert [frame.name for frame in stages] == STAGES
    assert all(above.y + above.height < below.y for above, below in itertools.pairwise(stages))
    places = {each.name: place for each in root.entities if (place := place_of(each.properties))}
    assert len({x for x, _ in places.values()}) <= 5
    for name, place in places.items():
        assert sum(frame.holds(actor_box(name, *place)) for frame in stages) == 1, name


def test_every_parameter_that_is_shown_has_a_sentence_beside_it(root: Entity) -> None:
    room = {box.name: box for box in boxes(root)}
    sentences = [name for name in room if name.endswith(" Sentence")]
    assert len(sentences) == 27
    for name in sentences:
        one = room[name.removesuffix(" Sentence")]
        assert one.y == room[name].y
        assert one.x + one.width < room[name].x
    holders = [frame for frame in frames(root) for name in sentences if frame.holds(room[name])]
    assert len(holders) == len(sentences)


def test_where_more_than_two_ends_meet_a_vertex_lies_that_covers_nothing(root: Entity) -> None:
    """So it is in ESO's own files: there a relation of more than two ends has one, and one of two ends seldom."""
    for _, entity in root.walk():
        places = []
        for relation in entity.relations:
            ends = [link.ends[0] for link in entity.links if link.relation == relation.name]
            forks = len(ends) > 2 and any(each is not None and entity.entity(each) for each in ends)
            assert (relation.vertex is not None) == forks, (entity.name, ends)
            places += [relation.vertex] if relation.vertex else []
        room = list(boxes(entity))
        assert len(set(places)) == len(places)
        for x, y in places:
            assert not [box.name for box in room if Box("vertex", x - 6, y - 6, 12, 12).overlaps(box)]


@pytest.mark.parametrize(
    ("workflow", "calibrations"),
    [
        ("vimos_spectra", {"vmdark_1"}),
        ("naco", {"naco_img_lampflat_1"}),
        ("xshooter", {"xsh_mdark_1", "xsh_mdark_2"}),
        ("muse", {"muse_scibasic_4"}),
        ("eris", {"eris_ifu_stdstar_1"}),
    ],
)
def test_a_master_that_no_recipe_takes_and_a_standard_are_no_science(workflow: str, calibrations: set[str]) -> None:
    steps = places(own_definitions().find(workflow))
    science = science_ports(steps)
    named = {place.step.name for place in steps if place.port not in science}
    assert calibrations <= named
    assert science


def test_the_steps_of_the_science_lie_below_those_of_the_calibrations() -> None:
    root = made("uves")
    rows = {each.name: place[1] for each in root.entities if (place := place_of(each.properties))}
    calibrations = [row for name, row in rows.items() if name.startswith("Cal ")]
    science = [row for name, row in rows.items() if name.startswith("Obs ")]
    assert max(calibrations) < min(science)


@pytest.mark.parametrize("name", ["naco", "uves", "xshooter"])
def test_the_pictures_in_the_docs_are_those_of_the_definitions(name: str) -> None:
    drawn = workflow_folder().parent / "docs" / "pictures" / f"reflex-{name}.svg"
    assert drawn.read_text() == picture(made(name)), (
        f"{drawn.name} is stale: esorex-bridge reflex workflow {name} > {name}.xml; "
        f"esorex-bridge reflex check {name}.xml --no-recipes --picture {drawn}"
    )


def composites(root: Entity) -> Iterator[Entity]:
    return (entity for _, entity in root.walk() if entity.cls == COMPOSITE)


def test_directors_are_set_so_that_every_dataset_is_run(root: Entity) -> None:
    for composite in composites(root):
        settings = {each.name: each.value for each in composite.director.properties} if composite.director else {}
        assert settings["iterations"] == "0"
        assert settings["maximumReceiverCapacity"] == "0"
        assert settings["runUntilDeadlockInOneIteration"] == ("false" if composite is root else "true")


def test_every_relation_has_width_1_one_source_and_a_reader(root: Entity) -> None:
    for composite in composites(root):
        ends = ends_of(composite)
        assert all(end.known for end in ends)
        for relation in composite.relations:
            own = [end for end in ends if end.link.relation == relation.name]
            assert relation.width == "1"
            assert sum(end.source for end in own) == 1
            assert len(own) > 1


LOOPER_RATES = {"sof in": "1", "sop in": "1", "sof loop": "0", "sop loop": "0", "iteration complete": "0"}


def test_rates_are_those_that_actors_have_before_they_start(workflow: Workflow, root: Entity) -> None:
    wanted = {
        ("org.eso.SofAccumulator", "sof in"): "0",
        ("org.eso.SofAccumulator", "#groups"): "1",
        ("org.eso.RecipeExecuter", "sof in"): "1",
        ("org.eso.RecipeExecuter", "sop in"): "1",
        ("org.eso.FitsRouter", "in"): "1",
        ("org.eso.DataSetChooser", "datasets in"): "1",
    }
    seen = {
        (actor.cls, port.name): port.rate("tokenConsumptionRate")
        for _, actor in root.walk()
        for port in actor.ports
        if port.rate("tokenConsumptionRate")
    }
    if any(step.tune for step in workflow.steps):
        wanted |= {("org.eso.RecipeLooper", port): rate for port, rate in LOOPER_RATES.items()}
    assert seen == wanted


def test_constants_are_triggered_each_time_but_the_one_that_starts_the_workflow(root: Entity) -> None:
    limits = {
        (composite.name, actor.name): actor.value("firingCountLimit")
        for composite in composites(root)
        for actor in composite.entities
        if actor.cls.endswith("StringConst")
    }
    assert [key for key, value in limits.items() if value == "1"] == [("Initialize", "Start")]


def test_the_next_dataset_waits_until_the_current_one_is_closed(root: Entity) -> None:
    waiting = [link.relation for link in root.links if link.port == "Close DataSet.current_dataset"]
    opened = [link.relation for link in root.links if link.port == "Initialise Current Dataset.current_dataset"]
    assert waiting == opened != []


def test_a_step_whose_raw_files_serve_another_directly_keeps_its_own_groups(workflow: Workflow, root: Entity) -> None:
    for place in places(workflow):
        step = root.entity(place.name)
        assert step is not None
        linked = {link.port for link in step.links}
        for port in ("others_sof", "others_sof_2", "others_sof_3")[: len(place.rivals)]:
            assert f"{GUARD}.{port}" in linked


def test_naco_keeps_the_darks_of_flats_away_from_the_dark_recipe() -> None:
    found = {place.step.recipe: place.rivals for place in places(definition_of("naco"))}
    assert len(found["naco_img_dark"]) == 1


@pytest.mark.real
def test_classes_ports_and_parameters_are_those_of_shipped_workflows(root: Entity, real: Path) -> None:
    inventory = json.loads((real / "reflex" / "moml_actor_inventory.json").read_text())
    for place, actor in root.walk():
        if not actor.cls.startswith("org.eso."):
            continue
        known = inventory[actor.cls]
        own = actor.cls in ("org.eso.PythonActor", "org.eso.FitsRouter")
        if not own:
            assert {port.name for port in actor.ports} <= set(known["ports"]), place
        for each in actor.properties:
            usual = each.name in known["params"] or each.name.startswith(("_", "recipe_param_"))
            assert usual or each.name.endswith("_config"), (place, each.name)
            if each.name in known["params"] and not each.name.endswith("_config"):
                assert each.cls == known["params"][each.name]["class"], (place, each.name)


@pytest.mark.real
def test_our_list_of_actors_agrees_with_shipped_workflows(real: Path) -> None:
    inventory = json.loads((real / "reflex" / "moml_actor_inventory.json").read_text())
    for cls, known in inventory.items():
        for name, facts in known["ports"].items():
            port = ACTORS[cls].port(name)
            if port is None:
                assert ACTORS[cls].own_ports or facts["linked"] == 0 or name in ("sof", "bookkeeping db", "in", "out")
            elif facts["dir"]:
                assert (port.direction == IN) == (facts["dir"] == "in"), (cls, name)


def test_a_kar_is_a_zip_with_manifest_and_workflow(tmp_path: Path) -> None:
    path = tmp_path / "naco.kar"
    assert main(["reflex", "workflow", "naco", "--kar", str(path)]) == 0
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        manifest = archive.read("META-INF/MANIFEST.MF").decode()
    assert names[0] == "META-INF/MANIFEST.MF"
    assert f"Name: {names[1]}\r\n" in manifest
    assert "handler: org.kepler.kar.handlers.ActorMetadataKAREntryHandler" in manifest
    assert read_file(path).root.name == "naco"


def test_reflex_may_organise_in_its_calselector_mode() -> None:
    other = reduction(definition_of("naco"), reflex_organises=True)
    organizer = other.entity("DataOrganizer")
    assert organizer is not None
    assert organizer.value("Use CalSelector associations") == "true"
    assert check(other) == ()


def test_a_tuned_step_has_the_loop_with_its_rates(workflow: Workflow) -> None:
    recipe = workflow.steps[0].recipe
    root = reduction(workflow, tunable={recipe: (("kappa", 3), ("method", "a,b"))})
    assert check(root) == ()
    looper = next(actor for _, actor in root.walk() if actor.cls == "org.eso.RecipeLooper")
    rates = {port.name: port.rate("tokenConsumptionRate") for port in looper.ports}
    assert rates == {**LOOPER_RATES, "sof out": None, "sop out": None}
    again = read(write(root).encode(), "x").root
    assert again == root


def test_a_window_of_a_recipe_that_is_not_installed_is_made_from_the_definition(
    esorex: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    own = tmp_path / "w.yaml"
    steps = STEP % ("w_one", "RAW", "P", ", parameters: {save: all}, tune: {kappa: 3}")
    own.write_text(f"workflow: w\ninstruments: [W]\npipeline: w\nstate: from documentation\nsteps:\n  {steps}\n")
    assert main(["reflex", "workflow", str(own), "--tune", "w_one"]) == 0
    written, said = capsys.readouterr()
    assert "recipe w_one is not installed" in said
    assert "Its window has 2 parameters that the definition names." in said
    root = read(written.encode(), "w").root
    assert check(root) == ()
    (initial,) = [value for _, each in root.walk() if (value := each.value("InitialParameters"))]
    assert initial == "w_one:save=all\nw_one:kappa=3"


def test_a_window_may_have_no_parameters() -> None:
    root = reduction(definition(STEP % ("w_one", "RAW", "P", "")), tunable={"w_one": ()})
    assert check(root) == ()
    assert [actor.name for _, actor in root.walk() if actor.name == "Tune"] == ["Tune"]


STEP = "- {recipe: %s, main: [%s], products: [%s]%s}"


def definition(*steps: str) -> Workflow:
    text = "workflow: w\ninstruments: [W]\npipeline: w\nstate: from documentation\nsteps:\n  " + "\n  ".join(steps)
    return parse_workflow(text, "w.yaml")


def test_a_category_that_is_a_pattern_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="pattern"):
        reduction(definition(STEP % ("a_b", "RAW+X", "P", "")))


def test_a_product_cannot_stand_for_two_tags() -> None:
    needs = ", calibrations: {A: {sources: [P]}, B: {sources: [P]}}"
    with pytest.raises(UnsupportedError, match="cannot stand for both A and B"):
        reduction(definition(STEP % ("w_one", "RAW", "P", ""), STEP % ("w_two", "RAW2", "Q", needs)))


def test_a_step_of_the_users_own_is_a_command() -> None:
    own = "- {command: [python3, /me/clean.py], name: w_own, main: [RAW], products: [CLEAN], parameters: {cost: 5$}}"
    root = reduction(definition(own, STEP % ("w_two", "RAW2", "Q", ", calibrations: {CLEAN: {}}")))
    assert check(root) == ()
    (command,) = [actor.value("value") for _, actor in root.walk() if actor.name == "Command"]
    assert command == "python3 /me/clean.py '--cost=5$$'"
    assert [actor.name for _, actor in root.walk() if actor.cls == "org.eso.RecipeExecuter"] == ["w_two_1"]


def test_a_renamed_product_gets_the_tag_that_the_recipe_knows() -> None:
    needs = ", calibrations: {BPM: {sources: [IMG_BPM], required: true}}"
    root = reduction(definition(STEP % ("w_one", "RAW", "IMG_BPM", ""), STEP % ("w_two", "RAW2", "Q", needs)))
    values = {actor.name: actor.value("value") for _, actor in root.walk() if actor.cls.endswith("StringConst")}
    assert values["Tags"] == "IMG_BPM=BPM"
    assert values["Needs"] == "BPM"
    assert check(root) == ()
