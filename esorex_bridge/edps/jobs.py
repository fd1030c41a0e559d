"""Jobs of a workflow package become datasets and plans: one plan for each job that is a target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace

from esorex_bridge.datasets.choices import tell_choices
from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile, Purpose
from esorex_bridge.definitions.edps.package import Package, ParameterSet
from esorex_bridge.definitions.edps.planned_jobs import COPIES, JobInput, PackageJob
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.edps.chosen import ORIGIN, Joined, needs_of
from esorex_bridge.plan.plan import (
    ALL_PRODUCTS,
    AssociatedInput,
    FileInput,
    Plan,
    ProductInput,
    Reason,
    Step,
    StepInput,
    StepLevel,
    StepName,
    UnusedFile,
    UnusedGroup,
)
from esorex_bridge.workspace.scan import archive_name

_THREADS = "OMP_NUM_THREADS"


class JobPlanner:
    """Makes plans of the jobs of one request; equal jobs have equal names in all plans.

    Parameters
    ----------
    package : Package
        What the jobs are of.
    joined : Joined
        The jobs, producers first, with what a user chose for them.
    chosen : ParameterSet
        The set of parameters.
    settings : iterable of ParameterSetting
        Recipe parameters of the user, by recipe or by task; they win.
    instruments : mapping of str to str
        INSTRUME by file.
    """

    def __init__(
        self,
        package: Package,
        joined: Joined,
        chosen: ParameterSet,
        settings: Iterable[ParameterSetting],
        instruments: Mapping[str, str],
    ) -> None:
        self._package, self._joined, self._jobs, self._chosen = package, joined, joined.jobs, chosen
        self._settings, self._instruments = tuple(settings), instruments
        self._needed = joined.find_needed()
        self._names = _names(joined, self._needed)
        self._actions: dict[int, Action] = {}

    def plans(self) -> tuple[tuple[Dataset, Plan], ...]:
        """Return each target job as a dataset with its plan, by time."""
        targets = ((name, self._jobs.jobs[number]) for name, number in self._joined.targets.items())
        return tuple((self._dataset(job, name), self._plan(job, name)) for name, job in targets)

    def plan_together(self, name: str) -> Plan:
        """Return one plan of all target jobs."""
        steps: dict[int, Step] = {}
        others = (job for job in self._jobs.jobs if job.target and job.runs != "recipe")
        idle = {job.task: UnusedGroup(Purpose(job.task), None, self._why_not(job)) for job in others}
        targets = [self._jobs.jobs[number] for number in self._joined.targets.values()]
        for job in targets:
            self._add(job, Purpose(job.task), steps)
            steps[job.job] = replace(steps[job.job], target=True)
        lacking = tuple(text for job in targets for text in _lacking(job))
        told = tuple(text for choices in self._joined.choices.values() for text in tell_choices(choices))
        return replace(self._new_plan(name, steps, idle, lacking, told), not_used=self.not_used())

    def _new_plan(
        self,
        name: str,
        steps: Mapping[int, Step],
        idle: Mapping[str, UnusedGroup],
        incomplete: tuple[str, ...],
        told: tuple[str, ...] = (),
    ) -> Plan:
        return Plan(
            name,
            self._package.name,
            tuple(steps.values()),
            tuple(idle.values()),
            (*told, *self.messages()),
            incomplete=incomplete,
        )

    def not_used(self) -> tuple[UnusedFile, ...]:
        """Return the files that no job takes which the targets need, each with the reason."""
        used = {name for number in self._needed for name in _files(self._jobs.jobs[number])}
        unused = ((name, classes) for name, classes in self._jobs.classified.items() if name not in used)
        return tuple(self._describe_unused(name, classes) for name, classes in sorted(unused))

    def _describe_unused(self, name: str, classes: tuple[tuple[str, str], ...]) -> UnusedFile:
        tags = ", ".join(dict.fromkeys(tag for _, tag in classes))
        places = ", ".join(dict.fromkeys(source for source, _ in classes))
        reason: Reason = "its maker is not needed"
        detail = f"in {places}; no job that the targets need takes it"
        if not classes:
            reason, detail = "no recipe for the category", "no rule of a data source or master fits it"
        elif any(archive_name(Path(name)) in choices.drop for choices in self._joined.choices.values()):
            reason, detail = "chosen by the user", "left out in a review"
        elif name in self._jobs.refused_files:
            why, detail = self._jobs.refused_files[name]
            reason = "group too small" if why == "few" else reason
        return UnusedFile(archive_name(Path(name)), tags, name, Purpose(places), reason, detail)

    def messages(self) -> tuple[str, ...]:
        """Return what is worth telling about the request."""
        unknown = (
            f"parameter set {name}: there is no task '{task}', so its parameters have no effect"
            for name, task in self._package.unknown_tasks()
            if name == self._chosen.name
        )
        overruled = (text for job in self._jobs.jobs for text in self._find_overruled(job))
        refused = (f"the package tried what it may not do: {what}" for what in self._jobs.refused)
        idle = (self._why_not(job) for job in self._jobs.jobs if job.runs not in ("recipe", *COPIES))
        return tuple(dict.fromkeys((*self._jobs.messages, *unknown, *overruled, *idle, *refused)))

    def _find_overruled(self, job: PackageJob) -> Iterator[str]:
        stated = self._chosen.recipes.get(job.task, {})
        for name, value in job.parameters.items():
            if stated.get(name, value) != value:
                yield f"{job.task}: {name} is {stated[name]} by the parameter set, not {value} by the job function"

    def _why_not(self, job: PackageJob) -> str:
        task = self._package.description.task(job.task)
        if job.runs == "nothing":
            return f"task {job.task} runs no recipe: its groups are there for reports and associations"
        if job.runs in COPIES:
            return f"task {job.task} hands on its inputs and runs no recipe"
        what = str(task.function) if task and task.function else "a command of the package"
        return f"task {job.task} runs {what} instead of a recipe, which is not run here"

    # ----- the dataset

    def _dataset(self, job: PackageJob, name: str) -> Dataset:
        action, instrument = self._action(job), self._instruments.get(job.reference, "")
        choices = self._joined.choices.get(name)
        if choices is None:
            return Dataset(name, instrument, action)
        told = replace(action, messages=(*action.messages, *tell_choices(choices)))
        return Dataset(name, instrument, told, chosen=choices.files, parameters=choices.parameters)

    def _action(self, job: PackageJob) -> Action:
        """Return a job as an action for views; equal jobs are one value, however often others take them."""
        if job.job not in self._actions:
            self._actions[job.job] = self._new_action(job)
        return self._actions[job.job]

    def _new_action(self, job: PackageJob) -> Action:
        children = dict.fromkeys(given.job for given in needs_of(job))
        files = [_file(*pair) for pair in job.main]
        statics = [_file(*pair) for given in job.inputs for pair in given.files]
        return Action(
            job.task,
            tuple(files),
            tuple(dict.fromkeys(statics)),
            tuple(self._action(self._jobs.jobs[number]) for number in children),
            complete=job.complete,
            messages=tuple(f"{job.task} lacks {text}" for text in job.missing),
        )

    # ----- the plan

    def _plan(self, target: PackageJob, name: str) -> Plan:
        steps: dict[int, Step] = {}
        self._add(target, Purpose(target.task), steps)
        steps[target.job] = replace(steps[target.job], target=True)
        idle = {
            other.task: UnusedGroup(Purpose(other.task), None, self._why_not(other))
            for number in steps
            for given in needs_of(self._jobs.jobs[number])
            if (other := self._jobs.jobs[given.job]).runs not in ("recipe", *COPIES)
        }
        return self._new_plan(name, steps, idle, tuple(_lacking(target)), tuple(self._tell(name, steps.values())))

    def _tell(self, name: str, steps: Iterable[Step]) -> Iterator[str]:
        """Yield what a user chose for a dataset, and parameters of his that no step has."""
        choices = self._joined.choices.get(name)
        if choices is not None:
            known = {each for step in steps for each in (step.recipe, step.actor)}
            yield from tell_choices(choices)
            yield from (
                f"no step runs {recipe}, whose {key} was chosen" for recipe, key, _ in choices.parameters
                if recipe not in known
            )  # fmt: skip

    def _add(self, job: PackageJob, purpose: Purpose, steps: dict[int, Step]) -> None:
        if job.job in steps:
            return
        for given in needs_of(job):
            other = self._jobs.jobs[given.job]
            if other.runs in ("recipe", *COPIES):
                self._add(other, Purpose(f"{other.task}/{purpose}"), steps)
        if job.runs == "recipe":
            steps[job.job] = self._step(job, purpose)

    def _step(self, job: PackageJob, purpose: Purpose) -> Step:
        settings, threads = self._parameters(job)
        return Step(
            name=self._names[job.job],
            actor=job.task,
            recipe=job.recipe or job.task,
            inputs=tuple(dict.fromkeys(self._inputs(job))),
            settings=settings,
            products=self._products(job),
            purpose=purpose,
            setup=tuple(_answers(job)),
            gaps=tuple((*job.missing, *self._not_made(job))),
            warnings=job.warnings,
            threads=threads,
            levels=tuple(StepLevel(given.name, given.level, given.days) for given in job.inputs),
            associations=tuple(self._associations(job)),
        )

    def _associations(self, job: PackageJob) -> Iterator[AssociatedInput]:
        for given in job.inputs:
            by = ORIGIN if given.by_user else "rules"
            for name, tag in given.files:
                yield AssociatedInput(tag, archive_name(Path(name)), given.days, given.level, chosen_by=by)
            for each in given.jobs:
                for entry in self._of_job(each):
                    source = entry.name if isinstance(entry, FileInput) else entry.step
                    yield AssociatedInput(entry.category, source, given.days, given.level, chosen_by=by)

    def _not_made(self, job: PackageJob) -> Iterator[str]:
        for given in needs_of(job):
            other = self._jobs.jobs[given.job]
            if other.runs in COPIES:
                yield from self._not_made(other)
            elif other.runs != "recipe" and (other.runs == "function" or given in job.upstream):
                yield self._why_not(other)

    def _products(self, job: PackageJob) -> tuple[str, ...]:
        """Return the categories that other jobs, or other tasks, name of its products."""
        description = self._package.description
        named = [category for other in self._jobs.jobs for given in needs_of(other) if given.job == job.job
                 for category in given.expected]  # fmt: skip
        for task in description.tasks:
            named += [tag for branch in task.branches() if (branch.kind, branch.name) == ("task", job.task)
                      for tag in branch.categories]  # fmt: skip
        return tuple(dict.fromkeys(named))

    def _parameters(self, job: PackageJob) -> tuple[tuple[ParameterSetting, ...], int]:
        """Return settings, later ones winning: function, set, review, user; and how many processors a run takes."""
        recipe = job.recipe or job.task
        computed = [ParameterSetting(recipe, *pair, f"job function of {job.task}") for pair in job.parameters.items()]
        stated = self._chosen.recipes.get(job.task, {})
        chosen = [ParameterSetting(recipe, *pair, f"parameter set {self._chosen.name}") for pair in stated.items()]
        own = [
            ParameterSetting(recipe, each.name, each.value, each.origin)
            for each in self._settings
            if each.recipe in (recipe, job.task)
        ]
        listed = [*computed, *chosen, *self._list_reviewed(job), *own]
        threads = next((str(each.value) for each in reversed(listed) if each.name == _THREADS), "1")
        settings = tuple(each for each in listed if each.name != _THREADS)
        return settings, int(threads) if threads.isdigit() and int(threads) else 1

    def _list_reviewed(self, job: PackageJob) -> Iterator[ParameterSetting]:
        for each in self._joined.settings.get(job.job, ()):
            yield ParameterSetting(job.recipe or job.task, each.name, each.value, each.origin)

    # ----- inputs

    def _inputs(self, job: PackageJob) -> Iterator[StepInput]:
        for name, tag in job.main:
            yield FileInput(archive_name(Path(name)), name, tag)
        for given in job.upstream:
            yield from self._of_job(given)
        for association in job.inputs:
            for name, tag in association.files:
                yield FileInput(archive_name(Path(name)), name, tag)
            for given in association.jobs:
                yield from self._of_job(given)

    def _of_job(self, given: JobInput) -> Iterator[StepInput]:
        other = self._jobs.jobs[given.job]
        if other.runs in COPIES:
            for entry in self._copy_inputs(other):
                yield from _hand_on(entry, given)
            return
        if other.runs != "recipe":
            return
        step = self._names[given.job]
        if given.keep is None:
            words = ", ".join(given.expected) or "all products"
            yield ProductInput(step, ALL_PRODUCTS, words, given.drop, tuple(given.renamed.items()), True)
            return
        for category in given.keep:
            tag = given.renamed.get(category, category)
            yield ProductInput(step, category, tag, optional=category not in given.expected)

    def _copy_inputs(self, job: PackageJob) -> Iterator[StepInput]:
        """Yield what a job hands on: its inputs, or those of them that come from other tasks."""
        if job.runs == "copy_all":
            yield from self._inputs(job)
            return
        for given in needs_of(job):
            yield from self._of_job(given)
        for association in job.inputs:
            # Masters stand in for a task.
            if self._package.description.task(association.name) is not None:
                for name, tag in association.files:
                    yield FileInput(archive_name(Path(name)), name, tag)


def _hand_on(entry: StepInput, given: JobInput) -> Iterator[StepInput]:
    """Yield what of an input of a copying job comes into the SOF of a job that takes its products."""
    if isinstance(entry, ProductInput) and entry.product == ALL_PRODUCTS:
        renamed = {**dict(entry.renamed), **given.renamed}
        if given.keep is None:
            yield replace(entry, drop=(*entry.drop, *given.drop), renamed=tuple(renamed.items()))
            return
        for category in given.keep:
            if category not in entry.drop:
                yield ProductInput(entry.step, category, renamed.get(category, category), optional=True)
    elif entry.category not in given.drop and (given.keep is None or entry.category in given.keep):
        yield replace(entry, category=given.renamed.get(entry.category, entry.category))


def _answers(job: PackageJob) -> Iterator[tuple[str, str]]:
    """Yield what the package's functions said of a job: dynamic parameters, then conditions of its inputs."""
    for name, value in job.dynamic.items():
        yield name, str(value)
    for name, holds in job.answers.items():
        if name not in job.dynamic:
            yield name, "yes" if holds else "no"


