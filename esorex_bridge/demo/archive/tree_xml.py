"""Association trees written as calSelector writes them, to the byte.

The layout is that of Apache Xerces' IndentPrinter as seen in calSelector's replies: four blanks a level, lines broken
between attributes at 72 characters, indentation never more than half a line, attributes in alphabetical order.
"""

from __future__ import annotations

from collections.abc import Iterator

from esorex_bridge.datasets.association import Association, AssociationTree

LINE_WIDTH = 72
INDENT = 4
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}


def tree_document(tree: AssociationTree) -> str:
    """Return the XML document of an association tree, as calSelector sends it."""
    return "\n".join((DECLARATION, *_association_lines(tree.root, 0, tree.mode), ""))


def _association_lines(node: Association, level: int, mode: str | None = None) -> Iterator[str]:
    attributes = {
        "category": node.category,
        "certified": _truth(node.certified),
        "complete": _truth(node.complete),
        "match": node.match,
        "mode": mode,
        "type": node.kind,
    }
    yield from _tag("association", attributes, level, empty=False)
    files = [
        line
        for file in node.files
        for line in _tag("file", {"category": file.category, "name": file.name}, level + 2, empty=True)
    ]
    messages = [line for text in node.messages for line in _tag("message", {"text": text}, level + 2, empty=True)]
    children = [line for child in node.associated for line in _association_lines(child, level + 2)]
    yield from _element("mainFiles", files, level + 1)
    yield from _element("messages", messages, level + 1)
    yield from _element("associatedFiles", children, level + 1)
    yield f"{_pad(level * INDENT)}</association>"


def _element(name: str, lines: list[str], level: int) -> list[str]:
    pad = _pad(level * INDENT)
    return [f"{pad}<{name}>", *lines, f"{pad}</{name}>"] if lines else [f"{pad}<{name}/>"]


def _tag(name: str, attributes: dict[str, str | None], level: int, *, empty: bool) -> list[str]:
    """Return the lines of a start tag.

    The printer looks at the width when it meets the blank *after* a word, so the last word never moves to a new line;
    it reckons with the full indentation even where it writes the capped one.
    """
    words = [f"<{name}"]
    words += [f'{key}="{_escape(value)}"' for key, value in sorted(attributes.items()) if value is not None]
    indent, line, lines = level * INDENT, words[0], []
    for word in words[1:-1]:
        if indent + len(line) + 1 + len(word) > LINE_WIDTH:
            lines.append(_pad(indent) + line)
            indent, line = (level + 1) * INDENT, word
        else:
            line += f" {word}"
    return [*lines, f"{_pad(indent)}{line} {words[-1]}{'/>' if empty else '>'}"]


def _pad(indent: int) -> str:
    return " " * min(indent, LINE_WIDTH // 2)


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)


def _truth(value: bool) -> str:
    return "true" if value else "false"
