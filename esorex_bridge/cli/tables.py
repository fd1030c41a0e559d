"""Tables for any width: no line is wider, no name is broken, what matters less goes first.

Cells of columns of text wrap between words; where there is no room for that they stand below their row. Where even the
names of a row do not fit side by side, the row takes several lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from textwrap import wrap
from typing import Literal, NamedTuple

from esorex_bridge.values import visible

NO_BREAK = "\u00a0"
"""Joins words of a text that stay on one line; drawn as a space."""

_GAP = 2
_BELOW = 4
_NARROWEST = 20
"""A column of text that would be narrower stands below."""

Role = Literal["name", "number", "state", "text"]
Paint = Callable[[str], str]


class Column(NamedTuple):
    """A column of a table.

    Parameters
    ----------
    head : str
        Its heading.
    role : {'name', 'number', 'state', 'text'}
        Names, numbers and states are never broken; numbers stand right, states have colours, text may wrap.
    keep : int
        0: always shown; else it may be left out where there is no room, the highest first, and where it says nothing.
    """

    head: str
    role: Role = "name"
    keep: int = 0


def lay_out(
    columns: Sequence[Column], rows: Iterable[Sequence[object]], width: int, indent: int = 0, paint: Paint = str
) -> list[str]:
    """Return the lines of a table.

    Parameters
    ----------
    columns : sequence of Column
        From left to right.
    rows : iterable of sequence
        A cell a column.
    width : int
        No line is wider, as far as names allow.
    indent : int
        Spaces before every line.
    paint : callable
        Colours the text of a state.
    """
    table = _Table(tuple(columns), [tuple(visible(str(cell)) for cell in row) for row in rows])
    room = width - indent
    table = table.fit(room)
    pad = " " * indent
    lines = table.heads() if table.is_aligned(room) else []
    lines += [line for row in table.rows for line in table.lines_of(row, room, paint)]
    return [f"{pad}{line}".rstrip() for line in lines]


def fold(text: str, width: int, indent: int = 0, more: int = 2) -> list[str]:
    """Return a sentence on lines of a width, without breaking a name; lines after the first stand further in."""
    pad = " " * indent
    found = [line for part in visible_lines(text) for line in wrap_words(part, width, pad, pad + " " * more) or [""]]
    return found or [""]


def visible_lines(text: str) -> list[str]:
    """Return the lines of a text, with everything escaped that a terminal would obey or hide."""
    return [visible(line) for line in text.split("\n")]


def wrap_words(text: str, width: int, first: str = "", more: str = "") -> list[str]:
    """Return a text on lines of a width; words stay whole, and so do those that a no-break space joins."""
    lines = wrap(
        text, width, initial_indent=first, subsequent_indent=more, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace(NO_BREAK, " ") for line in lines]


class _Table(NamedTuple):
    """Columns and rows, and how wide each column is drawn; a width of 0 stands for 'below the row'."""

    columns: tuple[Column, ...]
    rows: list[tuple[str, ...]]
    widths: tuple[int, ...] = ()

    def fit(self, room: int) -> _Table:
        """Return the table with its widths, without the columns that say nothing or for which there is no room."""
        table = self._without_silent()
        while table._least() > room and (worst := table._least_wanted()) is not None:
            table = table._without(worst)
        return table._with_widths(room)

    def is_aligned(self, room: int) -> bool:
        """Tell whether the names of a row fit side by side."""
        return sum(width + _GAP for width in self.widths if width) - _GAP <= room

    def heads(self) -> list[str]:
        """Return the line of headings."""
        shown = zip(self.columns, self.widths, strict=True)
        return [(" " * _GAP).join(_align(column, column.head, width) for column, width in shown if width)]

    def lines_of(self, row: tuple[str, ...], room: int, paint: Paint) -> list[str]:
        """Return the lines of a row: its cells side by side, then what stands below."""
        below = [cell for cell, width in zip(row, self.widths, strict=True) if not width and cell not in ("", "-")]
        lines = self._side_by_side(row, paint) if self.is_aligned(room) else self._flow(row, room, paint)
        return [*lines, *(line for cell in below for line in fold(cell, room, _BELOW))]

    def _side_by_side(self, row: tuple[str, ...], paint: Paint) -> list[str]:
        cells = [
            (column, wrap_words(cell, width) if column.role == "text" else [cell], width)
            for column, cell, width in zip(self.columns, row, self.widths, strict=True)
            if width
        ]
        height = max((len(lines) for _, lines, _ in cells), default=0)
        return [
            (" " * _GAP).join(
                _paint(column, _align(column, lines[at] if at < len(lines) else "", width), paint)
                for column, lines, width in cells
            )
            for at in range(height)
        ]

    def _flow(self, row: tuple[str, ...], room: int, paint: Paint) -> list[str]:
        """Return the cells of a row one after the other, on as many lines as they need."""
        lines: list[list[str]] = [[]]
        used = 0
        for column, cell, width in zip(self.columns, row, self.widths, strict=True):
            if not width or cell in ("", "-"):
                continue
            if lines[-1] and used + _GAP + len(cell) > room:
                lines.append([])
                used = _BELOW
            used += len(cell) + (_GAP if lines[-1] else 0)
            lines[-1].append(_paint(column, cell, paint))
        gap = " " * _GAP
        return [(" " * _BELOW if at else "") + gap.join(cells) for at, cells in enumerate(lines)]

    def _without_silent(self) -> _Table:
        silent = [
            at
            for at, column in enumerate(self.columns)
            if column.keep and self.rows and all(row[at] in ("", "-") for row in self.rows)
        ]
        table = self
        for at in reversed(silent):
            table = table._without(at)
        return table

    def _without(self, at: int) -> _Table:
        rows = [(*row[:at], *row[at + 1 :]) for row in self.rows]
        return _Table((*self.columns[:at], *self.columns[at + 1 :]), rows)

    def _natural(self) -> list[int]:
        cells = [[len(row[at]) for row in self.rows] for at in range(len(self.columns))]
        return [max(len(column.head), *lengths, 0) for column, lengths in zip(self.columns, cells, strict=True)]

    def _least(self) -> int:
        """Return the least width that the table takes with all text below its rows."""
        widths = [
            width
            for column, width in zip(self.columns, self._natural(), strict=True)
            if column.role != "text" or width <= _NARROWEST
        ]
        return sum(widths) + _GAP * (len(widths) - 1)

    def _least_wanted(self) -> int | None:
        droppable = [(column.keep, at) for at, column in enumerate(self.columns) if column.keep]
        return max(droppable)[1] if droppable else None

    def _with_widths(self, room: int) -> _Table:
        """Return the table with a width for each column: text gets what names leave, or stands below."""
        widths = self._natural()
        texts = [at for at, column in enumerate(self.columns) if column.role == "text"]
        while sum(width + _GAP for width in widths if width) - _GAP > room and texts:
            widest = max(texts, key=lambda at: widths[at])
            rest = sum(width + _GAP for at, width in enumerate(widths) if width and at != widest)
            longest_word = max((len(word) for row in self.rows for word in row[widest].split()), default=0)
            least = max(_NARROWEST, longest_word)
            widths[widest] = room - rest if room - rest >= least else 0
            texts.remove(widest)
        return _Table(self.columns, self.rows, tuple(widths))


def _align(column: Column, text: str, width: int) -> str:
    return text.rjust(width) if column.role == "number" else text.ljust(width)


def _paint(column: Column, text: str, paint: Paint) -> str:
    return paint(text) if column.role == "state" else text
