"""Statics of a kit: where they fill a gap, where the archive's are kept, and which folders are searched."""

from __future__ import annotations

from pathlib import Path

import pytest

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile
from esorex_bridge.definitions.located import DefinitionError
from esorex_bridge.definitions.workflow_yaml import parse_workflow
from esorex_bridge.errors import UserError
from esorex_bridge.organise.static_folders import StaticFolders, read_shelf, static_folders
from esorex_bridge.plan.cascade import make_plan
from esorex_bridge.plan.plan import FileInput, Keywords
from esorex_bridge.plan.statics import Preference, Static, StaticLibrary, with_statics

TOY = parse_workflow(
    """
workflow: toy
instruments: [TOY]
pipeline: toy
state: from documentation
steps:
  - {recipe: toy_flat, main: [FLAT], calibrations: {LINES: {required: true}}, products: [MASTER_FLAT]}
  - recipe: toy_science
    main: [OBJECT]
    calibrations:
      MASTER_FLAT: {required: true}
      PHOT: {required: true, match: [DET.CHIP]}
    products: [IMAGE]
""",
    "toy.yaml",
)
HEADERS: dict[str, Keywords] = {
    "OBJECT": {"DET.CHIP": "A"},
    "phot_a": {"DET.CHIP": "A"},
    "phot_b": {"DET.CHIP": "B"},
    "M.PHOT": {"DET.CHIP": "A"},
}


def file(name: str, category: str) -> DatasetFile:
    return DatasetFile(name, category, Path(f"/data/{name}.fits"))


def header(path: Path) -> Keywords:
    return HEADERS.get(path.stem, {})


def taken(shelf: StaticLibrary, statics: tuple[DatasetFile, ...] = (), flats: bool = True) -> dict[str, list[str]]:
    """Return, by recipe, the files that the steps of a dataset take."""
    below = (Action("FLAT", (file("FLAT", "FLAT"),)),) if flats else ()
    dataset = Dataset("D", "TOY", Action("OBJECT", (file("OBJECT", "OBJECT"),), statics=statics, actions=below))
    filled = with_statics(dataset, TOY, shelf, header)
    paths = [Path(f"/data/{name}.fits") for name in HEADERS]
    plan = make_plan(filled, TOY, {path: header(path) for path in paths})
    return {step.recipe: [entry.name for entry in step.inputs if isinstance(entry, FileInput)] for step in plan.steps}


def shelf(*statics: tuple[str, str], first: Preference = "archive", instrument: str = "") -> StaticLibrary:
    return StaticLibrary(tuple(Static(file(name, category), instrument) for name, category in statics), first)


KIT = (("phot_a", "PHOT"), ("phot_b", "PHOT"), ("lines", "LINES"), ("old_flat", "MASTER_FLAT"))


def test_a_kit_fills_what_is_missing_at_every_level_with_what_agrees() -> None:
    assert taken(shelf(*KIT)) == {"toy_flat": ["FLAT", "lines"], "toy_science": ["OBJECT", "phot_a"]}


@pytest.mark.parametrize(("first", "expected"), [("archive", "M.PHOT"), ("kit", "phot_a")])
def test_the_user_says_whose_static_comes_first(first: Preference, expected: str) -> None:
    found = taken(shelf(*KIT, first=first), statics=(file("M.PHOT", "PHOT"),))
    assert found["toy_science"] == ["OBJECT", expected]


def test_a_static_of_the_archive_stays_where_that_of_the_kit_does_not_agree() -> None:
    found = taken(shelf(("phot_b", "PHOT"), first="kit"), statics=(file("M.PHOT", "PHOT"),))
    assert found["toy_science"] == ["OBJECT", "M.PHOT"]


def test_what_the_night_makes_is_never_taken_from_a_kit_but_what_it_cannot_make_is() -> None:
    processed = (file("M.FLAT", "MASTER_FLAT"),)
    assert "old_flat" not in taken(shelf(*KIT, first="kit"))["toy_science"]
    assert "old_flat" not in taken(shelf(*KIT, first="kit"), statics=processed, flats=False)["toy_science"]
    assert "old_flat" in taken(shelf(*KIT), flats=False)["toy_science"]


def test_statics_of_other_instruments_are_passed_over() -> None:
    assert taken(shelf(*KIT, instrument="OTHER"))["toy_science"] == ["OBJECT"]
    assert taken(shelf(*KIT, instrument="TOY"))["toy_science"] == ["OBJECT", "phot_a"]


def put(path: Path, **cards: str) -> None:
    """Write a FITS header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{'SIMPLE':8}= {'T':>20}", f"{'BITPIX':8}= {'8':>20}", f"{'NAXIS':8}= {'0':>20}"]
    lines += [f"HIERARCH ESO {key.replace('_', ' ')} = '{value}'" for key, value in cards.items()]
    text = "".join(line.ljust(80) for line in (*lines, "END"))
    path.write_bytes(text.ljust(2880).encode())


def test_files_of_a_kit_are_found_by_their_category_and_the_newest_version_counts(tmp_path: Path) -> None:
    put(tmp_path / "toy-1.9/cal/phot.fits", PRO_CATG="PHOT")
    put(tmp_path / "toy-1.11/cal/phot.fits", PRO_CATG="PHOT")
    put(tmp_path / "toy-1.11/cal/raw.fits", DPR_CATG="CALIB")
    (tmp_path / "toy-1.11/readme.txt").write_text("no FITS")
    (found,) = read_shelf(StaticFolders((tmp_path,))).statics
    assert (found.file.category, found.file.path) == ("PHOT", tmp_path / "toy-1.11/cal/phot.fits")


def test_the_folders_stand_in_a_file_and_that_of_the_data_root_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    general, root, kit = tmp_path / "settings" / "esorex-bridge", tmp_path / "night", tmp_path / "kit"
    for folder in (general, root, kit):
        folder.mkdir(parents=True)
    assert static_folders(root) == StaticFolders()
    (general / "statics.yaml").write_text(f"folders: [{kit}]\n")
    assert static_folders(root) == StaticFolders((kit,), "archive")
    (root / "statics.yaml").write_text("folders: [../kit]\nfirst: kit\n")
    assert static_folders(root) == StaticFolders((kit,), "kit")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("folders: [gone]", "there is no folder .*gone; name one"),
        ("folders: [.]\nfirst: me", "first is 'me'; allowed: archive, kit"),
        ("first: kit", "needs 'folders'"),
        ("places: [.]", "has no 'places'"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_line(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "statics.yaml").write_text(text)
    with pytest.raises(DefinitionError, match=problem):
        static_folders(tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "statics.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is not a text in UTF-8"):
        static_folders(tmp_path)
