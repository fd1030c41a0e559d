"""Rows of a table that TAP sends, as plain values: read without astropy, whose import takes longer than most queries.

Only the common form is read (TABLEDATA with single values and texts); all others are left to pyvo and astropy.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from lxml import etree
from msgspec import Struct

_NUMBERS: dict[str, Callable[[str], Any]] = {
    "short": int,
    "int": int,
    "long": int,
    "unsignedByte": int,
    "float": float,
    "double": float,
}
_TEXTS = ("char", "unicodeChar")


class Rows(Struct, frozen=True):
    """What a table holds.

    Parameters
    ----------
    status : str
        The last QUERY_STATUS: `OK`, `OVERFLOW` or `ERROR`; an error behind rows counts.
    message : str
        What goes with it.
    columns : tuple of str
        Names, in order.
    rows : tuple of dict
        Values by column; None where the archive has none.
    """

    status: str
    message: str
    columns: tuple[str, ...] = ()
    rows: tuple[dict[str, Any], ...] = ()


def read_rows(document: bytes) -> Rows | None:
    """Return the rows of a VOTable; None where it is none, or of a form that is not read here."""
    try:
        return _Reader().read(document)
    except (etree.XMLSyntaxError, ValueError, LookupError):
        return None


class _Reader:
    """Reads a table as it goes by, so that its tree is never in memory as a whole."""

    def __init__(self) -> None:
        self._status, self._message = "OK", ""
        self._columns: list[str] = []
        self._readers: list[Callable[[str], Any]] = []
        self._rows: list[dict[str, Any]] = []

    def read(self, document: bytes) -> Rows | None:
        tags = ("{*}INFO", "{*}FIELD", "{*}TR", "{*}BINARY", "{*}BINARY2", "{*}FITS", "{*}VOTABLE")
        whole = False
        for _, element in etree.iterparse(
            io.BytesIO(document), tag=tags, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True
        ):
            kind = etree.QName(element).localname
            if kind == "TR":
                self._take_row(element)
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
            elif kind == "FIELD":
                self._take_field(element)
            elif kind == "INFO" and element.get("name", "").upper() == "QUERY_STATUS":
                self._status, self._message = element.get("value", "OK").upper(), (element.text or "").strip()
            elif kind == "VOTABLE":
                whole = True
            elif kind != "INFO":
                return None
        return Rows(self._status, self._message, tuple(self._columns), tuple(self._rows)) if whole else None

    def _take_field(self, element: etree._Element) -> None:
        datatype, size = element.get("datatype", ""), element.get("arraysize")
        if datatype in _TEXTS:
            self._readers.append(str)
        elif datatype in _NUMBERS and size in (None, "1"):
            self._readers.append(_NUMBERS[datatype])
        else:
            raise ValueError(f"a column of {datatype}[{size}]")
        self._columns.append(element.get("name", ""))

    def _take_row(self, element: etree._Element) -> None:
        cells = [(cell.text or "") for cell in element]
        values = [_value(read, cell) for read, cell in zip(self._readers, cells, strict=True)]
        self._rows.append(dict(zip(self._columns, values, strict=True)))


def _value(read: Callable[[str], Any], cell: str) -> Any:
    if read is str:
        return cell.rstrip() or None
    if not cell.strip():
        return None
    value = read(cell)
    return None if value != value else value
