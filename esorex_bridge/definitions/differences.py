"""Two definitions side by side, association by association: where they agree, and where they differ."""

from __future__ import annotations

from collections.abc import Iterator
from math import isinf

from msgspec import Struct

from esorex_bridge.definitions.steps import Branch, Calibration, PackageTerms, StepDefinition, Validity
from esorex_bridge.definitions.workflow import Workflow

MISSING = "-"
"""Stands where a definition says nothing."""


class ComparedField(Struct, frozen=True):
    """One thing that two definitions say.

    Parameters
    ----------
    recipe : str
        The recipe.
    steps : tuple of (str, str)
        Names of the steps compared; `MISSING` where a definition has none.
    category : str
        The calibration; empty for the step itself.
    field : str
        What is compared: `step`, `main`, `tags`, `group_by`, `minimum`, `parameters`, `condition`, `takes`, `gives`,
        `changed_by`, `calibration`, `match`, `days`, `required`, `limit`, `branches`.
    left, right : str
        What each says.
    """

    recipe: str
    steps: tuple[str, str]
    category: str
    field: str
    left: str
    right: str

    @property
    def same(self) -> bool:
        """Whether both say the same."""
        return self.left == self.right


def compare_workflows(left: Workflow, right: Workflow) -> tuple[ComparedField, ...]:
    """Return what two definitions say of each step and calibration, those that only one has included."""
    return tuple(each for one, other in _pairs(left, right) for each in _compare_steps(one, other))


def _pairs(left: Workflow, right: Workflow) -> Iterator[tuple[StepDefinition | None, StepDefinition | None]]:
    """Yield steps of one recipe together: each step on the right beside that on the left with most main categories."""
    partners: dict[str, list[StepDefinition]] = {}
    alone = []
    for other in right.steps:
        alike = [step for step in left.steps if step.recipe == other.recipe]
        best = max(alike, key=lambda step: len(set(other.main) & set(step.main)), default=None)
        if best is None:
            alone.append(other)
        else:
            partners.setdefault(best.name, []).append(other)
    for step in left.steps:
        for partner in partners.get(step.name, [None]):
            yield step, partner
    for other in alone:
        yield None, other


def _compare_steps(one: StepDefinition | None, other: StepDefinition | None) -> Iterator[ComparedField]:
    step = one or other
    assert step is not None
    names = (one.name if one else MISSING, other.name if other else MISSING)
    if one is None or other is None:
        words = ["there" if each else MISSING for each in (one, other)]
        yield ComparedField(step.recipe, names, "", "step", *words)
        return
    for field, left, right in (
        ("main", _set(one.main), _set(other.main)),
        ("tags", _tags(one), _tags(other)),
        ("group_by", _set(one.group_by), _set(other.group_by)),
        ("minimum", str(one.minimum), str(other.minimum)),
        ("parameters", _parameters(one), _parameters(other)),
        *zip(("condition", "takes", "gives", "changed_by"), _terms(one), _terms(other), strict=True),
    ):
        yield ComparedField(step.recipe, names, "", field, left, right)
    mine, theirs = ({each.category: each for each in every.calibrations} for every in (one, other))
    for category in dict.fromkeys((*mine, *theirs)):
        for field, left, right in _compare_calibrations(mine.get(category), theirs.get(category)):
            yield ComparedField(step.recipe, names, category, field, left, right)


def _compare_calibrations(one: Calibration | None, other: Calibration | None) -> Iterator[tuple[str, str, str]]:
    if one is None or other is None:
        yield "calibration", "there" if one else MISSING, "there" if other else MISSING
        return
    yield "match", _match(one), _match(other)
    yield "days", _days(one), _days(other)
    yield "required", _word(one.required), _word(other.required)
    yield "limit", _limit(one), _limit(other)
    yield "branches", _branches(one), _branches(other)


def _set(values: tuple[str, ...]) -> str:
    return ", ".join(sorted(values)) or MISSING


def _word(value: bool) -> str:
    return "yes" if value else "no"


def _limit(calibration: Calibration) -> str:
    return "all" if calibration.limit is None else str(calibration.limit)


def _parameters(step: StepDefinition) -> str:
    """Return parameters by the last part of their names, values as texts."""
    named = {name.rpartition(".")[2]: str(value).upper() if isinstance(value, bool) else str(value)
             for name, value in step.parameters}  # fmt: skip
    return ", ".join(f"{name}={value}" for name, value in sorted(named.items())) or MISSING


def _tags(step: StepDefinition) -> str:
    return ", ".join(f"{category} as {tag}" for category, tag in sorted(step.tags)) or MISSING


def _terms(step: StepDefinition) -> tuple[str, ...]:
    """Return condition, filters and functions that change jobs: what only packages have."""
    terms = step.terms or PackageTerms()
    filters = (" ".join((each[0], ", ".join(each[1:]))) if each else "" for each in (terms.takes, terms.gives))
    return tuple(text or MISSING for text in (terms.condition, *filters, ", ".join(terms.changed_by)))


def _branches(calibration: Calibration) -> str:
    """Return the ways to a calibration in their order, where a package has several or conditions."""
    return "; ".join(map(_branch, calibration.branches)) or MISSING


def _branch(branch: Branch) -> str:
    most = "all" if branch.limit is None else branch.limit
    condition = f" where {branch.condition}" if branch.condition else ""
    return f"{branch.origin}: {', '.join(branch.categories) or 'all'} ({branch.minimum} to {most}){condition}"


def _match(calibration: Calibration) -> str:
    """Return the keywords that every way of associating compares, then those that only some compare; or functions."""
    functions = dict.fromkeys(way.function for way in calibration.validity if way.function)
    if functions:
        return ", ".join(f"function {function}" for function in functions)
    each = [set(way.match if way.match is not None else calibration.match) for way in calibration.validity]
    ways = each or [set(calibration.match)]
    always, some = set.intersection(*ways), set.union(*ways)
    return ", ".join((*sorted(always), *(f"({key})" for key in sorted(some - always)))) or MISSING


def _days(calibration: Calibration) -> str:
    return "; ".join(map(_way, calibration.validity or (Validity(),)))


def _way(way: Validity) -> str:
    low, high = way.days
    span = "any time" if isinf(low) and isinf(high) else f"{low:g} … {high:g}"
    return f"{span} (level {way.level})"
