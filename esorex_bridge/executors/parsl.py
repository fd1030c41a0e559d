"""The Parsl engine: steps through Parsl's pilot jobs on Slurm, PBS, LSF, HTCondor, Kubernetes, or this machine.

Parsl's own memory of results is off, because it does not look at the content of files; its retries are off, because a
step must not run twice at once.
"""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from esorex_bridge.executors.interchange import MODULE
from esorex_bridge.executors.site import ParslSite, Site
from esorex_bridge.executors.worker import BEGUN, mark_of, work_on
from esorex_bridge.log import logger
from esorex_bridge.run.executor import EngineError, Phase, TaskRequest, TaskStatus, Ticket

_ROOM = 100_000
_HEARTBEAT_S = 5
"""How soon a worker that died is noticed."""

_SILENT_S = 30
"""How long a node may be silent before it counts as vanished; and the bridge, before its pilots end."""

_POOL = f"{shlex.quote(sys.executable)} -m parsl.executors.high_throughput.process_worker_pool"
_END_S = 10.0
_SAID_MOST = 300


class ParslExecutor:
    """Steps through Parsl.

    Parameters
    ----------
    folder : Path
        The batch's, on a file system that the nodes share.
    site : Site
        Provider and its options.

    Raises
    ------
    EngineError
        If Parsl is not installed, or does not take the provider's options.
    """

    keeps_order = False
    room = _ROOM

    def __init__(self, folder: Path, site: Site) -> None:
        self._folder = folder
        self._futures: dict[Ticket, Future[Any]] = {}
        self._running: set[Ticket] = set()
        self._ended: SimpleQueue[Ticket] = SimpleQueue()
        self._given_up: list[Future[Any]] = []
        self._marks = folder / BEGUN
        self._place = _Place(folder / "parsl", site)
        self._kernel, self._app = _start(self._place.path, site)

    def submit(self, order: TaskRequest, after: Sequence[Ticket] = ()) -> Ticket:
        """Hand a step in; `after` must have ended already."""
        ticket = Ticket(mark_of(order.key, order.attempt))
        future: Future[Any] = self._app(str(self._folder), order.key, order.attempt, order.place)
        self._futures[ticket] = future
        future.add_done_callback(lambda _: self._ended.put(ticket))
        return ticket

    def adopt(self, ticket: Ticket, order: TaskRequest) -> None:
        """Tell that it is lost: Parsl's workers end with the bridge."""
        future: Future[Any] = Future()
        future.set_exception(RuntimeError("the bridge was stopped"))
        self._futures[ticket] = future
        self._ended.put(ticket)

    def states(self, patience_s: float) -> Mapping[Ticket, TaskStatus]:
        """Wait for a change, and return what changed."""
        if not self._futures or (begun := self._read_marks()):
            return begun if self._futures else {}
        try:
            ended = (self._ended.get(timeout=patience_s), *self._rest())
        except Empty:
            return self._read_marks()
        if begun := self._read_marks():  # A beginning is reported before the end.
            for ticket in ended:
                self._ended.put(ticket)
            return begun
        changes: dict[Ticket, TaskStatus] = {}
        for ticket in ended:
            future = self._futures.pop(ticket, None)
            self._running.discard(ticket)
            if future is not None:
                changes[ticket] = _standing(future)
        return changes

    def _rest(self) -> list[Ticket]:
        found = []
        while not self._ended.empty():
            found.append(self._ended.get())
        return found

    def _read_marks(self) -> dict[Ticket, TaskStatus]:
        """Return what workers began: each leaves a mark, because Parsl does not say."""
        begun: dict[Ticket, TaskStatus] = {}
        with suppress(FileNotFoundError):
            for mark in self._marks.iterdir():
                ticket = Ticket(mark.name)
                if ticket in self._futures and ticket not in self._running:
                    begun[ticket] = TaskStatus(Phase.RUNNING)
                mark.unlink(missing_ok=True)
        self._running.update(begun)
        return begun

    def cancel(self, tickets: Sequence[Ticket]) -> None:
        """Give them up: Parsl cannot take back what it was given, so the workers see the batch's mark to stop."""
        for ticket in tickets:
            future = self._futures.pop(ticket, None)
            if future is not None:
                self._given_up.append(future)
                cancelled: Future[Any] = Future()
                cancelled.cancel()
                self._futures[ticket] = cancelled
                self._ended.put(ticket)

    def close(self) -> None:
        """End Parsl with its workers; EsoRex dies with its worker, and what was cancelled may end it first."""
        wait(self._given_up, _END_S)
        self._kernel.cleanup()
        self._place.close()


