from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from esorex_bridge.disk.stamp import stamp_of
from esorex_bridge.fits.cache import HeaderCache
from esorex_bridge.fits.copies import find_copies
from esorex_bridge.fits.scan import scan
from tests.tiny_fits import fits_of, write_night

KEYS = ("DET.DIT", "INSTRUME", "PRO.CATG")


@pytest.fixture
def night(tmp_path: Path) -> Path:
    folder = tmp_path / "night"
    write_night(folder, {f"NACO.{number}": {"INSTRUME": "NACO", "DET.DIT": float(number)} for number in range(5)})
    return folder


def cache(folder: Path, keys: tuple[str, ...] = KEYS) -> HeaderCache:
    return HeaderCache(folder / "headers.jsonl", keys)


def test_junk_and_damage_are_reported_and_never_stop_the_rest(night: Path) -> None:
    (night / "empty.fits").write_bytes(b"")
    (night / "junk.fits").write_bytes(b"junk" * 100)
    (night / "page.fits").write_bytes(b"<html>")
    (night / "cut.fits").write_bytes(fits_of({})[:160])
    (night / "NACO.0.fits:Zone.Identifier").write_bytes(b"[ZoneTransfer]")
    (night / "notes.txt").write_text("x")
    (night / "gone.fits").symlink_to(night / "nowhere")
    (night / ".hidden.fits").write_bytes(b"")
    found = scan([night], KEYS)
    assert len(found.headers) == 5
    assert {fault.path.name for fault in found.faults} == {
        "empty.fits",
        "junk.fits",
        "page.fits",
        "cut.fits",
        "gone.fits",
    }
    assert {path.name for path in found.others} == {"NACO.0.fits:Zone.Identifier", "notes.txt"}


def test_folders_are_searched_once_also_where_links_go_round(night: Path) -> None:
    (night / "deeper").mkdir()
    (night / "deeper" / "round").symlink_to(night)
    assert len(scan([night, night], KEYS).headers) == 5


def test_folders_of_results_are_no_input_unless_named(night: Path) -> None:
    write_night(night / "reflex_tmp_products", {"product": {"INSTRUME": "NACO"}})
    assert len(scan([night], KEYS).headers) == 5
    assert len(scan([night / "reflex_tmp_products"], KEYS).headers) == 1


def test_a_fits_file_without_ending_is_found_by_its_beginning(night: Path) -> None:
    (night / "NACO.2016-03-02T00:30:00.076").write_bytes(fits_of({"DET.DIT": 9.0}))
    assert len(scan([night], KEYS).headers) == 6


def test_a_second_pass_reads_no_file(night: Path, tmp_path: Path) -> None:
    scan([night], KEYS, cache(tmp_path))
    falsify(tmp_path)
    assert {header["INSTRUME"] for header in scan([night], KEYS, cache(tmp_path)).headers.values()} == {"FALSE"}


def falsify(folder: Path) -> None:
    """Put a false value into the cache: who sees it has not read the file."""
    path = folder / "headers.jsonl"
    path.write_text(path.read_text().replace('"NACO"', '"FALSE"'))


def test_a_changed_file_is_read_again(night: Path, tmp_path: Path) -> None:
    changed = night / "NACO.0.fits"
    scan([night], KEYS, cache(tmp_path))
    state = changed.stat()
    with changed.open("r+b") as stream:
        stream.write(fits_of({"INSTRUME": "NACO", "DET.DIT": 77.0}))
    os.utime(changed, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert changed.stat().st_size == state.st_size
    assert scan([night], KEYS, cache(tmp_path)).headers[changed]["DET.DIT"] == 77.0


def test_other_keywords_are_read_anew_and_fewer_are_not(night: Path, tmp_path: Path) -> None:
    scan([night], ("DET.DIT",), cache(tmp_path, ("DET.DIT",)))
    assert scan([night], KEYS, cache(tmp_path)).headers[night / "NACO.1.fits"]["INSTRUME"] == "NACO"
    falsify(tmp_path)
    found = scan([night], ("INSTRUME",), cache(tmp_path, ("INSTRUME",)))
    assert found.headers[night / "NACO.1.fits"] == {"INSTRUME": "FALSE"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("NACO", '"NACO', 1),
        lambda text: "something else\n" + text,
        lambda text: text + '\n[0, "half a line',
        lambda text: text + '\n[7, "a", 2, 3, [1]]\n[7, 1, 2, 3]\n{"a": 1}\n[]\nnull\n',
        lambda text: "",
    ],
)
def test_a_damaged_cache_costs_time_and_nothing_else(damage, night: Path, tmp_path: Path) -> None:
    first = scan([night], KEYS, cache(tmp_path)).headers
    path = tmp_path / "headers.jsonl"
    path.write_text(damage(path.read_text()))
    assert scan([night], KEYS, cache(tmp_path)).headers == first
    assert scan([night], KEYS, cache(tmp_path)).headers == first


def test_two_who_write_at_once_lose_nothing_but_time(night: Path, tmp_path: Path) -> None:
    scan([night], KEYS, cache(tmp_path))
    write_night(night, {"new.1": {"DET.DIT": 1.0}, "new.2": {"DET.DIT": 2.0}})
    one, other = cache(tmp_path), cache(tmp_path, ("INSTRUME",))
    scan([night], ("INSTRUME",), other)
    scan([night], KEYS, one)
    found = cache(tmp_path)
    path = str(night / "new.1.fits")
    assert found.get(path, stamp_of(path))["DET.DIT"] == 1.0


def test_a_cache_that_cannot_be_written_is_no_error(night: Path) -> None:
    found = scan([night], KEYS, HeaderCache(Path("/proc/none/headers.jsonl"), KEYS))
    assert len(found.headers) == 5


def test_one_content_in_two_places_is_one_file(night: Path) -> None:
    (night / "again").mkdir()
    original = night / "NACO.1.fits"
    (night / "again" / "NACO.1.fits").write_bytes(original.read_bytes())
    (night / "again" / "NACO.2.fits.gz").write_bytes(gzip.compress((night / "NACO.2.fits").read_bytes()))
    found = find_copies(scan([night], KEYS).headers)
    assert {copy.kept for copy in found} == {original, night / "NACO.2.fits"}
    assert all(copy.same for copy in found)


def test_one_static_calibration_under_two_names_is_one_file(night: Path) -> None:
    for name in ("M.NACO.2011-05-17T16:06:09.793.fits", "catalogue.fits"):
        (night / name).write_bytes(fits_of({"PRO.CATG": "IMG_STD_CATALOG"}))
    (found,) = find_copies(scan([night], KEYS).headers)
    assert found.same and len(found.others) == 1


def test_two_different_files_of_one_name_are_told(night: Path) -> None:
    write_night(night / "again", {"NACO.1": {"DET.DIT": 99.0}})
    (found,) = find_copies(scan([night], KEYS).headers)
    assert not found.same
    assert "Two different files are called NACO.1" in str(found)
