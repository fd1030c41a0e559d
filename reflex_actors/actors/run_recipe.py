"""`run_recipe`: EsoRex through the bridge, which runs nothing twice; the ports are those of RecipeExecuter."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esorex_bridge.datasets.dataset import Action, Dataset, Purpose
from esorex_bridge.errors import DataError, RecipeError, UserError
from reflex_actors.folder import root_of
from reflex_actors.protocol import Actor, Inputs, Port
from reflex_actors.purposes import DO_NOTHING, SET_TO_UNIVERSAL, STRIP_LAST, after_recipe, patterns_of
from reflex_actors.sof_json import FitsFile, RecipeParameter, SetOfFiles, value_text

if TYPE_CHECKING:
    from esorex_bridge.definitions.parameters import Parameter, ParameterSetting
    from esorex_bridge.definitions.steps import StepDefinition
    from esorex_bridge.plan.plan import Plan
    from esorex_bridge.reuse.record import Record
    from esorex_bridge.run.report import StepReport
    from esorex_bridge.session import Session, Settings

ACTOR = Actor(
    "run_recipe",
    "Runs a recipe, or reuses what it made of the same content and parameters.",
    (
        Port("in_sof", "files", kind="sof", required=True),
        Port("in_sop", "parameters that differ from the recipe's own", kind="sop"),
        Port("recipe", "the recipe", required=True),
        Port("root_dir", "data root; default: the folder above reflex_input"),
        Port("mode", "Run, Skip or Disabled", default="Run"),
        Port("input_categories", "tags to hand to the recipe; default: all"),
        Port("output_categories", "products to hand on; default: all"),
        Port("purpose_processing", "Strip last, Do nothing or Set to universal", default=STRIP_LAST),
        Port("failure_mode", "Stop, or Continue with an empty set of files", default="Stop"),
        Port("allow_empty", "hand on an empty set of files without running", kind="flag", default="false"),
        Port("lazy", "Lazy Mode: on, off or reflex", default="on"),
        Port("force", "run although the products are there", kind="flag", default="false"),
        Port("workflow", "workflow definition, for a step of your own; default: the one for the instrument"),
    ),
    (
        Port("out_sof", "products", kind="sof"),
        Port("out_sop", "all parameters it ran with", kind="sop"),
        Port("rejected_inputs", "files that were not handed to the recipe", kind="sof"),
        Port("rejected_outputs", "products that are not handed on", kind="sof"),
        Port("logs", "EsoRex's log; empty where products were reused"),
        Port("warnings", "lines of the log"),
        Port("errors", "lines of the log, or why it failed"),
    ),
)


def work(inputs: Inputs) -> dict[str, Any]:
    """Run, skip or do nothing, as the mode says."""
    mode, processing = inputs.text("mode"), inputs.text("purpose_processing")
    _one_of("mode", mode, ("Run", "Skip", "Disabled"))
    _one_of("purpose_processing", processing, (STRIP_LAST, DO_NOTHING, SET_TO_UNIVERSAL))
    _one_of("failure_mode", inputs.text("failure_mode"), ("Stop", "Continue"))
    _one_of("lazy", inputs.text("lazy"), ("on", "off", "reflex"))
    taken, rejected = _filtered(inputs.sof("in_sof"), inputs.text("input_categories"))
    answer: dict[str, Any] = {"rejected_inputs": rejected, "out_sop": inputs.sop("in_sop")}
    empty = taken.with_files(())
    if mode == "Disabled" or (not taken.files and inputs.flag("allow_empty")):
        return {**answer, "out_sof": empty}
    if mode == "Skip":
        kept, dropped = _filtered(taken, inputs.text("output_categories"))
        return {**answer, "out_sof": kept, "rejected_outputs": dropped}
    try:
        return {**answer, **_run(inputs, taken, processing)}
    except (RecipeError, DataError) as error:
        if inputs.text("failure_mode") == "Stop":
            raise
        return {**answer, "out_sof": empty, "errors": str(error)}


def _run(inputs: Inputs, taken: SetOfFiles, processing: str) -> dict[str, Any]:
    if not taken.files:
        raise DataError("the set of files is empty after filtering; check input_categories and the actors before")
    recipe = inputs.text("recipe")
    root = root_of(Path(taken.files[0].name).parent, inputs.text("root_dir"))
    done = execute(root, recipe, taken, inputs.sop("in_sop"), _settings_of(inputs, root))
    purposes = after_recipe(taken.purposes, processing)
    products = taken.with_files(FitsFile(str(made.path), made.category, purposes) for made in done.record.products)
    kept, dropped = _filtered(products, inputs.text("output_categories"))
    log = _log_of(done.record) if done.made_now else ""
    return {
        "out_sof": kept,
        "out_sop": done.parameters,
        "rejected_outputs": dropped,
        "logs": log,
        "warnings": _lines(log, "[WARNING]"),
        "errors": _lines(log, "[ ERROR ]"),
    }


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a recipe: its products, now or before, and the parameters they were made with."""

    record: Record
    made_now: bool
    parameters: tuple[RecipeParameter, ...]


