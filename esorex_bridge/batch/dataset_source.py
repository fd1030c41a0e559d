"""Supply: the datasets of a batch with their plans, each as soon as its files are there.

One thread asks the archive and fetches; the driver takes what is ready whenever it looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from esorex_bridge.archive.report import readings_of
from esorex_bridge.batch.jobs import Job
from esorex_bridge.datasets.association import AssociationTree, Mode
from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.datasets.shared import Shared
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.disk.digest import Reading
from esorex_bridge.errors import ArchiveError, BridgeError, UserError
from esorex_bridge.files import DpId
from esorex_bridge.fits.hdus import read_keywords
from esorex_bridge.fits.identity import IDENTIFYING, STATING
from esorex_bridge.plan.copies import WHEN
from esorex_bridge.plan.plan import Keywords, Plan
from esorex_bridge.planning.planning import Planning

if TYPE_CHECKING:
    from esorex_bridge.archive.calselector import AssociationReply
    from esorex_bridge.archive.client import ArchiveClient, Row
    from esorex_bridge.archive.download_list import WantedFile
    from esorex_bridge.archive.report import Event, FileReport
    from esorex_bridge.archive.trees import Folders
    from esorex_bridge.disk.room import Room


_HEADERS_KEPT = 4

PORTION = 250
"""So many datasets of those on disk are taken at a time: memory holds the plans of one portion."""


class Planned(Struct, frozen=True):
    """A dataset with its plan and workflow; the plan has the dataset's name in this batch (`…_tpl@rej=1_1`)."""

    job: str
    dataset: Dataset
    plan: Plan
    workflow: Workflow


class Unplanned(Struct, frozen=True):
    """Something that was asked for and that there is no plan for, with the reason.

    The outcome is `incomplete` where data are missing, `nothing observed` where the archive has no such frame, and
    `unreachable` where it could not be asked.
    """

    job: str
    name: str
    reason: str
    outcome: str = "incomplete"


class Downloaded(Struct, frozen=True):
    """Files that ended: with their digests where they are here, with the reason where they are not."""

    readings: dict[str, Reading]
    missing: tuple[tuple[str, str], ...]


Item = Planned | Unplanned | Downloaded


class Fetching(Struct):
    """How the downloads stand."""

    files: int = 0
    ended: int = 0
    size_bytes: int = 0


class _Awaited(Struct):
    """A tree some of whose files are on their way."""

    job: Job
    tree: AssociationTree
    lacking: set[str] = field(default_factory=set)


class _Fetched(Struct, frozen=True):
    """All files of a job ended."""

    job: Job


class _NothingObservedError(UserError):
    """The archive answered, and has nothing of what a job asks for."""


