"""Whether headers are still as they were when a file was signed, told without reading its data again.

All words of an HDU whose CHECKSUM holds sum up to zero in ones' complement (FITS standard 4.0, section 4.4.2.7 and
appendix J); the sum of its data is what DATASUM says. ESO's archive corrects headers of files that it delivers and adds
keywords to them, so that a header that differs is worth a word, and no proof of damage.
"""

from __future__ import annotations

from io import BufferedReader
from pathlib import Path

from esorex_bridge.errors import DataError
from esorex_bridge.fits.card import CARD_BYTES
from esorex_bridge.fits.header import BLOCK_BYTES, Header
from esorex_bridge.fits.stream import ByteStream, open_fits
from esorex_bridge.fits.verify import describe, sum_of_words

_END = b"END     "
_MOST_BLOCKS = 10_000


def altered_headers(path: Path) -> tuple[int, ...]:
    """Return the numbers of the HDUs whose header differs from its CHECKSUM, while their data are what DATASUM says.

    HDUs without both keywords are passed over. Of a packed file the primary header alone is looked at, because to come
    to the next one takes unpacking all between.

    Raises
    ------
    DataError
        When the file cannot be read, or is no FITS.
    """
    altered = []
    number = 0
    with open_fits(path) as stream:
        while raw := _header(stream, path):
            header = Header(raw)
            if not _holds(header, raw):
                altered.append(number)
            if not isinstance(stream, BufferedReader):
                break
            stream.seek(describe(header, str(path), number).padded_bytes, 1)
            number += 1
    return tuple(altered)


def _holds(header: Header, raw: bytes) -> bool:
    checksum, datasum = header.get("CHECKSUM"), str(header.get("DATASUM", "")).strip()
    if not (isinstance(checksum, str) and checksum.strip() and datasum.isdigit()):
        return True
    return (sum_of_words(memoryview(raw)) + int(datasum)) % 0xFFFFFFFF == 0


def _header(stream: ByteStream, path: Path) -> bytes:
    """Return the blocks of the header that begins here; nothing where none does."""
    raw = bytearray()
    for _ in range(_MOST_BLOCKS):
        block = stream.read(BLOCK_BYTES)
        if len(block) < BLOCK_BYTES or not (raw or block.startswith((b"SIMPLE  =", b"XTENSION="))):
            return b""
        raw += block
        if any(block.startswith(_END, at) for at in range(0, BLOCK_BYTES, CARD_BYTES)):
            return bytes(raw)
    raise DataError(f"{path} has a header that has no END card; fetch it again")
