"""How a process of ours begins and ends: what it need not load, and what Python need not do for it."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys
import threading

_OBJECTS = 50_000
"""So many new objects before Python looks for reference cycles among them; a verb makes thousands, and no cycles."""


_later: list[str] = []
"""Names of modules that a command wants at its end."""


def begin() -> None:
    """Begin a process of our own."""
    gc.set_threshold(_OBJECTS)


def load_msgspec() -> None:
    """Load what our values are made of; it asks typing_extensions for no more than Python's own typing has by now."""
    if "typing_extensions" in sys.modules:
        return
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        import msgspec  # noqa: F401
    finally:
        del sys.modules["typing_extensions"]


def load_later(module: str) -> None:
    """Name a module that is wanted at the end; who waits for something meanwhile loads it (`load_rest`)."""
    _later.append(module)


def load_rest() -> None:
    """Load what is wanted at the end."""
    while _later:
        importlib.import_module(_later.pop())


def end(code: int) -> int:
    """End the process, where nothing in it goes on: Python would take it apart first, which takes longer than help.

    Whatever asked to be called at the end is called. Where something goes on, the code is returned.
    """
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        return code
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return code  # Python tells of it in its own way.
    os._exit(code)
