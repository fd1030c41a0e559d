"""What is in a workflow file: actors, recipes, parameters and the graph, as text, as JSON values, as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from reflex_actors.moml import canvas
from reflex_actors.moml.check import ends_of
from reflex_actors.moml.model import COMPOSITE, Entity, Property, recipe_of

if TYPE_CHECKING:
    from reflex_actors.documents import WorkflowPart


_COLOURS = {"org.eso.PythonActor": "#dceefb", "org.eso.RecipeExecuter": "#fde8c8", COMPOSITE: "#e6f2e0"}


def parameters(root: Entity) -> dict[str, str]:
    """Return the global parameters of a workflow."""
    kinds = ("StringParameter", "FileParameter", ".Parameter")
    return {
        each.name: each.value
        for each in root.properties
        if each.value is not None and each.cls.endswith(kinds) and not each.name.startswith("_")
    }


def recipes(root: Entity) -> dict[str, dict[str, str]]:
    """Return the recipes of a workflow, by full name of the actor, with the parameters that the file sets."""
    return {
        place: {
            each.value.partition("=")[0]: each.value.partition("=")[2]
            for each in actor.properties
            if each.name.startswith("recipe_param_") and each.value
        }
        for place, actor in root.walk()
        if actor.cls == "org.eso.RecipeExecuter"
    }


def edges(composite: Entity) -> Iterator[tuple[str, str]]:
    """Yield which port of a composite sends to which."""
    one = composite.one_relation()
    by_relation: dict[str, list[tuple[str, bool]]] = {}
    for end in ends_of(composite):
        name = one.get(end.link.relation, end.link.relation)
        by_relation.setdefault(name, []).append((end.link.port, end.source))
    for ends in by_relation.values():
        for source in (port for port, is_source in ends if is_source):
            yield from ((source, port) for port, is_source in ends if not is_source)


def describe(root: Entity) -> WorkflowPart:
    """Return the description as a document has it."""
    from reflex_actors.documents import ActorPart, RecipePart, TokenLinkPart, WorkflowPart

    return WorkflowPart(
        name=root.name,
        parameters=parameters(root),
        recipes=tuple(
            RecipePart(place, place.rpartition(".")[2].rpartition("_")[0], values)
            for place, values in recipes(root).items()
        ),
        actors=tuple(ActorPart(place, actor.cls) for place, actor in root.walk() if place.count(".") > 1),
        links=tuple(
            TokenLinkPart(place, source, sink) for place, actor in root.walk() for source, sink in edges(actor)
        ),
    )


def lines(root: Entity) -> Iterator[str]:
    """Yield the description as text, composites indented."""
    yield f"workflow {root.name}"
    for name, value in parameters(root).items():
        yield f"  {name} = {value}"
    yield from _inside(root, "")


def _inside(entity: Entity, indent: str) -> Iterator[str]:
    for actor in entity.entities:
        kind = actor.cls.rpartition(".")[2]
        extra = f" recipe {recipe_of(actor)}" if kind == "RecipeExecuter" else ""
        script = actor.value("Python script") if kind == "PythonActor" else None
        yield f"{indent}{actor.name} [{kind}]{extra}{f' {script}' if script else ''}"
        yield from _inside(actor, indent + "  ")


def picture(root: Entity) -> str:
    """Return the canvas of a workflow as SVG: frames, texts, parameters, actors, and arrows where tokens go."""
    room = (*canvas.frames(root), *canvas.boxes(root))
    width = max((box.x + box.width for box in room), default=0) + canvas.MARGIN
    height = max((box.y + box.height for box in room), default=0) + canvas.MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" font-family="DejaVu Sans, sans-serif" font-size="12">',
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#789"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/>',
    ]
    parts += (_rectangle(each, "#f6f8ff", "#99a") for each in canvas.frames(root))
    parts += _arrows(root)
    parts += (line for each in root.properties for line in _draw(each))
    parts += (line for actor in root.entities for line in _actor(actor))
    return "\n".join((*parts, "</svg>")) + "\n"


def _rectangle(box: canvas.Box, fill: str, stroke: str) -> str:
    return (
        f'<rect x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" height="{box.height:.0f}" rx="5" '
        f'fill="{fill}" stroke="{stroke}"/>'
    )


def _words(words: str, x: float, y: float, size: float = 12, look: str = "") -> Iterator[str]:
    for number, line in enumerate(words.splitlines()):
        below = y + size + number * 1.35 * size
        yield f'<text x="{x:.0f}" y="{below:.0f}" font-size="{size:g}"{look}>{escape(line)}</text>'


def _draw(each: Property) -> Iterator[str]:
    place = canvas.place_of(each.properties)
    if place is None or each.cls == canvas.FRAME:
        return
    if each.cls == canvas.ANNOTATION:
        words, size, bold = canvas.read_annotation(each)
        yield from _words(words, *place, size, ' font-weight="bold"' if bold else ' fill="#446"')
    elif each.cls.endswith("Director"):
        room = canvas.Box(each.name, *place, canvas.text_width(each.name, 12) + 20, 30)
        yield _rectangle(room, "#cfe8cf", "#444")
        yield from _words(each.name, place[0] + 10, place[1] + 8)
    else:
        yield from _words(canvas.parameter_line(each), *place)


def _actor(actor: Entity) -> Iterator[str]:
    place = canvas.place_of(actor.properties)
    if place is None:
        return
    box = canvas.actor_box(actor.name, *place)
    yield _rectangle(canvas.Box(actor.name, *place, *canvas.ICON), _COLOURS.get(actor.cls, "#f2f2f2"), "#444")
    yield from _words(actor.name, box.x, box.y, look=' font-weight="bold"' if actor.is_composite else "")


def _arrows(root: Entity) -> Iterator[str]:
    places = {actor.name: found for actor in root.entities if (found := canvas.place_of(actor.properties))}
    pairs = dict.fromkeys((source.partition(".")[0], sink.partition(".")[0]) for source, sink in edges(root))
    for source, sink in pairs:
        if source in places and sink in places:
            x1, y1 = places[source][0] + canvas.ICON[0], places[source][1] + canvas.ICON[1] / 2
            x2, y2 = places[sink][0], places[sink][1] + canvas.ICON[1] / 2
            bend = 40 if x2 > x1 else 90
            yield (
                f'<path d="M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}" '
                'fill="none" stroke="#789" marker-end="url(#arrow)"/>'
            )
