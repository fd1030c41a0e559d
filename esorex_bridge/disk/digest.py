"""The digest of a file's bytes as they lie, and the stamp under which it may be remembered.

The content of FITS files, packed or not, is digested by `fits.verify`. Nothing here takes time to load.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from esorex_bridge.disk.stamp import is_settled, stamp_after, stamp_before

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from esorex_bridge.files import Digest

_TRIES = 3


class Reading(NamedTuple):
    """What was read of a file.

    Parameters
    ----------
    digest : Digest
        Of its content.
    stamp : str
        What it looked like all the while; empty where it changed so lately that its look says nothing yet.
    """

    digest: Digest
    stamp: str


class UnsteadyError(OSError):
    """A file was changed each time it was read."""


def digest_of_stream(stream: BinaryIO) -> Digest:
    """Return the digest of what an open file holds from here on."""
    return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"  # type: ignore[return-value, arg-type]


def digest_of_bytes(data: bytes) -> Digest:
    """Return the digest of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"  # type: ignore[return-value]


def read_digest(path: str | Path) -> Reading:
    """Return the digest of a file's bytes, with its stamp.

    Raises
    ------
    OSError
        If it cannot be read.
    UnsteadyError
        If it changes while it is read, time and again.
    """
    for _ in range(_TRIES):
        with open(path, "rb") as stream:
            before = stamp_before(stream)
            digest = digest_of_stream(stream)
            if stamp_after(path, stream) == before:
                return Reading(digest, trust(path, before))
    raise UnsteadyError(f"{path} changes while it is read; wait until it is whole and run again")


def trust(path: str | Path, stamp: str) -> str:
    """Return a stamp that was the same before and after reading; empty where the file changed a moment ago."""
    return stamp if is_settled(path) else ""
