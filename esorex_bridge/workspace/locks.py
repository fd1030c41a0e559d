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
from typing import IO, BinaryIO

from esorex_bridge.errors import UserError


def is_locked(path: Path) -> bool:
    """Tell whether a process holds a lock."""
    if not path.exists():
        return False
    with path.open("rb") as stream:
        return not try_lock(stream)


def try_lock(stream: IO[bytes]) -> bool:
    """Take the lock of an open file until it is closed, and return whether that was to be had at once."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class LockError(UserError):
    """A lock cannot be had: somebody holds it, or the file system has none."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock; wait while another process holds it.

    Raises
    ------
    LockError
        If the file system has no locks, or the folder cannot be written.
    """
    with _open(path) as stream:
        _lock(path, stream, fcntl.LOCK_EX)
        yield


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold a lock together with others who share it; errors as `locked`."""
    with _open(path) as stream:
        _lock(path, stream, fcntl.LOCK_SH)
        yield


@contextmanager
def locked_at_once(path: Path, refusal: str) -> Iterator[None]:
    """Hold a lock without waiting for it.

    Raises
    ------
    LockError
        If another process holds or shares it, with the refusal; else as `locked`.
    """
    with _open(path) as stream:
        try:
            _lock(path, stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockError(refusal) from None
        yield


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("wb")
    except OSError as error:
        raise LockError(
            f"the lock {path} cannot be made: {error.strerror or error}; get the right to write there"
        ) from error
    with stream:
        yield stream


def _lock(path: Path, stream: BinaryIO, kind: int) -> None:
    try:
        fcntl.flock(stream, kind)
    except BlockingIOError:
        raise
    except OSError as error:
        raise LockError(
            f"{path} cannot be locked: {error.strerror or error}; the file system has no locks that count for all "
            "processes: put the data root on one that has (a local disk, or NFS with its lock service)"
        ) from error
