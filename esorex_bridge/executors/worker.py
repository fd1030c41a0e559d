"""A worker: makes steps of a batch, one at a time, and writes down what came of each.

    python -m esorex_bridge.executors.worker FOLDER KEY ATTEMPT PLACE  one step (Slurm)
    python -m esorex_bridge.executors.worker FOLDER                    steps as they come on stdin, a line each

PLACE is where the step's task lies in the log of tasks. A job that version 0.2 handed in has none: its task is a file.

It needs the batch's folder, EsoRex, and the files; no network and no database. It exits with 0 when the step is made,
with 1 when it is not. What it started ends with it.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

from esorex_bridge.disk.digest import Reading, read_digest
from esorex_bridge.disk.stamp import stamp_of
from esorex_bridge.errors import BridgeError, DataError, RecipeError
from esorex_bridge.esorex.libraries import Linker, libraries_in, read_libraries
from esorex_bridge.esorex.recipe import RecipeRunner
from esorex_bridge.esorex.runner import EsoRex
from esorex_bridge.esorex.supervise import die_with_parent
from esorex_bridge.esorex.supervisor import SupervisorKilledError, supervisor
from esorex_bridge.executors.batch_folder import BatchFolder, PackedResults, batches, stamp_time
from esorex_bridge.executors.task import Task
from esorex_bridge.files import Digest
from esorex_bridge.fits.verify import read_fits
from esorex_bridge.reflex.bookkeeping_writer import note_in_folder
from esorex_bridge.reflex.finished_run import FinishedRun
from esorex_bridge.reuse.key import Statement, StepKey
from esorex_bridge.reuse.record import Absent, Record
from esorex_bridge.run.result import ResultWord, StepResult
from esorex_bridge.run.step import StepRunner
from esorex_bridge.signals import make_handler
from esorex_bridge.workspace.folders import Workspace
from esorex_bridge.workspace.sharing import share_with_group

_PATIENCE_S = 30.0
"""How long a result of another machine may take to be seen through a network file system."""

_LOOK_S = 0.5

BEGUN = "begun"
"""The folder of marks that workers leave for an engine that hears of no beginnings."""


class WorkerStore:
    """What the maker of steps looks up and records, in the files of a batch.

    Parameters
    ----------
    folder : BatchFolder
        Of the batch.
    """

    def __init__(self, folder: BatchFolder) -> None:
        self._folder = folder
        self._unverified: frozenset[str] = frozenset()
        self._known: dict[str, Reading] = {}
        self._attempt = 0
        self._beside: dict[Path, PackedResults] = {}
        self.verified: dict[str, Digest] = {}

    def expect(self, unverified: Iterable[str], attempt: int) -> None:
        """Begin with an attempt at a task, some of whose inputs nobody has verified yet."""
        self._unverified = frozenset(unverified)
        self._attempt = attempt
        self.verified = {}

    def verify(self, files: Iterable[str]) -> None:
        """Hold files against their own CHECKSUM and DATASUM, where nobody has done so yet.

        Raises
        ------
        DataError
            If the data of a file differ from its DATASUM.
        """
        for file in self._unverified.intersection(files):
            self.verified[file] = self._read(file)

    def digests(self, files: Iterable[str]) -> dict[str, Digest | DataError]:
        """Return the content digests of files as they are now; the error where one is damaged."""
        found: dict[str, Digest | DataError] = {}
        for file in files:
            try:
                found[file] = self._read(file)
            except DataError as error:
                found[file] = error
        return found

    def _read(self, file: str) -> Digest:
        known = self._known.get(file)
        if known is None or not known.stamp or known.stamp != stamp_of(file):
            content, stamp = read_fits(Path(file))
            known = self._known[file] = Reading(content.digest, stamp)
        return known.digest

    def find(self, key: StepKey) -> Record | Absent:
        """Return the record of a key with its products whole and in place, or why there is none.

        Another batch of the root may have made them: each keeps its results in files.
        """
        own = self._folder.result(key)
        problem = self._problem(own.record) if own is not None and own.record is not None else ""
        if own is not None and own.record is not None and not problem:
            return own.record
        beside = (result.record for result in self._results_beside(key))
        return next((record for record in beside if record and not self._problem(record)), Absent(problem))

    def _results_beside(self, key: StepKey) -> Iterator[StepResult]:
        """Yield what came of a step in the other batches of the root: first as workers left it, then as it was packed.

        What was packed before this batch was begun was recorded before, so that the driver knew of it.
        """
        since = self._folder.begun
        for other in batches(self._folder.path.parent):
            if other != self._folder and (found := other.result(key)) is not None:
                yield found
        for other in batches(self._folder.path.parent):
            if other != self._folder and stamp_time(other.packed) >= since:
                packed = self._beside.setdefault(other.packed, PackedResults(other.packed))
                if (found := packed.find(key)) is not None:
                    yield found

    def _problem(self, record: Record) -> str:
        """Return what is wrong with the products of a record; empty where nothing is."""
        for product in record.products:
            if not product.path.exists():
                return f"product {product.category} ({product.path.name}) is missing"
            if self._read(product.file) != product.digest:
                return f"product {product.category} ({product.path.name}) is damaged"
        return ""

    def record(self, record: Record, statement: Statement, dataset: str, step: str) -> None:
        """Write the result, which the driver takes into its books, while others wait for the step's lock.

        What is known at the end of the attempt alone is written over it.
        """
        ran_in = Path(record.sof_file).parent
        self._folder.write_result(
            StepResult(record.key, self._attempt, "made", record, host=_host(), verified=self.verified, folder=ran_in)
        )


class Worker:
    """Makes steps of one batch.

    Parameters
    ----------
    folder : BatchFolder
        Of the batch.
    """

    def __init__(self, folder: BatchFolder) -> None:
        self._folder = folder
        self._store = WorkerStore(folder)
        self._packed = PackedResults(folder.packed)
        self._workspace = Workspace(folder.root)
        share_with_group(folder.root)
        self._runner: RecipeRunner | None = None
        self._plugins: dict[Path, Reading] = {}
        self._libraries: dict[str, str] = {}
        self._stopped = Event()
        self._abandoned = False
        self._ran_in: Path | None = None

    def stop(self) -> None:
        """End what runs; it counts as cancelled."""
        self._stopped.set()
        if self._runner is not None:
            self._runner.stop()

    def abandon(self) -> None:
        """End what runs, and write nothing of it: nobody asked for that, so the step is to be made again."""
        self._abandoned = True
        self.stop()

    def work(self, key: StepKey, attempt: int, place: int | None = None) -> StepResult:
        """Make a step, write down what came of it, and return that."""
        began = time.monotonic()
        outcome: ResultWord
        failure: Exception | None = None
        record, error, self._ran_in = None, "", None
        try:
            record, ran = self._make(self._folder.task(key, place), attempt)
            outcome = "made" if ran else "found"
        except (BridgeError, OSError) as problem:
            if self._abandoned or isinstance(problem, SupervisorKilledError):
                raise
            outcome, error = "cancelled" if self._stopped.is_set() else "failed", _say(problem)
            failure = problem
        seconds = time.monotonic() - began
        result = StepResult(key, attempt, outcome, record, error, _host(), seconds, self._store.verified, self._ran_in)
        if failure is not None:
            result = result.with_failure(failure)
        self._folder.write_result(result)
        return result

    def _make(self, task: Task, attempt: int) -> tuple[Record, bool]:
        self._store.expect(task.unverified, attempt)
        if self._stopped.is_set() or self._folder.stop.exists():
            self._stopped.set()
            raise RecipeError("cancelled before it began")
        self._refuse_other_pipeline(task)
        os.environ["OMP_NUM_THREADS"] = str(task.step.threads)
        self._runner = runner = _runner_for(task)
        if self._stopped.is_set():
            runner.stop()
        ended = Event()
        watcher = Thread(target=self._watch, args=(ended,), daemon=True)
        watcher.start()
        try:
            maker = StepRunner(runner, self._store, self._workspace, self._note)
            made = {need: self._find_made(need) for need in task.needs.values()}
            return maker.make(task.resolve(), task.step, made, task.how)
        finally:
            ended.set()

    def _note(self, run: FinishedRun) -> tuple[str, ...]:
        """Note a run in its folder; the driver brings it into Reflex's database, which has one writer."""
        self._ran_in = run.folders.work
        return tuple(note_in_folder(run)[1])

    def _watch(self, ended: Event) -> None:
        """End what runs when somebody asks the batch to stop: the only way to a worker on another machine."""
        while not ended.wait(_LOOK_S):
            if self._folder.stop.exists():
                self.stop()
                return

    def _find_made(self, key: StepKey) -> Record:
        """Return what an earlier step made; another machine may have written it a moment ago."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            result = self._folder.result(key)
            if result is None:
                result = self._packed.find(key)
            if result is not None and result.record is not None:
                return result.record
            if time.monotonic() > deadline:
                raise RecipeError(f"an earlier step ({key[:12]}…) has no products in {self._folder.path}")
            time.sleep(_LOOK_S)

    def _refuse_other_libraries(self, task: Task) -> None:
        """Refuse to run a plugin with other libraries than the batch was planned with."""
        esorex, plugin = task.esorex, str(task.recipe.plugin_path)
        known = read_libraries(self._libraries.get(plugin, ""))
        if known is None:
            self._libraries[plugin] = Linker(os.environ).find(esorex, plugin)
            known = libraries_in(self._libraries[plugin])
        others = sorted(name for name, _ in set(known.stated) ^ set(task.statement.libraries))
        if others and task.statement.libraries:
            raise RecipeError(
                f"{', '.join(dict.fromkeys(others))} on {_host()}: not the libraries that the batch was planned with; "
                f"install the same {task.recipe.pipeline} and CPL on all machines, with the same LD_LIBRARY_PATH"
            )

    def _refuse_other_pipeline(self, task: Task) -> None:
        """Refuse to make with one pipeline what is to be recorded as made with another."""
        if task.step.command:
            _refuse_other_program(task)
            return
        path = task.recipe.plugin_path
        try:
            known = self._plugins.get(path)
            if known is None or not known.stamp or known.stamp != stamp_of(path):
                self._plugins[path] = read_digest(path)
        except OSError as error:
            raise RecipeError(f"{_host()} has no {path} ({error.strerror}); install {task.recipe.pipeline}") from None
        self._refuse_other_libraries(task)
        if self._plugins[path].digest != task.recipe.plugin:
            raise RecipeError(
                f"{path} on {_host()} is not the plugin that the batch was planned with; "
                f"install the same {task.recipe.pipeline} on all machines"
            )


def _refuse_other_program(task: Task) -> None:
    from esorex_bridge.esorex.user_steps import describe

    found = describe(task.step)
    if isinstance(found, RecipeError):
        raise found
    if found.plugin != task.recipe.plugin:
        raise RecipeError(
            f"{task.step.command[0]} on {_host()} is not the program that the batch was planned with; "
            "put the same one on all machines"
        )


def _runner_for(task: Task) -> RecipeRunner:
    """Return what starts the recipe of a task, or the user's own program."""
    runner = EsoRex(Path(task.esorex), {task.recipe.name: task.recipe.plugin_path})
    if not task.step.command:
        return runner
    from esorex_bridge.esorex.user_steps import ProgramRunner

    return ProgramRunner(runner)


