"""The canvas of a workflow: where things lie, how much room they take, and what is drawn of them.

Texts are measured, so that nothing overlaps whatever an instrument's steps and parameters are called.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from reflex_actors.moml.model import Entity, Property, parse_place

_WIDTHS = (
    32,
    40,
    46,
    84,
    64,
    95,
    78,
    27,
    39,
    39,
    50,
    84,
    32,
    36,
    32,
    34,
    64,
    64,
    64,
    64,
    64,
    64,
    64,
    64,
    64,
    64,
    34,
    34,
    84,
    84,
    84,
    53,
    100,
    68,
    69,
    70,
    77,
    63,
    58,
    77,
    75,
    30,
    30,
    66,
    56,
    86,
    75,
    79,
    60,
    79,
    69,
    63,
    61,
    73,
    68,
    99,
    68,
    61,
    68,
    39,
    34,
    39,
    84,
    50,
    50,
    61,
    63,
    55,
    63,
    62,
    35,
    63,
    63,
    28,
    28,
    58,
    28,
    97,
    63,
    61,
    63,
    63,
    41,
    52,
    39,
    63,
    59,
    82,
    59,
    59,
    52,
    64,
    34,
    64,
    84,
)
"""Widths of the printable characters from the blank on, in hundredths of the size (DejaVu Sans, Java's sans serif)."""

_BOLD = 1.2
_WIDEST = 100
COLUMNS = 5
"""Most columns of actors."""

COLUMN, ROW = 330.0, 130.0
"""Distance of neighbouring actors, in pixels."""

ICON = (110.0, 60.0)
NAME_SIZE, LINE_SIZE = 12, 12
LINE = 24.0
MARGIN = 24.0
VERTEX = 12.0
"""Pixels of the diamond where a relation forks."""
HEADING = 50.0
ANNOTATION = "ptolemy.vergil.kernel.attributes.TextAttribute"
FRAME = "ptolemy.vergil.kernel.attributes.RectangleAttribute"
_SHOWN = ("StringParameter", "FileParameter", ".Parameter")


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the canvas; x to the right and y down, from the upper left corner.

    Parameters
    ----------
    name : str
        Of what takes the room.
    x, y, width, height : float
        In pixels.
    """

    name: str
    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: Box) -> bool:
        """Tell whether two rectangles have room in common."""
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )

    def holds(self, other: Box) -> bool:
        """Tell whether another rectangle lies in this one."""
        return (
            self.x <= other.x
            and self.y <= other.y
            and other.x + other.width <= self.x + self.width
            and other.y + other.height <= self.y + self.height
        )


def text_width(words: str, size: float, bold: bool = False) -> float:
    """Return the width of the longest line of a text, in pixels."""
    lines = words.splitlines() or [""]
    widest = max(sum(_WIDTHS[ord(c) - 32] if 32 <= ord(c) < 127 else _WIDEST for c in line) for line in lines)
    return widest * size / 100 * (_BOLD if bold else 1)


def text_height(words: str, size: float) -> float:
    """Return the height of a text, in pixels."""
    return 1.35 * size * max(1, len(words.splitlines()))


def boxes(composite: Entity) -> Iterator[Box]:
    """Yield the room that actors with their names, parameters, texts and the director take on a canvas."""
    for each in composite.properties:
        place = place_of(each.properties)
        if place is None or each.cls == FRAME:
            continue
        if each.cls == ANNOTATION:
            words, size, bold = read_annotation(each)
            yield Box(each.name, *place, text_width(words, size, bold), text_height(words, size))
        elif each.cls.endswith("Director"):
            yield Box(each.name, *place, text_width(each.name, NAME_SIZE) + 20, 30)
        elif each.cls.endswith(_SHOWN):
            words = parameter_line(each)
            yield Box(each.name, *place, text_width(words, LINE_SIZE), text_height(words, LINE_SIZE))
    for actor in composite.entities:
        place = place_of(actor.properties)
        if place is not None:
            yield actor_box(actor.name, *place)


def frames(composite: Entity) -> tuple[Box, ...]:
    """Return the frames on a canvas, by the heading that lies in each."""
    headings = {each.name: read_annotation(each)[0] for each in composite.properties if each.cls == ANNOTATION}
    found = []
    for each in composite.properties:
        place = place_of(each.properties)
        if each.cls == FRAME and place is not None:
            width, height = (_number(each, name) for name in ("width", "height"))
            heading = headings.get(each.name.replace("Frame", "Heading"), each.name)
            found.append(Box(heading, *place, width, height))
    return tuple(found)


def actor_box(name: str, x: float, y: float) -> Box:
    """Return the room of an actor whose icon lies at a place: the icon, and its name above."""
    width = max(ICON[0], text_width(name, NAME_SIZE))
    above = text_height(name, NAME_SIZE) + 4
    return Box(name, x - (width - ICON[0]) / 2, y - above, width, ICON[1] + above)


def with_vertices(composite: Entity) -> Entity:
    """Return a composite in which each relation of more than two ends has a vertex beside the actor that it comes from.

    Where a composite's own port is the source, it lies left of the first actor that it leads to. It covers nothing.
    """
    taken = list(boxes(composite))
    relations = []
    for relation in composite.relations:
        ends = [link.ends[0] for link in composite.links if link.relation == relation.name]
        places = [(name, place) for name in ends if name is not None and (place := _place_in(composite, name))]
        if len(ends) > 2 and places:
            box = actor_box(places[0][0], *places[0][1])
            free = _free_place(box, ends[0] is not None, taken)
            taken.append(_around(free))
            relation = replace(relation, vertex=(round(free[0], 1), round(free[1], 1)))
        relations.append(relation)
    return replace(composite, relations=tuple(relations))


def _place_in(composite: Entity, name: str) -> tuple[float, float] | None:
    entity = composite.entity(name)
    return place_of(entity.properties) if entity is not None else None


def _free_place(box: Box, right: bool, taken: Iterable[Box]) -> tuple[float, float]:
    """Return a place beside a box where nothing lies: near its middle, then further down and away."""
    tried = [
        (box.x + box.width + VERTEX + away if right else box.x - VERTEX - away, box.y + ICON[1] / 2 + VERTEX + down)
        for away in (0.0, 1.5 * VERTEX, 3 * VERTEX)
        for down in (VERTEX * 1.5 * step for step in range(12))
    ]
    listed = tuple(taken)
    return next((each for each in tried if not any(_around(each).overlaps(box) for box in listed)), tried[0])


def _around(vertex: tuple[float, float]) -> Box:
    """Return the room that a vertex takes: its place is its middle."""
    return Box("vertex", vertex[0] - VERTEX / 2, vertex[1] - VERTEX / 2, VERTEX, VERTEX)


def parameter_line(each: Property) -> str:
    """Return what is shown of a parameter."""
    return f"{each.name}: {each.value or ''}"


def read_annotation(each: Property) -> tuple[str, float, bool]:
    """Return words, size and boldness of a text on the canvas."""
    words = next((inner.value for inner in each.properties if inner.name == "text"), "")
    bold = next((inner.value for inner in each.properties if inner.name == "bold"), "false")
    return words or "", _number(each, "textSize"), bold == "true"


def place_of(properties: Iterable[Property]) -> tuple[float, float] | None:
    """Return the place that properties give; None where they give none."""
    return parse_place(next((each.value for each in properties if each.name == "_location"), None))


def _number(each: Property, name: str) -> float:
    found = next((inner.value for inner in each.properties if inner.name == name), None)
    return float(found or 12)
