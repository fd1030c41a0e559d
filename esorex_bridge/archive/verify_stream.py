"""Arriving: the content of a file while it comes, hashed and walked on the way."""

from __future__ import annotations

import hashlib
from pathlib import Path

from msgspec import Struct

from esorex_bridge.archive.exchange import is_page, what_came
from esorex_bridge.archive.transfer import is_fits_name
from esorex_bridge.disk.digest import digest_of_stream
from esorex_bridge.errors import DataError
from esorex_bridge.files import Digest, is_raw_name
from esorex_bridge.fits.header import read_header
from esorex_bridge.fits.identity import other_frame
from esorex_bridge.fits.stream import MAGIC_BYTES, no_fits, packing_of
from esorex_bridge.fits.verify import verify_fits
from esorex_bridge.fits.walker import FitsContent, FitsWalker
from esorex_bridge.values import visible

_HEAD_BYTES = 512

_WAITING_BYTES = 4 << 20
"""So much of a file may wait to be looked at."""


class PageError(DataError):
    """A web page came instead of a file."""


class Verified(Struct, frozen=True):
    """What the content of a file is.

    Parameters
    ----------
    digest : Digest
        Of the FITS stream, or of all bytes where the file is none.
    oddities : tuple of str
        Faults that the file may have by itself; see `FitsContent`.
    """

    digest: Digest
    oddities: tuple[str, ...] = ()


class Arriving:
    """Takes all bytes of a file in order, and says at the end what they are.

    A plain FITS stream is walked from memory, so that nothing is read again and damage shows soon: its last bytes, and
    all of a small file, when it is closed, so that its connection is free for the next file by then. A packed one is
    unpacked at the end, from the file (a `.Z` that is cut off unpacks without complaint: only the walk notices).

    Parameters
    ----------
    name : str
        What the file is called in messages.
    """

    def __init__(self, name: str) -> None:
        self.head = b""
        self._name = name
        self._walker = FitsWalker(name, tolerant=True)
        self._hash = hashlib.sha256()
        self._packing: str | None = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises
        ------
        DataError
            If those that were looked at are no sound FITS, where the file began as FITS; `PageError` for a web page.
        """
        if len(self.head) < _HEAD_BYTES:
            self.head += data[: _HEAD_BYTES - len(self.head)]
            self._packing = packing_of(self.head)
            if is_page("", self.head):
                raise PageError(f"{self._name}: {what_came('', self.head)} came instead of the file")
        if self._packing in ("fits", None):
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            if self._waiting_bytes >= _WAITING_BYTES:
                self._look()

    def _look(self) -> None:
        """Walk or hash what waits."""
        look = self._walker.feed if self._packing == "fits" else self._hash.update
        for data in self._waiting:
            look(data)
        self._waiting.clear()
        self._waiting_bytes = 0

    def close(self, path: Path, fits: bool) -> Verified:
        """Return what the whole content is.

        Parameters
        ----------
        path : Path
            Where the bytes lie.
        fits : bool
            Whether the file passes for FITS.

        Raises
        ------
        DataError
            If it is no whole file, or no FITS though it passes for it.
        """
        if not self.head:
            raise DataError(f"{self._name} is empty (0 bytes)")
        self._look()
        if self._packing == "fits":
            return _verify(self._walker.close())
        if self._packing is not None and fits:
            return _verify(verify_fits(path, tolerant=True))
        if fits:
            raise DataError(no_fits(path, self.head[:MAGIC_BYTES]))
        if self._packing is not None:
            with path.open("rb") as stream:
                return Verified(digest_of_stream(stream))
        return Verified(Digest(f"sha256:{self._hash.hexdigest()}"))


def _verify(content: FitsContent) -> Verified:
    return Verified(content.digest, content.oddities)


def refuse_other_frame(name: str, path: Path) -> str:
    """Refuse a raw frame whose header says that it is another one; return the version of its header.

    That is HDRVER, which the archive writes where it corrects a header on the way; empty where it did not.

    Parameters
    ----------
    name : str
        Archive name that it was asked for by. Only raw frames are looked at: a product carries the ARCFILE of its
        first raw.
    path : Path
        The file, sound.

    Raises
    ------
    DataError
        If its header names another frame; one that names none passes.
    """
    if not is_raw_name(name):
        return ""
    header = read_header(path)
    if said := other_frame(name, header):
        raise DataError(f"{name}: the file that came is another frame ({said})")
    return visible(str(header.get("HDRVER") or "").strip(), 40)


def verified_file(path: Path) -> Verified:
    """Return what a file that lies on disk is, after walking it where it is FITS.

    Raises
    ------
    DataError
        If the file is damaged, empty or cannot be read.
    """
    arriving = Arriving(str(path))
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                arriving.feed(chunk)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    return arriving.close(path, is_fits_name(path.name))


def digest_of(path: Path) -> Digest:
    """Return the digest of a file that lies on disk; as `verified_file`, and an odd file is refused.

    Raises
    ------
    DataError
        If the file is damaged, odd, empty or cannot be read.
    """
    found = verified_file(path)
    if found.oddities:
        raise DataError(f"{path} {found.oddities[0]}; fetch it again")
    return found.digest
