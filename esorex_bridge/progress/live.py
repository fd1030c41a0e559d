"""The line on a terminal that says what runs: for how long, how long it took before, and its last message."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import Struct

from esorex_bridge.values import visible

_EVERY_S = 0.5
_TAIL_BYTES = 4096
_LOGS = (".logfile", "esorex.log")
"""Where EsoRex writes while a recipe runs, and where it puts that at the end."""

_MESSAGE = re.compile(r"^\d\d:\d\d:\d\d \[[^]]*\] [^:]*: (?:\[tid=\d+\] )?(?P<text>.*\S)")


class RunningStep(Struct, frozen=True):
    """A recipe that runs: the name of its step, when it began (a clock's seconds), and how long it took before."""

    step: str
    began: float
    expected_seconds: float | None = None


def describe_running(running: Iterable[RunningStep], now: float, message: Callable[[str], str], width: int) -> str:
    """Return what runs on one line of a width; with one recipe its last message, with several their times.

    >>> describe_running([RunningStep("naco_img_dark_1", 10.0, 4.0)], 12.5, lambda step: "Loading", 80)
    'naco_img_dark_1 2 s of about 4 s: Loading'
    """
    listed = tuple(running)
    parts = []
    for each in listed:
        about = f" of about {each.expected_seconds:.0f} s" if each.expected_seconds is not None else ""
        parts.append(f"{each.step} {int(now - each.began)} s{about}")
    text = ", ".join(parts)
    said = message(listed[0].step) if len(listed) == 1 else ""
    return visible(f"{text}: {said}" if said else text, width)


def last_message(bookkeeping: Path, step: str) -> str:
    """Return the last message of the latest run of a step; empty where there is none yet."""
    folders = [folder for folder in bookkeeping.glob(f"*/{step}/*") if folder.name[:1].isdigit()]
    if not folders:
        return ""
    latest = max(folders, key=lambda folder: folder.name)
    log = next((latest / name for name in _LOGS if (latest / name).is_file()), None)
    if log is None:
        return ""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = stream.read().decode("utf-8", "replace").splitlines()
    found = (match["text"] for line in reversed(lines) if (match := _MESSAGE.match(line)))
    return next(found, "")


class LiveLine:
    """Draws the line again and again while something runs; other lines go above it.

    Parameters
    ----------
    bookkeeping : Path
        Where the folders of runs are.
    """

    def __init__(self, bookkeeping: Path) -> None:
        self._bookkeeping = bookkeeping
        self._running: dict[str, RunningStep] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, step: str, expected_seconds: float | None) -> None:
        """Show a recipe from now on."""
        with self._lock:
            self._running[step] = RunningStep(step, time.monotonic(), expected_seconds)
            if self._thread is None:
                self._thread = threading.Thread(target=self._draw, daemon=True)
                self._thread.start()

    def end(self, step: str) -> None:
        """Show a recipe no longer, and clear the line, so that what is said next stands alone."""
        with self._lock:
            if self._running.pop(step, None) is not None:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()
            if not self._running:
                self._thread = None
                self._wake.set()
                self._wake = threading.Event()

    def _draw(self) -> None:
        from esorex_bridge.progress.lines import count_columns

        wake = self._wake
        while not wake.wait(_EVERY_S):
            with self._lock:
                if self._thread is not threading.current_thread():
                    return
                width = count_columns(80) - 1
                line = describe_running(self._running.values(), time.monotonic(), self._describe, width)
                sys.stderr.write(f"\r\x1b[K{line}")
                sys.stderr.flush()

    def _describe(self, step: str) -> str:
        try:
            return last_message(self._bookkeeping, step)
        except OSError:
            return ""  # its folder was just moved
