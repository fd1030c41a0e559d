"""What took long to work out is remembered for a user, by the content that it was made of.

Nothing here is needed: a file that is absent, damaged or of another version is made again, one that cannot be written
is no error.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from esorex_bridge.disk.atomic import WriteError, write_bytes_whole
from esorex_bridge.disk.digest import digest_of_bytes

CACHE_VARIABLE = "ESOREX_BRIDGE_CACHE"

T = TypeVar("T")


def memory_folder(subject: str) -> Path:
    """Return the folder of what is remembered of a subject, in `esorex-bridge` where caches are kept."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named) / subject
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "esorex-bridge" / subject


def version_of(code: Iterable[Path]) -> str:
    """Return what tells one version of some code from another: what was remembered counts for the same one only."""
    texts = (path.read_bytes() for path in sorted(code))
    return digest_of_bytes(b"\0".join(texts)).partition(":")[2][:16]


def recall(place: Path, kind: type[T]) -> T | None:
    """Return what is remembered at a place; None where there is nothing, or something else."""
    try:
        return msgspec.msgpack.decode(place.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None


def remember(place: Path, value: object) -> None:
    """Write a value where it is recalled from."""
    with suppress(WriteError):
        write_bytes_whole(place, msgspec.msgpack.encode(value))
