"""Whether headers are still as they were when a file was signed, told without reading its data again.

All words of an HDU whose CHECKSUM holds sum up to zero in ones' complement (FITS standard 4.0, section 4.4.2.7 and
appendix J); the sum of its data is what DATASUM says. ESO's archive corrects headers of files that it delivers and adds
keywords to them, so that a header that differs is worth a word, and no proof of damage.
"""

from __future__ import annotations

from pathlib import Path

from esorex_bridge.fits.datasum import sum_of_words
from esorex_bridge.fits.hdus import read_hdu_headers
from esorex_bridge.fits.header import Header


def altered_headers(path: Path) -> tuple[int, ...]:
    """Return the numbers of the HDUs whose header differs from its CHECKSUM, while their data are what DATASUM says.

    HDUs without both keywords are passed over. Of a packed file the primary header alone is looked at, because to come
    to the next one takes unpacking all between.

    Raises
    ------
    DataError
        If the file cannot be read, or is no FITS.
    """
    headers = enumerate(read_hdu_headers(path, unpack=False))
    return tuple(number for number, (header, raw) in headers if not _holds(header, raw))


def _holds(header: Header, raw: bytes) -> bool:
    checksum, datasum = header.get("CHECKSUM"), str(header.get("DATASUM", "")).strip()
    if not (isinstance(checksum, str) and checksum.strip() and datasum.isdigit()):
        return True
    return (sum_of_words(memoryview(raw)) + int(datasum)) % 0xFFFFFFFF == 0
