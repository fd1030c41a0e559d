"""What loggers say, as lines on stderr; loaded where a command runs, because help says nothing by them."""

from __future__ import annotations

import logging

from esorex_bridge.progress.lines import escape_line


class LogLines(logging.Formatter):
    """Messages as log lines; what is tried again, as a note to whoever waits for it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return escape_line(record.getMessage()) if record.name.endswith(".retries") else super().format(record)
