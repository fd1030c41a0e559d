"""The folder of a batch: all that is known of it lies on disk, for any shell on any machine that sees it.

    batch.json           what was asked for, and how (a version line in it)
    jobs.yaml            the jobs, as they were given
    datasets.jsonl       each dataset with its steps and the decisions about them, appended by the driver
    events.jsonl         what happened, appended by the driver
    tasks/ab/abcd….json  a step to be made, for a worker
    results/ab/abcd….json  what came of it, by the worker; there whole or not at all
    driver.lock          locked while a driver is at work
    stop                 there when somebody asked to stop

Workers read tasks and results and write results, one file a step: nothing is written by two at a time, so no locks of a
database are needed where many machines share a file system.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Any
from uuid import uuid4

from msgspec import Struct

from esorex_bridge.disk.atomic import WriteError, write_whole
from esorex_bridge.errors import UserError
from esorex_bridge.executors.task import Task, read_task
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.run.result import Result, read_result

VERSION = 1


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
            There is no such batch, or it is one of a later version.
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

    # ----- tasks and results, one file a step

    def task_path(self, key: StepKey) -> Path:
        """Return where a task lies."""
        return self.path / "tasks" / key[:2] / f"{key}.json"

    def result_path(self, key: StepKey) -> Path:
        """Return where a result lies."""
        return self.path / "results" / key[:2] / f"{key}.json"

    def write_task(self, task: Task) -> None:
        """Write a task down."""
        write_whole(self.task_path(task.key), task.document())

    def task(self, key: StepKey) -> Task:
        """Return a task; errors as `read_task`, and UserError where there is none."""
        path = self.task_path(key)
        try:
            return read_task(path.read_text("utf-8"), str(path))
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}; run the batch again with --resume") from None

    def write_result(self, result: Result) -> None:
        """Write down what came of a task, whole or not at all."""
        write_whole(self.result_path(result.key), result.document())

    def result(self, key: StepKey) -> Result | None:
        """Return what came of a task; None where that is not known."""
        try:
            return read_result(self.result_path(key).read_text("utf-8"))
        except FileNotFoundError:
            return None

    def results_beside(self, key: StepKey) -> Iterator[Result]:
        """Yield what came of a step in the other batches of the root."""
        own = self.result_path(key)
        for path in self.path.parent.glob(f"*/{own.relative_to(self.path)}"):
            with suppress(OSError):
                found = read_result(path.read_text("utf-8")) if path != own else None
                if found is not None:
                    yield found

    def forget_result(self, key: StepKey) -> None:
        """Take away what came of an earlier attempt."""
        self.result_path(key).unlink(missing_ok=True)

    def result_keys(self) -> set[StepKey]:
        """Return the keys of all results."""
        return {StepKey(path.stem) for path in self.path.glob("results/*/*.json")}

    # ----- what happened

    def note(self, name: str, *lines: dict[str, Any]) -> None:
        """Append lines to `datasets` or `events`, in one write."""
        text = "".join(json.dumps(line, ensure_ascii=False, default=str) + "\n" for line in lines)
        descriptor = os.open(self.path / f"{name}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def noted(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the lines of `datasets` or `events`; one that was cut off when the machine stopped is passed over."""
        try:
            stream = (self.path / f"{name}.jsonl").open(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        with stream:
            for line in stream:
                try:
                    found = json.loads(line)
                except ValueError:
                    continue
                if isinstance(found, dict):
                    yield found

    # ----- stopping

    @property
    def stop(self) -> Path:
        """There when somebody asked the driver and the workers to stop."""
        return self.path / "stop"


def batches(folder: Path) -> tuple[BatchFolder, ...]:
    """Return the batches of a folder, the latest last."""
    found = sorted(folder.glob("[!.]*/batch.json"), key=lambda path: path.stat().st_mtime)
    return tuple(BatchFolder(path.parent) for path in found)
