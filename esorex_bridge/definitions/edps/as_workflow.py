"""A workflow package in the form of our definitions: what both can say. Planning goes by the package itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf

from esorex_bridge.definitions.edps.extras import with_extras
from esorex_bridge.definitions.edps.package import AssociatedInput, Branch, MatchRule, Package, Task
from esorex_bridge.definitions.edps.parameters import choose_set
from esorex_bridge.definitions.steps import Calibration, StepDefinition, Validity
from esorex_bridge.definitions.workflow import STATES, Workflow


def canonical(key: str) -> str:
    """Return a keyword in our form: `ins.wlen.id` and `HIERARCH ESO INS WLEN ID` become `INS.WLEN.ID`."""
    text = key.strip().upper()
    for prefix in ("HIERARCH ESO ", "HIERARCH ", "ESO "):
        text = text.removeprefix(prefix)
    return text.replace(" ", ".")


def workflow_of(package: Package, parameter_set: str | None = None) -> Workflow:
    """Return the steps, calibrations, validity and levels of a package as a definition.

    Functions, conditions and the order of alternatives are not in it: `Package` has them, and planning asks them.
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
    )
    return with_extras(workflow, package.extras) if package.extras else workflow


def functions_of(package: Package) -> dict[tuple[str, str], str]:
    """Return, by task and category, the functions that decide about an association, which a definition cannot hold."""
    converter = _Converter(package, None)
    found: dict[tuple[str, str], dict[str, None]] = {}
    for task in package.description.tasks:
        for branch in task.branches():
            for category in converter.categories(branch):
                names = {f"function {rule.function}": None for rule in branch.rules if rule.function}
                found.setdefault((task.name, category), {}).update(names)
    return {place: ", ".join(names) for place, names in found.items() if names}


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

    def step(self, task: Task) -> StepDefinition:
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
            source=task.file,
            line=task.line,
        )

    def _keyword(self, key: str) -> str:
        if not key.startswith("$"):
            return canonical(key)
        known = self._set.workflow
        return canonical(known.get(key, known.get(key[1:], key)))

    def _main(self, task: Task) -> tuple[str, ...]:
        if task.main_input is None:
            return ()
        if task.main_input.kind == "source":
            source = self._description.source(task.main_input.name)
            return tuple(dict.fromkeys(source.classes)) if source else ()
        maker = self._description.task(task.main_input.name)
        return task.main_classes or (self._products(maker) if maker else ())

    def _products(self, task: Task) -> tuple[str, ...]:
        """Return the categories that other tasks name of a task's products."""
        named: list[str] = []
        for other in self._description.tasks:
            if other.main_input is not None and (other.main_input.kind, other.main_input.name) == ("task", task.name):
                named.extend(other.main_classes)
            for branch in other.branches():
                if (branch.kind, branch.name) == ("task", task.name):
                    named.extend(branch.categories)
        return tuple(dict.fromkeys(named))

    def _calibrations(self, given: AssociatedInput, renamed: Mapping[str, str]) -> Iterator[Calibration]:
        required = all(branch.min_ret > 0 and branch.condition is None for branch in given.branches)
        for place, branch in enumerate(given.branches):
            for category in self.categories(branch):
                # What only a later branch has is wanted where the first finds nothing.
                yield self._calibration(
                    renamed.get(category, category), branch, required and place == 0 and not given.alternatives
                )

    def categories(self, branch: Branch) -> tuple[str, ...]:
        """Return the categories that an input brings."""
        if branch.kind == "task":
            return branch.categories
        source = self._description.source(branch.name)
        return tuple(dict.fromkeys(source.classes)) if source else ()

    def _calibration(self, category: str, branch: Branch, required: bool) -> Calibration:
        match = tuple(map(self._keyword, branch.rules[0].match)) if branch.rules else ()
        return Calibration(
            category,
            required=required,
            match=match,
            strict=match,
            limit=None if branch.max_ret < 0 else branch.max_ret,
            validity=tuple(self._validity(rule, match) for rule in branch.rules),
            match_from="written" if match else "",
        )

    def _validity(self, rule: MatchRule, match: tuple[str, ...]) -> Validity:
        low, high = rule.days
        keywords = tuple(map(self._keyword, rule.match))
        days = (-inf if low is None else low, inf if high is None else high)
        return Validity(days, rule.level, None if keywords == match else keywords)
