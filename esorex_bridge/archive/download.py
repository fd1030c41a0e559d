"""Downloads: files of the archive into a folder, several at a time, resumed and verified.

Every file asked for ends in the report. A file has its name only when it was verified; until then its bytes lie beside
in a part, which the next run continues.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from email.utils import parsedate_to_datetime
from pathlib import Path

import requests
from msgspec import Struct
from msgspec.structs import replace
from urllib3.exceptions import HTTPError

from esorex_bridge.archive.connection import Connection
from esorex_bridge.archive.exchange import ServiceError
from esorex_bridge.archive.manifest import Manifest
from esorex_bridge.archive.part import Part, locked_part
from esorex_bridge.archive.report import FetchReport, FileReport, FolderError, Progress, Received
from esorex_bridge.archive.services import is_archive_name
from esorex_bridge.archive.transfer import (
    Begin,
    FileStatus,
    Partial,
    Refusal,
    is_fits_name,
    local_name,
    read_answer,
    request_headers,
    time_of,
)
from esorex_bridge.archive.unpack import Unpacking, unpacked
from esorex_bridge.archive.verify_stream import Arriving, PageError, digest_of
from esorex_bridge.errors import DataError
from esorex_bridge.files import stem

__all__ = ["PARALLEL", "FetchReport", "FileReport", "FolderError", "Progress", "Received", "existing", "fetch"]

PARALLEL = 4
"""Connections at a time; others use four to eight, and the archive publishes no limit."""

_CHUNK = 512 * 1024
_VERIFIERS = 2
_NOT_DATA = (".part", ".json", ".jsonl", ".xml", ".sh")
_UNDERSCORED_TIME = re.compile(r"T(\d\d)_(\d\d)_(\d\d)")


def fetch(
    files: Iterable[str],
    into: Path,
    connection: Connection,
    parallel: int = PARALLEL,
    progress: Progress | None = None,
    unpacking: Unpacking = "auto",
) -> FetchReport:
    """Fetch files of the archive into a folder.

    Parameters
    ----------
    files : iterable of str
        Archive names: `<dp_id>`, `<dp_id>.NL` (a night log), `M.…`, `ADP.…`.
    into : Path
        The data folder; made where it does not exist.
    connection : Connection
        To the archive.
    parallel : int
        Connections at a time.
    progress : callable, optional
        Told about bytes that came and files that ended.
    unpacking : {'auto', 'always', 'never'}
        Which packed files are unpacked afterwards: by default those whose recipes cannot read them.

    Returns
    -------
    FetchReport
        One entry per file; nothing is skipped silently.

    Raises
    ------
    FolderError
        Where the folder cannot be written.
    """
    names = tuple(dict.fromkeys(files))
    try:
        into.mkdir(parents=True, exist_ok=True)
        folder = _Folder(
            into,
            connection,
            Manifest(into),
            progress or _silent,
            unpacking,
            existing(into),
            threading.BoundedSemaphore(max(1, parallel)),
        )
    except OSError as error:
        raise FolderError(into, error.strerror or str(error)) from error
    done: dict[str, FileReport] = {}
    # While a few threads verify and unpack, others keep the connections busy.
    with connection.stoppable(), ThreadPoolExecutor(max(1, parallel) + _VERIFIERS, "fetch") as pool:
        jobs = {pool.submit(folder.obtain, name): name for name in names}
        try:
            for job in as_completed(jobs):
                done[jobs[job]] = job.result()
        except BaseException as error:
            _abandon(jobs, connection)
            if isinstance(error, OSError):
                sofar = FetchReport(tuple(done[name] for name in names if name in done))
                raise FolderError(into, error.strerror or str(error), sofar) from error
            raise
    return FetchReport(tuple(done[name] for name in names))


def existing(folder: Path) -> dict[str, Path]:
    """Return the files of a data folder by archive name, whatever their endings; parts and trees are none.

    Colons of a name may lie as underscores, as on other systems. A file that lies plain goes before a packed one.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.endswith(_NOT_DATA) or not path.is_file():
            continue
        name = stem(path.name)
        if name == path.name:
            name = path.name.rpartition(".")[0]
        found.setdefault(_UNDERSCORED_TIME.sub(r"T\1:\2:\3", name), path)
    return found


class _Again(Struct, frozen=True):
    """A try that came to nothing, and why."""

    reason: str


