"""Files that are there whole or not at all: written beside their place under a name of their own, then renamed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from esorex_bridge.errors import UserError


class WriteError(UserError):
    """A file cannot be written: the disk is full or read-only, or the folder is somebody else's."""


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Give a path to write to, beside the target, that is renamed to it at the end.

    Raises
    ------
    WriteError
        If the system refuses.
    """
    # Host, process and thread are in the name: two workers may write one file, also from two machines.
    part = target.with_name(f".{target.name}.{os.uname().nodename}-{os.getpid()}-{threading.get_ident()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(target)
    except OSError as error:
        raise WriteError(
            f"{target} cannot be written: {error.strerror or error}; make room or get the right, and run again"
        ) from error
    finally:
        remove_part(part)


def remove_part(part: Path) -> None:
    """Remove what was left of a write, where there is something."""
    try:
        part.unlink(missing_ok=True)
    except OSError:
        return  # the folder cannot be written, which was said already


def write_whole(target: Path, text: str) -> None:
    """Write a text file; errors as `written_whole`."""
    with written_whole(target) as part:
        part.write_text(text, encoding="utf-8")


def write_bytes_whole(target: Path, data: bytes) -> None:
    """Write a file; errors as `written_whole`."""
    with written_whole(target) as part:
        part.write_bytes(data)


def make_database_file(path: Path) -> None:
    """Make an empty file for a database, by the umask: SQLite gives new files no more than 0644."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))


def make_executable(path: Path) -> None:
    """Let those who may read a script run it."""
    mode = path.stat().st_mode
    path.chmod(mode | (mode & 0o444) >> 2)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file; errors as `written_whole`."""
    import shutil  # not loaded with the module, because who finds all made copies nothing

    with written_whole(target) as part:
        shutil.copyfile(source, part)
