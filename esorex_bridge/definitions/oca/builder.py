"""Constructs of the OCA grammar become values, each as soon as it is complete."""

# ruff: noqa: D102 — each method is documented by the rule of the grammar that has its name

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any as AnyType
from typing import Final

import lark
from msgspec import Struct

from esorex_bridge.definitions.oca import expressions as ex
from esorex_bridge.definitions.oca import rules as ru

Node: Final = (
    ex.Constant
    | ex.Keyword
    | ex.Compared
    | ex.Like
    | ex.Matches
    | ex.IsA
    | ex.Between
    | ex.Calculated
    | ex.Negative
    | ex.Not
    | ex.All
    | ex.Any
)


def _unquote(token: lark.Token) -> str:
    return str(token)[1:-1]


def _nodes(children: Sequence[AnyType]) -> list[ex.Expression]:
    return [child for child in children if isinstance(child, Node)]


def _of(children: Sequence[AnyType], kind: type | tuple[type, ...]) -> tuple[AnyType, ...]:
    return tuple(child for child in children if isinstance(child, kind))


def _names(children: Sequence[AnyType]) -> list[str]:
    return [str(child) for child in children if isinstance(child, lark.Token) and child.type == "NAME"]


class _Limit(tuple[str, int]):
    """`minRet = 1;`"""


class _Group(tuple[str, ...]):
    """`group by A, B`."""


class _Alias(tuple[str, ...]):
    """`as (TPL_A,tpl)`."""


class _Source(str):
    """Where a rule looks."""


class _Priority(Struct, frozen=True):
    """`priority = 30;`"""

    level: int


class Builder:
    """One method for each construct of the grammar, which is named as there; gets what the construct is made of."""

    def start(self, children: list[AnyType]) -> list[AnyType]:
        return children

    def expression(self, children: list[AnyType]) -> ex.Expression:
        return _nodes(children)[0]

    def any(self, children: list[AnyType]) -> ex.Expression:
        return ex.Any(tuple(_nodes(children)))

    def all(self, children: list[AnyType]) -> ex.Expression:
        return ex.All(tuple(_nodes(children)))

    def compared(self, children: list[AnyType]) -> ex.Expression:
        left, operator, right = children
        return ex.Compared(left, str(operator), right)  # type: ignore[arg-type]

    def like(self, children: list[AnyType]) -> ex.Expression:
        return ex.Like(children[0], _unquote(children[2]))

    def regexp(self, children: list[AnyType]) -> ex.Expression:
        return ex.Matches(children[0], _unquote(children[2]))

    def is_a(self, children: list[AnyType]) -> ex.Expression:
        return ex.IsA(children[0], str(children[2]))  # type: ignore[arg-type]

    def between(self, children: list[AnyType]) -> ex.Expression:
        term, low, high = _nodes(children)
        return ex.Between(term, low, high, str(children[1]) == "tryBetween")

    def sum(self, children: list[AnyType]) -> ex.Expression:
        left, operator, right = children
        return ex.Calculated(left, str(operator), right)  # type: ignore[arg-type]

    product_of = sum

    def negative(self, children: list[AnyType]) -> ex.Expression:
        return ex.Negative(children[1]) if children[0] == "-" else children[1]

    def keyword(self, children: list[AnyType]) -> ex.Expression:
        name = str(children[0])
        return ex.Keyword(name.removeprefix("inputFile."), name.startswith("inputFile."))

    def text(self, children: list[AnyType]) -> ex.Expression:
        return ex.Constant(_unquote(children[0]))

    def number(self, children: list[AnyType]) -> ex.Expression:
        token = children[0]
        return ex.Constant(int(token) if token.type == "INT" else float(token))

    def flag(self, children: list[AnyType]) -> ex.Expression:
        return ex.Constant(children[0] == "T")

    def assignment(self, children: list[AnyType]) -> ru.Assignment:
        return ru.Assignment(str(children[0]), children[1])

    def classification(self, children: list[AnyType]) -> ru.ClassificationRule:
        return ru.ClassificationRule(_nodes(children)[0], _of(children, ru.Assignment), children[0].line)

    def min_ret(self, children: list[AnyType]) -> _Limit:
        return _Limit(("minRet", int(children[1])))

    def max_ret(self, children: list[AnyType]) -> _Limit:
        return _Limit(("maxRet", int(children[1])))

    def limit(self, children: list[AnyType]) -> _Limit:
        found: _Limit = children[0]
        return found

    def source(self, children: list[AnyType]) -> _Source:
        return _Source(children[0])

    def group(self, children: list[AnyType]) -> _Group:
        return _Group(_names(children))

    def alias(self, children: list[AnyType]) -> _Alias:
        return _Alias(_names(children))

    def execution(self, children: list[AnyType]) -> ru.RuleExecution:
        limits = dict(_of(children, _Limit))
        keys, alias = _of(children, _Group), _of(children, _Alias)
        return ru.RuleExecution(
            action=_names(children)[0],
            source=str(_of(children, _Source)[0]),  # type: ignore[arg-type]
            condition=_nodes(children)[0],
            keys=tuple(keys[0]) if keys else (),
            alias=(alias[0][0], alias[0][1]) if alias else None,
            min_ret=limits.get("minRet"),
            line=_line(children),
        )

    def selection(self, children: list[AnyType]) -> ru.Selection:
        return ru.Selection(
            category=_names(children)[0],
            source=str(_of(children, _Source)[0]),  # type: ignore[arg-type]
            condition=_nodes(children)[0],
            line=_line(children),
        )

    def recipe(self, children: list[AnyType]) -> ru.RuleRecipe:
        return ru.RuleRecipe(str(children[1]), tuple(_unquote(option) for option in children[2:]))

    def product(self, children: list[AnyType]) -> ru.RuleProduct:
        return ru.RuleProduct(_names(children)[0], _of(children, ru.Assignment))

    def priority(self, children: list[AnyType]) -> _Priority:
        return _Priority(int(children[1]))

    def action(self, children: list[AnyType]) -> ru.ActionRule:
        priority = _of(children, _Priority)
        return ru.ActionRule(
            name=_names(children)[0],
            selections=tuple(_apply_limits(children)),
            recipes=_of(children, ru.RuleRecipe),
            products=_of(children, ru.RuleProduct),
            priority=priority[0].level if priority else None,
            line=_line(children),
        )


def _apply_limits(parts: Sequence[AnyType]) -> Iterator[ru.Selection]:
    """Yield the selections of an action, each with the limits that stand before it (behind the selection before)."""
    limits: dict[str, int] = {}
    for part in parts:
        if isinstance(part, _Limit):
            limits.update([part])
        elif isinstance(part, ru.Selection):
            yield replace(part, min_ret=limits.get("minRet"), max_ret=limits.get("maxRet"))
            limits = {}


def _line(children: Sequence[AnyType]) -> int:
    return next((int(child.line) for child in children if isinstance(child, lark.Token)), 0)


# `not` is a word of Python, so the method that handles it cannot be written as one.
_not: Callable[[Builder, list[AnyType]], ex.Expression] = lambda self, children: ex.Not(_nodes(children)[0])  # noqa: E731
setattr(Builder, "not", _not)
