"""Classification rules of OCA as a Python module of a workflow package."""

from __future__ import annotations

import pprint
from collections.abc import Iterator

from esorex_bridge.definitions.oca import expressions as ex
from esorex_bridge.definitions.oca.rules import ClassificationRule, Rules

_HEAD = '''"""Classification rules of {name}, in their order: the last that holds gives a file its tag."""
import re


def like(value, pattern):
    return regexp(value, ".*".join(map(re.escape, pattern.split("%"))))


def regexp(value, pattern):
    return value is not None and re.fullmatch(pattern, shown(value), re.DOTALL) is not None


def shown(value):
    if isinstance(value, bool):
        return "T" if value else "F"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def number(value):
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def equal(left, right):
    if left is None or right is None:
        return False
    if isinstance(left, str) == isinstance(right, str):
        return left == right
    return number(left) is not None and number(left) == number(right)


def compare(left, sign, right):
    if sign in ("==", "!=", "?="):
        same = equal(left, right) or (sign == "?=" and None in (left, right))
        return not same if sign == "!=" else same
    if left is None or right is None:
        return False
    if not (isinstance(left, str) and isinstance(right, str)):
        left, right = number(left), number(right)
    if left is None or right is None:
        return False
    return {{"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}}[sign]


def tag(f):
    """Return the tag that the rules give a file; None where they give none."""
    key = tuple(f[keyword] for keyword in KEYWORDS)
    if key not in KNOWN:
        product = f["pro.catg"] is not None
        given = [rule(f) for of_raws, rule in RULES if not (product and of_raws)]
        KNOWN[key] = next((name for name in reversed(given) if name is not None), None)
    return KNOWN[key]


KNOWN = {{}}
'''


class UnsupportedRuleError(ValueError):
    """A rule that has no counterpart in a package: what it is."""


def classification_module(rules: Rules) -> str:
    """Return the text of a module whose function `tag` classifies a file as the rules do.

    Raises
    ------
    UnsupportedRuleError
        If a rule calculates, or goes by what an earlier rule gave.
    """
    listed = [line for rule in rules.classifications for line in _lines(rule)]
    keywords = dict.fromkeys(
        keyword.name.lower() for rule in rules.classifications for keyword in ex.keywords_in(rule.condition)
    )
    names = pprint.pformat([*keywords, *(["pro.catg"] if "pro.catg" not in keywords else [])], width=110, compact=True)
    head = _HEAD.format(name=rules.name or "the pipeline")
    return f"{head}KEYWORDS = {names}\nRULES = [\n{''.join(listed)}]\n"


def _lines(rule: ClassificationRule) -> Iterator[str]:
    names = {keyword.name for keyword in ex.keywords_in(rule.condition)}
    of_raws = "PRO.CATG" not in names and any(name.startswith("DPR.") for name in names)
    for assigned in rule.assignments:
        if assigned.name == "DO.CATG":
            yield f"    ({of_raws}, lambda f: {_python(assigned.value)} if {_python(rule.condition)} else None),\n"


def _python(expression: ex.Expression) -> str:
    match expression:
        case ex.Constant(value):
            return repr(value)
        case ex.Keyword(name, False):
            if name in ("DO.CATG", "RAW.TYPE", "CATG"):
                raise UnsupportedRuleError(f"a rule goes by {name}, which another rule gives")
            return f"f[{name.lower()!r}]"
        case ex.Compared(left, sign, right):
            return f"compare({_python(left)}, {sign!r}, {_python(right)})"
        case ex.Like(term, pattern):
            return f"like({_python(term)}, {pattern!r})"
        case ex.Matches(term, pattern):
            return f"regexp({_python(term)}, {pattern!r})"
        case ex.IsA(term, what):
            return f"isinstance({_python(term)}, str)" if what == "string" else f"({_python(term)} is None)"
        case ex.Between(term, low, high, False):
            value, least, most = map(_python, (term, low, high))
            return f"(compare({value}, '>=', {least}) and compare({value}, '<=', {most}))"
        case ex.Not(condition):
            return f"(not {_python(condition)})"
        case ex.All(parts):
            return f"({' and '.join(map(_python, parts))})"
        case ex.Any(parts):
            return f"({' or '.join(map(_python, parts))})"
    raise UnsupportedRuleError(f"the rule '{expression}' has no counterpart")
