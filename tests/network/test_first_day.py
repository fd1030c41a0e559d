"""A whole `fetch` through everything that ESO's archive is reported to do: result, exit code, words, requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from esorex_bridge.cli import main
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.archive.faults import Fault, Kind
from esorex_bridge.demo.archive.login import DEMO_PASSWORD, DEMO_USER
from esorex_bridge.demo.nights.naco import naco_night
from tests.network.test_large_programme import programme

SCIENCE = "NACO.2016-03-02T00:30:00.076"
FILES = 20


class Day(Struct, frozen=True):
    """What happens, and what a user sees of it.

    Parameters
    ----------
    faults : tuple
        Names of faults, each with a service, a file and how often, where that is not "always".
    code : int
        Exit code.
    statuses : set of str
        What files end as.
    words : tuple of str
        Parts of what is said, in the result or beside it.
    requests : dict
        The greatest number of requests by service.
    files : int
        How many files there are in the end.
    """

    faults: tuple[tuple[Any, ...], ...]
    code: int = 0
    statuses: frozenset[str] = frozenset(("fetched",))
    words: tuple[str, ...] = ()
    requests: dict[Kind, int] = {}
    files: int = FILES


FETCHED_AND_FAILED = frozenset(("fetched", "failed"))

DAYS = {
    "a good day": Day((), requests={"calselector": 2, "file": FILES + 1, "tap": 2}),
    "401 for minutes on public files": Day((("flaky401", "file"),), requests={"file": 3 * FILES + 1}),
    "401 that stays on public files": Day(
        (("refusing", "file"),),
        1,
        frozenset(("failed",)),
        ("the archive refuses a public file (HTTP 401); run again later",),
        # Three files are waited for as long as it takes; then the archive is known to refuse everything.
        {"file": FILES + 6 * 4 + 1, "token": 0},
    ),
    "401 that stays on one calibration": Day(
        (("refusing", "file", "M.NACO.2011-05-17T16:06:09.793"),),
        1,
        FETCHED_AND_FAILED,
        ("refuses a public file (HTTP 401)",),
        {"file": FILES + 5},
    ),
    "403 on one public frame": Day(
        (("http_403", "file", SCIENCE),), 1, FETCHED_AND_FAILED, ("refuses a public file (HTTP 403)",)
    ),
    "401 of calSelector that passes": Day((("http_401", "calselector", None, 1),), requests={"calselector": 3}),
    "401 of calSelector that stays": Day(
        (("http_401", "calselector"),),
        1,
        words=("calSelector did not answer", "HTTP 401", "run again later"),
        requests={"calselector": 12},
        files=1,
    ),
    "calSelector under maintenance": Day(
        (("calhtml", "calselector"),),
        1,
        frozenset(),
        ("a web page ('ESO Archive: maintenance')", "after 5 tries"),
        {"calselector": 5, "file": 0},
        0,
    ),
    "a page of calSelector that passes": Day((("calhtml", "calselector", None, 2),), requests={"calselector": 4}),
    "trees that cannot be read, and a table that can": Day((("malformed_xml", "calselector", None, 3),)),
    "neither trees nor tables that can be read": Day(
        (("malformed_xml", "calselector"),), 1, words=("calSelector did not answer",), files=1
    ),
    "calSelector fails": Day(
        (("http_500", "calselector"),), 1, frozenset(), ("HTTP 500", "after 5 tries"), {"calselector": 5}, 0
    ),
    "files that are a page for a moment": Day((("maintenance", "file", None, 3),)),
    "files that are a page for ever": Day(
        (("maintenance", "file"),), 1, frozenset(("failed",)), ("a web page ('ESO Archive: maintenance')",)
    ),
    **{
        f"a table that ends as {form}": Day((("tap_timeout_" + form, "tap"),))
        for form in ("200", "400", "500", "202", "502", "504", "trailing")
    },
    "a job that cannot be deleted": Day((("tap_timeout_504", "tap"), ("async_delete_403", "tap"))),
    "a list of jobs that is not for everybody": Day((("tap_timeout_504", "tap"), ("job_list_redirect", "tap"))),
    "a job that does not begin": Day((("tap_timeout_504", "tap"), ("run_lost", "tap"))),
    "a column that is gone": Day((("no_column", "tap"),), words=("no column access_estsize",)),
    "a file with a wrong sum of its own": Day(
        (("badsum", "file", SCIENCE),), words=("warning: it came twice like this", "DATASUM"), requests={"file": 22}
    ),
    "a file whose last block is not full": Day(
        (("short_padding", "file", SCIENCE),), words=("warning: it came twice like this", "padding")
    ),
    "headers patched on the way": Day((("hotfly", "file"),), requests={"file": FILES + 1}),
    "headers patched on the way, connections that break": Day(
        (("hotfly", "file"), ("truncated", "file", SCIENCE, 1)), requests={"file": FILES + 2}
    ),
    "another frame under the name": Day(
        (("other_frame", "file", SCIENCE),), 1, FETCHED_AND_FAILED, ("is another frame (ARCFILE in its header is",)
    ),
    "semantics as full addresses": Day((("no_tree", "calselector", None, 3), ("full_semantics", "calselector"))),
    "no breakpoints": Day((("no_breakpoints", "calselector"),)),
    "a page of calSelector the first time": Day((("calhtml_once", "calselector"),), requests={"calselector": 3}),
    "a kind of link of which nobody knows": Day((("new_semantics", "datalink"),), requests={"datalink": 0}),
    "a query over all rows": Day((("slow_scan", "tap"),), requests={"tap": 2}),
    "all that is reported of a good day": Day((("real_manners", None),)),
}


@pytest.mark.parametrize("name", DAYS)
def test_a_fetch_ends_as_a_user_would_want_it(
    name: str,
    small_archive: EmbeddedArchive,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    day = DAYS[name]
    monkeypatch.setenv("ESOREX_BRIDGE_PATIENCE", "0.002")
    # A user who could log in: for public frames nobody tries to.
    monkeypatch.setenv("ESO_USERNAME", DEMO_USER)
    monkeypatch.setenv("ESO_PASSWORD", DEMO_PASSWORD)
    for fault in day.faults:
        small_archive.fault(*fault)
    code = main(["fetch", SCIENCE, "--yes", "--json", "--archive", small_archive.url, "--root", str(tmp_path)])
    out, said = capsys.readouterr()
    found = json.loads(out)
    assert code == day.code, said
    assert {file["status"] for file in found.get("files", ())} == day.statuses, said
    assert [word for word in day.words if word not in out + said] == []
    assert len(found.get("files", ())) == day.files
    for kind, most in day.requests.items():
        assert small_archive.count(kind) <= most, kind
    assert small_archive.count("token") == 0


PROTECTED = {
    "a login that works": Day((), requests={"token": 1}),
    "a login service that has moved": Day(
        (("moved_token", "token"),),
        1,
        frozenset(("fetched", "denied")),
        ("has moved", "were not looked at"),
        {"token": 1},
    ),
    "a login service behind a firewall": Day(
        (("blocked_token", "token"),), 1, frozenset(("fetched", "denied")), ("Access blocked by",), {"token": 1}
    ),
    "a login service that fails": Day(
        (("http_503", "token"),), 1, FETCHED_AND_FAILED, ("the login service answers HTTP 503",), {"token": 5}
    ),
    "a login service that wants a client_secret": Day((("client_secret", "token"),), requests={"token": 2}),
    "a token that ends soon": Day((("short_token", "token"),)),
    "a wrong password": Day((), 1, frozenset(("fetched", "denied")), ("does not accept user 'demo'",), {"token": 1}),
}


@pytest.mark.parametrize("name", PROTECTED)
def test_what_is_public_comes_whatever_becomes_of_the_login(
    name: str, frames_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All science frames are protected; a password that was refused is not tried again."""
    day, night = PROTECTED[name], naco_night(npix=128)
    monkeypatch.setenv("ESOREX_BRIDGE_PATIENCE", "0.002")
    monkeypatch.setenv("ESO_USERNAME", DEMO_USER)
    monkeypatch.setenv("ESO_PASSWORD", "wrong" if name == "a wrong password" else DEMO_PASSWORD)
    science = {str(file.dp_id) for file in night.science}
    with EmbeddedArchive([night], frames_folder, proprietary=science) as archive:
        for fault in day.faults:
            archive.fault(*fault)
        code = main(["fetch", SCIENCE, "--yes", "--json", "--archive", archive.url, "--root", str(tmp_path)])
    out, said = capsys.readouterr()
    files = json.loads(out)["files"]
    assert code == day.code, said
    assert {file["status"] for file in files} == day.statuses
    assert sum(file["status"] == "fetched" for file in files) == (FILES if code == 0 else FILES - len(science))
    assert [word for word in day.words if word not in out + said] == []
    assert archive.count("token") <= day.requests.get("token", FILES)
    assert DEMO_PASSWORD not in out + said


