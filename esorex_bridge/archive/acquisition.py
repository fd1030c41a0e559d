"""From constraints to files on disk: query, associate, keep the trees, fetch what they name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.archive.access import Access, expected_access
from esorex_bridge.archive.calselector import AssociationReply, Outcome, without_tree
from esorex_bridge.archive.download import PARALLEL
from esorex_bridge.archive.download_list import WantedFile, list_files
from esorex_bridge.archive.linking import link_files
from esorex_bridge.archive.query import Constraints
from esorex_bridge.archive.report import FetchReport, Listed
from esorex_bridge.archive.sizes import DownloadSizes
from esorex_bridge.archive.trees import Folders, kept_replies, save_trees
from esorex_bridge.datasets.association import Mode
from esorex_bridge.disk.room import Room
from esorex_bridge.files import DpId

if TYPE_CHECKING:
    from esorex_bridge.archive.client import ArchiveClient, Row
    from esorex_bridge.archive.report import Event, Progress
    from esorex_bridge.archive.unpack import Unpacking


class AssociationWatcher(Protocol):
    """Is told how association goes on."""

    def associating(self, replies: tuple[AssociationReply, ...], frames: int, of: int) -> None:
        """Tell what calSelector answered just now, and how many frames have their answer."""


class FetchWatcher(AssociationWatcher, Protocol):
    """Is told what goes on."""

    def found(self, rows: tuple[Row, ...]) -> None:
        """Tell which frames the query found."""

    def associated(self, replies: tuple[AssociationReply, ...], files: tuple[DpId, ...]) -> None:
        """Tell what calSelector answered, and which files that makes."""

    def fetching(self, files: int) -> AbstractContextManager[Progress]:
        """Give what downloads tell their progress to."""


class Acquisition(Struct, frozen=True):
    """What was found, associated and fetched.

    Parameters
    ----------
    rows : tuple of dict
        The science frames, as the archive lists them.
    replies : tuple of AssociationReply
        calSelector's answers; together they cover all frames.
    files : tuple of str
        The archive names of all that belongs to them, science first.
    report : FetchReport or None
        What became of each file; None where nothing was to be fetched yet.
    """

    rows: tuple[Row, ...]
    replies: tuple[AssociationReply, ...]
    files: tuple[DpId, ...]
    report: FetchReport | None

    @property
    def complete(self) -> bool:
        """Whether all files are here."""
        return self.report is not None and self.report.complete

    @property
    def missing(self) -> dict[str, str]:
        """The files that are not here, with the reason."""
        files = self.report.files if self.report is not None else ()
        return {file.name: file.reason or file.status.value for file in files if not file.here}

    def __repr__(self) -> str:
        """Return how many frames were found, and how many files are here."""
        here = sum(file.here for file in self.report.files) if self.report is not None else 0
        return f"<Acquisition: {len(self.rows)} science frames, {here} of {len(self.files)} files here>"


def acquire(
    client: ArchiveClient,
    constraints: Constraints,
    mode: Mode,
    folders: Folders,
    watcher: FetchWatcher,
    room: Room,
    dry_run: bool = False,
) -> Acquisition:
    """Bring the frames that meet constraints, and all that calibrates them, into the folders of data.

    The frames are fetched while calSelector is asked about them, and calibrations as it names them.

    Parameters
    ----------
    client : ArchiveClient
        To the archive.
    constraints : Constraints
        Which science frames.
    mode : {'Raw2Raw', 'Raw2Master'}
        Calibrations as raw frames or as processed masters.
    folders : Folders
        Where data go.
    watcher : FetchWatcher
        Is told what goes on.
    room : Room
        Counts what is to be fetched, and refuses what the disks have no room for.
    dry_run : bool
        Ask, but fetch and write nothing.

    Raises
    ------
    ArchiveError
        If a service failed.
    UserError
        If a constraint is malformed, or the folder cannot be written.
    """
    rows = client.query(constraints)
    watcher.found(rows)
    by_name = {DpId(row["dp_id"]): row for row in rows}
    sizes = DownloadSizes(client, folders.asked, by_name, room)
    stream = FileStream(client, by_name, mode, by_name, None if dry_run else folders, watcher, sizes=sizes)
    if dry_run or not rows:
        files = tuple(file.name for file in stream)
        watcher.associated(stream.replies, files)
        return Acquisition(rows, stream.replies, files, None)
    with watcher.fetching(len(rows)) as progress:
        report = stream.fetch(progress=progress)
    files = tuple(file.name for file in report.files)
    watcher.associated(stream.replies, files)
    return Acquisition(rows, stream.replies, files, report)


class FileStream:
    """The files of science frames, each once, as they become known: the frames first, then what calSelector names.

    Iterating asks calSelector. With a folder, every answer is kept there as it comes, and answers of today that are
    there already are not asked for again: after a break only what is missing is asked.

    Parameters
    ----------
    client : ArchiveClient
        To the archive.
    names : iterable of str
        Science frames.
    mode : {'Raw2Raw', 'Raw2Master'}
        Kind of calibrations.
    rows : mapping
        What the archive says of the frames, as far as it is known.
    folders : Folders or None
        Where answers are kept, and where files are to go. Where downgraded datasets have a folder of their own, masters
        that are asked for, and the frames too, are listed as answers come, which tell where they belong.
    watcher : AssociationWatcher or None
        Is told how it goes on.
    night_logs : bool
        Whether the night logs of all science frames belong to it.
    sizes : DownloadSizes or None
        Counts the files: what does not fit on the disk is refused (`UserError`) as soon as that is known.
    """

    def __init__(
        self,
        client: ArchiveClient,
        names: Iterable[DpId],
        mode: Mode,
        rows: Mapping[DpId, Row],
        folders: Folders | None,
        watcher: AssociationWatcher | None = None,
        night_logs: bool = False,
        sizes: DownloadSizes | None = None,
    ) -> None:
        self._client, self._mode, self._rows, self._folders, self._watcher = client, mode, rows, folders, watcher
        self._night_logs = night_logs
        self._sizes = sizes
        self._names = tuple(dict.fromkeys(names))
        self._replies: list[AssociationReply] = []

    @property
    def replies(self) -> tuple[AssociationReply, ...]:
        """calSelector's answers so far."""
        return tuple(self._replies)

    def fetch(
        self, parallel: int = PARALLEL, progress: Progress | None = None, unpacking: Unpacking = "auto"
    ) -> FetchReport:
        """Fetch the files, each into the folder of its dataset."""
        assert self._folders is not None
        return fetch_files(self._client, self, self._folders, lambda: self._replies, parallel, progress, unpacking)

    def __iter__(self) -> Iterator[WantedFile]:
        """Yield the files."""
        known: dict[DpId, Row] = dict(self._rows)
        access = access_of(known)
        if self._sizes is not None:
            self._sizes.take(self._names)
        given: set[tuple[str, bool]] = set()
        late = self._mode == "Raw2Master" and self._folders is not None and self._folders.downgraded is not None
        first = () if late else self._names
        for file in list_files(first, (), self._night_logs, access=access).files:
            given.add((file.name, file.downgraded))
            yield file
        answered: set[str] = set()
        for batch in ask_in_batches(self._client, self._names, self._mode, self._rows, self._folders):
            self._replies += batch
            siblings = rows_of_siblings(known, batch)
            known.update(siblings)
            answered.update(name for reply in batch for name in (reply.asked, *reply.covers))
            if self._watcher is not None:
                done = sum(name in answered for name in self._names)
                self._watcher.associating(batch, done, len(self._names))
            files = list_files((), batch, self._night_logs, access=access).files
            if self._sizes is not None:
                self._sizes.learn(siblings)
                self._sizes.take(file.name for file in files)
            for file in files:
                if (file.name, file.downgraded) not in given:
                    given.add((file.name, file.downgraded))
                    yield file


