"""EsoRex under guard: a process between us and it, which ends all that EsoRex started, however we went.

The guard is a fork of this process that becomes the parent of what loses its own below it. It has EsoRex run in our
process group, so that EsoRex meets the signals of a terminal as it would without us, and waits for its end, or for
that of a pipe that only we hold. What goes on after EsoRex ended by itself is left alone, as without us.
"""

from __future__ import annotations

import contextlib
import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

_PASSED_OVER = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_LOOK_UP_MS = 200


class Guarded:
    """A program that runs under guard.

    Parameters
    ----------
    start : callable
        Turns the process in which it is called into the program; never returns.
    unused : sequence of int
        Descriptors that the program takes over, and its guard does not need.
    """

    def __init__(self, start: Callable[[], NoReturn], unused: Sequence[int]) -> None:
        life, self._life = os.pipe()
        self.answers, answers = os.pipe()
        """Becomes readable when the program has ended."""
        self._guard = os.fork()
        if not self._guard:
            os.close(self._life)
            _guard(start, unused, life, answers)
        os.close(life)
        os.close(answers)
        told = self._read()
        if not told:
            raise OSError("no process could be started")
        self.process = int(told)
        """The program's process."""

    def code(self) -> int:
        """Return the exit code when the program has ended, negative for a signal."""
        told = self._read()
        if not told:  # Somebody killed the guard.
            _kill(self.process)
        os.waitpid(self._guard, 0)
        os.close(self.answers)
        os.close(self._life)
        return os.waitstatus_to_exitcode(int(told)) if told else -int(signal.SIGKILL)

    def _read(self) -> bytes:
        """Return a line of the guard; nothing if it was killed."""
        line = b""
        while not line.endswith(b"\n"):
            piece = os.read(self.answers, 1)
            if not piece:
                return b""
            line += piece
        return line


def _guard(start: Callable[[], NoReturn], unused: Sequence[int], life: int, answers: int) -> NoReturn:
    """Be the guard."""
    from esorex_bridge.esorex.supervise import adopt_orphans, end_children

    try:
        adopt_orphans()
        told, tell = os.pipe()
        process = os.fork()
        if not process:
            os.close(tell)
            if os.read(told, 1):  # Nothing comes of a guard that was killed: nobody would know of the program.
                start()
            os._exit(127)
        os.close(told)
        for kind in _PASSED_OVER:
            signal.signal(kind, signal.SIG_IGN)
        os.write(answers, b"%d\n" % process)
        os.write(tell, b"\n")
        os.close(tell)
        for number in unused:
            os.close(number)
        if not _watch(process, life, answers):
            end_children()
    finally:
        os._exit(0)


def _watch(process: int, life: int, answers: int) -> bool:
    """Tell how a process ended, and return True; return False when nobody is there to be told any more."""
    import select

    waiting = select.poll()
    waiting.register(life, 0)
    if (ended := _end_of(process)) is not None:
        waiting.register(ended, select.POLLIN)
    while True:
        ready = [source for source, _ in waiting.poll(None if ended is not None else _LOOK_UP_MS)]
        if life in ready:
            return False
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            os.write(answers, b"%d\n" % status)
            return True


def _end_of(process: int) -> int | None:
    """Return a descriptor that becomes readable when a process ends, where the system has such."""
    try:
        return os.pidfd_open(process)
    except (AttributeError, OSError):
        return None


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
