"""Where everything goes on the canvas of a workflow: title, blocks of parameters, frames of stages, top to bottom."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from reflex_actors.moml import stages
from reflex_actors.moml.blocks import annotation, at, director, frame, show_parameter
from reflex_actors.moml.canvas import (
    COLUMN,
    COLUMNS,
    HEADING,
    LINE,
    LINE_SIZE,
    MARGIN,
    ROW,
    parameter_line,
    text_height,
    text_width,
)
from reflex_actors.moml.model import Entity, Property


class Block(Struct, frozen=True):
    """Parameters on the canvas, and where they end."""

    properties: tuple[Property, ...]
    right: float
    bottom: float


class Canvas:
    """Where the next thing goes on the canvas: everything below what is there already."""

    def __init__(self) -> None:
        self.bottom = 20.0
        self.numbers = 0

    def heading(self, title: str, name: str, actors: str) -> tuple[Property, ...]:
        """Return title, instructions and parameters of a workflow, two blocks beside each other, and its director."""
        words = f"{title}: calSelector, Reflex and EsoRex"
        help_text = stages.instructions(name)
        below = 20 + text_height(words, 24) + 10
        found = [
            annotation("Title", words, MARGIN / 2, 20, 24, bold=True),
            annotation("Instructions", help_text, MARGIN / 2, below, 12),
            *stages.hidden_parameters(),
        ]
        top = below + text_height(help_text, 12) + MARGIN
        blocks = stages.global_parameters(name, actors)
        for left, right in zip(blocks[::2], blocks[1::2], strict=True):
            one = self.block(*left, MARGIN / 2, top)
            other = self.block(*right, one.right + MARGIN, top)
            found += (*one.properties, *other.properties)
            top = max(one.bottom, other.bottom) + MARGIN
        self.bottom = top + 60
        return (*found, director(True, MARGIN / 2, top + 10))

    def stage(self, heading: str, members: Iterable[Entity]) -> tuple[list[Entity], list[Property]]:
        """Return actors in rows of at most five within a frame with a heading."""
        listed = tuple(members)
        rows = max(1, -(-len(listed) // COLUMNS))
        top = self.bottom
        width, height = COLUMNS * COLUMN + MARGIN, HEADING + rows * ROW + MARGIN
        found = [
            at(each, MARGIN + 100 + (number % COLUMNS) * COLUMN, top + HEADING + 30 + (number // COLUMNS) * ROW)
            for number, each in enumerate(listed)
        ]
        self.bottom = top + height + MARGIN
        return found, self._frame(heading, MARGIN / 2, top, width, height)

    def block(self, heading: str, members: Iterable[tuple[Property, str]], x: float, top: float) -> Block:
        """Return parameters one below the other, each with its sentence beside, in a frame with a heading."""
        listed = tuple(members)
        sentences_at = x + MARGIN + max(text_width(parameter_line(each), LINE_SIZE) for each, _ in listed) + MARGIN
        found: list[Property] = []
        for number, (each, sentence) in enumerate(listed):
            y = top + HEADING + LINE * number
            found.append(show_parameter(each, x + MARGIN, y))
            found.append(annotation(f"{each.name} Sentence", sentence, sentences_at, y, LINE_SIZE))
        width = sentences_at - x + max(text_width(sentence, LINE_SIZE) for _, sentence in listed) + MARGIN
        width = max(width, text_width(heading, 14, bold=True) + 2 * MARGIN)
        height = HEADING + LINE * len(listed) + MARGIN / 2
        return Block((*self._frame(heading, x, top, width, height), *found), x + width, top + height)

    def _frame(self, heading: str, x: float, y: float, width: float, height: float) -> list[Property]:
        self.numbers += 1
        return [
            frame(f"Frame {self.numbers}", x, y, width, height),
            annotation(f"Heading {self.numbers}", heading, x + MARGIN / 2, y + 10, bold=True),
        ]
