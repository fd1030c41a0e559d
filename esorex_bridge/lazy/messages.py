"""EsoRex's messages and log, kept with gaps where a path of the one run stood, and filled for another.

A line carries its severity (`[WARNING] component: text`; in logs behind the time); a line without one belongs to the
line before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_PRODUCT = "\0product {}\0"
_COMMAND = "\0command\0"
_INVOCATION = "Invocation command line was: "
_CREATED = "Created product "
_OVERWRITTEN = "Product final output path file already exists and will be overwritten ("
_SEVERITY = re.compile(r"(?:\d\d:\d\d:\d\d )?\[\s*(DEBUG|INFO|WARNING|ERROR)\s*\]")
_RANK = {"debug": 0, "info": 1, "warning": 2, "error": 3, "off": 4}


def with_gaps(text: str, products: Sequence[str], command: str) -> str:
    """Return messages with gaps for what belongs to one run alone.

    Parameters
    ----------
    text : str
        As EsoRex wrote it.
    products : sequence of str
        The products as EsoRex names them in its messages.
    command : str
        The command line as EsoRex writes it into its log.
    """
    gaps = {f"{_CREATED}{name}": f"{_CREATED}{_PRODUCT.format(number)}" for number, name in enumerate(products)}
    kept = []
    for line in text.splitlines(keepends=True):
        head, found, tail = line.rstrip("\n").partition(_CREATED)
        if _OVERWRITTEN in line:
            continue
        if found and found + tail in gaps:
            line = f"{head}{gaps[found + tail]}\n"
        elif _INVOCATION in line and line.rstrip("\n").endswith(command):
            line = line.replace(command, _COMMAND)
        kept.append(line)
    return "".join(kept)


def names_command(text: str) -> bool:
    """Tell whether a log with gaps has one for the command line: whether it is the log of that run."""
    return _COMMAND in text


def fill_messages(text: str, products: Iterable[str], command: str) -> str:
    """Return messages with their gaps filled for another run."""
    for number, name in enumerate(products):
        text = text.replace(_PRODUCT.format(number), name)
    return text.replace(_COMMAND, command)


def at_least(text: str, level: str) -> str:
    """Return messages without those below a level of severity (`warning`)."""
    least = _RANK[level]
    kept, shown = [], True
    for line in text.splitlines(keepends=True):
        if found := _SEVERITY.match(line):
            shown = _RANK[found.group(1).lower()] >= least
        if shown:
            kept.append(line)
    return "".join(kept)
