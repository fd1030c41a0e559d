"""The supervisor of a command: a small process that starts its recipes, and ends them however we went.

The kernel can be asked to kill a child with its parent, but not what that child has started: a wrapper script around
EsoRex would leave EsoRex running. The supervisor adopts whatever loses its parent (`supervise.py`), and sees by the
pipe from us that we are gone.
"""

from __future__ import annotations

import marshal
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, NamedTuple

from esorex_bridge.errors import RecipeError

_LIBRARY = Path(__file__).parent
_PROGRAM = f"import sys; sys.path.append({str(_LIBRARY)!r}); from supervise import main; main()"
_END_S = 10.0


class SupervisorKilledError(RecipeError):
    """The supervisor was killed, and the recipes with it: nothing can be said of them."""

    def __init__(self) -> None:
        super().__init__("the process that starts recipes was killed; run again")


class Ending(NamedTuple):
    """How a program ended: exit code, negative for a signal; what it took, with what it had started and waited for.

    The memory is the most that one of these processes held at a time.
    """

    code: int
    processor_seconds: float
    memory_bytes: int


class SupervisedProcess:
    """A program that the supervisor started, or is about to.

    Parameters
    ----------
    supervisor : Supervisor
        Which one.
    number : int
        Of the order.
    """

    def __init__(self, supervisor: Supervisor, number: int) -> None:
        self._supervisor = supervisor
        self.number = number
        self.pid: int | None = None
        self._end: Ending | OSError | SupervisorKilledError | None = None
        self._ended = Event()

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, or was never started."""
        return self._ended.is_set()

    def note_end(self, end: Ending | OSError | SupervisorKilledError) -> None:
        """Take down how it ended, or why it was not started."""
        self._end = end
        self._ended.set()

    def wait(self) -> Ending:
        """Return how the program ended, when it has.

        Raises
        ------
        OSError
            If it could not be started.
        SupervisorKilledError
            If the supervisor was killed.
        """
        self._ended.wait()
        if not isinstance(self._end, Ending):
            assert self._end is not None
            raise self._end
        return self._end

    def ask_to_end(self) -> None:
        """Have the program ended with all that it started, first politely."""
        self._supervisor.tell(self.number)

    def end(self) -> None:
        """End the program, and wait for that."""
        self.ask_to_end()
        self.await_end(_END_S)

    def await_end(self, patience_s: float) -> None:
        """Wait for its end, so long at most."""
        self._ended.wait(patience_s)

    def kill_group(self) -> None:
        """Kill what the program has started, as far as it stayed together: nobody else is there to do it."""
        if self.pid is not None:
            with suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)


class Supervisor:
    """A supervisor process, and the pipes to it and from it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._processes: dict[int, SupervisedProcess] = {}
        self._count = 0
        self.is_gone = False
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        nowhere = (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)
        actions = [(os.POSIX_SPAWN_DUP2, orders, 0), (os.POSIX_SPAWN_DUP2, answers, 1), nowhere]
        words = [sys.executable, "-I", "-S", "-c", _PROGRAM]
        try:
            os.posix_spawn(sys.executable, words, {"PATH": os.defpath}, file_actions=actions, setsid=True)
        finally:
            os.close(orders)
            os.close(answers)
        Thread(target=self._listen, name="supervisor", daemon=True).start()

    def start(
        self, words: Sequence[str], folder: Path, variables: Mapping[str, str], out: str, err: str
    ) -> SupervisedProcess:
        """Start a program in a folder, with what it says written to files there.

        Raises
        ------
        SupervisorKilledError
            If the supervisor was killed.
        """
        with self._lock:
            self._count += 1
            process = self._processes[self._count] = SupervisedProcess(self, self._count)
        self.tell(process.number, list(words), str(folder), dict(variables), out, err)
        if self.is_gone:
            raise SupervisorKilledError()
        return process

    def tell(self, *order: Any) -> None:
        """Hand in an order; one that comes too late is passed over."""
        text = marshal.dumps(order)
        left = memoryview(len(text).to_bytes(4, "big") + text)
        with self._lock, suppress(BrokenPipeError):
            while left:
                left = left[os.write(self._orders, left) :]

    def _listen(self) -> None:
        """Take down what the supervisor says, until it is gone."""
        with os.fdopen(self._answers, encoding="ascii") as answers:
            for line in answers:
                number, word, *values = line.split()
                self._note(self._processes[int(number)], word, *map(int, values))
        self.is_gone = True
        for process in tuple(self._processes.values()):
            process.kill_group()
            self._processes.pop(process.number, None)
            process.note_end(SupervisorKilledError())

    def _note(self, process: SupervisedProcess, word: str, value: int, spent_ms: int = 0, peak_kib: int = 0) -> None:
        if word == "started":
            process.pid = value
            return
        del self._processes[process.number]
        if word == "ended":
            process.note_end(Ending(value, spent_ms / 1000, peak_kib << 10))
        else:
            process.note_end(OSError(value, os.strerror(value)))


_lock = Lock()
_present: Supervisor | None = None


def supervisor() -> Supervisor:
    """Return the supervisor of this process, started when it is first wanted."""
    global _present
    with _lock:
        if _present is None or _present.is_gone:
            _present = Supervisor()
        return _present


class Started:
    """The programs that one runner has started, to be ended together."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: set[SupervisedProcess] = set()
        self._stopped = False

    def run(
        self,
        words: Sequence[str],
        folder: Path,
        variables: Mapping[str, str],
        files: tuple[str, str],
        follow: Callable[[SupervisedProcess], None] | None = None,
    ) -> Ending:
        """Run a program to its end, and return how it ended.

        Parameters
        ----------
        words : sequence of str
            The program and its arguments.
        folder : Path
            Where it works.
        variables : mapping of str to str
            Its environment.
        files : (str, str)
            Where it writes what it says on stdout and stderr.
        follow : callable, optional
            Called while it runs; returns at its end.

        Raises
        ------
        RecipeError
            If all was stopped, or the supervisor was killed.
        OSError
            If the program cannot be started.
        """
        with self._lock:
            if self._stopped:
                raise RecipeError("stopped before it began")
            process = supervisor().start(words, folder, variables, *files)
            self._running.add(process)
        try:
            if follow is not None:
                follow(process)
            return process.wait()
        except BaseException:
            process.end()
            raise
        finally:
            self._running.discard(process)

    @property
    def stopped(self) -> bool:
        """Whether all was stopped, so that what is killed was killed by us."""
        return self._stopped

    def stop(self) -> None:
        """End what runs, with all that it started, and start nothing more."""
        with self._lock:
            self._stopped = True
            running = tuple(self._running)
        for process in running:
            process.ask_to_end()
        until = time.monotonic() + _END_S
        for process in running:
            process.await_end(max(0.0, until - time.monotonic()))