def _standing(future: Future[Any]) -> TaskStatus:
    if future.cancelled():
        return TaskStatus(Phase.CANCELLED)
    error = future.exception()
    if error is None:
        return TaskStatus(Phase.CANCELLED if future.result() == "cancelled" else Phase.ENDED)
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return TaskStatus(Phase.LOST, said[:_SAID_MOST])


class _Place:
    """Where Parsl keeps its files: it writes shell scripts in which paths stand without quotes.

    Parameters
    ----------
    folder : Path
        In the batch's folder.
    site : Site
        With the provider.

    Raises
    ------
    EngineError
        If other machines would have to read a path with blanks.
    """

    def __init__(self, folder: Path, site: Site) -> None:
        self._scratch: Path | None = None
        self.path = folder
        folder.mkdir(parents=True, exist_ok=True)
        if shlex.quote(str(folder)) == str(folder):
            return
        if site.parsl.provider != "LocalProvider":
            raise EngineError(f"Parsl cannot work below {folder}: its scripts take no blanks and no signs in paths")
        self._scratch = Path(tempfile.mkdtemp(prefix="esorex-bridge-"))
        self.path = self._scratch / "parsl"
        self.path.symlink_to(folder)

    def close(self) -> None:
        """Remove what stood in for the folder."""
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)


def workers_of(site: ParslSite) -> dict[str, int | float]:
    """Return how many steps at a time Parsl has made on a node, by what each may take of it.

    Parsl's executor takes that of all steps alike: of a single one it takes a priority and refuses all else.
    """
    pool: dict[str, int | float] = {
        "max_workers_per_node": site.workers_per_node,
        "cores_per_worker": site.cores_per_worker,
    }
    return pool if site.memory_per_worker_mb is None else pool | {"mem_per_worker": site.memory_per_worker_mb / 1024}


def _start(folder: Path, site: Site) -> tuple[Any, Any]:
    logger("parsl").propagate = False  # What counts of what it says comes back with a step.
    logger("parsl").addHandler(logging.NullHandler())
    try:
        import parsl
        from parsl import providers
        from parsl.app.python import PythonApp
        from parsl.config import Config
        from parsl.executors import HighThroughputExecutor
        from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD
        from parsl.jobs.error_handlers import windowed_error_handler
    except ImportError as error:
        raise EngineError(
            f"Parsl is not installed ({error}); pip install 'esorex-bridge[cluster]', or use --on slurm"
        ) from None
    # Parsl starts its helpers by their names, and they lie beside our Python.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    setup = "\n".join((*site.environment, f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"))
    options = {"worker_init": setup, **dict(site.parsl.options)}
    try:
        provider = getattr(providers, site.parsl.provider)(**options)
        executor = HighThroughputExecutor(
            label="esorex_bridge",
            provider=provider,
            **workers_of(site.parsl),
            # Not by their names: the kernel starts no script whose interpreter lies at a path with blanks.
            launch_cmd=DEFAULT_LAUNCH_CMD.replace("process_worker_pool.py", _POOL, 1),
            interchange_launch_cmd=(sys.executable, "-P", "-m", MODULE),
            # A pilot that was lost is replaced; one that never comes up is given up after some tries.
            block_error_handler=windowed_error_handler,
            heartbeat_period=_HEARTBEAT_S,
            heartbeat_threshold=_SILENT_S,
            worker_logdir_root=str(folder),
            address=site.parsl.address or ("127.0.0.1" if site.parsl.provider == "LocalProvider" else None),
        )
        settings = Config(executors=[executor], retries=0, run_dir=str(folder), initialize_logging=False)
        kernel = parsl.DataFlowKernel(settings)
    except (AttributeError, TypeError, ValueError) as error:
        raise EngineError(f"Parsl does not take the site's provider {site.parsl.provider}: {error}") from error
    return kernel, PythonApp(work_on, data_flow_kernel=kernel, cache=False)
