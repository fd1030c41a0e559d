"""Part: a file on its way, beside its place: the bytes so far, what they are to become, and a lock.

`<name>.part` holds the bytes; `<name>.part.json` what the service stated when they began to come, so that a later run
can continue them. The lock keeps two runs from writing one part.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from esorex_bridge.archive.transfer import Begin, Partial
from esorex_bridge.disk.stamp import settled_stamp, stamp_after
from esorex_bridge.errors import DataError
from esorex_bridge.workspace.locks import try_lock

VERSION = 1

_CHUNK = 1 << 20


class PartialFile(Struct, frozen=True):
    """The part of one file, locked by us.

    Parameters
    ----------
    path : Path
        Of the bytes.
    stream : BinaryIO
        Unbuffered, open for reading and appending.
    waited : bool
        Whether another run had it before.
    """

    path: Path
    stream: BinaryIO
    waited: bool = False

    @property
    def size_bytes(self) -> int:
        """How many bytes there are."""
        return os.fstat(self.stream.fileno()).st_size

    def partial(self) -> Partial | None:
        """Return what can be continued; None where there is nothing, or nobody knows of which version of the file."""
        size = self.size_bytes
        stated = stated_begin(self._notes)
        if stated is None or stated.total_bytes is None or not 0 < size < stated.total_bytes:
            return None
        if not stated.etag and not stated.modified:
            return None
        return Partial(size, stated.total_bytes, stated.etag, stated.modified)

    def find_finished(self) -> Begin | None:
        """Return how the bytes began, where all of them are there and only the name is missing."""
        stated = stated_begin(self._notes)
        return stated if stated is not None and 0 < self.size_bytes == stated.total_bytes else None

    def begin(self, begin: Begin) -> None:
        """Cut the part to where the bytes to come belong, and note what they will become."""
        os.ftruncate(self.stream.fileno(), begin.offset)
        self.stream.seek(begin.offset)
        if begin.total_bytes is None:
            self._notes.unlink(missing_ok=True)
            return
        notes = {
            "version": VERSION,
            "total_bytes": begin.total_bytes,
            "etag": begin.etag,
            "modified": begin.modified,
            "name": begin.name,
        }
        with open_beside(self._notes, os.O_WRONLY | os.O_TRUNC) as stream:
            stream.write(json.dumps(notes).encode())

    def write(self, data: bytes) -> None:
        """Append bytes; a disk that takes only some of them is asked again, and says then that it is full."""
        view = memoryview(data)
        while view:
            view = view[self.stream.write(view) :]

    def read_into(self, take: Callable[[bytes], None]) -> None:
        """Hand over all bytes that are there."""
        self.stream.seek(0)
        while chunk := self.stream.read(_CHUNK):
            take(chunk)

    def forget(self) -> None:
        """Throw the bytes away."""
        os.ftruncate(self.stream.fileno(), 0)
        self.stream.seek(0)
        self._notes.unlink(missing_ok=True)

    def publish(self, target: Path, mtime_s: int) -> str:
        """Give the part its name, in one step, and return the stamp that the file has then."""
        os.utime(self.path, (mtime_s, mtime_s))
        self.path.replace(target)
        self._notes.unlink(missing_ok=True)
        stamp = settled_stamp(target)
        return stamp if stamp_after(target, self.stream) == stamp else ""

    def remove(self) -> None:
        """Remove the part and its notes."""
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)

    @property
    def _notes(self) -> Path:
        return self.path.with_name(self.path.name + ".json")


@contextmanager
def locked_part(folder: Path, name: str, wait: Callable[[], None]) -> Iterator[PartialFile]:
    """Open and lock the part of an archive file, waiting while another run has it.

    Parameters
    ----------
    folder : Path
        Where the file will lie.
    name : str
        Archive name of the file.
    wait : callable
        Lets a moment pass, or raises where nobody wants to wait any longer.

    Raises
    ------
    DataError
        If something else lies in the place of the part.
    """
    path = folder / f"{name}.part"
    waited = False
    while True:
        stream = open_beside(path, os.O_RDWR | os.O_APPEND)
        if not try_lock(stream):
            stream.close()
            waited = True
            wait()
            continue
        if _is_still(path, stream):
            break
        # The other run published its part meanwhile: what we locked has another name now.
        stream.close()
    with stream:
        part = PartialFile(path, stream, waited)
        yield part
        if path.exists() and _is_still(path, stream) and part.size_bytes == 0:
            part.remove()


def open_beside(path: Path, flags: int) -> BinaryIO:
    """Open a file that we write beside its place, unbuffered, made where it does not exist.

    Raises
    ------
    DataError
        If the path is a symbolic link or no regular file: what we write would go elsewhere.
    OSError
        If it cannot be opened.
    """
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise _in_the_way(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _in_the_way(path)
    stream: BinaryIO = os.fdopen(descriptor, "rb+" if flags & os.O_RDWR else "wb", buffering=0)
    return stream


def _in_the_way(path: Path) -> DataError:
    return DataError(f"{path} is no file of ours but a link or something else; remove it and run again")


def _is_still(path: Path, stream: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except OSError:
        return False


def stated_begin(notes: Path) -> Begin | None:
    """Return what was noted about a part; None where nothing was that can be read."""
    try:
        found = json.loads(notes.read_text())
        if found["version"] != VERSION:
            return None
        return Begin(0, int(found["total_bytes"]), str(found["etag"]), str(found["modified"]), str(found["name"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
