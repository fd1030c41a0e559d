"""Asking a package's own functions: an exception is no answer, and is reported with file and line."""

from __future__ import annotations

from typing import Any

from esorex_bridge.edps.child.inert import Inert, site_of


class Calls:
    """Asks call-backs, and takes down what is worth telling, each thing once."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def say(self, text: str) -> None:
        """Take a message down."""
        if text not in self.messages and len(self.messages) < 500:
            self.messages.append(text)

    def place(self, function: Any) -> str:
        """Return a function's name with file and line."""
        found = site_of(function)
        return f"{getattr(function, '__name__', 'a function')} ({found.file.rpartition('/')[2]}:{found.line})"

    def ask(self, function: Any, *arguments: Any) -> Any:
        """Return what a function answers; None where it raises."""
        Inert.evaluating = True
        try:
            return function(*arguments)
        except Exception as error:
            self.say(f"{self.place(function)} failed: {type(error).__name__}: {error}; taken as no")
            return None
        finally:
            Inert.evaluating = False

    def holds(self, function: Any, *arguments: Any) -> bool:
        """Return a function's answer as yes or no."""
        answer = self.ask(function, *arguments)
        if isinstance(answer, Inert):
            self.say(f"{self.place(function)} uses what is not installed where packages are read; taken as no")
            return False
        return bool(answer)
