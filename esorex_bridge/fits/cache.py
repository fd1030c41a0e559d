"""A cache of header values, keyed by path and stamp: a folder that did not change is not read again.

One file of JSON lines per data root. Its first line says what it is; then come lists of keywords, and one line per file
that refers to such a list. Lines are only ever appended, each in one write, so several processes may share the file; a
line that cannot be read is left out, and a file of another version is started anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from esorex_bridge.disk.atomic import WriteError, write_whole
from esorex_bridge.disk.stamp import steady_stamp
from esorex_bridge.fits.card import Value

_FIRST_LINE = '{"file": "header cache of esorex-bridge", "version": 3}'
_WORTH_REWRITING = 4


class HeaderCache:
    """Header values of files that were read before.

    Parameters
    ----------
    path : Path
        The cache file; it need not exist.
    keys : tuple of str
        The keywords wanted. What was stored for fewer of them does not count.
    """

    def __init__(self, path: Path, keys: tuple[str, ...]) -> None:
        self._path = path
        self._keys = keys
        self._lists: dict[tuple[str, ...], int] = {}
        self._entries: dict[str, list[Any]] = {}
        self._fresh: dict[str, list[Any]] = {}
        self._suiting: dict[int, tuple[str, ...]] = {}
        self._lines = 0
        self._load()

    def get(self, path: str, stamp: str) -> dict[str, Value] | None:
        """Return the values stored for a file, None where it changed or was never read for all keywords wanted."""
        entry = self._entries.get(path)
        if entry is None or entry[2] != stamp:
            return None
        stored = self._suiting.get(entry[0])
        if stored is None:
            return None
        values = dict(zip(stored, entry[3], strict=False))
        return values if stored == self._keys else {key: values[key] for key in self._keys}

    def put(self, path: str, stamp: str, header: Mapping[str, Value]) -> None:
        """Remember the values of a file for the next `save`, under the stamp that it had before it was read.

        A file that changed meanwhile or a moment ago is not remembered.
        """
        if steady_stamp(path, stamp):
            self._fresh[path] = [0, path, stamp, [header.get(key) for key in self._keys]]

    def save(self) -> None:
        """Append what is new; a cache that cannot be written is none, and no error."""
        if not self._fresh:
            return
        number = self._lists.get(self._keys, len(self._lists))
        lines = [] if self._keys in self._lists else [json.dumps(["keys", number, *self._keys])]
        for entry in self._fresh.values():
            entry[0] = number
            lines.append(json.dumps(entry))
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._write(lines)
        except (OSError, WriteError):
            return
        self._fresh = {}
        self._load()

    def _write(self, lines: list[str]) -> None:
        if self._lines == 0 or self._lines > _WORTH_REWRITING * max(len(self._entries), 1000):
            self._rewrite(lines)
            return
        data = ("\n" + "\n".join(lines) + "\n").encode()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)

    def _rewrite(self, lines: list[str]) -> None:
        lists = [json.dumps(["keys", number, *keys]) for keys, number in self._lists.items()]
        known = [json.dumps(entry) for path, entry in self._entries.items() if path not in self._fresh]
        write_whole(self._path, "\n".join([_FIRST_LINE, *lists, *known, *lines, ""]))

    def _load(self) -> None:
        self._lists, self._entries, self._suiting = {}, {}, {}
        lines = self._stored_lines()
        self._lines = len(lines)
        numbers: dict[int, tuple[str, ...]] = {}
        for entry in _parse_lines(lines):
            if entry[0] == "keys":
                numbers[entry[1]] = tuple(entry[2:])
            elif entry[0] in numbers and len(entry[3]) == len(numbers[entry[0]]):
                self._entries[entry[1]] = entry
        for number, keys in numbers.items():
            self._lists[keys] = number
            if set(self._keys) <= set(keys):
                self._suiting[number] = keys

    def _stored_lines(self) -> list[str]:
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        return lines if lines and lines[0] == _FIRST_LINE else []


def _parse_lines(lines: list[str]) -> Iterable[list[Any]]:
    """Return the lists that lines hold; all at once where all are sound, which is ten times as fast."""
    whole = [line for line in lines[1:] if line]
    try:
        found = json.loads(f"[{','.join(whole)}]")
    except ValueError:
        found = [entry for line in whole if (entry := _parse_line(line)) is not None]
    return [entry for entry in found if isinstance(entry, list) and len(entry) >= 3 and _is_entry(entry)]


def _parse_line(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _is_entry(entry: list[Any]) -> bool:
    if entry[0] == "keys":
        return isinstance(entry[1], int) and all(isinstance(key, str) for key in entry[2:])
    return isinstance(entry[0], int) and isinstance(entry[1], str) and len(entry) == 4 and isinstance(entry[3], list)
