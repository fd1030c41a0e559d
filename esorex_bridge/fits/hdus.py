"""The headers of all HDUs of a file, one after the other, without reading the data between."""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedReader
from itertools import islice
from pathlib import Path

from esorex_bridge.errors import DataError
from esorex_bridge.fits.header import BLOCK_BYTES, Header, find_end, read_header
from esorex_bridge.fits.stream import ByteStream, open_fits
from esorex_bridge.fits.walker import describe

_MOST_BLOCKS = 10_000
_PIECE_BYTES = 1 << 20


def read_hdu_headers(path: Path, unpack: bool = True) -> Iterator[tuple[Header, bytes]]:
    """Yield the header of each HDU, parsed and as the bytes of its blocks.

    Parameters
    ----------
    path : Path
        A FITS file, packed or not.
    unpack : bool
        Whether to go on to the second HDU of a packed file: that takes unpacking all between.

    Raises
    ------
    DataError
        If the file cannot be read, or is no FITS.
    """
    number = 0
    with open_fits(path) as stream:
        while raw := read_blocks(stream, path):
            header = Header(raw)
            yield header, raw
            if not (unpack or isinstance(stream, BufferedReader)):
                return
            _skip(stream, describe(header, str(path), number).padded_bytes)
            number += 1


def read_keywords(path: Path) -> Header:
    """Read the primary header of a file; those of extensions are read where one of their keywords is asked for.

    Raises
    ------
    DataError
        If the file cannot be read, or is no FITS.
    """
    return read_header(path).with_extensions(_Extensions(path).read)


class _Extensions:
    """The headers of a file's extensions, each read once. There are many of which none is."""

    __slots__ = ("_path", "_read")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: dict[int, Header] = {}

    def read(self, number: int) -> Header:
        """Return the header of an extension (from 1); an empty one where the file has fewer."""
        if number not in self._read:
            found = next(islice(read_hdu_headers(self._path), number, None), None)
            self._read[number] = Header(b"") if found is None else found[0]
        return self._read[number]


def read_datasums(path: Path) -> tuple[str, ...]:
    """Return the DATASUM that each HDU of a file states; an empty text where one states none."""
    return tuple(str(header.get("DATASUM", "")).strip() for header, _ in read_hdu_headers(path))


def _skip(stream: ByteStream, size: int) -> None:
    if isinstance(stream, BufferedReader):
        stream.seek(size, 1)
        return
    while size > 0 and (piece := stream.read(min(size, _PIECE_BYTES))):
        size -= len(piece)


def read_blocks(stream: ByteStream, path: Path) -> bytes:
    """Return the blocks of the header that begins here; nothing where none does.

    Raises
    ------
    DataError
        If the header has no end.
    """
    raw = bytearray()
    for _ in range(_MOST_BLOCKS):
        block = stream.read(BLOCK_BYTES)
        if len(block) < BLOCK_BYTES or not (raw or block.startswith((b"SIMPLE  =", b"XTENSION="))):
            return b""
        raw += block
        if find_end(block) >= 0:
            return bytes(raw)
    raise DataError(f"{path} has a header that has no END card; fetch it again")
