"""Files on disk become jobs, by the semantics of EDPS: groups, jobs, associations, down to what the targets need."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from esorex_bridge.edps.child.association import PREFERENCES, Choice, Event, Offer, Taken
from esorex_bridge.edps.child.calls import Calls
from esorex_bridge.edps.child.files import ClassifiedFile, FitsFile
from esorex_bridge.edps.child.groups import bears, group_members, members
from esorex_bridge.edps.child.inert import Inert
from esorex_bridge.edps.child.planned import Input, PlannedJob, Slot
from esorex_bridge.edps.child.reading import branches_of, rules_for
from esorex_bridge.edps.child.rules import ClassificationRule, tag_of
from esorex_bridge.edps.child.sources import DataSource
from esorex_bridge.edps.child.standin import Job, JobParameters
from esorex_bridge.edps.child.tasks import Alternatives, AssociatedInput, Task


class Planner:
    """Makes the jobs of tasks when they are first asked for."""

    def __init__(self, tasks: list[Task], files: list[FitsFile], request: dict[str, Any]) -> None:
        self.tasks, self.files = tasks, files
        self.calls = Calls()
        self.parameters: dict[str, Any] = dict(request.get("workflow_parameters", {}))
        self.pool = JobParameters(self.parameters)
        self.preference = request.get("preference", PREFERENCES[0])
        self.take_incomplete = request.get("associate_incomplete", True)
        self.threshold = self._threshold()
        self.events = [
            Event(each["mjd"], tuple(each["instruments"]), each["raws"], each["masters"])
            for each in request.get("events", ())
        ]
        self._members: dict[int, list[ClassifiedFile]] = {}
        self._jobs: dict[int, list[PlannedJob]] = {}
        self._masters: dict[int, list[Offer]] = {}
        self._groups: dict[int, dict[int, list[ClassifiedFile]]] = {}
        self.refused: dict[str, tuple[str, str]] = {}
        """Main files of which there is no job: whether they are too few or a condition fails, and the detail."""

    def _threshold(self) -> float:
        given = self.pool.get_workflow_param("quality_threshold")
        try:
            return math.inf if given is None else float(given)
        except (TypeError, ValueError):
            self.calls.say(f"quality_threshold is '{given}', which is not a number; it does not count")
            return math.inf

    # ----- jobs

    def jobs_of(self, task: Task) -> list[PlannedJob]:
        """Return the jobs of a task, by time."""
        if id(task) not in self._jobs:
            self._jobs[id(task)] = []
            made = list(self._make(task))
            self._jobs[id(task)] = sorted(made, key=lambda job: job.reference.order)
        return self._jobs[id(task)]

    def members_of(self, source: DataSource) -> list[ClassifiedFile]:
        """Return the files of a data source."""
        if id(source) not in self._members:
            self._members[id(source)] = members(source, self.files, self.calls)
        return self._members[id(source)]

    def _make(self, task: Task) -> Iterator[PlannedJob]:
        for job in self._drafts(task):
            for name, function in task.dynamic.items():
                job.dynamic[name] = self._plain(self.calls.ask(function, list(job.raws)), function)
            parameters = JobParameters(self.parameters, job.dynamic)
            if task.condition is not None and not self._is_wanted(job, parameters):
                continue
            job.slots = [self._associate(job, given, parameters) for given in task.inputs]
            self.conclude(job)
            yield job

    def conclude(self, job: PlannedJob) -> None:
        """Tell what a job lacks of what it takes, and have the package's own functions change it."""
        job.missing = [_say_incomplete(other) for other in job.upstream if not other.complete]
        for branches, found in job.slots:
            if found is not None:
                if found.taken.function is not None:
                    job.answers[_name_of(found.taken.function)] = True
                job.missing += [_say_incomplete(other) for other in found.jobs if not other.complete]
                if found.odd:
                    job.warnings.append(f"chosen in a review, though no association rule allows it: {found.odd}")
            elif branches and all(branch.min_ret > 0 for branch in branches):
                job.missing.append(f"needs {_lacking(branches)}: nothing fits")
            elif branches:
                job.warnings.append(f"made without {_lacking(branches)}")
        self._process(job)

    def _is_wanted(self, job: PlannedJob, parameters: JobParameters) -> bool:
        """Return what the condition of a task answers for a job, and take it down."""
        condition = job.task.condition
        answer = self.calls.holds(condition, parameters)
        job.answers[_name_of(condition)] = answer
        if not answer:
            why = ("condition", f"{job.task.name}: {self.calls.place(condition)} does not hold")
            self.refused.update({file.name: why for file in job.files})
        return answer

    def _plain(self, value: Any, function: Any) -> Any:
        if isinstance(value, Inert):
            self.calls.say(f"{self.calls.place(function)} uses what is not installed where packages are read")
            return None
        return value

    def _drafts(self, task: Task) -> Iterator[PlannedJob]:
        main = task.main_input
        if isinstance(main, Task):
            yield from self._on_jobs(task, main)
        elif isinstance(main, DataSource):
            grouping = task.grouping if task.grouping.stated else main.grouping
            minimum = task.grouping.minimum or main.grouping.minimum or 1
            for group in group_members(self.members_of(main), lambda file: file, grouping, self.pool, self.calls):
                if len(group) >= minimum:
                    self._tell_mixed(main, group)
                    yield PlannedJob(task, group, [])
                else:
                    too_few = ("few", f"{task.name}: {len(group)} < {minimum}")
                    self.refused.update({file.name: too_few for file in group})
        else:
            self.calls.say(f"task {task.name} has no main input, so it has no jobs")

    def _on_jobs(self, task: Task, main: Task) -> Iterator[PlannedJob]:
        upstream = self.jobs_of(main)
        groups = [[job] for job in upstream]
        if task.grouping.stated:
            groups = group_members(upstream, lambda job: job.reference, task.grouping, self.pool, self.calls)
        for group in groups:
            if len(group) >= (task.grouping.minimum or 1):
                yield PlannedJob(task, [], group)

    def _tell_mixed(self, source: DataSource, group: list[ClassifiedFile]) -> None:
        tags = sorted({file.classification for file in group})
        if len(tags) > 1:
            self.calls.say(f"{' and '.join(tags)} share groups of data source {source.name}")

    # ----- associated inputs

    def _associate(self, job: PlannedJob, given: AssociatedInput | Alternatives, parameters: JobParameters) -> Slot:
        branches = given.branches if isinstance(given, Alternatives) else [given]
        left = [branch for branch in branches if self._exists(job, branch, parameters)]
        if len(left) > 1 and self.preference.startswith("master"):
            self.calls.say("masters are preferred within each branch of alternatives, not across branches")
        return Slot(left, self._first(job, left, given.sort_keys if isinstance(given, Alternatives) else []))

    def _exists(self, job: PlannedJob, branch: AssociatedInput, parameters: JobParameters) -> bool:
        if branch.condition is None:
            return True
        answer = self.calls.holds(branch.condition, parameters)
        job.answers[_name_of(branch.condition)] = answer
        return answer

    def _first(self, job: PlannedJob, branches: list[AssociatedInput], sort_keys: list[str]) -> Input | None:
        for incomplete in (False, True) if self.take_incomplete else (False,):
            found = [(branch, taken) for branch in branches if (taken := self._take(job, branch, incomplete))]
            if found and sort_keys:
                found.sort(key=lambda pair: pair[1].distance)
            if found:
                return Input(*found[0])
        return None

    def _take(self, job: PlannedJob, branch: AssociatedInput, incomplete: bool) -> Taken | None:
        """Return what a branch finds: among what is complete, or among incomplete jobs."""
        source = branch.source
        if incomplete and (isinstance(source, DataSource) or branch.min_ret < 1):
            return None
        raws = [offer for offer in self.raws_for(branch) if offer.job is None or offer.job.complete is not incomplete]
        choice = self.choice_for(job, branch)
        if isinstance(source, DataSource):
            if not rules_for(branch) and raws:
                self.calls.say(f"data source {source.name} has no association rules; the file nearest in time is taken")
            taken = choice.take(raws, (), "raw")
            self._tell_cut(branch, source, taken)
            return taken
        return choice.take(raws, [] if incomplete else self.masters_for(branch), self.preference)

    def choice_for(self, job: PlannedJob, branch: AssociatedInput) -> Choice:
        """Return how a branch of an input of a job chooses."""
        return Choice(
            job.reference,
            rules_for(branch),
            branch.min_ret,
            branch.max_ret,
            self.pool,
            self.calls,
            self.threshold,
            self.events,
        )

    def raws_for(self, branch: AssociatedInput) -> list[Offer]:
        """Return what a branch could take but masters: the files of its data source, or the jobs of its task."""
        if isinstance(branch.source, DataSource):
            return [Offer(file, file) for file in self.members_of(branch.source)]
        return [Offer(job.reference, job=job) for job in self.jobs_of(branch.source)]

    def masters_for(self, branch: AssociatedInput) -> list[list[Offer]]:
        """Return the masters that may stand in for the task of a branch, by class."""
        return [] if isinstance(branch.source, DataSource) else [self._masters_of(each) for each in branch.classes]

    def _tell_cut(self, branch: AssociatedInput, source: DataSource, taken: Taken | None) -> None:
        if taken is None or branch.max_ret != 1 or not source.grouping.keywords or len(taken.offers) != 1:
            return
        if len(self.group_of(source, taken.offers[0].file)) > 1:
            self.calls.say(f"of data source {source.name} one file is taken, though its groups have more")

    def group_of(self, source: DataSource, file: ClassifiedFile | None) -> list[ClassifiedFile]:
        """Return the group of a data source that a file is in."""
        if id(source) not in self._groups:
            groups = group_members(self.members_of(source), lambda file: file, source.grouping, self.pool, self.calls)
            self._groups[id(source)] = {id(file): group for group in groups for file in group}
        return self._groups[id(source)].get(id(file), [])

    def _masters_of(self, rule: Any) -> list[Offer]:
        """Return the files on disk that are of a class."""
        if id(rule) not in self._masters:
            known = rule if isinstance(rule, ClassificationRule) else ClassificationRule(str(rule))
            self._masters[id(rule)] = [
                Offer(file, ClassifiedFile(file, known.classification))
                for file in self.files
                if bears(file, known, self.calls)
            ]
        return self._masters[id(rule)]

    # ----- what a package's own functions change

    def _process(self, job: PlannedJob) -> None:
        if not job.task.job_functions:
            return
        if job.upstream:
            self.calls.say(
                f"{', '.join(map(self.calls.place, job.task.job_functions))}: files of {job.task.name} are products, "
                "of which no header is known yet; the raw files that they come from are shown instead"
            )
        parameters = JobParameters(dict(self.parameters), job.dynamic)
        associated = [file for given in job.inputs for file in given.files]
        seen = Job(job.task.command or "", job.task.name, list(job.raws), list(associated), parameters)
        for function in job.task.job_functions:
            self.calls.ask(function, seen)
        job.computed = {
            str(name): str(value)
            for name, value in parameters.recipe_parameters.items()
            if not isinstance(value, Inert)
        }
        kept = {getattr(file, "name", "") for file in (*seen.input_files, *seen.associated_files)}
        job.dropped = {file.name for file in (*job.raws, *associated)} - kept

    def classify(self) -> dict[str, list[tuple[str, str]]]:
        """Return the data sources that each file is in, and the classes that it may stand in for as a master."""
        found: dict[str, list[tuple[str, str]]] = {file.name: [] for file in self.files}
        sources: dict[int, DataSource] = {}
        rules: dict[int, Any] = {}
        for task in self.tasks:
            branches = list(branches_of(task))
            for source in (task.main_input, *(branch.source for branch in branches)):
                if isinstance(source, DataSource):
                    sources[id(source)] = source
            rules.update({id(rule): rule for branch in branches if isinstance(branch.source, Task)
                          for rule in branch.classes})  # fmt: skip
        for source in sources.values():
            for file in self.members_of(source):
                found[file.name].append((source.name, file.classification))
        for rule in rules.values():
            for offer in self._masters_of(rule):
                if ("masters", tag_of(rule)) not in found[offer.header.name]:
                    found[offer.header.name].append(("masters", tag_of(rule)))
        return found


def _name_of(function: Any) -> str:
    return str(getattr(function, "__name__", "a function"))


def _say_incomplete(job: PlannedJob) -> str:
    return f"{job.label} is incomplete: {'; '.join(job.missing)}"


def _lacking(branches: list[AssociatedInput]) -> str:
    def words(branch: AssociatedInput) -> str:
        tags = ", ".join(map(tag_of, branch.classes))
        return f"{branch.source.name} ({tags})" if tags else branch.source.name

    return " or ".join(dict.fromkeys(map(words, branches)))
