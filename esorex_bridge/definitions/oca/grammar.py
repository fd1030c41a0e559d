"""The grammar of OCA files: text becomes rules, and what cannot be read is told by file, line, column and expectation.

The language is known from the files themselves: those of ESO's pipelines, and the METIS workflow's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any as AnyType
from typing import Final

import lark

from esorex_bridge.definitions.oca import expressions as ex
from esorex_bridge.definitions.oca import rules as ru
from esorex_bridge.definitions.oca.builder import Builder
from esorex_bridge.errors import UserError

_GRAMMAR: Final = r"""
start: _statement*
_statement: classification | execution | action | ";"

classification: IF _or THEN "{" assignment* "}"
assignment: NAME "=" _or ";"

execution: [min_ret] SELECT EXECUTE "(" NAME ")" FROM source WHERE _or [group] [alias] ";"
group: GROUP BY NAME ("," NAME)*
alias: AS "(" NAME "," NAME ")"

action: ACTION NAME "{" _part* "}"
_part: limit | selection | recipe | product | priority | ";"
selection: SELECT FILE AS NAME FROM source WHERE _or ";"
recipe: RECIPE NAME (";" | "{" (STRING ";"?)* "}" ";"?)
product: PRODUCT NAME "{" assignment* "}" ";"?
priority: PRIORITY "=" INT ";"
limit: min_ret | max_ret
min_ret: MINRET "=" INT ";"?
max_ret: MAXRET "=" INT ";"?
source: INPUTFILES | RAWFILES | CALIBFILES

expression: _or
_or: any | _and
any: _and (OR _and)+
_and: all | _not
all: _not (AND _not)+
_not: not | _test
not: NOT _not
_test: compared | like | regexp | is_a | between | _sum
compared: _sum COMPARISON _sum
like: _sum LIKE STRING
regexp: _sum REGEXP STRING
is_a: _sum IS KIND
between: _sum BETWEEN _sum AND _sum
_sum: sum | _product
sum: _sum SIGN _product
_product: product_of | _sign
product_of: _product TIMES _sign
_sign: negative | _atom
negative: SIGN _atom
_atom: "(" _or ")" | keyword | text | number | flag
keyword: NAME
text: STRING
number: REAL | INT
flag: FLAG

