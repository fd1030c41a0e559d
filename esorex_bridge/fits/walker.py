"""A walk through a FITS stream as it comes: HDU by HDU, with what is wrong with it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import Enum
from math import prod
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.errors import DataError
from esorex_bridge.files import Digest
from esorex_bridge.fits.card import Value
from esorex_bridge.fits.datasum import DataSum
from esorex_bridge.fits.header import BLOCK_BYTES, Header, find_end
from esorex_bridge.fits.stream import MAGIC_BYTES, no_fits, packing_of
from esorex_bridge.fits.volatile import stable

_HEADER_LIMIT = 10_000 * BLOCK_BYTES


_STRUCTURE = ("XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "GROUPS", "PCOUNT", "GCOUNT", "DATASUM")
"""Searched in one pass: most headers lack some of them, and are read to their end for each that is not there."""


ChecksumState = Literal["verified", "absent", "unchecked"]
"""Whether the data agree with DATASUM; `absent` where there is none."""


class Hdu(Struct, frozen=True):
    """What the header of one HDU says of its data.

    Parameters
    ----------
    kind : str
        `PRIMARY`, or the value of XTENSION.
    bitpix : int
        Bits per value, negative for floating point.
    naxis : tuple of int
        Lengths of the axes, fastest first; empty where there are no data.
    data_bytes : int
        Size of the data with heap and groups, without padding.
    checksum : {'verified', 'absent', 'unchecked'}
        State of its DATASUM.
    """

    kind: str
    bitpix: int
    naxis: tuple[int, ...]
    data_bytes: int
    checksum: ChecksumState = "absent"

    @property
    def padded_bytes(self) -> int:
        """Size of the data as they lie in the file, in whole blocks."""
        return -(-self.data_bytes // BLOCK_BYTES) * BLOCK_BYTES


class FitsContent(Struct, frozen=True):
    """What a whole FITS stream holds.

    Parameters
    ----------
    digest : Digest
        Of the decompressed stream, without the cards that the archive writes anew at each download (`volatile`).
    size_bytes : int
        Of the decompressed stream.
    hdus : tuple of Hdu
        All of them, the primary first.
    oddities : tuple of str
        Faults that a file may have by itself and be readable: a wrong DATASUM, a last block that is not filled up.
        Only a tolerant walk passes them.
    """

    digest: Digest
    size_bytes: int
    hdus: tuple[Hdu, ...]
    oddities: tuple[str, ...] = ()

    @property
    def checksum(self) -> ChecksumState:
        """Whether all data that carry a DATASUM agree with it; `absent` where none does."""
        states = {hdu.checksum for hdu in self.hdus}
        if "unchecked" in states:
            return "unchecked"
        return "verified" if "verified" in states else "absent"


class _Part(Enum):
    HEADER = "header"
    DATA = "data"
    TRAILER = "trailer"


class FitsWalker:
    """Walks the HDUs of a FITS stream that arrives piece by piece.

    Feed it all bytes in order, then close it. Nothing but one header is kept.

    Parameters
    ----------
    name : str
        What the stream is called in messages.
    checksums : bool
        Compare DATASUM where a header has it.
    tolerant : bool
        Collect oddities (see `FitsContent`) instead of raising.
    """

    def __init__(self, name: str, checksums: bool = True, tolerant: bool = False) -> None:
        self._name = name
        self._checksums = checksums
        self._tolerant = tolerant
        self._oddities: list[str] = []
        self._hash = hashlib.sha256()
        self._size = 0
        self._part = _Part.HEADER
        self._header = bytearray()
        self._left = 0
        self._sum: DataSum | None = None
        self._hdus: list[Hdu] = []

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises
        ------
        DataError
            As soon as the bytes cannot be part of a sound FITS file.
        """
        self._size += len(data)
        view = memoryview(data)
        while view:
            match self._part:
                case _Part.HEADER:
                    view = self._feed_header(view)
                case _Part.DATA:
                    view = self._feed_data(view)
                case _Part.TRAILER:
                    view = self._feed_trailer(view)

    def close(self) -> FitsContent:
        """Return what the stream held.

        Raises
        ------
        DataError
            If it ended too early.
        """
        if self._part is _Part.DATA and self._lacks_padding_alone():
            self._refuse_or_note(f"lacks {self._left} bytes of padding behind HDU {len(self._hdus) - 1}")
        elif self._part is _Part.DATA:
            expected = self._size + self._left
            raise self._fault(
                f"is cut off: expected {expected} bytes or more, found {self._size}, "
                f"in the data of HDU {len(self._hdus) - 1}; fetch it again"
            )
        if self._header:
            raise self._fault(
                f"is cut off: it ends at byte {self._size} within the header of HDU {len(self._hdus)}; fetch it again"
            )
        if not self._hdus:
            raise self._fault("is empty (0 bytes): fetch it again or remove it")
        digest = Digest(f"sha256:{self._hash.hexdigest()}")
        return FitsContent(digest, self._size, tuple(self._hdus), tuple(self._oddities))

    def _lacks_padding_alone(self) -> bool:
        last = self._hdus[-1]
        return self._tolerant and self._left <= last.padded_bytes - last.data_bytes

    def _refuse_or_note(self, what: str) -> None:
        if not self._tolerant:
            raise self._fault(f"{what}; fetch it again")
        self._oddities.append(what)

    def _feed_header(self, view: memoryview) -> memoryview:
        taken = BLOCK_BYTES - len(self._header) % BLOCK_BYTES
        self._header += view[:taken]
        if len(self._header) == BLOCK_BYTES:
            self._check_start()
        if self._part is _Part.HEADER and len(self._header) % BLOCK_BYTES == 0:
            self._take_block()
        return view[taken:]

    def _check_start(self) -> None:
        if not self._hdus:
            if packing_of(bytes(self._header[:MAGIC_BYTES])) != "fits":
                raise DataError(no_fits(Path(self._name), bytes(self._header[:MAGIC_BYTES])))
        elif not self._header.startswith(b"XTENSION="):
            if self._header.strip(b"\0 "):
                raise self._fault(
                    f"has bytes behind HDU {len(self._hdus) - 1} that are no extension (at byte "
                    f"{self._size // BLOCK_BYTES * BLOCK_BYTES}); fetch it again"
                )
            self._hash.update(self._header)
            self._header.clear()
            self._part = _Part.TRAILER

    def _take_block(self) -> None:
        block = bytes(self._header[-BLOCK_BYTES:])
        if b"\0" in block or len(self._header) > _HEADER_LIMIT:
            raise self._fault(
                f"has a header in HDU {len(self._hdus)} that is no text or has no END card; fetch it again"
            )
        if find_end(block) >= 0:
            whole = bytes(self._header)
            self._hash.update(stable(whole))
            self._begin_data(Header(whole))
            self._header.clear()

    def _begin_data(self, header: Header) -> None:
        number = len(self._hdus)
        known = header.select(_STRUCTURE)
        hdu = _describe(known, header, self._name, number)
        stated = known.get("DATASUM")
        self._sum = None
        if not self._checksums:
            hdu = replace(hdu, checksum="unchecked")
        elif stated is not None:
            self._sum = DataSum(str(stated).strip())
            hdu = replace(hdu, checksum="verified")
        self._hdus.append(hdu)
        self._left = hdu.padded_bytes
        self._part = _Part.DATA
        if not self._left:
            self._end_data(number)

    def _feed_data(self, view: memoryview) -> memoryview:
        piece = view[: self._left]
        self._hash.update(piece)
        self._left -= len(piece)
        if self._sum:
            self._sum.add(piece)
        if not self._left:
            self._end_data(len(self._hdus) - 1)
        return view[len(piece) :]

    def _end_data(self, number: int) -> None:
        if self._sum and not self._sum.agrees():
            self._refuse_or_note(
                f"is damaged: the data of HDU {number} sum up to {self._sum.total()}, "
                f"its DATASUM says {self._sum.stated}"
            )
        self._part = _Part.HEADER

    def _feed_trailer(self, view: memoryview) -> memoryview:
        self._hash.update(view)
        if bytes(view).strip(b"\0 "):
            raise self._fault("has bytes behind its last HDU that are no extension; fetch it again")
        return view[:0]

    def _fault(self, what: str) -> DataError:
        return DataError(f"{self._name} {what}")


