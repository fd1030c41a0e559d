"""Steps as a definition writes them in YAML: each field read, or refused with file, line, and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from msgspec.structs import replace

from esorex_bridge.definitions.cases import read_cases, read_parameters, without_parameters
from esorex_bridge.definitions.located import Located
from esorex_bridge.definitions.steps import Calibration, StepDefinition, Validity

CALIBRATION_FIELDS = ("required", "match", "limit", "sources", "from", "noted", "strict", "loose", "validity")
VALIDITY_FIELDS = ("days", "level", "match")
STEP_FIELDS = (
    "main",
    "tags",
    "minimum",
    "maximum",
    "group_by",
    "each",
    "calibrations",
    "products",
    "parameters",
    "cases",
    "tune",
    "always",
    "delivered",
    "threads",
    "memory_mb",
)


def read_step(element: Located, earlier: Iterable[StepDefinition]) -> StepDefinition:
    """Read a step; `earlier` are those before it, for its number.

    Raises
    ------
    DefinitionError
        If it says something that is not allowed; the message has file, line, and what is allowed.
    """
    fields = element.fields("a step", ("recipe", "command", "name", *STEP_FIELDS), required=("main", "products"))
    if ("recipe" in fields) == ("command" in fields):
        raise element.complain("a step has either a 'recipe' or a 'command'")
    if "command" in fields and "name" not in fields:
        raise element.complain("a step with a command needs a 'name'")
    recipe = fields["recipe" if "recipe" in fields else "name"].text("the step's name")
    number = 1 + sum(step.recipe == recipe for step in earlier)
    command = _command(fields["command"]) if "command" in fields else ()
    start = StepDefinition(f"{recipe}_{number}", recipe, (), (), command=command)
    return _fill(start, fields, element)


def changed_step(step: StepDefinition, element: Located) -> StepDefinition:
    """Return a step with what a `change` says: parameters and calibrations are merged, the rest is replaced.

    Raises
    ------
    DefinitionError
        If it says something that is not allowed; the message has file, line, and what is allowed.
    """
    return _fill(step, element.fields(f"the change of {step.name}", STEP_FIELDS), element)


def _command(listed: Located) -> tuple[str, ...]:
    """Return a command; words that begin with `./` are files beside the definition."""
    folder = PurePath(listed.source).parent
    return tuple(str(folder / word) if word.startswith("./") else word for word in listed.texts("command"))


def _fill(step: StepDefinition, fields: dict[str, Located], element: Located) -> StepDefinition:
    found: dict[str, Any] = {"source": element.source, "line": element.line}
    for name, value in fields.items():
        if name in ("main", "products", "group_by"):
            found[name] = value.texts(name)
        elif name == "minimum":
            found.update(_minimum(value))
        elif name in ("maximum", "threads", "memory_mb"):
            found[name] = value.count(name)
        elif name in ("each", "always", "delivered"):
            found[name] = value.flag(name)
    if "tags" in fields:
        found["tags"] = _tags(fields["tags"])
    if "parameters" in fields:
        said = dict(read_parameters(fields["parameters"]))
        found["parameters"] = tuple({**dict(step.parameters), **said}.items())
        # Whoever changes a parameter means it for all files.
        found["cases"] = without_parameters(step.cases, said)
    if "cases" in fields:
        found["cases"] = read_cases(fields["cases"])
    if "tune" in fields:
        found["tune"] = read_parameters(fields["tune"])
    if "calibrations" in fields:
        found["calibrations"] = _calibrations(fields["calibrations"], step.calibrations)
    return replace(step, **found)


def _calibrations(listed: Located, before: tuple[Calibration, ...]) -> tuple[Calibration, ...]:
    found = {calibration.category: calibration for calibration in before}
    for category, value in listed.items("calibrations"):
        if value.is_empty:
            if category not in found:
                raise value.complain(f"there is no calibration {category} to take away; write {{}} for one by default")
            del found[category]
        else:
            found[category] = _calibration(found.get(category, Calibration(category)), value)
    return tuple(found.values())


def _calibration(start: Calibration, value: Located) -> Calibration:
    fields = value.fields(f"calibration {start.category}", CALIBRATION_FIELDS)
    found: dict[str, Any] = {}
    for name in ("required", "noted"):
        if name in fields:
            found[name] = fields[name].flag(name)
    for name, attribute in (("match", "match"), ("sources", "sources"), ("from", "instead")):
        if name in fields:
            found[attribute] = fields[name].texts(name)
    if "limit" in fields:
        limit = fields["limit"]
        found["limit"] = None if limit.scalar("limit") == "all" else limit.count("limit")
    if "match" in fields:
        found["match_from"] = "written"
    if "validity" in fields:
        found["validity"] = tuple(map(_validity, fields["validity"].sequence("validity")))
    if "loose" in fields:
        found["loose"] = tuple((key, why.text(f"reason of {key}")) for key, why in fields["loose"].items("loose"))
    changed = replace(start, **found)
    return replace(changed, strict=_strict(fields["strict"], changed)) if "strict" in fields else changed


def _strict(given: Located, calibration: Calibration) -> tuple[str, ...]:
    """Return the keywords that must be there: some of those to match, or `true` for all."""
    if given.is_scalar and isinstance(given.scalar("strict"), bool):
        return calibration.match if given.flag("strict") else ()
    listed = given.texts("strict")
    for keyword in listed:
        if keyword not in calibration.match:
            raise given.complain(f"{keyword} of strict is not among the keywords of match")
    return listed


def _validity(element: Located) -> Validity:
    fields = element.fields("an element of validity", VALIDITY_FIELDS, required=("days",))
    low, high = _days(fields["days"])
    level = fields["level"].number("level") if "level" in fields else 0
    if level != int(level):
        raise fields["level"].complain("level must be a whole number")
    return Validity((low, high), int(level), fields["match"].texts("match") if "match" in fields else None)


def _days(listed: Located) -> tuple[float, float]:
    bounds = listed.sequence("days")
    if len(bounds) != 2:
        raise listed.complain("days must be two numbers, [from, to]; write .inf for no bound")
    low, high = (bound.number("an element of days") for bound in bounds)
    if not low <= high:
        raise listed.complain(f"days must rise: {low:g} is after {high:g}")
    return low, high


def _minimum(given: Located) -> dict[str, Any]:
    """Return the fewest main files in all, and of single categories where the definition tells them apart."""
    if given.is_scalar:
        return {"minimum": given.count("minimum"), "minima": ()}
    minima = tuple((category, value.count(f"minimum of {category}")) for category, value in given.items("minimum"))
    return {"minimum": sum(number for _, number in minima), "minima": minima}


def _tags(listed: Located) -> tuple[tuple[str, str], ...]:
    return tuple((category, tag.text(f"tag of {category}")) for category, tag in listed.items("tags"))
