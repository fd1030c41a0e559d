"""calSelector's document, read into an association tree.

Grammar: ESO calSelector documentation. The document comes from the network: no DTD, no entities, no bounds exceeded.
Unknown elements and attributes are passed over, because the service grows. Python's own parser is loaded in a tenth of
the time of lxml.
"""

from __future__ import annotations

import pyexpat
import re
from typing import get_args

from msgspec.structs import replace

from esorex_bridge.datasets.association import (
    AssociatedFile,
    Association,
    AssociationTree,
    Kind,
    Match,
    Mode,
    rename_science,
)
from esorex_bridge.errors import DataError
from esorex_bridge.files import DpId

MAX_BYTES = 32 * 1024 * 1024
"""No real tree is longer than 50 kB."""

MAX_DEPTH = 40
"""Real cascades are 3 to 5 deep."""

_NESTING = 256
"""How deep elements may lie in each other, whatever they are."""

_BELOW_BEGINS, _BELOW_ENDS, _NOTHING_BELOW = b"<associatedFiles", b"</associatedFiles>", b"<associatedFiles/>"
_NOT_PLAIN = re.compile(rb"<!|<\?(?!xml )|<[/\w]*:|\sxmlns:")
_NAMES = re.compile(rb"""(?<= name=")[!#-%'-;=?-~]+(?=")""")
"""Names in which no character stands for another."""
_A_NAME = b"<"
"""What stands for such a name, because it may not stand there."""

_KEPT = 200
"""So much of what stands below is kept at a time: that of some nights, each of some ten kilobytes."""

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
        If it is not XML, has a DTD, is too large or too deep, or is something else than an association.
    """
    return _read_root(_parse(document), {} if interned is None else interned)


def _read_root(root: _Element, known: dict[AssociatedFile, AssociatedFile]) -> AssociationTree:
    if root.name != "association":
        raise UnreadableTreeError(f"this XML is no association tree: its root is <{root.name[:60]}>")
    return AssociationTree(_association(root, known, 0), _mode(root))


class TreeReader:
    """Reads many trees: what stands below the science files is often the same in many, and is read once.

    It is known again by its bytes, and what stands around it by its bytes but for the names of the science files. Where
    a document is not plain enough for that (comments, sections of characters, prefixes of names, several lists of what
    is associated), the whole of it is read.
    """

    def __init__(self) -> None:
        self._files: dict[AssociatedFile, AssociatedFile] = {}
        self._below: dict[bytes, tuple[Association, ...]] = {}
        self._around: dict[bytes, AssociationTree] = {}

    def read(self, document: bytes) -> AssociationTree:
        """Read an association tree; errors as `read_tree`."""
        begin, end = document.find(_BELOW_BEGINS), document.rfind(_BELOW_ENDS) + len(_BELOW_ENDS)
        if begin < 0 or end < begin or len(document) > MAX_BYTES:
            return read_tree(document)
        below, around = document[begin:end], document[:begin] + _NOTHING_BELOW + document[end:]
        nameless, names = _NAMES.sub(_A_NAME, around), _names_in(around)
        known = self._around.get(nameless)
        if known is not None and len(known.root.files) == len(names) and below in self._below:
            return self._with_below(rename_science(known, names), below)
        # What is known was looked at before, and it is most of the document.
        if _NOT_PLAIN.search(around) or (below not in self._below and _NOT_PLAIN.search(below)):
            return read_tree(document)
        outline = _parse(around)
        if [part.name for part in outline.parts].count("associatedFiles") != 1:
            return read_tree(document)
        if below not in self._below:
            return self._learn(document, below, outline)
        head = _read_root(outline, {})
        if names == [file.name for file in head.root.files]:
            if len(self._around) >= _KEPT:
                self._around.clear()
            self._around[nameless] = head
        return self._with_below(head, below)

    def _with_below(self, head: AssociationTree, below: bytes) -> AssociationTree:
        return AssociationTree(replace(head.root, associated=self._below[below]), head.mode)

    def _learn(self, document: bytes, below: bytes, outline: _Element) -> AssociationTree:
        """Read a whole tree, and remember what stands below where it is the root's one list."""
        if len(self._below) >= _KEPT:
            self._below.clear()
            self._files.clear()
        whole = _parse(document)
        tree = _read_root(whole, self._files)
        if below.isascii() and [part.name for part in whole.parts] == [part.name for part in outline.parts]:
            self._below[below] = tree.root.associated
        return tree


