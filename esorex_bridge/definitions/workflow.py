"""The definition of an instrument's workflow: its recipes, which categories they take, and what they make of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from esorex_bridge.definitions.located import DefinitionError, Located, read_yaml
from esorex_bridge.definitions.setting import with_default_match
from esorex_bridge.definitions.steps import STEP_FIELDS, Calibration, StepDefinition, changed_step, read_step
from esorex_bridge.errors import UserError

__all__ = [
    "STATES",
    "Calibration",
    "ParameterChoice",
    "StepDefinition",
    "Workflow",
    "choose_workflow",
    "parse_workflow",
]

STATES = ("verified on real recipes", "from documentation")
"""How far a definition can be trusted."""


class ParameterChoice(Struct, frozen=True):
    """A named set of parameters, of which a user chooses one.

    Parameters
    ----------
    name : str
        Its name.
    is_default : bool
        Whether it counts where nobody chooses.
    workflow : tuple of (str, str)
        Parameters of the workflow: what conditions ask, and keywords that stand for `$name`.
    steps : tuple of (str, tuple of (str, str))
        Recipe parameters by step.
    """

    name: str
    is_default: bool = False
    workflow: tuple[tuple[str, str], ...] = ()
    steps: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()


RULES_ALONE = "none"
"""In the place of a definition's name: what definitions know of recipes is not added to the rules of a pipeline."""


class Workflow(Struct, frozen=True):
    """All that is known of how an instrument's data are reduced.

    Parameters
    ----------
    name, title : str
        Short name (`naco`) and a line for people.
    instruments : tuple of str
        Values of `INSTRUME` and prefixes of dp_ids that it is for.
    applies : tuple of (str, tuple of str)
        Keywords with the values, or the ranges of numbers, for which it is: `INS.MODE` of imaging only, `MJD-OBS`
        before the detector was changed (`..56100`). Empty: for all.
    pipeline : str
        Name of the pipeline that has the recipes.
    state : str
        One of `STATES`.
    steps : tuple of StepDefinition
        In the order of the file.
    versions, sources : tuple of str
        Pipeline versions tried, and where the facts come from.
    unsupported : tuple of (str, str)
        Categories that no recipe reduces, each with the reason: their files are reported, and nothing is missing.
    several_makers : tuple of str
        Categories that several recipes make, each of raws of its own: a response from standards that nod, or stare.
    extends : str
        Name of the workflow that this one changes; empty for a whole one.
    source : str
        The file it was read from.
    sets : tuple of ParameterChoice
        Of a workflow package: its parameter sets.
    """

    name: str
    title: str
    instruments: tuple[str, ...]
    pipeline: str
    state: str
    steps: tuple[StepDefinition, ...]
    versions: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    applies: tuple[tuple[str, tuple[str, ...]], ...] = ()
    unsupported: tuple[tuple[str, str], ...] = ()
    several_makers: tuple[str, ...] = ()
    extends: str = ""
    source: str = ""
    sets: tuple[ParameterChoice, ...] = ()

    def serves(self, instrument: str, keywords: Mapping[str, object]) -> bool:
        """Tell whether it is for data of an instrument with these keywords; one that is not there does not count."""
        if instrument.upper() not in (name.upper() for name in self.instruments):
            return False
        given = ((str(keywords[key]).strip(), values) for key, values in self.applies if keywords.get(key) is not None)
        return all(any(_agrees(value, wanted) for wanted in values) for value, values in given)

    def step_for(self, categories: Iterable[str]) -> StepDefinition | None:
        """Return the step that processes files of these categories: the one that takes most of them as main files."""
        return next(iter(self.steps_for(categories)), None)

    def steps_for(self, categories: Iterable[str]) -> tuple[StepDefinition, ...]:
        """Return all steps that take files of these categories as main files, that which takes most of them first."""
        wanted = set(categories)
        taking = (step for step in self.steps if wanted.intersection(step.main))
        return tuple(sorted(taking, key=lambda step: -len(wanted.intersection(step.main))))


def _agrees(value: str, wanted: str) -> bool:
    """Tell whether a keyword's value is the one wanted, or lies in a range of numbers: `56100..`, `..56100`."""
    low, dots, high = wanted.partition("..")
    if value == wanted or not dots:
        return value == wanted
    try:
        number = float(value)
        return float(low or "-inf") <= number < float(high or "inf")
    except ValueError:
        return False


def choose_workflow(
    workflows: Iterable[Workflow], instrument: str, keywords: Mapping[str, object] | None = None
) -> Workflow:
    """Return the first workflow that is for an instrument.

    Parameters
    ----------
    workflows : iterable of Workflow
        The user's own first.
    instrument : str
        `INSTRUME`, or the prefix of a dp_id.
    keywords : mapping, optional
        Of a science file, where one is at hand.

    Raises
    ------
    UserError
        No workflow is for it.
    """
    known = tuple(workflows)
    found = {} if keywords is None else keywords  # to ask a header whether it is empty parses all of it
    for workflow in known:
        if workflow.serves(instrument, found):
            return workflow
    same = [workflow for workflow in known if workflow.serves(instrument, {})]
    modes = "; ".join(
        f"{key} of {workflow.name}: {', '.join(values)}" for workflow in same for key, values in workflow.applies
    )
    names = ", ".join(sorted({name for workflow in known for name in workflow.instruments}))
    why = f"for this mode ({modes})" if same else f"(there are: {names})"
    raise UserError(f"no workflow for instrument '{instrument}' {why}; give one with --workflow FILE")


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
        With file, line, and what is allowed.
    UserError
        It extends a workflow that is not there.
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
            raise DefinitionError(step.source, step.line, f"the steps need each other in a circle: {circle}")
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
