"""The checksum by which ESO Reflex knows a file: of its time, its size and the sums that its headers state.

`MD5(mtime in ms + size in bytes + keyword values)`, 32 hex digits in capitals; of each HDU in turn CHECKSUM, then
DATASUM, or DATAMD5 where there is none. Confirmed on files with DATAMD5 alone, in a database that Reflex 2.9.1 wrote;
that all HDUs count and in which order is what a log of Reflex 2.11.5 tells. The path is not part of it, the time is: a
file that was touched or copied is another one to Reflex.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import BinaryIO

from esorex_bridge.errors import DataError
from esorex_bridge.fits.card import CARD_BYTES
from esorex_bridge.fits.header import BLOCK_BYTES, Header

_END = b"END     "
_FITS = b"SIMPLE  ="
_HEADER_LIMIT_BYTES = 10_000 * BLOCK_BYTES
_REMEMBERED_FILES = 4096
_MOST_AXES = 999
_LOWEST_BITPIX = -64


def reflex_checksum(path: Path) -> str:
    """Return Reflex's checksum of a file; packed files and such as are no FITS have time and size alone in it.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        state = path.stat()
        return _checksum(path, state.st_mtime_ns // 1_000_000, state.st_size)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def checksum_of(mtime_ms: int, size_bytes: int, stated: str) -> str:
    """Return the checksum of what a file's entry and its headers say.

    >>> checksum_of(1524236760000, 3104640, "746bcc5170c7cc51064714e4f44655bd")
    '3881D4032BDC8FD60B8ED8CE404F2B9E'
    """
    text = f"{mtime_ms}{size_bytes}{stated}"
    return hashlib.md5(text.encode("latin-1", "replace"), usedforsecurity=False).hexdigest().upper()


@lru_cache(_REMEMBERED_FILES)
def _checksum(path: Path, mtime_ms: int, size_bytes: int) -> str:
    with path.open("rb") as stream:
        stated = "".join(_sums(stream)) if stream.read(len(_FITS)) == _FITS else ""
    return checksum_of(mtime_ms, size_bytes, stated)


def _sums(stream: BinaryIO) -> Iterator[str]:
    """Yield what the headers of a FITS file state, as far as they can be followed; the data are stepped over."""
    at = 0
    while (raw := _raw_header(stream, at)) is not None:
        header = Header(raw)
        for value in (header.get("CHECKSUM"), header.get("DATASUM", header.get("DATAMD5"))):
            if value is not None:
                yield str(value)
        at += -(-(len(raw) + CARD_BYTES) // BLOCK_BYTES) * BLOCK_BYTES
        at += -(-_data_bytes(header) // BLOCK_BYTES) * BLOCK_BYTES


def _raw_header(stream: BinaryIO, at: int) -> bytes | None:
    """Return the cards before END of the header that starts at a byte; None where none does."""
    stream.seek(at)
    raw = b""
    while len(raw) < _HEADER_LIMIT_BYTES:
        block = stream.read(BLOCK_BYTES)
        if len(block) < BLOCK_BYTES or (not raw and not block.startswith((_FITS, b"XTENSION="))):
            return None
        for card in range(0, BLOCK_BYTES, CARD_BYTES):
            if block.startswith(_END, card):
                return raw + block[:card]
        raw += block
    return None


def _data_bytes(header: Header) -> int:
    dimensions = min(_number(header, "NAXIS"), _MOST_AXES)
    axes = [_number(header, f"NAXIS{axis}") for axis in range(1, dimensions + 1)]
    groups = header.get("GROUPS") is True and axes[:1] == [0]
    counted = axes[1:] if groups else axes
    if not counted:
        return 0
    plain = header.get("XTENSION") is None and not groups
    extra, repeats = (0, 1) if plain else (_number(header, "PCOUNT"), _number(header, "GCOUNT") or 1)
    return abs(_number(header, "BITPIX")) // 8 * repeats * (extra + prod(counted))


def _number(header: Header, key: str) -> int:
    value = header.get(key)
    return value if isinstance(value, int) and value >= _LOWEST_BITPIX else 0
