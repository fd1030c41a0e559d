"""Planned jobs as the document that goes back over the fence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from esorex_bridge.edps.child.files import ClassifiedFile
from esorex_bridge.edps.child.planned import Input, PlannedJob
from esorex_bridge.edps.child.reading import branches_of
from esorex_bridge.edps.child.rules import tag_of
from esorex_bridge.edps.child.standin import copy_all, copy_upstream
from esorex_bridge.edps.child.tasks import AssociatedInput, Filter, Task


class JobWriter:
    """Writes jobs of the tasks of a package."""

    def __init__(self, tasks: list[Task]) -> None:
        self._tasks = tasks

    def write(self, wanted: Iterable[PlannedJob], targets: Iterable[Task]) -> list[dict[str, Any]]:
        """Return jobs and all they need, producers first."""
        gathered: dict[int, PlannedJob] = {}
        for job in wanted:
            _gather(job, gathered)
        for number, job in enumerate(gathered.values()):
            job.number = number
        ids = {id(task) for task in targets}
        return [self._job(job, id(job.task) in ids) for job in gathered.values()]

    def _job(self, job: PlannedJob, target: bool) -> dict[str, Any]:
        task = job.task
        keeps = _keeper(task.input_filter)
        return {
            "job": job.number,
            "task": task.name,
            "recipe": task.command,
            "runs": _kind(task),
            "target": target,
            "reference": job.reference.name,
            "main": [[file.name, _map_tag(task, file.classification)] for file in job.files if _keeps(job, file)],
            "upstream": [self._products(job, other, [tag_of(each) for each in task.main_classes], None)
                         for other in job.upstream],
            "inputs": [self._input(job, given, keeps) for given in job.inputs],
            "parameters": {str(name): str(value) for name, value in job.computed.items()},
            "dynamic": {name: _text(value) for name, value in job.dynamic.items()},
            "answers": job.answers,
            "complete": job.complete,
            "missing": job.missing,
            "warnings": job.warnings,
        }  # fmt: skip

    def _input(self, job: PlannedJob, given: Input, keeps: Callable[[str], bool]) -> dict[str, Any]:
        branch = given.branch
        # The filter works on products and statics; raw frames stay.
        files = [
            [file.name, _map_tag(job.task, file.classification)]
            for file in given.files
            if _keeps(job, file) and (file["pro.catg"] is None or keeps(file.classification))
        ]
        categories = [tag_of(each) for each in branch.classes]
        return {
            "name": branch.source.name,
            "level": given.taken.level,
            "days": given.taken.days,
            "by_user": given.by_user,
            "files": files,
            "jobs": [self._products(job, other, categories, branch, given.replaced) for other in given.jobs],
        }

    def _products(
        self,
        job: PlannedJob,
        other: PlannedJob,
        categories: list[str],
        branch: AssociatedInput | None,
        replaced: Iterable[str] = (),
    ) -> dict[str, Any]:
        """Return how products of another job come into the SOF: what is expected by name, what is kept, dropped."""
        task = job.task
        filters = [each for each in (other.task.output_filter, task.input_filter) if each is not None]
        keep: list[str] | None = categories if branch is None and categories else None
        drop: list[str] = list(replaced)
        for each in filters:
            if each.mode == "REJECT":
                drop.extend(each.tags)
            else:
                keep = list(each.tags) if keep is None else [tag for tag in keep if tag in each.tags]
        expected = self._find_named(other.task) if keep is not None else categories
        expected = [tag for tag in dict.fromkeys((*categories, *expected)) if tag not in drop]
        if keep is not None:
            expected = [tag for tag in expected if tag in keep]
            keep = [tag for tag in keep if tag not in drop]
            if categories:
                # A class that belongs to another task need not be looked for here.
                elsewhere = {tag for each in self._tasks if each is not other.task for tag in self._find_named(each)}
                keep = [tag for tag in keep if tag in expected or tag not in elsewhere]
        return {"job": other.number, "expected": expected, "keep": keep, "drop": drop, "renamed": task.input_map}

    def _find_named(self, task: Task) -> list[str]:
        """Return the product classes of a task that any task names."""
        named: list[str] = []
        for other in self._tasks:
            if other.main_input is task:
                named.extend(map(tag_of, other.main_classes))
            for branch in branches_of(other):
                if branch.source is task:
                    named.extend(map(tag_of, branch.classes))
        return list(dict.fromkeys(named))


def _keeps(job: PlannedJob, file: ClassifiedFile) -> bool:
    return file.name not in job.dropped


def _kind(task: Task) -> str:
    """Return what a job of a task is: a run of a recipe, of a function or command, a copy of its inputs, or nothing."""
    if task.command:
        return "recipe"
    if task.function is copy_all or task.function is copy_upstream:
        return str(task.function.__name__)
    return "function" if task.function or task.shell_command else "nothing"


def _map_tag(task: Task, tag: str) -> str:
    return task.input_map.get(tag, tag)


def _keeper(given: Filter | None) -> Callable[[str], bool]:
    if given is None:
        return lambda _: True
    if given.mode == "REJECT":
        return lambda tag: tag not in given.tags
    return lambda tag: tag in given.tags


def _gather(job: PlannedJob, gathered: dict[int, PlannedJob]) -> None:
    if id(job) in gathered:
        return
    for other in job.needs:
        _gather(other, gathered)
    gathered[id(job)] = job


def _text(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
