"""The verbs of the archive, as commands over loopback."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.cli import main
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.archive.faults import Fault
from esorex_bridge.demo.archive.login import DEMO_PASSWORD, DEMO_USER
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.organise.places import default_mode

SCIENCE = "NACO.2016-03-02T00:30:00.076"


class Bridge:
    """Runs commands against an archive and a data root.

    Parameters
    ----------
    archive : EmbeddedArchive
        The archive.
    root : Path
        The data root.
    output : pytest.CaptureFixture
        What commands print.
    """

    def __init__(self, archive: EmbeddedArchive, root: Path, output: pytest.CaptureFixture[str]) -> None:
        self.archive, self.root, self._output = archive, root, output

    def __call__(self, *words: str) -> tuple[int, str, str]:
        code = main([*words, "--archive", self.archive.url, "--root", str(self.root)])
        printed = self._output.readouterr()
        return code, printed.out, printed.err

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run a command that asks no archive."""
        code = main(list(words))
        printed = self._output.readouterr()
        return code, printed.out, printed.err

    def json(self, *words: str) -> tuple[int, Any]:
        code, out, _ = self(*words, "--json")
        return code, json.loads(out)


@pytest.fixture
def bridge(small_archive: EmbeddedArchive, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bridge:
    """Give commands against the small archive."""
    return Bridge(small_archive, tmp_path / "root", capsys)


@pytest.fixture
def logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put user and password into the environment."""
    monkeypatch.setenv("ESO_USERNAME", DEMO_USER)
    monkeypatch.setenv("ESO_PASSWORD", DEMO_PASSWORD)


def data(bridge: Bridge, name: str = "data_with_raw_calibs") -> Path:
    return bridge.root / "reflex_input" / name


def test_query_prints_a_table_csv_votable_and_json(bridge: Bridge) -> None:
    code, out, _ = bridge("query", "--instrument", "naco")
    assert code == 0 and SCIENCE in out and "5 frames" in out
    _, out, _ = bridge("query", "--instrument", "naco", "--csv", "--columns", "dp_id,exposure")
    assert list(csv.reader(io.StringIO(out)))[:2] == [["dp_id", "exposure"], [SCIENCE, "10.0"]]
    _, found = bridge.json("query", "--instrument", "naco", "--max", "2")
    assert found["rows"][0]["dp_id"] == SCIENCE and len(found["rows"]) == 2


def test_query_prints_adql_and_sends_nothing(bridge: Bridge) -> None:
    code, out, _ = bridge("query", "--instrument", "naco", "--adql")
    assert code == 0 and "instrument = 'NAOS+CONICA'" in out and "dp_cat = 'SCIENCE'" in out
    assert not bridge.archive.requests


def test_query_says_where_a_limit_may_have_cut(bridge: Bridge) -> None:
    _, _, said = bridge("query", "--instrument", "naco", "--max", "2")
    assert "there may be more" in said


def test_associations_are_printed_as_a_cascade_and_kept_beside_the_data(bridge: Bridge) -> None:
    code, out, _ = bridge("associations", SCIENCE)
    assert code == 0 and "FLAT_TW: 5 CAL_FLAT_TW (calib_plan, level 0, 0.1 days)" in out
    assert (data(bridge) / f"{SCIENCE}_raw2raw.xml").is_file()


def test_associations_tell_a_downgrade(bridge: Bridge) -> None:
    bridge.archive.fault(Fault.DOWNGRADE)
    code, found = bridge.json("associations", SCIENCE, "--mode", "master")
    (answer,) = found["associations"]
    assert code == 0 and answer["downgraded"] and answer["executed"] == "Raw2Raw"
    assert (data(bridge) / f"{SCIENCE}_raw2raw.xml").is_file()


MASTERS = "data_with_processed_calibs"


def fits_in(folder: Path) -> set[str]:
    return {path.name.partition(".fits")[0] for path in folder.glob("*.fits*")}


def fetch_downgraded(bridge: Bridge, *words: str) -> Any:
    bridge.archive.fault(Fault.DOWNGRADE)
    code, found = bridge.json("fetch", SCIENCE, "--mode", "master", "--yes", *words)
    assert code == 0, found
    return found


def test_a_downgraded_dataset_lies_with_the_raw_calibrations_and_says_why(bridge: Bridge) -> None:
    found = fetch_downgraded(bridge)
    assert found["trees"] == [str(data(bridge) / f"{SCIENCE}_raw2raw.xml")]
    assert fits_in(data(bridge)) == {file["name"] for file in found["files"]}
    assert not fits_in(data(bridge, MASTERS))
    assert any("as calSelector does where a master calibration is missing" in line for line in found["warnings"])
    _, out, _ = bridge("organise")
    assert "Raw2Master was asked for" in " ".join(out.split())


@pytest.mark.parametrize("mode", [(), ("--mode", "raw"), ("--mode", "master")])
def test_a_downgraded_dataset_is_planned_in_either_mode(mode: tuple[str, ...], bridge: Bridge) -> None:
    fetch_downgraded(bridge)
    code, out = plan_json(bridge, *mode)
    assert code == 0
    assert [step["recipe"] for step in out["datasets"][0]["steps"]][-1] == "naco_img_jitter"


def plan_json(bridge: Bridge, *words: str) -> tuple[int, Any]:
    code, out, _ = bridge.run("plan", "--root", str(bridge.root), "--json", *words)
    return code, json.loads(out)


def test_what_an_earlier_version_left_with_the_masters_is_planned_and_not_fetched_again(bridge: Bridge) -> None:
    fetch_downgraded(bridge, "--into", str(data(bridge, MASTERS)))
    code, plan = plan_json(bridge, "--mode", "master")
    assert code == 0 and len(plan["datasets"]) == 1
    bridge.archive.requests.clear()
    found = fetch_downgraded(bridge)
    assert {file["status"] for file in found["files"]} == {"kept"}
    assert not [request for request in bridge.archive.requests if request.kind == "file"]
    assert fits_in(data(bridge)) == fits_in(data(bridge, MASTERS))
    for path in data(bridge).glob("*.fits*"):
        assert path.samefile(data(bridge, MASTERS) / path.name)


def test_the_folder_of_raws_that_were_all_given_for_masters_hides_no_masters(bridge: Bridge) -> None:
    fetch_downgraded(bridge)
    other = data(bridge, MASTERS)
    other.mkdir(exist_ok=True)
    assert default_mode(bridge.root) == "Raw2Master"
    code, found = bridge.json("fetch", SCIENCE, "--yes")
    assert code == 0 and {file["status"] for file in found["files"]} == {"kept"}
    assert default_mode(bridge.root) == "Raw2Master"  # it still is what was given where masters were asked for


def test_a_tree_goes_to_the_masters_once_there_are_masters(
    hawki_archive: EmbeddedArchive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bridge = Bridge(hawki_archive, tmp_path / "root", capsys)
    name = hawki_archive.holdings.nights[0].science[0].dp_id
    hawki_archive.fault(Fault.DOWNGRADE)
    assert bridge("associations", name, "--mode", "master")[0] == 0
    assert [path.name for path in data(bridge).glob("*.xml")] == [f"{name}_raw2raw.xml"]
    hawki_archive.clear_faults()
    code, found = bridge.json("refresh")
    (change,) = found["changes"]
    assert code == 0 and "Raw2Master now instead of Raw2Raw" in change["remarks"]
    assert [path.name for path in data(bridge, MASTERS).glob("*.xml")] == [f"{name}_raw2master.xml"]
    assert not list(data(bridge).glob("*.xml"))


def test_fetch_says_how_far_calibrations_are_from_what_they_calibrate(bridge: Bridge) -> None:
    code, out, _ = bridge("fetch", SCIENCE, "--list-only")
    table = out[out.index("group ") :].splitlines()
    assert code == 0 and table[0].split() == ["group", "groups", "match", "level", "days"]
    assert table[1].split() == ["DARK/IMGJITOBJ_SW", "2", "calib_plan", "0", "0.3", "to", "0.4"]
    _, found = bridge.json("fetch", SCIENCE, "--list-only")
    (answer,) = found["associations"]
    darks = [group for group in answer["cascade"]["associated"] if group["category"] == "DARK"]
    assert {(dark["level"], dark["match"]) for dark in darks} == {(0, "calib_plan")}
    assert [dark["days"] for dark in darks] == pytest.approx([0.35, 0.35], abs=0.1)
    assert answer["cascade"]["days"] is None
    _, out, _ = bridge("fetch", SCIENCE, "--yes")
    assert "DARK/IMGJITOBJ_SW" in out


def test_fetch_lists_what_it_would_fetch(bridge: Bridge) -> None:
    code, found = bridge.json("fetch", SCIENCE, "--list-only", "--with-night-logs")
    roles = [file["role"] for file in found["files"]]
    assert code == 0 and roles.count("science") == 5 and roles.count("night log") == 5 and "calibration" in roles
    assert all(file["size_bytes"] for file in found["files"] if file["role"] == "science")
    asked = [request for request in bridge.archive.requests if request.kind == "file"]
    assert [request.range for request in asked] == ["bytes=0-0"]  # the size of the static
    assert all(file["size_bytes"] for file in found["files"] if file["role"] != "night log")


def test_fetch_asks_before_it_fetches_and_needs_yes_where_nobody_can_answer(bridge: Bridge) -> None:
    code, _, said = bridge("fetch", SCIENCE)
    assert code == 1 and "--yes" in said
    assert bridge.archive.count("file") == 0 and not data(bridge).exists()


def test_fetch_brings_science_siblings_calibrations_trees_and_night_logs(bridge: Bridge) -> None:
    code, found = bridge.json("fetch", SCIENCE, "--yes", "--with-night-logs")
    assert code == 0 and found["complete"]
    assert {file["status"] for file in found["files"]} == {"fetched"}
    names = {path.name for path in data(bridge).iterdir()}
    assert {f"{SCIENCE}.fits.Z", f"{SCIENCE}.NL.txt", f"{SCIENCE}_raw2raw.xml"} <= names
    assert len([name for name in names if name.endswith(".NL.txt")]) == 5
    code, again = bridge.json("fetch", SCIENCE, "--yes", "--with-night-logs")
    assert code == 0 and {file["status"] for file in again["files"]} == {"kept"}


def test_fetch_from_a_query_asks_calselector_once(bridge: Bridge) -> None:
    code, out, _ = bridge("fetch", "--from-query", "--instrument", "naco", "--night", "2016-03-01", "--yes")
    assert code == 0 and "fetched" in out
    paths = [request.path for request in bridge.archive.requests if request.kind == "calselector"]
    assert paths == ["/calselector/v1/associations", "/calselector/v1/breakpoints"]


def test_fetch_without_calibrations_brings_the_frames_alone(bridge: Bridge) -> None:
    code, found = bridge.json("fetch", SCIENCE, "--yes", "--no-calibrations")
    assert code == 0 and [file["name"] for file in found["files"]] == [SCIENCE]
    assert bridge.archive.count("calselector") == 0


def test_frames_that_are_no_science_are_not_asked_about_and_do_not_spoil_the_others(bridge: Bridge) -> None:
    bridge.archive.fault(Fault.SPURIOUS_INCOMPLETE)
    acquisition = next(str(file.dp_id) for file in bridge.archive.holdings.nights[0].raws if not file.is_science)
    code, found = bridge.json("fetch", SCIENCE, acquisition, "--yes")
    assert code == 0 and found["complete"]
    science, other = found["associations"]
    assert (science["outcome"], other["outcome"]) == ("associated", "not_supported")
    assert acquisition in {file["name"] for file in found["files"]}
    assert any("together with science frames" in line for line in found["warnings"])


def test_fetch_warns_before_it_fetches(bridge: Bridge) -> None:
    bridge.archive.fault(Fault.UNCERTIFIED)
    bridge.archive.fault(Fault.INCOMPLETE)
    _, _, said = bridge("fetch", SCIENCE, "--yes")
    assert "warning" in said and "incomplete" in said and "not certified" in said and "Missing FLAT_TW" in said


def test_fetch_exits_with_1_where_a_file_is_not_there_and_a_later_run_brings_it(bridge: Bridge) -> None:
    bridge.archive.fault(Fault.HTTP_404, kind="file", file=SCIENCE)
    code, out, _ = bridge("fetch", SCIENCE, "--yes")
    assert code == 1 and "1 missing" in out
    bridge.archive.clear_faults()
    before = bridge.archive.count("file")
    code, out, _ = bridge("fetch", SCIENCE, "--yes")
    assert code == 0 and "1 fetched" in out
    assert bridge.archive.count("file") == before + 1


def test_a_night_log_that_does_not_exist_is_reported_and_no_failure(bridge: Bridge) -> None:
    bridge.archive.fault(Fault.HTTP_404, kind="file", file=f"{SCIENCE}.NL")
    code, out, _ = bridge("fetch", SCIENCE, "--yes", "--with-night-logs")
    assert code == 0 and "1 missing" in out


@pytest.mark.parametrize(
    "words",
    [
        ("fetch",),
        ("fetch", SCIENCE, "--from-query"),
        ("fetch", "../../etc"),
        ("query",),
        ("query", "--ra", "3"),
        ("ancillary",),
        ("ancillary", SCIENCE, "--fetch"),
        ("adopt", "/nowhere"),
        ("datalink", "x"),
        ("logout",),
    ],
)
def test_requests_that_make_no_sense_are_refused_with_a_reason(bridge: Bridge, words: tuple[str, ...]) -> None:
    code, out, said = bridge(*words)
    assert code == 1 and not out and said.startswith("esorex-bridge: ")
    assert not bridge.archive.requests


@pytest.mark.parametrize("address", ["x", "file:///etc", "ftp://archive.example", "http://"])
def test_an_address_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], address: str) -> None:
    assert main(["query", "--instrument", "naco", "--archive", address]) == 1
    assert "no address of an archive" in capsys.readouterr().err


def test_query_prints_a_votable_that_others_read(bridge: Bridge) -> None:
    from astropy.io.votable import parse_single_table

    _, out, _ = bridge("query", "--instrument", "naco", "--votable")
    table = parse_single_table(io.BytesIO(out.encode())).to_table()
    assert len(table) == 5 and str(table["exposure"].unit) == "s"


def test_refresh_says_what_is_certified_now_and_which_files_came(bridge: Bridge) -> None:
    bridge.archive.fault(Fault.UNCERTIFIED)
    bridge.archive.fault(Fault.INCOMPLETE)
    bridge("associations", SCIENCE)
    code, due = bridge.json("refresh", "--dry-run")
    assert code == 0 and [item["reason"] for item in due["due"]] == ["not certified"]
    bridge.archive.clear_faults()
    code, found = bridge.json("refresh")
    (change,) = found["changes"]
    assert code == 0 and change["remarks"] == ["certified now", "complete now"]
    assert change["replaced"] and len(change["added"]) >= 5 and not change["removed"]
    _, later = bridge.json("refresh")
    assert not later["due"]


def test_refresh_keeps_a_tree_that_the_archive_has_no_more(bridge: Bridge) -> None:
    bridge("associations", SCIENCE)
    tree = data(bridge) / f"{SCIENCE}_raw2raw.xml"
    before = tree.read_bytes()
    bridge.archive.fault(Fault.UNSUPPORTED)
    _, out, _ = bridge("refresh", "--days", "0")
    assert "the tree of before is kept" in out and tree.read_bytes() == before


def test_a_package_is_adopted_in_place_and_what_is_missing_is_named(bridge: Bridge, tmp_path: Path) -> None:
    bridge("fetch", SCIENCE, "--yes", "--into", str(tmp_path / "fetched"))
    package = tmp_path / "package" / "data_with_raw_calibs"
    package.mkdir(parents=True)
    for path in (tmp_path / "fetched").iterdir():
        if not path.name.startswith("."):
            name = path.name.replace("_raw2raw.xml", ".xml").replace(":", "_")
            (package / name).write_bytes(path.read_bytes())
    code, found = bridge.json("adopt", str(package.parent))
    assert code == 0 and not found["missing"] and not found["damaged"]
    links = {path.name for path in data(bridge).iterdir() if path.is_symlink()}
    assert f"{SCIENCE}.fits.Z" in links
    before = bridge.archive.count("file")
    code, report = bridge.json("fetch", SCIENCE, "--yes")
    assert code == 0 and {file["status"] for file in report["files"]} == {"kept"}
    assert bridge.archive.count("file") == before


def test_a_package_with_a_damaged_and_a_missing_file_says_so(bridge: Bridge, tmp_path: Path) -> None:
    package = tmp_path / "package"
    bridge("fetch", SCIENCE, "--yes", "--into", str(package))
    frames = sorted(package.glob("NACO*.fits.Z"))
    frames[0].write_bytes(frames[0].read_bytes()[:500])
    frames[1].unlink()
    missing = frames[1].name.removesuffix(".fits.Z")
    (package / "downloadScript_1.sh").write_text(
        "wget https://dataportal.eso.org/dataPortal/file/NACO.2001-01-01T00:00:00.000\n"
        "wget https://dataportal.eso.org/dataPortal/file/../../../etc/passwd\n"
    )
    code, found = bridge.json("adopt", str(package))
    assert code == 1
    assert set(found["missing"]) == {missing, "NACO.2001-01-01T00:00:00.000"}
    assert [Path(item["path"]).name for item in found["damaged"]] == [frames[0].name]


def test_datalink_and_night_log_print_what_belongs_to_a_frame(bridge: Bridge) -> None:
    code, out, _ = bridge("datalink", SCIENCE)
    assert code == 0 and "night_log" in out and f"{SCIENCE}.fits.Z" in out
    code, out, said = bridge("night-log", SCIENCE)
    assert code == 0 and "Grade:" in out and "grade: A" in said
    code, _, said = bridge("datalink", "NACO.1999-01-01T00:00:00.000")
    assert code == 1 and "no access" in said


def test_ancillary_files_are_listed_and_fetched(bridge: Bridge, tmp_path: Path) -> None:
    code, found = bridge.json("ancillary", "--collection", "SYNTHETIC", "--category", "ANCILLARY.WEIGHTMAP")
    assert code == 0 and found["rows"] and {row["eso_category"] for row in found["rows"]} == {"ANCILLARY.WEIGHTMAP"}
    product = found["rows"][0]["product_id"]
    code, found = bridge.json("ancillary", product, "--fetch", "--into", str(tmp_path / "products"))
    assert code == 0 and {file["status"] for file in found["files"]} == {"fetched"}
    assert len(list((tmp_path / "products").glob("ADP.*"))) == len(found["files"]) == 3


@pytest.mark.usefixtures("logged_in")
def test_whoami_and_login_say_the_user_and_never_the_password(bridge: Bridge) -> None:
    code, out, said = bridge("whoami")
    assert code == 0 and out.startswith(DEMO_USER) and DEMO_PASSWORD not in out + said
    code, found = bridge.json("login")
    assert code == 0 and found == {"schema": 1, "user": DEMO_USER, "kept": False}


def test_whoami_without_a_login_is_nobody(bridge: Bridge) -> None:
    code, found = bridge.json("whoami")
    assert code == 1 and found["user"] is None


def test_login_without_a_terminal_names_the_other_way(bridge: Bridge) -> None:
    code, _, said = bridge("login", "--user", "somebody")
    assert code == 1 and "ESO_PASSWORD" in said


@pytest.mark.usefixtures("logged_in")
def test_a_login_opens_proprietary_files(
    frames_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with EmbeddedArchive([naco_night(npix=64)], frames_folder, proprietary={SCIENCE}) as archive:
        bridge = Bridge(archive, tmp_path, capsys)
        code, found = bridge.json("fetch", SCIENCE, "--yes", "--no-calibrations")
    assert code == 0 and found["complete"]


def test_a_json_command_prints_one_document_also_when_it_fails(bridge: Bridge) -> None:
    code, found = bridge.json("datalink", "NACO.1999-01-01T00:00:00.000")
    assert code == 1 and found["error"]["kind"] == "AccessDeniedError"


ROADS = {
    "fetch": ("fetch", SCIENCE, "--yes"),
    "fetch --from-query": ("fetch", "--from-query", "--instrument", "naco", "--yes"),
    "reduce": ("reduce", "--instrument", "naco", "--program", "60.A-9999(A)"),
    "batch": ("batch", "--instrument", "naco", "--program", "60.A-9999(A)", "--jobs", "1"),
}


@pytest.mark.parametrize("road", ROADS)
def test_breakpoints_come_with_the_associations_and_the_last_list_stays(
    road: str, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESOREX_BRIDGE_PATIENCE", "0.002")
    kept = bridge.root / "breakpoints.json"
    bridge(*ROADS[road])
    listed = kept.read_text()
    assert json.loads(listed)[0]["instrument"] == "NAOS+CONICA"
    os.utime(kept, (0, 0))
    for fault in (Fault.NO_BREAKPOINTS, Fault.CALHTML):
        bridge.archive.fault(fault, "calselector")
        before = bridge.archive.count("calselector")
        # A batch is named by the second in which it began.
        bridge(*ROADS[road], *(("--name", fault.name) if road == "batch" else ()))
        assert bridge.archive.count("calselector") > before and kept.read_text() == listed


@pytest.mark.parametrize("road", [*ROADS, "many"])
def test_what_does_not_fit_on_the_disk_is_refused_when_calibrations_become_known(
    road: str, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The science frames fit; with their calibrations they do not."""
    monkeypatch.setattr("esorex_bridge.cli.fetch.MANY", 0 if road == "many" else 100)
    _, found = bridge.json("query", "--instrument", "naco")
    science = 1024 * sum(row["access_estsize"] for row in found["rows"])
    monkeypatch.setattr("esorex_bridge.disk.room._free_bytes", lambda folder: science + 50_000)
    code, out, said = bridge(*ROADS["fetch --from-query" if road == "many" else road])
    told = " ".join((out + said).split())
    assert code == 1 and "to be fetched" in told and re.search(r"which has [\d.]+ [kMG]B free", told)
    names = {request.path.rpartition("/")[2] for request in bridge.archive.requests if request.kind == "file"}
    asked = {name for name in names if not name.startswith("M.")}
    assert asked <= {row["dp_id"] for row in found["rows"]}
