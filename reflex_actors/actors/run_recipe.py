"""`run_recipe`: EsoRex through the bridge, which runs nothing twice; the ports are those of RecipeExecuter."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esorex_bridge.errors import DataError, RecipeError, UserError
from reflex_actors.folder import root_of
from reflex_actors.protocol import Actor, Inputs, Port
from reflex_actors.purposes import DO_NOTHING, SET_TO_UNIVERSAL, STRIP_LAST, after_recipe, patterns_of
from reflex_actors.sof_json import FitsFile, RecipeParameter, SetOfFiles, value_text

if TYPE_CHECKING:
    from esorex_bridge.datasets.choices import Choices
    from esorex_bridge.definitions.parameters import ParameterSetting
    from esorex_bridge.disk.room import DiskNeed
    from esorex_bridge.plan.plan import Plan
    from esorex_bridge.run.report import StepReport
    from esorex_bridge.session import Session
    from esorex_bridge.settings import Settings
    from reflex_actors.one_recipe import Done

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
        Port("decision", "execute or reuse"),
        Port("reason", "why"),
    ),
)


def work(inputs: Inputs) -> dict[str, Any]:
    """Run, skip or do nothing, as the mode says."""
    mode, processing = inputs.text("mode"), inputs.text("purpose_processing")
    _one_of("mode", mode, ("Run", "Skip", "Disabled"))
    _one_of("purpose_processing", processing, (STRIP_LAST, DO_NOTHING, SET_TO_UNIVERSAL))
    _one_of("failure_mode", inputs.text("failure_mode"), ("Stop", "Continue"))
    _one_of("lazy", inputs.text("lazy"), ("on", "off", "reflex"))
    taken, rejected = _filter(inputs.sof("in_sof"), inputs.text("input_categories"))
    answer: dict[str, Any] = {"rejected_inputs": rejected, "out_sop": inputs.sop("in_sop")}
    empty = taken.with_files(())
    if mode == "Disabled" or (not taken.files and inputs.flag("allow_empty")):
        return {**answer, "out_sof": empty}
    if mode == "Skip":
        kept, dropped = _filter(taken, inputs.text("output_categories"))
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
    kept, dropped = _filter(products, inputs.text("output_categories"))
    return {
        "out_sof": kept,
        "out_sop": done.parameters,
        "rejected_outputs": dropped,
        "logs": done.log,
        "warnings": _lines(done.log, "[WARNING]"),
        "errors": _lines(done.log, "[ ERROR ]"),
        "decision": done.report.decision,
        "reason": done.report.reason,
    }


def _settings_of(inputs: Inputs, root: Path) -> Settings:
    from esorex_bridge.reuse.decide import LAZY_MODES, Policy
    from esorex_bridge.settings import Settings

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
    from esorex_bridge.organise.choices_file import read_choices_file
    from esorex_bridge.session import Session
    from esorex_bridge.settings import Settings
    from reflex_actors import one_recipe
    from reflex_actors.associations import plan_of_dataset

    with Session(settings or Settings(root)) as session:
        if session.engine is None:
            raise RecipeError("EsoRex is not found; put its folder on esoreflex.path in esoreflex.rc")
        chosen = read_choices_file(session.workspace.root).get(sof.dataset)
        given = tuple(_setting(each) for each in sop if each.recipe == recipe)
        plan = plan_of(session, recipe, sof, chosen, given)
        whole = partial(plan_of_dataset, session.planning, plan.dataset)
        decided = one_recipe.decide(session.engine, plan, whole, chosen.files if chosen else ())
        return one_recipe.execute(session.engine, decided, _Reporter(len(sof.files)))


class _Reporter:
    """Says on stderr, which Reflex shows, that a recipe is started."""

    def __init__(self, files: int) -> None:
        self._files = files

    def tell_needs(self, needs: tuple[DiskNeed, ...]) -> None:
        """Pass over what will come onto which disk."""

    def started(self, what: str, number: int, of: int, expected_seconds: float | None) -> None:
        """Say that the recipe is started."""
        sys.stderr.write(f"{what}: {self._files} files …\n")

    def told(self, line: str) -> None:
        """Say what happens to it meanwhile."""
        sys.stderr.write(f"{line}\n")

    def finished(self, report: StepReport) -> None:
        """Pass over how it ended: the outputs say that."""

    def go_on(self, step: str, error: str) -> bool:
        """Go on: there is nothing else."""
        return True


def plan_of(
    session: Session, recipe: str, sof: SetOfFiles, chosen: Choices | None, given: tuple[ParameterSetting, ...]
) -> Plan:
    """Return a plan of one step as the definition of the instrument's workflow has it; files alone where none has it.

    Inputs and folders are those of a plan, so that what `run` made is reused here, by any Lazy Mode, and the other way
    round. Parameters that were chosen for the dataset in a review count, unless `given` has others.
    """
    from esorex_bridge.definitions.parameters import ParameterSetting
    from reflex_actors.actors.step_parameters import choose
    from reflex_actors.definitions import find_definition
    from reflex_actors.one_recipe import one_step_plan, planned_inputs

    workflow, definition = find_definition(session.planning, recipe, sof)
    makers = session.store.makers(file.name for file in sof.files)
    inputs = planned_inputs(sof, definition, workflow.steps if workflow else (), makers)
    named = workflow.name if workflow is not None and definition is not None else "reflex"
    own = choose(definition, sof) if definition is not None else ()
    defined = (ParameterSetting(recipe, each.display_name, each.value, f"workflow {named}") for each in own)
    reviewed = (
        ParameterSetting(recipe, name, value, "review")
        for of, name, value in (chosen.parameters if chosen else ())
        if of == recipe
    )
    actor = definition.name if definition is not None else ""
    settings = (*defined, *reviewed, *given)
    return one_step_plan(sof, recipe, inputs, settings, named, actor, definition=definition)


def _setting(each: RecipeParameter) -> ParameterSetting:
    from esorex_bridge.definitions.parameters import ParameterSetting

    return ParameterSetting(each.recipe, each.display_name, value_text(each.value), "in_sop")


def _filter(sof: SetOfFiles, categories: str) -> tuple[SetOfFiles, SetOfFiles]:
    wanted = patterns_of(categories)
    if not wanted:
        return sof, sof.with_files(())
    kept = [file for file in sof.files if file.category in wanted]
    return sof.with_files(kept), sof.with_files(file for file in sof.files if file.category not in wanted)


def _one_of(port: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UserError(f"{port} is '{value}'; allowed: {', '.join(allowed)}")


def _lines(log: str, mark: str) -> str:
    return "\n".join(line for line in log.splitlines() if mark in line)
