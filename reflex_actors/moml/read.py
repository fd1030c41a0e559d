"""Workflow files read into values: ours and ESO's, plain or in a `.kar`, without trusting them."""

from __future__ import annotations

import pyexpat
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from esorex_bridge.errors import UserError
from reflex_actors.moml.model import DeclaredPort, Entity, Link, Property, Relation, parse_place

LARGEST_BYTES = 50_000_000
"""Largest document that is read; ESO's largest workflow has 4 MB."""

_DEEPEST = 200
"""How deep elements may lie in each other; those of real workflows lie 13 deep."""

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


class _Element:
    """An element of the document."""

    __slots__ = ("attributes", "parts", "tag")

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag, self.attributes = tag, attributes
        self.parts: list[_Element] = []

    def get(self, name: str) -> str | None:
        """Return an attribute."""
        return self.attributes.get(name)


class Read:
    """A workflow that was read.

    Parameters
    ----------
    element : _Element
        Its outermost element.
    """

    def __init__(self, element: _Element) -> None:
        self._element = element

    @cached_property
    def root(self) -> Entity:
        """The workflow."""
        return _entity(self._element)

    @cached_property
    def oddities(self) -> tuple[tuple[str, str], ...]:
        """Places and what is against the document type there."""
        return tuple(_oddities(self._element, ""))


class UnreadableWorkflowError(UserError):
    """A file is no workflow."""


def read_file(path: Path) -> Read:
    """Read a workflow file, `.xml` or `.kar`.

    Raises
    ------
    UnreadableWorkflowError
        If it is none.
    """
    try:
        content = _from_kar(path) if path.suffix == ".kar" else path.read_bytes()
    except OSError as error:
        raise UnreadableWorkflowError(f"{path} cannot be read: {error}") from None
    return read(content, str(path))


def read(content: bytes, source: str) -> Read:
    """Read a workflow from the bytes of its document; nothing outside the document is looked at.

    Raises
    ------
    UnreadableWorkflowError
        If it is no XML, too large, or its root is no entity.
    """
    if len(content) > LARGEST_BYTES:
        raise UnreadableWorkflowError(f"{source} is larger than {LARGEST_BYTES} bytes, which no workflow is")
    try:
        root = _parse(content)
    except (pyexpat.ExpatError, ValueError, LookupError) as error:
        raise UnreadableWorkflowError(f"{source} is no workflow: {error}") from None
    if root.tag != "entity":
        raise UnreadableWorkflowError(f"{source} is no workflow: its root is <{root.tag}>, not <entity>")
    return Read(root)


def _parse(content: bytes) -> _Element:
    """Return the outermost element; entities are not followed, and what stands between elements is not kept."""
    top = _Element("", {})
    opened = [top]

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(opened) > _DEEPEST:
            raise ValueError(f"its elements lie more than {_DEEPEST} deep")
        element = _Element(tag, attributes)
        opened[-1].parts.append(element)
        opened.append(element)

    parser = pyexpat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda tag: opened.pop()
    parser.Parse(content, True)
    return top.parts[0]


def _from_kar(path: Path) -> bytes:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.filename.endswith(".xml") and info.file_size <= LARGEST_BYTES:
                    return archive.read(info)
    except zipfile.BadZipFile as error:
        raise UnreadableWorkflowError(f"{path} cannot be read: {error}") from None
    raise UnreadableWorkflowError(f"{path} cannot be read: it holds no workflow document (*.xml)")


def _entity(element: _Element) -> Entity:
    return Entity(
        _text(element, "name"),
        _text(element, "class"),
        tuple(map(_property, _find_named(element, "property"))),
        tuple(map(_port, _find_named(element, "port"))),
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


def _port(element: _Element) -> DeclaredPort:
    properties = tuple(map(_property, _find_named(element, "property")))
    return DeclaredPort(_text(element, "name"), _text(element, "class"), properties)


def _property(element: _Element) -> Property:
    value = element.get("value")
    own = tuple(map(_property, _find_named(element, "property")))
    return Property(_text(element, "name"), _text(element, "class"), value, own)


def _relation(element: _Element) -> Relation:
    width = next((each.get("value") for each in _find_named(element, "property") if each.get("name") == "width"), None)
    vertex = next((parse_place(_text(each, "value")) for each in _find_named(element, "vertex")), None)
    return Relation(_text(element, "name"), width, _text(element, "class"), vertex)


def _find_named(element: _Element, tag: str) -> Iterator[_Element]:
    return (child for child in element.parts if child.tag == tag)


def _text(element: _Element, attribute: str) -> str:
    return element.get(attribute) or ""


def _oddities(element: _Element, path: str) -> Iterator[tuple[str, str]]:
    """Yield what is against the document type: unknown elements, misplaced ones, unknown attributes, missing names."""
    tag = element.tag
    here = f"{path}.{_text(element, 'name')}" if tag in ("entity", "property", "port", "relation") else path
    if tag not in ELEMENTS:
        yield here, f"MoML has no element <{tag}>"
        return
    for attribute in element.attributes:
        if attribute not in ELEMENTS[tag]:
            yield here, f"<{tag}> has no attribute '{attribute}'"
    if tag in ("entity", "property", "port", "relation") and element.get("name") is None:
        yield here, f"a <{tag}> has no name"
    for child in element.parts:
        if tag in _BELOW and child.tag in ELEMENTS and child.tag not in _BELOW[tag]:
            yield here, "<" + child.tag + "> may not stand in <" + tag + ">"
        if tag != "configure":
            yield from _oddities(child, here)
