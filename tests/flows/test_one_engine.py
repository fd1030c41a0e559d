"""Whatever entrance a reduction takes, the same is decided, made and delivered.

Each test here was seen to fail.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from esorex_bridge.cli.documents.running import DemoRunPart, ReduceDocument
from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.archive.tree_xml import tree_document
from esorex_bridge.demo.nights.catalogue import make_night
from esorex_bridge.demo.nights.hawki import hawki_night
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.lazy.lazy_store import LazyStore
from esorex_bridge.lazy.statement import older_keys_of
from tests.flows.actor_calls import Actors, cascade
from tests.flows.conftest import SMALL, SMALL_FRAMES, Ended, put_on_disk
from tests.flows.lazy_calls import LAZY, run_call
from tests.flows.test_run_again import frame
from tests.programs import first_lines

pytestmark = pytest.mark.usefixtures("esorex")

Bridge = Callable[..., Ended]
DATASET = "NACO.2016-03-02T00:30:00.076_tpl"
RECIPES = ("naco_img_dark", "naco_img_twflat", "naco_img_jitter")
SOP = ",".join(
    f"{name.replace('.', ':')}={value}" for name, value in {**SMALL_FRAMES, "naco_img_twflat.bpm": "true"}.items()
)
GUIDE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "override-a-workflow.md"
JOBS = "jobs:\n  - datasets: all\n"


@pytest.fixture
def actors(tmp_path: Path) -> Actors:
    return Actors(tmp_path / "actors")


@pytest.fixture
def data(root: Path) -> Path:
    return root / "reflex_input" / "data_with_raw_calibs"


# ----- what datasets are made by


def cut_the_dark_group(data: Path) -> None:
    """Take the science's darks out of the tree and say so in it, as calSelector does where it finds none."""
    (path,) = data.glob("*.xml")
    document = ElementTree.parse(path)
    top = document.getroot()
    groups, messages = top.find("associatedFiles"), top.find("messages")
    assert groups is not None and messages is not None
    groups.remove(next(group for group in groups if group.get("category") == "DARK"))
    ElementTree.SubElement(messages, "message").text = "Missing NACO_IMG_DARK_AVG"
    top.set("complete", "false")
    document.write(path, encoding="UTF-8", xml_declaration=True)


def add_a_choice_for_another_dataset(root: Path) -> None:
    text = "version: 1\ndatasets:\n  NACO.2016-03-09T00:00:00.000_tpl:\n    drop: [NACO.2016-03-09T00:00:00.000]\n"
    (root / "choices.yaml").write_text(text)


def taken_by_plan(root: Path, bridge: Bridge, *words: str) -> set[str]:
    """Return the names of all files that the plans of a root take."""
    plans = bridge("plan", "--root", root, "--json", *words).json["datasets"]
    inputs = (entry for plan in plans for step in plan["steps"] for entry in step["inputs"] if "file" in entry)
    return {Path(entry["file"]).stem for entry in inputs}


def test_a_choice_for_another_dataset_changes_no_plan(root: Path, data: Path, bridge: Bridge) -> None:
    cut_the_dark_group(data)
    before = bridge("plan", "--root", root, "--json", "--by", "calselector").json
    add_a_choice_for_another_dataset(root)
    assert bridge("plan", "--root", root, "--json", "--by", "calselector").json == before


def test_what_organise_shows_is_what_run_takes(root: Path, data: Path, bridge: Bridge) -> None:
    cut_the_dark_group(data)
    (dataset,) = bridge("organise", "--root", root, "--json").json["datasets"]
    (report,) = bridge("run", "--root", root, "--json", "--dry-run", *SMALL).json["datasets"]
    assert (dataset["complete"], messages_in(dataset["action"])) == (report["complete"], set(report["messages"]))


