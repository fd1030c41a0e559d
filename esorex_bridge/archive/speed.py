"""Speed: whether a transfer brings so little that it will never end."""

from __future__ import annotations

import time
from collections.abc import Callable


class SpeedWatch:
    """Watches one transfer.

    Parameters
    ----------
    least_bytes_per_s : float
        What it has to bring.
    window_s : float
        Over how long.
    clock : callable
        Seconds, from any start.
    """

    def __init__(self, least_bytes_per_s: float, window_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._least, self._window_s, self._clock = least_bytes_per_s, window_s, clock
        self._since: float = clock()
        self._size = 0

    def is_too_slow(self, size_bytes: int) -> bool:
        """Return whether the last window brought too little; `size_bytes` is what came so far."""
        now = self._clock()
        if now - self._since < self._window_s:
            return False
        slow = size_bytes - self._size < self._least * (now - self._since)
        self._since, self._size = now, size_bytes
        return slow

    @property
    def reason(self) -> str:
        """What to say of a transfer that is too slow."""
        return f"less than {self._least:.3g} bytes a second came for {self._window_s:.3g} s"
