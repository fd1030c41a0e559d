r"""SOF, the set of files that EsoRex reads: written so that EsoRex reads what was meant.

EsoRex 3.13's grammar: `path WS tag [WS group]` a line; no quoting, so a path cannot hold blanks or tabs; a path that
starts with `$` goes through the shell's expansion, command substitution included; a line holds at most 1022 bytes; a CR
becomes part of the tag; a line whose first character is `#` is a comment. Relative paths are relative to EsoRex's own
working directory, not to the SOF: we write absolute ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from esorex_bridge.errors import UserError

LONGEST_LINE_BYTES = 1022
_BAD_IN_PATH = re.compile(r"[\s\x00-\x1f\x7f]")
_NOT_UTF8 = re.compile(r"[\udc80-\udcff]")  # bytes of a name that Python could not decode
_BAD_IN_TAG = re.compile(r"[^A-Za-z0-9_.+:/-]")
_BAD_IN_NAME = re.compile(r"[^A-Za-z0-9_.:+=@,-]")


class SofError(UserError):
    """A set of files cannot be written, or a text is no set of files."""


class SofEntry(Struct, frozen=True):
    """One line: a file and its tag."""

    path: Path
    category: str


class SofLink(Struct, frozen=True):
    """A symbolic link that stands in for a path that EsoRex cannot read."""

    at: Path
    to: Path


class Sof(Struct, frozen=True):
    """A set of files, in the order in which the recipe gets them."""

    entries: tuple[SofEntry, ...]

    def text(self) -> str:
        """Return the text that EsoRex reads.

        Raises
        ------
        SofError
            If a path or tag cannot be written; use `readable` first.
        """
        for entry in self.entries:
            problem = _problem(entry)
            if problem:
                raise SofError(f"{entry.path!s} {problem}")
        return "".join(f"{entry.path} {entry.category}\n" for entry in self.entries)


def readable(sof: Sof, folder: Path, seen_as: Path | None = None) -> tuple[Sof, tuple[SofLink, ...]]:
    """Return a SOF that EsoRex can read, and the links that it needs.

    A link keeps the file's own name where that can be written, because recipes note base names in their products.

    Parameters
    ----------
    sof : Sof
        With absolute paths.
    folder : Path
        Where links may be made.
    seen_as : Path, optional
        The path by which EsoRex will see that folder, where it is known in which directory it will run: a relative one
        works even where the folder's own path cannot be written. By default the folder's own path.

    Raises
    ------
    SofError
        If a tag cannot be written, a path is relative, or even the link's path is too long.
    """
    entries, links = [], []
    for number, entry in enumerate(sof.entries):
        if not entry.path.is_absolute():
            raise SofError(f"{entry.path} is a relative path; EsoRex would look for it in its own working directory")
        if problem := _problem(entry):
            place = Path(f"{number:04d}", _BAD_IN_NAME.sub("_", entry.path.name)[-200:])
            links.append(SofLink(folder / place, entry.path))
            entry = SofEntry((seen_as or folder) / place, entry.category)
            problem = _problem(entry)
        if problem:
            raise SofError(f"{entry.path!s} {problem}; use a root folder with a shorter and simpler path")
        entries.append(entry)
    return Sof(tuple(entries)), tuple(links)


def parse_sof(text: str) -> Sof:
    """Read a SOF as EsoRex does; CR before the line's end and the group column are passed over.

    Raises
    ------
    SofError
        If a line has no tag, or its path starts with `$` (EsoRex would execute `$(…)` in it).
    """
    entries = []
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.strip("\r").split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 2:
            raise SofError(f"line {number} of the SOF has no tag: {line.strip()}")
        if words[0].startswith("$"):
            raise SofError(
                f"line {number} of the SOF starts with '$', which EsoRex would expand and execute: {words[0]}"
            )
        entries.append(SofEntry(Path(words[0]), words[1]))
    return Sof(tuple(entries))


def of_entries(entries: Iterable[tuple[Path, str]]) -> Sof:
    """Return a SOF of paths and tags, each pair once, in the given order."""
    return Sof(tuple(SofEntry(path, tag) for path, tag in dict.fromkeys(entries)))


def _problem(entry: SofEntry) -> str:
    path = str(entry.path)
    if not entry.category or _BAD_IN_TAG.search(entry.category):
        return f"has a tag that no SOF can hold: {entry.category!r}"
    if _BAD_IN_PATH.search(path):
        return "has a blank or a line break in its path, which no SOF can hold"
    if path.startswith("$"):
        return "starts with '$', which EsoRex would expand"
    if _NOT_UTF8.search(path):
        return "has bytes in its path that are no UTF-8"
    if len(f"{path} {entry.category}".encode()) > LONGEST_LINE_BYTES:
        return f"is longer than the {LONGEST_LINE_BYTES} bytes of a SOF line"
    return ""
