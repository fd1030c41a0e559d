"""Verification of a FITS file: every HDU walked, hashed and summed in one pass, also while the bytes arrive.

Structure: FITS standard 4.0, sections 4.4.1 and 6 (random groups); DATASUM: its appendix J, the sum of the 32-bit
big-endian words of the data with padding, in ones' complement.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from esorex_bridge.disk.digest import trust
from esorex_bridge.disk.stamp import stamp_after, stamp_before
from esorex_bridge.errors import DataError
from esorex_bridge.fits.stream import ByteStream, open_raw, unpack
from esorex_bridge.fits.walker import FitsContent, FitsWalker

_CHUNK_BYTES = 1 << 20
_TRIES = 3


def verify_fits(path: Path, checksums: bool = True, tolerant: bool = False) -> FitsContent:
    """Read a FITS file once, whole, and return what it holds.

    Parameters
    ----------
    path : Path
        Plain, `.gz` or `.Z`.
    checksums : bool
        Compare DATASUM where a header has it.
    tolerant : bool
        Return oddities instead of raising.

    Raises
    ------
    DataError
        If the file is cut off, is no FITS, has a header that makes no sense, or data that differ from DATASUM.
    """
    return read_fits(path, checksums, tolerant)[0]


def read_fits(path: Path, checksums: bool = True, tolerant: bool = False) -> tuple[FitsContent, str]:
    """Read a FITS file once, whole, and return what it holds, and the stamp under which that may be remembered.

    The stamp is empty where the file changed so lately that its look says nothing yet. Errors as `verify_fits`.

    Raises
    ------
    DataError
        If the file is changed each time it is read, and as `verify_fits`.
    """
    for _ in range(_TRIES):
        walker = FitsWalker(str(path), checksums, tolerant)
        with open_raw(path) as raw:
            before = stamp_before(raw)
            try:
                content = _walk(walker, raw, path)
            except DataError:
                if stamp_after(path, raw) == before:
                    raise
                continue
            if stamp_after(path, raw) == before:
                return content, trust(path, before)
    raise DataError(f"{path} changes while it is read; wait until it is whole and run again")


def _walk(walker: FitsWalker, raw: BinaryIO, path: Path) -> FitsContent:
    with unpack(raw, path) as stream:
        while chunk := _next_chunk(stream, path):
            walker.feed(chunk)
    return walker.close()


def _next_chunk(stream: ByteStream, path: Path) -> bytes:
    try:
        return stream.read(_CHUNK_BYTES)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
