"""Downloads over loopback: what becomes of files, whatever the archive does."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import subprocess
from functools import cache
from pathlib import Path

import ncompress
import numpy as np
import pytest

from esorex_bridge.archive.client import ArchiveClient
from esorex_bridge.archive.exchange import RetryPolicy
from esorex_bridge.archive.file_fetcher import existing
from esorex_bridge.archive.report import FetchReport, FileReport, FolderError, Received
from esorex_bridge.archive.services import Services
from esorex_bridge.archive.transfer import FileStatus
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.archive.faults import Fault
from esorex_bridge.demo.nights.dummies import dummy_night
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight
from esorex_bridge.files import DpId
from esorex_bridge.fits.verify import verify_fits


@pytest.fixture
def science(small_archive: EmbeddedArchive) -> list[str]:
    """Return the names of the science frames."""
    return [str(file.dp_id) for file in small_archive.holdings.nights[0].science]


@cache
def frame_with_checksum() -> bytes:
    """Return a small image whose header states DATASUM and CHECKSUM."""
    from astropy.io import fits

    stream = io.BytesIO()
    fits.PrimaryHDU(np.arange(90_000, dtype=np.int16).reshape(300, 300)).writeto(stream, checksum=True)
    return stream.getvalue()


def statuses(report: FetchReport) -> list[str]:
    return [file.status.value for file in report.files]


def sound(report: FetchReport) -> bool:
    return all(file.path is not None and verify_fits(file.path).digest == file.digest for file in report.files)


def test_files_are_fetched_verified_and_reported_in_the_order_asked(
    client: ArchiveClient, science: list[str], tmp_path: Path
) -> None:
    report = client.fetch(science, tmp_path)
    assert [file.name for file in report.files] == science
    assert statuses(report) == ["fetched"] * len(science)
    assert report.complete and sound(report)
    assert set(report.paths) == set(science)


def test_packed_frames_stay_packed_and_their_digest_is_of_the_fits_stream(
    client: ArchiveClient, science: list[str], tmp_path: Path
) -> None:
    (file,) = client.fetch(science[:1], tmp_path).files
    assert file.path is not None and file.path.name == f"{science[0]}.fits.Z"
    stream: bytes = ncompress.decompress(file.path.read_bytes())
    assert file.digest == f"sha256:{hashlib.sha256(stream).hexdigest()}"


def test_nothing_is_left_beside_the_files_but_the_manifest(
    client: ArchiveClient, science: list[str], tmp_path: Path
) -> None:
    client.fetch(science, tmp_path)
    others = {path.name for path in tmp_path.iterdir()} - {f"{name}.fits.Z" for name in science}
    assert others == {".esorex_bridge_manifest.jsonl"}


def test_a_file_has_the_time_of_its_exposure_in_whole_seconds(
    client: ArchiveClient, science: list[str], tmp_path: Path
) -> None:
    for folder in ("one", "two"):
        (file,) = client.fetch(science[:1], tmp_path / folder).files
        assert file.path is not None
        assert file.path.stat().st_mtime_ns == 1456878600 * 10**9


def test_files_that_are_there_and_sound_cost_no_request(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str], tmp_path: Path
) -> None:
    first = client.fetch(science, tmp_path)
    before = small_archive.count("file")
    again = client.fetch(science, tmp_path)
    assert statuses(again) == ["kept"] * len(science)
    assert [file.digest for file in again.files] == [file.digest for file in first.files]
    assert small_archive.count("file") == before


def test_a_file_that_another_tool_fetched_is_verified_and_kept(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str], tmp_path: Path
) -> None:
    (file,) = client.fetch(science[:1], tmp_path / "other").files
    assert file.path is not None
    plain = tmp_path / "mine" / f"{science[0].replace(':', '_')}.fits"
    plain.parent.mkdir()
    plain.write_bytes(ncompress.decompress(file.path.read_bytes()))
    before = small_archive.count("file")
    (kept,) = client.fetch(science[:1], plain.parent).files
    assert (kept.status, kept.path, kept.digest) == (FileStatus.KEPT, plain, file.digest)
    assert small_archive.count("file") == before


def test_a_file_that_is_there_but_damaged_is_replaced(
    client: ArchiveClient, science: list[str], tmp_path: Path
) -> None:
    (file,) = client.fetch(science[:1], tmp_path).files
    assert file.path is not None
    whole = file.path.read_bytes()
    file.path.write_bytes(whole[: len(whole) // 2])
    (again,) = client.fetch(science[:1], tmp_path).files
    assert again.status is FileStatus.FETCHED
    assert "replaced a damaged file" in again.reason
    assert file.path.read_bytes() == whole


def test_a_file_asked_for_twice_is_fetched_once(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str], tmp_path: Path
) -> None:
    report = client.fetch([science[0], science[0]], tmp_path)
    assert len(report.files) == small_archive.count("file") == 1


def test_night_logs_come_as_text(client: ArchiveClient, science: list[str], tmp_path: Path) -> None:
    (file,) = client.fetch([f"{science[0]}.NL"], tmp_path).files
    assert file.path is not None and file.path.name == f"{science[0]}.NL.txt"
    assert "Grade:" in file.path.read_text()
    (kept,) = client.fetch([f"{science[0]}.NL"], tmp_path).files
    assert kept.status is FileStatus.KEPT


@pytest.mark.parametrize("fault", [Fault.TRUNCATED, Fault.RESET])
def test_a_connection_that_breaks_off_is_continued_where_it_broke(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str], tmp_path: Path, fault: Fault
) -> None:
    small_archive.fault(fault, kind="file", times=1)
    report = client.fetch(science[:1], tmp_path)
    assert statuses(report) == ["fetched"] and sound(report)
    assert [request.status for request in small_archive.requests] == [200, 206]
    assert small_archive.requests[1].range.startswith("bytes=")


def test_more_breaks_than_tries_are_borne_as_long_as_the_file_grows(frames_folder: Path, tmp_path: Path) -> None:
    night = dummy_night(1, 400_000)
    with EmbeddedArchive([night], frames_folder) as archive:
        archive.fault(Fault.TRUNCATED, kind="file", times=6)
        patience = RetryPolicy(attempts=3, first_wait_s=0.01)
        with ArchiveClient(Services.at(archive.url), patience=patience) as client:
            report = client.fetch([night.files[0].dp_id], tmp_path)
        assert statuses(report) == ["fetched"] and sound(report)
        assert len(archive.requests) == 7


def test_a_length_that_is_promised_and_never_comes_ends_as_failed_and_says_so(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str], tmp_path: Path
) -> None:
    small_archive.fault(Fault.WRONG_LENGTH, kind="file")
    (file,) = client.fetch(science[:1], tmp_path).files
    assert file.status is FileStatus.FAILED and file.path is None
    assert "bytes" in file.reason and "tried" in file.reason
    assert not list(tmp_path.glob("*.fits*.Z"))


@pytest.mark.parametrize("fault", [Fault.RANGE_IGNORED, Fault.OTHER_ETAG, Fault.OTHER_TOTAL])
def test_a_part_is_begun_again_where_the_archive_does_not_continue_the_same_file(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str], tmp_path: Path, fault: Fault
) -> None:
    small_archive.fault(Fault.TRUNCATED, kind="file", times=1)
    small_archive.fault(fault, kind="file", times=2)
    report = client.fetch(science[:1], tmp_path)
    assert statuses(report) == ["fetched"] and sound(report)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_archive_is_asked_again_after_the_pause_it_names(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str], tmp_path: Path, status: int
) -> None:
    small_archive.fault(f"http_{status}", kind="file", times=1)
    report = client.fetch(science, tmp_path, parallel=2)
    assert report.complete
    refused = next(place for place, request in enumerate(small_archive.requests) if request.status == status)
    # All connections rest: at most the request of the other one was on its way.
    assert refused <= 2


def test_an_error_that_passes_is_waited_out(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str], tmp_path: Path
) -> None:
    small_archive.fault(Fault.HTTP_500, kind="file", times=2)
    assert client.fetch(science[:1], tmp_path).complete


def test_an_error_that_stays_is_reported_and_the_other_files_come(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str], tmp_path: Path
) -> None:
    small_archive.fault(Fault.HTTP_500, kind="file", file=science[1])
    report = client.fetch(science, tmp_path)
    assert statuses(report) == ["fetched", "failed", *["fetched"] * (len(science) - 2)]
    assert "HTTP 500" in report.files[1].reason
    small_archive.clear_faults()
    before = small_archive.count("file")
    assert client.fetch(science, tmp_path).complete
    assert small_archive.count("file") == before + 1


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault.HTTP_401, FileStatus.DENIED),
        (Fault.HTTP_403, FileStatus.DENIED),
        (Fault.HTTP_404, FileStatus.MISSING),
    ],
)
def test_denied_and_missing_files_are_told_apart_and_not_asked_for_twice(
    client: ArchiveClient,
    small_archive: EmbeddedArchive,
    science: list[str],
    tmp_path: Path,
    fault: Fault,
    status: FileStatus,
) -> None:
    small_archive.fault(fault, kind="file", file=science[0])
    report = client.fetch(science[:2], tmp_path)
    assert [file.status for file in report.files] == [status, FileStatus.FETCHED]
    assert report.files[0].reason and not report.complete
    assert small_archive.count("file") == 2


def test_a_login_page_is_never_taken_for_a_file(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str], tmp_path: Path
) -> None:
    small_archive.fault(Fault.LOGIN_PAGE, kind="file")
    (file,) = client.fetch(science[:1], tmp_path).files
    assert file.status is FileStatus.FAILED
    assert "web page" in file.reason and "login" in file.reason
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]


def test_bytes_that_were_damaged_on_the_way_are_noticed_by_datasum_and_fetched_again(
    frames_folder: Path, tmp_path: Path, patience: RetryPolicy
) -> None:
    name = DpId("TESTER.2016-03-02T00:30:00.076")
    frame = ArchiveFile(name, "TEST", (("INSTRUME", "TESTER"),), frame_with_checksum)
    night = DemoNight("with checksum", "TESTER", (frame,), (), kept=False)
    with (
        EmbeddedArchive([night], frames_folder) as archive,
        ArchiveClient(Services.at(archive.url), patience=patience) as client,
    ):
        archive.fault(Fault.DAMAGED, kind="file", times=1)
        report = client.fetch([name], tmp_path)
        assert report.paths[name].read_bytes() == frame_with_checksum()
        assert archive.count("file") == 2


def test_a_file_that_comes_twice_with_the_same_wrong_datasum_is_kept_with_a_warning(
    frames_folder: Path, tmp_path: Path, patience: RetryPolicy
) -> None:
    name = DpId("TESTER.2016-03-02T00:30:00.076")
    frame = ArchiveFile(name, "TEST", (("INSTRUME", "TESTER"),), frame_with_checksum)
    night = DemoNight("with checksum", "TESTER", (frame,), (), kept=False)
    with (
        EmbeddedArchive([night], frames_folder) as archive,
        ArchiveClient(Services.at(archive.url), patience=patience) as client,
    ):
        archive.fault(Fault.DAMAGED, kind="file")
        (file,) = client.fetch([name], tmp_path).files
        assert file.status is FileStatus.FETCHED and "DATASUM" in file.reason and "warning" in file.reason
        assert archive.count("file") == 2
        (kept,) = client.fetch([name], tmp_path).files
        assert kept.status is FileStatus.KEPT and archive.count("file") == 2


def test_a_truncated_z_file_of_the_right_length_is_noticed_though_it_unpacks(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str], tmp_path: Path
) -> None:
    small_archive.fault(Fault.TRUNCATED_LZW, kind="file", times=1)
    report = client.fetch(science[:1], tmp_path)
    assert statuses(report) == ["fetched"] and sound(report)
    assert small_archive.count("file") == 2
    small_archive.fault(Fault.TRUNCATED_LZW, kind="file")
    (file,) = client.fetch(science[1:2], tmp_path).files
    assert file.status is FileStatus.FAILED and "cut off" in file.reason


def test_a_name_that_leads_out_of_the_folder_does_not(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str], tmp_path: Path
) -> None:
    small_archive.fault(Fault.MALICIOUS_NAME, kind="file")
    (file,) = client.fetch(science[:1], tmp_path / "deep" / "folder").files
    assert file.path is not None and file.path.parent == tmp_path / "deep" / "folder"
    assert file.path.name == f"{science[0]}.fits.Z"
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "", ".hidden", "NACO", "a b.c"])
def test_what_is_no_archive_name_is_not_asked_for(
    client: ArchiveClient, small_archive: EmbeddedArchive, tmp_path: Path, name: str
) -> None:
    (file,) = client.fetch([name], tmp_path).files
    assert file.status is FileStatus.FAILED and "no name" in file.reason
    assert not small_archive.requests


def test_a_slow_file_tells_its_progress_and_arrives(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str], tmp_path: Path
) -> None:
    small_archive.fault(Fault.SLOW, kind="file", times=1)
    seen: list[Received | FileReport] = []
    assert client.fetch(science[:1], tmp_path, progress=seen.append).complete
    assert isinstance(seen[-1], FileReport)
    received = [event for event in seen if isinstance(event, Received)]
    assert received and received[-1].size_bytes == received[-1].total_bytes


def test_a_damaged_manifest_costs_a_look_and_no_request(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str], tmp_path: Path
) -> None:
    client.fetch(science, tmp_path)
    manifest = tmp_path / ".esorex_bridge_manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-40] + b"\xff\x00{")
    before = small_archive.count("file")
    assert statuses(client.fetch(science, tmp_path)) == ["kept"] * len(science)
    assert small_archive.count("file") == before


def test_uves_files_are_unpacked_because_its_recipes_cannot_read_z(
    client: ArchiveClient, science: list[str], tmp_path: Path
) -> None:
    from esorex_bridge.archive.unpack import unpack_if_due

    (file,) = client.fetch(science[:1], tmp_path).files
    assert file.path is not None and file.digest is not None
    packed = file.path.rename(tmp_path / "UVES.2016-03-02T00:30:00.076.fits.Z")
    result = unpack_if_due(packed, file.digest, "auto")
    assert result == (tmp_path / "UVES.2016-03-02T00:30:00.076.fits", file.digest)
    assert not packed.exists() and verify_fits(result[0]).digest == file.digest
    assert unpack_if_due(result[0], file.digest, "auto") is None


def test_unpacked_files_count_as_there(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str], tmp_path: Path
) -> None:
    first = client.fetch(science[:1], tmp_path, unpacking="always")
    assert first.files[0].path == tmp_path / f"{science[0]}.fits"
    again = client.fetch(science[:1], tmp_path)
    assert (again.files[0].status, again.files[0].digest) == (FileStatus.KEPT, first.files[0].digest)
    assert small_archive.count("file") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_said_before_anything_is_asked(
    client: ArchiveClient, small_archive: EmbeddedArchive, science: list[str], tmp_path: Path
) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(FolderError, match="cannot be written"):
        client.fetch(science, tmp_path / "data")
    assert not small_archive.requests


def test_a_file_in_the_place_of_the_folder_is_a_clear_error(
    client: ArchiveClient, science: list[str], tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(FolderError, match="cannot be written"):
        client.fetch(science, tmp_path / "data")


def test_a_full_disk_stops_with_a_clear_error_and_keeps_what_was_verified(frames_folder: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this user cannot mount a small disk")
    night = dummy_night(4, 400_000)
    names = [str(file.dp_id) for file in night.files]
    try:
        with EmbeddedArchive([night], frames_folder) as archive, ArchiveClient(Services.at(archive.url)) as client:
            with pytest.raises(FolderError, match="No space left") as caught:
                client.fetch(names, disk, parallel=1)
            assert caught.value.report.files
            assert all(file.here for file in caught.value.report.files)
            verified = {file.name for file in caught.value.report.files}
            assert verified == set(existing(disk)) and f"the {len(verified)} files verified so far" in str(caught.value)
            for file in existing(disk).values():
                verify_fits(file)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