def fetch_files(
    client: ArchiveClient,
    files: Iterable[WantedFile],
    folders: Folders,
    replies: Callable[[], Iterable[AssociationReply]],
    parallel: int = PARALLEL,
    progress: Progress | None = None,
    unpacking: Unpacking = "auto",
) -> FetchReport:
    """Fetch files, each into the folder of its dataset; those of downgraded datasets last.

    Parameters
    ----------
    client : ArchiveClient
        To the archive.
    files : iterable of WantedFile
        May become known while others are fetched.
    folders : Folders
        Where data go.
    replies : callable
        Returns calSelector's answers, once all files are known: what downgraded datasets share with others, and what
        lies in the other folder since before, is linked rather than fetched again.
    parallel, progress, unpacking
        As for `download.fetch`.
    """
    if folders.downgraded is None:
        return client.fetch(files, folders.asked, parallel, progress, unpacking)
    apart: dict[str, WantedFile] = {}

    def list_asked() -> Iterator[WantedFile]:
        for file in files:
            if file.downgraded:
                apart[file.name] = file
            else:
                yield file

    report = client.fetch(list_asked(), folders.asked, parallel, progress, unpacking)
    if not apart:
        return report
    link_files(
        (name for reply in replies() if reply.downgraded for name in (*reply.covers, *_names_in(reply))),
        folders.asked,
        folders.downgraded,
    )
    more = _count_on(progress, len(report.files)) if progress is not None else None
    rest = client.fetch(tuple(apart.values()), folders.downgraded, parallel, more, unpacking)
    listed = {file.name for file in report.files}
    return FetchReport((*report.files, *(file for file in rest.files if file.name not in listed)))


