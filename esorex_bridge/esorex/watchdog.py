"""A watchdog: a small process that ends what our recipes started when we are gone, however we went.

The kernel can be asked to kill a child with its parent, but not what that child has started: a wrapper script around
EsoRex would leave EsoRex running. The watchdog is started with the first recipe, one for a whole command. It is told of
each recipe's process group, through a pipe that only we hold; when the pipe closes, it kills the groups that are left.
A program that makes a session of its own escapes it.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from threading import Lock

_PROGRAM = r"""
import os, signal, sys
def start(pid):
    try:
        with open("/proc/%d/stat" % pid) as stream:
            return stream.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
alive = {}
for line in iter(sys.stdin.readline, ""):
    word, pid = line[0], int(line[1:])
    if word == "+":
        alive[pid] = start(pid)
    else:
        alive.pop(pid, None)
for pid, begun in alive.items():
    if start(pid) in ("", begun):
        try:
            os.killpg(pid, signal.SIGKILL)
        except OSError:
            pass
"""


class Watchdog:
    """A watchdog process, and the pipe to it."""

    def __init__(self) -> None:
        self._lock = Lock()
        read, self._write = os.pipe()
        try:
            nowhere = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
            actions = [(os.POSIX_SPAWN_DUP2, read, 0), *nowhere]
            words = [sys.executable, "-I", "-S", "-c", _PROGRAM]
            os.posix_spawn(sys.executable, words, {"PATH": os.defpath}, file_actions=actions, setsid=True)
        finally:
            os.close(read)

    def watch(self, group: int) -> None:
        """Tell it of a process group that began."""
        self._tell(f"+{group}\n")

    def release(self, group: int) -> None:
        """Tell it that a process group has ended."""
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        with self._lock, suppress(OSError):
            os.write(self._write, line.encode())


@cache
def watchdog() -> Watchdog:
    """Return the watchdog of this process, started when it is first wanted."""
    return Watchdog()
