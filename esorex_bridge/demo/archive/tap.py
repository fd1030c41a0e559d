"""TAP: the tables in SQLite, queries answered at once or as jobs, in the formats that clients ask for."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from collections.abc import Callable, Iterable
from math import asin, cos, degrees, radians, sin, sqrt
from threading import Lock
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.demo.archive.adql import AdqlError, translate
from esorex_bridge.demo.archive.exchange import HttpReply, HttpRequest, html_error, json_reply, text_reply
from esorex_bridge.demo.archive.faults import Fault
from esorex_bridge.demo.archive.rows import Table, TapColumn, Value

MAXREC_LIMIT = 15_000_000
VOTABLE_TYPE = "application/x-votable+xml"
_SQL_TYPES = {"char": "TEXT", "double": "REAL", "int": "INTEGER", "long": "INTEGER"}
TIMED_OUT = "The request timed out."
_SCAN = re.compile(r"LIKE\s+'%", re.IGNORECASE)
_HEAD = """<?xml version="1.0" encoding="utf-8"?>
<VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
<RESOURCE type="results">
"""


class QueryResult(Struct, frozen=True):
    """What a query found.

    Parameters
    ----------
    columns : tuple of TapColumn
        In the order of the query.
    rows : tuple of tuple
        At most MAXREC.
    overflow : bool
        Whether there was more.
    """

    columns: tuple[TapColumn, ...]
    rows: tuple[tuple[Value, ...], ...]
    overflow: bool


class TapDatabase:
    """The archive's tables, held in memory; safe to use from many threads."""

    def __init__(self, tables: Iterable[Table]) -> None:
        self.tables = {table.name: table for table in tables}
        self._lock = Lock()
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._connection.execute("PRAGMA case_sensitive_like = ON")
        for name, function, arguments in _FUNCTIONS:
            self._connection.create_function(name, arguments, function, deterministic=True)
        for table in self.tables.values():
            self._load(table)

    def close(self) -> None:
        """Forget the tables."""
        self._connection.close()

    def run(self, adql: str, maxrec: int) -> QueryResult:
        """Return what a query finds.

        Raises
        ------
        AdqlError
            If the query cannot be answered.
        """
        query = translate(adql, {name: _names(table.columns) for name, table in self.tables.items()})
        limit = maxrec if query.top is None else min(maxrec, query.top)
        with self._lock:
            try:
                cursor = self._connection.execute(f"{query.sql} LIMIT ?", (limit + 1,))
                rows = [tuple(row) for row in cursor.fetchall()]
            except sqlite3.Error as error:
                raise AdqlError(f"The query cannot be evaluated: {error}") from error
        names = [description[0] for description in cursor.description]
        overflow = len(rows) > limit and (query.top is None or maxrec < query.top)
        return QueryResult(self._find_types(query.tables, names, rows), tuple(rows[:limit]), overflow)

    def _load(self, table: Table) -> None:
        columns = ", ".join(f'"{column.name}" {_SQL_TYPES[column.datatype]}' for column in table.columns)
        self._connection.execute(f'CREATE TABLE "{table.name}" ({columns})')
        marks = ", ".join("?" * len(table.columns))
        self._connection.executemany(f'INSERT INTO "{table.name}" VALUES ({marks})', table.rows)

    def _find_types(
        self, tables: tuple[str, ...], names: list[str], rows: list[tuple[Any, ...]]
    ) -> tuple[TapColumn, ...]:
        """Return the columns of a result; those that a function made get their type from the values."""
        known = {column.name: column for table in tables for column in self.tables[table].columns}
        return tuple(
            known.get(name) or TapColumn(name.lower().replace("(*)", "_all"), _datatype(row[index] for row in rows))
            for index, name in enumerate(names)
        )


def answer_sync(database: TapDatabase, request: HttpRequest) -> HttpReply:
    """Answer a query at once; where it meets the fault of a time-out, as a service does that gives up on it."""
    for fault, give_up in _TIMEOUTS.items():
        if fault in request.faults:
            return give_up()
    if Fault.SLOW_SCAN in request.faults and _SCAN.search(request.first("QUERY")):
        return error_table(TIMED_OUT, 200)
    reply = answer_query(database, request.first("QUERY"), request)
    if Fault.TAP_TIMEOUT_TRAILING in request.faults and reply.status == 200:
        error = f'<INFO name="QUERY_STATUS" value="ERROR">{TIMED_OUT}</INFO>\n</RESOURCE>'
        return replace(reply, body=reply.body.replace(b"</RESOURCE>", error.encode()))
    return reply


