"""Loggers of ours. logging takes 5 ms to load with what it wants, so who has something to say loads it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger

_set_up: list[Callable[[], None]] = []


def set_up_later(set_up: Callable[[], None]) -> None:
    """Have logging set up when one of our loggers is wanted first; at once, where it is loaded already."""
    if "logging" in sys.modules:
        set_up()
    else:
        _set_up[:] = [set_up]


def logger(name: str) -> Logger:
    """Return the logger of a module."""
    import logging

    while _set_up:
        _set_up.pop()()
    return logging.getLogger(name)
