"""DataLink tables as the archive writes them: calSelector's list of files, and the links of one file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape, quoteattr

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.demo.archive.exchange import HttpReply, HttpRequest, redirect, text_reply
from esorex_bridge.demo.archive.faults import Fault
from esorex_bridge.demo.archive.holdings import Holdings

CORE = "http://www.ivoa.net/rdf/datalink/core"
RDF = "http://archive.eso.org/rdf/datalink/eso"
ID_PREFIX = "ivo://eso.org/ID?"
FITS = "application/fits"
VOTABLE_TYPE = "application/x-votable+xml"
LACONIC = "You do not have access permissions to the requested file, or the file does not exist."

_HEAD = """<?xml version="1.0" encoding="utf-8"?>
<VOTABLE version="1.3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
  <RESOURCE type="results">
    <TABLE>
"""
_TAIL = """        </TABLEDATA>
      </DATA>
    </TABLE>
  </RESOURCE>
</VOTABLE>"""
_FIELDS = (
    '"ID" datatype="char" ucd="meta.id;meta.main" arraysize="*"',
    '"access_url" datatype="char" ucd="meta.ref.url" arraysize="*"',
    '"service_def" datatype="char" ucd="meta.ref" arraysize="*"',
    '"error_message" datatype="char" ucd="meta.code.error" arraysize="*"',
    '"semantics" datatype="char" ucd="meta.code" arraysize="*"',
    '"description" datatype="char" ucd="meta.note" arraysize="*"',
    '"content_type" datatype="char" ucd="meta.code.mime" arraysize="*"',
    '"content_length" datatype="long" ucd="phys.size;meta.file" unit="byte"',
    '"eso_origfile" datatype="char" ucd="meta.id;meta.file" arraysize="*"',
    '"eso_category" datatype="char" ucd="meta.code.class;meta.dataset" arraysize="*"',
    '"eso_datalink" datatype="char" ucd="meta.ref.url" arraysize="*"',
)


class DataLink(Struct, frozen=True):
    """One row: something that belongs to a file.

    Parameters
    ----------
    semantics : str
        What it is to the file (`#this`, `#calibration`).
    access_url : str
        Where it is.
    description, content_type, category, original_name, datalink, error : str
        As the columns of these names; empty where they do not apply.
    size_bytes : int or None
        Approximate.
    """

    semantics: str
    access_url: str = ""
    description: str = ""
    content_type: str = ""
    size_bytes: int | None = None
    original_name: str = ""
    category: str = ""
    datalink: str = ""
    error: str = ""


def link_table(dp_id: str, infos: Iterable[str], links: Iterable[DataLink], *, original_names: bool) -> str:
    """Return the VOTable; `infos` are INFO elements, and only DataLink proper has the column of original names."""
    fields = [text for text in _FIELDS if original_names or not text.startswith('"eso_origfile"')]
    lines = [*infos, *(f"<FIELD name={text} />" for text in fields)]
    head = "".join(f"      {line}\n" for line in (*lines, "<DATA>"))
    rows = "".join(_row(dp_id, link, original_names=original_names) for link in links)
    return f"{_HEAD}{head}        <TABLEDATA>\n{rows}{_TAIL}"


def info(name: str, value: str, text: str | None = None) -> str:
    """Return an INFO element; with text, that goes into a CDATA section."""
    start = f"<INFO name={quoteattr(name)} value={quoteattr(value)}"
    return f"{start} />" if text is None else f"{start}><![CDATA[{text.replace(']]>', '')}]]></INFO>"


def with_full_semantics(link: DataLink) -> DataLink:
    """Return a link whose semantics is a full address, as they come beside the short ones."""
    own = {"#this": f"{CORE}#this", f"{RDF}#sibling_raw": "#sibling_raw"}
    core = f"{CORE}{link.semantics}" if link.semantics.startswith("#") else link.semantics
    return replace(link, semantics=own.get(link.semantics, core))


def datalink_url(base: str, dp_id: str) -> str:
    """Return the address of a file's links."""
    return f"{base}/datalink/links?ID={ID_PREFIX}{dp_id}"


