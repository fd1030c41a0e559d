"""What commands print: one JSON document or tables on stdout, everything else on stderr."""

from __future__ import annotations

import os
import re
import sys
from codecs import iterdecode
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from esorex_bridge.log import logger, set_up_later
from esorex_bridge.progress.lines import count_columns, escape_line, note

if TYPE_CHECKING:
    from esorex_bridge.cli.documents.base import Document
    from esorex_bridge.cli.tables import Column, Role
    from esorex_bridge.disk.room import DiskNeed
    from esorex_bridge.settings import Settings

__all__ = [
    "close",
    "configure",
    "emit_json",
    "escape_line",
    "leave_quietly",
    "leave_report",
    "note",
    "report_crash",
    "report_failure",
    "say",
    "say_lines",
    "show_needs",
    "table",
    "width",
]

_NEXT = "next: "
_WRITTEN_AT_ONCE = 1 << 20
"""So many bytes of a document, which may be long, are made text at a time."""

_PIPE_WIDTH, _LEAST_WIDTH = 120, 40
_TEXTS = frozenset(("why", "details", "meaning", "remarks", "inputs", "takes", "makes", "with (? if there is one)"))
_NUMBERS = frozenset(("files", "seconds", "longest", "runs", "made", "reused", "MB", "bytes", "would run"))
"""Headings of columns whose cells may wrap, and of those that stand right."""

_COLOURS = {
    ("ran", "done", "reused", "complete", "yes", "ok"): "32",
    ("failed", "no", "missing"): "31",
    ("blocked", "incomplete", "not", "cancelled", "no EsoRex"): "33",
    ("planned", "running"): "36",
}
"""What states begin with, and their colours: green, red, yellow, cyan."""


def configure(verbose: int) -> None:
    """Send log messages to stderr: warnings by default, more with each `-v`; of other libraries, errors alone."""
    if verbose:
        _configure_logging(verbose)
    else:
        set_up_later(partial(_configure_logging, verbose))


def _configure_logging(verbose: int) -> None:
    import logging

    from esorex_bridge.cli.log_lines import LogLines

    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogLines(whole=verbose > 0))
    logging.basicConfig(level=logging.ERROR, handlers=[handler], force=True)
    for name in ("esorex_bridge", "reflex_actors"):
        logging.getLogger(name).setLevel(level)


def emit_json(document: Document | list[dict[str, Any]]) -> None:
    """Print the one JSON document of a command; a list is one of Reflex's own."""
    from msgspec.json import encode, format

    data = format(encode(document, enc_hook=str), indent=2)
    parts = (data[at : at + _WRITTEN_AT_ONCE] for at in range(0, len(data), _WRITTEN_AT_ONCE))
    for text in iterdecode(parts, "utf-8"):
        sys.stdout.write(text)
    sys.stdout.write("\n")


def table(
    columns: Sequence[str | Column], rows: Iterable[Sequence[object]], title: str | None = None, indent: int = 0
) -> None:
    """Print a table that fits the terminal; in a log or a pipe, one as wide as `COLUMNS` says or 120."""
    from esorex_bridge.cli.tables import Column, lay_out

    named = [column if isinstance(column, Column) else Column(column, _role(column)) for column in columns]
    if title:
        print(escape_line(title))
    for line in lay_out(named, rows, width(), indent, painter()):
        print(line)


def say(text: str, indent: int = 0, more: int = 2) -> None:
    """Print a sentence on lines that fit; a name is never broken."""
    from esorex_bridge.cli.tables import fold

    for line in fold(text, width(), indent, more):
        print(line)


def say_lines(lines: Iterable[str]) -> None:
    """Print lines, each as far in as it is; on a terminal what does not fit stands below it."""
    for line in lines:
        text = line.lstrip(" ")
        if sys.stdout.isatty():
            say(text, len(line) - len(text))
        else:
            print(escape_line(line))


def show_needs(needs: Iterable[DiskNeed]) -> None:
    """Print what would come onto disks, and whether they have room for it."""
    for need in needs:
        say(need.words + ("" if need.enough else ": not enough (--room ignore begins all the same)"))


def close(said: str, command: str) -> None:
    """Print the closing line: what came of it, and the command to type next, which can be copied as it stands."""
    room = width()
    if len(said) + len(command) + len(_NEXT) + 2 <= room:
        print(escape_line(f"{said}; {_NEXT}{command}"))
        return
    say(said)
    print(escape_line(" \\\n    ".join(_lines_of_command(f"{_NEXT}{command}", room))))


def _lines_of_command(command: str, room: int) -> list[str]:
    """Return a command on lines between whose words a backslash fits; what is quoted is never broken."""
    if len(command) <= room:
        return [command]
    from esorex_bridge.cli.tables import NO_BREAK, wrap_words

    whole = re.sub(r"'[^']*'|\"[^\"]*\"", lambda found: found.group().replace(" ", NO_BREAK), command)
    return wrap_words(whole, room - 6)


def width() -> int:
    """Return how wide lines may be."""
    return max(count_columns(_PIPE_WIDTH), _LEAST_WIDTH)


def painter() -> Callable[[str], str]:
    """Return what colours the word of a state: nothing but on a terminal, and not where `NO_COLOR` is set."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return str
    return _paint


def _paint(text: str) -> str:
    colour = next((code for words, code in _COLOURS.items() if text.strip().startswith(words)), None)
    return text if colour is None else f"\x1b[{colour}m{text}\x1b[0m"


def _role(head: str) -> Role:
    return "text" if head in _TEXTS else "number" if head in _NUMBERS else "name"


def leave_report(settings: Settings, executed: int) -> None:
    """Write the page of a run into its data root where something ran, and name its address on stderr."""
    if executed:
        from esorex_bridge.pages.report_file import leave_report

        page = leave_report(settings, executed)
        if page is not None:
            note(f"report: {page.as_uri()}")


def report_failure(message: str, kind: str, code: int, as_json: bool) -> int:
    """Report an error as the command's result and return its exit code."""
    if as_json:
        from esorex_bridge.cli.documents.base import ErrorDocument, ErrorPart

        emit_json(ErrorDocument(error=ErrorPart(kind, message)))
    note(f"esorex-bridge: {message}")
    return code


def leave_quietly() -> int:
    """Return quietly after the reader of our output went away (`esorex-bridge … | head`)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def report_crash(error: Exception, code: int, as_json: bool) -> int:
    """Report an error that is a mistake of the bridge, with the place but without values of variables."""
    import traceback

    place = traceback.extract_tb(error.__traceback__)[-1]
    logger(__name__).info("traceback", exc_info=error)
    message = (
        f"this is a bug in esorex-bridge: {type(error).__name__}: {error} "
        f"({place.filename}:{place.lineno}); run again with -v and report it with the traceback"
    )
    return report_failure(message, "Bug", code, as_json)
