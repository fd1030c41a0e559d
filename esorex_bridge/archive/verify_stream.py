"""Arriving: the content of a file while it comes, hashed and walked on the way."""

from __future__ import annotations

import hashlib
from pathlib import Path

from esorex_bridge.archive.transfer import is_fits_name, is_page
from esorex_bridge.errors import DataError
from esorex_bridge.files import Digest
from esorex_bridge.fits.stream import MAGIC_BYTES, no_fits, packing_of
from esorex_bridge.fits.verify import FitsWalker, verify_fits

_HEAD_BYTES = 512


class PageError(DataError):
    """A web page came instead of a file."""


class Arriving:
    """Takes all bytes of a file in order, and says at the end what they are.

    A plain FITS stream is walked as it comes, so that damage shows at once and nothing is read again; a packed one is
    unpacked at the end, from the file (a `.Z` that is cut off unpacks without complaint: only the walk notices).

    Parameters
    ----------
    name : str
        What the file is called in messages.
    """

    def __init__(self, name: str) -> None:
        self.head = b""
        self._name = name
        self._walker = FitsWalker(name)
        self._hash = hashlib.sha256()
        self._packing: str | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises
        ------
        DataError
            As soon as they are no sound FITS, where the file began as FITS; `PageError` for a web page.
        """
        if len(self.head) < _HEAD_BYTES:
            self.head += data[: _HEAD_BYTES - len(self.head)]
            self._packing = packing_of(self.head)
            if is_page(self.head):
                raise PageError(f"{self._name}: a web page came instead of the file")
        if self._packing == "fits":
            self._walker.feed(data)
        elif self._packing is None:
            self._hash.update(data)

    def close(self, path: Path, fits: bool) -> Digest:
        """Return the digest of the whole content.

        Parameters
        ----------
        path : Path
            Where the bytes lie.
        fits : bool
            Whether the file passes for FITS.

        Raises
        ------
        DataError
            Where it is no whole file, or no FITS though it passes for it.
        """
        if not self.head:
            raise DataError(f"{self._name} is empty (0 bytes)")
        if self._packing == "fits":
            return self._walker.close().digest
        if self._packing is not None and fits:
            return verify_fits(path).digest
        if fits:
            raise DataError(no_fits(path, self.head[:MAGIC_BYTES]))
        if self._packing is not None:
            with path.open("rb") as stream:
                return Digest(f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}")
        return Digest(f"sha256:{self._hash.hexdigest()}")


def digest_of(path: Path) -> Digest:
    """Return the digest of a file that lies on disk, after walking it where it is FITS.

    Raises
    ------
    DataError
        Where the file is damaged, empty or cannot be read.
    """
    arriving = Arriving(str(path))
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                arriving.feed(chunk)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    return arriving.close(path, is_fits_name(path.name))
