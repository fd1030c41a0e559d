"""Downloads that stand still, and strange things in the place of our files."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.archive.access import expected_access
from esorex_bridge.archive.client import ArchiveClient
from esorex_bridge.archive.connection import Connection
from esorex_bridge.archive.exchange import RetryPolicy, StoppedError
from esorex_bridge.archive.services import Services
from esorex_bridge.archive.speed import SpeedWatch
from esorex_bridge.archive.transfer import FileStatus
from esorex_bridge.archive.unpack import unpack_if_due
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.archive.faults import Fault
from esorex_bridge.errors import DataError
from esorex_bridge.files import Digest
from tests.commands import PATIENCE_S
from tests.tiny_fits import header_bytes

SCIENCE = "NACO.2016-03-02T00:30:00.076"


class Stalled(http.server.BaseHTTPRequestHandler):
    """Sends the beginning of a file, and then nothing."""

    reached: threading.Event
    over: threading.Event
    elsewhere = ""
    """Where the file is said to lie, if not here."""

    def do_GET(self) -> None:
        if not self.path.startswith("/dataPortal"):
            self.send_error(404)
            return
        if self.elsewhere:
            self.send_response(302)
            self.send_header("Location", f"http://{self.elsewhere}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            self.reached.set()
            return
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(b"SIMPLE  =                    T".ljust(80))
        self.wfile.flush()
        self.reached.set()
        self.over.wait(2 * PATIENCE_S)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(elsewhere: str = "") -> Iterator[tuple[str, threading.Event]]:
    """Serve a file that stands still, or leads elsewhere; yields the address, and what is set when it is asked for."""
    facts = {"reached": threading.Event(), "over": threading.Event(), "elsewhere": elsewhere}
    handler = type("Handler", (Stalled,), facts)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler.reached  # type: ignore[attr-defined]
    handler.over.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


def interrupt_a_fetch(url: str, reached: threading.Event, root: Path) -> tuple[float, int, str]:
    """Fetch a file, interrupt that where it waits, and return how long it took to end, exit code and words."""
    words = ["-m", "esorex_bridge", "fetch", SCIENCE, "--no-calibrations", "--yes", "--archive", url]
    process = subprocess.Popen(
        [sys.executable, *words, "--root", str(root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert reached.wait(PATIENCE_S)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, said = process.communicate(timeout=PATIENCE_S)
        return time.monotonic() - began, process.returncode, said
    finally:
        process.kill()
        process.communicate()


def test_an_interrupt_ends_a_download_that_stands_still(tmp_path: Path) -> None:
    with serving() as (url, reached):  # a read would wait for two minutes
        seconds, code, said = interrupt_a_fetch(url, reached, tmp_path)
    assert seconds < 60
    assert code == 130 and "interrupted" in said and "Traceback" not in said


def test_an_interrupt_ends_a_fetch_that_is_connecting(deaf: str, tmp_path: Path) -> None:
    with serving(deaf) as (url, reached):  # connecting would wait for twenty seconds
        seconds, code, said = interrupt_a_fetch(url, reached, tmp_path)
    assert seconds < 15
    assert code == 130 and "interrupted" in said and "Traceback" not in said


@pytest.fixture
def deaf() -> Iterator[str]:
    """Yield the address of a service that takes no more connections, so that connecting to it waits."""
    with socket.socket() as server, contextlib.ExitStack() as waiting:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(server.getsockname())
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """Yield the address of a service that takes connections and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("way", ["http://deaf", "https://silent", "http://silent", "http://unknown"])
def test_a_stop_ends_every_kind_of_wait(way: str, deaf: str, silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    unanswered, asked = threading.Event(), threading.Event()
    look_up = socket.getaddrinfo

    def look_up_slowly(host: str, *rest: Any, **named: Any) -> Any:
        asked.set()
        if host == "unknown":
            unanswered.wait(PATIENCE_S)
        return look_up("127.0.0.1", *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up_slowly)
    url = way.replace("deaf", deaf).replace("silent", silent)
    connection = Connection(Services.at(url))
    try:
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(connection.get, url)
            assert asked.wait(PATIENCE_S)
            time.sleep(0.1)
            began = time.monotonic()
            connection.stop()
            with pytest.raises(StoppedError):
                asking.result(PATIENCE_S)
        assert time.monotonic() - began < 15
        with pytest.raises(StoppedError):
            connection.get(url)
    finally:
        unanswered.set()
        connection.close()


def test_a_download_that_trickles_is_given_up_though_it_grows(small_archive: EmbeddedArchive, tmp_path: Path) -> None:
    small_archive.fault(Fault.TRICKLE, "file")
    patience = RetryPolicy(attempts=2, first_wait_s=0.01, slow_window_s=0.5)
    with ArchiveClient(Services.at(small_archive.url), patience=patience) as client:
        (file,) = client.fetch([SCIENCE], tmp_path).files
    assert file.status is FileStatus.FAILED and "bytes a second" in file.reason and "tried 2 times" in file.reason


def test_speed_is_looked_at_over_a_window() -> None:
    now = [0.0]
    watch = SpeedWatch(100.0, 60.0, lambda: now[0])
    assert not watch.is_too_slow(0)
    now[0] = 60.0
    assert not watch.is_too_slow(6000)
    now[0] = 119.0
    assert not watch.is_too_slow(6001)
    now[0] = 120.0
    assert watch.is_too_slow(6001)


@pytest.mark.parametrize("strange", ["link", "dangling link", "pipe", "folder"])
def test_a_part_that_is_no_file_of_ours_is_refused_and_left_alone(
    client: ArchiveClient, tmp_path: Path, strange: str
) -> None:
    data, precious = tmp_path / "data", tmp_path / "precious"
    data.mkdir()
    part = data / f"{SCIENCE}.part"
    if strange == "link":
        precious.write_text("precious")
    if strange.endswith("link"):
        part.symlink_to(precious)
    elif strange == "pipe":
        os.mkfifo(part)
    else:
        part.mkdir()
    (file,) = client.fetch([SCIENCE], data).files
    assert file.status is FileStatus.FAILED and "remove it" in file.reason
    assert precious.exists() is (strange == "link")
    assert strange != "link" or precious.read_text() == "precious"


@pytest.mark.parametrize(("etag", "modified"), [("", ""), ('W/"weak"', "")])
def test_without_a_sure_validator_a_part_is_begun_again(
    client: ArchiveClient, small_archive: EmbeddedArchive, tmp_path: Path, etag: str, modified: str
) -> None:
    (whole,) = client.fetch([SCIENCE], tmp_path / "whole").files
    assert whole.path is not None
    data = tmp_path / "data"
    data.mkdir()
    (data / f"{SCIENCE}.part").write_bytes(b"\x1f\x9d\x90 of another version")
    notes = {"version": 1, "total_bytes": whole.size_bytes, "etag": etag, "modified": modified, "name": ""}
    (data / f"{SCIENCE}.part.json").write_text(json.dumps(notes))
    (file,) = client.fetch([SCIENCE], data).files
    assert file.digest == whole.digest and file.path is not None
    assert file.path.read_bytes() == whole.path.read_bytes()


def test_two_downloads_whose_headers_were_patched_are_one_content(
    client: ArchiveClient, small_archive: EmbeddedArchive, tmp_path: Path
) -> None:
    small_archive.fault(Fault.HOTFLY, "file")
    files = [client.fetch([SCIENCE], tmp_path / folder).files[0] for folder in ("one", "two")]
    assert files[0].path is not None and files[1].path is not None
    assert files[0].path.read_bytes() != files[1].path.read_bytes()
    assert files[0].digest == files[1].digest is not None


def test_a_new_version_of_a_header_is_told(
    client: ArchiveClient, small_archive: EmbeddedArchive, tmp_path: Path
) -> None:
    small_archive.fault(Fault.HOTFLY, "file")
    (file,) = client.fetch([SCIENCE], tmp_path).files
    assert file.path is not None and not file.reason
    file.path.unlink()
    small_archive.clear_faults()
    (again,) = client.fetch([SCIENCE], tmp_path).files
    assert "its header is of version unknown now, and was of 1.0" in again.reason


def test_another_frame_under_the_name_is_refused_also_where_it_lies_there_already(
    client: ArchiveClient, small_archive: EmbeddedArchive, tmp_path: Path
) -> None:
    other = str(small_archive.holdings.nights[0].science[1].dp_id)
    (file,) = client.fetch([other], tmp_path).files
    assert file.path is not None
    file.path.rename(tmp_path / f"{SCIENCE}.fits.Z")
    (tmp_path / ".esorex_bridge_manifest.jsonl").unlink()
    (mended,) = client.fetch([SCIENCE], tmp_path).files
    assert mended.status is FileStatus.FETCHED and "is another frame" in mended.reason


def test_unpacking_is_bounded(tmp_path: Path) -> None:
    packed = tmp_path / "NACO.2016-03-02T00:30:00.076.fits.gz"
    with gzip.open(packed, "wb", compresslevel=9) as stream:
        data = f"NAXIS1  = {90 << 20:>20}"
        stream.write(header_bytes(["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 1", data]))
        for _ in range(90):
            stream.write(bytes(1 << 20))
    assert packed.stat().st_size < 200_000
    with pytest.raises(DataError, match="unpacks to more than"):
        unpack_if_due(packed, Digest("sha256:0"), "always")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 1_000_000


@pytest.mark.parametrize(
    ("name", "role", "released", "access"),
    [
        ("M.NACO.2011-05-17T16:06:09.793", "", None, "public"),
        (SCIENCE, "calibration", "2099-01-01T00:00:00.000Z", "public"),
        (SCIENCE, "science", "2017-03-02T00:00:00.000Z", "public"),
        (SCIENCE, "science", "2099-01-01T00:00:00.000Z", "protected"),
        (SCIENCE, "science", None, "unknown"),
        (SCIENCE, "science", "soon", "unknown"),
        (f"{SCIENCE}.NL", "night log", "2017-03-02", "unknown"),
    ],
)
def test_who_should_be_able_to_have_a_file(name: str, role: str, released: str | None, access: str) -> None:
    from datetime import UTC, datetime

    assert expected_access(name, role, released, datetime(2026, 1, 1, tzinfo=UTC)) == access


@pytest.mark.parametrize(
    ("named", "used"),
    [
        ("http://archive.eso.org/datalink/links?ID=x", "https://archive.eso.org/datalink/links?ID=x"),
        ("https://archive.eso.org:443/tap_obs/sync", "https://archive.eso.org/tap_obs/sync"),
        ("http://archive.eso.org:80/x", "https://archive.eso.org/x"),
        ("http://archive.eso.org:8080/x", "http://archive.eso.org:8080/x"),
        ("http://elsewhere.example/x", "http://elsewhere.example/x"),
        ("http://user@archive.eso.org/x", "http://user@archive.eso.org/x"),
    ],
)
def test_addresses_of_eso_are_used_by_https(named: str, used: str) -> None:
    services = Services()
    assert services.upgrade_address(named) == used
    assert services.trusts(used) is used.startswith("https://archive.eso.org/")
