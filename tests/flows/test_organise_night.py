from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from esorex_bridge.cli import main
from esorex_bridge.demo.archive.tree_xml import tree_document
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.fits.card import Value
from tests.commands import PATIENCE_S
from tests.tiny_fits import write_night

FIRST, SECOND = "NACO.2016-03-02T00:30:00.076_tpl", "NACO.2016-03-02T00:36:00.076_tpl"
Command = Callable[..., "Ended"]


class Ended:
    """What a command printed and returned."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        """The document on stdout."""
        return json.loads(self.out)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that runs a command line."""

    def run(*words: object) -> Ended:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="module")
def naco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data root with a NACO night of two templates, and its association trees."""
    root = tmp_path_factory.mktemp("naco")
    folder = root / "reflex_input" / "data_with_raw_calibs"
    night = naco_night(npix=64, templates=2)
    folder.mkdir(parents=True)
    for file in night.files:
        (folder / f"{file.dp_id}.fits").write_bytes(file.build())
    for tree in night.trees:
        (folder / f"{tree.root.files[0].name}.xml").write_text(tree_document(tree))
    return root


@pytest.fixture
def own(naco: Path, tmp_path: Path) -> Path:
    """Return a copy of the night that a test may change."""
    return Path(shutil.copytree(naco, tmp_path / "root"))


def installed(pipeline: str) -> bool:
    return any(Path("/usr/share/cpl-plugins").glob(f"{pipeline}-*/gasgano/config/*.oca"))


needs_naco = pytest.mark.skipif(not installed("naco"), reason="the NACO pipeline is not installed")


def files_by_category(action: dict[str, Any]) -> dict[str, set[str]]:
    """Return the files of a cascade by the category of those that are processed."""
    found: dict[str, set[str]] = {}
    for file in action["files"]:
        found.setdefault(file["category"], set()).add(file["name"])
    for child in action["actions"]:
        if not child["auxiliary"]:
            for category, names in files_by_category(child).items():
                found.setdefault(category, set()).update(names)
    return found


@needs_naco
def test_tree_and_rules_give_the_same_cascade_but_for_what_the_rules_do_not_need(command: Command, naco: Path) -> None:
    by_tree, by_rules = (
        {d["name"]: d for d in command("organise", "--root", naco, "--by", by, "--json").json["datasets"]}
        for by in ("calselector", "oca")
    )
    assert set(by_tree) == set(by_rules) == {FIRST, SECOND}
    for name in by_tree:
        tree, rules = (files_by_category(found[name]["action"]) for found in (by_tree, by_rules))
        assert rules["IM_JITTER_OBJ"] == tree["IM_JITTER_OBJ"]
        assert rules["CAL_FLAT_TW"] == tree["CAL_FLAT_TW"]
        # The tree offers darks of both DITs beside the science. The rules take the group whose DIT agrees, and of the
        # flats' DIT one raw dark, which naco_img_twflat takes as it is.
        assert rules["CAL_DARK"] < tree["CAL_DARK"]
        (flat,) = (child for child in by_rules[name]["action"]["actions"] if child["name"] == "naco_img_twflat")
        (raw_dark,) = flat["statics"]
        assert raw_dark["category"] == "CAL_DARK"
        assert raw_dark["name"] in tree["CAL_DARK"] - rules["CAL_DARK"]


@needs_naco
def test_the_rules_find_the_frames_that_belong_to_the_science(command: Command, naco: Path) -> None:
    night = naco_night(npix=64, templates=2)
    dit = {file.dp_id: file.keyword("ESO DET DIT") for file in night.files}
    (first, _) = command("organise", "--root", naco, "--by", "oca", "--json").json["datasets"]
    found = files_by_category(first["action"])
    assert first["complete"]
    assert {dit[name] for name in found["CAL_DARK"]} == {dit[name] for name in found["IM_JITTER_OBJ"]} == {10.0}
    assert found["CAL_FLAT_TW"] == {file.dp_id for file in night.files if file.category == "CAL_FLAT_TW"}


@needs_naco
def test_the_pipelines_own_rules_alone_name_no_products_so_nothing_joins(command: Command, naco: Path) -> None:
    found = command("organise", "--root", naco, "--by", "oca", "--workflow", "none", "--json").json["datasets"]
    assert [dataset["action"]["actions"] for dataset in found] == [[], []]


def test_trees_alone_need_no_rules(command: Command, naco: Path) -> None:
    done = command("organise", "--root", naco, "--by", "calselector")
    assert done.code == 0
    assert FIRST in done.out and "SYNTH-FIELD-1" in done.out


def test_a_folder_without_files_can_not_be_reduced(command: Command, tmp_path: Path) -> None:
    done = command("organise", "--root", tmp_path, tmp_path)
    assert done.code == 1
    assert "next: esorex-bridge fetch" in done.out


@needs_naco
def test_junk_beside_the_data_is_reported_and_changes_nothing(command: Command, own: Path) -> None:
    folder = own / "reflex_input" / "data_with_raw_calibs"
    before = command("organise", "--root", own, "--json").json
    (folder / "empty.fits").write_bytes(b"")
    (folder / "page.fits.Z").write_bytes(b"<html>")
    (folder / "broken.xml").write_text("<association")
    (folder / "copies").mkdir()
    flat = next(folder.glob("NACO.2016-03-01T22*.fits"))
    shutil.copy(flat, folder / "copies" / flat.name)
    after = command("organise", "--root", own, "--json").json
    assert after["datasets"] == before["datasets"]
    assert {Path(fault["file"]).name for fault in after["faults"]} == {"empty.fits", "page.fits.Z"}
    assert any("broken.xml" in warning for warning in after["warnings"])
    assert any("the same content lies at" in warning for warning in after["warnings"])


def test_files_that_a_tree_names_and_that_are_not_here_are_listed(command: Command, own: Path) -> None:
    gone = next((own / "reflex_input").rglob("NACO.2016-03-02T00:30:00.076.fits"))
    gone.unlink()
    found = command("organise", "--root", own, "--by", "calselector", "--json").json
    assert list(found["not_on_this_machine"]) == ["NACO.2016-03-02T00:30:00.076"]
    said = " ".join(command("organise", "--root", own, "--by", "calselector").out.split())
    assert "not on this machine" in said
    assert "NACO.2016-03-02T00:30:00.076" in said


def test_datasets_are_selected_by_name_and_by_keyword(command: Command, naco: Path) -> None:
    by_name = command("organise", "--root", naco, "--by", "calselector", "--name", "*00:36*", "--json").json
    by_target = command(
        "organise",
        "--root",
        naco,
        "--by",
        "calselector",
        "--json",
        "--where",
        'OBS.TARG.NAME like "%-2" and INS.MODE == "IMAGING"',
    ).json
    assert [d["name"] for d in by_name["datasets"]] == [d["name"] for d in by_target["datasets"]] == [SECOND]


def test_datasets_are_selected_by_what_happened_to_them(command: Command, own: Path) -> None:
    def names(method: str) -> list[str]:
        found = command("organise", "--root", own, "--by", "calselector", "--select", method, "--json").json
        return [dataset["name"] for dataset in found["datasets"]]

    assert [names(method) for method in ("all", "new", "reduced", "failed")] == [[FIRST, SECOND]] * 2 + [[], []]
    write_night(own / "reflex_end_products" / "2026-01-01T00:00:00" / FIRST, {"image": {}})
    run = own / "reflex_book_keeping" / "naco" / "naco_img_jitter_1" / "2026-01-01T00:00:00.000"
    run.mkdir(parents=True)
    (run / "exitcode.txt").write_text("1")
    science = next((own / "reflex_input").rglob("NACO.2016-03-02T00:36:00.076.fits"))
    (run / "data.sof").write_text(f"{science} IM_JITTER_OBJ\n")
    assert [names(method) for method in ("new", "reduced", "failed")] == [[], [FIRST], [SECOND]]


def test_a_wrong_condition_is_refused_with_its_place(command: Command, naco: Path) -> None:
    done = command("organise", "--root", naco, "--where", 'OBS.TARG.NAME lke "x"')
    assert done.code == 1
    assert "--where:1:15: found 'lke'" in done.err


def test_reflex_gets_one_group_of_a_kind_and_existing_files(command: Command, naco: Path) -> None:
    first, _ = command("organise", "--root", naco, "--by", "calselector", "--reflex-json").json
    assert (first["class"], first["datasetName"], first["complete"]) == ("org.eso.domain.Dataset", FIRST, True)
    darks = [action for action in first["actions"] if action["name"] == "DARK"]
    assert len(darks) == 1 and len(darks[0]["rawFiles"]) == 3
    assert all(Path(raw["name"]).is_file() and len(raw["checksum"]) == 32 for raw in darks[0]["rawFiles"])


@needs_naco
def test_why_tells_of_datasets_files_and_categories(command: Command, naco: Path) -> None:
    dataset = command("why", FIRST, "--root", naco, "--by", "oca").out
    assert "is complete: naco_img_jitter on 5 files" in dataset
    unused = command("why", "NACO.2016-03-01T16:10:00.076.fits", "--root", naco, "--by", "oca").out
    assert "is used by no dataset" in unused and "DET.DIT 2 ≠ 10" in unused
    assert "8 files on disk" in command("why", "CAL_DARK", "--root", naco, "--by", "oca").out
    nothing = command("why", "NONSENSE", "--root", naco, "--by", "oca")
    assert nothing.code == 1 and FIRST in nothing.err


@needs_naco
def test_why_an_incomplete_dataset_comes_with_a_query_that_would_complete_it(command: Command, own: Path) -> None:
    for path in (own / "reflex_input").rglob("NACO.2016-03-01T22*.fits"):
        path.unlink()
    text = command("why", FIRST, "--root", own, "--by", "oca").out
    assert "MASTER_IMG_FLAT for NACO.2016-03-02T00:30:00.076: none, needed 1" in text
    assert "instrument = 'NAOS+CONICA'" in text and "dp_type LIKE '%FLAT%'" in text


def test_a_choice_is_kept_applied_shown_and_taken_back(command: Command, own: Path) -> None:
    options = ("--root", own, "--by", "calselector")
    before = command("organise", *options, "--json").json
    assert command("review", FIRST, *options, "--drop", "NACO.2016-03-01T16:00:00.076").code == 0
    kept = yaml.safe_load((own / "choices.yaml").read_text())
    assert kept["datasets"] == {FIRST: {"drop": ["NACO.2016-03-01T16:00:00.076"]}}
    changed, other = command("organise", *options, "--json").json["datasets"]
    assert "NACO.2016-03-01T16:00:00.076" not in files_by_category(changed["action"])["CAL_DARK"]
    assert changed["action"]["messages"] == ["Chosen by you: without NACO.2016-03-01T16:00:00.076"]
    assert other == before["datasets"][1]
    assert command("review", FIRST, *options, "--reset").code == 0
    assert command("organise", *options, "--json").json == before
    assert not (own / "choices.yaml").exists()


def test_an_alternative_group_can_be_chosen_and_is_marked(command: Command, own: Path) -> None:
    options = ("--root", own, "--by", "calselector", "--json")
    rows = command("review", FIRST, *options, "--use", "NACO.2016-03-01T16:10:00.076", "--for", "DARK").json
    used = {row["file"]: row["used"] for row in rows["alternatives"] if row["category"] == "DARK"}
    assert used == {"NACO.2016-03-01T16:00:00.076": False, "NACO.2016-03-01T16:10:00.076": True}
    assert rows["choices"] == {"use": {"DARK/IMGJITOBJ_SW": "NACO.2016-03-01T16:10:00.076"}}


def test_a_choice_says_what_it_changes_and_one_of_no_use_is_refused(command: Command, own: Path) -> None:
    options = ("--root", own, "--by", "calselector")
    wrong = ("review", FIRST, *options, "--set", "naco_img_drak.nsamples=50")
    refused = command(*wrong)
    assert refused.code == 1 and "has no recipe 'naco_img_drak'" in refused.err
    told = command("review", FIRST, *options, "--drop", "NACO.2016-03-01T22:40:00.076")
    assert told.code == 0 and "in place of" in told.err
    assert command("review", FIRST, *options, "--undrop", "NACO.2016-03-01T22:40:00.076").code == 0
    assert not (own / "choices.yaml").exists()


def test_an_own_master_takes_the_place_of_the_flats_own_and_leaves_their_bad_pixels(
    command: Command, own: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "my_flat.fits"
    write_night(tmp_path, {"my_flat": {"PRO.CATG": "MASTER_IMG_FLAT"}})
    options = ("--root", own, "--by", "calselector")
    assert command("review", FIRST, *options, "--replace", f"MASTER_IMG_FLAT={mine}").code == 0
    changed = command("organise", *options, "--json").json["datasets"][0]["action"]
    assert "CAL_FLAT_TW" in files_by_category(changed)
    assert changed["replaced"] == ["MASTER_IMG_FLAT"]
    assert {"name": "my_flat", "category": "MASTER_IMG_FLAT", "path": str(mine), "match": None, "certified": True} in (
        changed["statics"]
    )
    mine.unlink()
    refused = command("organise", *options)
    assert refused.code == 1 and "--reset" in refused.err
    assert command("review", FIRST, *options, "--reset").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--use", "x"),
        ("--use", "nowhere", "--for", "DARK"),
        ("--drop", "nowhere"),
        ("--replace", "MASTER"),
        ("--replace", "MASTER_IMG_FLAT=/nowhere.fits"),
        ("--pick",),
    ],
)
def test_a_choice_that_cannot_be_is_refused_and_not_kept(words: tuple[str, ...], command: Command, own: Path) -> None:
    assert command("review", FIRST, "--root", own, "--by", "calselector", *words).code == 1
    assert not (own / "choices.yaml").exists()


# Nights of other pipelines: header-only frames whose truth is known.


def frame(
    instrument: str, catg: str, kind: str, tech: str, mjd: float, template: str, **more: Value
) -> dict[str, Value]:
    settings = {key.replace("_", "."): value for key, value in more.items()}
    return {
        "INSTRUME": instrument,
        "DPR.CATG": catg,
        "DPR.TYPE": kind,
        "DPR.TECH": tech,
        "MJD-OBS": mjd,
        "TPL.START": template,
        **settings,
    }


def hawki_frames() -> dict[str, dict[str, Value]]:
    more: dict[str, Value] = {"DET_DIT": 10.0, "DET_NDIT": 1, "INS_FILT1_NAME": "Ks", "INS_FILT2_NAME": "OPEN"}
    dark = {f"dark{n}": frame("HAWKI", "CALIB", "DARK", "IMAGE", 58000 + n * 1e-3, "d", **more) for n in range(3)}
    other = {
        f"odd{n}": frame("HAWKI", "CALIB", "DARK", "IMAGE", 58000.1 + n * 1e-3, "o", **{**more, "DET_DIT": 2.0})
        for n in range(3)
    }
    flat = {f"flat{n}": frame("HAWKI", "CALIB", "FLAT", "IMAGE", 58000.2 + n * 1e-3, "f", **more) for n in range(3)}
    sci = {f"sci{n}": frame("HAWKI", "SCIENCE", "OBJECT", "IMAGE", 58000.3 + n * 1e-3, "s", **more) for n in range(3)}
    statics: dict[str, dict[str, Value]] = {
        name: {"INSTRUME": "HAWKI", "PRO.CATG": name}
        for name in ("MASTER_READGAIN", "PHOTCAL_TAB", "SCHLEGEL_MAP_NORTH", "SCHLEGEL_MAP_SOUTH")
    }
    named: dict[str, dict[str, Value]] = {}
    for name, header in {**dark, **other, **flat, **sci}.items():
        named[name] = {**header, "DET.NCORRS.NAME": "Double", "OBS.START": "o1"}
    return {**named, **statics}


@pytest.mark.skipif(not installed("hawki"), reason="the HAWK-I pipeline is not installed")
def test_a_hawki_night_is_complete_by_rules_with_flats_made_from_darks(command: Command, tmp_path: Path) -> None:
    write_night(tmp_path / "night", hawki_frames())
    (found,) = command("organise", tmp_path / "night", "--root", tmp_path, "--by", "oca", "--json").json["datasets"]
    assert (found["name"], found["complete"], found["action"]["messages"]) == ("sci0_tpl", True, [])
    files = files_by_category(found["action"])
    assert files == {
        "OBJECT": {"sci0", "sci1", "sci2"},
        "DARK": {"dark0", "dark1", "dark2"},
        "FLAT_TWILIGHT": {"flat0", "flat1", "flat2"},
    }
    # MASTER_READGAIN comes from the flats of the night, which are nearer in time than the one on disk.
    assert {static["category"] for static in found["action"]["statics"]} == {
        "PHOTCAL_TAB",
        "SCHLEGEL_MAP_NORTH",
        "SCHLEGEL_MAP_SOUTH",
    }
    (flats,) = (child for child in found["action"]["actions"] if child["name"] == "SKY_FLATS")
    assert [child["name"] for child in flats["actions"]] == ["DARKS"]


@pytest.mark.skipif(not (installed("hawki") and installed("naco")), reason="HAWK-I or NACO pipeline not installed")
def test_two_instruments_in_one_folder_are_organised_each_by_its_own_rules(
    command: Command, naco: Path, tmp_path: Path
) -> None:
    write_night(tmp_path / "mixed", hawki_frames())
    places = (tmp_path / "mixed", naco / "reflex_input")
    found = command("organise", *places, "--root", tmp_path, "--by", "oca", "--json").json
    assert sorted(d["name"] for d in found["datasets"]) == [FIRST, SECOND, "sci0_tpl"]
    darks = {d["instrument"]: files_by_category(d["action"]).keys() for d in found["datasets"]}
    assert "CAL_DARK" not in darks["HAWKI"] and "DARK" not in darks["NAOS+CONICA"]


@pytest.mark.parametrize(
    ("pipeline", "instrument", "science", "more", "action", "category"),
    [
        ("visir", "VISIR", ("OBJECT", "IMAGE,CHOPNOD,JITTER"), {}, "visir_img_reduce", "IM_OBS_CHO_NOD_JIT"),
        ("amber", "AMBER", ("OBJECT", "INTERFEROMETRY"), {}, "AMBER_SCICAL", "AMBER_SCIENCE"),
        ("muse", "MUSE", ("OBJECT", "IFU"), {}, "muse_scibasic", "OBJECT"),
        ("giraf", "GIRAFFE", ("OBJECT,SIMLAMP", "MOS"), {}, "giscience", "SCIENCE"),
        (
            "uves",
            "UVES",
            ("OBJECT,POINT", "ECHELLE"),
            {"DET.CHIPS": 1, "INS.SLIT1.NAME": "FREE"},
            "UVES_OBS_POINT_B",
            "SCI_POINT_BLUE",
        ),
        ("vimos", "VIMOS", ("OBJECT", "IMAGE"), {}, "vmImObsJitter", "IMG_SCIENCE"),
    ],
)
def test_science_of_every_installed_pipeline_becomes_a_dataset_that_tells_what_it_needs(
    pipeline: str,
    instrument: str,
    science: tuple[str, str],
    more: dict[str, Value],
    action: str,
    category: str,
    command: Command,
    tmp_path: Path,
) -> None:
    if not installed(pipeline):
        pytest.skip(f"the {pipeline} pipeline is not installed")
    kind, tech = science
    files = {f"sci{n}": {**frame(instrument, "SCIENCE", kind, tech, 57000.0 + n, "t"), **more} for n in range(2)}
    write_night(tmp_path / "night", files)
    done = command("organise", tmp_path / "night", "--root", tmp_path, "--by", "oca", "--json").json
    assert done["datasets"], done["warnings"]
    found = done["datasets"][0]["action"]
    assert (found["name"], found["files"][0]["category"]) == (action, category)
    assert found["complete"] is not any(message.startswith("Missing") for message in found["messages"])


@needs_naco
def test_what_is_missing_is_asked_of_the_archive_and_listed_for_fetching(command: Command, own: Path) -> None:
    from esorex_bridge.demo.archive.embedded import EmbeddedArchive

    flats = sorted((own / "reflex_input").rglob("NACO.2016-03-01T22*.fits"))
    for path in flats:
        path.unlink()
    options = ("--root", own, "--by", "oca", "--name", "*00:30*", "--json")
    with EmbeddedArchive([naco_night(npix=64, templates=2)], own / "frames") as archive:
        found = command("organise", *options, "--ask-archive", 1, "--archive", archive.url).json
        none = command("organise", *options, "--ask-archive", 0.001, "--archive", archive.url).json
    assert set(found["not_on_this_machine"]) == {path.name.removesuffix(".fits") for path in flats}
    (dataset,) = found["datasets"]
    assert not dataset["complete"]
    assert any("to be fetched" in message for message in dataset["action"]["messages"])
    assert none["not_on_this_machine"] == {}


def test_an_alternative_is_picked_by_number_on_a_terminal(own: Path) -> None:
    ours, theirs = pty.openpty()
    start = "import sys; from esorex_bridge.cli import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", start, "review", FIRST, "--root", str(own), "--by", "calselector", "--pick"]
    with subprocess.Popen(words, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, text=True) as process:
        os.close(theirs)
        told = b""
        while b"number to use" not in told:
            told += os.read(ours, 4096)
        number = next(line.split()[0] for line in told.decode().splitlines() if "16:10:00.076" in line)
        os.write(ours, f"{number}\n".encode())
        out, _ = process.communicate(timeout=PATIENCE_S)
    os.close(ours)
    assert process.returncode == 0
    assert "Chosen by you: NACO.2016-03-01T16:10:00.076 for DARK" in out


@pytest.mark.parametrize("verb", ["organise", "plan"])
def test_a_workflow_is_named_in_any_of_the_instruments_spellings(
    verb: str, naco: Path, bridge: Callable[..., Ended]
) -> None:
    told = [bridge(verb, "--root", naco, "--workflow", name, "--json") for name in ("naco", "NACO")]
    assert [each.code for each in told] == [0, 0], told[1].err
    assert told[0].json == told[1].json
