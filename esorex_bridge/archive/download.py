"""Downloads: files of the archive into a folder, several at a time; every file asked for ends in the report."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path

from esorex_bridge.archive.access import expected_access
from esorex_bridge.archive.connection import Connection
from esorex_bridge.archive.download_list import WantedFile
from esorex_bridge.archive.exchange import StoppedError
from esorex_bridge.archive.file_fetcher import FileFetcher, existing
from esorex_bridge.archive.manifest import Manifest
from esorex_bridge.archive.report import Event, FetchReport, FileReport, FolderError, Listed, Progress
from esorex_bridge.archive.unpack import Unpacking
from esorex_bridge.errors import ArchiveError
from esorex_bridge.files import DpId

PARALLEL = 4
"""Connections at a time; others use four to eight, and the archive publishes no limit."""

_LOOK_S = 0.5


def fetch(
    files: Iterable[DpId | WantedFile],
    into: Path,
    connection: Connection,
    parallel: int = PARALLEL,
    progress: Progress | None = None,
    unpacking: Unpacking = "auto",
) -> FetchReport:
    """Fetch files of the archive into a folder.

    Parameters
    ----------
    files : iterable of str or WantedFile
        Archive names: `<dp_id>`, `<dp_id>.NL` (a night log), `M.…`, `ADP.…`; with who should be able to have them,
        where that is known. What comes first is fetched while what comes later is not known yet.
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
        If the folder cannot be written.
    """
    ended: dict[str, FileReport] = {}
    tell = progress or _silent

    def note(event: Event) -> None:
        if isinstance(event, FileReport):
            ended[event.name] = event
        tell(event)

    names: dict[DpId, None] = {}
    try:
        into.mkdir(parents=True, exist_ok=True)
        slots = threading.BoundedSemaphore(max(1, parallel))
        fetcher = FileFetcher(into, connection, Manifest(into), note, unpacking, existing(into), slots)
        _fetch_all(files, fetcher, max(1, parallel), names)
    except OSError as error:
        sofar = FetchReport(tuple(ended[name] for name in names if name in ended))
        raise FolderError(into, error.strerror or str(error), sofar) from error
    return FetchReport(tuple(ended[name] for name in names))


def _fetch_all(
    files: Iterable[DpId | WantedFile], fetcher: FileFetcher, parallel: int, names: dict[DpId, None]
) -> None:
    """Fetch files as they become known; a failure that concerns all of them stops what goes on."""
    connection = fetcher.connection
    jobs: list[Future[FileReport]] = []
    # While a file is verified and unpacked, another thread keeps its connection busy.
    with connection.stoppable(), ThreadPoolExecutor(2 * parallel, "fetch") as pool:
        try:
            for file in map(_with_access, files):
                if file.name not in names:
                    names[file.name] = None
                    jobs.append(pool.submit(fetcher.obtain, file))
                    fetcher.progress(Listed(len(names)))
            _await_all(jobs)
        except ArchiveError:
            if failed := _failure_of(jobs):
                _abandon(jobs, connection)
                raise failed from None
            raise  # the list of files broke off: what is under way may end
        except BaseException:
            _abandon(jobs, connection)
            raise


def _await_all(jobs: Iterable[Future[FileReport]]) -> None:
    """Wait for jobs, and raise the first failure; look up now and then, as Python may miss a Ctrl-C otherwise."""
    waiting = set(jobs)
    while waiting:
        done, waiting = wait(waiting, _LOOK_S, FIRST_EXCEPTION)
        for job in done:
            job.result()


def _failure_of(jobs: Iterable[Future[FileReport]]) -> BaseException | None:
    """Return the failure of a job that concerns all of them; those that were merely stopped have none of their own."""
    ended = [job.exception() for job in jobs if job.done() and not job.cancelled()]
    failures = [error for error in ended if error is not None]
    return next((error for error in failures if not isinstance(error, StoppedError)), next(iter(failures), None))


def _with_access(file: DpId | WantedFile) -> WantedFile:
    if isinstance(file, WantedFile):
        return file
    return WantedFile(file, (), "", access=expected_access(file, "", None, datetime.now(UTC)))


def _abandon(jobs: Iterable[Future[FileReport]], connection: Connection) -> None:
    connection.stop()
    for job in jobs:
        job.cancel()


def _silent(_: Event) -> None:
    pass