def answer_query(database: TapDatabase, adql: str, request: HttpRequest) -> HttpReply:
    """Answer a query in the format that the request asks for; mistakes are a VOTable under status 400."""
    if Fault.TAP_ERROR in request.faults:
        return error_table("The query could not be processed", 400)
    if request.first("LANG", "ADQL").upper().split("-")[0] != "ADQL" or not adql:
        return error_table("LANG=ADQL and QUERY are needed", 400)
    if Fault.NO_COLUMN in request.faults and "access_estsize" in adql.lower():
        return error_table("1 unresolved identifiers: access_estsize [l.1 c.130 - l.1 c.144]!", 400)
    try:
        asked = int(request.first("MAXREC", str(MAXREC_LIMIT)))
        result = database.run(adql, 1 if Fault.TAP_OVERFLOW in request.faults else min(asked, MAXREC_LIMIT))
    except (AdqlError, ValueError) as error:
        return error_table(str(error), 400)
    return _format(result, (request.first("FORMAT") or request.first("RESPONSEFORMAT") or "votable").lower())


def error_table(message: str, status: int) -> HttpReply:
    """Return an error as TAP states it."""
    status_info = f'<INFO name="QUERY_STATUS" value="ERROR">{escape(message)}</INFO>'
    return text_reply(status, f"{_HEAD}{status_info}\n</RESOURCE>\n</VOTABLE>\n", VOTABLE_TYPE)


_TIMEOUTS: dict[Fault, Callable[[], HttpReply]] = {
    Fault.TAP_TIMEOUT_200: lambda: error_table(TIMED_OUT, 200),
    Fault.TAP_TIMEOUT_400: lambda: error_table(TIMED_OUT, 400),
    Fault.TAP_TIMEOUT_500: lambda: error_table("The query was aborted", 500),
    Fault.TAP_TIMEOUT_202: lambda: text_reply(202, "Time out! Try again, but in asynchronous mode.\n"),
    Fault.TAP_TIMEOUT_502: lambda: html_error(502, "Proxy Error"),
    Fault.TAP_TIMEOUT_504: lambda: html_error(504, "Gateway Time-out"),
}


def _format(result: QueryResult, form: str) -> HttpReply:
    if "json" in form:
        metadata = [{"name": column.name, "datatype": column.datatype} for column in result.columns]
        return json_reply(200, {"metadata": metadata, "data": result.rows})
    if "csv" in form:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([_names(result.columns), *result.rows])
        return text_reply(200, text.getvalue(), "text/csv")
    if "votable" in form:
        return text_reply(200, _votable(result), VOTABLE_TYPE)
    return error_table(f"Unsupported format {form}", 400)


def _votable(result: QueryResult) -> str:
    fields = "".join(f"<FIELD {_field_attributes(column)}/>\n" for column in result.columns)
    rows = "".join(
        "<TR>" + "".join(f"<TD>{'' if value is None else escape(str(value))}</TD>" for value in row) + "</TR>\n"
        for row in result.rows
    )
    overflow = '<INFO name="QUERY_STATUS" value="OVERFLOW"/>\n' if result.overflow else ""
    return (
        f'{_HEAD}<INFO name="QUERY_STATUS" value="OK"/>\n<TABLE>\n{fields}<DATA><TABLEDATA>\n{rows}'
        f"</TABLEDATA></DATA>\n</TABLE>\n{overflow}</RESOURCE>\n</VOTABLE>\n"
    )


def _field_attributes(column: TapColumn) -> str:
    attributes = {"name": column.name, "datatype": column.datatype, "unit": column.unit, "xtype": column.xtype}
    attributes |= {"arraysize": "*"} if column.datatype == "char" else {}
    return " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items() if value)


def _names(columns: tuple[TapColumn, ...]) -> tuple[str, ...]:
    return tuple(column.name for column in columns)


def _datatype(values: Iterable[Any]) -> Any:
    kinds = {type(value) for value in values if value is not None}
    return "long" if kinds == {int} else "double" if kinds <= {int, float} and kinds else "char"


def _point(*arguments: Any) -> str:
    """Return a position; the coordinate frame, if given, comes first and is always ICRS."""
    ra, dec = arguments[-2:]
    return f"POSITION J2000 {ra} {dec}"


def _circle(*arguments: Any) -> str:
    ra, dec, radius = arguments[-3:]
    return f"CIRCLE J2000 {ra} {dec} {radius}"


def _touches(one: str | None, other: str | None) -> int:
    """Tell whether a point lies in a circle, in whichever order they come."""
    if one is None or other is None:
        return 0
    circle, point = sorted((one, other))
    radius = float(circle.split()[4]) if circle.startswith("CIRCLE") else 0.0
    return int(_distance(circle, point) <= radius)


def _distance(one: str, other: str) -> float:
    """Return the angle between the centres of two regions, in degrees."""
    (ra1, dec1), (ra2, dec2) = ([radians(float(word)) for word in text.split()[2:4]] for text in (one, other))
    half = sin((dec2 - dec1) / 2) ** 2 + cos(dec1) * cos(dec2) * sin((ra2 - ra1) / 2) ** 2
    return degrees(2 * asin(min(1.0, sqrt(half))))


_FUNCTIONS = (
    ("ADQL_POINT", _point, -1),
    ("ADQL_CIRCLE", _circle, -1),
    ("ADQL_CONTAINS", _touches, 2),
    ("ADQL_INTERSECTS", _touches, 2),
    ("ADQL_DISTANCE", _distance, 2),
)