class _Folder(Struct, frozen=True):
    """A data folder that is being filled."""

    path: Path
    connection: Connection
    manifest: Manifest
    progress: Progress
    unpacking: Unpacking
    present: dict[str, Path]
    connections: threading.BoundedSemaphore

    def obtain(self, name: str) -> FileReport:
        """Return a file's report, after fetching it where it is not there."""
        report = self._obtain(name)
        if report.path is not None:
            report = self._unpack(report)
        self.progress(report)
        return report

    def _obtain(self, name: str) -> FileReport:
        if not is_archive_name(name):
            return FileReport(name, FileStatus.FAILED, "this is no name that an archive file can have; not asked for")
        damage = ""
        if (path := self.present.get(name)) is not None:
            report = self._kept(name, path)
            if report.here:
                return report
            damage = report.reason
        with locked_part(self.path, name, self._wait) as part:
            report = (self._fetched_meanwhile(name) if part.waited else None) or self._fetch(name, part)
        if damage and report.here:
            if path is not None and path != report.path:
                path.unlink(missing_ok=True)
            return replace(report, reason=f"replaced a damaged file ({damage})")
        return report

    def _fetched_meanwhile(self, name: str) -> FileReport | None:
        """Return the file that another run fetched while we waited for its part; None where it did not."""
        path = existing(self.path).get(name)
        report = self._kept(name, path) if path is not None else None
        return report if report is not None and report.here else None

    def _kept(self, name: str, path: Path) -> FileReport:
        digest = self.manifest.digest(path)
        if digest is None:
            try:
                digest = digest_of(path)
            except DataError as error:
                return FileReport(name, FileStatus.FAILED, str(error))
            self.manifest.record(path, digest)
        return FileReport(name, FileStatus.KEPT, "", path, path.stat().st_size, digest)

    def _fetch(self, name: str, part: Part) -> FileReport:
        failures, furthest = 0, 0
        while True:
            result = self._try(name, part)
            if isinstance(result, FileReport):
                return result
            size = part.size_bytes
            # A connection that breaks off is no failure as long as each one brings the file further than any before.
            failures = 1 if size > furthest else failures + 1
            furthest = max(furthest, size)
            if failures >= self.connection.patience.attempts:
                return FileReport(name, FileStatus.FAILED, f"{result.reason}; tried {failures} times")
            self.connection.rest(failures)

    def _try(self, name: str, part: Part) -> FileReport | _Again:
        partial = part.partial()
        arriving = Arriving(name)
        try:
            begin: Begin | FileReport | _Again
            if (finished := part.finished()) is not None:
                # An earlier run was stopped between the last byte and the new name.
                begin = finished
                part.read_into(arriving.feed)
            else:
                with self.connections:
                    begin = self._receive(name, part, partial, arriving)
            return self._finish(name, part, begin, arriving) if isinstance(begin, Begin) else begin
        except ServiceError as error:
            return FileReport(name, FileStatus.FAILED, error.reason)
        except PageError as error:
            part.forget()
            return FileReport(name, FileStatus.FAILED, f"{error}; try again, with a login if the data are proprietary")
        except DataError as error:
            part.forget()
            return _Again(str(error))

    def _finish(self, name: str, part: Part, begin: Begin, arriving: Arriving) -> FileReport:
        """Verify a part that came whole, and give it its name."""
        target = self.path / local_name(name, begin.name, arriving.head)
        digest = arriving.close(part.path, is_fits_name(target.name) or target.suffix == Path(name).suffix)
        part.publish(target, time_of(name, _modified_s(begin)))
        self.manifest.record(target, digest)
        return FileReport(name, FileStatus.FETCHED, "", target, target.stat().st_size, digest)

    def _receive(
        self, name: str, part: Part, partial: Partial | None, arriving: Arriving
    ) -> Begin | FileReport | _Again:
        """Let the bytes come into the part; return how they began, where all came."""
        url = self.connection.services.file_url(name)
        response = self.connection.open("GET", url, headers=request_headers(partial))
        with contextlib.closing(response):
            begin = read_answer(response.status_code, response.headers, partial, self.connection.has_login)
            if isinstance(begin, Refusal):
                if begin.status is not None:
                    return FileReport(name, begin.status, begin.reason)
                part.forget()
                return _Again(begin.reason)
            part.begin(begin)
            part.read_into(arriving.feed)
            return self._take(name, part, begin, response, arriving) or begin

    def _take(
        self, name: str, part: Part, begin: Begin, response: requests.Response, arriving: Arriving
    ) -> _Again | None:
        size = begin.offset
        # What has come is taken as it comes: a slow connection that breaks loses nothing.
        read = getattr(response.raw, "read1", response.raw.read)
        try:
            while chunk := read(_CHUNK, decode_content=False):
                part.write(chunk)
                arriving.feed(chunk)
                size += len(chunk)
                self.connection.check_stopped()
                self.progress(Received(name, size, begin.total_bytes))
        except (HTTPError, requests.RequestException):
            return _Again(f"the connection broke off after {size} of {begin.total_bytes or 'unknown'} bytes")
        if begin.total_bytes is not None and size != begin.total_bytes:
            return _Again(f"{size} of {begin.total_bytes} bytes came")
        return None

    def _unpack(self, report: FileReport) -> FileReport:
        assert report.path is not None and report.digest is not None
        try:
            result = unpacked(report.path, report.digest, self.unpacking)
        except DataError as error:
            return replace(report, status=FileStatus.FAILED, reason=str(error), path=None)
        if result is None:
            return report
        path, digest = result
        self.manifest.record(path, digest)
        return replace(report, path=path, digest=digest, size_bytes=path.stat().st_size)

    def _wait(self) -> None:
        self.connection.check_stopped()
        self.connection.rest(1)


def _abandon(jobs: Iterable[Future[FileReport]], connection: Connection) -> None:
    connection.stop()
    for job in jobs:
        job.cancel()


def _modified_s(begin: Begin) -> float:
    try:
        return parsedate_to_datetime(begin.modified).timestamp()
    except ValueError:
        return 0.0


def _silent(_: Received | FileReport) -> None:
    pass
