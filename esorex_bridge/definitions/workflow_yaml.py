"""Workflow definitions as people write them: YAML becomes a workflow, and what cannot be is refused with its line."""

from __future__ import annotations

from collections.abc import Callable

from esorex_bridge.definitions.located import DefinitionError, Located, read_yaml
from esorex_bridge.definitions.setting import with_default_match
from esorex_bridge.definitions.step_yaml import STEP_FIELDS, changed_step, read_step
from esorex_bridge.definitions.steps import StepDefinition
from esorex_bridge.definitions.workflow import STATES, Workflow


def parse_workflow(text: str, source: str, base: Callable[[str], Workflow] | None = None) -> Workflow:
    """Read a workflow definition.

    Parameters
    ----------
    text : str
        The YAML document.
    source : str
        Name of its file, for messages.
    base : callable, optional
        Returns a workflow by its name, for a definition that extends another.

    Raises
    ------
    DefinitionError
        If it says something that is not allowed; the message has file, line, and what is allowed.
    UserError
        If it extends a workflow that is not there.
    """
    top = read_yaml(text, source)
    fields = top.fields("a workflow", _FIELDS, required=("workflow",))
    start = _base(fields["extends"], base) if "extends" in fields else None
    if start is None:
        top.fields("a workflow", _FIELDS, required=_WHOLE)
        for name in ("change", "remove"):
            if name in fields:
                raise fields[name].complain(f"'{name}' needs 'extends: NAME', the workflow to change")
    name = fields["workflow"].text("workflow")
    found = {key: fields[key].texts(key) for key in _LISTS if key in fields}
    return Workflow(
        name=name,
        title=fields["title"].text("title") if "title" in fields else start.title if start else name,
        instruments=found.get("instruments", start.instruments if start else ()),
        pipeline=fields["pipeline"].text("pipeline") if "pipeline" in fields else start.pipeline if start else "",
        state=_state(fields["state"]) if "state" in fields else start.state if start else "",
        steps=_steps(top, fields, start, found.get("several_makers", start.several_makers if start else ())),
        versions=found.get("versions", start.versions if start else ()),
        sources=found.get("sources", start.sources if start else ()),
        applies=_applies(fields["applies"]) if "applies" in fields else start.applies if start else (),
        unsupported=_read_unsupported(fields.get("unsupported"), start),
        several_makers=found.get("several_makers", start.several_makers if start else ()),
        extends=start.name if start else "",
        source=source,
    )


_LISTS = ("instruments", "versions", "sources", "several_makers")
_WHOLE = ("instruments", "pipeline", "state", "steps")
_OF_ONE_STEP = {"main", "products", "group_by"}
_FIELDS = (
    "workflow",
    "title",
    "extends",
    "instruments",
    "applies",
    "pipeline",
    "state",
    "versions",
    "sources",
    "unsupported",
    "several_makers",
    "change",
    "remove",
    "steps",
)


def _base(named: Located, base: Callable[[str], Workflow] | None) -> Workflow:
    if base is None:
        raise named.complain("a definition that extends another can be read only where the other is known")
    return base(named.text("extends"))


def _state(given: Located) -> str:
    state = given.text("state")
    if state not in STATES:
        raise given.complain(f"state is '{state}'; allowed: {', '.join(STATES)}")
    return state


def _applies(listed: Located) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((keyword, values.texts(keyword)) for keyword, values in listed.items("applies"))


def _read_unsupported(listed: Located | None, start: Workflow | None) -> tuple[tuple[str, str], ...]:
    if listed is None:
        return start.unsupported if start else ()
    return tuple((category, why.text(f"reason of {category}")) for category, why in listed.items("unsupported"))


def _steps(
    top: Located, fields: dict[str, Located], start: Workflow | None, several: tuple[str, ...]
) -> tuple[StepDefinition, ...]:
    steps = list(start.steps) if start else []
    for removed in fields["remove"].sequence("remove") if "remove" in fields else ():
        for place in reversed(_find_steps(steps, removed, removed.text("an element of remove"))):
            del steps[place]
    for name, change in fields["change"].items("change") if "change" in fields else ():
        places = _find_steps(steps, change, name)
        if len(places) > 1 and (own := _OF_ONE_STEP & change.fields(f"the change of {name}", STEP_FIELDS).keys()):
            names = ", ".join(steps[place].name for place in places)
            raise change.complain(f"{name} is the recipe of {names}, and {min(own)} is that of one; name one of them")
        for place in places:
            steps[place] = changed_step(steps[place], change)
    for element in fields["steps"].sequence("steps") if "steps" in fields else ():
        steps.append(read_step(element, steps))
    if not steps:
        raise top.complain("steps is empty; a workflow needs at least one recipe")
    _refuse_two_makers(steps, several)
    _refuse_cycles(steps)
    return with_default_match(steps)


def _find_steps(steps: list[StepDefinition], named: Located, name: str) -> list[int]:
    """Return where a step stands, by its name, or all steps of a recipe, by that."""
    found = [place for place, step in enumerate(steps) if name == step.name]
    found = found or [place for place, step in enumerate(steps) if name == step.recipe]
    if not found:
        names = ", ".join(step.name for step in steps)
        raise named.complain(f"there is no step '{name}' in the workflow; there are: {names}")
    return found


def _refuse_two_makers(steps: list[StepDefinition], several: tuple[str, ...]) -> None:
    """Refuse two recipes that make one category, but where the definition says so and each has raws of its own."""
    makers: dict[str, list[StepDefinition]] = {}
    for step in steps:
        for category in step.products:
            for other in makers.setdefault(category, []):
                apart = category in several and step.main[0] not in other.main and other.main[0] not in step.main
                if other.recipe != step.recipe and not apart:
                    problem = f"{category} is made by both {other.recipe} and {step.recipe}; one must not list it"
                    raise DefinitionError(step.source, step.line, problem)
            makers[category].append(step)


def _refuse_cycles(steps: list[StepDefinition]) -> None:
    maker = {category: step for step in steps for category in step.products}
    settled: set[str] = set()

    def visit(step: StepDefinition, path: tuple[str, ...]) -> None:
        if step.name in path:
            circle = " → ".join((*path, step.name))
            raise DefinitionError(step.source, step.line, f"circular dependency of the steps: {circle}")
        if step.name in settled:
            return
        accepted = (category for calibration in step.calibrations for category in calibration.accepted)
        for category in (*step.main, *accepted):
            # Its own product is a first guess, made before and elsewhere.
            if category in maker and maker[category] is not step:
                visit(maker[category], (*path, step.name))
        settled.add(step.name)

    for step in steps:
        visit(step, ())
