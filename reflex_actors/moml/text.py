"""Workflow values as the text that Kepler opens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from reflex_actors.moml.model import PARAMETER, DeclaredPort, Entity, Property, Relation

PUBLIC_ID = "-//UC Berkeley//DTD MoML 1//EN"
SYSTEM_ID = "http://ptolemy.eecs.berkeley.edu/xml/dtd/MoML_1.dtd"

_ESCAPED = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\t": "&#9;", "\r": "&#13;"}
)


def write(root: Entity, comment: str = "") -> str:
    """Return the document of a workflow.

    Parameters
    ----------
    root : Entity
        The workflow.
    comment : str
        A line at the head of the document.
    """
    head = [
        '<?xml version="1.0" standalone="no"?>',
        f'<!DOCTYPE entity PUBLIC "{PUBLIC_ID}"',
        f'    "{SYSTEM_ID}">',
    ]
    if comment:
        head.append(f"<!-- {comment.replace('--', '- -')} -->")
    return "\n".join((*head, *_entity(root, ""))) + "\n"


def _entity(entity: Entity, indent: str) -> Iterator[str]:
    inner = indent + "    "
    yield f"{indent}<entity{_attributes(name=entity.name, cls=entity.cls)}>"
    yield from _each(entity.properties, inner)
    for port in entity.ports:
        yield from _port(port, inner)
    for child in entity.entities:
        yield from _entity(child, inner)
    for relation in entity.relations:
        yield from _relation(relation, inner)
    for link in entity.links:
        yield f"{inner}<link{_attributes(port=link.port, relation=link.relation)}/>"
    for one, other in entity.joined:
        yield f"{inner}<link{_attributes(relation1=one, relation2=other)}/>"
    yield f"{indent}</entity>"


def _each(properties: Iterable[Property], indent: str) -> Iterator[str]:
    for each in properties:
        yield from _property(each, indent)


def _property(each: Property, indent: str) -> Iterator[str]:
    opening = f"{indent}<property{_attributes(name=each.name, cls=each.cls or None, value=each.value)}"
    yield from _close(opening, "property", indent, _each(each.properties, indent + "    "))


def _port(port: DeclaredPort, indent: str) -> Iterator[str]:
    opening = f"{indent}<port{_attributes(name=port.name, cls=port.cls)}"
    yield from _close(opening, "port", indent, _each(port.properties, indent + "    "))


def _relation(relation: Relation, indent: str) -> Iterator[str]:
    opening = f"{indent}<relation{_attributes(name=relation.name, cls=relation.cls)}"
    width = () if relation.width is None else (Property("width", PARAMETER, relation.width),)
    inner = indent + "    "
    vertex = () if relation.vertex is None else (f'{inner}<vertex name="vertex1" value="{_place(relation.vertex)}"/>',)
    yield from _close(opening, "relation", indent, chain(_each(width, inner), vertex))


def _place(place: tuple[float, float]) -> str:
    return f"[{place[0]:.1f}, {place[1]:.1f}]"


def _close(opening: str, tag: str, indent: str, content: Iterable[str]) -> Iterator[str]:
    lines = list(content)
    if not lines:
        yield f"{opening}/>"
        return
    yield f"{opening}>"
    yield from lines
    yield f"{indent}</{tag}>"


def _attributes(**values: str | None) -> str:
    named = {"class" if key == "cls" else key: value for key, value in values.items() if value is not None}
    return "".join(f' {key}="{value.translate(_ESCAPED)}"' for key, value in named.items())
