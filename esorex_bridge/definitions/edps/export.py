"""A definition of ours as a workflow package of EDPS, that EDPS runs and that reads back as the same definition.

What a package cannot say (which recipes name their inputs, reasons, versions …) stands in `esorex_bridge.json`
beside it, which EDPS passes over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf

import msgspec

from esorex_bridge.definitions.edps.conditions import classification_module
from esorex_bridge.definitions.edps.extras import EXTRAS_FILE, extras_of
from esorex_bridge.definitions.inspection import categories_given
from esorex_bridge.definitions.oca.rules import Rules
from esorex_bridge.definitions.steps import Calibration, StepDefinition, Validity
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.errors import UserError


def export_package(workflow: Workflow, rules: Rules) -> dict[str, str]:
    """Return the files of a package by path below its root.

    Parameters
    ----------
    workflow : Workflow
        The definition.
    rules : Rules
        Of its pipeline: a package must classify.

    Raises
    ------
    UserError
        If the definition has a step of the user's own, or steps that need each other.
    UnsupportedRuleError
        If a rule has no counterpart.
    """
    name = workflow.name
    if not name.isidentifier():
        raise UserError(f"'{name}' is not a valid name of a Python package")
    own = [step.name for step in workflow.steps if step.command]
    if own:
        raise UserError(f"{name} has steps that run a program of the user's own: {', '.join(own)}")
    writer = _Writer(workflow, frozenset(categories_given(rules)))
    files = {
        "__init__.py": "",
        f"{name}_rules.py": classification_module(rules),
        f"{name}_wkf.py": writer.module(),
        f"{name}_parameters.yaml": _parameters(workflow),
        EXTRAS_FILE: extras_of(workflow),
    }
    return {f"{name}/{file}": text for file, text in files.items()}


def _parameters(workflow: Workflow) -> str:
    lines = ["default_parameters:", "  is_default: yes", "  workflow_parameters: {}", "  recipe_parameters:"]
    for step in workflow.steps:
        if step.parameters:
            lines.append(f"    {step.name}:")
            lines += [f"      {name}: {msgspec.json.encode(_text(value)).decode()}" for name, value in step.parameters]
    if not any(step.parameters for step in workflow.steps):
        lines[-1] += " {}"
    return "\n".join(lines) + "\n"


def _text(value: object) -> str:
    return str(value).upper() if isinstance(value, bool) else str(value)


class _Writer:
    """Writes the workflow module."""

    def __init__(self, workflow: Workflow, ruled: frozenset[str]) -> None:
        self.workflow, self.ruled = workflow, ruled
        self.makers: dict[str, StepDefinition] = {}
        for step in workflow.steps:
            for category in step.products:
                self.makers.setdefault(category, step)
        self.sources: dict[tuple[str, ...], str] = {}
        self.lines: list[str] = []

    def module(self) -> str:
        """Return its text."""
        body = [line for step in self._order() for line in self._task(step)]
        head = [
            f'"""{self.workflow.title}: written from a definition of esorex-bridge."""',
            "from edps import QC1_CALIB, SCIENCE, classification_rule, data_source, match_rules, task",
            "from edps.generator.time_range import INF, NEGATIVE_INF, UNLIMITED, RelativeTimeRange",
            f"from . import {self.workflow.name}_rules as rules",
            "",
            f"__title__ = {self.workflow.title!r}",
            "",
            "",
            "def raw(tag):",
            "    return classification_rule(tag, lambda f: rules.tag(f) == tag)",
            "",
            "",
            "def product(category):",
            "    return classification_rule(category, {'pro.catg': category})",
            "",
            "",
        ]
        return "\n".join([*head, *self.lines, *body]) + "\n"

    def _order(self) -> list[StepDefinition]:
        """Return steps after those whose products they take; a step is not made to wait for itself."""
        done: list[StepDefinition] = []

        def visit(step: StepDefinition, path: tuple[str, ...]) -> None:
            if step in done or step.name in path:
                return
            for category in (*step.main, *(each for given in step.calibrations for each in given.accepted)):
                maker = self.makers.get(category)
                if maker is not None and maker is not step:
                    visit(maker, (*path, step.name))
            done.append(step)

        for step in self.workflow.steps:
            visit(step, ())
        return done

    def _task(self, step: StepDefinition) -> Iterator[str]:
        maker = next((self.makers[each] for each in step.main if self.makers.get(each) not in (None, step)), None)
        keys = [*map(str.lower, step.group_by), *(["mjd-obs"] if step.each else [])]
        yield f"{_variable(step)} = ("
        yield f"    task({step.name!r})"
        yield f"    .with_recipe({step.recipe!r})"
        if maker is None:
            yield f"    .with_main_input({self._source(step.main)})"
        else:
            classes = ", ".join(f"product({each!r})" for each in step.main)
            yield f"    .with_main_input({_variable(maker)}, [{classes}])"
        if keys or maker is None:
            yield f"    .with_grouping_keywords({keys!r})"
        yield f"    .with_min_group_size({step.minimum})"
        for calibration in step.calibrations:
            yield from self._input(step, calibration)
        renamed = {**dict(step.tags), **{other: each.category for each in step.calibrations
                                         for other in each.accepted if other != each.category}}  # fmt: skip
        if renamed:
            yield f"    .with_input_map({renamed!r})"
        yield f"    .with_meta_targets([{'QC1_CALIB' if self._is_taken(step) and not step.always else 'SCIENCE'}])"
        yield "    .build()"
        yield ")"

    def _is_taken(self, step: StepDefinition) -> bool:
        taken: set[str] = set()
        for other in self.workflow.steps:
            if other is not step:
                taken.update(other.main, *(given.accepted for given in other.calibrations))
        return bool(taken.intersection(step.products))

    def _input(self, step: StepDefinition, calibration: Calibration) -> Iterator[str]:
        made = [each for each in calibration.accepted if self.makers.get(each) not in (None, step)]
        least = int(calibration.required)
        most = -1 if calibration.limit is None else calibration.limit
        options = f"min_ret={least}, max_ret={most}, match_rules={_rules(calibration)}"
        if made:
            classes = ", ".join(f"product({each!r})" for each in calibration.accepted)
            yield f"    .with_associated_input({_variable(self.makers[made[0]])}, [{classes}], {options})"
        else:
            yield f"    .with_associated_input({self._source(calibration.accepted)}, {options})"

    def _source(self, categories: tuple[str, ...]) -> str:
        """Return the variable of a data source of categories, written at its first use."""
        if categories not in self.sources:
            variable = f"source_{len(self.sources) + 1}"
            self.sources[categories] = variable
            kinds = ["raw" if each in self.ruled else "product" for each in categories]
            rules = [
                f"    .with_classification_rule({kind}({each!r}))" for kind, each in zip(kinds, categories, strict=True)
            ]
            label = " or ".join(categories)
            self.lines += [f"{variable} = (", f"    data_source({label!r})", *rules, "    .build()", ")"]
        return self.sources[categories]


def _variable(step: StepDefinition) -> str:
    return f"task_{step.name}".replace("-", "_")


def _rules(calibration: Calibration) -> str:
    ways: Iterable[Validity] = calibration.validity or (Validity(),)
    calls = []
    for way in ways:
        keywords = [key.lower() for key in (calibration.match if way.match is None else way.match)]
        calls.append(f".with_match_keywords({keywords!r}, time_range={_range(way)}, level={way.level})")
    return "match_rules()" + "".join(calls)


def _range(way: Validity) -> str:
    low, high = way.days
    if (low, high) == (-inf, inf):
        return "UNLIMITED"
    start = "NEGATIVE_INF" if low == -inf else repr(float(low))
    end = "INF" if high == inf else repr(float(high))
    return f"RelativeTimeRange({start}, {end})"