IF: "if"
THEN: "then"
SELECT: "select"
EXECUTE: "execute"
FROM: "from"
WHERE: "where"
GROUP: "group"
BY: "by"
AS: "as"
FILE: "file"
ACTION: "action"
RECIPE: "recipe"
PRODUCT: "product"
PRIORITY: "priority"
MINRET: "minRet"
MAXRET: "maxRet"
INPUTFILES: "inputFiles"
RAWFILES: "rawFiles"
CALIBFILES: "calibFiles"
OR: "or"
AND: "and"
NOT: "not"
LIKE: "like"
REGEXP: "regexp"
IS: "is"
KIND.2: /(string|undefined|null)\b/
BETWEEN.2: /(between|tryBetween)\b/
FLAG.2: /[TF](?![\w.])/
COMPARISON: "==" | "!=" | "<=" | ">=" | "<" | ">" | "?="
SIGN: "+" | "-"
TIMES: "*" | "/"
NAME: /[A-Za-z_]\w*(?:[.]\w+|-(?=[A-Za-z])\w+)*/
STRING: /"[^"\n]*"|'[^'\n]*'/
REAL: /\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+/
INT: /\d+/
COMMENT: /\/\/[^\n]*|\/\*(?:[^*]|\*(?!\/))*\*\//
%ignore COMMENT
%ignore /\s+/
"""

_WORDS: Final = {
    "NAME": "a keyword or name",
    "STRING": "a text in quotes",
    "INT": "a whole number",
    "REAL": "a number",
    "KIND": "'string', 'undefined' or 'null'",
    "BETWEEN": "'between'",
    "FLAG": "T or F",
    "COMPARISON": "a comparison (==, !=, <, <=, >, >=, ?=)",
    "SIGN": "'+' or '-'",
    "TIMES": "'*' or '/'",
    "LPAR": "'('",
    "RPAR": "')'",
    "LBRACE": "'{'",
    "RBRACE": "'}'",
    "SEMICOLON": "';'",
    "COMMA": "','",
    "EQUAL": "'='",
    "MINRET": "'minRet'",
    "MAXRET": "'maxRet'",
    "INPUTFILES": "'inputFiles'",
    "RAWFILES": "'rawFiles'",
    "CALIBFILES": "'calibFiles'",
    "$END": "the end",
    "a value": "a keyword or a value",
    "an operator": "an operator",
}
_COMMENT: Final = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_UNENDED_LIMIT: Final = re.compile(r"\b(?:minRet|maxRet)\s*=\s*\d+\b(?!\s*;)")
_VALUE: Final = {"NAME", "STRING", "INT", "REAL", "FLAG", "SIGN", "LPAR", "NOT"}
_OPERATORS: Final = {"COMPARISON", "SIGN", "TIMES", "IS", "LIKE", "REGEXP", "BETWEEN"}


class OcaError(UserError):
    """An OCA text that cannot be read.

    Parameters
    ----------
    source : str
        Name of the file.
    line, column : int
        Where, counted from 1.
    what : str
        What was found, and what was expected.
    """

    def __init__(self, source: str, line: int, column: int, what: str) -> None:
        super().__init__(f"{source}:{line}:{column}: {what}")
        self.source = source
        self.line = line
        self.column = column


def parse_rules(text: str, source: str) -> ru.Rules:
    """Read an OCA file.

    Parameters
    ----------
    text : str
        Its content.
    source : str
        Its name, for messages.

    Raises
    ------
    OcaError
        If it breaks the grammar; the message has file, line, column, and what was expected.
    """
    parts = _parse(text, source, "start")
    return ru.Rules(
        tuple(part for part in parts if isinstance(part, ru.ClassificationRule)),
        tuple(part for part in parts if isinstance(part, ru.RuleExecution)),
        tuple(part for part in parts if isinstance(part, ru.ActionRule)),
        source,
        tuple(_remarks(text, source)),
    )


def _remarks(text: str, source: str) -> Iterator[str]:
    """Yield where real files leave out a `;` that Reflex does without."""
    bare = _COMMENT.sub(lambda comment: re.sub(r"[^\n]", " ", comment.group()), text)
    for found in _UNENDED_LIMIT.finditer(bare):
        line = bare.count("\n", 0, found.start()) + 1
        yield f"{source}:{line}: ';' is missing after {' '.join(found.group().split())}; read as if it were there"


def parse_expression(text: str, source: str = "expression") -> ex.Expression:
    """Read one expression, such as a user's `INS.FILT1.NAME == "Ks"`.

    Raises
    ------
    OcaError
        If it breaks the grammar; the message has the column, and what was expected.
    """
    found: ex.Expression = _parse(text, source, "expression")
    return found


def _parse(text: str, source: str, start: str) -> AnyType:
    try:
        return _parser().parse(text, start=start)
    except lark.exceptions.UnexpectedToken as error:
        found = "the end" if error.token.type == "$END" else f"'{error.token}'"
        if error.token == "/" and text.startswith("/*", error.token.start_pos):
            found = "a comment that does not end"
        line, column = _end_of(text) if error.token.type == "$END" else (error.line, error.column)
        expected = _describe_expected(error.accepts or error.expected)
        raise OcaError(source, line, column, f"found {found}, expected {expected}") from None
    except lark.exceptions.UnexpectedCharacters as error:
        found = text[error.pos_in_stream]
        what = "a text in quotes that does not end on its line" if found in "\"'" else f"'{found}'"
        expected = _describe_expected(_find_accepted(text[: error.pos_in_stream], start))
        raise OcaError(source, error.line, error.column, f"found {what}, expected {expected}") from None


def _find_accepted(text: str, start: str) -> set[str]:
    """Return the terminals that may follow a text that is sound as far as it goes."""
    state = _parser().parse_interactive(text, start=start)
    state.exhaust_lexer()
    accepted: set[str] = state.accepts()
    return accepted


def _end_of(text: str) -> tuple[int, int]:
    lines = text.splitlines() or [""]
    return len(lines), len(lines[-1]) + 1


def _describe_expected(terminals: Iterable[str]) -> str:
    names = set(terminals)
    if "NAME" in names and "STRING" in names:
        names = names - _VALUE | {"a value"}
    if "COMPARISON" in names or "SIGN" in names:
        names = names - _OPERATORS | {"an operator"}
    words = sorted({_WORDS.get(name, f"'{name.lower()}'") for name in names if not name.startswith("__")})
    return " or ".join(words) if words else "something else"


@cache
def _parser() -> lark.Lark:
    return lark.Lark(
        _GRAMMAR,
        parser="lalr",
        lexer="basic",
        start=["start", "expression"],
        transformer=Builder(),
        maybe_placeholders=False,
        propagate_positions=False,
    )
