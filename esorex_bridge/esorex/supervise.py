"""The supervisor: starts recipes for the bridge, tells how they ended, and ends what is left when the bridge is gone.

It reads orders from stdin, each a length of four bytes and a marshalled tuple, and answers on stdout, a line each:

    (number, words, folder, variables, out, err)    start a program in a folder, with its words written to two files
    (number,)                                       end it: SIGTERM, then SIGKILL
    NUMBER started PID | NUMBER refused ERRNO | NUMBER ended CODE PROCESSOR_MS PEAK_KIB

As a subreaper it becomes the parent of every process below it that lost its own, in whatever session: nothing escapes.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    Words = list[str]
    Variables = dict[str, str]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_PATIENCE_S = 3.0
"""How long a program that was asked to end may take."""

_PEAK_UNITS = 1024 if sys.platform == "darwin" else 1
"""How many of the system's units of memory make a KiB."""

_BURIAL_S = 10.0
_LOOK_S = 0.01
_UNHEEDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_RESTORED = (*_UNHEEDED, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)


class _Supervisor:
    def __init__(self) -> None:
        self._running: dict[int, int] = {}
        """Numbers of orders by process."""
        self._deadlines: dict[int, float] = {}
        """When a process that was asked to end is killed."""
        self._wake = os.pipe()
        for number in self._wake:
            os.set_blocking(number, False)
        for kind in _UNHEEDED:  # The bridge puts all in order, or goes; both are seen at the pipe.
            signal.signal(kind, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._wake[1])

    def serve(self) -> None:
        """Do as told until the bridge is gone, then end all that is left."""
        waiting = select.poll()
        for source in (0, self._wake[0]):
            waiting.register(source, select.POLLIN)
        try:
            while True:
                ready = [source for source, _ in waiting.poll(self._patience_ms())]
                if self._wake[0] in ready:
                    os.read(self._wake[0], 1 << 12)
                self._bury()
                self._kill_stubborn()
                if 0 in ready:
                    self._obey(marshal.loads(_listen(int.from_bytes(_listen(4), "big"))))
        except EOFError:
            pass
        for process in self._running:
            end_group(process)
        end_children()

    def _patience_ms(self) -> float | None:
        if not self._deadlines:
            return None
        return max(0.0, min(self._deadlines.values()) - time.monotonic()) * 1000 + 1

    def _obey(self, order: tuple[Any, ...]) -> None:
        number = order[0]
        if len(order) > 1:
            self._start(*order)
            return
        for process, of in self._running.items():
            if of == number:
                end_group(process, signal.SIGTERM)
                self._deadlines[process] = time.monotonic() + _PATIENCE_S

    def _start(self, number: int, words: Words, folder: str, variables: Variables, out: str, err: str) -> None:
        read, write = os.pipe()  # closes by itself when the program has taken over
        process = os.fork()
        if not process:
            _become(words, folder, variables, out, err, write)
        os.close(write)
        refusal = os.read(read, 16)
        os.close(read)
        if refusal:
            os.waitpid(process, 0)
            _answer(f"{number} refused {int(refusal)}")
        else:
            self._running[process] = number
            _answer(f"{number} started {process}")

    def _bury(self) -> None:
        """Tell of programs that ended, and end what they left behind."""
        try:
            while found := os.wait4(-1, os.WNOHANG):
                process, status, used = found
                if not process:
                    break
                if process in self._running:
                    end_group(process)
                    self._deadlines.pop(process, None)
                    number, code = self._running.pop(process), os.waitstatus_to_exitcode(status)
                    spent = round((used.ru_utime + used.ru_stime) * 1000)
                    _answer(f"{number} ended {code} {spent} {used.ru_maxrss // _PEAK_UNITS}")
        except ChildProcessError:
            return
        if not self._running:
            end_children()

    def _kill_stubborn(self) -> None:
        now = time.monotonic()
        for process in [process for process, deadline in self._deadlines.items() if deadline <= now]:
            del self._deadlines[process]
            end_group(process)


def _become(words: Words, folder: str, variables: Variables, out: str, err: str, write: int) -> NoReturn:
    """Be the child: turn into the program, or say why not."""
    try:
        signal.set_wakeup_fd(-1)
        for kind in _RESTORED:
            signal.signal(kind, signal.SIG_DFL)
        os.setsid()
        die_with_parent()
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(out, flags, 0o666), 1)
        os.dup2(1 if err == out else os.open(err, flags, 0o666), 2)
        os.execvpe(words[0], words, variables)
    except OSError as error:
        os.write(write, str(error.errno).encode())
    finally:
        os._exit(127)


def _listen(size: int) -> bytes:
    """Return so many bytes of stdin; EOFError when the bridge is gone."""
    read = b""
    while len(read) < size:
        piece = os.read(0, size - len(read))
        if not piece:
            raise EOFError
        read += piece
    return read


def _answer(line: str) -> None:
    try:
        os.write(1, f"{line}\n".encode())
    except OSError:
        raise EOFError from None


def main() -> None:
    """Supervise."""
    adopt_orphans()
    _Supervisor().serve()


def adopt_orphans() -> None:
    """Become the parent of all processes below this one whose own parent ends; elsewhere than on Linux, nothing."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Be killed by the kernel when the parent ends, however it ends; elsewhere than on Linux, nothing."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def end_group(leader: int, kind: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a process group, if there is any of it left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, kind)


def end_children() -> None:
    """Kill all processes below this one, generation by generation, and wait for them."""
    deadline = time.monotonic() + _BURIAL_S
    while time.monotonic() < deadline:
        children = _children()
        for child in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        if not children:
            return  # They cannot be found here: their groups were ended, what left them is lost.
        time.sleep(_LOOK_S)


def _children() -> list[int]:
    """Return the processes whose parent is this one; none where there is no /proc."""
    own = os.getpid()
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and _parent(name) == own]
    except FileNotFoundError:
        return []


def _parent(process: str) -> int:
    try:
        with open(f"/proc/{process}/stat", "rb") as stream:
            return int(stream.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return 0
