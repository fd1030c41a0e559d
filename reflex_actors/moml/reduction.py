"""The workflow of an instrument for Reflex, made from the definition that the headless road uses."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from esorex_bridge.definitions.located import Scalar
from esorex_bridge.definitions.workflow import Workflow
from reflex_actors.actors import step_inputs
from reflex_actors.moml import stages
from reflex_actors.moml.blocks import (
    Wire,
    actor,
    constant,
    director,
    joined,
    placed,
    port_out,
    python_actor,
    shown,
    text,
    wiring,
)
from reflex_actors.moml.model import Entity, Property
from reflex_actors.moml.steps import Place, UnsupportedError, places, run_step, tuned_step

DEFAULT_ACTORS = "$HOME/.esoreflex/esorex_bridge"
"""Where `reflex install` puts the actors by default."""

CREATED_BY = "11.0.devel"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:esorex-bridge:workflow")
_ROW = 4

Tunable = Mapping[str, tuple[tuple[str, Scalar], ...]]
"""Parameters that can be changed between runs, by recipe, with their first values."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Actors and their wires, to be put into the workflow."""

    entities: tuple[Entity, ...]
    wires: tuple[Wire, ...]


def reduction(
    workflow: Workflow, actors: str = DEFAULT_ACTORS, tunable: Tunable | None = None, reflex_organises: bool = False
) -> Entity:
    """Return the workflow of an instrument.

    Parameters
    ----------
    workflow : Workflow
        The definition.
    actors : str
        Folder of the installed actors.
    tunable : mapping, optional
        Recipes whose parameters can be changed between runs.
    reflex_organises : bool
        Whether Reflex's DataOrganizer organises, in its CalSelector mode.

    Raises
    ------
    UnsupportedError
        The definition says something that a Reflex workflow cannot do.
    """
    _refuse_names(workflow)
    steps = places(workflow)
    before = _before(workflow, steps, reflex_organises)
    made = [_step_parts(place, number, tunable or {}) for number, place in enumerate(steps)]
    after = _after(workflow, steps)
    wires = (*before.wires, *(wire for parts in made for wire in parts.wires), *after.wires)
    relations, links = wiring(_fanned_out(_named(wire, steps) for wire in wires))
    return Entity(
        name=workflow.name,
        properties=_properties(workflow, actors),
        entities=(*before.entities, *(each for parts in made for each in parts.entities), *after.entities),
        relations=relations,
        links=links,
    )


def lsid(name: str) -> str:
    """Return the identifier of a workflow, always the same for a name."""
    return f"urn:lsid:uuid:{uuid.uuid5(_NAMESPACE, name)}:1:1"


def _properties(workflow: Workflow, actors: str) -> tuple[Property, ...]:
    return (
        Property("_createdBy", "ptolemy.kernel.attributes.VersionAttribute", CREATED_BY),
        Property("entityId", "org.kepler.moml.NamedObjId", lsid(workflow.name)),
        shown(director(top=True), 20, 420),
        *stages.view(),
        *stages.title(f"{workflow.title}: calSelector, Reflex and EsoRex", workflow.name),
        *stages.global_parameters(workflow.name, actors),
    )


def _refuse_names(workflow: Workflow) -> None:
    if "." in workflow.name:
        raise UnsupportedError(f"the workflow's name '{workflow.name}' holds a period, which Kepler does not allow")
    for step in workflow.steps:
        for category in (*step.main, *(each for need in step.calibrations for each in need.accepted)):
            if re.search(r"[^\w-]", category):
                raise UnsupportedError(f"category '{category}' would be read as a pattern by FitsRouter")


