"""Locks between processes, and between machines that share a file system.

A lock is an advisory `flock` on a file. The system lets go of it when its holder ends in whatever way, so a holder that
died holds up nobody; on NFS Linux turns it into a lock that the server keeps for all clients. The file stays: removing
it would let two processes lock two files of one name.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def is_locked(path: Path) -> bool:
    """Tell whether a process holds a lock."""
    if not path.exists():
        return False
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock; wait while another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
