"""What is recorded, what it holds, and what may go."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.workspace.locks import locked
from tests.flows.conftest import SMALL, Ended, put_on_disk
from tests.flows.test_run_again import change_a_pixel

pytestmark = pytest.mark.usefixtures("esorex")


def products(root: Path) -> set[Path]:
    return set((root / "reflex_tmp_products").rglob("*.fits"))


def test_status_counts_runs_and_hits_and_finds_damage(root: Path, bridge: Callable[..., Ended]) -> None:
    for _ in range(2):
        bridge("run", "--root", root, *SMALL)
    status = bridge("status", "--root", root, "--json", "--verify").json
    assert [(run["executed"], run["reused"]) for run in status["runs"]] == [(3, 0), (0, 3)]
    assert all(datetime.fromisoformat(run["started"]) <= datetime.now(UTC) for run in status["runs"]), "UTC, with Z"
    assert {entry["recipe"]: entry["steps"] for entry in status["recipes"]} == {
        "naco_img_dark": 1, "naco_img_twflat": 1, "naco_img_jitter": 1,
    }  # fmt: skip
    assert (status["verified"], status["damaged"]) == (3, [])
    raws = sum(path.name.endswith(".fits") for path in (root / "reflex_input").rglob("*"))
    assert 3 < status["verified_files"] <= raws + len(list((root / "reflex_end_products").rglob("*.fits")))
    assert status["disk_bytes"]["reflex_tmp_products"] == sum(path.stat().st_size for path in products(root))
    change_a_pixel(next(iter(products(root))))
    ended = bridge("status", "--root", root, "--json", "--verify")
    assert ended.code == 1
    assert "sha256 differs" in ended.json["damaged"][0]


def test_clean_removes_what_no_dataset_needs_and_only_when_told(root: Path, bridge: Callable[..., Ended]) -> None:
    bridge("run", "--root", root, *SMALL)
    needed = products(root)
    bridge("run", "--root", root, *SMALL, "--set", "naco_img_dark.nsamples=50")
    bridge("run", "--root", root)  # fails on frames of 128 pixels, and leaves its folders
    raws, ends = set((root / "reflex_input").rglob("*")), set((root / "reflex_end_products").rglob("*"))
    told = bridge("clean", "--root", root, *SMALL, "--json")
    assert not told.json["removed"]
    assert len(products(root)) > len(needed)
    reasons = {entry["reason"] for entry in told.json["folders"]}
    assert reasons == {"no dataset needs it", "left by a run that failed or was killed"}
    done = bridge("clean", "--root", root, *SMALL, "--json", "--yes")
    assert [entry["path"] for entry in done.json["folders"]] == [entry["path"] for entry in told.json["folders"]]
    assert products(root) == needed
    assert set((root / "reflex_input").rglob("*")) == raws
    assert set((root / "reflex_end_products").rglob("*")) == ends
    assert bridge("run", "--root", root, *SMALL, "--json").json["executed"] == 0
    assert bridge("clean", "--root", root, *SMALL, "--json").json["folders"] == []


def test_clean_leaves_a_run_that_goes_on_alone(root: Path, bridge: Callable[..., Ended]) -> None:
    bridge("run", "--root", root, *SMALL)
    going = root / "reflex_book_keeping" / "naco" / "naco_img_dark_1" / "2026-01-01T00:00:00.000"
    with locked(going / ".running"):
        assert bridge("clean", "--root", root, *SMALL, "--json").json["folders"] == []
    assert len(bridge("clean", "--root", root, *SMALL, "--json").json["folders"]) == 1


def test_clean_keeps_end_products_and_gives_the_rest_back(root: Path, bridge: Callable[..., Ended]) -> None:
    bridge("run", "--root", root, *SMALL)
    end = next((root / "reflex_end_products").rglob("*.fits"))
    content, size = end.read_bytes(), sum(path.stat().st_size for path in products(root))
    told = bridge("clean", "--root", root, *SMALL, "--keep", "end-products", "--json").json
    assert (told["removed"], len(told["folders"])) == (False, 3)
    assert {entry["reason"] for entry in told["folders"]} == {"the end products made of it are there"}
    done = bridge("clean", "--root", root, *SMALL, "--keep", "end-products", "--yes", "--json").json
    assert done["size_bytes"] >= size
    assert products(root) == set()
    assert end.read_bytes() == content
    assert bridge("status", "--root", root, "--verify").code == 0
    again = bridge("run", "--root", root, *SMALL, "--json")
    assert again.json["executed"] == 0
    assert again.decisions == {
        "naco_img_dark": "not_needed",
        "naco_img_twflat": "not_needed",
        "naco_img_jitter": "reuse",
    }
    assert bridge("clean", "--root", root, *SMALL, "--keep", "end-products", "--json").json["folders"] == []
    assert bridge("clean", "--root", root, *SMALL, "--json").json["folders"] == []
    made_from = bridge("provenance", end, "--root", root, "--json").out
    assert all(path.stem in made_from for path in (root / "reflex_input").rglob("NACO*T00:3*.fits"))
    assert bridge("report", "--root", root).code == 0
    assert bridge("run", "--root", root, *SMALL, "--force", "naco_img_jitter", "--json").json["executed"] == 3
    assert bridge("status", "--root", root, "--verify").code == 0


def test_clean_keeps_what_a_dataset_needs_that_has_no_end_products(root: Path, bridge: Callable[..., Ended]) -> None:
    bridge("run", "--root", root, *SMALL)
    there = products(root)
    shutil.rmtree(root / "reflex_end_products")
    told = bridge("clean", "--root", root, *SMALL, "--keep", "end-products", "--yes", "--json").json
    assert told["folders"] == []
    assert products(root) == there


def test_clean_refuses_where_it_cannot_tell_what_is_needed(
    root: Path, bridge: Callable[..., Ended], tmp_path: Path
) -> None:
    bridge("run", "--root", root, *SMALL)
    refused = bridge("clean", "--root", root, "--yes", env={"PATH": str(tmp_path)})
    assert refused.code == 1
    assert "cannot be told without EsoRex" in refused.err


def test_the_script_of_a_run_repeats_it(root: Path, bridge: Callable[..., Ended]) -> None:
    import subprocess

    ended = bridge("run", "--root", root, "--json", *SMALL)
    folder = Path(ended.step("naco_img_jitter")["sof"]).parent
    subprocess.run(["sh", str(folder / "cmdline.sh")], check=True, capture_output=True)
    assert (folder / "naco_img_jitter.fits").is_file()


# ----- what verification finds


def verified(root: Path, bridge: Callable[..., Ended]) -> tuple[int, dict[str, dict[str, int]], list[str]]:
    ended = bridge("status", "--root", root, "--json", "--verify")
    return ended.code, ended.json["files"], ended.json["damaged"]


def raw(root: Path) -> Path:
    return next(iter(sorted((root / "reflex_input").rglob("*.fits"))))


def test_verification_counts_what_is_absent_and_changed_also_in_copied_and_moved_roots(
    root: Path, bridge: Callable[..., Ended]
) -> None:
    bridge("run", "--root", root, *SMALL)
    code, counts, problems = verified(root, bridge)
    assert (code, problems) == (0, [])
    assert counts["end product"] == {"whole": 1, "unknown": 0, "changed": 0, "absent": 0}
    copied, moved = root.with_name("copied"), root.with_name("moved")
    shutil.copytree(root, copied, symlinks=True)
    raw(copied).write_bytes(raw(copied).read_bytes()[:-2880])
    code, counts, problems = verified(copied, bridge)
    assert (code, counts["input"]["changed"]) == (1, 1)
    assert str(raw(copied)) in problems[0]
    root.rename(moved)
    code, again, problems = verified(moved, bridge)
    assert (code, problems) == (0, [])
    assert again["input"]["whole"] >= 10
    raw(moved).unlink()
    next((moved / "reflex_end_products").rglob("*.fits")).unlink()
    code, counts, problems = verified(moved, bridge)
    assert code == 1
    assert (counts["input"]["absent"], counts["end product"]["absent"]) == (1, 1)


def test_a_lost_database_is_made_again_from_the_folders_of_runs(root: Path, bridge: Callable[..., Ended]) -> None:
    bridge("run", "--root", root, *SMALL)
    (end,) = bridge("run", "--root", root, *SMALL, "--json").json["datasets"][0]["end_products"]
    database = root / "reflex_book_keeping" / "esorex_bridge.db"
    data = bytearray(database.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    database.write_bytes(data)
    refused = bridge("run", "--root", root, *SMALL)
    assert refused.code == 1
    assert "status --rebuild" in refused.err
    rebuilt = bridge("status", "--root", root, "--rebuild")
    assert rebuilt.code == 0, rebuilt.err
    assert "recorded again: steps 3, end products 1" in rebuilt.err
    ended = bridge("run", "--root", root, *SMALL, "--json")
    assert ended.json["executed"] == 0
    assert [each["path"] for each in ended.json["datasets"][0]["end_products"]] == [end["path"]]


def test_a_database_is_made_again_where_steps_were_made_twice(root: Path, bridge: Callable[..., Ended]) -> None:
    bridge("run", "--root", root, *SMALL)
    bridge("run", "--root", root, *SMALL, "--force", "naco_img_jitter")
    (root / "reflex_book_keeping" / "esorex_bridge.db").write_bytes(b"")
    rebuilt = bridge("status", "--root", root, "--rebuild")
    assert "recorded again: steps 3, end products 1" in rebuilt.err
    ended = bridge("run", "--root", root, *SMALL, "--json")
    assert ended.json["executed"] == 0
    reasons = {each["reason"] for each in bridge("clean", "--root", root, *SMALL, "--json").json["folders"]}
    assert reasons == {"made again since"}


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_status_of_what_is_no_root_is_refused_and_makes_nothing(
    kind: str, tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    place = tmp_path / "typo"
    if kind == "file":
        place.write_text("x")
    for verb in ("status", "clean"):
        ended = bridge(verb, "--root", place)
        assert ended.code == 1
        assert str(place) in ended.err and "bug" not in ended.err
    assert place.exists() is (kind == "file")


# ----- what cleaning leaves alone


def test_clean_leaves_what_was_made_for_a_dataset_whose_raws_are_missing(
    root: Path, bridge: Callable[..., Ended]
) -> None:
    bridge("run", "--root", root, *SMALL)
    path = raw(root)
    path.rename(root / "away")
    assert bridge("clean", "--root", root, *SMALL, "--json", "--yes").json["folders"] == []
    (root / "away").rename(path)
    assert bridge("run", "--root", root, *SMALL, "--json").json["executed"] == 0


def test_clean_leaves_what_was_made_of_frames_of_which_the_whole_folder_is_away(
    root: Path, tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]
) -> None:
    bridge("run", "--root", root, *SMALL, "--set", "naco_img_dark.nsamples=50")
    bridge("run", "--root", root, *SMALL)
    night = root / "reflex_input" / "data_with_raw_calibs"
    beside = put_on_disk(naco_night(npix=128, evening=datetime(2016, 5, 1, 16, 0)), frames_folder, tmp_path)
    beside.rename(root / "reflex_input" / "another night")
    away = night.rename(tmp_path / "away")
    assert bridge("clean", "--root", root, *SMALL, "--json", "--yes").json["folders"] == []
    away.rename(night)
    gone = bridge("clean", "--root", root, *SMALL, "--json", "--yes").json["folders"]
    assert {each["reason"] for each in gone} == {"no dataset needs it"}
    assert bridge("run", "--root", root, *SMALL, "--json").json["reused"] == 3


def test_clean_never_leaves_the_root_whatever_a_record_says(
    root: Path, tmp_path: Path, bridge: Callable[..., Ended]
) -> None:
    bridge("run", "--root", root, *SMALL, "--set", "naco_img_dark.nsamples=50")
    outside = tmp_path / "outside" / "a" / "b"
    outside.mkdir(parents=True)
    (outside / "precious.fits").write_text("x")
    with closing(sqlite3.connect(root / "reflex_book_keeping" / "esorex_bridge.db")) as db:
        db.execute("UPDATE products SET path = '../outside/a/b/precious.fits'")
        db.execute("UPDATE steps SET sof = 'reflex_tmp_products/../../outside/a/data.sof'")
        db.commit()
    bridge("run", "--root", root, *SMALL)
    told = bridge("clean", "--root", root, *SMALL, "--json", "--yes").json
    assert all(Path(entry["path"]).resolve().is_relative_to(root) for entry in told["folders"])
    assert (outside / "precious.fits").exists()


def test_clean_waits_for_no_run_but_says_that_one_goes_on(root: Path, bridge: Callable[..., Ended]) -> None:
    bridge("run", "--root", root, *SMALL)
    with locked(root / "reflex_book_keeping" / "locks" / "going_on"):
        refused = bridge("clean", "--root", root, *SMALL, "--yes")
    assert refused.code == 1
    assert "a run is going on" in refused.err


def test_a_run_that_was_made_again_is_not_called_failed(root: Path, bridge: Callable[..., Ended]) -> None:
    bridge("run", "--root", root, *SMALL)
    bridge("run", "--root", root, *SMALL, "--force", "naco_img_dark")
    reasons = {each["reason"] for each in bridge("clean", "--root", root, *SMALL, "--json").json["folders"]}
    assert reasons == {"made again since"}
