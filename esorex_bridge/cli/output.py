"""What commands print: one JSON document or tables on stdout, everything else on stderr."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from esorex_bridge.progress.lines import note, shown
from esorex_bridge.values import visible

if TYPE_CHECKING:
    from esorex_bridge.session import Settings

__all__ = ["abandoned", "configure", "crashed", "emit_json", "failed", "leave_report", "note", "shown", "table"]


def configure(verbose: int) -> None:
    """Send log messages to stderr: warnings by default, more with each `-v`; of other libraries, errors alone."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(
        level=logging.ERROR, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", force=True
    )
    for name in ("esorex_bridge", "reflex_actors"):
        logging.getLogger(name).setLevel(level)


def emit_json(document: Any) -> None:
    """Print the one JSON document of a command."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Print a table: drawn on a terminal, plain aligned columns with nothing cut in a log or a pipe."""
    texts = [[visible(str(cell)) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _drawn(columns, texts, title)
        return
    if title:
        print(title)
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    for row in (columns, *texts):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _drawn(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*map(Text, row))
    Console().print(drawn)


def leave_report(settings: Settings, executed: int) -> None:
    """Write the page of a run into its data root where something ran, and name its address on stderr."""
    if executed:
        from esorex_bridge.pages.report_file import leave_report

        page = leave_report(settings, executed)
        if page is not None:
            note(f"report: {page.as_uri()}")


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
    message = (
        f"this is a bug in esorex-bridge: {type(error).__name__}: {error} "
        f"({place.filename}:{place.lineno}); run again with -v and report it with the traceback"
    )
    return failed(message, "Bug", code, as_json)
