"""Progress of downloads: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from esorex_bridge.archive.report import Event, FileReport, Listed, Progress, Received
from esorex_bridge.progress.lines import note


@contextmanager
def watching(files: int) -> Iterator[Progress]:
    """Yield what a download tells its progress to."""
    if sys.stderr.isatty():
        with _bar(files) as progress:
            yield progress
    else:
        yield _Lines(files).tell


class _Lines:
    """One line per file that was fetched or failed; files that were there already make none."""

    def __init__(self, files: int) -> None:
        self._files = files
        self._ended = 0
        self._lock = threading.Lock()

    def tell(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, Listed):
            self._files = max(self._files, event.files)
        if not isinstance(event, FileReport):
            return
        with self._lock:
            self._ended += 1
            if event.status.value != "kept":
                why = f": {event.reason}" if event.reason else ""
                note(f"[{self._ended}/{self._files}] {event.status.value} {event.name}{why}")


@contextmanager
def _bar(files: int) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bars

    so_far: dict[str, int] = {}
    lock = threading.Lock()
    with Bars(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=Console(stderr=True)
    ) as bars:
        whole = bars.add_task("files", total=files)

        def tell(event: Event) -> None:
            with lock:
                if isinstance(event, FileReport):
                    bars.advance(whole)
                elif isinstance(event, Listed):
                    bars.update(whole, total=max(files, event.files))
                elif isinstance(event, Received):
                    so_far[event.name] = event.size_bytes
                    bars.update(whole, description=f"files, {sum(so_far.values()) / 1e6:.1f} MB")

        yield tell
