"""The folder of a batch: all that is known of it lies on disk, for any shell on any machine that sees it.

    batch.json           what was asked for, and how (a version line in it)
    jobs.yaml            the jobs, as they were given
    datasets.jsonl       each dataset with its steps and the decisions about them, appended by the driver
    events.jsonl         what happened, appended by the driver
    tasks.jsonl          each step to be made, for workers, appended by the driver
    results/abcd….json   what came of a step, by its worker; there whole or not at all
    results.jsonl        the same where the driver has recorded it and no step waits for it, appended by the driver
    driver.lock          locked while a driver is at work
    stop                 there when somebody asked to stop

Workers read tasks and results and write results, one file a step: nothing is written by two at a time, so no locks of a
database are needed where many machines share a file system. What is packed leaves few files behind, however many steps.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Any
from uuid import uuid4

from msgspec import Struct
from msgspec.json import decode, encode

from esorex_bridge.disk.atomic import WriteError, write_whole
from esorex_bridge.errors import UserError
from esorex_bridge.executors.task import StatedStep, Task, read_stated_step, read_task
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.run.result import StepResult, read_result

VERSION = 1

_KEY = re.compile(rb'"key": ?"([^"]+)"')
_RUN_BEGINS = b'{"run":'
_HEAD_BYTES = 200
"""In so much of a line of a log its key stands."""


class BatchFolder(Struct, frozen=True):
    """The folder of one batch.

    Parameters
    ----------
    path : Path
        Absolute.
    """

    path: Path

    @property
    def name(self) -> str:
        """The batch's name."""
        return self.path.name

    @property
    def lock(self) -> Path:
        """Locked while a driver is at work."""
        return self.path / "driver.lock"

    @property
    def jobs(self) -> Path:
        """The jobs, as they were given."""
        return self.path / "jobs.yaml"

    @property
    def root(self) -> Path:
        """The data root that the batch belongs to."""
        return self.path.parents[2]

    # ----- what was asked for

    def begin(self, about: dict[str, Any], jobs: str) -> bool:
        """Write down what was asked for, and return whether the name was free: two may begin at once."""
        whole = json.dumps({"version": VERSION, **about}, indent=2, default=str) + "\n"
        waiting = self.path.with_name(f".{uuid4().hex}")
        try:
            write_whole(waiting / "batch.json", whole)
            write_whole(waiting / self.jobs.name, jobs)
            waiting.rename(self.path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise WriteError(f"{self.path} cannot be made: {error.strerror}") from error
            return False
        finally:
            rmtree(waiting, ignore_errors=True)
        return True

    def about(self) -> dict[str, Any]:
        """Return what was asked for.

        Raises
        ------
        UserError
            If there is no such batch, or it is one of a later version.
        """
        try:
            found: dict[str, Any] = json.loads((self.path / "batch.json").read_text("utf-8"))
        except FileNotFoundError:
            there = ", ".join(batch.name for batch in batches(self.path.parent)) or "none"
            raise UserError(f"there is no batch '{self.name}' in {self.path.parent}; there are: {there}") from None
        except (OSError, ValueError) as error:
            raise UserError(f"{self.path / 'batch.json'} cannot be read: {error}") from None
        if found.get("version") != VERSION:
            raise UserError(f"the batch '{self.name}' was written by another version of esorex-bridge; use that one")
        return found

    # ----- tasks, by the driver

    def write_task(self, task: Task) -> int:
        """Append a task to the log of tasks, and return where it lies there."""
        return _append(self.path / "tasks.jsonl", task.document())

    def task(self, key: StepKey, place: int | None) -> Task:
        """Return a task; without its place, as version 0.2 kept it.

        Raises
        ------
        DataError
            If it cannot be read.
        UserError
            If it is not there.
        """
        return read_task(*self._task_text(key, place))

    def read_stated(self, key: StepKey, place: int | None) -> StatedStep:
        """Return what the books want of a task; parameters and errors as `task`."""
        return read_stated_step(*self._task_text(key, place))

    def _task_text(self, key: StepKey, place: int | None) -> tuple[str, str]:
        """Return the text of a task, and where it stands."""
        path = f"{self.path}/tasks.jsonl" if place is not None else f"{self.path}/tasks/{key[:2]}/{key}.json"
        try:
            with open(path, "rb") as stream:  # noqa: PTH123
                stream.seek(place or 0)
                return stream.readline().decode(), path
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}; run the batch again with --resume") from None

    def places_of(self, keys: Collection[StepKey]) -> dict[StepKey, int]:
        """Return where tasks lie that an earlier run wrote."""
        if not keys:
            return {}
        return {key: place for key, place, _ in _entries(self.path / "tasks.jsonl", 0) if key in keys}

    # ----- results: one file a step by its worker, packed by the driver

    @property
    def packed(self) -> Path:
        """The log of results that the driver has recorded."""
        return self.path / "results.jsonl"

    @property
    def begun(self) -> float:
        """When the batch was begun, by the clock of the file system."""
        return stamp_time(self.path / "batch.json")

    def result_path(self, key: StepKey) -> Path:
        """Return where a worker leaves a result."""
        return Path(f"{self.path}/results/{key}.json")

    def _places(self, key: StepKey) -> tuple[str, str]:
        folder = f"{self.path}/results"
        return f"{folder}/{key}.json", f"{folder}/{key[:2]}/{key}.json"  # the second as version 0.2 kept it

    def write_result(self, result: StepResult) -> None:
        """Write down what came of a task, whole or not at all."""
        write_whole(self.result_path(result.key), result.document())

    def result(self, key: StepKey) -> StepResult | None:
        """Return what came of a task, as its worker left it; None where that is not known, or packed."""
        for path in self._places(key):
            with suppress(FileNotFoundError), open(path, "rb") as stream:  # noqa: PTH123
                return read_result(stream.read().decode())
        return None

    def forget_result(self, key: StepKey) -> None:
        """Take away what came of an earlier attempt."""
        for path in self._places(key):
            with suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108

    def result_keys(self) -> set[StepKey]:
        """Return the keys of all results that are not packed."""
        folder = self.path / "results"
        return {StepKey(path.stem) for pattern in ("*.json", "*/*.json") for path in folder.glob(pattern)}

    def pack_results(self, keys: Iterable[StepKey]) -> None:
        """Move results from their files into the log; they are recorded, and no worker waits for them.

        What failed stays as it is.
        """
        found = map(self.result, keys)
        packed = [result for result in found if result is not None and result.record is not None]
        if packed:
            _append(self.packed, "\n".join(result.document() for result in packed))
        for result in packed:
            self.forget_result(result.key)

    def results(self) -> Iterator[StepResult]:
        """Yield all results, packed ones first; of one key, the last counts."""
        for _, _, line in _entries(self.packed, 0):
            if (found := read_result(line.decode())) is not None:
                yield found
        for key in self.result_keys():
            if (found := self.result(key)) is not None:
                yield found

    # ----- what happened

    def note(self, name: str, *lines: dict[str, Any]) -> None:
        """Append lines to `datasets` or `events`, in one write."""
        if lines:
            _append(self.path / f"{name}.jsonl", "\n".join(map(_encode, lines)))

    def read_notes(self, name: str, place: int = 0) -> Iterator[dict[str, Any]]:
        """Yield the lines of `datasets` or `events` from a place on.

        One that was cut off when the machine stopped is passed over.
        """
        with suppress(FileNotFoundError), (self.path / f"{name}.jsonl").open("rb") as stream:
            stream.seek(place)
            for line in stream:
                try:
                    found = decode(line)
                except ValueError:
                    continue
                if isinstance(found, dict):
                    yield found

    def datasets_of_last_run(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of `datasets` that the last run wrote, or that the present one has written so far."""
        place = last = 0
        with suppress(FileNotFoundError), (self.path / "datasets.jsonl").open("rb") as stream:
            for line in stream:
                place += len(line)
                if line.startswith(_RUN_BEGINS):
                    last = place
        return self.read_notes("datasets", last)

    # ----- stopping

    @property
    def stop(self) -> Path:
        """There when somebody asked the driver and the workers to stop."""
        return self.path / "stop"


class PackedResults:
    """The log of results of a batch, for whoever looks for single ones while it grows.

    Parameters
    ----------
    path : Path
        Of the log, which need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[StepKey, int] = {}
        self._seen = 0

    def find(self, key: StepKey) -> StepResult | None:
        """Return what came of a step; None where it is not in the log."""
        for found, place, line in _entries(self._path, self._seen):
            self._places[found] = place
            self._seen = place + len(line)
        if key not in self._places:
            return None
        with self._path.open("rb") as stream:
            stream.seek(self._places[key])
            return read_result(stream.readline().decode())


def stamp_time(path: Path) -> float:
    """Return when a file was written last; 0 where there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _append(path: Path, text: str) -> int:
    """Append lines to a log of which we are the only writer, and return where they begin.

    A line that was cut off when the machine stopped is ended first.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        place = os.lseek(descriptor, 0, os.SEEK_END)
        whole = not place or os.pread(descriptor, 1, place - 1) == b"\n"
        data = memoryview(f"{'' if whole else chr(10)}{text}\n".encode())
        while data:
            data = data[os.write(descriptor, data) :]
        return place if whole else place + 1
    finally:
        os.close(descriptor)


def _entries(path: Path, place: int) -> Iterator[tuple[StepKey, int, bytes]]:
    """Yield the whole lines of a log of tasks or results from a place on, each with its key and its place."""
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return
    with stream:
        stream.seek(place)
        for line in stream:
            if (found := _KEY.search(line[:_HEAD_BYTES])) and line.endswith(b"\n"):
                yield StepKey(found[1].decode()), place, line
            place += len(line)


def _encode(line: dict[str, Any]) -> str:
    return encode(line, enc_hook=str).decode()


def batches(folder: Path) -> tuple[BatchFolder, ...]:
    """Return the batches of a folder, the latest last."""
    found = sorted(folder.glob("[!.]*/batch.json"), key=lambda path: path.stat().st_mtime)
    return tuple(BatchFolder(path.parent) for path in found)
