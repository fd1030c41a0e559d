"""The stamp of a file: what changes when its content does, so that a file need not be read to know that it is the same.

Size, modification time, inode, and the time of the last change of the inode (ctime), which no program can set: an edit
in place with the time put back, `cp -p`, `tar x` and an inode that was given away again all show in it. The device is
left out, because it changes when a network file system is mounted again. What was read counts under a stamp only if the
stamp was the same before and after, and if the file had settled: one more change within the same tick of the clock
would leave no trace. See `docs/explanation/internals.md`.

Nothing here takes time to load: `esorex-lazy` needs it too.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

_TICK_NS = 20_000_000
"""Two ticks of the slowest clock by which common kernels stamp files."""

_NETWORK_NS = 2_000_000_000
"""On a network file system the server's clock counts, and clients look at what they remember of a file."""

_FINE_SINCE = (6, 13)
"""Since this version of Linux, a file that was looked at gets another time by the next change, however soon."""

_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "beegfs"})
_FINE = frozenset({"ext4", "xfs", "btrfs", "tmpfs"})


def stamp_of(path: str | Path) -> str:
    """Return the stamp of a file, its size first; empty where there is no file."""
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return ""
    return f"{state.st_size}:{state.st_mtime_ns}:{state.st_ino}:{state.st_ctime_ns}"


def stamp_without_ctime(path: str | Path) -> str:
    """Return a stamp without ctime, for those whose backups or virus scanners change it (`trust_ctime: false`)."""
    return stamp_of(path).rpartition(":")[0]


def stamp_of_status(state: os.stat_result) -> str:
    """Return the stamp of a file whose status is known."""
    return f"{state.st_size}:{state.st_mtime_ns}:{state.st_ino}:{state.st_ctime_ns}"


def size_in(stamp: str) -> int:
    """Return the size in bytes that a stamp holds; -1 for the empty stamp."""
    return int(stamp.partition(":")[0] or -1)


def stamp_before(stream: IO[bytes]) -> str:
    """Return the stamp of an open file, to be held against `stamp_after` when it was read."""
    return stamp_of_status(os.fstat(stream.fileno()))


def stamp_after(path: str | Path, stream: IO[bytes]) -> str:
    """Return the stamp of an open file after it was read; empty where the path leads to another file by now."""
    after = stamp_of_status(os.fstat(stream.fileno()))
    return after if stamp_of(path) == after else ""


def steady_stamp(path: str | Path, before: str) -> str:
    """Return the stamp that a file had before it was read, if it still has it and has settled; else empty."""
    return before if stamp_of(path) == before and is_settled(path) else ""


def is_settled(path: str | Path) -> bool:
    """Tell whether any later change of a file is sure to change its stamp."""
    try:
        return not _unsettled_ns(os.stat(path))
    except OSError:
        return False


def settled_stamp(path: str | Path) -> str:
    """Return the stamp of a file that was just put in its place, after waiting for the clock to go on by one tick.

    Empty where that would take longer, on a network file system: the file is read again when it is first wanted.
    """
    state = os.stat(path)
    wait_ns = _unsettled_ns(state)
    if wait_ns > _TICK_NS:
        return ""
    if wait_ns:
        time.sleep(wait_ns / 1e9)
    return stamp_of(path)


def _unsettled_ns(state: os.stat_result) -> int:
    """Return for how long a file must rest before its stamp can be trusted; 0 where it can be."""
    age_ns = time.time_ns() - state.st_ctime_ns
    if age_ns >= _NETWORK_NS:
        return 0
    kind = _file_system(state.st_dev)
    if kind in _NETWORK or kind.startswith("fuse"):
        return _NETWORK_NS - age_ns
    if kind in _FINE and _kernel() >= _FINE_SINCE and age_ns >= 0:
        return 0
    return max(0, _TICK_NS - age_ns)


_file_systems: dict[int, str] = {}


def _file_system(device: int) -> str:
    """Return the kind of file system that a device holds, as the kernel names it; empty where it does not say."""
    if device not in _file_systems:
        name = f"{os.major(device)}:{os.minor(device)}"
        try:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
                found = (line.split() for line in mounts)
                kinds = [words[words.index("-") + 1] for words in found if words[2:3] == [name] and "-" in words]
        except OSError:
            kinds = []
        _file_systems[device] = kinds[-1] if kinds else ""
    return _file_systems[device]


def _kernel() -> tuple[int, ...]:
    digits = os.uname().release.split("-")[0].split(".")[:2]
    return tuple(int(part) for part in digits if part.isdigit())
