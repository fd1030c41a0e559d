"""A step of a workflow: what it takes from where, and the composite that runs its recipe once for each group."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from esorex_bridge.definitions.located import Scalar
from esorex_bridge.definitions.steps import StepDefinition
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.errors import UserError
from esorex_bridge.plan.unfold import shared_steps
from reflex_actors.actors import run_command, step_parameters, tune_recipe
from reflex_actors.moml.blocks import (
    GRID,
    Wire,
    actor,
    composite,
    constant,
    file,
    parameter,
    place_actor,
    port_in,
    port_out,
    python_actor,
    setter,
    show_parameter,
    text,
)
from reflex_actors.moml.canvas import LINE
from reflex_actors.moml.model import Entity, Property
from reflex_actors.protocol import Actor

CHOOSER = "Step Parameters"
"""Actor that chooses the parameters of a group by its files, in a step with cases."""

ENABLE, INITIAL = "EnableInteractivity", "InitialParameters"
"""Parameters of a step with a window: whether to open it, and the parameters that a recipe begins with."""


class UnsupportedError(UserError):
    """A workflow definition says something that a Reflex workflow cannot do."""


@dataclass(frozen=True, slots=True)
class StepPlace:
    """A step within the workflow.

    Parameters
    ----------
    step : StepDefinition
        What it does.
    port : str
        Names its ports of FitsRouter, and its composite.
    makers : tuple of str
        Ports of the steps whose products it takes.
    required : tuple of str
        Those of them that alone make what it cannot do without: a group that they do not serve is left out.
    rivals : tuple of str
        Ports of the steps that take its raw categories directly.
    shared : bool
        Whether other steps have main files of the same category.
    main_makers : tuple of str
        Ports of the steps whose products are its main files; empty where these are raw.
    """

    step: StepDefinition
    port: str
    makers: tuple[str, ...]
    required: tuple[str, ...]
    rivals: tuple[str, ...]
    shared: bool = False
    main_makers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of its composite."""
        return self.port.replace("_", " ").title()

    @property
    def direct(self) -> tuple[str, ...]:
        """Categories that it takes as they are, where a dataset has them."""
        found = dict.fromkeys(category for need in self.step.calibrations for category in need.accepted)
        return tuple(category for category in found if category not in self.step.main)

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags that its recipe knows."""
        return tuple(dict.fromkeys((*self.step.main, *(need.category for need in self.step.calibrations))))

    @property
    def names(self) -> str:
        """Tags to change for its recipe, as `OLD=NEW`."""
        return ",".join(f"{old}={need.category}" for need in self.step.calibrations for old in need.sources)

    @property
    def needed(self) -> str:
        """Tags without which its recipe must not run."""
        return ",".join(need.category for need in self.step.calibrations if need.required)

    @property
    def by_case(self) -> tuple[str, ...]:
        """Parameters that its recipe is told for each group, because its definition has cases for them."""
        return tuple(dict.fromkeys(name for case in self.step.cases for name, _ in case.parameters))

    @property
    def guarded(self) -> bool:
        """Whether what comes together for it has to be looked through."""
        return bool(self.direct or self.makers or self.rivals or self.names or self.shared)


def places(workflow: Workflow) -> tuple[StepPlace, ...]:
    """Return the steps of a workflow with what they take from where, producers first.

    Raises
    ------
    UnsupportedError
        If a renamed product serves under two tags of one step, or cases cannot be told.
    """
    ports = _ports(workflow.steps)
    shared = shared_steps(workflow)
    found = []
    for step in _order(workflow.steps):
        _refuse_ambiguous(step)
        _refuse_unsaid(step)
        main = [(each, True) for each in makers_of(step.main, step, workflow.steps)]
        needs = [(need, makers_of(need.accepted, step, workflow.steps)) for need in step.calibrations]
        taken = [*main, *((each, need.required and len(makers) == 1) for need, makers in needs for each in makers)]
        found.append(
            StepPlace(
                step=step,
                port=ports[step.name],
                makers=tuple(dict.fromkeys(ports[made.name] for made, _ in taken)),
                required=tuple(dict.fromkeys(ports[made.name] for made, alone in taken if alone)),
                rivals=tuple(
                    ports[other.name] for other in workflow.steps if other is not step and _shares(other, step)
                ),
                shared=step.name in shared,
                main_makers=tuple(dict.fromkeys(ports[made.name] for made, _ in main)),
            )
        )
    return tuple(found)


def makers_of(
    categories: Iterable[str], step: StepDefinition, steps: Iterable[StepDefinition]
) -> tuple[StepDefinition, ...]:
    """Return all steps, but for one, that make any of some categories; which of them serves shows by purposes."""
    wanted = set(categories)
    return tuple(each for each in steps if each is not step and wanted.intersection(each.products))


def _shares(other: StepDefinition, step: StepDefinition) -> bool:
    """Tell whether another step takes main files of a step directly."""
    return any(set(need.accepted).intersection(step.main) for need in other.calibrations)


def _refuse_ambiguous(step: StepDefinition) -> None:
    tags: dict[str, str] = {}
    for need in step.calibrations:
        for category in need.sources:
            if tags.setdefault(category, need.category) != need.category:
                raise UnsupportedError(
                    f"{step.recipe}: {category} cannot stand for both {tags[category]} and "
                    f"{need.category} in a Reflex workflow"
                )


def _refuse_unsaid(step: StepDefinition) -> None:
    """Refuse cases that leave open what holds otherwise: a RecipeExecuter wants a value each time."""
    if step.cases and step.command:
        raise UnsupportedError(f"{step.recipe}: a command cannot have cases in a Reflex workflow; run it by a recipe")
    said = {name for name, _ in (*step.parameters, *step.tune)}
    for name in (name for case in step.cases for name, _ in case.parameters if name not in said):
        raise UnsupportedError(f"{step.recipe}: write into 'parameters' what {name} is where no case holds")


def _ports(steps: Iterable[StepDefinition]) -> dict[str, str]:
    """Return a short name for each step: its recipe without what all recipes begin with."""
    listed = tuple(steps)
    words = [step.recipe.split("_") for step in listed]
    common = 0
    while all(len(each) > common + 1 for each in words) and len({each[common] for each in words}) == 1:
        common += 1
    names: dict[str, str] = {}
    for step, parts in zip(listed, words, strict=True):
        short = "_".join(parts[common:]).upper()
        names[step.name] = short if short not in names.values() else f"{short}_{step.name.rpartition('_')[2]}"
    return names


def _order(steps: tuple[StepDefinition, ...]) -> Iterator[StepDefinition]:
    """Yield steps, each after those whose products it takes (a definition has no circles)."""
    done: dict[str, StepDefinition] = {}

    def visit(step: StepDefinition) -> None:
        if step.name in done:
            return
        taken = (*step.main, *(each for need in step.calibrations for each in need.accepted))
        for maker in makers_of(taken, step, steps):
            visit(maker)
        done[step.name] = step

    for step in steps:
        visit(step)
    return iter(done.values())


def executer(place: StepPlace, ports: Iterable[str] = ()) -> Entity:
    """Return the RecipeExecuter of a step; parameters in `ports`, and those of its cases, come from its `sop in`."""
    step = place.step
    from_port = tuple(dict.fromkeys((*ports, *place.by_case)))
    values = [(name, value) for name, value in step.parameters if name not in from_port]
    listed = [*(f"{name}={_value(value)}" for name, value in values), *(f"{name}=PORT" for name in from_port)]
    settings: list[Property] = [
        text("Recipe Failure Mode", "$RecipeFailureMode"),
        text("Input Files Category", ",".join(place.tags)),
        parameter("Allow empty inputs", "true"),
        file("Bookkeeping DB", "$BOOKKEEPING_DB"),
        *(parameter(f"recipe_param_{number}", each) for number, each in enumerate(listed, start=1)),
    ]
    return actor(step.name, "org.eso.RecipeExecuter", settings, {"sof in": 1, "sop in": 1})


def command_step(place: StepPlace) -> Entity:
    """Return the composite that runs a step of the user's own, a command, once for each purpose."""
    name, step = place.step.name, place.step
    words = shlex.join((*step.command, *(f"--{key}={_value(value)}" for key, value in step.parameters)))
    entities = (
        *_around(),
        place_actor(constant("Command", words.replace("$", "$$")), 1, 2),
        place_actor(python_actor(name, run_command.ACTOR, "$RecipeFailureMode"), 2, 1),
    )
    wires = (
        ("sof_in", "SofSplitter.sof in"),
        ("SofSplitter.sof out", f"{name}.in_sof", "Command.trigger"),
        ("Command.output", f"{name}.command"),
        ("SofSplitter.#groups", "SofAccumulator.#groups"),
        (f"{name}.out_sof", "SofAccumulator.sof in"),
        ("SofAccumulator.sof out", "sof_out"),
    )
    return composite(place.name, (port_in("sof_in"), port_out("sof_out")), entities, wires)


