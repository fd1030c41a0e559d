"""What an expression of the OCA language means for a header, and in words why it does not hold.

A keyword that is missing is undefined: no comparison with it holds but `!=`, `?=` and `tryBetween`, and two missing
ones are not equal. Numbers compare as numbers even where one of them is written as a text (`DET.DIT` is 2 in one file
and `'2.0'` in another). `like` knows `%` alone as a wildcard (`_` is a letter of ESO's values), `regexp` must match
the whole value.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import TypeAlias

from esorex_bridge.definitions.oca import expressions as ex
from esorex_bridge.errors import UserError
from esorex_bridge.fits.card import Value

Keywords: TypeAlias = Mapping[str, Value]
"""Keywords of a file with their values, header and rules together."""

NOTHING: Keywords = {}

_ORDERED: dict[str, Callable[[float | str, float | str], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def holds(condition: ex.Expression, keywords: Keywords, of_input: Keywords = NOTHING) -> bool:
    """Tell whether a condition holds.

    Parameters
    ----------
    condition : Expression
        What to test.
    keywords : mapping
        Of the file looked at.
    of_input : mapping
        Of the file that triggered the action (`inputFile.…`).
    """
    match condition:
        case ex.All(parts):
            return all(holds(part, keywords, of_input) for part in parts)
        case ex.Any(parts):
            return any(holds(part, keywords, of_input) for part in parts)
        case ex.Not(inner):
            return not holds(inner, keywords, of_input)
        case ex.Compared(left, sign, right):
            return _compare(sign, evaluate(left, keywords, of_input), evaluate(right, keywords, of_input))
        case ex.Like(term, pattern):
            return _matches(_like(pattern), evaluate(term, keywords, of_input))
        case ex.Matches(term, pattern):
            return _matches(_regexp(pattern), evaluate(term, keywords, of_input))
        case ex.IsA(term, what):
            value = evaluate(term, keywords, of_input)
            return isinstance(value, str) if what == "string" else value is None
        case ex.Between(term, low, high, lenient):
            value, least, most = (evaluate(part, keywords, of_input) for part in (term, low, high))
            if lenient and None in (value, least, most):
                return True
            return _compare(">=", value, least) and _compare("<=", value, most)
    return evaluate(condition, keywords, of_input) in (True, "T")


def evaluate(expression: ex.Expression, keywords: Keywords, of_input: Keywords = NOTHING) -> Value:
    """Return the value of an expression; None where it is undefined."""
    match expression:
        case ex.Constant(value):
            return value
        case ex.Keyword(name, of_trigger):
            return (of_input if of_trigger else keywords).get(name)
        case ex.Calculated(left, sign, right):
            return _calculate(sign, evaluate(left, keywords, of_input), evaluate(right, keywords, of_input))
        case ex.Negative(term):
            return _calculate("-", 0, evaluate(term, keywords, of_input))
    return holds(expression, keywords, of_input)


def equal(left: Value, right: Value) -> bool:
    """Tell whether two values of headers agree; what is undefined agrees with nothing."""
    if left is None or right is None:
        return False
    if isinstance(left, bool) or isinstance(right, bool):
        return _flag(left) == _flag(right)
    if left == right:
        return True
    if isinstance(left, str) and isinstance(right, str):
        return False
    return _number(left) == _number(right) is not None


def _compare(sign: str, left: Value, right: Value) -> bool:
    if sign == "==":
        return equal(left, right)
    if sign == "!=":
        return not equal(left, right)
    if sign == "?=":
        return left is None or right is None or equal(left, right)
    if left is None or right is None:
        return False
    if isinstance(left, str) and isinstance(right, str):
        return _ORDERED[sign](left, right)
    first, second = _number(left), _number(right)
    return first is not None and second is not None and _ORDERED[sign](first, second)


def _flag(value: Value) -> Value:
    return {"T": True, "F": False}.get(value, value) if isinstance(value, str) else value


def _number(value: Value) -> float | None:
    if isinstance(value, (int, float)):
        return value
    try:
        return float(value) if value is not None else None
    except ValueError:
        return None


def _calculate(sign: str, left: Value, right: Value) -> Value:
    if sign == "+" and isinstance(left, str) and isinstance(right, str):
        return left + right
    first, second = _number(left), _number(right)
    if first is None or second is None or (sign == "/" and second == 0):
        return None
    operations: dict[str, Callable[[float, float], float]] = {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": operator.truediv,
    }
    return operations[sign](first, second)


def _matches(pattern: re.Pattern[str], value: Value) -> bool:
    return value is not None and pattern.fullmatch(render_value(value)) is not None


@lru_cache(maxsize=4096)
def _like(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("%")), re.DOTALL)


@lru_cache(maxsize=4096)
def _regexp(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error as error:
        raise UserError(f"invalid regular expression in the rules: '{pattern}' ({error})") from error


def render_value(value: Value) -> str:
    """Return a value as a person writes it: T and F, numbers without a needless fraction."""
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return "undefined" if value is None else str(value)


def objections(condition: ex.Expression, keywords: Keywords, of_input: Keywords = NOTHING) -> tuple[str, ...]:
    """Return in words why a condition does not hold: "DET.DIT 10 ≠ 2"; empty where it holds."""
    return tuple(dict.fromkeys(_objections(condition, keywords, of_input)))


def _objections(condition: ex.Expression, keywords: Keywords, of_input: Keywords) -> Iterator[str]:
    if holds(condition, keywords, of_input):
        return
    match condition:
        case ex.All(parts):
            for part in parts:
                yield from _objections(part, keywords, of_input)
        case ex.Any(parts):
            yield " and ".join(text for part in parts for text in objections(part, keywords, of_input))
        case ex.Compared() | ex.Between():
            yield _days_away(condition, keywords, of_input) or _describe(condition, keywords, of_input)
        case _:
            yield _describe(condition, keywords, of_input)


_NEGATED = {"==": "≠", "?=": "≠", "!=": "=", "<": "≥", "<=": ">", ">": "≤", ">=": "<"}


def _describe(condition: ex.Expression, keywords: Keywords, of_input: Keywords) -> str:
    match condition:
        case ex.Compared(left, sign, right):
            if isinstance(left, ex.Keyword) and left.of_input and not isinstance(right, ex.Constant):
                left, right = right, left
                sign = _MIRRORED.get(sign, sign)
            value, other = evaluate(left, keywords, of_input), evaluate(right, keywords, of_input)
            if value is None or other is None:
                return f"{left if value is None else right} is undefined"
            name = "" if isinstance(left, ex.Constant) else f"{left} "
            return f"{name}{render_value(value)} {_NEGATED[sign]} {render_value(other)}"
        case ex.Like(term, pattern) | ex.Matches(term, pattern):
            word = "like" if isinstance(condition, ex.Like) else "of the form"
            return f"{term} {render_value(evaluate(term, keywords, of_input))} is not {word} '{pattern}'"
        case ex.IsA(term, what):
            return f"{term} {render_value(evaluate(term, keywords, of_input))} is not {what}"
        case ex.Between(term, low, high):
            value, least, most = (render_value(evaluate(part, keywords, of_input)) for part in (term, low, high))
            return f"{term} {value} is not between {least} and {most}"
    return f"{condition} does not hold"


_MIRRORED: dict[ex.Operator, ex.Operator] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _days_away(condition: ex.Compared | ex.Between, keywords: Keywords, of_input: Keywords) -> str | None:
    """Tell a limit in time as people say it: "12.3 days away, limit 7"; None where it is about something else."""
    found = ex.keywords_in(condition)
    here, there = _number(keywords.get("MJD-OBS")), _number(of_input.get("MJD-OBS"))
    both = {keyword.of_input for keyword in found} == {False, True}
    if not both or {keyword.name for keyword in found} != {"MJD-OBS"} or here is None or there is None:
        return None
    term, bounds = _term_and_bounds(condition)
    is_difference = any(keyword.of_input for keyword in ex.keywords_in(term))
    value = _number(evaluate(term, keywords, of_input))
    limits = [limit for bound in bounds if (limit := _number(evaluate(bound, keywords, of_input))) is not None]
    if value is None or not limits:
        return None
    crossed = limits[0] if value < limits[0] else limits[-1]
    limit = abs(crossed if is_difference else crossed - there)
    return f"{abs(here - there):.1f} days away, limit {limit:g}"


def _term_and_bounds(condition: ex.Compared | ex.Between) -> tuple[ex.Expression, tuple[ex.Expression, ...]]:
    """Return the side with the candidate's time, and what bounds it."""
    if isinstance(condition, ex.Between):
        return condition.term, (condition.low, condition.high)
    if any(not keyword.of_input for keyword in ex.keywords_in(condition.left)):
        return condition.left, (condition.right,)
    return condition.right, (condition.left,)