def _names_in(around: bytes) -> list[str]:
    return [name.decode("ascii") for name in _NAMES.findall(around)]


def _parse(document: bytes) -> _Element:
    if len(document) > MAX_BYTES:
        raise UnreadableTreeError(f"an association tree of {len(document)} bytes is not read; real ones have 50 kB")
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise _dtd()
    reader = _Reader()
    try:
        reader.parser.Parse(document, True)
    except (pyexpat.ExpatError, ValueError, LookupError) as error:
        raise UnreadableTreeError(
            f"the association tree is not well-formed XML ({error}); remove it, and 'esorex-bridge fetch' asks anew"
        ) from error
    finally:
        del reader.parser  # They hold each other: thousands would lie in memory until Python looks for such.
    return reader.top.parts[0]


class _Element:
    """An element with its name, without the namespace."""

    __slots__ = ("attributes", "name", "parts", "text")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name.rpartition("}")[2] if "}" in name else name
        self.attributes = attributes
        self.parts: list[_Element] = []
        self.text = ""

    def get(self, name: str, default: str = "") -> str:
        """Return an attribute."""
        return self.attributes.get(name, default)


class _Reader:
    """Puts elements into each other while they are read."""

    def __init__(self) -> None:
        self.top = _Element("", {})
        self._open = [self.top]
        self.parser = pyexpat.ParserCreate(namespace_separator="}")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._refuse_dtd

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) > _NESTING:
            raise UnreadableTreeError(f"the association tree is deeper than {_NESTING}")
        element = _Element(name, attributes)
        self._open[-1].parts.append(element)
        self._open.append(element)
        self.parser.CharacterDataHandler = self._say if element.name == "message" else None  # a call for each line

    def _end(self, name: str) -> None:
        self._open.pop()
        self.parser.CharacterDataHandler = None

    def _say(self, text: str) -> None:
        if not self._open[-1].parts:
            self._open[-1].text += text

    def _refuse_dtd(self, *said: object) -> None:
        """Refuse what the look at the bytes does not see in UTF-16."""
        raise _dtd()


def _dtd() -> UnreadableTreeError:
    return UnreadableTreeError("the association tree has a DTD; calSelector's have none, so it is not read")


def _association(element: _Element, known: dict[AssociatedFile, AssociatedFile], depth: int) -> Association:
    if depth > MAX_DEPTH:
        raise UnreadableTreeError(f"the association tree is deeper than {MAX_DEPTH}")
    files: list[AssociatedFile] = []
    associated: list[Association] = []
    messages: list[str] = []
    for part in element.parts:
        if part.name == "mainFiles":
            files += [_file(item, known) for item in part.parts if item.name == "file"]
        elif part.name == "messages":
            messages += [item.get("text") or item.text.strip() for item in part.parts if item.name == "message"]
        elif part.name == "associatedFiles":
            associated += [_association(item, known, depth + 1) for item in part.parts if item.name == "association"]
    return Association(
        category=element.get("category"),
        files=tuple(files),
        associated=tuple(associated),
        messages=tuple(filter(None, messages)),
        complete=_flag(element, "complete"),
        certified=_flag(element, "certified"),
        match=_match(element),
        kind=_kind(element),
    )


def _file(element: _Element, known: dict[AssociatedFile, AssociatedFile]) -> AssociatedFile:
    name = element.get("name")
    if not name:
        raise UnreadableTreeError("the association tree has a <file> without a name")
    file = AssociatedFile(DpId(name), element.get("category"))
    return known.setdefault(file, file)


def _flag(element: _Element, name: str) -> bool:
    # A flag that is not stated is not claimed to be bad: old documents lack `certified`.
    return element.get(name, "true").strip().lower() != "false"


def _match(element: _Element) -> Match | None:
    return _MATCHES.get(element.get("match").strip().lower())


def _kind(element: _Element) -> Kind:
    return "auxiliary" if element.get("type", "main").strip().lower() in ("auxiliary", "ancillary") else "main"


def _mode(element: _Element) -> Mode:
    return "Raw2Master" if element.get("mode").strip().lower() == "raw2master" else "Raw2Raw"
