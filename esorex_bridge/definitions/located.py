"""YAML values that know their line, so that a complaint can name it.

The library is loaded where a document is read: definitions that were read before are recalled without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from esorex_bridge.errors import UserError
from esorex_bridge.values import Scalar as Scalar

if TYPE_CHECKING:
    import yaml


class DefinitionError(UserError):
    """A definition file says something that is not allowed.

    Parameters
    ----------
    source : str
        The file.
    line : int
        Counted from 1.
    problem : str
        What is wrong, and what is allowed.
    """

    def __init__(self, source: str, line: int, problem: str) -> None:
        super().__init__(f"{source}:{line}: {problem}")
        self.source, self.line, self.problem = source, line, problem


class Located(Struct, frozen=True):
    """A YAML node with the file it stands in; read through its methods, each of which complains with the line."""

    source: str
    node: yaml.Node

    @property
    def line(self) -> int:
        """The node's line, counted from 1."""
        return self.node.start_mark.line + 1

    @property
    def is_empty(self) -> bool:
        """Whether nothing is written there (`key:` or `key: null`)."""
        return _kind(self.node) == "scalar" and self.scalar("") is None

    def complain(self, problem: str) -> DefinitionError:
        """Return the error that names this node's line."""
        return DefinitionError(self.source, self.line, problem)

    def items(self, what: str) -> Iterator[tuple[str, Located]]:
        """Yield key and value of a mapping; refuse anything else, and a key given twice."""
        if _kind(self.node) != "mapping":
            raise self.complain(f"{what} must be a mapping (key: value)")
        seen: set[str] = set()
        for key, value in self.node.value:
            name = str(key.value)
            if name in seen:
                raise DefinitionError(self.source, key.start_mark.line + 1, f"'{name}' is given twice in {what}")
            seen.add(name)
            yield name, Located(self.source, value)

    def fields(self, what: str, allowed: Iterable[str], required: Iterable[str] = ()) -> dict[str, Located]:
        """Return a mapping's fields by name; refuse those not allowed and demand those required."""
        names = tuple(allowed)
        found = {}
        for name, value in self.items(what):
            if name not in names:
                raise value.complain(f"{what} has no '{name}'; allowed: {', '.join(names)}")
            found[name] = value
        for name in required:
            if name not in found:
                raise self.complain(f"{what} needs '{name}'")
        return found

    def sequence(self, what: str) -> tuple[Located, ...]:
        """Return the elements of a list."""
        if _kind(self.node) != "sequence":
            raise self.complain(f"{what} must be a list")
        return tuple(Located(self.source, value) for value in self.node.value)

    def scalar(self, what: str) -> Scalar:
        """Return a single value of YAML's own type: text, number, true/false or nothing."""
        if _kind(self.node) != "scalar":
            raise self.complain(f"{what} must be a single value")
        from yaml.constructor import SafeConstructor

        value = SafeConstructor().construct_object(self.node)
        if isinstance(value, str | int | float | bool) or value is None:
            return value
        return str(self.node.value)

    def text(self, what: str) -> str:
        """Return a text that is not empty."""
        value = self.scalar(what)
        if not isinstance(value, str | int | float) or isinstance(value, bool) or not str(value).strip():
            raise self.complain(f"{what} must be a text")
        return str(value)

    def flag(self, what: str) -> bool:
        """Return true or false."""
        value = self.scalar(what)
        if not isinstance(value, bool):
            raise self.complain(f"{what} must be true or false")
        return value

    def count(self, what: str) -> int:
        """Return a whole number from 0."""
        value = self.scalar(what)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.complain(f"{what} must be a whole number from 0")
        return value

    @property
    def is_scalar(self) -> bool:
        """Whether it is a single value."""
        return _kind(self.node) == "scalar"

    @property
    def is_mapping(self) -> bool:
        """Whether it is a mapping."""
        return _kind(self.node) == "mapping"

    def number(self, what: str) -> float:
        """Return a number; `.inf` counts as one."""
        value = self.scalar(what)
        if not isinstance(value, int | float) or isinstance(value, bool) or value != value:
            raise self.complain(f"{what} must be a number")
        return float(value)

    def texts(self, what: str) -> tuple[str, ...]:
        """Return a list of texts; a single text counts as a list of one."""
        if _kind(self.node) == "scalar":
            return (self.text(what),)
        return tuple(element.text(f"an element of {what}") for element in self.sequence(what))


_PLAIN_TAGS = tuple(
    f"tag:yaml.org,2002:{name}"
    for name in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value")
)


def read_yaml(text: str, source: str) -> Located:
    """Read a YAML document with its lines.

    Raises
    ------
    DefinitionError
        If the text is not YAML, or empty.
    """
    import yaml

    try:
        node = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DefinitionError(
            source, mark.line + 1 if mark else 1, f"this is not YAML: {error.problem}; check the indentation"
        ) from None
    except yaml.YAMLError as error:
        raise DefinitionError(source, 1, f"this is not YAML: {error}") from None
    except RecursionError:
        raise DefinitionError(source, 1, "it is nested too deeply; write it in fewer levels") from None
    if node is None:
        raise DefinitionError(source, 1, "the file is empty")
    _refuse_tags(node, source)
    return Located(source, node)


def _kind(node: yaml.Node) -> str:
    """Return `scalar`, `sequence` or `mapping`."""
    return str(node.id)  # type: ignore[attr-defined]


def _refuse_tags(top: yaml.Node, source: str) -> None:
    """Refuse tags (`!name`): nothing here has types of its own, so one is a mistake that must not pass unseen."""
    waiting, seen = [top], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if not node.tag.startswith(_PLAIN_TAGS):
            line = node.start_mark.line + 1
            raise DefinitionError(source, line, f"the tag {node.tag} is not allowed; write the value without it")
        if _kind(node) == "mapping":
            waiting += [part for pair in node.value for part in pair]
        elif _kind(node) == "sequence":
            waiting += node.value
