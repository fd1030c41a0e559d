"""What is not there: inert objects for what is not installed or not known, and notes of where it was met."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

_OWN_FOLDER = __file__.rpartition("/")[0]


class Site(NamedTuple):
    """Where something stands in a package."""

    file: str
    line: int


class Unknown(NamedTuple):
    """A name or call that is not known here."""

    name: str
    where: str
    site: Site


unknown: list[Unknown] = []
"""All that was not understood, in the order in which it was met."""


def site() -> Site:
    """Return the place in the package that is being executed."""
    frame = sys._getframe(1)
    while frame.f_back is not None and (
        frame.f_code.co_filename.startswith((_OWN_FOLDER, "<frozen")) or "importlib" in frame.f_code.co_filename
    ):
        frame = frame.f_back
    return Site(frame.f_code.co_filename, frame.f_lineno)


def note_unknown(name: str, where: str) -> None:
    """Take down a name that is not known, once for each place."""
    found = Unknown(name, where, site())
    if found not in unknown:
        unknown.append(found)


def site_of(function: Any) -> Site:
    """Return where a function stands; an empty place for what is none."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return Site(code.co_filename, code.co_firstlineno) if code else Site("", 0)


class Inert:
    """Stands for what is not installed or not known: takes every attribute, call and item, and means nothing.

    While call-backs are asked (`evaluating`), its truth is an error: an answer made of nothing is none.
    """

    evaluating = False

    def __init__(self, name: str = "", *_: Any, **__: Any) -> None:
        self._inert_name = name if isinstance(name, str) else ""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Inert(f"{self._inert_name}.{name}")

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Return what is inert too; a function that it decorates stays as it is."""
        if len(args) == 1 and not options and callable(args[0]) and not isinstance(args[0], Inert):
            return args[0]  # used as a decorator
        return Inert(f"{self._inert_name}()")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()

    def __getitem__(self, key: Any) -> Inert:
        return Inert(f"{self._inert_name}[]")

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __enter__(self) -> Inert:
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def __bool__(self) -> bool:
        if Inert.evaluating:
            raise TypeError(f"{self._inert_name or 'something'} is not installed where packages are read")
        return False

    def __hash__(self) -> int:
        return id(self)

    def _same(self, *_: Any) -> Inert:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __neg__ = _same
    __lt__ = __le__ = __gt__ = __ge__ = __and__ = __or__ = __mod__ = __pow__ = __abs__ = _same
    __eq__ = __ne__ = _same  # type: ignore[assignment]

    def __float__(self) -> float:
        raise TypeError(f"{self._inert_name} is not installed where packages are read")

    __int__ = __index__ = __float__
