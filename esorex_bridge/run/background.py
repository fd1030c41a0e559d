"""A call that is made beside what else goes on."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class BackgroundCall(Thread, Generic[Answer]):
    """A call that is made in a thread of its own; lighter to load than an executor, in an up-to-date run."""

    def __init__(self, call: Callable[[], Answer]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._answer: Answer
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Make the call."""
        try:
            self._answer = self._call()
        except BaseException as error:
            self._error = error

    def result(self) -> Answer:
        """Wait for the call, and return its result or raise its error."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._answer