def _names_in(reply: AssociationReply) -> Iterator[DpId]:
    return (file.name for file in reply.listed)


def _count_on(progress: Progress, before: int) -> Progress:
    """Return a progress that counts files on from those that were fetched before."""

    def tell(event: Event) -> None:
        progress(Listed(before + event.files) if isinstance(event, Listed) else event)

    return tell


def keep_trees(replies: Iterable[AssociationReply], folders: Folders) -> tuple[Path, ...]:
    """Keep the documents of answers, each in the folder of its dataset; return where, in the order of the answers."""
    now = datetime.now(UTC)
    return tuple(path for reply in replies for path in save_trees((reply,), folders.of(reply), now))


def rows_of_siblings(rows: Mapping[DpId, Row], replies: Iterable[AssociationReply]) -> dict[DpId, Row]:
    """Return rows for the frames that calSelector added: those of one template are released together."""
    return {
        name: rows[reply.asked] for reply in replies if reply.asked in rows for name in reply.covers if name not in rows
    }


def access_of(rows: Mapping[DpId, Row]) -> Callable[[DpId, str], Access]:
    """Return what tells who should be able to have a file, from what the archive says of some frames."""
    now = datetime.now(UTC)

    def access(name: DpId, role: str) -> Access:
        released = rows.get(name, {}).get("release_date")
        return expected_access(name, role, None if released is None else str(released), now)

    return access


def ask(
    client: ArchiveClient, names: Sequence[DpId], mode: Mode, rows: Mapping[DpId, Row], keep: Folders | None = None
) -> tuple[AssociationReply, ...]:
    """Return calSelector's answers for frames; see `ask_in_batches`."""
    return tuple(reply for batch in ask_in_batches(client, names, mode, rows, keep) for reply in batch)


def ask_in_batches(
    client: ArchiveClient, names: Sequence[DpId], mode: Mode, rows: Mapping[DpId, Row], keep: Folders | None = None
) -> Iterator[tuple[AssociationReply, ...]]:
    """Yield calSelector's answers for frames as they come.

    The archive's own rows tell the template of each frame, to ask less, and whether it is a science frame. Others are
    not asked for together with science frames, because they make calSelector call the associations of all incomplete.

    Parameters
    ----------
    client : ArchiveClient
        To the archive.
    names : sequence of str
        Archive names of frames.
    mode : {'Raw2Raw', 'Raw2Master'}
        Kind of calibrations.
    rows : mapping
        `dp_cat`, `tpl_start` and `release_date` by dp_id, as far as they are known. Frames under protection have no
        row; they pass for science.
    keep : Folders, optional
        Of the data: answers are kept there as they come, and those of today that are there are not asked for again.
    """
    other = {
        name: str(row["dp_cat"])
        for name in names
        if (row := rows.get(name)) is not None and row.get("dp_cat") not in (None, "SCIENCE")
    }
    if len(other) == len(names):
        other = {}
    science = tuple(name for name in names if name not in other)
    for folder in keep.all if keep is not None else ():
        if known := kept_replies(folder, science, mode, datetime.now(UTC)):
            yield known
            covered = {name for reply in known for name in (reply.asked, *reply.covers)}
            science = tuple(name for name in science if name not in covered)
    templates = {name: str(rows[name]["tpl_start"]) for name in science if rows.get(name, {}).get("tpl_start")}
    access = access_of(rows)
    for batch in client.association_batches(science, mode, templates, lambda name: access(name, "science") == "public"):
        if keep is not None:
            keep_trees(batch, keep)
            batch = tuple(replace(reply, document=b"") for reply in batch)  # it lies in the folder now
        yield batch
    said = "calSelector is not asked about it together with science frames"
    if other:
        yield tuple(
            without_tree(name, mode, Outcome.NOT_SUPPORTED, f"a frame of category {category}: {said}")
            for name, category in other.items()
        )
