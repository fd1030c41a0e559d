"""Links: the rows of a VOTable of the kind that DataLink and calSelector give.

Read without pyvo: its `bysemantics` fetches a vocabulary from the network, and importing it takes half a second.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from esorex_bridge.archive.services import is_archive_name
from esorex_bridge.errors import ArchiveError

if TYPE_CHECKING:
    from lxml.etree import _Element

MAX_BYTES = 64 * 1024 * 1024
"""A table of 100,000 links has about 60 MB."""

THIS, CALIBRATION = "#this", "#calibration"
SIBLING = "http://archive.eso.org/rdf/datalink/eso#sibling_raw"
NIGHT_LOG = "http://archive.eso.org/rdf/datalink/eso#night_log"

KNOWN_SEMANTICS = frozenset(
    (
        "this",
        "calibration",
        "auxiliary",
        "sibling_raw",
        "night_log",
        "calselector_raw2raw",
        "calselector_raw2master",
        "preview",
        "progenitor",
        "derivation",
        "cutout",
        "data_documentation",
        "counterpart",
        "coderived",
        "proc",
        "error",
        "noise",
        "weight",
        "thumbnail",
        "documentation",
        "package",
        "preview-image",
        "preview-plot",
        "detached-header",
        "bias",
        "dark",
        "flat",
    )
)
"""Fragments of the vocabularies of IVOA and ESO, in lower case."""

_ATTRIBUTE = re.compile(r'\b(\w{1,64})="([^"]*)"')


class UnreadableTableError(ArchiveError):
    """A reply is no VOTable that can be read."""


class ArchiveLink(Struct, frozen=True):
    """One row: what belongs to a file, and where it is.

    Parameters
    ----------
    id : str
        Archive name of the file that was asked about.
    semantics : str
        What the link is to the file: `#this`, `#calibration`, `#preview`, …
    access_url : str
        Where it is; empty where it cannot be had.
    description, content_type, category, file_name, service, error : str
        As stated (`eso_category`, `eso_origfile`, `service_def`, `error_message`); empty where not.
    size_bytes : int or None
        `content_length`: of the file as delivered, approximately.
    """

    id: str
    semantics: str
    access_url: str
    description: str = ""
    content_type: str = ""
    category: str = ""
    file_name: str = ""
    service: str = ""
    error: str = ""
    size_bytes: int | None = None

    @property
    def target(self) -> str:
        """Archive name of the file that the link downloads; empty where the link leads elsewhere.

        Two forms of `access_url` are in use: `…/dataPortal/file/<name>`, and `…?ID=ivo://…?<name>&eso_download=file`.
        """
        address, _, options = self.access_url.partition("&")
        folder, _, name = address.replace("?", "/").rpartition("/")
        downloads = folder.endswith("/file") or "eso_download=file" in options
        return name if downloads and is_archive_name(name) else ""


class Links(Struct, frozen=True):
    """A table of links.

    Parameters
    ----------
    status : str
        `OK`, `OVERFLOW` or `ERROR`.
    message : str
        What goes with an error.
    rows : tuple of ArchiveLink
        In the order of the table.
    """

    status: str
    message: str
    rows: tuple[ArchiveLink, ...]

    def of(self, semantics: str) -> tuple[ArchiveLink, ...]:
        """Return the rows of one semantics, compared by the fragment: services write it alone or with an address."""
        wanted = fragment(semantics)
        return tuple(row for row in self.rows if fragment(row.semantics) == wanted)

    @property
    def unknown(self) -> tuple[ArchiveLink, ...]:
        """The rows of a semantics that is in no vocabulary we know; they are listed, and nothing is made of them."""
        return tuple(row for row in self.rows if fragment(row.semantics) not in KNOWN_SEMANTICS)


class TableStatement(Struct, frozen=True):
    """What calSelector states about an association in the description of its `#this` row.

    Parameters
    ----------
    category, mode, messages : str
        As in the root of the tree; `messages` joined.
    complete, certified : bool
        As stated.
    """

    category: str
    mode: str
    messages: str
    complete: bool
    certified: bool


def read_links(document: bytes) -> Links:
    """Read a table of links.

    Raises
    ------
    UnreadableTableError
        If the document is no VOTable, has a DTD, or is too long.
    """
    root = _parse(document)
    status, message = "OK", ""
    for info in root.iter("{*}INFO", "INFO"):
        if info.get("name") == "QUERY_STATUS":
            status, message = info.get("value", "OK").upper(), (info.text or "").strip()
    table = next(root.iter("{*}TABLE", "TABLE"), None)
    if table is None:
        return Links(status, message, ())
    names = [field.get("name", "") for field in table.iter("{*}FIELD", "FIELD")]
    rows = []
    for row in table.iter("{*}TR", "TR"):
        cells = [("".join(map(str, cell.itertext()))).strip() for cell in row]
        rows.append(_link(dict(zip(names, cells, strict=False))))
    return Links(status, message, tuple(rows))


def fragment(semantics: str) -> str:
    """Return what stands behind the `#` of a semantics, in lower case.

    >>> fragment("http://www.ivoa.net/rdf/datalink/core#calibration")
    'calibration'
    """
    return semantics.rpartition("#")[2].strip().lower()


def read_statement(description: str) -> TableStatement:
    """Read the description of a `#this` row of calSelector."""
    stated = dict(_ATTRIBUTE.findall(description))
    return TableStatement(
        category=stated.get("category", ""),
        mode=stated.get("mode", ""),
        messages=stated.get("messages", ""),
        complete=stated.get("complete", "true").lower() != "false",
        certified=stated.get("certified", "true").lower() != "false",
    )


def _parse(document: bytes) -> _Element:
    if len(document) > MAX_BYTES:
        raise UnreadableTableError(f"the service sent a table of {len(document)} bytes; longer than is read")
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, huge_tree=False
    )
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UnreadableTableError(f"the service did not send a VOTable: {error}") from error
    if root.getroottree().docinfo.internalDTD is not None or not str(root.tag).endswith("VOTABLE"):
        raise UnreadableTableError(f"the service did not send a VOTable but <{str(root.tag)[:40]}>")
    return root


def _link(cells: dict[str, str]) -> ArchiveLink:
    size = cells.get("content_length", "")
    return ArchiveLink(
        id=cells.get("ID", "").rpartition("?")[2],
        semantics=cells.get("semantics", ""),
        access_url=cells.get("access_url", ""),
        description=cells.get("description", ""),
        content_type=cells.get("content_type", ""),
        category=cells.get("eso_category", ""),
        file_name=cells.get("eso_origfile", ""),
        service=cells.get("service_def", ""),
        error=cells.get("error_message", ""),
        size_bytes=int(size) if size.isascii() and size.isdigit() else None,
    )