def _settings_of(inputs: Inputs, root: Path) -> Settings:
    from esorex_bridge.reuse.decide import LAZY_MODES, Policy
    from esorex_bridge.session import Settings

    lazy = next(mode for mode in LAZY_MODES if mode == inputs.text("lazy"))
    forced = (inputs.text("recipe"),) if inputs.flag("force") else ()
    workflow = inputs.text("workflow")
    return Settings(root, workflow=Path(workflow) if workflow else None, policy=Policy(lazy, forced=forced))


def execute(
    root: Path, recipe: str, sof: SetOfFiles, sop: Iterable[RecipeParameter], settings: Settings | None = None
) -> Done:
    """Run a recipe in a data root, or find what it made before of the same content and parameters.

    Raises
    ------
    RecipeError
        If EsoRex or the recipe is not installed, or it failed.
    DataError
        If a file is damaged.
    ParameterError
        If a parameter is wrong.
    """
    from msgspec.structs import replace

    from esorex_bridge.reuse.resolve import Unresolvable
    from esorex_bridge.session import Session, Settings
    from reflex_actors.associations import add_associations, plan_of_dataset

    with Session(settings or Settings(root)) as session:
        if session.engine is None:
            raise RecipeError("EsoRex is not found; put its folder on esoreflex.path in esoreflex.rc")
        plan = one_step_plan(session, recipe, sof, tuple(_setting(each) for each in sop if each.recipe == recipe))
        step = plan.steps[0]
        pairs = ((Dataset(plan.dataset, "", Action(plan.dataset, ())), plan),)
        origins = session.store.origins(file.name for file in sof.files)
        (resolved,) = session.engine.resolve(pairs, origins)
        if isinstance(resolved, Unresolvable):
            raise RecipeError(resolved.reason)
        (decided,) = session.engine.decide((resolved,))
        if decided.executes:
            planned = add_associations(plan, plan_of_dataset(session, plan.dataset))
            (decided,) = session.engine.decide((replace(resolved, plan=planned),))
        executed = session.engine.execute((decided,), _Told(len(sof.files)))
        key = resolved.keys[step.name]
        if key not in executed.records:
            raise RecipeError(executed.nodes[key].error)
        result = executed.results.get(key)
        parameters = tuple(described(recipe, each) for each in resolved.parameters[step.name])
        return Done(executed.records[key], result is not None and result.outcome == "made", parameters)


class _Told:
    """Says on stderr, which Reflex shows, that a recipe is started."""

    def __init__(self, files: int) -> None:
        self._files = files

    def started(self, what: str, number: int, of: int, expected_seconds: float | None) -> None:
        """Say that the recipe is started."""
        sys.stderr.write(f"{what}: {self._files} files …\n")

    def finished(self, report: StepReport) -> None:
        """Pass over how it ended: the outputs say that."""

    def go_on(self, step: str, error: str) -> bool:
        """Go on: there is nothing else."""
        return True


