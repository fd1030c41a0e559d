"""calSelector's document, read into an association tree.

Grammar: ESO calSelector documentation. The document comes from the network: no DTD, no entities, no bounds exceeded.
Unknown elements and attributes are passed over, because the service grows.
"""

from __future__ import annotations

from typing import get_args

from lxml import etree

from esorex_bridge.datasets.association import AssociatedFile, Association, AssociationTree, Kind, Match, Mode
from esorex_bridge.errors import DataError

MAX_BYTES = 32 * 1024 * 1024
"""No real tree is longer than 50 kB."""

MAX_DEPTH = 40
"""Real cascades are 3 to 5 deep."""

_MATCHES: dict[str, Match] = {str(match).lower(): match for match in get_args(Match)}


class UnreadableTreeError(DataError):
    """A document is no association tree."""


def read_tree(document: bytes, interned: dict[AssociatedFile, AssociatedFile] | None = None) -> AssociationTree:
    """Read an association tree.

    Parameters
    ----------
    document : bytes
        The XML as delivered.
    interned : dict, optional
        Files known from other trees: equal files become one value in memory.

    Raises
    ------
    UnreadableTreeError
        Where it is not XML, has a DTD, is too large or too deep, or is something else than an association.
    """
    root = _parse(document)
    if _tag(root) != "association":
        raise UnreadableTreeError(f"this XML is no association tree: its root is <{_tag(root)[:60]}>")
    known = {} if interned is None else interned
    return AssociationTree(_association(root, known, 0), _mode(root))


def _parse(document: bytes) -> etree._Element:
    if len(document) > MAX_BYTES:
        raise UnreadableTreeError(f"an association tree of {len(document)} bytes is not read; real ones have 50 kB")
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise UnreadableTreeError("the association tree has a DTD; calSelector's have none, so it is not read")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UnreadableTreeError(
            f"the association tree is not well-formed XML ({error}); remove it, and 'esorex-bridge fetch' asks anew"
        ) from error
    # In UTF-16 the check above sees nothing.
    if root.getroottree().docinfo.internalDTD is not None:
        raise UnreadableTreeError("the association tree has a DTD; calSelector's have none, so it is not read")
    return root


def _association(element: etree._Element, known: dict[AssociatedFile, AssociatedFile], depth: int) -> Association:
    if depth > MAX_DEPTH:
        raise UnreadableTreeError(f"the association tree is deeper than {MAX_DEPTH}")
    files: list[AssociatedFile] = []
    associated: list[Association] = []
    messages: list[str] = []
    for part in element:
        name = _tag(part)
        if name == "mainFiles":
            files += [_file(item, known) for item in part if _tag(item) == "file"]
        elif name == "messages":
            messages += [item.get("text") or (item.text or "").strip() for item in part if _tag(item) == "message"]
        elif name == "associatedFiles":
            associated += [_association(item, known, depth + 1) for item in part if _tag(item) == "association"]
    return Association(
        category=element.get("category", ""),
        files=tuple(files),
        associated=tuple(associated),
        messages=tuple(filter(None, messages)),
        complete=_flag(element, "complete"),
        certified=_flag(element, "certified"),
        match=_match(element),
        kind=_kind(element),
    )


def _file(element: etree._Element, known: dict[AssociatedFile, AssociatedFile]) -> AssociatedFile:
    name = element.get("name")
    if not name:
        raise UnreadableTreeError("the association tree has a <file> without a name")
    file = AssociatedFile(name, element.get("category", ""))
    return known.setdefault(file, file)


def _tag(element: etree._Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _flag(element: etree._Element, name: str) -> bool:
    # A flag that is not stated is not claimed to be bad: old documents lack `certified`.
    return element.get(name, "true").strip().lower() != "false"


def _match(element: etree._Element) -> Match | None:
    return _MATCHES.get(element.get("match", "").strip().lower())


def _kind(element: etree._Element) -> Kind:
    return "auxiliary" if element.get("type", "main").strip().lower() in ("auxiliary", "ancillary") else "main"


def _mode(element: etree._Element) -> Mode:
    return "Raw2Master" if element.get("mode", "").strip().lower() == "raw2master" else "Raw2Raw"
