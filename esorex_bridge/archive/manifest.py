"""Manifest: the files of a data folder that were verified, so that nothing is read twice.

One JSON object per line, appended; the first line is the version. A file counts as verified as long as its
stamp is the one recorded.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

from msgspec import Struct

from esorex_bridge.disk.stamp import stamp_of
from esorex_bridge.files import Digest
from esorex_bridge.values import plain

NAME = ".esorex_bridge_manifest.jsonl"
VERSION = 2

_HEAD = json.dumps({"esorex_bridge_manifest": VERSION})


class Entry(Struct, frozen=True):
    """A verified file.

    Parameters
    ----------
    file : str
        Its name in the folder.
    stamp : str
        As verified.
    digest : Digest
        Of its content.
    header_version : str
        HDRVER of its header, where the archive corrected it on the way.
    """

    file: str
    stamp: str
    digest: Digest
    header_version: str = ""


class Manifest:
    """The manifest of one folder; safe to share between threads.

    Parameters
    ----------
    folder : Path
        The data folder; need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / NAME
        self._lock = threading.Lock()
        self._entries = _read(self._path)

    def digest(self, path: Path) -> Digest | None:
        """Return the digest of a file of the folder, as long as it is the file that was verified."""
        entry = self._entries.get(path.name)
        return entry.digest if entry is not None and entry.stamp == stamp_of(path) else None

    def header_version(self, path: Path) -> str:
        """Return the HDRVER of a file of that name when it was verified last; empty where it had none."""
        entry = self._entries.get(path.name)
        return entry.header_version if entry is not None else ""

    def record(self, path: Path, digest: Digest, stamp: str, header_version: str = "") -> None:
        """Record a file that was verified, under the stamp that it had then; one without a stamp is not recorded.

        Raises
        ------
        OSError
            If the folder cannot be written.
        """
        if not stamp:
            return
        entry = Entry(path.name, stamp, digest, header_version)
        line = json.dumps(plain(entry), ensure_ascii=False)
        with self._lock:
            start = _start(self._path)
            with self._path.open("ab", buffering=0) as stream:
                stream.write(f"{start}{line}\n".encode())
            self._entries[path.name] = entry


def _read(path: Path) -> dict[str, Entry]:
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    entries = {}
    for line in lines:
        entry = _entry(line)
        if entry is not None:
            entries[entry.file] = entry
    return entries


def _entry(line: str) -> Entry | None:
    """Return the entry of a line; None for what is none: the head, a line cut off, a line of another version."""
    try:
        found = json.loads(line)
        version = str(found.get("header_version", ""))
        return Entry(str(found["file"]), str(found["stamp"]), Digest(str(found["digest"])), version)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _start(path: Path) -> str:
    """Return what has to stand before a new line: the head of a new file, an end for a line that was cut off."""
    try:
        with path.open("rb") as stream:
            stream.seek(-1, 2)
            return "" if stream.read(1) == b"\n" else "\n"
    except OSError:
        return _HEAD + "\n"