def test_why_and_review_speak_of_the_dataset_that_run_takes(root: Path, data: Path, bridge: Bridge) -> None:
    cut_the_dark_group(data)
    taken = taken_by_plan(root, bridge)
    used = {
        each["file"]
        for each in bridge("review", DATASET, "--root", root, "--json").json["alternatives"]
        if each["used"] and each["category"] == "naco_img_dark"
    }
    told = "\n".join(bridge("why", DATASET, "--root", root, "--json").json["lines"])
    assert used <= taken
    assert "Missing NACO_IMG_DARK_AVG" in told


def test_science_that_no_tree_names_is_organised_by_rules(tmp_path: Path, frames_folder: Path, bridge: Bridge) -> None:
    data = put_on_disk(naco_night(npix=128, templates=2), frames_folder, tmp_path / "root")
    first, second = sorted(data.glob("*.xml"))
    second.unlink()
    plans = bridge("plan", "--root", tmp_path / "root", "--json").json["datasets"]
    science = {Path(entry["file"]).stem for plan in plans for entry in plan["steps"][-1]["inputs"] if "file" in entry}
    assert {first.name.partition("_")[0], second.name.partition("_")[0]} <= science


def messages_in(action: dict[str, Any]) -> set[str]:
    """Return what is said of an action and of all below."""
    below = (text for child in action["actions"] for text in messages_in(child))
    return {*action["messages"], *below}


# ----- parameters that name files


@pytest.fixture
def offsets(tmp_path: Path) -> Path:
    """Return a file that naco_img_jitter takes as its parameter off."""
    path = tmp_path / "offsets.txt"
    path.write_text("0 0\n" * 5)
    return path


def science_frames(data: Path) -> list[tuple[Path, str]]:
    return [(path, "IM_JITTER_OBJ") for path in sorted(data.glob("NACO.2016-03-02T00:3*.fits"))]


def test_run_counts_a_file_that_a_parameter_names_by_its_content(
    root: Path, offsets: Path, tmp_path: Path, bridge: Bridge
) -> None:
    def decided(path: Path) -> str:
        ended = bridge("run", "--root", root, "--json", *SMALL, f"--set=naco_img_jitter.off={path}")
        assert ended.code == 0, ended.err
        return ended.decisions["naco_img_jitter"]

    other = tmp_path / "other.txt"
    shutil.copy(offsets, other)
    assert [decided(offsets), decided(other)] == ["execute", "reuse"]
    offsets.write_text("1 1\n" * 5)
    assert decided(offsets) == "execute"


def test_the_actor_runs_again_where_such_a_file_has_another_content(data: Path, offsets: Path, actors: Actors) -> None:
    def ran() -> bool:
        answer = actors.recipe("naco_img_jitter", science_frames(data), in_sop=f"naco_img_jitter:off={offsets}")
        assert answer.status == 0, answer.said
        return answer.ran

    assert [ran(), ran()] == [True, False]
    offsets.write_text("1 1\n" * 5)
    assert ran()


def test_the_actor_reuses_where_such_a_file_was_moved(data: Path, offsets: Path, actors: Actors) -> None:
    def ran(path: Path) -> bool:
        answer = actors.recipe("naco_img_jitter", science_frames(data), in_sop=f"naco_img_jitter:off={path}")
        assert answer.status == 0, answer.said
        return answer.ran

    moved = offsets.with_name("moved.txt")
    assert ran(offsets)
    offsets.rename(moved)
    assert not ran(moved)


def test_esorex_lazy_reuses_where_such_a_file_was_moved(data: Path, offsets: Path, tmp_path: Path, esorex: str) -> None:
    here, runs, counting = tmp_path / "here", tmp_path / "runs", tmp_path / "counting"
    here.mkdir()
    (here / "data.sof").write_text("".join(f"{path} {tag}\n" for path, tag in science_frames(data)))
    counting.write_text(
        f'#!/bin/sh\ncase "$*" in *create-config*) ;; *) echo "$*" >> {runs};; esac\nexec {esorex} "$@"\n'
    )
    counting.chmod(0o755)
    variables = {"ESOREX_LAZY_ESOREX": str(counting), "ESOREX_LAZY_STORE": str(tmp_path / "store")}

    def call(path: Path) -> int:
        ended = run_call(LAZY, here, ("naco_img_jitter", f"--off={path}", "data.sof"), variables)
        assert ended.code == 0, ended.err
        return len(runs.read_text().splitlines())

    moved = offsets.with_name("moved.txt")
    first = call(offsets)
    state_with_name(tmp_path / "store", str(offsets))
    assert call(offsets) == first, "what version 0.2.0 kept is not taken over"
    offsets.rename(moved)
    assert call(moved) == first
    moved.write_text("1 1\n" * 5)
    assert call(moved) == first + 1


