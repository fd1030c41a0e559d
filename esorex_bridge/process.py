"""How a process of ours begins and ends: what it need not load, and what Python need not do for it."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_OBJECTS = 50_000
"""So many new objects before Python looks for reference cycles among them; a verb makes thousands, and no cycles."""


_later: list[str] = []
"""Names of modules that a command wants at its end."""


def begin() -> None:
    """Begin a process of our own."""
    gc.set_threshold(_OBJECTS)


def load_msgspec() -> None:
    """Load what our values are made of; it asks typing_extensions for no more than Python's own typing has by now.

    And it loads uuid, which asks platform for no more than the name of the system.
    """
    with _in_place("typing_extensions", None), _in_place("platform", _Platform("platform")):
        import msgspec  # noqa: F401


class _Platform(ModuleType):
    @staticmethod
    def system() -> str:
        """Return the name of the system, as `platform.system`."""
        return os.uname().sysname


@contextmanager
def _in_place(name: str, module: ModuleType | None) -> Iterator[None]:
    """Let something stand in the place of a module for a while, unless it is loaded already; None as if it were not."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = module  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


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
