"""The workflow of an instrument for Reflex, made from the definition that the headless road uses."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from esorex_bridge.definitions.located import Scalar
from esorex_bridge.definitions.steps import StepDefinition
from esorex_bridge.definitions.workflow import Workflow
from reflex_actors.actors import step_inputs
from reflex_actors.moml import stages
from reflex_actors.moml.blocks import (
    Wire,
    actor,
    composite,
    constant,
    join_texts,
    place_actor,
    port_in,
    port_out,
    python_actor,
    text,
    wiring,
)
from reflex_actors.moml.canvas import (
    COLUMN,
    COLUMNS,
    with_vertices,
)
from reflex_actors.moml.layout import Canvas
from reflex_actors.moml.model import Entity, Property
from reflex_actors.moml.steps import StepPlace, UnsupportedError, places, run_step, tuned_step

DEFAULT_ACTORS = "$HOME/.esoreflex/esorex_bridge"
"""Where `reflex install` puts the actors by default."""

CREATED_BY = "11.0.devel"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:esorex-bridge:workflow")
GUARD, COMBINER, RUN = "Inputs", "Combiner", "Run"
"""Actors within a step: what looks its inputs through, what brings them together, and the recipe for each group."""

_STANDARDS = frozenset({"STD", "STANDARD", "ASTROMETRY"})
"""Words in the categories of observations that serve others."""

_INSIDE = (GUARD, COMBINER, "Tags.", "Takes.", "Needs.", "Step.")

Tunable = Mapping[str, tuple[tuple[str, Scalar], ...]]
"""Parameters that can be changed between runs, by recipe, with their first values."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Actors and their wires, to be put into the workflow."""

    entities: tuple[Entity, ...]
    wires: tuple[Wire, ...]


def reduction(
    workflow: Workflow,
    actors: str = DEFAULT_ACTORS,
    tunable: Tunable | None = None,
    reflex_organises: bool = False,
    windows: Mapping[str, str] | None = None,
) -> Entity:
    """Return the workflow of an instrument.

    Parameters
    ----------
    workflow : Workflow
        The definition.
    actors : str
        Folder of the installed actors.
    tunable : mapping, optional
        Recipes whose parameters can be changed between runs, beside those that the definition names (`tune`).
    reflex_organises : bool
        Whether Reflex's DataOrganizer organises, in its CalSelector mode.
    windows : mapping of str to str, optional
        Scripts of ESO's kits with windows of their own, by tunable recipe.

    Raises
    ------
    UnsupportedError
        If the definition says something that a Reflex workflow cannot do.
    """
    _refuse_names(workflow)
    steps = places(workflow)
    before = _before(workflow, steps, reflex_organises)
    made = {place.port: _step_parts(place, tunable or {}, windows or {}) for place in steps}
    after = _after(workflow, steps)
    wires = (*before.wires, *(wire for parts in made.values() for wire in parts.wires), *after.wires)
    relations, links = wiring(_fan_out(_rename(wire, steps) for wire in wires))
    canvas = Canvas()
    texts = canvas.heading(workflow.title, workflow.name, actors)
    science = science_ports(steps)
    router, organise = before.entities[-1], before.entities[:-1]
    calibration = (router, *_entities(made, (place for place in steps if place.port not in science)))
    stages_of_canvas = (
        ("Step 1: Data Organisation and Selection", organise),
        ("Step 2: Calibration", calibration),
        ("Step 3: Science", _entities(made, (place for place in steps if place.port in science))),
        ("Step 4: Output and Organisation", after.entities),
    )
    entities: list[Entity] = []
    drawn: list[Property] = []
    for heading, members in stages_of_canvas:
        placed_here, frame_here = canvas.stage(heading, members)
        entities += placed_here
        drawn += frame_here
    root = Entity(
        name=workflow.name,
        properties=(*_identity(workflow, canvas), *drawn, *texts),
        entities=tuple(entities),
        relations=relations,
        links=links,
    )
    return with_vertices(root)


def science_ports(steps: Iterable[StepPlace]) -> frozenset[str]:
    """Return the ports of the steps that make no calibration.

    What they make, no other step takes as one, and it is not called a master: ESO calls so what is archived for others,
    also where no recipe of ours takes it, such as a dark. Standard stars and fields are calibrations too.
    """
    listed = tuple(steps)
    calibrations = {port for place in listed for port in place.makers if port not in place.main_makers}
    calibrations |= {place.port for place in listed if any(map(_is_master, place.step.products))}
    calibrations |= {place.port for place in listed if place.step.always or all(map(_is_standard, place.step.main))}
    # What goes on from is a calibration where what comes of it is one.
    while more := {
        port for place in listed if place.port in calibrations for port in place.main_makers if port not in calibrations
    }:
        calibrations |= more
    return frozenset(place.port for place in listed if place.port not in calibrations)


