"""Expressions of the OCA language as values, and as text again.

`str(expression)` is text that reads back as an equal value.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, TypeAlias

from msgspec import Struct

from esorex_bridge.fits.card import Value

Operator = Literal["==", "!=", "<=", ">=", "<", ">", "?="]
Arithmetic = Literal["+", "-", "*", "/"]


class Constant(Struct, frozen=True, tag=True):
    """A text, a number, or T and F."""

    value: str | int | float | bool

    def __str__(self) -> str:
        if isinstance(self.value, bool):
            return "T" if self.value else "F"
        if isinstance(self.value, str):
            quote = "'" if '"' in self.value else '"'
            return f"{quote}{self.value}{quote}"
        return repr(self.value)


class Keyword(Struct, frozen=True, tag=True):
    """A keyword: of the candidate, or of the file that triggered the action (`inputFile.DET.DIT`)."""

    name: str
    of_input: bool = False

    def __str__(self) -> str:
        return f"inputFile.{self.name}" if self.of_input else self.name


class Compared(Struct, frozen=True, tag=True):
    """`left == right` and its like; `?=` holds as well where either side is undefined."""

    left: Expression
    operator: Operator
    right: Expression

    def __str__(self) -> str:
        return f"{_inner(self.left, _SUM)} {self.operator} {_inner(self.right, _SUM)}"


class Like(Struct, frozen=True, tag=True):
    """`term like "%FLAT%"`: `%` stands for any text."""

    term: Expression
    pattern: str

    def __str__(self) -> str:
        return f"{_inner(self.term, _SUM)} like {Constant(self.pattern)}"


class Matches(Struct, frozen=True, tag=True):
    """`term regexp "FLAT.*"`: the whole value matches."""

    term: Expression
    pattern: str

    def __str__(self) -> str:
        return f"{_inner(self.term, _SUM)} regexp {Constant(self.pattern)}"


class IsA(Struct, frozen=True, tag=True):
    """`term is string`, `is undefined`, `is null`."""

    term: Expression
    what: Literal["string", "undefined", "null"]

    def __str__(self) -> str:
        return f"{_inner(self.term, _SUM)} is {self.what}"


class Between(Struct, frozen=True, tag=True):
    """`term between low and high`, limits included; `tryBetween` holds as well where a side is undefined."""

    term: Expression
    low: Expression
    high: Expression
    lenient: bool = False

    def __str__(self) -> str:
        word = "tryBetween" if self.lenient else "between"
        return f"{_inner(self.term, _SUM)} {word} {_inner(self.low, _SUM)} and {_inner(self.high, _SUM)}"


class Calculated(Struct, frozen=True, tag=True):
    """`left + right` and its like."""

    left: Expression
    operator: Arithmetic
    right: Expression

    def __str__(self) -> str:
        own = _rank(self)
        return f"{_inner(self.left, own)} {self.operator} {_inner(self.right, own + 1)}"


class Negative(Struct, frozen=True, tag=True):
    """`-term`."""

    term: Expression

    def __str__(self) -> str:
        return f"-{_inner(self.term, _ATOM)}"


class Not(Struct, frozen=True, tag=True):
    """`not condition`."""

    condition: Expression

    def __str__(self) -> str:
        return f"not {_inner(self.condition, _NOT)}"


class All(Struct, frozen=True, tag=True):
    """`a and b and c`."""

    parts: tuple[Expression, ...]

    def __str__(self) -> str:
        return " and ".join(_inner(part, _NOT) for part in self.parts)


class Any(Struct, frozen=True, tag=True):
    """`a or b or c`."""

    parts: tuple[Expression, ...]

    def __str__(self) -> str:
        return " or ".join(_inner(part, _AND) for part in self.parts)


Expression: TypeAlias = (
    Constant | Keyword | Compared | Like | Matches | IsA | Between | Calculated | Negative | Not | All | Any
)

_OR, _AND, _NOT, _TEST, _SUM, _PRODUCT, _SIGN, _ATOM = range(8)


def _rank(expression: Expression) -> int:
    match expression:
        case Any():
            return _OR
        case All():
            return _AND
        case Not():
            return _NOT
        case Compared() | Like() | Matches() | IsA() | Between():
            return _TEST
        case Calculated(operator="+") | Calculated(operator="-"):
            return _SUM
        case Calculated():
            return _PRODUCT
        case Negative():
            return _SIGN
    return _ATOM


def _inner(expression: Expression, lowest: int) -> str:
    """Return the text of a part, in parentheses where it binds less than its place needs."""
    return str(expression) if _rank(expression) >= lowest else f"({expression})"


def parts_of(expression: Expression) -> tuple[Expression, ...]:
    """Return the expressions directly within one."""
    match expression:
        case All(parts) | Any(parts):
            return parts
        case Compared(left, _, right) | Calculated(left, _, right):
            return (left, right)
        case Between(term, low, high):
            return (term, low, high)
        case Like(term) | Matches(term) | IsA(term) | Negative(term) | Not(term):
            return (term,)
    return ()


@lru_cache(maxsize=4096)  # the variants of an action share its conditions, and each is looked through time and again
def keywords_in(expression: Expression) -> tuple[Keyword, ...]:
    """Return the keywords that an expression asks for, from left to right."""
    if isinstance(expression, Keyword):
        return (expression,)
    return tuple(keyword for part in parts_of(expression) for keyword in keywords_in(part))


def constant(value: Value) -> Constant:
    """Return a header's value as a constant (an undefined one as an empty text)."""
    return Constant("" if value is None else value)