def run_step(place: StepPlace) -> Entity:
    """Return the composite that runs a step's recipe once for each purpose."""
    if place.step.command:
        return command_step(place)
    recipe = place.step.name
    entities = (*_around(), place_actor(executer(place), 2, 1), *_choosing_actors(place))
    wires = (
        ("sof_in", "SofSplitter.sof in"),
        ("SofSplitter.sof out", f"{recipe}.sof in", *_choosing_triggers(place)),
        *_choosing_wires(place, f"{recipe}.sop in"),
        ("SofSplitter.#groups", "SofAccumulator.#groups"),
        (f"{recipe}.sof out", "SofAccumulator.sof in"),
        ("SofAccumulator.sof out", "sof_out"),
    )
    return composite(place.name, (port_in("sof_in"), port_out("sof_out")), entities, wires)


def _choosing_actors(place: StepPlace) -> tuple[Entity, ...]:
    """Return what chooses the parameters of a group; nothing for a step without cases."""
    if not place.by_case:
        return ()
    told = step_parameters.text_for(place.step).replace("$", "$$")
    return (
        place_actor(python_actor(CHOOSER, step_parameters.ACTOR), 2, 2),
        place_actor(constant("Cases", told), 1, 2),
    )


def _choosing_triggers(place: StepPlace) -> tuple[str, ...]:
    """Return what a group triggers, for each group anew."""
    return (f"{CHOOSER}.in_sof", "Cases.trigger") if place.by_case else ()


