"""What is in a workflow file: actors, recipes, parameters and the graph, as text, as JSON values, as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from reflex_actors.moml.check import ends_of, recipe_of
from reflex_actors.moml.model import COMPOSITE, Entity, Property

_BOX = (150.0, 44.0)
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


def document(root: Entity) -> dict[str, Any]:
    """Return the description as JSON values."""
    return {
        "name": root.name,
        "parameters": parameters(root),
        "recipes": [
            {"actor": place, "recipe": place.rpartition(".")[2].rpartition("_")[0], "parameters": values}
            for place, values in recipes(root).items()
        ],
        "actors": [{"name": place, "class": actor.cls} for place, actor in root.walk() if place.count(".") > 1],
        "links": [
            {"in": place, "from": source, "to": sink} for place, actor in root.walk() for source, sink in edges(actor)
        ],
    }


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
    """Return the canvas of a workflow as SVG: boxes where the actors lie, lines where tokens go."""
    places = {actor.name: found for actor in root.entities if (found := _place(actor.properties))}
    width = max((x for x, _ in places.values()), default=0) + _BOX[0] + 60
    height = max((y for _, y in places.values()), default=0) + _BOX[1] + 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        'font-family="sans-serif" font-size="12">'
    ]
    for source, sink in edges(root):
        one, other = places.get(source.partition(".")[0]), places.get(sink.partition(".")[0])
        if one and other:
            parts.append(
                f'<line x1="{one[0] + _BOX[0]:.0f}" y1="{one[1] + _BOX[1] / 2:.0f}" x2="{other[0]:.0f}" '
                f'y2="{other[1] + _BOX[1] / 2:.0f}" stroke="#888"/>'
            )
    parts += [_box(actor, *places[actor.name]) for actor in root.entities if actor.name in places]
    return "\n".join((*parts, "</svg>")) + "\n"


def _box(actor: Entity, x: float, y: float) -> str:
    colour = _COLOURS.get(actor.cls, "#f2f2f2")
    return (
        f'<g><rect x="{x:.0f}" y="{y:.0f}" width="{_BOX[0]:.0f}" height="{_BOX[1]:.0f}" rx="5" fill="{colour}" '
        f'stroke="#444"/><text x="{x + _BOX[0] / 2:.0f}" y="{y + _BOX[1] / 2 + 4:.0f}" text-anchor="middle">'
        f"{escape(actor.name)}</text></g>"
    )


def _place(properties: tuple[Property, ...]) -> tuple[float, float] | None:
    value = next((each.value for each in properties if each.name == "_location"), None)
    words = (value or "").strip("[]{} ").split(",")
    try:
        return float(words[0]), float(words[1])
    except (ValueError, IndexError):
        return None
