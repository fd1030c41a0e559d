"""calSelector: association trees for science files, one document, several in a multipart, or a list of files."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.datasets.association import Association, AssociationTree, Mode, distinct_files
from esorex_bridge.demo.archive.exchange import HttpReply, HttpRequest, html_error, json_reply, text_reply
from esorex_bridge.demo.archive.faults import Fault
from esorex_bridge.demo.archive.holdings import Holdings
from esorex_bridge.demo.archive.links import (
    FITS,
    RDF,
    VOTABLE_TYPE,
    DataLink,
    datalink_url,
    file_url,
    info,
    link_table,
    with_full_semantics,
)
from esorex_bridge.demo.archive.tree_xml import DECLARATION, tree_document

BOUNDARY = "uJx1dCalSelectorEmbedded-3Qk7wZ0"
MOST_IDS_OF_CAL504 = 10
DOCUMENTATION = "http://archive.eso.org/cms/application_support/calselectorInfo.html"
MODES: dict[str, Mode] = {"raw2raw": "Raw2Raw", "raw2master": "Raw2Master"}
NOT_SUPPORTED = "No association could be established: this file type is not supported"

_ENTITIES = """<!DOCTYPE association [
    <!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">
    <!ENTITY passwd SYSTEM "file:///etc/passwd">
]>"""


class Selected(Struct, frozen=True):
    """The tree for one dataset of a request.

    Parameters
    ----------
    dp_id : str
        The first file asked for that belongs to it.
    tree : AssociationTree
        What was found.
    """

    dp_id: str
    tree: AssociationTree

    @property
    def file_name(self) -> str:
        """Name of the document; it tells the mode that was executed."""
        return f"{self.dp_id}_{self.tree.mode.lower()}.xml"


def answer_associations(holdings: Holdings, request: HttpRequest) -> HttpReply:
    """Answer a request for associations: 400 where ids or mode are missing or unknown."""
    dp_ids = tuple(dict.fromkeys(name for name in request.all("dp_id") if name))
    mode = MODES.get(request.first("mode").lower())
    unknown = [name for name in dp_ids if name not in holdings]
    if mode is None or not dp_ids:
        return text_reply(400, "Bad request: dp_id and mode (Raw2Raw or Raw2Master) are needed\n")
    if unknown:
        return text_reply(400, f"Bad request: unknown dp_id {unknown[0]}\n")
    if Fault.CAL504 in request.faults and len(dp_ids) > MOST_IDS_OF_CAL504:
        return html_error(504, "Gateway Time-out")
    if Fault.NO_TREE in request.faults:
        return text_reply(200, "", "application/xml; content=calselector")
    answers = _answers(holdings, dp_ids, mode, request.faults)
    if request.first("responseformat").lower() == "votable":
        return _list(holdings, answers[0], request)
    return _document(answers[0], request) if len(answers) == 1 else _multipart(answers, request)


def answer_breakpoints(holdings: Holdings) -> HttpReply:
    """Answer with the dates across which calibrations must not be matched: one per night, long before it."""
    records = [
        {
            "mjdObs": 55000.0,
            "instrument": night.instrument,
            "dpInstrument": night.science[0].dp_id.split(".")[0],
            "rawType": None,
            "proCatg": None,
            "doClass": None,
        }
        for night in holdings.nights
        if night.science
    ]
    return json_reply(200, records)


def _answers(holdings: Holdings, dp_ids: Iterable[str], mode: Mode, faults: frozenset[Fault]) -> tuple[Selected, ...]:
    """Return one answer per dataset: files of one template are answered together."""
    found: dict[AssociationTree, str] = {}
    mixed = any(not holdings.file(name).is_science for name in dp_ids)
    for dp_id in dp_ids:
        executed: Mode = "Raw2Raw" if Fault.DOWNGRADE in faults else mode
        tree = holdings.tree(dp_id, executed) or _answer_unsupported(holdings, dp_id)
        if mixed and Fault.SPURIOUS_INCOMPLETE in faults:
            tree = _without(tree, "FLAT_TW", dp_id)
        found.setdefault(_spoil(tree, dp_id, faults), dp_id)
    return tuple(Selected(dp_id, tree) for tree, dp_id in found.items())


def _spoil(tree: AssociationTree, dp_id: str, faults: frozenset[Fault]) -> AssociationTree:
    """Return the tree as the faults would have it."""
    root = tree.root
    if Fault.UNCERTIFIED in faults:
        root = replace(root, certified=False)
    if Fault.UNSUPPORTED in faults:
        root = replace(root, complete=False, associated=(), messages=(NOT_SUPPORTED,))
    if Fault.EMPTY_TREE in faults:
        root = replace(root, associated=())
    spoilt = replace(tree, root=root)
    return _without(spoilt, "FLAT_TW", dp_id) if Fault.INCOMPLETE in faults else spoilt


def _without(tree: AssociationTree, category: str, dp_id: str) -> AssociationTree:
    """Return a tree in which a calibration was not found."""
    kept = tuple(child for child in tree.root.associated if child.category != category)
    message = f"Missing {category} for {dp_id}_tpl: requested 1, found 0"
    return replace(tree, root=replace(tree.root, complete=False, associated=kept, messages=(message,)))


def _answer_unsupported(holdings: Holdings, dp_id: str) -> AssociationTree:
    names = (holdings.file(dp_id).associated,)
    category = "UNKNOWN_CATEGORY_NO_ASSOCIATION_ESTABLISHED"
    return AssociationTree(Association(category, names, messages=(NOT_SUPPORTED,), complete=False), "Raw2Raw")


def _xml(answer: Selected, faults: frozenset[Fault]) -> str:
    document = tree_document(answer.tree)
    if Fault.MALFORMED_XML in faults:
        return document[: len(document) // 2]
    if Fault.XML_ENTITIES in faults:
        document = document.replace(DECLARATION, f"{DECLARATION}\n{_ENTITIES}", 1)
        return document.replace("<messages/>", '<messages><message text="&c;"/>&passwd;</messages>', 1)
    return document


def _document(answer: Selected, request: HttpRequest) -> HttpReply:
    reply = text_reply(200, _xml(answer, request.faults), "application/xml; content=calselector")
    return reply.with_header("Content-Disposition", f'attachment; filename="{answer.file_name}"')


def _multipart(answers: tuple[Selected, ...], request: HttpRequest) -> HttpReply:
    ordered = answers[::-1] if Fault.REVERSED_PARTS in request.faults else answers
    parts = [_part(answer, _xml(answer, request.faults)) for answer in ordered]
    body = "".join(parts) + f"--{BOUNDARY}--\n"
    return text_reply(200, body, f"multipart/form-data; boundary={BOUNDARY};charset=UTF-8")


def _part(answer: Selected, document: str) -> str:
    return (
        f"--{BOUNDARY}\r\n"
        f'Content-Disposition: attachment; filename="{answer.file_name}"\r\n'
        "Content-Type: application/xml;content=calselector\r\n"
        f"Content-Length: {len(document.encode())}\r\n\r\n{document}\r\n"
    )


def _list(holdings: Holdings, answer: Selected, request: HttpRequest) -> HttpReply:
    """Return the list of files as a VOTable: the file itself, its siblings, calibrations, and where the tree is."""
    address = f"{request.base}{request.path}?dp_id={answer.dp_id}&mode={request.first('mode')}&responseformat=votable"
    infos = (info("DOCUMENTATION", DOCUMENTATION), info("QUERY", "", address))
    links = () if Fault.MISSING_ROWS in request.faults else _rows(holdings, answer, request)
    if Fault.FULL_SEMANTICS in request.faults:
        links = tuple(map(with_full_semantics, links))
    table = link_table(answer.dp_id, infos, links, original_names=False)
    return text_reply(200, table[: len(table) // 2] if Fault.MALFORMED_XML in request.faults else table, VOTABLE_TYPE)


def _rows(holdings: Holdings, answer: Selected, request: HttpRequest) -> tuple[DataLink, ...]:
    root, mode, base = answer.tree.root, answer.tree.mode, request.base
    this = (
        f'category="{root.category}" certified="{str(root.certified).lower()}" '
        f'complete="{str(root.complete).lower()}" mode="{mode}" type="{root.kind}" '
        f'messages="{"; ".join(root.messages)}"'
    )
    siblings = tuple(file for file in root.files if file.name != answer.dp_id)
    own = tuple(file for file in root.files if file.name == answer.dp_id)
    calibrations = tuple(file for file in distinct_files(root) if file not in root.files)
    kinds = (
        ("#this", this, own),
        (f"{RDF}#sibling_raw", "Science frame of the same group", siblings),
        ("#calibration", "Calibration file of the requested frame and its siblings", calibrations),
    )
    links = [
        DataLink(
            semantics,
            file_url(base, file.name),
            description,
            FITS,
            holdings.size_bytes(file.name),
            category=file.category,
            datalink=datalink_url(base, file.name),
        )
        for semantics, description, files in kinds
        for file in files
    ]
    tree = DataLink(
        f"{RDF}#calSelector_{mode.lower()}",
        f"{base}{request.path}?dp_id={answer.dp_id}&mode={mode}",
        "The calibration cascade as a tree",
        "application/xml",
        1000000,
        category="ASSOCIATION_TREE",
    )
    return (*links, tree)
