"""What the first lines of an answer mean for a file, decided without a network."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from esorex_bridge.archive.exchange import bare, is_page, keeps_secrets, retry_after_s
from esorex_bridge.archive.manifest import NAME, Manifest
from esorex_bridge.archive.services import Services, is_archive_name
from esorex_bridge.archive.transfer import (
    Begin,
    FileStatus,
    Partial,
    Refusal,
    local_name,
    read_answer,
    request_headers,
    time_of,
)
from esorex_bridge.disk.stamp import stamp_of
from esorex_bridge.files import Digest

NAME_OF_FILE = "NACO.2016-03-02T00:30:00.076"
PART = Partial(100, 300, '"e1"', "Wed, 02 Mar 2016 00:00:00 GMT")


def test_the_rest_is_asked_for_only_of_the_same_file() -> None:
    assert request_headers(None) == {"Accept-Encoding": "identity"}
    assert request_headers(PART)["Range"] == "bytes=100-"
    assert request_headers(PART)["If-Range"] == '"e1"'
    assert "If-Range" not in request_headers(Partial(1, 2, 'W/"weak"'))


def test_a_whole_answer_begins_at_the_first_byte_also_where_the_rest_was_asked_for() -> None:
    begin = read_answer(200, {"Content-Length": "300", "ETag": '"e2"'}, PART, False)
    assert begin == Begin(0, 300, '"e2"')


def test_a_partial_answer_of_the_same_file_is_continued() -> None:
    begin = read_answer(206, {"Content-Range": "bytes 100-299/300", "ETag": '"e1"'}, PART, False)
    assert isinstance(begin, Begin) and (begin.offset, begin.total_bytes) == (100, 300)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Range": "bytes 100-299/*"},
        {"Content-Range": "bytes 99-299/300"},
        {"Content-Range": "bytes 100-399/400"},
        {"Content-Range": "bytes 100-299/300", "ETag": '"e2"'},
        {"Content-Range": "bytes 100-299/300", "Last-Modified": "Thu, 03 Mar 2016 00:00:00 GMT"},
    ],
)
def test_a_partial_answer_that_does_not_fit_begins_again(headers: dict[str, str]) -> None:
    refusal = read_answer(206, headers, PART, False)
    assert isinstance(refusal, Refusal) and refusal.status is None


def test_a_range_that_cannot_be_served_begins_again() -> None:
    refusal = read_answer(416, {}, PART, False)
    assert isinstance(refusal, Refusal) and refusal.status is None


@pytest.mark.parametrize(
    ("status", "ended", "login"),
    [
        (401, FileStatus.DENIED, False),
        (403, FileStatus.DENIED, True),
        (404, FileStatus.MISSING, False),
        (410, FileStatus.MISSING, False),
        (400, FileStatus.FAILED, False),
        (204, FileStatus.FAILED, False),
    ],
)
def test_refusals_end_with_a_reason(status: int, ended: FileStatus, login: bool) -> None:
    refusal = read_answer(status, {}, None, login)
    assert isinstance(refusal, Refusal) and refusal.status is ended and refusal.reason
    assert ("esorex-bridge login" in refusal.reason) is (ended is FileStatus.DENIED)
    assert ("esorex-bridge whoami" in refusal.reason) is login


def test_a_page_is_no_file() -> None:
    refusal = read_answer(200, {"Content-Type": "text/html; charset=utf-8"}, None, False)
    assert isinstance(refusal, Refusal) and refusal.status is FileStatus.FAILED
    assert is_page("", b"\n <!DOCTYPE HTML PUBLIC") and is_page("", b"<html>") and not is_page("", b"SIMPLE  =")


FITS, LZW, GZIP = b"SIMPLE  =                    T", b"\x1f\x9d\x90", b"\x1f\x8b\x08"


@pytest.mark.parametrize(
    ("stated", "head", "suffix"),
    [
        (f"{NAME_OF_FILE}.fits.Z", LZW, ".fits.Z"),
        (f"{NAME_OF_FILE}.fits", FITS, ".fits"),
        (f"{NAME_OF_FILE}.fits.fz", FITS, ".fits.fz"),
        (f"{NAME_OF_FILE.replace(':', '_')}.fits.Z", LZW, ".fits.Z"),
        ("", LZW, ".fits.Z"),
        ("", GZIP, ".fits.gz"),
        ("", FITS, ".fits"),
        ("evil.fits", LZW, ".fits.Z"),
        (f"{NAME_OF_FILE}.fits.Z", FITS, ".fits"),
        (f"{NAME_OF_FILE}.fits", LZW, ".fits.Z"),
        ("original name.tar", b"ustar", ".tar"),
        ("original.name_3.5.png", b"\x89PNG", ".png"),
        ("x.tar.gz", GZIP, ".tar.gz"),
    ],
)
def test_a_file_has_its_archive_name_and_an_ending_that_fits_its_content(stated: str, head: bytes, suffix: str) -> None:
    assert local_name(NAME_OF_FILE, stated, head) == NAME_OF_FILE + suffix


def test_a_night_log_is_text() -> None:
    assert local_name(f"{NAME_OF_FILE}.NL", "", b"General") == f"{NAME_OF_FILE}.NL.txt"


def test_the_time_of_a_file_is_that_of_its_name() -> None:
    assert time_of(NAME_OF_FILE, 5.5) == 1456878600
    assert time_of("NACO.2016-03-02T00_30_00.076", 5.5) == 1456878600
    assert time_of("without", 5.5) == 5


@pytest.mark.parametrize("name", [NAME_OF_FILE, f"{NAME_OF_FILE}.NL", "M.NACO.2011-05-17T16:06:09.793", "ADP.2014.1"])
def test_archive_names(name: str) -> None:
    assert is_archive_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a",
        "../a.b",
        "a/b.c",
        "a\\b.c",
        ".a.b",
        "a b.c",
        "a.b\n",
        "a..b",
        "-a.b",
        "a\x00.b",
        "a" * 250 + ".b",
    ],
)
def test_what_is_no_archive_name(name: str) -> None:
    assert not is_archive_name(name)


def test_credentials_are_for_the_hosts_of_the_archive() -> None:
    services = Services()
    assert services.trusts("https://dataportal.eso.org/dataPortal/file/x")
    for url in (
        "http://dataportal.eso.org/x",
        "https://dataportal.eso.org.evil.example/x",
        "https://evil.example/",
        "https://dataportal.eso.org:444/x",
        "https://user@evil.example/dataportal.eso.org",
    ):
        assert not services.trusts(url)
    assert keeps_secrets("https://www.eso.org/x") and keeps_secrets("http://127.0.0.1:80/x")
    assert not keeps_secrets("http://www.eso.org/x") and not keeps_secrets("http://127.0.0.1.evil.example/x")


def test_messages_name_addresses_without_secrets() -> None:
    assert bare("https://user:word@www.eso.org:443/sso?password=x#y") == "https://www.eso.org:443/sso"


def test_services_below_one_address() -> None:
    services = Services.at("http://127.0.0.1:8080/")
    assert services.tap == "http://127.0.0.1:8080/tap_obs"
    assert services.file_url("A.2020/../b") == "http://127.0.0.1:8080/dataPortal/file/A.2020%2F..%2Fb"


def test_a_pause_is_named_in_seconds_or_as_a_date() -> None:
    assert retry_after_s("3") == 3.0
    assert retry_after_s("Thu, 01 Jan 1970 00:01:00 GMT", now=lambda: 20.0) == 40.0
    assert retry_after_s("Thu, 01 Jan 1970 00:01:00 GMT", now=lambda: 90.0) == 0.0
    assert retry_after_s(None) is None and retry_after_s("soon") is None and retry_after_s("-5") == 0.0


def test_a_manifest_knows_a_file_as_long_as_it_is_that_file(tmp_path: Path) -> None:
    path, digest = tmp_path / "a.fits", Digest("sha256:0")
    path.write_bytes(b"one")
    Manifest(tmp_path).record(path, digest, stamp_of(path))
    assert Manifest(tmp_path).digest(path) == digest
    path.write_bytes(b"two!")
    assert Manifest(tmp_path).digest(path) is None


def test_a_manifest_notices_another_file_of_the_same_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(b"one")
    Manifest(tmp_path).record(path, Digest("sha256:0"), stamp_of(path))
    times = path.stat()
    with path.open("r+b") as stream:
        stream.write(b"two")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert Manifest(tmp_path).digest(path) is None


def test_a_manifest_survives_lines_cut_off_and_lines_of_later_versions(tmp_path: Path) -> None:
    one, two = tmp_path / "1.fits", tmp_path / "2.fits"
    for path in (one, two):
        path.write_bytes(b"x")
    Manifest(tmp_path).record(one, Digest("sha256:1"), stamp_of(one))
    with (tmp_path / NAME).open("ab") as stream:
        stream.write(b'{"later": true}\n[1]\nnull\n{"file": "2.fits", "sta')
    Manifest(tmp_path).record(two, Digest("sha256:2"), stamp_of(two))
    again = Manifest(tmp_path)
    assert (again.digest(one), again.digest(two)) == ("sha256:1", "sha256:2")
    assert json.loads((tmp_path / NAME).read_text().splitlines()[0]) == {"esorex_bridge_manifest": 2}
