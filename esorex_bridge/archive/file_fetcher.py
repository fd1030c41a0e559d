"""One file of the archive: kept where it lies whole, else fetched, continued, tried again, verified and named.

A file has its name only when it was verified; until then its bytes lie beside in a part, which the next run continues.
"""

from __future__ import annotations

import contextlib
import re
import threading
from email.utils import parsedate_to_datetime
from pathlib import Path

import requests
from msgspec import Struct
from msgspec.structs import replace
from urllib3.exceptions import HTTPError

from esorex_bridge.archive.auth import LoginError, NoLoginServiceError
from esorex_bridge.archive.bodies import pieces_of
from esorex_bridge.archive.connection import Connection
from esorex_bridge.archive.download_list import WantedFile
from esorex_bridge.archive.exchange import ServiceError, is_page, retries, what_came
from esorex_bridge.archive.manifest import Manifest
from esorex_bridge.archive.part import PartialFile, locked_part
from esorex_bridge.archive.report import FileReport, Progress, Received
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
from esorex_bridge.archive.unpack import Unpacking, unpack_if_due
from esorex_bridge.archive.verify_stream import (
    Arriving,
    PageError,
    refuse_other_frame,
    verified_file,
)
from esorex_bridge.disk.stamp import settled_stamp, stamp_of, steady_stamp
from esorex_bridge.errors import DataError
from esorex_bridge.files import Digest, DpId, stem

_CHUNK = 1 << 20
_EXCERPT = 8192
_NOT_DATA = (".part", ".json", ".jsonl", ".xml", ".sh")
_UNDERSCORED_TIME = re.compile(r"T(\d\d)_(\d\d)_(\d\d)")


