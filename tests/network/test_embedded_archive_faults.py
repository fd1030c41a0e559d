"""Every fault of the embedded archive does what its name says, where and as often as it was asked to."""

from __future__ import annotations

import io
import time
from pathlib import Path

import ncompress
import pytest
import requests

from esorex_bridge.demo.archive.embedded import EmbeddedArchive, serve
from esorex_bridge.demo.archive.faults import Fault
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.errors import UserError

BROKEN = (requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)


@pytest.fixture
def address(small_archive: EmbeddedArchive) -> str:
    """Return the address of a science frame."""
    return f"{small_archive.url}/dataPortal/file/{small_archive.holdings.nights[0].science[0].dp_id}"


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_errors_come_as_pages_and_pass(
    small_archive: EmbeddedArchive, web: requests.Session, address: str, status: int
) -> None:
    small_archive.fault(f"http_{status}", kind="file", times=1)
    replies = [web.get(address) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [status, 200]
    assert replies[0].headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_archive_says_when_to_come_again(
    small_archive: EmbeddedArchive, web: requests.Session, address: str, status: int
) -> None:
    small_archive.fault(f"http_{status}", times=1)
    reply = web.get(address)
    assert (reply.status_code, reply.headers["Retry-After"]) == (status, "1")


@pytest.mark.parametrize("fault", [Fault.TRUNCATED, Fault.RESET, Fault.WRONG_LENGTH])
def test_broken_connections_are_seen_by_the_client(
    small_archive: EmbeddedArchive, web: requests.Session, address: str, fault: Fault
) -> None:
    small_archive.fault(fault, times=1)
    with pytest.raises(BROKEN):
        web.get(address)
    assert web.get(address).status_code == 200


def test_a_truncated_body_is_half_of_it(small_archive: EmbeddedArchive, web: requests.Session, address: str) -> None:
    total = len(web.get(address).content)
    small_archive.fault(Fault.TRUNCATED, times=1)
    reply = web.get(address, stream=True)
    assert int(reply.headers["Content-Length"]) == total
    assert len(read_what_comes(reply)) == total // 2


def read_what_comes(reply: requests.Response) -> bytes:
    received = b""
    try:
        for chunk in reply.iter_content(1):
            received += chunk
    except BROKEN:
        return received
    raise AssertionError("the connection did not break")


def test_a_slow_archive_drips(frames_folder: Path, web: requests.Session) -> None:
    with EmbeddedArchive([naco_night(npix=64)], frames_folder) as archive:
        archive.fault(Fault.SLOW, kind="file")
        began = time.monotonic()
        size = len(web.get(f"{archive.url}/dataPortal/file/{archive.holdings.nights[0].raws[0].dp_id}").content)
        assert time.monotonic() - began > 0.8 * size / 20_000


def test_an_expired_session_is_a_page_under_200(
    small_archive: EmbeddedArchive, web: requests.Session, address: str
) -> None:
    small_archive.fault(Fault.LOGIN_PAGE)
    reply = web.get(address)
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert reply.content.startswith(b"<!DOCTYPE html>")


def test_a_range_can_be_ignored(small_archive: EmbeddedArchive, web: requests.Session, address: str) -> None:
    whole = web.get(address)
    small_archive.fault(Fault.RANGE_IGNORED)
    reply = web.get(address, headers={"Range": "bytes=1000-"})
    assert (reply.status_code, reply.content) == (200, whole.content)


def test_a_range_can_come_from_another_file(
    small_archive: EmbeddedArchive, web: requests.Session, address: str
) -> None:
    whole = web.get(address)
    small_archive.fault(Fault.OTHER_ETAG, times=1)
    other_etag = web.get(address, headers={"Range": "bytes=1000-"})
    small_archive.fault(Fault.OTHER_TOTAL, times=1)
    other_total = web.get(address, headers={"Range": "bytes=1000-"})
    assert (other_etag.status_code, other_total.status_code) == (206, 206)
    assert other_etag.headers["ETag"] != whole.headers["ETag"]
    assert other_total.headers["Content-Range"].endswith(f"/{len(whole.content) + 2880}")


def test_damage_leaves_the_length(small_archive: EmbeddedArchive, web: requests.Session, address: str) -> None:
    small_archive.fault(Fault.DAMAGED, times=1)
    damaged, whole = web.get(address), web.get(address)
    assert damaged.headers["ETag"] == whole.headers["ETag"]
    differing = sum(one != other for one, other in zip(damaged.content, whole.content, strict=True))
    assert differing == 16


def test_half_a_compressed_file_unpacks_without_complaint(
    small_archive: EmbeddedArchive, web: requests.Session, address: str
) -> None:
    small_archive.fault(Fault.TRUNCATED_LZW, times=1)
    half, whole = web.get(address), web.get(address)
    assert int(half.headers["Content-Length"]) == len(half.content) == len(whole.content) // 2
    assert whole.content.startswith(half.content)
    unpacked = ncompress.decompress(io.BytesIO(half.content))
    assert 0 < len(unpacked) < len(ncompress.decompress(io.BytesIO(whole.content)))


def test_a_file_name_can_point_elsewhere(small_archive: EmbeddedArchive, web: requests.Session, address: str) -> None:
    small_archive.fault(Fault.MALICIOUS_NAME)
    assert '"../../evil.fits"' in web.get(address).headers["Content-Disposition"]


def test_a_fault_meets_only_the_file_and_service_it_was_set_for(
    small_archive: EmbeddedArchive, web: requests.Session
) -> None:
    one, other = (file.dp_id for file in small_archive.holdings.nights[0].science[:2])
    small_archive.fault("http_500", file=one)
    small_archive.fault("http_503", kind="calselector")
    paths = (f"dataPortal/file/{one}", f"dataPortal/file/{other}", f"dataPortal/file/{one.replace(':', '%3A')}",
             f"calselector/v1/associations?dp_id={other}&mode=Raw2Raw",
             f"datalink/links?ID=ivo://eso.org/ID?{one}")  # fmt: skip
    assert [web.get(f"{small_archive.url}/{path}").status_code for path in paths] == [500, 200, 500, 503, 500]


def test_faults_can_be_switched_off(small_archive: EmbeddedArchive, web: requests.Session, address: str) -> None:
    small_archive.fault("http_500")
    small_archive.clear_faults()
    assert web.get(address).status_code == 200


def test_an_unknown_fault_is_refused_with_the_names_that_there_are(small_archive: EmbeddedArchive) -> None:
    with pytest.raises(UserError, match="http_500"):
        small_archive.fault("http_999")


def test_an_archive_can_be_served_with_faults_on(frames_folder: Path, web: requests.Session) -> None:
    archive = serve([naco_night(npix=64)], frames_folder, faults=["http_503"])
    try:
        assert web.get(f"{archive.url}/hdr").status_code == 503
    finally:
        archive.__exit__(None, None, None)


def test_every_fault_is_described() -> None:
    assert all(fault.description and fault.value == fault.name.lower() for fault in Fault)


def test_every_fault_is_in_the_reference() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "embedded-archive.md"
    text = page.read_text()
    assert [fault.value for fault in Fault if f"| `{fault.value}` | {fault.description} |" not in text] == []