def state_with_name(store: Path, named: str) -> None:
    """Put the only run of a store where version 0.2.0 had it: under a key of the name and the content of a file."""
    (path,) = store.glob("steps/*/*/manifest.json")
    manifest = json.loads(path.read_text())
    statement, shelf = manifest["statement"], LazyStore(str(store))
    ((name, text),) = (entry for entry in statement["parameters"] if entry[1].startswith("file "))
    others = [entry for entry in statement["parameters"] if entry[0] != name]
    before = [*others, [name, named], [f"{name} (content)", text.removeprefix("file ")]]
    older, _ = older_keys_of(statement, before)
    shelf.rename(manifest["key"], older, {**manifest, "key": older, "statement": {**statement, "parameters": before}})


# ----- a step of the user's own

PROGRAM = """{python}import sys
from astropy.io import fits

for line in open(sys.argv[-1]):
    path, tag = line.split()
    if tag == "MASTER_IMG_FLAT":
        with fits.open(path) as hdus:
            hdus[0].header["HIERARCH ESO PRO CATG"] = "SMOOTH_FLAT"
            hdus.writeto("smooth_flat.fits")
"""


@pytest.fixture
def own_definition(tmp_path: Path) -> Path:
    """Return the definition with an own step as the guide has it, with its program beside it."""
    (text,) = (text for text in re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL) if "command:" in text)
    program = tmp_path / "smooth_flat.py"
    program.write_text(PROGRAM.format(python=first_lines()))
    program.chmod(0o755)
    path = tmp_path / "naco.yaml"
    path.write_text(text)
    return path


def test_an_own_step_runs_as_the_guide_says(root: Path, own_definition: Path, bridge: Bridge) -> None:
    first = bridge("run", "--root", root, "--json", *SMALL, "--workflow", own_definition)
    assert first.code == 0, first.out
    assert first.decisions == dict.fromkeys((*RECIPES, "smooth_flat"), "execute")
    again = bridge("run", "--root", root, "--json", *SMALL, "--workflow", own_definition)
    assert set(again.decisions.values()) == {"reuse"}