def _lacking(job: PackageJob) -> Iterator[str]:
    if job.missing:
        yield f"{archive_name(Path(job.reference))} ({job.task}): {'; '.join(job.missing)}"


def _files(job: PackageJob) -> Iterator[str]:
    """Yield the files that a job takes as they are."""
    yield job.reference
    yield from (name for name, _ in (*job.main, *(pair for given in job.inputs for pair in given.files)))


def _names(joined: Joined, needed: Collection[int]) -> dict[int, StepName]:
    """Return a name for each job: those that the package makes are numbered, whatever a user chose.

    What he made of a job takes its name where nothing needs that any more, and a further number elsewhere.
    """
    counts: Counter[str] = Counter()
    found: dict[int, StepName] = {}
    free: dict[tuple[str, str], list[StepName]] = {}
    for job in joined.jobs.jobs:
        left = free.get((job.task, job.reference), []) if job.job >= joined.made else []
        if left:
            found[job.job] = left.pop(0)
            continue
        counts[job.task] += 1
        found[job.job] = StepName(f"{job.task}_{counts[job.task]}")
        if job.job not in needed:
            free.setdefault((job.task, job.reference), []).append(found[job.job])
    return found


def _file(name: str, tag: str) -> DatasetFile:
    return DatasetFile(archive_name(Path(name)), tag, Path(name))