def _choosing_wires(place: StepPlace, sink: str) -> tuple[Wire, ...]:
    """Return how what chooses parameters is linked, up to where they go."""
    if not place.by_case:
        return ()
    return ("Cases.output", f"{CHOOSER}.step"), (f"{CHOOSER}.out_sop", sink)


def tuned_step(place: StepPlace, initial: Iterable[tuple[str, Scalar]], script: str = "") -> Entity:
    """Return the composite that shows products and parameters after each run, and runs again where the user wants.

    Parameters
    ----------
    place : StepPlace
        The step.
    initial : iterable of (str, value)
        The parameters that can be changed, with their first values.
    script : str
        A script of an ESO kit that has a window of its own, instead of our page.
    """
    values = tuple(initial)
    # What is said here goes before what the cases say, so that stands here only where a user has said it.
    said = ((name, value) for name, value in values if name not in place.by_case)
    first = "\n".join(f"{place.step.recipe}:{name}={_value(value)}" for name, value in said)
    below = 6 * GRID[1]
    remembered = (
        show_parameter(text(ENABLE, "$GlobalPlotInteractivity"), GRID[0], below),
        show_parameter(text(INITIAL, first.replace("$", "$$")), GRID[0], below + LINE),
    )
    entities = _tuned_entities(place, [name for name, _ in values], script)
    wires = _tuned_wires(place, own_page=not script)
    return composite(place.name, (port_in("sof_in"), port_out("sof_out")), entities, wires, remembered)


