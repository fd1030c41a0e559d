"""Make what an earlier version left on disk again, with the digests, keys and stamps of this machine.

It was left a minute ago: what is installed here must be older, or everything is made again.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.statements import answer_of, digest_of, key_of, pipeline_of, plugin_digest, plugin_of
from tests.tiny_fits import fits_of
from tests.upgrade.preserve import FIXTURES

_MARK = re.compile(r"«([a-z_ ]+|KEY)(?::([^»]*))?»")
_PREFIX = "sha256:"
_TIME = re.compile(r"2026-11-21T17:59:\d\d")
_CLOCK = re.compile(r"\b(17952839\d\d)(?=\d{3}\b|\d{9}\b)")
_LATER = timedelta(seconds=int(time.time()) - 60 - 1795283945)
"""How much later everything was left than when it was preserved, at 17:59:05."""


def move_times(text: str) -> str:
    """Return a text with the times of what was preserved as they are in what is restored."""
    text = _TIME.sub(lambda match: (datetime.fromisoformat(match[0]) + _LATER).isoformat(), text)
    return _CLOCK.sub(lambda match: str(int(match[1]) + int(_LATER.total_seconds())), text)


class Restored:
    """A folder in which an earlier version worked; raw frames lie in it already.

    Parameters
    ----------
    version : str
        Of the bridge.
    here : Path
        The folder.
    """

    def __init__(self, version: str, here: Path) -> None:
        self.here = here
        self._left = json.loads((FIXTURES / f"{version}.json").read_text("utf-8"))
        self._make(lambda left: "fits" in left, self._fits)
        self._make(lambda left: "link" in left, self._link)
        self._make(lambda left: "text" in left, self._text)
        self._make(lambda left: "sql" in left, self._database)

    @cached_property
    def keys(self) -> dict[str, str]:
        """The keys of the recorded steps by the numbers of their statements; each follows from those before."""
        found: dict[str, str] = {}
        for number, stated in self._left["statements"].items():
            inputs = [_pair(entry) for entry in stated["inputs"]]
            contents = [(tag, self._resolved(content, found)) for tag, content in inputs]
            parameters = [(name, self._resolved(value, found)) for name, value in stated["parameters"]]
            found[number] = key_of(stated["recipe"], parameters, contents)
        return found

    def _make(self, wanted: Callable[[dict[str, Any]], bool], make: Callable[[Path, dict[str, Any]], None]) -> None:
        for name, left in self._left["files"].items():
            if wanted(left):
                path = self.here / self.resolved(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                make(path, left)

    def _fits(self, path: Path, left: dict[str, Any]) -> None:
        path.write_bytes(self._product(left))

    def _product(self, left: dict[str, Any]) -> bytes:
        return fits_of({"PRO.CATG": left["category"], "CONTENT": left["fits"]})

    def _link(self, path: Path, left: dict[str, Any]) -> None:
        path.symlink_to(self.resolved(left["link"]))

    def _text(self, path: Path, left: dict[str, Any]) -> None:
        path.write_text(self.resolved(left["text"]), encoding="utf-8")

    def _database(self, path: Path, left: dict[str, Any]) -> None:
        with closing(sqlite3.connect(path)) as db:
            db.executescript("\n".join(self.resolved(line) for line in left["sql"]))

    def resolved(self, text: str) -> str:
        """Return a text with values for its marks."""
        return move_times(self._resolved(text, self.keys) if "«" in text else text)

    def _resolved(self, text: str, keys: dict[str, str]) -> str:
        return _MARK.sub(lambda match: self._value(match[1], match[2] or "", keys), text)

    def _value(self, kind: str, of: str, keys: dict[str, str]) -> str:
        if kind in ("key", "KEY", "key start"):
            return {"key": keys[of], "KEY": keys[of].upper(), "key start": keys[of][:2]}[kind]
        if kind in ("here", "escaped here"):
            return str(self.here) if kind == "here" else str(self.here).replace("/", "\\/")
        return self._of_file(kind, of) if kind in ("digest", "size", "stamp", "lazy stamp") else _of_recipe(kind, of)

    def _of_file(self, kind: str, name: str) -> str:
        path = self.here / move_times(name)
        if kind == "digest":
            # Keys are wanted before the products are there, whose names hold some.
            left = self._left["files"].get(name)
            return digest_of(path if left is None else self._product(left)).removeprefix(_PREFIX)
        return str(path.stat().st_size) if kind == "size" else stamp(path, kind.startswith("lazy"))


def _pair(entry: Any) -> tuple[str, str]:
    return (entry["category"], entry["content"]) if isinstance(entry, dict) else (entry[0], entry[1])


def _of_recipe(kind: str, recipe: str) -> str:
    plugin = plugin_of(recipe)
    assert plugin is not None, recipe
    values: dict[str, Callable[[], str]] = {
        "plugin": lambda: plugin_digest(recipe).removeprefix(_PREFIX),
        "plugin_path": lambda: str(plugin),
        "plugin stamp": lambda: stamp(plugin),
        "lazy plugin stamp": lambda: stamp(plugin, lazy=True),
        "pipeline": lambda: pipeline_of(recipe),
        "answer": lambda: answer_of(recipe).replace("'", "''"),
    }
    return values[kind]()


def stamp(path: Path, lazy: bool = False) -> str:
    """Return what a version 0.1 notes of a file to see whether it changed; `esorex-lazy` notes one time more."""
    state = path.stat()
    changed = f":{state.st_ctime_ns}" if lazy else ""
    return f"{state.st_size}:{state.st_mtime_ns}{changed}:{state.st_ino}"
