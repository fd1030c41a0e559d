"""A workflow definition held against itself and against a pipeline's rules: what does not fit together."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from esorex_bridge.definitions.oca.expressions import Constant
from esorex_bridge.definitions.oca.rules import Rules
from esorex_bridge.definitions.steps import StepDefinition
from esorex_bridge.definitions.workflow import Workflow

CATEGORY_KEYWORDS = ("DO.CATG", "REFLEX.CATG", "PRO.CATG")
"""Keywords by which rules give a file its category."""


class DefinitionFinding(Struct, frozen=True):
    """Something about a definition.

    Parameters
    ----------
    place : str
        File and line.
    problem : str
        What it is.
    grave : bool
        Whether it is wrong; else it is worth a look only.
    """

    place: str
    problem: str
    grave: bool = True


def inspect(workflow: Workflow) -> Iterator[DefinitionFinding]:
    """Yield what does not fit together in a definition.

    Circles, and two makers of one category, are refused on reading already.
    """
    for step in workflow.steps:
        for problem in _contradictions(step):
            yield DefinitionFinding(place_of(workflow, step), f"{step.name} {problem}")
    yield from _sources_of_nothing(workflow)
    yield from _loose_ends(workflow)


def _contradictions(step: StepDefinition) -> Iterator[str]:
    for category, _ in step.tags:
        if category not in step.main:
            yield f"renames {category}, which is not among its main categories"
    if step.each and step.minimum > 1:
        yield f"takes each file by itself, and yet needs at least {step.minimum}"
    if step.maximum is not None and step.maximum < step.minimum:
        yield f"needs at least {step.minimum} files and takes at most {step.maximum}"


def _sources_of_nothing(workflow: Workflow) -> Iterator[DefinitionFinding]:
    known = _find_made(workflow) | {category for step in workflow.steps for category in step.main}
    for step in workflow.steps:
        for calibration in step.calibrations:
            for category in calibration.instead:
                if category not in known:
                    problem = f"{calibration.category} shall come from {category}, which no step makes"
                    yield DefinitionFinding(place_of(workflow, step), problem)


def _loose_ends(workflow: Workflow) -> Iterator[DefinitionFinding]:
    """Yield, for a person to compare with the pipeline's manual, what goes in from outside and what nothing takes."""
    made, raws = _find_made(workflow), {category for step in workflow.steps for category in step.main}
    calibrations = [each for step in workflow.steps for each in step.calibrations]
    taken = {category for each in calibrations for category in each.accepted}
    static = sorted({each.category for each in calibrations if not (made | raws).intersection(each.accepted)})
    unused = sorted(made - taken - raws)
    if static:
        yield DefinitionFinding(
            workflow.source, f"static calibrations, which no step makes: {', '.join(static)}", grave=False
        )
    if unused:
        yield DefinitionFinding(workflow.source, f"products that no step takes: {', '.join(unused)}", grave=False)


def _find_made(workflow: Workflow) -> set[str]:
    return {category for step in workflow.steps for category in step.products}


def unknown_to_rules(workflow: Workflow, rules: Rules) -> Iterator[DefinitionFinding]:
    """Yield main categories that no rule gives to a file, and that no step makes."""
    given = set(categories_given(rules))
    made = {category for step in workflow.steps for category in step.products}
    for step in workflow.steps:
        unknown = [category for category in step.main if category not in given | made]
        if len(unknown) == len(step.main):
            names = " or ".join(unknown)
            problem = f"no rule of {rules.name} gives {names}, so files on disk never reach {step.recipe}"
            yield DefinitionFinding(place_of(workflow, step), problem, grave=False)


def categories_given(rules: Rules) -> Iterator[str]:
    """Yield the categories that classifications give."""
    for rule in rules.classifications:
        for assigned in rule.assignments:
            if assigned.name in CATEGORY_KEYWORDS and isinstance(assigned.value, Constant):
                yield str(assigned.value.value)


def place_of(workflow: Workflow, step: StepDefinition) -> str:
    """Return file and line of a step."""
    return f"{step.source or workflow.source}:{step.line}"