def one_step_plan(session: Session, recipe: str, sof: SetOfFiles, given: tuple[ParameterSetting, ...]) -> Plan:
    """Return a plan of one step as the definition of the instrument's workflow has it; files alone where none has it.

    The inputs are in the order in which a plan has them, so that what `run` made is reused here, and the other way
    round. Parameters that were chosen for the dataset in a review count, unless `given` has others.
    """
    from esorex_bridge.definitions.parameters import ParameterSetting
    from esorex_bridge.organise.choices_file import read_choices_file
    from esorex_bridge.plan.plan import FileInput, Plan, Step, StepName

    definition = _definition(session, recipe, sof)
    ordered = sorted(sof.files, key=lambda file: _place(file, definition))
    chosen = read_choices_file(session.workspace.root).get(sof.dataset)
    reviewed = tuple(
        ParameterSetting(recipe, name, value, "review")
        for of, name, value in (chosen.parameters if chosen else ())
        if of == recipe
    )
    origin = f"workflow {definition.recipe}" if definition else ""
    own = definition.parameters if definition is not None and definition.command else ()
    defined = tuple(ParameterSetting(recipe, name, value, origin) for name, value in own)
    name = f"{recipe}_1"
    step = Step(
        name=StepName(name),
        actor=name,
        recipe=recipe,
        inputs=tuple(FileInput(Path(file.name).name, file.name, file.category) for file in ordered),
        settings=(*defined, *reviewed, *given),
        products=definition.products if definition is not None and definition.command else (),
        purpose=Purpose(" ".join(sof.purposes)),
        target=True,
        command=definition.command if definition is not None else (),
    )
    return Plan(sof.dataset or "reflex", "reflex", (step,))


def _definition(session: Session, recipe: str, sof: SetOfFiles) -> StepDefinition | None:
    """Return how the workflow for the first file has a recipe: of several steps, that which takes most of the tags."""
    from esorex_bridge.fits.header import read_header

    try:
        header = read_header(Path(sof.files[0].name))
        if session.settings.workflow is not None:
            workflow = session.workflows[0]
        else:
            workflow = session.definitions.choose(str(header.get("INSTRUME") or "").strip(), header)
    except (UserError, DataError):
        return None
    tags = {file.category for file in sof.files}
    steps = [step for step in workflow.steps if step.recipe == recipe]
    return max(steps, key=lambda step: len(tags.intersection(map(step.tag, step.main))), default=None)


def _place(file: FitsFile, definition: StepDefinition | None) -> tuple[int, float, str, str]:
    """Return where a file stands in the SOF: main files by time, then calibrations as the definition lists them."""
    from esorex_bridge.fits.header import read_header

    main = [] if definition is None else [definition.tag(category) for category in definition.main]
    beside = [] if definition is None else [each.category for each in definition.calibrations]
    if file.category in main:
        taken = read_header(Path(file.name)).get("MJD-OBS")
        time = float(taken) if isinstance(taken, int | float) else 0.0
        return main.index(file.category), time, file.category, file.name
    at = beside.index(file.category) if file.category in beside else len(beside)
    return len(main) + at, 0.0, file.category, file.name


def described(recipe: str, each: Parameter) -> RecipeParameter:
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


def _setting(each: RecipeParameter) -> ParameterSetting:
    from esorex_bridge.definitions.parameters import ParameterSetting

    return ParameterSetting(each.recipe, each.display_name, value_text(each.value), "in_sop")


def _filtered(sof: SetOfFiles, categories: str) -> tuple[SetOfFiles, SetOfFiles]:
    wanted = patterns_of(categories)
    if not wanted:
        return sof, sof.with_files(())
    kept = [file for file in sof.files if file.category in wanted]
    return sof.with_files(kept), sof.with_files(file for file in sof.files if file.category not in wanted)


def _one_of(port: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UserError(f"{port} is '{value}'; allowed: {', '.join(allowed)}")


def _log_of(record: Record) -> str:
    log = record.sof.parent / "log_dir" / "esorex.log"
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def _lines(log: str, mark: str) -> str:
    return "\n".join(line for line in log.splitlines() if mark in line)
