"""The real EsoRex: where it is, becoming it, asking it, and running it while its words are kept.

Nothing but `os` and `sys` is imported at once, because every call passes here, also those that end by becoming EsoRex.
"""

from __future__ import annotations

import contextlib
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType
    from typing import NoReturn

_MARK = "ESOREX_LAZY_CALLER"
_KEPT_BYTES = 16 << 20
_PIECE_BYTES = 1 << 16
_LOOK_UP_MS = 200
_FORWARDED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")


def find_real(variables: Mapping[str, str], own: str) -> str | None:
    """Return the path of the real EsoRex: `ESOREX_LAZY_ESOREX`, else the first `esorex` on PATH that is not this.

    Parameters
    ----------
    variables : mapping of str to str
        The environment.
    own : str
        How this program was started; a link called `esorex` that leads here is passed over, and so is a script of
        that name that led back here.
    """
    tried = variables.get(_MARK)
    chosen = variables.get("ESOREX_LAZY_ESOREX")
    if chosen and chosen != tried:
        return chosen
    folders = [folder for folder in variables.get("PATH", os.defpath).split(os.pathsep) if folder]
    selves = _selves(own, folders)
    for folder in folders:
        path = f"{folder}/esorex"
        if path != tried and os.access(path, os.X_OK) and os.path.isfile(path) and os.path.realpath(path) not in selves:
            return path
    return None


def is_called_by_itself(variables: Mapping[str, str]) -> bool:
    """Tell whether what was taken for the real EsoRex led back here: then the next one is it."""
    return _MARK in variables


def _selves(own: str, folders: Sequence[str]) -> set[str]:
    paths = [own] if "/" in own else [f"{folder}/{own}" for folder in folders]
    beside = f"{os.path.dirname(sys.executable)}/esorex-lazy"
    return {os.path.realpath(path) for path in (*paths, beside)}


def become(real: str, words: Sequence[str]) -> NoReturn:
    """Turn this process into the real EsoRex, with the words as they came."""
    os.environ[_MARK] = real
    sys.stdout.flush()
    _heed_signals()
    try:
        os.execv(real, ["esorex", *words])
    except OSError as error:
        print(f"esorex-lazy: {real} cannot be started: {error.strerror}", file=sys.stderr)
        raise SystemExit(127) from None


def ask(real: str, words: Sequence[str]) -> int:
    """Run EsoRex to its end with its messages thrown away, and return its exit code."""
    silence = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    process = os.posix_spawn(
        real, ["esorex", *words], _variables(real), file_actions=silence, setsigdef=_find_ignored()
    )
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


class Ended:
    """How a run of the real EsoRex ended.

    Parameters
    ----------
    code : int
        Its exit code; negative where a signal ended it.
    out, err : bytes or None
        What it said on stdout and on stderr; None where that was too much to keep.
    """

    __slots__ = ("code", "err", "out")

    def __init__(self, code: int, out: bytes | None, err: bytes | None) -> None:
        self.code = code
        self.out = out
        self.err = err


def run(real: str, words: Sequence[str], extra: Mapping[str, str], unsaid: bytes = b"") -> Ended:
    """Run EsoRex as this process would have been it, passing its words on and keeping them.

    Signals that would have met EsoRex are forwarded to it, and it does not outlive this process.

    Parameters
    ----------
    real : str
        Path of the real EsoRex.
    words : sequence of str
        Its arguments.
    extra : mapping of str to str
        Variables to set besides those of this process.
    unsaid : bytes
        A line with these words is not passed on, because it speaks of what `extra` set.
    """
    from esorex_bridge.lazy.guard import Guarded

    pipes = os.pipe(), os.pipe()
    variables = {**_variables(real), **extra}
    guarded = Guarded(lambda: _start(real, words, variables, pipes), [number for pipe in pipes for number in pipe])
    for _, write in pipes:
        os.close(write)
    restore = _forward_signals(guarded.process)
    kept = _Kept({pipes[0][0]: 1, pipes[1][0]: 2}, unsaid)
    kept.follow(guarded.answers)
    code = guarded.code()
    restore()
    return Ended(code, kept.text(1), kept.text(2))


