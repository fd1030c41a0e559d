"""A definition held against the rules of its pipeline, association by association: what each of them compares."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.definitions.inspection import DefinitionFinding, place_of
from esorex_bridge.definitions.oca.expressions import All, Any, Compared, Constant, Expression, Keyword
from esorex_bridge.definitions.oca.rules import ActionRule, Rules, Selection
from esorex_bridge.definitions.setting import setting_of_makers, with_default_match
from esorex_bridge.definitions.steps import Calibration, StepDefinition
from esorex_bridge.definitions.workflow import Workflow

_CATEGORIES = ("DO.CATG", "RAW.TYPE", "REFLEX.CATG", "CATG", "PRO.CATG")
_OPERATORS = ("==", "?=")


class Compares(Struct, frozen=True):
    """What rules compare between a calibration and the file that it is for.

    Parameters
    ----------
    strict : tuple of str
        Keywords that both must have (`==`).
    lenient : tuple of str
        Keywords that count where both have them (`?=`).
    """

    strict: tuple[str, ...] = ()
    lenient: tuple[str, ...] = ()

    @property
    def keywords(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.strict, *self.lenient)


class ComparedAssociation(Struct, frozen=True):
    """One association of a definition beside what the rules, or the maker's grouping, compare.

    Parameters
    ----------
    step : StepDefinition
        That takes the calibration.
    calibration : Calibration
        As the definition has it.
    against : tuple of str
        Keywords that rules compare, or by which the maker groups.
    origin : {'rules', 'group_by', ''}
        Which of the two; empty where neither says anything.
    """

    step: StepDefinition
    calibration: Calibration
    against: tuple[str, ...]
    origin: str

    @property
    def looser(self) -> tuple[str, ...]:
        """Keywords that the definition passes over without a reason."""
        known = {*self.calibration.match, *(keyword for keyword, _ in self.calibration.loose)}
        known |= {key for each in self.calibration.validity for key in each.match or ()}
        return tuple(keyword for keyword in self.against if keyword not in known)


def compare_with_rules(workflow: Workflow, rules: Rules | None) -> Iterator[ComparedAssociation]:
    """Yield each association of a definition with what it should compare.

    Parameters
    ----------
    workflow : Workflow
        The definition.
    rules : Rules or None
        Of its pipeline; None where that is not installed.
    """
    for step in workflow.steps:
        for calibration in step.calibrations:
            ruled = find_compared(rules, step, calibration) if rules is not None else None
            if ruled is not None and ruled.keywords:
                yield ComparedAssociation(step, calibration, ruled.keywords, "rules")
                continue
            grouped = setting_of_makers(calibration, step, workflow.steps)
            yield ComparedAssociation(step, calibration, grouped, "group_by" if grouped else "")


def find_looser(workflow: Workflow, rules: Rules | None, grave: bool) -> Iterator[DefinitionFinding]:
    """Yield associations that compare less than the rules, or without rules the maker's grouping, and do not say why.

    Parameters
    ----------
    workflow : Workflow
        The definition.
    rules : Rules or None
        Of its pipeline.
    grave : bool
        Whether that is a mistake; in a definition of the user's own it is worth a look.
    """
    for each in compare_with_rules(workflow, rules):
        if each.looser:
            whose = f"the rules ({rules.name})" if each.origin == "rules" and rules else "the grouping of its maker"
            problem = (
                f"{each.step.name} matches {each.calibration.category} without {', '.join(each.looser)}, which "
                f"{whose} compare{'' if each.origin == 'rules' else 's'}; add to 'match', or to 'loose' with the reason"
            )
            yield DefinitionFinding(place_of(workflow, each.step), problem, grave)


def with_rules_match(workflow: Workflow, rules: Rules) -> Workflow:
    """Return a definition in which calibrations without a `match` of their own compare what the rules compare."""
    steps = tuple(
        replace(step, calibrations=tuple(_with_rules(rules, step, each) for each in step.calibrations))
        for step in workflow.steps
    )
    return replace(workflow, steps=with_default_match(steps))


def _with_rules(rules: Rules, step: StepDefinition, calibration: Calibration) -> Calibration:
    if calibration.match_from == "written":
        return calibration
    ruled = find_compared(rules, step, calibration)
    if ruled is None or not ruled.keywords:
        return calibration
    loose = {keyword for keyword, _ in calibration.loose}
    match = tuple(keyword for keyword in ruled.keywords if keyword not in loose)
    strict = tuple(keyword for keyword in ruled.strict if keyword not in loose)
    return replace(calibration, match=match, strict=strict, match_from="rules")


def find_compared(rules: Rules, step: StepDefinition, calibration: Calibration) -> Compares | None:
    """Return what the rules compare where they select a calibration for the files of a step; None where they do not."""
    found = [
        compares(selection.condition)
        for action in rules.actions
        if _is_for(action, rules, step)
        for selection in action.selections
        if _selects(selection, calibration)
    ]
    if not found:
        return None
    # Several associations under one tag: what all of them compare.
    strict = [key for key in found[0].strict if all(key in each.strict for each in found)]
    lenient = [key for key in found[0].keywords if key not in strict and all(key in each.keywords for each in found)]
    return Compares(tuple(strict), tuple(lenient))


def _is_for(action: ActionRule, rules: Rules, step: StepDefinition) -> bool:
    triggers = {
        category
        for execution in rules.executions
        if execution.action == action.name
        for category in _categories(execution.condition)
    }
    if triggers:
        return bool(triggers.intersection(step.main))
    return step.recipe in {recipe.name for recipe in action.recipes}


def _selects(selection: Selection, calibration: Calibration) -> bool:
    return bool({selection.category, *_categories(selection.condition)}.intersection(calibration.accepted))


def _categories(condition: Expression) -> Iterator[str]:
    match condition:
        case Compared(Keyword(name), "==", Constant(str() as value)) if name.removeprefix("LF.") in _CATEGORIES:
            yield value
        case All(parts) | Any(parts):
            for part in parts:
                yield from _categories(part)


def compares(condition: Expression) -> Compares:
    """Return the keywords that must agree for a condition to hold; those in one branch of an `or` need not."""
    found = dict(_pairs(condition))
    strict = tuple(keyword for keyword, operator in found.items() if operator == "==")
    return Compares(strict, tuple(keyword for keyword, operator in found.items() if operator == "?="))


def _pairs(condition: Expression) -> Iterator[tuple[str, str]]:
    match condition:
        case Compared(Keyword(left, one), operator, Keyword(right, other)) if one != other and left == right:
            if operator in _OPERATORS and left != "INSTRUME":
                yield left, operator
        case All(parts):
            for part in parts:
                yield from _pairs(part)
