"""The definition of an instrument's workflow: which recipe takes which categories, and what it makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from esorex_bridge.errors import UserError
from esorex_bridge.plan.located import DefinitionError, Located, Scalar, read_yaml

STATES = ("verified on real recipes", "from documentation")
"""How far a definition can be trusted."""


@dataclass(frozen=True, slots=True)
class Calibration:
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

    @property
    def accepted(self) -> tuple[str, ...]:
        """All categories that may stand under this tag."""
        return (self.category, *self.sources)


@dataclass(frozen=True, slots=True)
class StepDefinition:
    """One recipe in the workflow.

    Parameters
    ----------
    name : str
        As Reflex names the actor: `<recipe>_<n>`.
    recipe : str
        EsoRex's name of it.
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
    line : int
        Where it stands in its file.
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
    line: int = field(default=0, compare=False)

    def tag(self, category: str) -> str:
        """Return the name in the SOF of a main file's category."""
        return dict(self.tags).get(category, category)


@dataclass(frozen=True, slots=True)
class Workflow:
    """All that is known of how an instrument's data are reduced.

    Parameters
    ----------
    name, title : str
        Short name (`naco`) and a line for people.
    instruments : tuple of str
        Values of `INSTRUME` and prefixes of dp_ids that it is for.
    applies : tuple of (str, tuple of str)
        Keywords with the values for which it is: `INS.MODE` of imaging only, for example. Empty: for all.
    pipeline : str
        Name of the pipeline that has the recipes.
    state : str
        One of `STATES`.
    steps : tuple of StepDefinition
        In the order of the file.
    versions, sources : tuple of str
        Pipeline versions tried, and where the facts come from.
    source : str
        The file it was read from.
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
    source: str = field(default="", compare=False)

    def serves(self, instrument: str, keywords: Mapping[str, object]) -> bool:
        """Tell whether it is for data of an instrument with these keywords; one that is not there does not count."""
        if instrument.upper() not in (name.upper() for name in self.instruments):
            return False
        given = ((str(keywords[key]).strip(), values) for key, values in self.applies if keywords.get(key) is not None)
        return all(value in values for value, values in given)

    def step_for(self, categories: Iterable[str]) -> StepDefinition | None:
        """Return the step that processes files of these categories: the one that takes most of them as main files."""
        return next(iter(self.steps_for(categories)), None)

    def steps_for(self, categories: Iterable[str]) -> tuple[StepDefinition, ...]:
        """Return all steps that take files of these categories as main files, that which takes most of them first."""
        wanted = set(categories)
        taking = (step for step in self.steps if wanted.intersection(step.main))
        return tuple(sorted(taking, key=lambda step: -len(wanted.intersection(step.main))))


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
    for workflow in known:
        if workflow.serves(instrument, keywords or {}):
            return workflow
    same = [workflow for workflow in known if workflow.serves(instrument, {})]
    modes = "; ".join(
        f"{key} of {workflow.name}: {', '.join(values)}" for workflow in same for key, values in workflow.applies
    )
    names = ", ".join(sorted({name for workflow in known for name in workflow.instruments}))
    why = f"for this mode ({modes})" if same else f"(there are: {names})"
    raise UserError(f"no workflow for instrument '{instrument}' {why}; give one with --workflow FILE")


def parse_workflow(text: str, source: str) -> Workflow:
    """Read a workflow definition.

    Parameters
    ----------
    text : str
        The YAML document.
    source : str
        Name of its file, for messages.

    Raises
    ------
    DefinitionError
        With file, line, and what is allowed.
    """
    top = read_yaml(text, source)
    allowed = ("workflow", "title", "instruments", "applies", "pipeline", "state", "versions", "sources", "steps")
    fields = top.fields("a workflow", allowed, required=("workflow", "instruments", "pipeline", "state", "steps"))
    state = fields["state"].text("state")
    if state not in STATES:
        raise fields["state"].complain(f"state is '{state}'; allowed: {', '.join(STATES)}")
    name = fields["workflow"].text("workflow")
    return Workflow(
        name=name,
        title=fields["title"].text("title") if "title" in fields else name,
        instruments=fields["instruments"].texts("instruments"),
        pipeline=fields["pipeline"].text("pipeline"),
        state=state,
        steps=_steps(fields["steps"]),
        versions=fields["versions"].texts("versions") if "versions" in fields else (),
        sources=fields["sources"].texts("sources") if "sources" in fields else (),
        applies=_applies(fields["applies"]) if "applies" in fields else (),
        source=source,
    )


def _applies(listed: Located) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((keyword, values.texts(keyword)) for keyword, values in listed.items("applies"))


def _steps(listed: Located) -> tuple[StepDefinition, ...]:
    steps: list[StepDefinition] = []
    makers: dict[str, str] = {}
    for element in listed.sequence("steps"):
        step = _step(element, steps)
        for category in step.products:
            if makers.setdefault(category, step.recipe) != step.recipe:
                raise element.complain(
                    f"{category} is made by both {makers[category]} and {step.recipe}; one must not list it"
                )
        steps.append(step)
    if not steps:
        raise listed.complain("steps is empty; a workflow needs at least one recipe")
    _refuse_cycles(steps, listed)
    return tuple(steps)


_STEP_FIELDS = (
    "recipe",
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


def _step(element: Located, earlier: list[StepDefinition]) -> StepDefinition:
    fields = element.fields("a step", _STEP_FIELDS, required=("recipe", "main", "products"))
    recipe = fields["recipe"].text("recipe")
    number = 1 + sum(step.recipe == recipe for step in earlier)
    return StepDefinition(
        name=f"{recipe}_{number}",
        recipe=recipe,
        main=fields["main"].texts("main"),
        products=fields["products"].texts("products"),
        tags=_tags(fields["tags"]) if "tags" in fields else (),
        maximum=fields["maximum"].count("maximum") if "maximum" in fields else None,
        minimum=fields["minimum"].count("minimum") if "minimum" in fields else 1,
        group_by=fields["group_by"].texts("group_by") if "group_by" in fields else (),
        each=fields["each"].flag("each") if "each" in fields else False,
        calibrations=_calibrations(fields["calibrations"]) if "calibrations" in fields else (),
        parameters=_parameters(fields["parameters"]) if "parameters" in fields else (),
        always=fields["always"].flag("always") if "always" in fields else False,
        threads=fields["threads"].count("threads") if "threads" in fields else 1,
        memory_mb=fields["memory_mb"].count("memory_mb") if "memory_mb" in fields else None,
        line=element.line,
    )


def _calibrations(listed: Located) -> tuple[Calibration, ...]:
    found = []
    for category, value in listed.items("calibrations"):
        fields = value.fields(f"calibration {category}", ("required", "match", "limit", "sources", "noted"))
        limit = fields["limit"].scalar("limit") if "limit" in fields else 1
        found.append(
            Calibration(
                category=category,
                required=fields["required"].flag("required") if "required" in fields else False,
                match=fields["match"].texts("match") if "match" in fields else (),
                limit=None if limit == "all" else fields["limit"].count("limit") if "limit" in fields else 1,
                sources=fields["sources"].texts("sources") if "sources" in fields else (),
                noted=fields["noted"].flag("noted") if "noted" in fields else True,
            )
        )
    return tuple(found)


def _tags(listed: Located) -> tuple[tuple[str, str], ...]:
    return tuple((category, tag.text(f"tag of {category}")) for category, tag in listed.items("tags"))


def _parameters(listed: Located) -> tuple[tuple[str, Scalar], ...]:
    return tuple((name, value.scalar(f"parameter {name}")) for name, value in listed.items("parameters"))


def _refuse_cycles(steps: list[StepDefinition], listed: Located) -> None:
    maker = {category: step for step in steps for category in step.products}
    settled: set[str] = set()

    def visit(step: StepDefinition, path: tuple[str, ...]) -> None:
        if step.name in path:
            raise DefinitionError(
                listed.source, step.line, f"the steps need each other in a circle: {' → '.join((*path, step.name))}"
            )
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
