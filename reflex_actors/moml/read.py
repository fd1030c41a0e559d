"""Workflow files read into values: ours and ESO's, plain or in a `.kar`, without trusting them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.errors import UserError
from reflex_actors.moml.model import Entity, Link, Port, Property, Relation, parse_place

if TYPE_CHECKING:
    from lxml.etree import _Element

LARGEST_BYTES = 50_000_000
"""Largest document that is read; ESO's largest workflow has 3 MB."""

ELEMENTS = {
    "entity": {"name", "class", "source"},
    "class": {"name", "extends", "source"},
    "property": {"name", "class", "value"},
    "port": {"name", "class"},
    "relation": {"name", "class"},
    "link": {"port", "relation", "relation1", "relation2", "vertex", "insertAt", "insertInsideAt"},
    "vertex": {"name", "pathTo", "value"},
    "configure": {"source"},
    "doc": {"name"},
    "display": {"name"},
    "group": {"name"},
    "input": {"source", "base"},
    "rename": {"name"},
    "rendition": {"class"},
    "director": {"name", "class"},
}
"""Elements of MoML and their attributes: what the document type allows in a workflow."""

_BELOW = {
    "entity": {
        "class",
        "configure",
        "director",
        "display",
        "doc",
        "entity",
        "group",
        "link",
        "port",
        "property",
        "relation",
        "rename",
        "rendition",
        "input",
    },
    "property": {"configure", "display", "doc", "input", "property", "rename"},
    "port": {"configure", "display", "doc", "property", "rename"},
    "relation": {"configure", "display", "doc", "property", "rename", "vertex"},
}


@dataclass(frozen=True, slots=True)
class Read:
    """A workflow that was read.

    Parameters
    ----------
    root : Entity
        The workflow.
    oddities : tuple of (str, str)
        Places and what is against the document type there.
    """

    root: Entity
    oddities: tuple[tuple[str, str], ...]


class UnreadableWorkflowError(UserError):
    """A file is no workflow."""


def read_file(path: Path) -> Read:
    """Read a workflow file, `.xml` or `.kar`.

    Raises
    ------
    UnreadableWorkflowError
        It is none.
    """
    try:
        content = _from_kar(path) if path.suffix == ".kar" else path.read_bytes()
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise UnreadableWorkflowError(f"{path} cannot be read: {error}") from None
    return read(content, str(path))


def read(content: bytes, source: str) -> Read:
    """Read a workflow from the bytes of its document; nothing outside the document is looked at.

    Raises
    ------
    UnreadableWorkflowError
        It is no XML, too large, or its root is no entity.
    """
    from lxml import etree

    if len(content) > LARGEST_BYTES:
        raise UnreadableWorkflowError(f"{source} is larger than {LARGEST_BYTES} bytes, which no workflow is")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise UnreadableWorkflowError(f"{source} is no workflow: {error}") from None
    if root.tag != "entity":
        raise UnreadableWorkflowError(f"{source} is no workflow: its root is <{root.tag}>, not <entity>")
    return Read(_entity(root), tuple(_oddities(root, "")))


def _from_kar(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.filename.endswith(".xml") and info.file_size <= LARGEST_BYTES:
                return archive.read(info)
    raise KeyError("it holds no workflow document (*.xml)")


def _entity(element: _Element) -> Entity:
    return Entity(
        _text(element, "name"),
        _text(element, "class"),
        tuple(map(_property, _find_named(element, "property"))),
        tuple(
            Port(_text(each, "name"), _text(each, "class"), tuple(map(_property, _find_named(each, "property"))))
            for each in _find_named(element, "port")
        ),
        tuple(map(_entity, _find_named(element, "entity"))),
        tuple(map(_relation, _find_named(element, "relation"))),
        tuple(
            Link(_text(each, "port"), _text(each, "relation"))
            for each in _find_named(element, "link")
            if each.get("port") is not None
        ),
        tuple(
            (_text(each, "relation1"), _text(each, "relation2"))
            for each in _find_named(element, "link")
            if each.get("relation1") is not None
        ),
    )


def _property(element: _Element) -> Property:
    value = element.get("value")
    own = tuple(map(_property, _find_named(element, "property")))
    return Property(_text(element, "name"), _text(element, "class"), None if value is None else str(value), own)


def _relation(element: _Element) -> Relation:
    width = next((each.get("value") for each in _find_named(element, "property") if each.get("name") == "width"), None)
    vertex = next((parse_place(_text(each, "value")) for each in _find_named(element, "vertex")), None)
    return Relation(_text(element, "name"), None if width is None else str(width), _text(element, "class"), vertex)


def _find_named(element: _Element, tag: str) -> Iterator[_Element]:
    return (child for child in element if child.tag == tag)


def _tag(element: _Element) -> str:
    return str(element.tag) if isinstance(element.tag, str) else ""


def _text(element: _Element, attribute: str) -> str:
    return str(element.get(attribute) or "")


def _oddities(element: _Element, path: str) -> Iterator[tuple[str, str]]:
    """Yield what is against the document type: unknown elements, misplaced ones, unknown attributes, missing names."""
    tag = _tag(element)
    here = f"{path}.{_text(element, 'name')}" if tag in ("entity", "property", "port", "relation") else path
    if tag not in ELEMENTS:
        yield here, f"MoML has no element <{tag}>"
        return
    for attribute in map(str, element.attrib):
        if attribute not in ELEMENTS[tag]:
            yield here, f"<{tag}> has no attribute '{attribute}'"
    if tag in ("entity", "property", "port", "relation") and element.get("name") is None:
        yield here, f"a <{tag}> has no name"
    for child in element:
        if tag in _BELOW and _tag(child) in ELEMENTS and _tag(child) not in _BELOW[tag]:
            yield here, "<" + _tag(child) + "> may not stand in <" + tag + ">"
        if tag != "configure":
            yield from _oddities(child, here)
