"""What loggers say, as lines on stderr; loaded where a command runs, because help says nothing by them."""

from __future__ import annotations

import logging

from esorex_bridge.progress.lines import escape_line, fit_line


class LogLines(logging.Formatter):
    """Messages as log lines; what is tried again, as a note to whoever waits for it.

    Parameters
    ----------
    whole : bool
        Whether lines name the module that says it, for a report.
    """

    def __init__(self, whole: bool) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self._whole = whole

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        if record.name.endswith(".retries"):
            return fit_line(escape_line(record.getMessage()))
        if self._whole:
            return super().format(record)
        return fit_line(escape_line(f"{record.levelname.lower()}: {record.getMessage()}"))
