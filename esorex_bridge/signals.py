"""Signals that ask a process to stop: an error in its main thread, but never amid the loading of a module."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from threading import Timer
from types import FrameType

Handler = Callable[[int, FrameType | None], None]

_LOADING = "<frozen importlib"
"""How the code of Python's import is named."""

_AGAIN_S = 0.005


def make_handler(error: Callable[[int], BaseException]) -> Handler:
    """Return a handler of signals that raises an error.

    Python takes the locks of its import outside of any `try`: an error that a handler raises just there leaves them
    held, and each thread that loads something from then on waits without end. A signal that arrives there is sent again
    a moment later. After the error the signal is ignored, since a second one would disturb what the first set going;
    but for Ctrl-C, by which a user ends that too.

    Parameters
    ----------
    error : callable
        Makes the error from the number of the signal.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        if _is_loading(frame):
            again = Timer(_AGAIN_S, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
            return
        if number != signal.SIGINT:
            signal.signal(number, signal.SIG_IGN)
        raise error(number)

    return handle


def _is_loading(frame: FrameType | None) -> bool:
    """Tell whether a module is being loaded there."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(_LOADING):
            return True
        frame = frame.f_back
    return False
