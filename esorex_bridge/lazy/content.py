"""What the recipe will read: the frames of the sets of files, in their order, by tag and content."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from esorex_bridge.lazy.command import DoubtError
from esorex_bridge.lazy.lazy_store import LazyStore, stamp

_LONGEST_LINE_BYTES = 1022


class SofFrame(NamedTuple):
    """A line of a set of files.

    Parameters
    ----------
    path : str
        As it is written.
    tag : str
        With the group behind it, where one is given.
    """

    path: str
    tag: str


class FrameContent(NamedTuple):
    """A frame with its content digest."""

    tag: str
    digest: str
    label: str


def frames_of(sofs: Iterable[str]) -> list[SofFrame]:
    """Return the frames of sets of files, in the order in which EsoRex takes them.

    Raises
    ------
    DoubtError
        If a set of files cannot be read, holds nothing, or something that EsoRex reads in a way of its own.
    """
    found = [frame for path in sofs for frame in _frames(path)]
    if not found:
        raise DoubtError("no frames")
    return found


def inputs_of(frames: Iterable[SofFrame], shelf: LazyStore) -> list[FrameContent]:
    """Return frames with their contents' digests.

    Raises
    ------
    DoubtError
        If a file is not there.
    """
    listed = list(frames)
    digests = shelf.digests_of([frame.path for frame in listed])
    return [FrameContent(frame.tag, digests[frame.path], os.path.basename(frame.path)) for frame in listed]


def _frames(sof: str) -> Iterator[SofFrame]:
    stamp(sof)  # a pipe could be read only once
    try:
        with open(sof, "rb") as stream:
            data = stream.read()
    except OSError as error:
        raise DoubtError(f"{sof} cannot be read") from error
    if data.startswith((b"SIMPLE  =", b"\xef\xbb\xbf", b"[", b"{")) or any(byte in data for byte in b"\0\r\v\f"):
        raise DoubtError(f"{sof} is an unusual set of files")
    for line in data.split(b"\n"):
        if len(line) > _LONGEST_LINE_BYTES:
            raise DoubtError(f"{sof} has a line that EsoRex would break")
        words = line.split()
        if not words or words[0].startswith(b"#"):
            continue
        if words[0].startswith(b"$"):
            raise DoubtError(f"{sof} has a path that EsoRex would expand")
        yield SofFrame(os.fsdecode(words[0]), b" ".join(words[1:]).decode("utf-8", "backslashreplace"))
