"""One line on stderr, with nothing in it that a terminal would obey."""

from __future__ import annotations

import os
import re
import sys

from esorex_bridge.values import visible

_LEAST_WIDTH = 40
_STDOUT = 1
_NO_BREAK = "\u00a0"
_COMMAND = re.compile(r"'esorex-bridge [^']*'")


def note(text: str) -> None:
    """Tell the user something beside the result (stderr)."""
    sys.stderr.write(f"{fit_line(escape_line(text))}\n")  # one write, because threads tell of their progress too


def fit_line(text: str) -> str:
    """Return a text on lines that fit the terminal, where stderr is one; names and commands are never broken."""
    if not sys.stderr.isatty():
        return text
    from textwrap import wrap

    width = max(count_columns(80), _LEAST_WIDTH)
    lines: list[str] = []
    for line in text.split("\n"):
        whole = _COMMAND.sub(lambda found: found.group().replace(" ", _NO_BREAK), line)
        fitting = wrap(whole, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        lines += [each.replace(_NO_BREAK, " ") for each in fitting] if len(line) > width else [line]
    return "\n".join(lines)


def count_columns(fallback: int) -> int:
    """Return how wide the terminal is, as shutil tells; that takes 2 ms to load, for what it knows of archives."""
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    try:
        return os.get_terminal_size(_STDOUT).columns or fallback
    except OSError:  # stdout is closed, or no terminal
        return fallback


def escape_line(text: str) -> str:
    """Return a text with everything escaped that a terminal would obey or hide; its lines stay lines."""
    return "\n".join(map(visible, text.split("\n")))