class Supply:
    """The datasets of a batch.

    Parameters
    ----------
    jobs : tuple of Job
        What is asked for.
    planning : Planning
        Of the data root, with parameters that hold for all jobs.
    client : callable
        Returns the archive's client.
    room : Room
        Counts what is to be fetched, and refuses what the disks have no room for.

    Attributes
    ----------
    ready : bool
        Whether more can be taken at once.
    fetching : Fetching
        How the downloads stand.
    """

    def __init__(
        self, jobs: tuple[Job, ...], planning: Planning, client: Callable[[], ArchiveClient], room: Room
    ) -> None:
        self._jobs = jobs
        self._whole = planning
        self._client_of = client
        self._room = room
        self._client: ArchiveClient | None = None
        self._plannings: dict[tuple[Mode, Path | None], Planning] = {}
        self._shared: dict[tuple[Mode, str], Shared] = {}
        self._header = lru_cache(_HEADERS_KEPT)(read_keywords)
        self._awaited: dict[str, list[_Awaited]] = {}
        self._heard: SimpleQueue[FileReport | _Awaited | _Fetched | Unplanned] = SimpleQueue()
        self._names: dict[str, int] = {}
        self._on_disk: Iterator[Item] = iter(())
        self.ready = False
        self._fetcher = Thread(target=self._fetch, name="fetch", daemon=True)
        self._begun = False
        self.fetching = Fetching()

    @property
    def finished(self) -> bool:
        """Whether nothing more will come."""
        fetched = not self._fetcher.is_alive() and self._heard.empty() and not self._awaited
        return self._begun and not self.ready and fetched

    def stop(self) -> None:
        """Stop fetching; parts stay and are continued another time."""
        if self._client is not None:
            self._client.connection.stop()
        if self._begun:
            self._fetcher.join()

    def take(self) -> tuple[Item, ...]:
        """Return a portion of what is ready; the first call begins to fetch. Whether there is more, `ready` says."""
        items: list[Item] = []
        if not self._begun:
            self._begun = self.ready = True
            self._fetcher.start()
            self._on_disk = self.on_disk()
        if self.ready:
            items.extend(islice(self._on_disk, PORTION))
            self.ready = len(items) == PORTION
        ready, ended = self._listen(items)
        if ended:
            items.append(
                Downloaded(readings_of(ended), tuple((file.name, file.reason) for file in ended if not file.here))
            )
        items.extend(self._plan_fetched(ready))
        return tuple(items)

    # ----- what is here

    def _planning(self, job: Job) -> Planning:
        key = job.mode, job.workflow
        if key not in self._plannings:
            workflow = job.workflow or self._whole.settings.workflow
            self._plannings[key] = self._whole.with_settings(mode=job.mode, workflow=workflow)
        return self._plannings[key]

    def on_disk(self) -> Iterator[Item]:
        """Yield what needs no archive, each dataset when it is its turn; `take` begins with it."""
        for job in self._jobs:
            if job.datasets:
                try:
                    for dataset in self._planning(job).each_dataset(() if job.datasets == ("all",) else job.datasets):
                        yield from self._plans(job, dataset)
                except BridgeError as error:
                    yield Unplanned(job.name, ", ".join(job.datasets), str(error))

    def _plan_fetched(self, ready: list[_Awaited]) -> Iterator[Item]:
        """Yield the plans of trees whose files ended; each folder is looked at once."""
        by_job: dict[str, list[_Awaited]] = {}
        for awaited in ready:
            by_job.setdefault(awaited.job.name, []).append(awaited)
        for group in by_job.values():
            job = group[0].job
            for dataset in self._planning(job).datasets_of(awaited.tree for awaited in group):
                yield from self._plans(job, dataset)

    def _plans(self, job: Job, asked: Dataset) -> Iterator[Item]:
        if asked.name in job.skip:
            return
        planning = self._planning(job)
        try:
            workflow = planning.workflow_for(asked, self._header)
            header = partial(self._select, keywords_for(workflow))
            shared = self._shared.setdefault((job.mode, workflow.name), Shared())
            variants = [
                (variant, *planning.plan(asked, workflow, header, variant.settings, shared))
                for variant in job.variants(asked.name)
            ]
        except BridgeError as error:
            yield Unplanned(job.name, asked.name, str(error))
            return
        for variant, dataset, plan in variants:
            named = self._name_apart(replace(plan, dataset=f"{plan.dataset}{variant.label}"), job)
            if named is not None:
                yield Planned(job.name, dataset, named, workflow)

    def _name_apart(self, plan: Plan, job: Job) -> Plan | None:
        """Return a plan under a name that no other plan of the batch has; None where it is there already.

        Plans are let go, so that steps are compared by their hashes.
        """
        name, steps = plan.dataset, hash(plan.steps)
        if name in self._names:
            if self._names[name] == steps:
                return None
            plan = replace(plan, dataset=f"{name}@{job.name.replace(' ', '_')}")
        self._names[plan.dataset] = steps
        return plan

    def _select(self, wanted: tuple[str, ...], path: Path) -> Keywords:
        """Return the keywords that planning looks at; whole headers of a season would fill the memory."""
        return self._header(path).select(wanted)

    # ----- what comes

    def _listen(self, items: list[Item]) -> tuple[list[_Awaited], list[FileReport]]:
        """Return the trees that became ready, and the files that ended; the rest goes into `items`."""
        ready: list[_Awaited] = []
        ended: list[FileReport] = []
        while True:
            try:
                heard = self._heard.get_nowait()
            except Empty:
                return ready, ended
            if isinstance(heard, Unplanned):
                items.append(heard)
            elif isinstance(heard, _Awaited):
                for name in heard.lacking:
                    self._awaited.setdefault(name, []).append(heard)
            elif isinstance(heard, _Fetched):
                ready.extend(self._list_left(heard.job))
            else:
                ended.append(heard)
                ready.extend(self._settle(heard.name))

    def _settle(self, name: str) -> Iterator[_Awaited]:
        for awaited in self._awaited.pop(name, ()):
            awaited.lacking.discard(name)
            if not awaited.lacking:
                yield awaited

    def _list_left(self, job: Job) -> Iterator[_Awaited]:
        """Yield what still waits for files though the fetching of its job ended: it goes without them."""
        left = {id(entry): entry for entries in self._awaited.values() for entry in entries if entry.job is job}
        for name, entries in list(self._awaited.items()):
            kept = [entry for entry in entries if entry.job is not job]
            if kept:
                self._awaited[name] = kept
            else:
                del self._awaited[name]
        yield from left.values()

    def _fetch(self) -> None:
        for job in self._jobs:
            if not job.queries:
                continue
            try:
                self._acquire(job)
            except _NothingObservedError as error:
                self._heard.put(Unplanned(job.name, job.name, str(error), "nothing observed"))
            except ArchiveError as error:
                self._heard.put(Unplanned(job.name, job.name, str(error), "unreachable"))
            except BridgeError as error:
                self._heard.put(Unplanned(job.name, job.name, str(error)))
            self._heard.put(_Fetched(job))

    def _acquire(self, job: Job) -> None:
        """Ask, and fetch what the answers name while asking goes on. Runs in the fetching thread."""
        from esorex_bridge.archive.acquisition import fetch_files
        from esorex_bridge.archive.breakpoints import refresh_breakpoints

        if self._client is None:
            self._client = self._client_of()
        client = self._client
        rows = {DpId(row["dp_id"]): row for query in job.queries for row in client.query(query)}
        if not rows:
            raise _NothingObservedError(
                "nothing was observed: the archive has no frame that meets this ('esorex-bridge query' shows more)"
            )
        folders = self._planning(job).destination
        refresh_breakpoints(client.connection, self._whole.settings.root.absolute())
        replies: list[AssociationReply] = []
        files = self._files_of(job, client, rows, folders, replies)
        fetch_files(client, files, folders, lambda: replies, progress=self._hear)

    def _files_of(
        self,
        job: Job,
        client: ArchiveClient,
        rows: dict[DpId, Row],
        folders: Folders,
        downgraded: list[AssociationReply],
    ) -> Iterator[WantedFile]:
        """Yield the files of a job, one dataset after the other, so that the first can begin soon."""
        from esorex_bridge.archive.acquisition import access_of, ask_in_batches
        from esorex_bridge.archive.download_list import list_files
        from esorex_bridge.archive.sizes import DownloadSizes

        access, sizes = access_of(rows), DownloadSizes(client, folders.asked, rows, self._room)
        sizes.take(rows)
        given: set[tuple[str, bool]] = set()
        for batch in ask_in_batches(client, tuple(rows), job.mode, rows, folders):
            downgraded += (reply for reply in batch if reply.downgraded)
            sizes.take(file.name for reply in batch if reply.tree is not None for file in reply.listed)
            for reply in batch:
                if reply.tree is None:
                    said = f" ({'; '.join(reply.messages)})" if reply.messages else ""
                    self._heard.put(Unplanned(job.name, reply.asked, reply.outcome.value.replace("_", " ") + said))
                    continue
                needed = list_files((), (reply,), access=access)
                self._heard.put(_Awaited(job, reply.tree, set(needed.names)))
                new = [file for file in needed.files if (file.name, file.downgraded) not in given]
                given.update((file.name, file.downgraded) for file in new)
                self.fetching.files += len(new)
                yield from new

    def count_asked(self, job: Job) -> tuple[int, int]:
        """Return how many science frames a job's queries find, and how many files belong to them; nothing is fetched.

        Their sizes are counted in the room.
        """
        from esorex_bridge.archive.acquisition import ask
        from esorex_bridge.archive.download_list import list_files
        from esorex_bridge.archive.sizes import DownloadSizes

        client = self._client_of()
        rows = {DpId(row["dp_id"]): row for query in job.queries for row in client.query(query)}
        replies = ask(client, tuple(rows), job.mode, rows) if rows else ()
        names = list_files(tuple(rows), replies).names
        DownloadSizes(client, self._planning(job).destination.asked, rows, self._room).take(names)
        return len(rows), len(names)

    def _hear(self, event: Event) -> None:
        from esorex_bridge.archive.report import FileReport

        if isinstance(event, FileReport):
            self.fetching.ended += 1
            self.fetching.size_bytes += event.size_bytes
            self._heard.put(event)


@lru_cache(maxsize=64)
def keywords_for(workflow: Workflow) -> tuple[str, ...]:
    """Return the header keywords that planning by a workflow looks at."""
    listed = [key for step in workflow.steps for key in step.group_by]
    for calibration in (calibration for step in workflow.steps for calibration in step.calibrations):
        listed += calibration.match
        listed += (key for validity in calibration.validity for key in validity.match or ())
    listed += [each.keyword for step in workflow.steps for case in step.cases for each in case.when]
    looked_at = (*WHEN, *STATING, *IDENTIFYING, *(key for key, _ in workflow.applies), *listed)
    return tuple(dict.fromkeys(looked_at))
