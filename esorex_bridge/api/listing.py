"""A tuple that shows itself as a table, and whose items are had by position or by name."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, overload

from esorex_bridge.errors import UnknownNameError, UserError
from esorex_bridge.values import html_table

T = TypeVar("T")


class Listing(tuple[T, ...], Generic[T]):
    """Items in order, each with a name.

    Examples
    --------
    >>> night.datasets[0]                                       # doctest: +SKIP
    >>> night.datasets["NACO.2016-03-02T00:30:00.076_tpl"]      # doctest: +SKIP
    """

    kind = "item"
    """What an item is called."""

    columns: tuple[str, ...] = ("name",)
    """Heads of the table."""

    @staticmethod
    def name_of(item: Any) -> str:
        """Return the name of an item."""
        return str(item.name)

    @staticmethod
    def row_of(item: Any) -> tuple[object, ...]:
        """Return the cells of an item."""
        return (item.name,)

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each item."""
        return tuple(map(self.name_of, self))

    @overload  # type: ignore[override]
    def __getitem__(self, key: int | str) -> T: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[T, ...]: ...

    def __getitem__(self, key: int | str | slice) -> T | tuple[T, ...]:
        """Return an item by its position or its name; a part of them by a slice.

        Raises
        ------
        UnknownNameError
            If there is none of that name.
        UserError
            If there are several.
        """
        if not isinstance(key, str):
            return super().__getitem__(key)
        found = self.all(key)
        if not found:
            raise UnknownNameError(self.kind, key, self.names)
        if len(found) > 1:
            raise UserError(f"{len(found)} {self.kind}s are called {key}; .all({key!r}) returns them all")
        return found[0]

    def all(self, name: str) -> tuple[T, ...]:
        """Return all items of a name."""
        return tuple(item for item in self if self.name_of(item) == name)

    def __repr__(self) -> str:
        """Return a line an item."""
        body = "".join(f"\n  {item!r}" for item in self)
        return f"{len(self)} {self.kind}{'s' * (len(self) != 1)}{body}"

    def _repr_html_(self) -> str:
        return html_table(self.columns, map(self.row_of, self))

    def _ipython_key_completions_(self) -> list[str]:
        return list(self.names)