def mark_of(key: StepKey, attempt: int) -> str:
    """Return the name of an attempt, short enough for a file."""
    return f"{key[:16]}.{attempt}"


def work_on(folder: str, key: str, attempt: int, place: int) -> str:
    """Make one step of a batch, and return what came of it; for engines that call a function.

    Such an engine hears of the end alone, so a mark tells it of the beginning. Its workers outlive a pilot that is
    killed, and a step that is thought lost would go on.
    """
    die_with_parent()
    mark = Path(folder) / BEGUN / mark_of(StepKey(key), attempt)
    with suppress(OSError):
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
    return Worker(BatchFolder(Path(folder))).work(StepKey(key), attempt, place).outcome


def main(words: list[str]) -> int:
    """Work as the command line says."""
    supervisor()  # It starts while the first step is prepared.
    worker = Worker(BatchFolder(Path(words[0]).absolute()))
    signal.signal(signal.SIGTERM, make_handler(lambda number: SystemExit(128 + number)))
    # Steps are made beside this thread, in which signals arrive: one that came while EsoRex was being started would
    # leave a process that nobody knows.
    with ThreadPoolExecutor(1, "step") as pool:
        try:
            if len(words) > 1:
                result = _await_step(pool.submit(worker.work, StepKey(words[1]), *map(int, words[2:])))
                return 0 if result.record is not None else 1
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's business.
            Thread(target=_end_with_driver, daemon=True).start()
            for line in sys.stdin:
                key, attempt, place = line.split()
                _await_step(pool.submit(worker.work, StepKey(key), int(attempt), int(place)))
                sys.stdout.write(f"{key}\n")
                sys.stdout.flush()
        except (SystemExit, KeyboardInterrupt):
            worker.abandon()
            raise
        except SupervisorKilledError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def _end_with_driver() -> None:
    """End at once when the driver is gone: nobody takes a result. Our supervisor then ends what we started."""
    hung_up = select.poll()
    hung_up.register(sys.stdin, 0)
    hung_up.poll()
    os._exit(1)


def _await_step(step: Future[StepResult]) -> StepResult:
    """Wait for a step, looking up now and then: Python sees no signal that came a moment before a wait without end."""
    while not wait((step,), timeout=_LOOK_S).done:
        pass
    return step.result()


def _say(problem: BridgeError | OSError) -> str:
    if isinstance(problem, BridgeError):
        return str(problem)
    return f"{problem.strerror or problem}: {problem.filename or 'the data root'}; mend that and run again"


def _host() -> str:
    return os.uname().nodename


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
