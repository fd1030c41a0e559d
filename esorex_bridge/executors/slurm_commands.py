"""Slurm's commands: how they are run, and how a controller that does not answer is told from one that refuses."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from threading import Thread
from typing import IO

from esorex_bridge.run.executor import EngineError

_COMMAND_S = 60.0
_SILENCE = ("Unable to contact", "timed out", "Connection refused", "Zero Bytes were transmitted", "no answer")
"""What the commands say, after some seconds of trying, where the controller is stopped, busy or cut off."""

SLEEPING = "sleeping and retrying"
"""In what `sbatch` says where the queue is full."""


class NoAnswerError(EngineError):
    """Slurm's controller does not answer."""


def run_slurm(command: Sequence[str], text: str = "", tries: int = 3) -> str:
    """Return what a command of Slurm prints.

    Parameters
    ----------
    command : sequence of str
        With its words.
    text : str
        For its standard input.
    tries : int
        How often a controller that does not answer is asked.

    Raises
    ------
    NoAnswerError
        If the controller does not answer.
    EngineError
        If the command refuses, or there is none.
    """
    for attempt in range(1, tries + 1):
        code, out, stderr = _run(command, text)
        if code == 0:
            return out
        said = _words(stderr) or (f"no answer within {_COMMAND_S:.0f} s" if code is None else f"exit code {code}")
        if not any(silence in said for silence in _SILENCE):
            raise EngineError(f"{command[0]}: {said}")
        if attempt < tries:
            time.sleep(attempt)
    raise NoAnswerError(f"{command[0]}: {said}")


def _run(command: Sequence[str], text: str) -> tuple[int | None, str, str]:
    """Return a command's exit code, None where its time was up, and what it printed.

    Where the queue is full, `sbatch` says so and sleeps, longer and longer. It is ended then: nothing is handed in, and
    whoever waits for it hears of nothing else.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(),
        )
    except FileNotFoundError:
        raise EngineError(
            f"'{command[0]}' is not on the search path: this machine has no Slurm, or its module is not loaded"
        ) from None
    with process:
        said: list[str] = []
        answered: list[str] = []
        listeners = (
            Thread(target=_hear_errors, args=(process, said)),
            Thread(target=lambda: answered.extend(_lines(process.stdout))),
        )
        for listener in listeners:
            listener.start()
        code = _await_end(process, text)
        for listener in listeners:
            listener.join()
    return code, "".join(answered), "".join(said)


def _await_end(process: subprocess.Popen[str], text: str) -> int | None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.write(text)
    with suppress(BrokenPipeError):
        process.stdin.close()
    try:
        return process.wait(_COMMAND_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def _hear_errors(process: subprocess.Popen[str], said: list[str]) -> None:
    for line in _lines(process.stderr):
        said.append(line)
        if SLEEPING in line:
            process.kill()


def _lines(stream: IO[str] | None) -> Iterator[str]:
    assert stream is not None
    return iter(stream)


def _words(stderr: str) -> str:
    """Return what a command said, on one line and without its name before each part."""
    lines = (line.strip().partition("error: ")[2] or line.strip() for line in stderr.splitlines())
    return "; ".join(line for line in lines if line)


def _environment() -> dict[str, str]:
    """Return our variables as Slurm may see them.

    Without those by which a user makes its commands behave in another way, and without the login to the archive, which
    `sbatch` would put into the spool of the cluster.
    """
    kept_back = ("SBATCH_", "SQUEUE_", "SCANCEL_", "ESO_")
    return {name: value for name, value in os.environ.items() if not name.startswith(kept_back)}
