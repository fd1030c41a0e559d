"""What values look like outside the code, in documents: plain JSON values."""

from __future__ import annotations

from typing import Any

from msgspec import to_builtins


def plain(value: object) -> Any:
    """Return a value as JSON values: structs and mappings as objects, tuples as lists, paths as texts."""
    return to_builtins(value, str_keys=True, enc_hook=str)


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
    return "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    from unicodedata import category

    if category(character) not in _UNSEEN:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