def _is_master(category: str) -> bool:
    return category.startswith("MASTER_")


def _is_standard(category: str) -> bool:
    return not _STANDARDS.isdisjoint(category.split("_"))


def _entities(made: Mapping[str, Parts], members: Iterable[StepPlace]) -> tuple[Entity, ...]:
    return tuple(each for place in members for each in made[place.port].entities)


def lsid(name: str) -> str:
    """Return the identifier of a workflow, always the same for a name."""
    return f"urn:lsid:uuid:{uuid.uuid5(_NAMESPACE, name)}:1:1"


def _identity(workflow: Workflow, canvas: Canvas) -> tuple[Property, ...]:
    return (
        Property("_createdBy", "ptolemy.kernel.attributes.VersionAttribute", CREATED_BY),
        Property("entityId", "org.kepler.moml.NamedObjId", lsid(workflow.name)),
        *stages.view(COLUMNS * COLUMN / 2, canvas.bottom / 2),
    )


def _refuse_names(workflow: Workflow) -> None:
    if "." in workflow.name:
        raise UnsupportedError(f"the workflow's name '{workflow.name}' holds a period, which Kepler does not allow")
    for step in workflow.steps:
        for category in (*step.main, *(each for need in step.calibrations for each in need.accepted)):
            if re.search(r"[^\w-]", category):
                raise UnsupportedError(f"category '{category}' would be read as a pattern by FitsRouter")


def _before(workflow: Workflow, steps: Iterable[StepPlace], reflex_organises: bool) -> Parts:
    entities = (
        stages.initialize(),
        stages.get_data(workflow.instruments[0], workflow.name, reflex_organises),
        stages.data_organizer(reflex_organises),
        stages.selection(),
        stages.current_dataset(),
        _router(tuple(steps)),
    )
    wires = (
        ("Initialize.data_dir", "Get Data.data_dir"),
        ("Get Data.datasets", "DataOrganizer.input data"),
        ("DataOrganizer.datasets out", "Data Set Selection.datasets_in"),
        ("Data Set Selection.dataset_out", "Initialise Current Dataset.dataset_in"),
        ("Initialise Current Dataset.dataset", "FitsRouter.in"),
        # This token waits in Close DataSet, and keeps the next dataset back until then.
        ("Initialise Current Dataset.current_dataset", "Close DataSet.current_dataset"),
    )
    return Parts(entities, wires)


def _router(steps: tuple[StepPlace, ...]) -> Entity:
    routes = {place.port: place.step.main for place in steps}
    routes |= {f"{place.port}_CALIB": place.direct for place in steps if place.direct}
    router = actor("FitsRouter", "org.eso.FitsRouter", (), {"in": 1})
    ports = tuple(port for port in router.ports if port.name != "sof")
    return replace(
        router,
        properties=tuple(text(f"{port}_config", ",".join(categories)) for port, categories in routes.items()),
        ports=(*ports, *map(port_out, routes)),
    )


def _step_parts(place: StepPlace, tunable: Tunable, windows: Mapping[str, str]) -> Parts:
    """Return the composite of a step, with what gathers and looks through its inputs inside, and its wires."""
    initial, script = _list_initial(place.step, tunable), windows.get(place.step.recipe, "")
    shown = initial or script or place.step.recipe in tunable
    body = tuned_step(place, initial, script) if shown else run_step(place)
    if not place.guarded:
        return Parts((body,), ((f"FitsRouter.{place.port}", f"{place.name}.sof_in"),))
    body = place_actor(replace(body, name=RUN), 4, 1)
    wires = _gather(place)
    entities: list[Entity] = [place_actor(python_actor(GUARD, step_inputs.ACTOR), 3, 1), body]
    if place.direct or place.makers:
        entities.insert(0, place_actor(actor(COMBINER, "org.eso.SofCombiner"), 2, 1))
    entities += [
        place_actor(constant(word, value), 2, 2 + number)
        for number, (word, (_, value)) in enumerate(_constants_of(place).items())
    ]
    entrances = {source: _entrance(source) for source, *_ in wires if not source.startswith(_INSIDE)}
    inner = (
        *(tuple((entrances.get(source, source), *sinks)) for source, *sinks in wires),
        (f"{GUARD}.out_sof", f"{RUN}.sof_in"),
        (f"{GUARD}.messages", "messages"),
        (f"{RUN}.sof_out", "sof_out"),
    )
    ports = (*map(port_in, entrances.values()), port_out("sof_out"), port_out("messages"))
    step = composite(place.name, ports, entities, _fan_out(inner))
    return Parts((step,), tuple((source, f"{place.name}.{port}") for source, port in entrances.items()))


