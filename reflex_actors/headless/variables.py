"""Parameters of a running workflow: texts with `$NAME`, and the few expressions that workflow files hold."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from reflex_actors.headless.tokens import Value, WorkflowError, text_of
from reflex_actors.moml.model import Entity, Property

_REFERENCE = re.compile(r"\$(?:(\$)|\{([^}]+)\}|\(([^)]+)\)|([A-Za-z_]\w*))")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
_TEXT_CLASSES = ("StringParameter", "FileParameter", "FilePortParameter")
_PLAIN_CLASSES = ("StringAttribute",)
_VALUED = ("Parameter", *_PLAIN_CLASSES)
_DEEPEST = 40


class Variables:
    """The parameters of a composite or an actor, with those of what it stands in behind them.

    Parameters
    ----------
    entity : Entity
        Whose properties are the parameters.
    outer : Variables or None
        Those of the composite it stands in.
    texts : iterable of str
        Names of parameters that hold texts whatever their class says: the actor makes them so.
    """

    def __init__(self, entity: Entity, outer: Variables | None = None, texts: Iterable[str] = ()) -> None:
        self._own = {each.name: each for each in entity.properties if _is_valued(each)}
        self._set: dict[str, Value] = {}
        self._texts = tuple(texts)
        self.outer = outer

    def __contains__(self, name: str) -> bool:
        return name in self._own or name in self._set

    def names(self) -> tuple[str, ...]:
        """Return the names of its own parameters."""
        return tuple(self._own)

    def assign(self, name: str, value: Value) -> None:
        """Give a parameter a value, in the nearest place that has it.

        Raises
        ------
        WorkflowError
            If there is none of that name.
        """
        found = self.owner(name)
        if found is None:
            raise WorkflowError(f"there is no parameter {name} to be set")
        found._set[name] = value

    def owner(self, name: str) -> Variables | None:
        """Return the nearest place that has a parameter; None where none has it."""
        place: Variables | None = self
        while place is not None and name not in place:
            place = place.outer
        return place

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter of its own as text."""
        return text_of(self.value(name)) if name in self else default

    def value(self, name: str, depth: int = 0) -> Value:
        """Return the value of a parameter, its own or of what it stands in.

        Raises
        ------
        WorkflowError
            If there is none, or its expression cannot be read.
        """
        place = self.owner(name)
        if place is None:
            return _system(name)
        if depth > _DEEPEST:
            raise WorkflowError(f"parameter {name} refers to itself")
        if name in place._set:
            return place._set[name]
        return place._evaluate(place._own[name], depth + 1)

    def unreadable(self, unused: Collection[str] = ()) -> Iterator[str]:
        """Yield what is wrong with its own parameters, but for those that nobody uses."""
        for name in self._own:
            if name in unused:
                continue
            try:
                self.value(name)
            except WorkflowError as error:
                yield f"parameter {name}: {error}"

    def _evaluate(self, each: Property, depth: int) -> Value:
        written = each.value or ""
        if each.cls.endswith(_PLAIN_CLASSES):
            return written
        if each.cls.endswith(_TEXT_CLASSES) or self._holds_text(each.name):
            return self.substitute_names(written, depth, each.name)
        return self.expression(written, depth, each.name)

    def _holds_text(self, name: str) -> bool:
        return any(re.fullmatch(pattern, name) for pattern in self._texts)

    def _refer(self, name: str, depth: int, own: str) -> Value:
        """Return the value that a name has within a parameter: its own name is that of a parameter further out."""
        if name == own:
            return self.outer.value(name, depth) if self.outer else _system(name)
        return self.value(name, depth)

    def substitute_names(self, text: str, depth: int = 0, own: str = "") -> str:
        """Return a text, that of a parameter or another, with `$NAME`, `${NAME}` and `$(NAME)` replaced.

        `$$` is a dollar.
        """

        def replace_name(found: re.Match[str]) -> str:
            name = found.group(2) or found.group(3) or found.group(4)
            return "$" if found.group(1) else text_of(self._refer(name, depth, own))

        return _REFERENCE.sub(replace_name, text)

    def expression(self, text: str, depth: int = 0, own: str = "") -> Value:
        """Return the value of an expression, of a parameter or another: a constant, a name, or an array of these.

        Raises
        ------
        WorkflowError
            If it is something else.
        """
        stripped = text.strip()
        if found := _STRING.fullmatch(stripped):
            inner = re.sub(r"\\(.)", lambda each: _ESCAPES.get(each.group(1), each.group(1)), found.group(1))
            return self.substitute_names(inner, depth, own)
        if stripped in ("true", "false"):
            return stripped == "true"
        if re.fullmatch(r"[-+]?\d+", stripped):
            return int(stripped)
        if re.fullmatch(r"[-+]?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)?", stripped):
            return float(stripped)
        if re.fullmatch(r"[A-Za-z_]\w*", stripped):
            return self._refer(stripped, depth, own)
        if stripped.startswith("{") and stripped.endswith("}") and "=" not in stripped:
            return tuple(self.expression(word, depth, own) for word in stripped[1:-1].split(",") if word.strip())
        if not stripped:
            return ""
        raise WorkflowError(f"the expression {stripped!r} is not understood")


def _is_valued(each: Property) -> bool:
    return each.value is not None and each.cls.endswith(_VALUED) and not each.name.startswith("_")


def _system(name: str) -> Value:
    known: Mapping[str, str] = {"HOME": os.environ.get("HOME", "/"), "CWD": os.getcwd(), "TMPDIR": "/tmp"}  # noqa: PTH109
    if name not in known:
        raise WorkflowError(f"there is no parameter {name}")
    return known[name]