PROGRAMMES = {
    "more frames than calSelector can do at a time": (("cal504",), 0, 30, 8),
    "calSelector that fails after some": (("cal504", "cal500late"), 1, 7, 9),
}


@pytest.mark.parametrize("name", PROGRAMMES)
def test_of_a_programme_all_is_kept_that_calselector_answered(
    name: str, frames_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    faults, code, trees, requests = PROGRAMMES[name]
    monkeypatch.setenv("ESOREX_BRIDGE_PATIENCE", "0.002")
    with EmbeddedArchive([programme(30, 1)], frames_folder) as archive:
        for fault in faults:
            archive.fault(fault, "calselector")
        words = ["fetch", "--from-query", "--program", "098.C-0739", "--yes", "--archive", archive.url]
        assert main([*words, "--root", str(tmp_path)]) == code, capsys.readouterr().err
    assert len(list(tmp_path.rglob("*.xml"))) == trees
    assert archive.count("calselector") <= requests
    said = capsys.readouterr().err
    assert ("HTTP 500" in said) == bool(code)


LOGINS = {
    "a service that has moved": ("moved_token", "has moved", "/iam/realms/eso/token"),
    "a firewall": ("blocked_token", "Access blocked by the firewall", "were not looked at"),
    "a failure": ("http_503", "HTTP 503", "503 Service Unavailable"),
}


@pytest.mark.parametrize("name", LOGINS)
def test_only_the_login_service_says_that_a_password_is_wrong(
    name: str,
    small_archive: EmbeddedArchive,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault, *words = LOGINS[name]
    monkeypatch.setenv("ESO_USERNAME", DEMO_USER)
    monkeypatch.setenv("ESO_PASSWORD", DEMO_PASSWORD)
    small_archive.fault(fault, "token")
    assert main(["whoami", "--archive", small_archive.url, "--root", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert [word for word in words if word not in said] == []
    assert "does not accept" not in said and DEMO_PASSWORD not in said


def test_a_client_secret_is_given_where_the_service_wants_one(
    small_archive: EmbeddedArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESO_USERNAME", DEMO_USER)
    monkeypatch.setenv("ESO_PASSWORD", DEMO_PASSWORD)
    small_archive.fault(Fault.CLIENT_SECRET, "token")
    assert main(["whoami", "--archive", small_archive.url, "--root", str(tmp_path)]) == 0


def test_a_protected_file_that_is_forbidden_is_asked_for_once_more_with_a_login(
    frames_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESO_USERNAME", DEMO_USER)
    monkeypatch.setenv("ESO_PASSWORD", DEMO_PASSWORD)
    with EmbeddedArchive([naco_night(npix=128)], frames_folder, proprietary={SCIENCE}) as archive:
        archive.fault(Fault.HTTP_403, "file", SCIENCE, times=1)
        code = main(["fetch", SCIENCE, "--yes", "--archive", archive.url, "--root", str(tmp_path)])
        assert code == 0, capsys.readouterr().err
        assert archive.count("token") == 1
        archive.fault(Fault.HTTP_403, "file", SCIENCE)
        code = main(["fetch", SCIENCE, "--yes", "--archive", archive.url, "--root", str(tmp_path / "again")])
    out = " ".join(capsys.readouterr().out.split())
    assert code == 1 and "this user has no access to the file (HTTP 403)" in out
