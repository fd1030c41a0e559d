"""The FITS byte stream of a file: as it lies, or unpacked from `.gz` or `.Z` on the way.

What a file is, its first bytes tell, never its name: archives name packed files without an ending, and browsers unpack
files without renaming them.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

from esorex_bridge.errors import DataError

if TYPE_CHECKING:
    import gzip
    import subprocess

Packing = Literal["fits", "gzip", "compress"]
"""How a FITS stream lies on disk: plain, gzip, or UNIX compress (`.Z`)."""

MAGIC: tuple[tuple[bytes, Packing], ...] = (
    (b"SIMPLE  =", "fits"),
    (b"\x1f\x8b", "gzip"),
    (b"\x1f\x9d", "compress"),
)
MAGIC_BYTES = 9
"""How many first bytes are needed to know a packing."""


class ByteStream(Protocol):
    """What a FITS stream is read by."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next `size` bytes, fewer only at the end; all that is left when `size` is negative."""
        ...


def packing_of(head: bytes) -> Packing | None:
    """Return how a file is packed, from its first bytes; None for what is no FITS."""
    return next((packing for magic, packing in MAGIC if head.startswith(magic)), None)


@contextmanager
def open_fits(path: Path) -> Iterator[ByteStream]:
    """Open the FITS stream of a file, unpacked where it is packed.

    Leaving the context early is fine: a decompressor that still runs is killed.

    Raises
    ------
    DataError
        If the file cannot be read, is no FITS, or its packing is damaged (then from `read`).
    """
    with open_raw(path) as raw, unpack(raw, path) as stream:
        yield stream


def open_raw(path: Path) -> BinaryIO:
    """Open a file as it lies.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        return path.open("rb")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


@contextmanager
def unpack(raw: BinaryIO, path: Path) -> Iterator[ByteStream]:
    """Give the FITS stream of an open file; errors as `open_fits`."""
    head = _head(raw, path)
    match packing_of(head):
        case "fits":
            yield raw
        case "gzip":
            import gzip

            with gzip.GzipFile(fileobj=raw, mode="rb") as unpacked:
                yield _Gzip(unpacked, path)
        case "compress":
            with _uncompress(raw, path) as unpacked:
                yield unpacked
        case None:
            raise DataError(no_fits(path, head))


def no_fits(path: Path, head: bytes) -> str:
    """Say in words why a file that starts with `head` is no FITS file."""
    if not head:
        return f"{path} is empty (0 bytes): fetch it again or remove it"
    if head.lstrip()[:1] == b"<":
        return f"{path} is no FITS file but a page (it starts with {head!r}): fetch it again, with a login if needed"
    return f"{path} is no FITS file: it starts with {head!r} instead of 'SIMPLE  ='"


def _head(raw: BinaryIO, path: Path) -> bytes:
    try:
        head = raw.read(MAGIC_BYTES)
        raw.seek(0)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    return head


class _Gzip:
    """A gzip stream whose faults are told as faults of the file."""

    def __init__(self, unpacked: gzip.GzipFile, path: Path) -> None:
        self._unpacked = unpacked
        self._path = path

    def read(self, size: int = -1, /) -> bytes:
        import zlib

        try:
            return self._unpacked.read(size)
        except (EOFError, zlib.error, OSError) as error:
            raise DataError(f"{self._path} is a damaged gzip file ({error}): fetch it again") from error


@contextmanager
def _uncompress(raw: BinaryIO, path: Path) -> Iterator[ByteStream]:
    """Unpack a `.Z` file by `gzip -dc`, which is twenty times as fast as Python; by ncompress where there is none."""
    import subprocess

    os.lseek(raw.fileno(), 0, os.SEEK_SET)
    try:
        process = subprocess.Popen(["gzip", "-dc"], stdin=raw, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError:
        yield io.BytesIO(_uncompress_at_once(raw, path))
        return
    with process:
        try:
            yield _Compress(process, path)
        finally:
            process.kill()


class _Compress:
    """The output of `gzip -dc`, whose failure is told as a fault of the file."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path) -> None:
        self._process = process
        self._path = path

    def read(self, size: int = -1, /) -> bytes:
        assert self._process.stdout is not None
        data = self._process.stdout.read(size)
        if size < 0 or len(data) < size:
            self._check_end()
        return data

    def _check_end(self) -> None:
        if self._process.wait() and self._process.stderr is not None:
            said = self._process.stderr.read().decode("utf-8", "replace").strip()
            raise DataError(f"{self._path} is a damaged .Z file ({said or 'gzip failed'}): fetch it again")


def _uncompress_at_once(raw: BinaryIO, path: Path) -> bytes:
    import ncompress

    try:
        unpacked: bytes = ncompress.decompress(raw)
    except (ValueError, RuntimeError) as error:
        raise DataError(f"{path} is a damaged .Z file ({error}): fetch it again") from error
    return unpacked