def describe(header: Header, name: str, number: int) -> Hdu:
    """Return what a header says of its data, none of which was looked at.

    Parameters
    ----------
    header : Header
        Of one HDU.
    name : str
        What the file is called in messages.
    number : int
        Of the HDU, the primary 0.

    Raises
    ------
    DataError
        If it makes no sense.
    """
    return _describe(header.select(_STRUCTURE), header, name, number)


def _describe(known: Mapping[str, Value], header: Header, name: str, number: int) -> Hdu:
    place = f"in the header of HDU {number}"

    def integer(key: str, default: int | None) -> int:
        value = known.get(key, default) if key in _STRUCTURE else header.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or (default is not None and value < 0):
            raise DataError(f"{name} has no sensible {key} {place} ({value!r})")
        return value

    kind = known.get("XTENSION", "PRIMARY")
    bitpix = integer("BITPIX", None)
    axes = integer("NAXIS", None)
    if bitpix not in (8, 16, 32, 64, -32, -64) or not 0 <= axes <= 999:
        raise DataError(f"{name} has no sensible BITPIX and NAXIS in HDU {number} ({bitpix}, {axes})")
    naxis = tuple(integer(f"NAXIS{axis}", None) for axis in range(1, axes + 1))
    if any(length < 0 for length in naxis):
        raise DataError(f"{name} has a negative axis in HDU {number}: {naxis}")
    groups = known.get("GROUPS") is True and naxis[:1] == (0,)
    counted = naxis[1:] if groups else naxis
    extra, repeats = integer("PCOUNT", 0), integer("GCOUNT", 1)
    if kind == "PRIMARY" and not groups:
        extra, repeats = 0, 1
    size = abs(bitpix) // 8 * repeats * (extra + prod(counted)) if counted else 0
    return Hdu(str(kind), bitpix, naxis, size)
