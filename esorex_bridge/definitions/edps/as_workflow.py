"""A workflow package in the form of our definitions. Planning goes by the package itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf

from msgspec.structs import replace

from esorex_bridge.definitions import steps as definition
from esorex_bridge.definitions.edps.extras import with_extras
from esorex_bridge.definitions.edps.package import (
    Filter,
    Function,
    InputBranch,
    MatchRule,
    Package,
    PackageTask,
    ParameterSet,
    TaskInput,
)
from esorex_bridge.definitions.edps.parameters import choose_set
from esorex_bridge.definitions.steps import Calibration, PackageTerms, StepDefinition
from esorex_bridge.definitions.workflow import STATES, ParameterChoice, Workflow


def canonical(key: str) -> str:
    """Return a keyword in our form: `ins.wlen.id` and `HIERARCH ESO INS WLEN ID` become `INS.WLEN.ID`."""
    text = key.strip().upper()
    for prefix in ("HIERARCH ESO ", "HIERARCH ", "ESO "):
        text = text.removeprefix(prefix)
    return text.replace(" ", ".")


def workflow_of(package: Package, parameter_set: str | None = None) -> Workflow:
    """Return a package as a definition.

    The package's functions are in it by name and place: they are asked where it is planned, behind the fence.
    """
    converter = _Converter(package, parameter_set)
    folder = package.name.partition(".")[0]
    steps = tuple(converter.step(task) for task in package.description.tasks if task.recipe)
    workflow = Workflow(
        name=package.name,
        title=package.description.title or f"EDPS workflow {package.name}",
        instruments=tuple(converter.instruments()) or (folder.upper(),),
        pipeline=folder,
        state=STATES[1],
        steps=steps,
        sources=(f"EDPS workflow package {package.root}/{folder}",),
        source=f"edps:{package.root}/{folder}",
        sets=tuple(map(_choice, package.sets)),
    )
    return with_extras(workflow, package.extras) if package.extras else workflow


def _choice(each: ParameterSet) -> ParameterChoice:
    recipes = tuple((task, tuple(values.items())) for task, values in each.recipes.items())
    return ParameterChoice(each.name, each.is_default, tuple(each.workflow.items()), recipes)


class _Converter:
    def __init__(self, package: Package, parameter_set: str | None) -> None:
        self._description = package.description
        self._set = choose_set(package.sets, parameter_set, package.name)

    def instruments(self) -> Iterator[str]:
        """Yield the values of INSTRUME that classes ask for, once each."""
        found: dict[str, None] = {}
        for rule in self._description.classes:
            for key, value in (rule.keywords or {}).items():
                if canonical(key) == "INSTRUME":
                    values = value if isinstance(value, tuple) else (value,)
                    found.update({str(each): None for each in values if each is not None})
        yield from found

    def step(self, task: PackageTask) -> StepDefinition:
        """Return a task as a step."""
        grouping = task.grouping
        if task.main_input is not None and task.main_input.kind == "source" and grouping.keywords is None:
            source = self._description.source(task.main_input.name)
            grouping = source.grouping if source else grouping
        calibrations: dict[str, Calibration] = {}
        for given in task.inputs:
            for calibration in self._calibrations(given, task.input_map):
                calibrations.setdefault(calibration.category, calibration)
        return StepDefinition(
            name=task.name,
            recipe=task.recipe or task.name,
            main=self._main(task),
            products=self._products(task),
            tags=tuple((old, new) for old, new in task.input_map.items() if old in self._main(task)),
            minimum=grouping.minimum or 1,
            group_by=tuple(map(self._keyword, grouping.keywords or ())),
            calibrations=tuple(calibrations.values()),
            parameters=tuple(self._set.recipes.get(task.name, {}).items()),
            terms=_terms(task, grouping.keywords or ()),
            source=task.file,
            line=task.line,
        )

    def _keyword(self, key: str) -> str:
        if not key.startswith("$"):
            return canonical(key)
        known = self._set.workflow
        return canonical(known.get(key, known.get(key[1:], key)))

    def _main(self, task: PackageTask) -> tuple[str, ...]:
        if task.main_input is None:
            return ()
        if task.main_input.kind == "source":
            source = self._description.source(task.main_input.name)
            return tuple(dict.fromkeys(source.classes)) if source else ()
        maker = self._description.task(task.main_input.name)
        return task.main_classes or (self._products(maker) if maker else ())

    def _products(self, task: PackageTask) -> tuple[str, ...]:
        """Return the categories that other tasks name of a task's products."""
        named: list[str] = []
        for other in self._description.tasks:
            if other.main_input is not None and (other.main_input.kind, other.main_input.name) == ("task", task.name):
                named.extend(other.main_classes)
            for branch in other.branches():
                if (branch.kind, branch.name) == ("task", task.name):
                    named.extend(branch.categories)
        return tuple(dict.fromkeys(named))

    def _calibrations(self, given: TaskInput, renamed: Mapping[str, str]) -> Iterator[Calibration]:
        """Yield what an input brings, each with the branches of the input that bring it, in their order."""
        ways = tuple(map(self._branch, given.branches))
        needed = all(way.minimum > 0 and not way.condition for way in ways)
        for category in dict.fromkeys(category for way in ways for category in way.categories):
            first = next(way for way in ways if category in way.categories)
            match = first.validity[0].match or () if first.validity else ()
            yield Calibration(
                renamed.get(category, category),
                # What not every branch has is taken where it is there.
                required=needed and all(category in way.categories for way in ways),
                match=match,
                strict=match,
                limit=first.limit,
                validity=tuple(replace(way, match=None) if way.match == match else way for way in first.validity),
                match_from="written" if match else "",
                branches=() if len(ways) == 1 and first.is_plain else ways,
            )

    def _branch(self, branch: InputBranch) -> definition.Branch:
        return definition.Branch(
            origin=f"{branch.kind} {branch.name}",
            categories=self._categories(branch),
            minimum=branch.min_ret,
            limit=None if branch.max_ret < 0 else branch.max_ret,
            validity=tuple(map(self._validity, branch.rules)),
            condition=_name_of(branch.condition),
        )

    def _categories(self, branch: InputBranch) -> tuple[str, ...]:
        """Return the categories that an input brings."""
        if branch.kind == "task":
            return branch.categories
        source = self._description.source(branch.name)
        return tuple(dict.fromkeys(source.classes)) if source else ()

    def _validity(self, rule: MatchRule) -> definition.Validity:
        low, high = rule.days
        days = (-inf if low is None else low, inf if high is None else high)
        return definition.Validity(days, rule.level, tuple(map(self._keyword, rule.match)), _name_of(rule.function))


def _terms(task: PackageTask, group_by: tuple[str, ...]) -> PackageTerms:
    return PackageTerms(
        condition=_name_of(task.condition),
        dynamic=tuple((name, _name_of(function)) for name, function in task.dynamic_parameters.items()),
        changed_by=tuple(map(_name_of, task.job_functions)),
        takes=_filter_tags(task.input_filter),
        gives=_filter_tags(task.output_filter),
        renamed=tuple(task.input_map.items()),
        group_by=group_by,
        labels=task.meta_targets,
    )


def _filter_tags(given: Filter | None) -> tuple[str, ...]:
    return () if given is None else ("only" if given.mode == "SELECT" else "all but", *given.tags)


def _name_of(function: Function | None) -> str:
    return "" if function is None else str(function)
