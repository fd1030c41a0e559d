"""Answering a request to plan: the jobs of targets, and those of them for which a user chose himself."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

from esorex_bridge.edps.child.calls import Calls
from esorex_bridge.edps.child.choosing import Chooser
from esorex_bridge.edps.child.files import FitsFile, asked
from esorex_bridge.edps.child.planned import PlannedJob
from esorex_bridge.edps.child.planning import Planner
from esorex_bridge.edps.child.reading import tasks_of
from esorex_bridge.edps.child.tasks import Task
from esorex_bridge.edps.child.writing import JobWriter


def choose_targets(tasks: list[Task], names: Iterable[str], labels: Iterable[str], calls: Calls) -> list[Task]:
    """Return the targets: tasks by name, and those with a label; `ALL` is every task."""
    wanted, marked = list(names), {label.lower() for label in labels}
    found = [
        task
        for task in tasks
        if task.name in wanted or "all" in marked or marked.intersection(target.lower() for target in task.meta_targets)
    ]
    for name in wanted:
        if all(task.name != name for task in tasks):
            known = ", ".join(task.name for task in tasks)
            raise LookupError(f"there is no task '{name}'; there are: {known}")
    if not found and marked:
        labels_there = ", ".join(sorted({target for task in tasks for target in task.meta_targets})) or "none"
        raise LookupError(f"no task has the meta target {', '.join(sorted(marked))}; there are: {labels_there}")
    return found


def plan(module: ModuleType, request: dict[str, Any]) -> dict[str, Any]:
    """Return the jobs for a request, and the keywords that were asked for and not sent."""
    tasks = tasks_of(module)
    files = _read_files(request["files"])
    planner = Planner(tasks, files, request)
    try:
        targets = choose_targets(tasks, request.get("targets", ()), request.get("meta_targets", ()), planner.calls)
    except LookupError as error:
        return {"no_target": str(error)}
    jobs = JobWriter(tasks).write((job for task in targets for job in planner.jobs_of(task)), targets)
    classified = planner.classify()
    reviewed = [_review(planner, files, request, choices) for choices in request.get("choices", ())]
    return {
        "jobs": jobs,
        "messages": planner.calls.messages,
        "asked": sorted(asked),
        "classified": classified,
        "refused_files": planner.refused,
        "reviewed": reviewed,
    }


def _read_files(listed: Iterable[dict[str, Any]]) -> list[FitsFile]:
    return sorted((FitsFile(each["name"], each["header"]) for each in listed), key=lambda file: file.order)


def _review(
    planner: Planner, files: list[FitsFile], request: dict[str, Any], choices: dict[str, Any]
) -> dict[str, Any]:
    """Return the job of one dataset as a user wants it, with all it needs; without files that he left out."""
    first = next(job for task in planner.tasks for job in planner.jobs_of(task)
                 if (task.name, job.reference.name) == (choices["task"], choices["reference"]))  # fmt: skip
    dropped = set(choices["drop"])
    target: PlannedJob | None = first
    if dropped:
        calls = planner.calls
        planner = Planner(planner.tasks, [file for file in files if file.name not in dropped], request)
        planner.calls = calls
        own = {raw.name for raw in first.raws}
        alike = (job for job in planner.jobs_of(first.task) if own.intersection(raw.name for raw in job.raws))
        target = next(alike, None)
    if target is None:
        return {"dataset": choices["dataset"]}
    chooser = Chooser(planner, choices["use"], choices["replace"], _read_files(choices["own"]))
    made = chooser.apply(target)
    return {
        "dataset": choices["dataset"],
        "jobs": JobWriter(planner.tasks).write([made], [made.task]),
        "idle": chooser.idle(),
        "outside": chooser.outside,
        "slots": chooser.survey(made) if choices["survey"] else [],
    }