def die_of(code: int) -> int:
    """Return an exit code to end with; where it stands for a signal, end by that signal, as EsoRex did."""
    if code >= 0:
        return code
    import resource
    import signal

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # EsoRex left its own core, if any
    with contextlib.suppress(OSError):  # SIGKILL has no other way
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    return 128 - code


def without_line(text: bytes, words: bytes) -> bytes:
    """Return a text without the lines that have these words in them."""
    return b"".join(line for line in text.splitlines(keepends=True) if words not in line)


def _variables(real: str) -> dict[str, str]:
    return {**os.environ, _MARK: real}


def _start(
    real: str, words: Sequence[str], variables: Mapping[str, str], pipes: tuple[tuple[int, int], ...]
) -> NoReturn:
    """Be the child: never return into the parent's code."""
    try:
        _heed_signals()
        for number, (_, write) in enumerate(pipes, start=1):
            os.dup2(write, number)
        os.execve(real, ["esorex", *words], dict(variables))
    except BaseException as error:
        os.write(2, f"esorex-lazy: {real} cannot be started: {error}\n".encode(errors="replace"))
    finally:
        os._exit(127)


def _find_ignored() -> list[int]:
    """Return the signals that Python ignores, which what it starts would inherit."""
    import signal

    return [number for name in ("SIGPIPE", "SIGXFSZ") if (number := getattr(signal, name, None))]


def _heed_signals() -> None:
    import signal

    for number in _find_ignored():
        signal.signal(number, signal.SIG_DFL)


def _forward_signals(process: int) -> Callable[[], None]:
    import signal

    def forward(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)

    earlier = {number: signal.signal(number, forward) for name in _FORWARDED if (number := getattr(signal, name))}

    def restore() -> None:
        for number, handler in earlier.items():
            signal.signal(number, handler)

    return restore


class _Kept:
    """Passes on what comes from pipes, and keeps it."""

    def __init__(self, targets: Mapping[int, int], unsaid: bytes) -> None:
        self._targets = dict(targets)
        self._unsaid = unsaid
        self._pieces: dict[int, list[bytes] | None] = {target: [] for target in targets.values()}
        self._room = _KEPT_BYTES

    def text(self, target: int) -> bytes | None:
        """Return what went to a file descriptor; None where it was too much, or nobody took it."""
        pieces = self._pieces[target]
        return None if pieces is None else b"".join(pieces)

    def follow(self, ended: int) -> None:
        """Pass on until the end of EsoRex can be read from a descriptor and nothing is left in the pipes.

        A recipe's own children may hold the pipes open after EsoRex ended. A signal that comes just before a wait is
        seen at the next one.
        """
        import select

        waiting = select.poll()
        for source in (*self._targets, ended):
            waiting.register(source, select.POLLIN)
        try:
            while True:
                ready = [source for source, _ in waiting.poll(_LOOK_UP_MS)]
                sources = [source for source in ready if source != ended]
                for source in sources:
                    if not self._pass_on(source):
                        waiting.unregister(source)
                        del self._targets[source]
                if ended in ready and not sources:
                    return
        finally:
            for source in self._targets:
                os.close(source)

    def _pass_on(self, source: int) -> bool:
        piece = os.read(source, _PIECE_BYTES)
        if not piece:
            os.close(source)
            return False
        target = self._targets[source]
        if self._unsaid and self._unsaid in piece:  # EsoRex writes each line at once
            piece = without_line(piece, self._unsaid)
        self._keep(target, piece)
        try:
            while piece:
                piece = piece[os.write(target, piece) :]
        except BrokenPipeError:
            # Closing our end lets the next word of EsoRex meet the same broken pipe.
            self._pieces[target] = None
            os.close(source)
            return False
        return True

    def _keep(self, target: int, piece: bytes) -> None:
        pieces = self._pieces[target]
        self._room -= len(piece)
        if pieces is not None and self._room >= 0:
            pieces.append(piece)
        else:
            self._pieces[target] = None
