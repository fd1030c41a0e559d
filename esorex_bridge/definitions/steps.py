"""Steps of a workflow: which categories a recipe takes, and what it makes of them, as values and as YAML."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.definitions.located import Located, Scalar


class Calibration(Struct, frozen=True):
    """A calibration tag that a recipe takes beside its main files.

    Parameters
    ----------
    category : str
        The tag in the SOF: a product of another recipe, a static, or a raw frame taken as it is.
    required : bool
        Whether the recipe cannot do without it (or must not: some recipes silently go on without).
    match : tuple of str
        Keywords (`DET.DIT`) that must agree between the calibration and the first main file. A keyword that one of the
        two headers does not have does not speak against it.
    limit : int or None
        At most so many files of it (raws, statics), or products of so many steps, the nearest in time first.
        None: all.
    sources : tuple of str
        Other categories that serve under this tag, where rules or archive and recipe disagree about a name.
    instead : tuple of str
        Categories that serve in place of the tag's own, such as the product of an own step.
    noted : bool
        Whether the recipe names it in the header of its products. Where it does, a product that does not name it was
        made without it, whatever the exit code says.
    """

    category: str
    required: bool = False
    match: tuple[str, ...] = ()
    limit: int | None = 1
    sources: tuple[str, ...] = ()
    noted: bool = True
    instead: tuple[str, ...] = ()

    @property
    def accepted(self) -> tuple[str, ...]:
        """All categories that may stand under this tag."""
        return self.instead or (self.category, *self.sources)


class StepDefinition(Struct, frozen=True):
    """One recipe in the workflow, or one program of the user's own.

    Parameters
    ----------
    name : str
        As Reflex names the actor: `<recipe>_<n>`.
    recipe : str
        EsoRex's name of it; for an own step, the name that its author gave.
    main : tuple of str
        Categories of the files it processes. The first gives the SOF its first frames, so the product its header.
    tags : tuple of (str, str)
        Names under which main files of some categories stand in the SOF, where rules and recipe disagree about a name.
    minimum : int
        Fewest main files it runs on.
    maximum : int or None
        Only so many main files, the first taken; None for all.
    group_by : tuple of str
        Keywords in which all main files of one run agree: raws of different settings are never mixed.
    each : bool
        Whether every main file is a run of its own, because the recipe passes over all but the first.
    calibrations : tuple of Calibration
        What it takes beside, in the order in which the SOF lists it.
    products : tuple of str
        Categories (`PRO CATG`) that it makes.
    parameters : tuple of (str, value)
        Recipe parameters that differ from the recipe's own defaults.
    always : bool
        Whether it runs wherever its main files are, though no other step takes its products: standards, checks.
    threads : int
        Processors that one run keeps busy.
    memory_mb : int or None
        Memory that one run needs at most, where it is known.
    command : tuple of str
        Program and arguments of an own step; empty for a recipe.
    source : str
        The file it stands in.
    line : int
        Where it stands there.
    """

    name: str
    recipe: str
    main: tuple[str, ...]
    products: tuple[str, ...]
    tags: tuple[tuple[str, str], ...] = ()
    minimum: int = 1
    maximum: int | None = None
    group_by: tuple[str, ...] = ()
    each: bool = False
    calibrations: tuple[Calibration, ...] = ()
    parameters: tuple[tuple[str, Scalar], ...] = ()
    always: bool = False
    threads: int = 1
    memory_mb: int | None = None
    command: tuple[str, ...] = ()
    source: str = ""
    line: int = 0

    def tag(self, category: str) -> str:
        """Return the name in the SOF of a main file's category."""
        return dict(self.tags).get(category, category)


CALIBRATION_FIELDS = ("required", "match", "limit", "sources", "from", "noted")
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
    "always",
    "threads",
    "memory_mb",
)


def read_step(element: Located, earlier: Iterable[StepDefinition]) -> StepDefinition:
    """Read a step; `earlier` are those before it, for its number.

    Raises
    ------
    DefinitionError
        With file, line, and what is allowed.
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
    return _filled(start, fields, element)


def changed_step(step: StepDefinition, element: Located) -> StepDefinition:
    """Return a step with what a `change` says: parameters and calibrations are merged, the rest is replaced.

    Raises
    ------
    DefinitionError
        With file, line, and what is allowed.
    """
    return _filled(step, element.fields(f"the change of {step.name}", STEP_FIELDS), element)


def _command(listed: Located) -> tuple[str, ...]:
    """Return a command; words that begin with `./` are files beside the definition."""
    folder = PurePath(listed.source).parent
    return tuple(str(folder / word) if word.startswith("./") else word for word in listed.texts("command"))


def _filled(step: StepDefinition, fields: dict[str, Located], element: Located) -> StepDefinition:
    found: dict[str, Any] = {"source": element.source, "line": element.line}
    for name, value in fields.items():
        if name in ("main", "products", "group_by"):
            found[name] = value.texts(name)
        elif name in ("minimum", "maximum", "threads", "memory_mb"):
            found[name] = value.count(name)
        elif name in ("each", "always"):
            found[name] = value.flag(name)
    if "tags" in fields:
        found["tags"] = _tags(fields["tags"])
    if "parameters" in fields:
        found["parameters"] = tuple({**dict(step.parameters), **dict(_parameters(fields["parameters"]))}.items())
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
    return replace(start, **found)


def _tags(listed: Located) -> tuple[tuple[str, str], ...]:
    return tuple((category, tag.text(f"tag of {category}")) for category, tag in listed.items("tags"))


def _parameters(listed: Located) -> tuple[tuple[str, Scalar], ...]:
    return tuple((name, value.scalar(f"parameter {name}")) for name, value in listed.items("parameters"))
