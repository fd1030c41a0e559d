"""Slurm's commands: how they are run, and how a controller that does not answer is told from one that refuses."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence

from esorex_bridge.run.executor import EngineError

_COMMAND_S = 60.0
_SILENCE = ("Unable to contact", "timed out", "Connection refused", "Zero Bytes were transmitted", "no answer")
"""What the commands say, after some seconds of trying, where the controller is stopped, busy or cut off."""


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
        try:
            done = subprocess.run(
                command, input=text, capture_output=True, text=True, timeout=_COMMAND_S, check=False, env=_environment()
            )
        except FileNotFoundError:
            raise EngineError(
                f"'{command[0]}' is not on the search path: this machine has no Slurm, or its module is not loaded"
            ) from None
        except subprocess.TimeoutExpired as error:
            said = _words(_text(error.stderr)) or f"no answer within {_COMMAND_S:.0f} s"
        else:
            if done.returncode == 0:
                return done.stdout
            said = _words(done.stderr) or f"exit code {done.returncode}"
        if not any(silence in said for silence in _SILENCE):
            raise EngineError(f"{command[0]}: {said}")
        if attempt < tries:
            time.sleep(attempt)
    raise NoAnswerError(f"{command[0]}: {said}")


def _text(captured: bytes | str | None) -> str:
    """Return what a command had said when its time was up, which comes as bytes whatever was asked for."""
    return captured.decode(errors="replace") if isinstance(captured, bytes) else captured or ""


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
