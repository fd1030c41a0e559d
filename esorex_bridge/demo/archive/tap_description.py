"""What a TAP service says of itself: VOSI capabilities and tables."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from esorex_bridge.demo.archive.exchange import HttpReply, text_reply
from esorex_bridge.demo.archive.rows import Table
from esorex_bridge.demo.archive.tap import MAXREC_LIMIT

_NAMESPACES = (
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:vr="http://www.ivoa.net/xml/VOResource/v1.0" '
    'xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1" xmlns:tr="http://www.ivoa.net/xml/TAPRegExt/v1.0"'
)


def capabilities(base: str) -> HttpReply:
    """Return the VOSI capabilities of the service at an address."""
    plain = "".join(
        f'<capability standardID="ivo://ivoa.net/std/VOSI#{name}"><interface xsi:type="vs:ParamHTTP" role="std">'
        f'<accessURL use="full">{base}/{name}</accessURL></interface></capability>\n'
        for name in ("capabilities", "tables")
    )
    tap = (
        '<capability standardID="ivo://ivoa.net/std/TAP" xsi:type="tr:TableAccess">'
        f'<interface xsi:type="vs:ParamHTTP" role="std"><accessURL use="base">{base}</accessURL></interface>'
        '<language><name>ADQL</name><version ivo-id="ivo://ivoa.net/std/ADQL#v2.0">2.0</version></language>'
        "<outputFormat><mime>application/x-votable+xml</mime><alias>votable</alias></outputFormat>"
        "<outputFormat><mime>application/json</mime><alias>json</alias></outputFormat>"
        "<outputFormat><mime>text/csv</mime><alias>csv</alias></outputFormat>"
        f'<outputLimit><default unit="row">{MAXREC_LIMIT}</default><hard unit="row">{MAXREC_LIMIT}</hard></outputLimit>'
        "</capability>\n"
    )
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<vosi:capabilities '
        f'xmlns:vosi="http://www.ivoa.net/xml/VOSICapabilities/v1.0" {_NAMESPACES}>\n{plain}{tap}</vosi:capabilities>\n'
    )
    return text_reply(200, document, "application/xml")


def tables_document(tables: Iterable[Table]) -> HttpReply:
    """Return the VOSI list of tables with their columns."""
    by_schema = groupby(sorted(tables, key=lambda table: table.name), key=lambda table: table.name.split(".")[0])
    schemas = "".join(
        f"<schema><name>{schema}</name>\n{''.join(_table(table) for table in listed)}</schema>\n"
        for schema, listed in by_schema
    )
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<vosi:tableset '
        f'xmlns:vosi="http://www.ivoa.net/xml/VOSITables/v1.0" {_NAMESPACES}>\n{schemas}</vosi:tableset>\n'
    )
    return text_reply(200, document, "application/xml")


def _table(table: Table) -> str:
    columns = "".join(
        f"<column><name>{column.name}</name><unit>{column.unit}</unit>"
        f'<dataType xsi:type="vs:VOTableType"{_arraysize(column.datatype)}>{column.datatype}</dataType></column>\n'
        for column in table.columns
    )
    return f"<table><name>{table.name}</name>\n{columns}</table>\n"


def _arraysize(datatype: str) -> str:
    return ' arraysize="*"' if datatype == "char" else ""
