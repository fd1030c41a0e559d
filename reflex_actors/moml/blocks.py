"""Building blocks of workflows: directors, constants, Python actors, composites with their wiring and their place.

Rules that only show when a workflow runs are kept here: width 1 on every relation, no rates on composite ports, a
trigger for every constant, directors inside that run until deadlock (docs/reference/moml.md).
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from reflex_actors.moml.canvas import with_vertices
from reflex_actors.moml.inventory import ACTORS, IN
from reflex_actors.moml.model import COMPOSITE, FILE, PARAMETER, STRING, DeclaredPort, Entity, Link, Property, Relation
from reflex_actors.protocol import Actor

Wire = tuple[str, ...]
"""Ports on one relation: the source first."""

INPUT, OUTPUT, MULTIPORT = Property("input"), Property("output"), Property("multiport")
_NEVER_DECLARED = ("rejected inputs", "rejected outputs", "logs", "warnings", "errors")
GRID = (240.0, 130.0)
"""Distance of neighbours on the canvas, in pixels."""


def parameter(name: str, value: str) -> Property:
    """Return a parameter whose value is an expression."""
    return Property(name, PARAMETER, value)


def text(name: str, value: str) -> Property:
    """Return a parameter whose value is a text."""
    return Property(name, STRING, value)


def folder(name: str, value: str) -> Property:
    """Return a parameter that names a folder."""
    return Property(name, FILE, value, (parameter("allowFiles", "false"), parameter("allowDirectories", "true")))


def file(name: str, value: str) -> Property:
    """Return a parameter that names a file."""
    return Property(name, FILE, value)


def location(x: float, y: float) -> Property:
    """Return a place on the canvas."""
    return Property("_location", "ptolemy.kernel.util.Location", f"[{x:.1f}, {y:.1f}]")


def place_actor(entity: Entity, column: float, row: float) -> Entity:
    """Return an actor with its place on the grid of the canvas."""
    return replace(entity, properties=(*entity.properties, location(column * GRID[0], row * GRID[1])))


def show_parameter(each: Property, x: float, y: float) -> Property:
    """Return a parameter with its place on the canvas."""
    return replace(each, properties=(*each.properties, location(x, y)))


def annotation(name: str, words: str, x: float, y: float, size: int = 14, bold: bool = False) -> Property:
    """Return a text on the canvas."""
    look = (
        Property("_hideName", "ptolemy.data.expr.SingletonParameter", "true"),
        parameter("_hideAllParameters", "true"),
        parameter("textSize", str(size)),
        Property("textColor", "ptolemy.actor.gui.ColorAttribute", "{0.2,0.2,0.4,1.0}"),
        text("fontFamily", "SansSerif"),
        parameter("bold", "true" if bold else "false"),
        parameter("italic", "false"),
        Property("text", "ptolemy.kernel.util.StringAttribute", words),
        location(x, y),
    )
    return Property(name, "ptolemy.vergil.kernel.attributes.TextAttribute", None, look)


def at(entity: Entity, x: float, y: float) -> Entity:
    """Return an actor with its place on the canvas, in pixels."""
    return replace(entity, properties=(*entity.properties, location(x, y)))


def frame(name: str, x: float, y: float, width: float, height: float) -> Property:
    """Return a frame around a part of the canvas."""
    look = (
        Property("_hideName", "ptolemy.data.expr.SingletonParameter", "true"),
        parameter("_hideAllParameters", "true"),
        parameter("width", f"{width:.1f}"),
        parameter("height", f"{height:.1f}"),
        parameter("centered", "false"),
        parameter("lineWidth", "1.0"),
        Property("lineColor", "ptolemy.actor.gui.ColorAttribute", "{0.4,0.4,0.6,1.0}"),
        Property("fillColor", "ptolemy.actor.gui.ColorAttribute", "{0.96,0.97,1.0,1.0}"),
        location(x, y),
    )
    return Property(name, "ptolemy.vergil.kernel.attributes.RectangleAttribute", None, look)


def director(top: bool = False, x: float = 0, y: float = 0) -> Property:
    """Return a DDF director; inside a composite it runs until deadlock, so that one firing is the whole composite."""
    settings = (
        parameter("iterations", "0"),
        parameter("maximumReceiverCapacity", "0"),
        parameter("runUntilDeadlockInOneIteration", "false" if top else "true"),
        location(x, y),
    )
    return Property("DDF Director", "ptolemy.domains.ddf.kernel.DDFDirector", None, settings)


def port_in(name: str, multiport: bool = False, rate: int | None = None) -> DeclaredPort:
    """Return an input."""
    wanted = () if rate is None else (parameter("tokenConsumptionRate", str(rate)),)
    return DeclaredPort(name, properties=(INPUT, *((MULTIPORT,) if multiport else ()), *wanted))


def port_out(name: str, multiport: bool = False) -> DeclaredPort:
    """Return an output."""
    return DeclaredPort(name, properties=(OUTPUT, *((MULTIPORT,) if multiport else ())))


def actor(name: str, cls: str, properties: Iterable[Property] = (), rates: dict[str, int] | None = None) -> Entity:
    """Return one of the known actors with its ports declared, and the rates that it has before it starts."""
    wanted = rates or {}
    ports = tuple(
        port_in(each.name, each.multiport, wanted.get(each.name))
        if each.direction == IN
        else port_out(each.name, each.multiport)
        for each in ACTORS[cls].ports
        if each.name not in _NEVER_DECLARED
    )
    return Entity(name, cls, tuple(properties), ports)


def constant(name: str, value: str, once: bool = False) -> Entity:
    """Return a constant: sent at each trigger, or once at the start."""
    limit = "1" if once else "NONE"
    settings = (parameter("value", value), parameter("firingCountLimit", limit), parameter("NONE", "0"))
    return actor(name, "ptolemy.actor.lib.StringConst", settings)


def setter(name: str, variable: str) -> Entity:
    """Return an actor that sets a parameter before what follows reads it."""
    settings = (
        Property("variableName", "ptolemy.kernel.util.StringAttribute", variable),
        parameter("delayed", "false"),
    )
    return actor(name, "ptolemy.actor.lib.SetVariable", settings)


def join_texts(name: str, between: str) -> Entity:
    """Return an actor that puts texts together."""
    return actor(name, "org.resurgence.actor.StringAccumulator", (parameter("Substring separator", f'"{between}"'),))


def display(name: str, title: str) -> Entity:
    """Return a window with texts."""
    settings = (parameter("rowsDisplayed", "10"), parameter("columnsDisplayed", "100"), text("title", title))
    return actor(name, "ptolemy.actor.lib.gui.Display", settings)


def python_actor(name: str, face: Actor, failure: str = "Stop", script: str = "") -> Entity:
    """Return a PythonActor that runs one of the bridge's actors, or a script with its ports, all ports declared."""
    settings = (
        file("Python script", script or f"$BRIDGE_ACTORS/{face.name}.py"),
        parameter("Run in terminal", "false"),
        parameter("Lazy Mode", "false"),
        text("Recipe Failure Mode", failure),
        parameter("Disable logging", "false"),
        folder("Products Dir", "$TMP_PRODUCTS_DIR"),
        folder("Logs Dir", "$LOGS_DIR"),
        folder("Bookkeeping Dir", "$BOOKKEEPING_DIR"),
        text("Clear Products Dir", "Never"),
        text("Clear Logs Dir", "Never"),
        text("Clear Bookkeeping Dir", "Never"),
    )
    taken = {port.name for port in face.inputs}
    # In Reflex a port has one direction: an output named as an input would be the same port.
    assert taken.isdisjoint(port.name for port in face.outputs), face.name
    ports = (*(port_in(port.name) for port in face.inputs), *(port_out(port.name) for port in face.outputs))
    return Entity(name, "org.eso.PythonActor", settings, (*ports, port_out("stdout")))


def composite(
    name: str,
    ports: Iterable[DeclaredPort],
    entities: Iterable[Entity],
    wires: Iterable[Wire],
    properties: Iterable[Property] = (),
) -> Entity:
    """Return a composite with its own director; each wire becomes a relation of width 1, which forks at a vertex."""
    relations, links = wiring(wires)
    made = Entity(name, COMPOSITE, (director(), *properties), tuple(ports), tuple(entities), relations, links)
    return with_vertices(made)


def wiring(wires: Iterable[Wire]) -> tuple[tuple[Relation, ...], tuple[Link, ...]]:
    """Return relations and links of wires."""
    listed = tuple(wires)
    names = [f"relation{number or ''}" for number in (0, *range(2, len(listed) + 1))][: len(listed)]
    links = tuple(Link(port, name) for name, wire in zip(names, listed, strict=True) for port in wire)
    return tuple(map(Relation, names)), links
