"""Shows the reference of Python how msgspec structs are made: their constructor is written nowhere that can be read."""

from __future__ import annotations

from typing import Any

import griffe


class Structs(griffe.Extension):
    """Gives each struct the constructor that msgspec makes of its fields."""

    def on_class(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """Add `__init__` to a class of which `Struct` is a base."""
        if any(str(base).partition("(")[0] == "Struct" for base in cls.bases) and "__init__" not in cls.members:
            cls.set_member("__init__", _constructor(cls))


def _constructor(cls: griffe.Class) -> griffe.Function:
    kind = griffe.ParameterKind.positional_or_keyword
    parameters = [griffe.Parameter("self", kind=kind)]
    for name, member in cls.members.items():
        if isinstance(member, griffe.Attribute) and member.annotation is not None and "property" not in member.labels:
            parameters.append(
                griffe.Parameter(name, annotation=member.annotation, kind=kind, default=_default(member.value))
            )
    return griffe.Function("__init__", parameters=griffe.Parameters(*parameters), returns="None", parent=cls)


def _default(value: Any) -> str | None:
    """Return a default as it is written; of a field with a factory that there is one."""
    if value is None:
        return None
    text = str(value)
    return "..." if text.startswith("field(") and "default" in text else None if text.startswith("field(") else text