def _before(workflow: Workflow, steps: Iterable[Place], reflex_organises: bool) -> Parts:
    entities = (
        placed(stages.initialize(), 0.5, _ROW),
        placed(stages.get_data(workflow.instruments[0], workflow.name, reflex_organises), 1.5, _ROW),
        placed(stages.data_organizer(reflex_organises), 2.5, _ROW),
        placed(stages.selection(), 3.5, _ROW),
        placed(stages.current_dataset(), 4.5, _ROW),
        placed(_router(tuple(steps)), 5.5, _ROW),
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


def _router(steps: tuple[Place, ...]) -> Entity:
    routes = {place.port: place.step.main for place in steps}
    routes |= {f"{place.port}_CALIB": place.direct for place in steps if place.direct}
    router = actor("FitsRouter", "org.eso.FitsRouter", (), {"in": 1})
    ports = tuple(port for port in router.ports if port.name != "sof")
    return replace(
        router,
        properties=tuple(text(f"{port}_config", ",".join(categories)) for port, categories in routes.items()),
        ports=(*ports, *map(port_out, routes)),
    )


def _step_parts(place: Place, number: int, tunable: Tunable) -> Parts:
    column, row = 0.5 + 1.75 * number, _ROW + 1.5 + (number % 2) * 0.8
    recipe = place.step.recipe
    body = tuned_step(place, tunable[recipe]) if recipe in tunable else run_step(place)
    if not place.guarded:
        return Parts((placed(body, column, row),), ((f"FitsRouter.{place.port}", f"{place.name}.sof_in"),))
    guard = f"{place.name} Inputs"
    entities = [placed(python_actor(guard, step_inputs.ACTOR), column + 0.6, row), placed(body, column + 1.1, row)]
    main = f"FitsRouter.{place.port}"
    wires: list[Wire] = [(f"{guard}.out_sof", f"{place.name}.sof_in")]
    if len(place.main_makers) < 2:
        source = f"{place.main_makers[0]}.sof_out" if place.main_makers else main
        wires.append((source, f"{guard}.main_sof"))
    if place.direct or place.makers:
        combiner = f"{place.name} Combiner"
        entities.insert(0, placed(actor(combiner, "org.eso.SofCombiner"), column, row))
        wires += [(source, f"{combiner}.{port}") for source, port in _sources(place)]
        wires.append((f"{combiner}.sof out", f"{guard}.in_sof"))
    else:
        wires.append((main, f"{guard}.in_sof"))
    return Parts((*entities, *_beside(place, column, row)), (*wires, *_rival_wires(place, guard)))


def _sources(place: Place) -> Iterator[tuple[str, str]]:
    """Yield what comes together for a step, and where it goes into the combiner.

    What a step can do without must not restrict the groups that it has.
    """
    yield f"FitsRouter.{place.port}", "sof in"
    if place.direct:
        yield f"FitsRouter.{place.port}_CALIB", "sof in opt"
    for maker in place.makers:
        yield f"{maker}.sof_out", "sof in" if maker in place.required else "sof in opt"


def _beside(place: Place, column: float, row: float) -> Iterator[Entity]:
    for number, (word, (_, value)) in enumerate(_told(place).items()):
        yield placed(constant(f"{place.name} {word}", value), column + 0.3, row + 0.4 + 0.3 * number)


def _told(place: Place) -> dict[str, tuple[str, str]]:
    """Return what the actor before a step is told: port and value, by the name of the constant."""
    said = {
        "Tags": ("names", place.names),
        "Takes": ("takes", ",".join(place.tags) if place.makers else ""),
        "Needs": ("required", place.needed),
        "Step": ("step", place.step.name if place.shared else ""),
    }
    return {word: told for word, told in said.items() if told[1]}


def _rival_wires(place: Place, guard: str) -> Iterator[Wire]:
    if len(place.rivals) > len(step_inputs.OTHERS):
        raise UnsupportedError(
            f"main files of {place.step.recipe} serve {len(place.rivals)} other steps directly; "
            f"a Reflex workflow can keep {len(step_inputs.OTHERS)} apart"
        )
    for rival, port in zip(place.rivals, step_inputs.OTHERS, strict=False):
        yield f"FitsRouter.{rival}", f"{guard}.{port}"
    for word, (port, _) in _told(place).items():
        yield f"FitsRouter.{place.port}", f"{place.name} {word}.trigger"
        yield f"{place.name} {word}.output", f"{guard}.{port}"


def _after(workflow: Workflow, steps: tuple[Place, ...]) -> Parts:
    """Return how the products of all steps come together; those that the dataset is for are filed and shown."""
    guards = [f"{place.name} Inputs" for place in steps if place.guarded]
    entities = [
        placed(actor("All Products", "org.eso.SofCombiner"), 5.5, _ROW + 3.4),
        placed(stages.close_dataset(workflow.name, bool(guards)), 6.5, _ROW + 3.4),
        placed(stages.product_explorer(), 7.5, _ROW + 3.4),
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
        entities.append(placed(joined("Messages", "\\n"), 5.5, _ROW + 4.4))
        wires += [(f"{guard}.messages", "Messages.parts") for guard in guards]
        wires.append(("Messages.whole", "Close DataSet.messages"))
    return Parts(tuple(entities), tuple(wires))


def _named(wire: Wire, steps: Iterable[Place]) -> Wire:
    names = {f"{place.port}.sof_out": f"{place.name}.sof_out" for place in steps}
    return tuple(names.get(port, port) for port in wire)


def _fanned_out(wires: Iterable[Wire]) -> tuple[Wire, ...]:
    """Return one wire for each source, because a single port takes one relation."""
    found: dict[str, list[str]] = {}
    for source, *sinks in wires:
        found.setdefault(source, []).extend(sinks)
    return tuple((source, *sinks) for source, sinks in found.items())
