"""ADQL, as far as clients of the archive use it, translated to SQLite.

Understood: `SELECT [DISTINCT] [TOP n] columns | * | COUNT(*) FROM table [alias] [JOIN table [alias] ON a.x = b.y] …
[WHERE …] [GROUP BY …] [ORDER BY …]` with AND, OR, NOT, comparisons, LIKE, IN, BETWEEN, IS NULL, arithmetic, MIN, MAX,
UPPER, LOWER, and the geometry of cone searches. Everything else is refused, so that no text of a request reaches SQLite
as it came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from msgspec import Struct

from esorex_bridge.errors import UserError

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|(?P<text>'(?:[^']|'')*')"
    r'|(?P<name>[A-Za-z_][A-Za-z_0-9]*|"[^"]+")|(?P<sign><>|!=|<=|>=|[-+*/=<>(),.]))'
)
_AGGREGATES = frozenset(("COUNT", "MIN", "MAX", "AVG", "SUM", "UPPER", "LOWER", "ROUND", "ABS"))
_GEOMETRY = frozenset(("CONTAINS", "INTERSECTS", "POINT", "CIRCLE", "DISTANCE"))
_KEYWORDS = "SELECT DISTINCT TOP FROM WHERE AND OR NOT LIKE IN BETWEEN IS NULL ORDER GROUP BY ASC DESC AS JOIN INNER ON"
_RESERVED = frozenset(_KEYWORDS.split())


class Query(Struct, frozen=True):
    """A translated query.

    Parameters
    ----------
    tables : tuple of str
        The tables asked, with their schemas.
    sql : str
        For SQLite.
    top : int or None
        The `TOP` of the query.
    """

    tables: tuple[str, ...]
    sql: str
    top: int | None


class AdqlError(UserError):
    """A query that is no ADQL, or more than this archive understands."""


def translate(text: str, tables: Mapping[str, tuple[str, ...]]) -> Query:
    """Return the translation of a query against tables, given as column names by table name.

    Raises
    ------
    AdqlError
        If the query cannot be read, or names what there is not.
    """
    return _Parser(_tokens(text), tables).query()


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, place = [], 0
    text = text.strip().rstrip(";")
    while place < len(text.rstrip()):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise AdqlError(f"Incorrect syntax near '{text[place : place + 20].strip()}'")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        place = match.end()
    return tokens


class _Parser:
    """Recursive descent: one method per rule, each returns SQL."""

    def __init__(self, tokens: list[tuple[str, str]], tables: Mapping[str, tuple[str, ...]]) -> None:
        self._tokens = tokens
        self._place = 0
        self._tables = {name.lower(): name for name in tables}
        self._columns_of = tables
        self._sources: dict[str, str] = {}
        self._made: set[str] = set()

    def query(self) -> Query:
        self._expect("SELECT")
        distinct = "DISTINCT " if self._accept("DISTINCT") else ""
        top = int(self._take("number")) if self._accept("TOP") else None
        start = self._place
        self._skip_to("FROM")
        source = self._join()
        after, self._place = self._place, start
        columns = "*" if self._accept("*") else ", ".join(self._list(self._parse_selected))
        if not self._at("FROM"):
            raise self._error()
        self._place = after
        where = f" WHERE {self._either()}" if self._accept("WHERE") else ""
        groups = f" GROUP BY {', '.join(self._list(self._value))}" if self._pair("GROUP", "BY") else ""
        order = f" ORDER BY {', '.join(self._list(self._parse_order))}" if self._pair("ORDER", "BY") else ""
        if self._place != len(self._tokens):
            raise self._error()
        tables = tuple(self._sources.values())
        return Query(tables, f"SELECT {distinct}{columns} FROM {source}{where}{groups}{order}", top)

    def _join(self) -> str:
        source = self._table()
        while self._at("JOIN") or self._at("INNER"):
            self._accept("INNER")
            self._expect("JOIN")
            table = self._table()
            self._expect("ON")
            source += f" JOIN {table} ON {self._either()}"
        return source

    def _table(self) -> str:
        """Return a table under its alias, or under the last part of its name."""
        written = self._take("name").strip('"')
        if self._accept("."):
            written += "." + self._take("name").strip('"')
        name = self._tables.get(written.lower())
        if name is None:
            raise AdqlError(f"Invalid object name '{written}'")
        self._accept("AS")
        kind, word = self._peek()
        aliased = kind == "name" and word.upper() not in _RESERVED
        alias = (self._take("name") if aliased else written.split(".")[-1]).strip('"').lower()
        self._sources[alias] = name
        return f'"{name}" AS "{alias}"'

    def _parse_selected(self) -> str:
        value = self._value()
        if self._accept("AS"):
            alias = self._take("name").strip('"')
            self._made.add(alias.lower())
            return f'{value} AS "{alias}"'
        return value

    def _parse_order(self) -> str:
        value = self._value()
        return f"{value} DESC" if self._accept("DESC") else f"{value} {'ASC' if self._accept('ASC') else ''}".strip()

    def _either(self) -> str:
        terms = [self._both()]
        while self._accept("OR"):
            terms.append(self._both())
        return " OR ".join(terms)

    def _both(self) -> str:
        terms = [self._condition()]
        while self._accept("AND"):
            terms.append(self._condition())
        return " AND ".join(terms)

    def _condition(self) -> str:
        if self._accept("NOT"):
            return f"NOT ({self._condition()})"
        if self._at("("):
            start = self._place
            try:
                self._expect("(")
                inner = self._either()
                self._expect(")")
                return f"({inner})"
            except AdqlError:
                self._place = start
        return self._comparison()

    def _comparison(self) -> str:
        left = self._value()
        if self._accept("IS"):
            negation = "NOT " if self._accept("NOT") else ""
            self._expect("NULL")
            return f"{left} IS {negation}NULL"
        negation = "NOT " if self._accept("NOT") else ""
        if self._accept("LIKE"):
            return f"{left} {negation}LIKE {self._value()}"
        if self._accept("BETWEEN"):
            low = self._value()
            self._expect("AND")
            return f"{left} {negation}BETWEEN {low} AND {self._value()}"
        if self._accept("IN"):
            self._expect("(")
            values = ", ".join(self._list(self._value))
            self._expect(")")
            return f"{left} {negation}IN ({values})"
        for sign in ("<>", "!=", "<=", ">=", "=", "<", ">"):
            if self._accept(sign):
                return f"{left} {sign} {self._value()}"
        raise self._error()

    def _value(self) -> str:
        value = self._factor()
        while any(self._at(sign) for sign in "+-*/"):
            value = f"{value} {self._take('sign')} {self._factor()}"
        return value

    def _factor(self) -> str:
        kind, word = self._peek()
        if self._accept("-"):
            return f"-{self._factor()}"
        if self._accept("("):
            value = self._value()
            self._expect(")")
            return f"({value})"
        if kind in ("number", "text"):
            return self._take(kind)
        if kind == "name" and word.upper() not in _RESERVED:
            return self._name_or_call()
        raise self._error()

    def _name_or_call(self) -> str:
        word = self._take("name").strip('"')
        if self._accept("("):
            return self._call(word.upper())
        if word.lower() in self._sources and self._accept("."):
            return self._column(self._take("name").strip('"').lower(), (word.lower(),))
        return f'"{word.lower()}"' if word.lower() in self._made else self._column(word.lower(), tuple(self._sources))

    def _column(self, column: str, aliases: tuple[str, ...]) -> str:
        """Return a column under the alias of the one table that has it."""
        holders = [alias for alias in aliases if column in self._columns_of[self._sources[alias]]]
        if len(holders) != 1:
            raise AdqlError(f"{'Ambiguous' if holders else 'Invalid'} column name '{column}'")
        return f'"{holders[0]}"."{column}"'

    def _call(self, function: str) -> str:
        if function not in _AGGREGATES | _GEOMETRY:
            raise AdqlError(f"'{function}' is not a recognized function name")
        distinct = "DISTINCT " if self._accept("DISTINCT") else ""
        arguments = "*" if self._accept("*") else ", ".join(self._list(self._value))
        self._expect(")")
        prefix = "ADQL_" if function in _GEOMETRY else ""
        return f"{prefix}{function}({distinct}{arguments})"

    def _list(self, rule: Callable[[], str]) -> list[str]:
        values = [rule()]
        while self._accept(","):
            values.append(rule())
        return values

    def _skip_to(self, word: str) -> None:
        while not self._at(word):
            if self._place >= len(self._tokens):
                raise self._error()
            self._place += 1
        self._place += 1

    def _pair(self, first: str, second: str) -> bool:
        if not self._accept(first):
            return False
        self._expect(second)
        return True

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._place] if self._place < len(self._tokens) else ("end", "end of query")

    def _at(self, word: str) -> bool:
        kind, found = self._peek()
        return kind in ("name", "sign") and found.upper() == word

    def _accept(self, word: str) -> bool:
        if not self._at(word):
            return False
        self._place += 1
        return True

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise self._error()

    def _take(self, kind: str) -> str:
        found, word = self._peek()
        if found != kind:
            raise self._error()
        self._place += 1
        return word

    def _error(self) -> AdqlError:
        return AdqlError(f"Incorrect syntax near '{self._peek()[1]}'")