def _list_initial(step: StepDefinition, tunable: Tunable) -> tuple[tuple[str, Scalar], ...]:
    """Return the parameters that a window shows, with the values that the first run takes."""
    set_here = dict(step.parameters)
    return tuple((name, set_here.get(name, value)) for name, value in tunable.get(step.recipe, step.tune))


def _gather(place: StepPlace) -> tuple[Wire, ...]:
    """Return how what comes for a step gets to its guard, from where it comes on the canvas."""
    main = f"FitsRouter.{place.port}"
    wires: list[Wire] = []
    if len(place.main_makers) < 2:
        wires.append((f"{place.main_makers[0]}.sof_out" if place.main_makers else main, f"{GUARD}.main_sof"))
    if place.direct or place.makers:
        wires += [(source, f"{COMBINER}.{port}") for source, port in _sources(place)]
        wires.append((f"{COMBINER}.sof out", f"{GUARD}.in_sof"))
    else:
        wires.append((main, f"{GUARD}.in_sof"))
    return (*wires, *_rival_wires(place))


def _entrance(source: str) -> str:
    """Return the name of a step's input for what comes from somewhere."""
    actor_name, _, port = source.partition(".")
    return port if actor_name == "FitsRouter" else f"from_{actor_name}"


def _sources(place: StepPlace) -> Iterator[tuple[str, str]]:
    """Yield what comes together for a step, and where it goes into the combiner.

    What a step can do without must not restrict the groups that it has.
    """
    yield f"FitsRouter.{place.port}", "sof in"
    if place.direct:
        yield f"FitsRouter.{place.port}_CALIB", "sof in opt"
    for maker in place.makers:
        yield f"{maker}.sof_out", "sof in" if maker in place.required else "sof in opt"


def _constants_of(place: StepPlace) -> dict[str, tuple[str, str]]:
    """Return what the actor before a step is told: port and value, by the name of the constant."""
    said = {
        "Tags": ("names", place.names),
        "Takes": ("takes", ",".join(place.tags) if place.makers else ""),
        "Needs": ("required", place.needed),
        "Step": ("step", place.step.name if place.shared else ""),
    }
    return {word: told for word, told in said.items() if told[1]}


def _rival_wires(place: StepPlace) -> Iterator[Wire]:
    if len(place.rivals) > len(step_inputs.OTHERS):
        raise UnsupportedError(
            f"main files of {place.step.recipe} serve {len(place.rivals)} other steps directly; "
            f"a Reflex workflow can keep {len(step_inputs.OTHERS)} apart"
        )
    for rival, port in zip(place.rivals, step_inputs.OTHERS, strict=False):
        yield f"FitsRouter.{rival}", f"{GUARD}.{port}"
    for word, (port, _) in _constants_of(place).items():
        yield f"FitsRouter.{place.port}", f"{word}.trigger"
        yield f"{word}.output", f"{GUARD}.{port}"


def _after(workflow: Workflow, steps: tuple[StepPlace, ...]) -> Parts:
    """Return how the products of all steps come together; those that the dataset is for are filed and shown."""
    guards = [place.name for place in steps if place.guarded]
    entities = [
        actor("All Products", "org.eso.SofCombiner"),
        stages.close_dataset(workflow.name, bool(guards)),
        stages.product_explorer(),
    ]
    wires: list[Wire] = [
        # Optional inputs do not restrict each other: a calibration and the science serve different purposes.
        *((f"{place.port}.sof_out", "All Products.sof in opt") for place in steps),
        ("All Products.sof out", "Close DataSet.final_files"),
        ("Initialise Current Dataset.dataset", "Close DataSet.dataset"),
        ("Close DataSet.global_timestamp", "ProductExplorer.start date"),
        ("Close DataSet.trigger_product_explorer", "ProductExplorer.trigger"),
    ]
    if guards:
        entities.insert(1, join_texts("Messages", "\\n"))
        wires += [(f"{guard}.messages", "Messages.parts") for guard in guards]
        wires.append(("Messages.whole", "Close DataSet.messages"))
    return Parts(tuple(entities), tuple(wires))


def _rename(wire: Wire, steps: Iterable[StepPlace]) -> Wire:
    names = {f"{place.port}.sof_out": f"{place.name}.sof_out" for place in steps}
    return tuple(names.get(port, port) for port in wire)


def _fan_out(wires: Iterable[Wire]) -> tuple[Wire, ...]:
    """Return one wire for each source, because a single port takes one relation."""
    found: dict[str, list[str]] = {}
    for source, *sinks in wires:
        found.setdefault(source, []).extend(sinks)
    return tuple((source, *sinks) for source, sinks in found.items())
