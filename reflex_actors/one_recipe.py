"""One recipe on one set of files, as the engine makes it: a plan of a single step, and what came of it.

The actor `run_recipe` and the engine of workflow files both go through here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf, isnan, nan
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Action, Dataset, Purpose
from esorex_bridge.definitions.parameters import Parameter, ParameterSetting
from esorex_bridge.definitions.steps import StepDefinition
from esorex_bridge.errors import DataError, RecipeError
from esorex_bridge.files import stem
from esorex_bridge.fits.header import read_header
from esorex_bridge.plan.plan import FileInput, Plan, ProductInput, Step, StepInput, StepName
from esorex_bridge.reuse.record import Record
from esorex_bridge.reuse.resolve import ResolvedPlan, Unresolvable
from esorex_bridge.run.dataset_report import report_dataset
from esorex_bridge.run.decided import DecidedPlan
from esorex_bridge.run.engine import Engine
from esorex_bridge.run.report import StepReport
from esorex_bridge.run.reporter import Reporter
from esorex_bridge.store.step_store import RecordedStep
from reflex_actors.associations import add_associations
from reflex_actors.sof_json import FitsFile, RecipeParameter, SetOfFiles


class StepInputs(Struct, frozen=True):
    """What a recipe takes: files, and products of steps that were made before, with the keys of their records."""

    entries: tuple[StepInput, ...]
    before: tuple[tuple[StepName, str], ...] = ()


def _file_input(file: FitsFile) -> FileInput:
    return FileInput(stem(Path(file.name).name), file.name, file.category)


def planned_inputs(
    sof: SetOfFiles,
    definition: StepDefinition | None,
    steps: Sequence[StepDefinition],
    makers: Mapping[str, RecordedStep],
) -> StepInputs:
    """Return a set of files as the inputs that a plan would have.

    Main files stand by time, calibrations as the definition lists them, the nearest in time first. Products of one
    category of a recorded step are one input. A plan does not know that a step will not make all that it can: what the
    steps before made nothing of stands among the inputs too.

    Parameters
    ----------
    sof : SetOfFiles
        What the recipe takes.
    definition : StepDefinition or None
        Of the step.
    steps : sequence of StepDefinition
        Of its workflow.
    makers : mapping of str to RecordedStep
        The steps that made files, by these.
    """
    names = {maker.record.key: maker.step for maker in makers.values()}
    names = {key: StepName(key) if list(names.values()).count(name) > 1 else name for key, name in names.items()}
    tags = {(file.name, file.category) for file in sof.files}
    began = min((_time_of(file) for file in sof.files if _is_main(file, definition)), default=nan)
    found: dict[StepInput, tuple[int, float, str, str]] = {}
    for file in sof.files:
        entry: StepInput = _file_input(file)
        if maker := makers.get(file.name):
            made = next(product.category for product in maker.record.products if product.file == file.name)
            alike = (product.file for product in maker.record.products if product.category == made)
            if all((path, file.category) in tags for path in alike):
                entry = ProductInput(names[maker.record.key], made, file.category)
        place = _place(file, definition, began)
        found[entry] = min(place, found.get(entry, place))
    for maker in makers.values():
        for number, product, tag in _unmade(maker, definition, steps, {tag for _, tag in tags}):
            found[ProductInput(names[maker.record.key], product, tag)] = (number, 0.0, tag, "")
    entries = tuple(sorted(found, key=lambda entry: found[entry]))
    taken = {entry.step for entry in entries if isinstance(entry, ProductInput)}
    return StepInputs(entries, tuple((name, key) for key, name in names.items() if name in taken))


def _unmade(
    maker: RecordedStep, definition: StepDefinition | None, steps: Iterable[StepDefinition], there: Collection[str]
) -> Iterator[tuple[int, str, str]]:
    """Yield place, category and tag of what a step would take of another one that could have made it and did not."""
    if definition is None:
        return
    made = {product.category for product in maker.record.products}
    able = next((step for step in steps if step.recipe == maker.recipe and made.intersection(step.products)), None)
    for number, need in enumerate(definition.calibrations, start=len(definition.main)):
        products = () if able is None else (name for name in able.products if name in need.accepted)
        for product in products:
            if need.category not in there and product not in made:
                yield number, product, need.category


def _place(file: FitsFile, definition: StepDefinition | None, began: float) -> tuple[int, float, str, str]:
    """Return where a file stands in the SOF: main files by time, then calibrations as the definition lists them.

    Of several calibrations of one category the nearest in time to the first main file stands first, as in a plan.
    """
    main = [] if definition is None else [definition.tag(category) for category in definition.main]
    beside = [] if definition is None else [each.category for each in definition.calibrations]
    if file.category in main:
        taken = _time_of(file)
        return main.index(file.category), 0.0 if isnan(taken) else taken, file.category, file.name
    if file.category not in beside:
        return len(main) + len(beside), 0.0, file.category, file.name
    return len(main) + beside.index(file.category), _days_apart(file, began), file.category, file.name


def _is_main(file: FitsFile, definition: StepDefinition | None) -> bool:
    return definition is not None and file.category in map(definition.tag, definition.main)


def _time_of(file: FitsFile) -> float:
    """Return the time of an observation (MJD); NaN where its header does not say it."""
    taken = read_header(Path(file.name)).get("MJD-OBS")
    return float(taken) if isinstance(taken, int | float) else nan


def _days_apart(file: FitsFile, began: float) -> float:
    """Return how far a calibration is from the first main file; infinity where nothing says it."""
    with suppress(DataError):
        days = abs(_time_of(file) - began)
        return inf if isnan(days) else days
    return inf


def one_step_plan(
    sof: SetOfFiles,
    recipe: str,
    inputs: StepInputs,
    settings: Iterable[ParameterSetting],
    workflow: str = "reflex",
    actor: str = "",
    products: tuple[str, ...] = (),
    definition: StepDefinition | None = None,
) -> Plan:
    """Return a plan of one step.

    Parameters
    ----------
    sof : SetOfFiles
        Names dataset and purposes.
    recipe : str
        The recipe, or the name of a step of the user's own.
    inputs : StepInputs
        What it takes.
    settings : iterable of ParameterSetting
        Parameters; later ones win.
    workflow, actor : str
        Name the folders of the run, as in Reflex; the actor is `RECIPE_1` where nothing is given.
    products : tuple of str
        Categories that it makes, where they are known and no definition is given.
    definition : StepDefinition, optional
        What is known of the step: which products it makes, which of the files it must use, the program of the user's
        that is started in the place of a recipe.
    """
    name = actor or f"{recipe}_1"
    tags = {entry.category for entry in inputs.entries}
    known = {} if definition is None else _describe_step(definition, tags)
    step = Step(
        name=StepName(f"{name} itself" if name in dict(inputs.before) else name),
        actor=name,
        recipe=recipe,
        inputs=inputs.entries,
        settings=tuple(settings),
        purpose=Purpose(" ".join(sof.purposes)),
        target=True,
        **{"products": products, **known},
    )
    return Plan(sof.dataset or "reflex", workflow, (step,), before=inputs.before)


def _describe_step(definition: StepDefinition, tags: Collection[str]) -> dict[str, Any]:
    """Return what a plan says of a step by its definition, as far as the step has files of these tags."""
    return {
        "products": definition.products,
        "command": definition.command,
        "required": tuple(tag for tag in definition.required if tag in tags),
        "unnoted": definition.unlisted,
    }


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a recipe.

    Parameters
    ----------
    record : Record
        Of its products, made now or before.
    report : StepReport
        What was decided and why, as `run` reports it.
    made_now : bool
        Whether the recipe ran.
    parameters : tuple of RecipeParameter
        All that its products were made with.
    """

    record: Record
    report: StepReport
    made_now: bool
    parameters: tuple[RecipeParameter, ...]

    @property
    def log(self) -> str:
        """EsoRex's log; empty where the recipe did not run."""
        log = self.record.sof.parent / "log_dir" / "esorex.log"
        return log.read_text(encoding="utf-8", errors="replace") if self.made_now and log.exists() else ""