def file_url(base: str, dp_id: str) -> str:
    """Return the address of a file."""
    return f"{base}/dataPortal/file/{dp_id}"


def answer_links(holdings: Holdings, request: HttpRequest) -> HttpReply:
    """Answer a request for the links of a file; an unknown file is a row with an error, not a status."""
    dp_id = request.first("ID").removeprefix(ID_PREFIX)
    if request.first("eso_download") == "file":
        return redirect(302, file_url(request.base, dp_id))
    if dp_id in holdings:
        links: Sequence[DataLink] = _links_of(holdings, dp_id, request.base)
    else:
        links = (DataLink("#this", error=LACONIC),)
    if Fault.FULL_SEMANTICS in request.faults:
        links = tuple(map(with_full_semantics, links))
    if Fault.NEW_SEMANTICS in request.faults:
        links = (*links, DataLink(f"{RDF}#of_tomorrow", file_url(request.base, dp_id)))
    document = link_table(dp_id, (info("QUERY_STATUS", "OK"),), links, original_names=True)
    return text_reply(200, document, VOTABLE_TYPE)


def _links_of(holdings: Holdings, dp_id: str, base: str) -> tuple[DataLink, ...]:
    this = DataLink(
        "#this",
        file_url(base, dp_id),
        "Requested file",
        FITS,
        holdings.size_bytes(dp_id),
        original_name=holdings.delivered_name(dp_id),
        datalink=datalink_url(base, dp_id),
    )
    if not holdings.is_raw(dp_id):
        return (this, *_ancillary(holdings, dp_id, base))
    lists = tuple(
        DataLink(
            f"{RDF}#calSelector_{mode.lower()}",
            f"{base}/calselector/v1/associations?dp_id={dp_id}&mode={mode}&responseformat=votable",
            f"All {kind} calibrations of the file and its siblings, one access point each",
            VOTABLE_TYPE,
            500000,
        )
        for mode, kind in (("Raw2Raw", "raw"), ("Raw2Master", "master"))
    )
    log = DataLink(
        f"{RDF}#night_log",
        f"{file_url(base, dp_id)}.NL",
        "Comments on the observation, and the ambient conditions; the size is an order of magnitude",
        "text/plain",
        10000,
        original_name=f"{dp_id}.NL.txt",
        category="Night Log",
    )
    return (this, *lists, log)


def _ancillary(holdings: Holdings, dp_id: str, base: str) -> tuple[DataLink, ...]:
    """Return what comes with a reduced product: its ancillary files, and the raw frame that it began with."""
    files = holdings.product_files(dp_id)
    beside = tuple(
        DataLink(
            "#auxiliary",
            file_url(base, product.file.dp_id),
            "File of the product",
            FITS,
            holdings.size_bytes(product.file.dp_id),
            original_name=product.original_name,
            category=product.file.category,
            datalink=datalink_url(base, product.file.dp_id),
        )
        for product in files
        if not product.is_science
    )
    sources = dict.fromkeys(product.source.dp_id for product in files)
    raws = tuple(DataLink("#progenitor", datalink_url(base, source), "Raw frame", VOTABLE_TYPE) for source in sources)
    return (*beside, *raws)


def _row(dp_id: str, link: DataLink, *, original_names: bool) -> str:
    size = "" if link.size_bytes is None else str(link.size_bytes)
    cells = [_cell(ID_PREFIX + dp_id)]
    cells.append(f"<TD><![CDATA[{link.access_url}]]></TD>" if link.access_url else "<TD />")
    cells += [_cell(text) for text in ("", link.error, link.semantics, link.description, link.content_type, size)]
    cells += [_cell(link.original_name)] if original_names else []
    cells += [_cell(link.category), _cell(link.datalink)]
    return "          <TR>\n" + "".join(f"            {cell}\n" for cell in cells) + "          </TR>\n"


def _cell(text: str) -> str:
    return f"<TD>{escape(text)}</TD>" if text else "<TD />"
