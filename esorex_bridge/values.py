"""What values look like outside the code, in documents: plain JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Scalar = str | int | float | bool | None
"""What a definition or a user can give as a value."""


def plain(value: object) -> Any:
    """Return a value as JSON values: structs and mappings as objects, tuples as lists, paths as texts."""
    from msgspec import to_builtins

    return to_builtins(value, str_keys=True, enc_hook=str)


def html_table(columns: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """Return a table as HTML, for notebooks; every cell is escaped."""
    from html import escape

    def line(tag: str, cells: Iterable[object]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(visible(str(cell)))}</{tag}>" for cell in cells) + "</tr>"

    head = f"<caption>{escape(visible(caption))}</caption>" if caption else ""
    body = "".join(line("td", row) for row in rows)
    return f"<table>{head}<thead>{line('th', columns)}</thead><tbody>{body}</tbody></table>"


_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Categories of characters that a terminal obeys or does not show: control, direction marks, separators of lines."""


def visible(text: str, longest: int | None = None) -> str:
    """Return a text from elsewhere as it may be shown: control characters and direction marks escaped.

    Parameters
    ----------
    text : str
        Of anybody.
    longest : int, optional
        Where to cut it.
    """
    if longest is not None and len(text) > longest:
        text = text[: longest - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_escape, text))


def _escape(character: str) -> str:
    from unicodedata import category

    if category(character) not in _UNSEEN:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