def decide(engine: Engine, plan: Plan, whole: Callable[[], Plan | None], chosen: Iterable[str] = ()) -> DecidedPlan:
    """Resolve a plan of one step, and decide about it.

    Parameters
    ----------
    engine : Engine
        Of the data root.
    plan : Plan
        The plan.
    whole : callable
        Returns the plan of the whole dataset, which says how well the inputs fit; asked where the recipe must run.
    chosen : iterable of str
        Files that the user's choices name.

    Raises
    ------
    RecipeError
        If the recipe is not installed or a file is damaged.
    ParameterError
        If a parameter is wrong.
    """
    dataset = Dataset(plan.dataset, "", Action(plan.dataset, ()), chosen=tuple(chosen))
    (resolved,) = engine.resolve(((dataset, plan),))
    if isinstance(resolved, Unresolvable):
        raise RecipeError(resolved.reason)
    (decided,) = engine.decide((resolved,))
    if not decided.executes:
        return decided
    planned = add_associations(plan, whole())
    return engine.decide((replace(resolved, plan=planned),))[0]


def execute(engine: Engine, decided: DecidedPlan, reporter: Reporter) -> Done:
    """Make the step of a plan of one step, or find what it made before.

    Raises
    ------
    RecipeError
        If it failed.
    """
    executed = engine.execute((decided,), reporter)
    resolved = decided.resolved
    (step,) = resolved.plan.steps
    key = resolved.keys[step.name]
    if key not in executed.records:
        raise RecipeError(executed.nodes[key].error)
    result = executed.results.get(key)
    (report,) = report_dataset(decided, executed).steps
    made_now = result is not None and result.outcome == "made"
    return Done(executed.records[key], report, made_now, _describe_all(resolved, step))


def _describe_all(resolved: ResolvedPlan, step: Step) -> tuple[RecipeParameter, ...]:
    return tuple(describe(step.recipe, each) for each in resolved.parameters[step.name])


def describe(recipe: str, each: Parameter) -> RecipeParameter:
    """Return a parameter of a recipe as Reflex writes it."""
    schema = each.schema
    fields: dict[str, Any] = {"name": schema.name, "description": schema.description, "valtype": schema.valtype}
    fields["value"] = each.value
    if schema.choices:
        fields |= {"partype": "enum", "valenum": tuple(schema.choices)}
    elif schema.minimum is not None or schema.maximum is not None:
        fields |= {"partype": "range", "valmin": schema.minimum, "valmax": schema.maximum}
    else:
        fields |= {"partype": "value"}
    return RecipeParameter(recipe, schema.display_name, tuple(sorted(fields.items())))