def _tuned_entities(place: StepPlace, names: Iterable[str], script: str) -> tuple[Entity, ...]:
    """Return the actors of a step with a window: the loop, the window, and what remembers its answers."""
    looper = actor(
        "RecipeLooper",
        "org.eso.RecipeLooper",
        (text("Actor name", "Tune"),),
        {"sof in": 1, "sop in": 1, "iteration complete": 0, "sof loop": 0, "sop loop": 0},
    )
    delay = actor("SampleDelay", "ptolemy.domains.sdf.lib.SampleDelay", (parameter("initialOutputs", "{0}"),))
    return (
        *_around(5),
        place_actor(constant("Initial Parameters", f"${INITIAL}"), 1, 3),
        place_actor(actor("SopCreator", "org.eso.SopCreator"), 2, 3),
        place_actor(looper, 2, 1),
        place_actor(executer(place, names), 3, 1),
        place_actor(constant("Enable", f"${ENABLE}"), 3, 3),
        place_actor(python_actor("Tune", window_of_kits() if script else tune_recipe.ACTOR, script=script), 4, 2),
        place_actor(setter("Remember Windows", ENABLE), 5, 3),
        *(() if script else (place_actor(setter("Remember Parameters", INITIAL), 5, 4),)),
        place_actor(delay, 2, 4),
        *_choosing_actors(place),
    )


def _tuned_wires(place: StepPlace, own_page: bool) -> tuple[Wire, ...]:
    """Return how the actors of a step with a window are linked; our own page says which parameters to begin with."""
    recipe = place.step.name
    return (
        ("sof_in", "SofSplitter.sof in"),
        ("SofSplitter.sof out", "RecipeLooper.sof in", "Initial Parameters.trigger", *_choosing_triggers(place)),
        ("SofSplitter.#groups", "SofAccumulator.#groups"),
        ("Initial Parameters.output", "SopCreator.param in"),
        ("SopCreator.sop out", f"{CHOOSER}.in_sop" if place.by_case else "RecipeLooper.sop in"),
        *_choosing_wires(place, "RecipeLooper.sop in"),
        ("RecipeLooper.sof out", f"{recipe}.sof in", "Tune.in_sof_rec_orig", "Enable.trigger"),
        ("RecipeLooper.sop out", f"{recipe}.sop in"),
        (f"{recipe}.sof out", "Tune.in_sof"),
        (f"{recipe}.sop out", "Tune.in_sop"),
        ("Enable.output", "Tune.enable"),
        ("Tune.iteration_complete", "RecipeLooper.iteration complete"),
        ("Tune.out_sof_loop", "RecipeLooper.sof loop"),
        ("Tune.out_sop_loop", "RecipeLooper.sop loop"),
        ("Tune.set_enable", "Remember Windows.input"),
        *((("Tune.set_init_text", "Remember Parameters.input"),) if own_page else ()),
        # The next group begins when the user has gone on from this one, so with what was remembered.
        ("Tune.out_sop", "SampleDelay.input"),
        ("SampleDelay.output", "Initial Parameters.trigger"),
        ("Tune.out_sof", "SofAccumulator.sof in"),
        ("SofAccumulator.sof out", "sof_out"),
    )


def window_of_kits() -> Actor:
    """Return the ports of the scripts with windows in ESO's kits: those of `tune_recipe`, less what is our own."""
    outputs = tuple(port for port in tune_recipe.ACTOR.outputs if port.name != "set_init_text")
    return replace(tune_recipe.ACTOR, outputs=outputs)


def _around(last: int = 3) -> tuple[Entity, Entity]:
    splitter = actor("SofSplitter", "org.eso.SofSplitter", (parameter("Group purposes", "true"),))
    accumulator = actor(
        "SofAccumulator", "org.eso.SofAccumulator", (parameter("same dataset", "true"),), {"sof in": 0, "#groups": 1}
    )
    return place_actor(splitter, 1, 1), place_actor(accumulator, last, 1)


def _value(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
