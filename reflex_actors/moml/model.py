"""A workflow file as values: entities with properties, ports, relations and links."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

COMPOSITE = "ptolemy.actor.TypedCompositeActor"
COMPOSITES = (COMPOSITE, "org.kepler.moml.CompositeClassEntity")
"""Classes of composites: Ptolemy's, and the one that Kepler gives to a workflow that it saves."""

PORT = "ptolemy.actor.TypedIOPort"
RELATION = "ptolemy.actor.TypedIORelation"
PARAMETER = "ptolemy.data.expr.Parameter"
STRING = "ptolemy.data.expr.StringParameter"
FILE = "ptolemy.data.expr.FileParameter"


class Property(Struct, frozen=True):
    """A property: a parameter, a director, a mark.

    Parameters
    ----------
    name : str
        Unique in its owner.
    cls : str
        Class; empty for a mark such as `input`.
    value : str or None
        A text, or an expression where the class is `PARAMETER`.
    properties : tuple of Property
        Its own.
    """

    name: str
    cls: str = ""
    value: str | None = None
    properties: tuple[Property, ...] = ()

    def attribute(self, name: str) -> Property | None:
        """Return one of its own properties."""
        return next((each for each in self.properties if each.name == name), None)


class DeclaredPort(Struct, frozen=True):
    """A port as declared in the file; built-in ports of an actor need no declaration."""

    name: str
    cls: str = PORT
    properties: tuple[Property, ...] = ()

    def has(self, mark: str) -> bool:
        """Tell whether it has a mark: `input`, `output`, `multiport`."""
        return any(each.name == mark and each.value != "false" for each in self.properties)

    def rate(self, name: str) -> str | None:
        """Return a rate (`tokenConsumptionRate`), None where none is written."""
        return next((each.value for each in self.properties if each.name == name), None)


class Relation(Struct, frozen=True):
    """What connects ports.

    Parameters
    ----------
    name : str
        Unique in its composite.
    width : str or None
        As written; None where it is left out.
    vertex : (float, float) or None
        Where its diamond lies on the canvas, from which the lines to more than two ports go out.
    """

    name: str
    width: str | None = "1"
    cls: str = RELATION
    vertex: tuple[float, float] | None = None


class Link(Struct, frozen=True):
    """A port (`actor.port`, or the composite's own `port`) on a relation."""

    port: str
    relation: str

    @property
    def ends(self) -> tuple[str | None, str]:
        """The actor, None for the composite itself, and its port; an actor's name may be empty."""
        actor, dot, port = self.port.partition(".")
        return (actor, port) if dot else (None, actor)


class Entity(Struct, frozen=True):
    """An actor, or a composite of actors.

    Parameters
    ----------
    name, cls : str
        Name, unique in its composite, and class.
    properties, ports, entities, relations, links : tuple
        What is in it.
    joined : tuple of (str, str)
        Relations that are linked to each other, and so are one.
    """

    name: str
    cls: str = COMPOSITE
    properties: tuple[Property, ...] = ()
    ports: tuple[DeclaredPort, ...] = ()
    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()
    links: tuple[Link, ...] = ()
    joined: tuple[tuple[str, str], ...] = ()

    def attribute(self, name: str) -> Property | None:
        """Return a property."""
        return next((each for each in self.properties if each.name == name), None)

    def value(self, name: str) -> str | None:
        """Return the value of a property; None where it is not there."""
        found = self.attribute(name)
        return found.value if found else None

    def entity(self, name: str) -> Entity | None:
        """Return an actor in it."""
        return next((each for each in self.entities if each.name == name), None)

    def port(self, name: str) -> DeclaredPort | None:
        """Return a declared port."""
        return next((each for each in self.ports if each.name == name), None)

    def walk(self, path: str = "") -> Iterator[tuple[str, Entity]]:
        """Yield this entity and all in it with their full names, outermost first."""
        here = f"{path}.{self.name}"
        yield here, self
        for each in self.entities:
            yield from each.walk(here)

    def one_relation(self) -> dict[str, str]:
        """Return for each relation the name that stands for all that it is joined to; joined ones are one."""
        names = {relation.name: relation.name for relation in self.relations}

        def top(name: str) -> str:
            while names.get(name, name) != name:
                name = names[name]
            return name

        for one, other in self.joined:
            names[top(one)] = top(other)
        return {name: top(name) for name in names}

    @property
    def is_composite(self) -> bool:
        """Whether it is made of actors."""
        return self.cls in COMPOSITES

    @property
    def director(self) -> Property | None:
        """Its director, if it has one of its own."""
        return next((each for each in self.properties if each.cls.endswith("Director")), None)


def recipe_of(executer: Entity) -> str:
    """Return the recipe of a RecipeExecuter: its name without the number."""
    return re.sub(r"_\d+$", "", executer.name)


def parse_place(value: str | None) -> tuple[float, float] | None:
    """Return a place as files write it (`[20.0, 40.0]`); None for what is none."""
    words = (value or "").strip("[]{} ").split(",")
    try:
        return float(words[0]), float(words[1])
    except (ValueError, IndexError):
        return None