def test_an_own_step_runs_in_a_batch(root: Path, own_definition: Path, bridge: Bridge, tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(JOBS)
    words = ("batch", tmp_path / "jobs.yaml", "--root", root, "--json", *SMALL, "--workflow", own_definition)
    ended = bridge(*words, "--name", "b")
    assert ended.code == 0, ended.out
    assert ended.json["executed"] == 4


# ----- a batch decides as a run does


def batch(root: Path, bridge: Bridge, *words: object) -> Ended:
    jobs = root / "jobs.yaml"
    jobs.write_text(JOBS)
    return bridge("batch", jobs, "--root", root, "--json", *SMALL, *words)


def test_a_batch_refuses_a_misspelt_recipe(root: Path, bridge: Bridge) -> None:
    ended = batch(root, bridge, "--set", "naco_img_drak.nsamples=50")
    assert ended.code == 1
    assert "has no recipe 'naco_img_drak', did you mean 'naco_img_dark'?" in ended.err


@pytest.mark.parametrize(
    "said", ["skip: [NACO.2016-03-02T00:30:00.076_tp]", "overrides: {NACO.2016-03-02T00:30:00.076_tp: {}}"]
)
def test_a_batch_refuses_a_dataset_that_its_job_does_not_have(root: Path, bridge: Bridge, said: str) -> None:
    jobs = root / "jobs.yaml"
    jobs.write_text(f"jobs:\n  - datasets: all\n    {said}\n")
    ended = bridge("batch", jobs, "--root", root, "--json")
    assert ended.code == 1
    assert "did you mean 'NACO.2016-03-02T00:30:00.076_tpl'?" in ended.err
    assert not (root / "reflex_book_keeping" / "batches").exists()


def test_a_batch_that_would_not_reduce_all_says_so_by_its_status(root: Path, bridge: Bridge) -> None:
    jobs = root / "jobs.yaml"
    jobs.write_text("jobs:\n  - datasets: [NACO.2016-03-02T00:30:00.076_tp]\n")
    ended = bridge("batch", jobs, "--root", root, "--dry-run")
    assert ended.code == 1
    assert "not reduced: NACO.2016-03-02T00:30:00.076_tp" in ended.out


@pytest.fixture(scope="module")
def batched_once(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path, bridge: Bridge) -> Path:
    """Return a root in which a batch has made all."""
    root = tmp_path_factory.mktemp("batched") / "root"
    put_on_disk(naco_night(npix=128), frames_folder, root)
    assert batch(root, bridge, "--name", "first").code == 0
    return root


@pytest.fixture
def batched(batched_once: Path, tmp_path: Path) -> Path:
    """Return a copy of that root, to go on with."""
    return shutil.copytree(batched_once, tmp_path / "root", symlinks=True)


def test_a_batch_forces_a_step(batched: Path, bridge: Bridge) -> None:
    ended = batch(batched, bridge, "--name", "second", "--force", "naco_img_dark")
    assert ended.code == 0, ended.err
    assert ended.json["executed"] == 1


def test_a_batch_runs_everything_where_lazy_mode_is_off(batched: Path, bridge: Bridge) -> None:
    ended = batch(batched, bridge, "--name", "second", "--lazy", "off")
    assert ended.code == 0, ended.err
    assert ended.json["executed"] == 3


def test_a_batch_starts_from_a_step(batched: Path, bridge: Bridge) -> None:
    ended = batch(batched, bridge, "--name", "second", "--from-step", "naco_img_twflat")
    assert ended.code == 0, ended.err
    assert ended.json["executed"] == 2


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path, bridge: Bridge) -> Path:
    """Return a root that adopted the history of another one, in which everything was made."""
    folder = tmp_path_factory.mktemp("adopted")
    root, second = folder / "root", folder / "second"
    put_on_disk(naco_night(npix=128), frames_folder, root)
    assert bridge("run", "--root", root, *SMALL).code == 0
    put_on_disk(naco_night(npix=128), frames_folder, second)
    ended = bridge("adopt", "--bookkeeping", root / "reflex_book_keeping", "--root", second)
    assert ended.code == 0, ended.err
    return second


@pytest.fixture
def adopting(adopted: Path, tmp_path: Path) -> Path:
    """Return a copy of that root, to go on with."""
    return shutil.copytree(adopted, tmp_path / "second", symlinks=True)


def test_run_reuses_an_adopted_history(adopting: Path, bridge: Bridge) -> None:
    assert bridge("run", "--root", adopting, "--json", *SMALL).json["executed"] == 0


def test_a_batch_reuses_an_adopted_history(adopting: Path, bridge: Bridge) -> None:
    ended = batch(adopting, bridge)
    assert ended.code == 0, ended.out
    assert ended.json["executed"] == 0


def test_the_preview_of_a_batch_tells_of_an_adopted_history(adopting: Path, bridge: Bridge) -> None:
    told = batch(adopting, bridge, "--dry-run").json
    assert (told["recipes"], told["reused"]) == ({}, 3)


