"""What commands print: one JSON document or tables on stdout, everything else on stderr."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import Any


def configure(verbose: int) -> None:
    """Send log messages to stderr: warnings by default, more with each `-v`."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", force=True)


def emit_json(document: Any) -> None:
    """Print the one JSON document of a command."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def note(text: str) -> None:
    """Tell the user something beside the result (stderr)."""
    print(text, file=sys.stderr)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Print a table; full width where stdout is not a terminal, so that nothing is cut in a log or a pipe."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(str(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else 200, soft_wrap=False).print(drawn)


def failed(message: str, kind: str, code: int, as_json: bool) -> int:
    """Report an error as the command's result and return its exit code."""
    if as_json:
        emit_json({"error": {"kind": kind, "message": message}})
    note(f"esorex-bridge: {message}")
    return code


def abandoned() -> int:
    """Return quietly after the reader of our output went away (`esorex-bridge … | head`)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def crashed(error: Exception, code: int, as_json: bool) -> int:
    """Report an error that is a mistake of the bridge, with the place but without values of variables."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    logging.getLogger(__name__).info("traceback", exc_info=error)
    message = (f"this is a bug in esorex-bridge: {type(error).__name__}: {error} "
               f"({place.filename}:{place.lineno}); run again with -v and report it with the traceback")
    return failed(message, "Bug", code, as_json)
