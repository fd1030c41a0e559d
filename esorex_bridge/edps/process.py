"""One request to a child process behind the kernel's fence, and its answer as values."""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from esorex_bridge.errors import DataError, UserError

SECONDS = 10
"""How long a package may take; reading one takes a fraction of a second."""

MOST_BYTES = 64 << 20
"""How long an answer may be."""

_CHILD = Path(__file__).parent / "child" / "main.py"


class PackageError(DataError):
    """A workflow package could not be read or planned: what it did, and where."""


def ask_child(
    request: Mapping[str, Any],
    label: str,
    trusted: bool = False,
    seconds: float = SECONDS,
    python: str = sys.executable,
) -> bytes:
    """Return the answer of a fenced child process to a request, as JSON text.

    Parameters
    ----------
    request : mapping
        What `esorex_bridge.edps.child.main` takes, as values of JSON.
    label : str
        Names the package in messages.
    trusted : bool
        Without a fence: only where the user says so.
    seconds : float
        How long it may take.
    python : str
        The interpreter.

    Raises
    ------
    PackageError
        If the package failed, was ended, or answered too much.
    UserError
        If the kernel has no fence to give.
    """
    text = json.dumps({**request, "trusted": trusted, "cpu_seconds": int(seconds) + 1}).encode()
    command = [python, "-I", "-S", "-B", str(_CHILD)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={},
        cwd="/",
        close_fds=True,
        start_new_session=True,
    ) as child:
        try:
            answer = _exchange(child, text, label, seconds)
        except BaseException:
            child.kill()
            raise
    if not answer:
        raise PackageError(f"workflow package {label} ended its process {_how(child.returncode)} instead of answering")
    return answer


def _exchange(child: subprocess.Popen[bytes], text: bytes, label: str, seconds: float) -> bytes:
    """Write the request and read the answer, with an eye on time and length."""
    assert child.stdin is not None and child.stdout is not None
    until = time.monotonic() + seconds
    try:
        child.stdin.write(text)
        child.stdin.close()
    except BrokenPipeError:
        return b""
    parts: list[bytes] = []
    length = 0
    with selectors.DefaultSelector() as waiting:
        waiting.register(child.stdout, selectors.EVENT_READ)
        while True:
            left = until - time.monotonic()
            if left <= 0 or not waiting.select(left):
                raise PackageError(f"workflow package {label} was ended: it took longer than {seconds:g} s")
            part = child.stdout.read1(1 << 20)  # type: ignore[attr-defined]
            if not part:
                return b"".join(parts)
            parts.append(part)
            length += len(part)
            if length > MOST_BYTES:
                raise PackageError(f"workflow package {label} was ended: it answered more than {MOST_BYTES >> 20} MB")


def _how(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit status {code}"


def refuse_failures(answer: Mapping[str, Any], label: str) -> None:
    """Raise what a child says went wrong; errors as `ask_child`."""
    if "no_fence" in answer:
        raise UserError(
            f"workflow package {label} is Python that would be executed, and {answer['no_fence']}; "
            "if you trust it as you trust a program that you start, add --trust-package"
        )
    refused = [str(each) for each in answer.get("refused", ())]
    tried = f"; it tried: {'; '.join(refused[:5])}" if refused else ""
    error = answer.get("error")
    if isinstance(error, dict):
        place = f"{error.get('file')}:{error.get('line')}: " if error.get("file") else ""
        raise PackageError(f"workflow package {label} failed: {place}{error.get('text')}{tried}")