def test_an_adopted_history_with_two_variants_of_a_step_is_reused(
    root: Path, tmp_path: Path, frames_folder: Path, bridge: Bridge
) -> None:
    assert bridge("run", "--root", root, *SMALL).code == 0
    assert bridge("run", "--root", root, *SMALL, "--set=naco_img_dark.nsamples=50").code == 0
    second = tmp_path / "second"
    put_on_disk(naco_night(npix=128), frames_folder, second)
    assert bridge("adopt", "--bookkeeping", root / "reflex_book_keeping", "--root", second).code == 0
    assert bridge("run", "--root", second, "--json", "--dry-run", *SMALL).json["executed"] == 0


# ----- one export for Reflex


def places(datasets: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """Return dataset, path from its action and name of each file of Reflex's datasets."""

    def below(action: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
        yield from ((path, file["name"]) for file in action["rawFiles"])
        for child in action["actions"]:
            yield from below(child, f"{path}/{child['name']}")

    return {(each["datasetName"], path, name) for each in datasets for path, name in below(each, each["name"])}


def listed(actors: Actors, data: Path) -> list[dict[str, Any]]:
    """Return Reflex's datasets as the actor hands them on."""
    handed = actors.ok("organise_datasets", data_dir=str(data))["datasets"]
    found: list[dict[str, Any]] = json.loads(handed) if isinstance(handed, str) else handed
    return found


def checksums(datasets: list[dict[str, Any]]) -> dict[str, Any]:
    def below(action: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield from action["rawFiles"]
        for child in action["actions"]:
            yield from below(child)

    return {file["name"]: file["checksum"] for each in datasets for file in below(each)}


@pytest.fixture
def exports(root: Path, data: Path, bridge: Bridge, actors: Actors) -> tuple[list[Any], list[Any]]:
    """Return Reflex's datasets of one root, by the command and by the actor."""
    return (
        bridge("organise", "--root", root, "--reflex-json").json,
        listed(actors, data),
    )


def test_command_and_actor_give_reflex_the_same_trees(exports: tuple[list[Any], list[Any]]) -> None:
    command, actor = exports
    assert places(command) == places(actor)


def test_command_and_actor_give_reflex_the_same_checksums(exports: tuple[list[Any], list[Any]]) -> None:
    command, actor = map(checksums, exports)
    shared = command.keys() & actor.keys()
    assert len(shared) > 10
    assert {name: command[name] for name in shared} == {name: actor[name] for name in shared}


def test_the_actor_knows_the_statics_of_a_kit(
    tmp_path: Path, frames_folder: Path, bridge: Bridge, actors: Actors
) -> None:
    root, kit = tmp_path / "root", tmp_path / "kit" / "hawki-2.4.11"
    night = hawki_night(npix=128)
    data = put_on_disk(night, frames_folder, root)
    kit.mkdir(parents=True)
    (tables,) = (file for file in night.files if file.category == "PHOTCAL_TAB")
    (data / f"{tables.dp_id}.fits").rename(kit / "photcal_tab.fits")
    (root / "statics.yaml").write_text("folders: [../kit]\nfirst: kit\n")
    plan = bridge("plan", "--root", root, "--json").out
    assert str(kit / "photcal_tab.fits") in plan
    assert str(kit / "photcal_tab.fits") in checksums(listed(actors, data))


# ----- one place of the data, one delivery


def test_commands_find_the_data_where_a_reflex_workflow_fetches_them(root: Path, data: Path, bridge: Bridge) -> None:
    before = bridge("run", "--root", root, "--json", "--dry-run", *SMALL).decisions
    made = bridge("reflex", "workflow", "naco").out
    (folder,) = re.findall(r'name="RAW_DATA_DIR"[^>]* value="\$ROOT_DATA_DIR/([^"]*)"', made)
    data.rename(root / folder)
    ended = bridge("run", "--root", root, "--json", "--dry-run", *SMALL)
    assert ended.code == 0, ended.err
    assert ended.decisions == before


def delivered(root: Path) -> set[tuple[str, str]]:
    """Return the end products that Reflex's bookkeeping has: name of the dataset, name of the file."""
    (path,) = (root / "reflex_book_keeping").glob("*/bookkeeping.db")
    query = "SELECT datasets.name, alias FROM final_products JOIN datasets ON datasets.id = dataset_id"
    with closing(sqlite3.connect(path)) as db:
        return {(dataset, Path(alias).name) for dataset, alias in db.execute(query)}


def test_end_products_of_run_are_in_the_bookkeeping(root: Path, bridge: Bridge) -> None:
    assert bridge("run", "--root", root, *SMALL).code == 0
    assert delivered(root) == {(DATASET, "SYNTH-001_COADDED_IMG.fits")}


def test_end_products_of_actors_are_in_the_bookkeeping(root: Path, data: Path, actors: Actors) -> None:
    answers = cascade(actors, data, RECIPES, in_sop=SOP)
    assert all(answer.status == 0 for each in answers.values() for answer in each)
    assert delivered(root) == {(DATASET, "SYNTH-001_COADDED_IMG.fits")}


def test_end_products_of_run_have_their_provenance(root: Path, bridge: Bridge) -> None:
    assert bridge("run", "--root", root, *SMALL).code == 0
    (end,) = (root / "reflex_end_products").glob("*/*/*.fits")
    told = json.loads(end.with_name("provenance.json").read_text())
    assert end.name in json.dumps(told)


# ----- what is counted


def test_status_counts_as_executed_what_ran(root: Path, bridge: Bridge) -> None:
    frame(root, "FLAT,SKY").unlink()
    ended = bridge("run", "--root", root, "--json", *SMALL)
    outcomes = [step["outcome"] for step in ended.json["datasets"][0]["steps"]]
    assert (outcomes.count("done"), outcomes.count("blocked")) == (1, 2)
    (run,) = bridge("status", "--root", root, "--json").json["runs"]
    assert run["executed"] == ended.json["executed"] == 1


def test_demo_without_esorex_does_not_say_that_recipes_were_started(tmp_path: Path, bridge: Bridge) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gzip").symlink_to(shutil.which("gzip") or "gzip")
    ended = bridge("demo", "--root", tmp_path / "demo", env={"PATH": str(tmp_path / "bin")})
    started = re.search(r"Recipes started: (\d+) the first time, (\d+) the second time", ended.out)
    assert ended.code in (0, 1), ended.err
    assert started is not None and started.groups() == ("0", "0"), ended.out


def test_demo_says_what_it_started(tmp_path: Path, bridge: Bridge, esorex: str) -> None:
    ended = bridge("demo", "--root", tmp_path / "demo")
    assert ended.code == 0, ended.err
    assert "Recipes started: 3 the first time, 0 the second time." in ended.out


def test_demo_says_of_each_time_what_reduce_says() -> None:
    assert {*DemoRunPart.__struct_fields__} == {"command", *ReduceDocument.__struct_fields__} - {"schema"}


# ----- a definition is for its instruments


def test_a_definition_of_another_instrument_is_refused(root: Path, bridge: Bridge) -> None:
    for verb in ("plan", "run"):
        ended = bridge(verb, "--root", root, "--workflow", "hawki")
        assert ended.code == 1
        assert "hawki" in ended.err and "NAOS+CONICA" in ended.err


def test_no_recipe_is_started_on_frames_of_another_instrument(
    tmp_path: Path, frames_folder: Path, bridge: Bridge
) -> None:
    night = make_night("giraf")
    data = put_on_disk(night, frames_folder, tmp_path / "root")
    biases = tuple(file.associated for file in night.files if file.category == "BIAS")
    for tree in data.glob("*.xml"):
        tree.unlink()
    alone = AssociationTree(Association("BIAS", biases), "Raw2Raw")
    (data / f"{biases[0].name}_raw2raw.xml").write_text(tree_document(alone))
    ended = bridge("run", "--root", tmp_path / "root", "--json", "--workflow", "vimos_spectra")
    started = list((tmp_path / "root" / "reflex_book_keeping").glob("vimos_spectra/*/*/cmdline.sh"))
    assert (ended.code, started) == (1, []), ended.out
