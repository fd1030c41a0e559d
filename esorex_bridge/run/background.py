"""Calls that are made beside what else goes on.

Lighter to load than executors, which want logging and with it a third of all that a run loads of Python: 5 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class BackgroundCall(Thread, Generic[Answer]):
    """A call that is made in a thread of its own."""

    def __init__(self, call: Callable[[], Answer], name: str | None = None) -> None:
        super().__init__(name=name, daemon=True)
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


class Beside:
    """Calls beside a `with` statement, which does not end before they have."""

    def __init__(self) -> None:
        self._calls: list[Thread] = []

    def __enter__(self) -> Beside:
        return self

    def call(self, call: Callable[[], Answer], name: str) -> BackgroundCall[Answer]:
        """Make a call beside what follows."""
        begun = BackgroundCall(call, name)
        self._calls.append(begun)
        return begun

    def __exit__(self, *_: object) -> None:
        for call in self._calls:
            call.join()
