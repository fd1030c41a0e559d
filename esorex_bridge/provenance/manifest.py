"""The manifest of a crate: the SHA-256 of every other file, one a line, and of the lines themselves at the end.

Its lines are those of `sha256sum`, so that a crate can be checked without this program:
`grep -v '^#' manifest-sha256.txt | sha256sum -c`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from esorex_bridge.disk.digest import digest_of_stream
from esorex_bridge.errors import DataError

NAME = "manifest-sha256.txt"
SIGNATURE = f"{NAME}.sig"
NAMESPACE = "esorex-bridge"
"""The namespace of signatures made by `ssh-keygen -Y sign`."""

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_LAST = re.compile(r"# sha256 of the lines above: ([0-9a-f]{64})")


class CrateFinding(Struct, frozen=True):
    """What is wrong with a file of a crate: its path in the crate, and what."""

    file: str
    problem: str


def write_manifest(folder: Path) -> Path:
    """Write the manifest of all files in a folder, and return its path."""
    lines = "".join(f"{_sha256(path)}  {path.relative_to(folder)}\n" for path in _files(folder))
    manifest = folder / NAME
    manifest.write_text(f"{lines}# sha256 of the lines above: {hashlib.sha256(lines.encode()).hexdigest()}\n")
    return manifest


def check_manifest(folder: Path) -> tuple[CrateFinding, ...]:
    """Return what differs between a crate and its manifest; nothing where all is whole.

    Raises
    ------
    DataError
        If the folder has no manifest.
    """
    try:
        text = (folder / NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"{folder} has no {NAME}: it is not a crate that esorex-bridge exported") from None
    except UnicodeDecodeError:
        return (CrateFinding(NAME, "is damaged: it is not text"),)
    lines, found = _read(text)
    if lines is None:
        return (CrateFinding(NAME, "is damaged: its lines differ from the sum in its last line"),)
    there = {str(path.relative_to(folder)) for path in _files(folder)}
    changed = (CrateFinding(name, "is missing") for name in sorted(found.keys() - there))
    added = (CrateFinding(name, "is not in the manifest") for name in sorted(there - found.keys()))
    differing = (
        CrateFinding(name, "has changed: its SHA-256 differs from the manifest's")
        for name in sorted(there & found.keys())
        if _sha256(folder / name) != found[name]
    )
    return (*changed, *added, *differing)


def _read(text: str) -> tuple[str | None, dict[str, str]]:
    """Return the lines, and the digests by name; no lines where their sum is wrong or missing."""
    lines, _, last = text.rstrip("\n").rpartition("\n")
    match = _LAST.fullmatch(last)
    if match is None or hashlib.sha256(f"{lines}\n".encode()).hexdigest() != match.group(1) or not text.endswith("\n"):
        return None, {}
    entries = [entry for line in lines.splitlines() if (entry := _LINE.fullmatch(line))]
    return lines, {entry.group(2): entry.group(1) for entry in entries}


def _files(folder: Path) -> Iterable[Path]:
    files = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return sorted(path for path in files if path.relative_to(folder).as_posix() not in (NAME, SIGNATURE))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return digest_of_stream(stream).removeprefix("sha256:")
