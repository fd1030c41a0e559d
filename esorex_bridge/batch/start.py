"""Conducting a batch: from what was asked for to a driver at work, in a folder that the next run can go on from."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, convert, field

from esorex_bridge.batch.dataset_source import Supply
from esorex_bridge.batch.driver import BatchOptions, Driver, Watcher
from esorex_bridge.batch.jobs import is_batch_name, read_jobs
from esorex_bridge.batch.ledger import BatchStores, earlier_runs
from esorex_bridge.batch.refusals import refuse_misspelt
from esorex_bridge.batch.report import BatchReport, read_report
from esorex_bridge.datasets.association import Mode
from esorex_bridge.definitions.edps.options import EdpsOptions
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.disk.room import Room, RoomRule
from esorex_bridge.errors import RecipeError, UserError
from esorex_bridge.executors.batch_folder import BatchFolder, batches
from esorex_bridge.executors.site import Site, read_site
from esorex_bridge.organise.organised_data import By
from esorex_bridge.reuse.decide import Policy
from esorex_bridge.run.capacity import Capacity, Limits, free_memory_mb
from esorex_bridge.run.executor import Executor
from esorex_bridge.run.expected import Expectations, Expected, Setup
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings
from esorex_bridge.values import plain
from esorex_bridge.workspace.folders import Workspace
from esorex_bridge.workspace.locks import is_locked, try_lock

Engine = Literal["local", "parsl", "slurm"]

_LOCK_TRIES = 10
_LOCK_PAUSE_S = 0.1
_CANCEL_PATIENCE_S = 60.0


class BatchRequest(Struct, frozen=True):
    """What a batch was asked to do, and how; kept in its folder.

    Parameters
    ----------
    settings : Settings
        Data root, archive, parameters for all jobs.
    engine : {'local', 'parsl', 'slurm'}
        What has the steps made.
    site : str
        Text of the site file; empty for none.
    source : str
        Where the jobs came from: the file, or the query.
    processors : int
        For the local engine.
    memory_mb : int or None
        For the local engine; None for what is free when it begins.
    keep_going, detach : bool
        As `Manner` has them.
    retries : int
        As `Manner` has it.
    """

    settings: Settings
    engine: Engine = "local"
    site: str = ""
    source: str = ""
    processors: int = 1
    memory_mb: int | None = None
    keep_going: bool = False
    detach: bool = False
    retries: int = 2

    def document(self) -> dict[str, Any]:
        """Return it as JSON values; `read_request` reads it back."""
        kept = {name: getattr(self.settings, name) for name in KeptSettings.__struct_fields__}
        asked = {name: getattr(self, name) for name in self.__struct_fields__}
        made = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        whole: dict[str, Any] = plain({"made": made, **asked, "settings": KeptSettings(**kept)})
        return whole


class KeptSettings(Struct, frozen=True):
    """The settings that a batch keeps in its folder: those of `Settings` that do not belong to one process.

    A default stands for what earlier versions did not write down.
    """

    archive: str | None
    mode: Mode
    esorex: str
    workflow: Path | None
    by: By
    oca: Path | None
    breakpoints: Path | None
    parameters: tuple[ParameterSetting, ...]
    policy: Policy = field(default_factory=Policy)
    data: tuple[Path, ...] = ()
    edps: EdpsOptions = field(default_factory=EdpsOptions)
    quality: int | None = None
    room: RoomRule | None = None


def read_request(found: dict[str, Any], root: Path) -> BatchRequest:
    """Read what `BatchRequest.document` gave, for a data root that may have been moved since."""
    kept = convert(found["settings"], KeptSettings, dec_hook=lambda kind, value: kind(value))
    settings = Settings(root, **{name: getattr(kept, name) for name in KeptSettings.__struct_fields__})
    names = ("engine", "site", "source", "processors", "memory_mb", "keep_going", "detach", "retries")
    return BatchRequest(settings, **{name: found[name] for name in names})


def new_batch(root: Path, name: str, jobs: str, asked: BatchRequest, numbered: bool = False) -> BatchFolder:
    """Make the folder of a batch; where `numbered`, a name that is taken gets a number.

    Raises
    ------
    DefinitionError
        If the jobs or the site file say something that is not allowed.
    UserError
        If there is a batch of that name that gets no number, or the settings name recipes or steps that no workflow
        of it has.
    """
    refuse_misspelt(read_jobs(jobs, asked.source).jobs, asked.settings)
    _site(asked)
    folder, number, document = find_batch(root, name), 1, asked.document()
    while not folder.begin(document, jobs):
        if not numbered:
            raise UserError(f"there is a batch '{name}' already; give --resume to go on with it, or another --name")
        number += 1
        folder = find_batch(root, f"{name}-{number}")
    return folder


def find_batch(root: Path, name: str = "") -> BatchFolder:
    """Return the batch of a name, which need not exist; the latest one where no name is given.

    Raises
    ------
    UserError
        If the name is not one for a batch, or no name is given and there is no batch.
    """
    place = Workspace(root.absolute()).batches
    if name:
        # Version 0.1.0 took any name; what it made is still found.
        if not is_batch_name(name) and name not in {batch.name for batch in batches(place)}:
            raise UserError(f"'{name}' is no name for a batch: letters, digits, '.', '_' and '-'")
        return BatchFolder(place / name)
    listed = batches(place)
    if not listed:
        raise UserError(f"there is no batch in {root.absolute()}; 'esorex-bridge batch JOBS.yaml' begins one")
    return listed[-1]


def latest_from(root: Path, source: str) -> BatchFolder | None:
    """Return the latest batch whose jobs came from a file or a query."""
    listed = batches(Workspace(root.absolute()).batches)
    return next((folder for folder in reversed(listed) if folder.about()["source"] == source), None)


def open_executor(
    folder: BatchFolder,
    asked: BatchRequest,
    site: Site,
    say: Callable[[str], None],
    expect: Callable[[Setup], Expected | None],
) -> Executor:
    """Return what has the steps of a batch made, as it was asked for.

    Parameters
    ----------
    folder : BatchFolder
        The batch.
    asked : BatchRequest
        What it was asked to do.
    site : Site
        Of a cluster.
    say : callable
        Is told what a person should know.
    expect : callable
        Returns what a step is expected to need.
    """
    if asked.engine == "slurm":
        from esorex_bridge.executors.slurm import SlurmExecutor

        return SlurmExecutor(folder.path, site, say, expect)
    if asked.engine == "parsl":
        from esorex_bridge.executors.parsl import ParslExecutor

        return ParslExecutor(folder.path, site)
    from esorex_bridge.executors.local import LocalExecutor

    memory = free_memory_mb() if asked.memory_mb is None else asked.memory_mb or None
    return LocalExecutor(folder.path, Capacity(Limits(max(1, asked.processors), memory), expect), say)


OpenExecutor = Callable[
    [BatchFolder, BatchRequest, Site, Callable[[str], None], Callable[[Setup], Expected | None]], Executor
]


def carry_out(
    folder: BatchFolder,
    asked: BatchRequest,
    watcher: Watcher,
    retry_failed: bool = False,
    open_executor: OpenExecutor = open_executor,
) -> BatchReport:
    """Run a batch, or go on with it.

    Parameters
    ----------
    folder : BatchFolder
        The batch.
    asked : BatchRequest
        What it was asked to do.
    watcher : Watcher
        Is told what goes on.
    retry_failed : bool
        Whether steps that failed earlier are run again.
    open_executor : callable
        As the function of that name; another one for measurements.

    Raises
    ------
    UserError
        If it is being run already; the jobs are wrong; the engine refuses; a recipe parameter is wrong.
    RecipeError
        If EsoRex is not installed.
    """
    _drive(folder, asked, watcher, retry_failed, open_executor)
    return read_report(folder)


def _drive(
    folder: BatchFolder, asked: BatchRequest, watcher: Watcher, retry_failed: bool, open_executor: OpenExecutor
) -> None:
    """Run a batch; what that kept in memory is let go before the report is read."""
    jobs = read_jobs(folder.jobs.read_text("utf-8"), asked.source or str(folder.jobs))
    with sole_driver(folder), Session(asked.settings) as session:
        folder.stop.unlink(missing_ok=True)
        command = shutil.which(asked.settings.esorex)
        if session.esorex is None or command is None:
            raise RecipeError("EsoRex is not installed (Debian: apt-get install esorex, and a cpl-plugin-…)")
        site = _site(asked)
        kept = read_request(folder.about(), asked.settings.root)
        options = BatchOptions(
            command,
            asked.retries,
            asked.keep_going,
            retry_failed,
            continues=kept.settings.policy == asked.settings.policy,
            detach=asked.detach,
            most_threads=asked.processors if asked.engine == "local" else site.most_threads,
        )
        books = BatchStores(folder, session.store, session.workspace)
        room = Room(session.room_rule, *session.products_expected())
        supply = Supply(jobs.jobs, session.planning, lambda: session.client, room)
        expectations = Expectations(session.store)
        executor = open_executor(folder, asked, site, watcher.told, expectations.of)
        Driver(books, session.require_engine(), executor, supply, options, watcher, room, expectations).run()


def cancel(folder: BatchFolder) -> BatchReport:
    """End a batch from any shell: its driver, where one is at work, and its jobs, where an engine goes on without one.

    Raises
    ------
    UserError
        If there is no such batch, or its driver does not react.
    """
    asked = read_request(folder.about(), folder.root)
    folder.stop.touch()
    deadline = time.monotonic() + _CANCEL_PATIENCE_S
    while is_locked(folder.lock):
        if time.monotonic() > deadline:
            raise UserError(f"the batch '{folder.name}' does not react; its driver may run on another machine")
        time.sleep(_LOCK_PAUSE_S)
    in_flight = earlier_runs(folder).in_flight
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    if in_flight and asked.engine == "slurm":
        executor = open_executor(folder, asked, _site(asked), lambda _: None, lambda _: None)
        executor.cancel([ticket for ticket, _ in in_flight.values()])
        lines = [{"at": now, "event": "cancelled", "key": key, "error": "cancelled"} for key in in_flight]
        folder.note("events", *lines, {"at": now, "event": "cancelled"})
    return read_report(folder)


@contextmanager
def sole_driver(folder: BatchFolder) -> Iterator[None]:
    """Be the only driver of a batch.

    Raises
    ------
    UserError
        If there is one already.
    """
    folder.about()
    with folder.lock.open("wb") as stream:
        tries = 1
        while not try_lock(stream):
            if tries == _LOCK_TRIES:
                raise UserError(
                    f"the batch '{folder.name}' is being run; 'esorex-bridge batch status {folder.name}' shows it"
                )
            tries += 1
            time.sleep(_LOCK_PAUSE_S)
        yield


def _site(asked: BatchRequest) -> Site:
    return read_site(asked.site, "the site file") if asked.site else Site()