def existing(folder: Path) -> dict[DpId, Path]:
    """Return the files of a data folder by archive name, whatever their endings; parts and trees are none.

    Colons of a name may lie as underscores, as on other systems. A file that lies plain goes before a packed one.
    """
    found: dict[DpId, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.endswith(_NOT_DATA) or not path.is_file():
            continue
        name = stem(path.name)
        if name == path.name:
            name = DpId(path.name.rpartition(".")[0])
        found.setdefault(DpId(_UNDERSCORED_TIME.sub(r"T\1:\2:\3", name)), path)
    return found


class _Retry(Struct, frozen=True):
    """A failed attempt and its reason.

    Parameters
    ----------
    reason : str
        In words.
    odd : Digest or None
        What came, where it is whole but has a fault that the file may have by itself.
    hopeless : bool
        Whether bytes that came do not count for it: they came too slowly.
    """

    reason: str
    odd: Digest | None = None
    hopeless: bool = False


class FileFetcher(Struct, frozen=True):
    """Obtains single files for a data folder; safe to share between threads.

    Parameters
    ----------
    path : Path
        The data folder.
    connection : Connection
        To the archive.
    manifest : Manifest
        What was verified in the folder before.
    progress : callable
        Told about bytes that came and files that ended.
    unpacking : {'auto', 'always', 'never'}
        Which packed files are unpacked.
    present : dict of str to Path
        What was in the folder at the start.
    connections : BoundedSemaphore
        Held by each file while its bytes come.
    """

    path: Path
    connection: Connection
    manifest: Manifest
    progress: Progress
    unpacking: Unpacking
    present: dict[DpId, Path]
    connections: threading.BoundedSemaphore

    def obtain(self, file: WantedFile) -> FileReport:
        """Return a file's report, after fetching it where it is not there."""
        try:
            report = self._obtain(file)
            if report.path is not None:
                report = self._unpack(report)
            self.progress(report)
        except BaseException:
            # Disk full, or a caller who had enough: whoever lists further files need not go on either.
            self.connection.stop()
            raise
        return report

    def _obtain(self, file: WantedFile) -> FileReport:
        name = file.name
        if not is_archive_name(name):
            return FileReport(name, FileStatus.FAILED, "this is no name that an archive file can have; not asked for")
        damage = ""
        if (path := self.present.get(name)) is not None:
            report = self._report_kept(name, path)
            if report.here:
                return report
            damage = report.reason
        try:
            with locked_part(self.path, name, self._wait) as part:
                report = (self._fetched_meanwhile(name) if part.waited else None) or self._fetch(file, part)
        except DataError as error:
            return FileReport(name, FileStatus.FAILED, str(error))
        if damage and report.here:
            if path is not None and path != report.path:
                path.unlink(missing_ok=True)
            said = f"; {report.reason}" if report.reason else ""
            return replace(report, reason=f"replaced a damaged file ({damage}){said}")
        return report

    def _fetched_meanwhile(self, name: DpId) -> FileReport | None:
        """Return the file that another run fetched while we waited for its part; None where it did not."""
        path = existing(self.path).get(name)
        report = self._report_kept(name, path) if path is not None else None
        return report if report is not None and report.here else None

    def _report_kept(self, name: DpId, path: Path) -> FileReport:
        stamp = stamp_of(path)
        digest = self.manifest.digest(path)
        if digest is None:
            try:
                found = verified_file(path)
                refuse_other_frame(name, path)
            except DataError as error:
                return FileReport(name, FileStatus.FAILED, str(error))
            if found.oddities:
                return FileReport(name, FileStatus.FAILED, f"{path} {found.oddities[0]}")
            digest, stamp = found.digest, steady_stamp(path, stamp)
            self.manifest.record(path, digest, stamp)
        return FileReport(name, FileStatus.KEPT, "", path, path.stat().st_size, digest, stamp)

    def _fetch(self, file: WantedFile, part: PartialFile) -> FileReport:
        failures, furthest = 0, 0
        odd: Digest | None = None
        while True:
            result = self._try(file, part, odd)
            if isinstance(result, FileReport):
                return result
            odd = result.odd
            size = part.size_bytes
            # A connection that breaks off is no failure as long as each one brings the file further than any before.
            failures = 1 if size > furthest and not result.hopeless else failures + 1
            furthest = max(furthest, size)
            if failures >= self.connection.patience.attempts:
                return FileReport(file.name, FileStatus.FAILED, f"{result.reason}; tried {failures} times")
            retries.warning("%s: %s; try %d", file.name, result.reason, failures + 1)
            self.connection.rest(failures)

    def _try(self, file: WantedFile, part: PartialFile, odd: Digest | None) -> FileReport | _Retry:
        name = file.name
        partial = part.partial()
        arriving = Arriving(name)
        try:
            begin: Begin | FileReport | _Retry
            if (finished := part.find_finished()) is not None:
                # An earlier run was stopped between the last byte and the new name.
                begin = finished
                part.read_into(arriving.feed)
            else:
                with self.connections:
                    begin = self._receive(file, part, partial, arriving)
            return self._finish(name, part, begin, arriving, odd) if isinstance(begin, Begin) else begin
        except ServiceError as error:
            return FileReport(name, FileStatus.FAILED, error.reason)
        except (LoginError, NoLoginServiceError) as error:
            # Other files may be public.
            return FileReport(name, FileStatus.DENIED, str(error))
        except PageError as error:
            part.forget()
            if file.access == "public":
                return _Retry(str(error))
            return FileReport(name, FileStatus.FAILED, f"{error}; try again, with a login if the data are proprietary")
        except DataError as error:
            part.forget()
            return _Retry(str(error))

    def _finish(
        self, name: DpId, part: PartialFile, begin: Begin, arriving: Arriving, odd: Digest | None
    ) -> FileReport | _Retry:
        """Verify a part that came whole, and give it its name.

        A fault that a file may have by itself is believed when the same content comes twice.
        """
        target = self.path / local_name(name, begin.name, arriving.head)
        found = arriving.close(part.path, is_fits_name(target.name) or target.suffix == Path(name).suffix)
        if found.oddities and found.digest != odd:
            part.forget()
            return _Retry(f"{name} {found.oddities[0]}", found.digest)
        version = refuse_other_frame(name, part.path) if is_fits_name(target.name) else ""
        said = [f"warning: it came twice like this: {found.oddities[0]}"] if found.oddities else []
        if (before := self.manifest.header_version(target)) and version != before:
            said.append(f"its header is of version {version or 'unknown'} now, and was of {before}")
        stamp = part.publish(target, time_of(name, _modified_s(begin)))
        self.manifest.record(target, found.digest, stamp, version)
        size = target.stat().st_size
        return FileReport(name, FileStatus.FETCHED, "; ".join(said), target, size, found.digest, stamp)

    def _receive(
        self, file: WantedFile, part: PartialFile, partial: Partial | None, arriving: Arriving
    ) -> Begin | FileReport | _Retry:
        """Let the bytes come into the part; return how they began, where all came."""
        public = file.access == "public"
        response = self.connection.open(
            "GET",
            self.connection.services.file_url(file.name),
            headers=request_headers(partial),
            anonymous=public,
            refusals=len(self.connection.patience.refusal_waits_s) if public else 0,
        )
        with contextlib.closing(response):
            headers, has_login = response.headers, self.connection.has_login
            page = _page_of(response)
            begin = read_answer(response.status_code, headers, partial, has_login, file.access, page)
            if isinstance(begin, Refusal):
                if begin.status is not None:
                    return FileReport(file.name, begin.status, begin.reason)
                part.forget()
                return _Retry(begin.reason)
            part.begin(begin)
            part.read_into(arriving.feed)
            return self._take(file.name, part, begin, response, arriving) or begin

    def _take(
        self, name: DpId, part: PartialFile, begin: Begin, response: requests.Response, arriving: Arriving
    ) -> _Retry | None:
        size = begin.offset
        watch = self.connection.watch_speed()
        try:
            for chunk in pieces_of(response, _CHUNK, decoded=False):
                part.write(chunk)
                arriving.feed(chunk)
                size += len(chunk)
                self.connection.check_stopped()
                self.progress(Received(name, size, begin.total_bytes))
                if watch.is_too_slow(size - begin.offset):
                    return _Retry(watch.reason, hopeless=True)
        except (HTTPError, requests.RequestException):
            self.connection.check_stopped()
            return _Retry(f"the connection broke off after {size} of {begin.total_bytes or 'unknown'} bytes")
        if begin.total_bytes is not None and size != begin.total_bytes:
            self.connection.check_stopped()
            return _Retry(f"{size} of {begin.total_bytes} bytes came")
        return None

    def _unpack(self, report: FileReport) -> FileReport:
        assert report.path is not None and report.digest is not None
        try:
            result = unpack_if_due(report.path, report.digest, self.unpacking)
        except DataError as error:
            return replace(report, status=FileStatus.FAILED, reason=str(error), path=None)
        if result is None:
            return report
        path, digest = result
        stamp = settled_stamp(path)
        self.manifest.record(path, digest, stamp)
        return replace(report, path=path, digest=digest, size_bytes=path.stat().st_size, stamp=stamp)

    def _wait(self) -> None:
        self.connection.check_stopped()
        self.connection.rest(1)


def _page_of(response: requests.Response) -> str:
    """Return what a web page that came in the place of a file says; nothing is read of any other answer."""
    kind = response.headers.get("Content-Type", "")
    if response.status_code != 200 or not is_page(kind, b""):
        return ""
    try:
        return what_came(kind, next(response.iter_content(_EXCERPT), b""))
    except (HTTPError, requests.RequestException):
        return what_came(kind, b"")


def _modified_s(begin: Begin) -> float:
    try:
        return parsedate_to_datetime(begin.modified).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError, OSError):
        return 0.0
