"""One line on stderr, with nothing in it that a terminal would obey."""

from __future__ import annotations

import sys

from esorex_bridge.values import visible


def note(text: str) -> None:
    """Tell the user something beside the result (stderr)."""
    sys.stderr.write(f"{escape_line(text)}\n")  # one write, because threads tell of their progress too


def escape_line(text: str) -> str:
    """Return a text with everything escaped that a terminal would obey or hide; its lines stay lines."""
    return "\n".join(map(visible, text.split("\n")))
