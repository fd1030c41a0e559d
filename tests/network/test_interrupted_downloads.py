"""Downloads that are killed, stopped or run twice at once: what was complete stays, the rest resumes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from esorex_bridge.archive.client import ArchiveClient
from esorex_bridge.archive.exchange import StoppedError
from esorex_bridge.archive.report import FileReport, Received
from esorex_bridge.archive.services import Services
from esorex_bridge.archive.transfer import FileStatus
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.dummies import BLOCK, dummy_night
from esorex_bridge.fits.verify import verify_fits
from tests.batch_runs import await_that
from tests.commands import PATIENCE_S
from tests.network.conftest import await_quiet

FILES, SIZE = 12, 500_000
NIGHT = dummy_night(FILES, SIZE)
NAMES = [str(file.dp_id) for file in NIGHT.files]


@pytest.fixture
def slow(frames_folder: Path) -> Iterator[EmbeddedArchive]:
    """Serve files that take a quarter of a second each."""
    with EmbeddedArchive([NIGHT], frames_folder, bytes_per_s=2_000_000) as archive:
        yield archive


def start(archive: EmbeddedArchive, folder: Path) -> subprocess.Popen[str]:
    words = [
        str(Path(sys.executable).with_name("esorex-bridge")),
        "fetch",
        *NAMES,
        "--no-calibrations",
        "--yes",
        "--into",
        str(folder),
        "--archive",
        archive.url,
        "--parallel",
        "2",
    ]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def in_the_middle(folder: Path) -> bool:
    """Tell whether some files are there, and the part of another one has begun."""
    try:
        return len(list(folder.glob("*.fits"))) >= 3 and any(
            path.stat().st_size > 100_000 for path in folder.glob("*.part")
        )
    except FileNotFoundError:
        return False


def test_after_a_kill_in_the_middle_nothing_complete_is_fetched_twice_and_the_rest_resumes(
    slow: EmbeddedArchive, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    process = start(slow, folder)
    await_that(lambda: in_the_middle(folder))
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    complete = {path.name.removesuffix(".fits") for path in folder.glob("*.fits")}
    begun = {path.name.removesuffix(".part"): path.stat().st_size for path in folder.glob("*.part")}
    # The kill may have come between the last byte and the new name.
    whole = {name for name, size in begun.items() if size == SIZE // BLOCK * BLOCK}
    parts = {name for name, size in begun.items() if size > 0} - whole
    assert complete and begun
    for name in complete:
        verify_fits(folder / f"{name}.fits")
    # What the killed process sent last is logged when the archive comes to it.
    await_quiet(slow)
    slow.requests.clear()
    with ArchiveClient(Services.at(slow.url)) as client:
        report = client.fetch(NAMES, folder)
    assert report.complete
    assert {file.name for file in report.with_status(FileStatus.KEPT)} == complete
    asked = [request.path.rsplit("/", 1)[-1].replace("%3A", ":") for request in slow.requests]
    assert sorted(asked) == sorted(set(NAMES) - complete - whole)
    resumed = {request.path.rsplit("/", 1)[-1] for request in slow.requests if request.status == 206}
    assert resumed == parts
    assert not list(folder.glob("*.part*"))


def test_an_interrupt_ends_at_once_with_its_exit_code_and_keeps_what_is_complete(
    slow: EmbeddedArchive, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    process = start(slow, folder)
    await_that(lambda: in_the_middle(folder))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "interrupted" in said and "Traceback" not in said
    for path in folder.glob("*.fits"):
        verify_fits(path)


def test_two_runs_into_one_folder_fetch_each_file_once(slow: EmbeddedArchive, tmp_path: Path) -> None:
    reports: list[bool] = []

    def run() -> None:
        with ArchiveClient(Services.at(slow.url)) as client:
            reports.append(client.fetch(NAMES[:4], tmp_path).complete)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reports == [True, True]
    assert slow.count("file") == 4


def test_a_progress_that_raises_stops_the_downloads_and_the_client_still_works(
    slow: EmbeddedArchive, tmp_path: Path
) -> None:
    def refuse(event: Received | FileReport) -> None:
        if isinstance(event, FileReport):
            raise LookupError("enough")

    with ArchiveClient(Services.at(slow.url)) as client:
        with pytest.raises((LookupError, StoppedError)):
            client.fetch(NAMES, tmp_path, progress=refuse)
        assert slow.count("file") < FILES
        assert client.fetch(NAMES[:1], tmp_path).complete


def test_a_part_that_only_lacks_its_name_costs_no_request(slow: EmbeddedArchive, tmp_path: Path) -> None:
    with ArchiveClient(Services.at(slow.url)) as client:
        (file,) = client.fetch(NAMES[:1], tmp_path / "first").files
        assert file.path is not None
        (tmp_path / f"{NAMES[0]}.part").write_bytes(file.path.read_bytes())
        notes = {"version": 1, "total_bytes": file.size_bytes, "etag": "", "modified": "", "name": file.path.name}
        (tmp_path / f"{NAMES[0]}.part.json").write_text(json.dumps(notes))
        (again,) = client.fetch(NAMES[:1], tmp_path).files
    assert again.here and again.digest == file.digest
    assert slow.count("file") == 1


def test_a_part_of_unknown_origin_is_begun_again(slow: EmbeddedArchive, tmp_path: Path) -> None:
    (tmp_path / f"{NAMES[0]}.part").write_bytes(b"SIMPLE  = not the file" * 1000)
    with ArchiveClient(Services.at(slow.url)) as client:
        (file,) = client.fetch(NAMES[:1], tmp_path).files
    assert file.status is FileStatus.FETCHED and file.path is not None
    assert verify_fits(file.path).digest == file.digest
    assert [request.status for request in slow.requests] == [200]
