"""Write down what a version leaves on disk, as text that another machine can make folders of again (`restore.py`).

    python -m tests.upgrade.preserve FOLDER VERSION

In FOLDER that version worked, on raw frames in `reflex_input`, which are not kept because the tests make them. What
differs by machine becomes a mark: `«here»` for the folder; `«digest:PATH»`, `«stamp:PATH»`, `«size:PATH»` of a file;
`«plugin:RECIPE»` (digest), `«plugin_path:RECIPE»`, `«pipeline:RECIPE»`; `«answer:RECIPE»` for what EsoRex says of its
parameters; `«key:N»` for the key of a statement, and `«KEY:N»` for the same in capitals. Products are kept as category
and a number that tells contents apart. Logs lose all but their first lines, parameters their descriptions, which are
the pipelines'.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.golden_files import rendered

FIXTURES = Path(__file__).with_name("left")
_LONG = ("esorex.log", "stdout.txt", "stdout", "log", "headers.jsonl")
_FIRST_LINES = 4
_DESCRIPTION = re.compile(r'("description": )"(?:[^"\\]|\\.)*"')
_SIZE_AFTER = re.compile(r"(«digest:([^»]+)»[\"']?, ?(?:\"size_bytes\": )?)\d+\b")
_RECIPE = re.compile(r"(INSERT INTO \"recipes\" VALUES\('[^']*/(\w+)\.so','[^']*','[^']*',)'.*'\);\Z", re.DOTALL)


class Marks:
    """What is replaced by which mark; longer texts first."""

    def __init__(self, here: Path) -> None:
        self.here = here
        self.texts: dict[str, str] = {}
        self.numbers: dict[str, int] = {}
        self.keys: dict[str, int] = {}

    def file(self, path: Path, name: str) -> None:
        """Take up a file: its digest and the forms that its stamp has."""
        state = path.stat()
        times, inode = f"{state.st_size}:{state.st_mtime_ns}", state.st_ino
        self.texts.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), f"«digest:{name}»")
        self.texts[f"{times}:{inode}"] = f"«stamp:{name}»"
        self.texts[f"{times}:{state.st_ctime_ns}:{inode}"] = f"«lazy stamp:{name}»"

    def plugin(self, path: Path) -> None:
        """Take up a plugin file."""
        state, recipe = path.stat(), path.stem
        times, inode = f"{state.st_size}:{state.st_mtime_ns}", state.st_ino
        self.texts[hashlib.sha256(path.read_bytes()).hexdigest()] = f"«plugin:{recipe}»"
        self.texts[f"{times}:{inode}"] = f"«plugin stamp:{recipe}»"
        self.texts[f"{times}:{state.st_ctime_ns}:{inode}"] = f"«lazy plugin stamp:{recipe}»"
        self.texts[str(path)] = f"«plugin_path:{recipe}»"
        name, _, version = path.parent.name.partition("-")
        self.texts[f"{name}/{version}"] = f"«pipeline:{recipe}»"

    def key(self, key: str) -> None:
        """Take up the key of a step."""
        number = self.keys.setdefault(key, len(self.keys) + 1)
        self.texts[key] = f"«key:{number}»"
        self.texts[key.upper()] = f"«KEY:{number}»"

    def replaced(self, text: str) -> str:
        """Return a text with marks."""
        self.texts[str(self.here)] = "«here»"
        self.texts[str(self.here).replace("/", "\\/")] = "«escaped here»"
        self.texts[f'"host": "{os.uname().nodename}"'] = '"host": "elsewhere"'
        for old in sorted(self.texts, key=len, reverse=True):
            text = text.replace(old, self.texts[old])
        return _SIZE_AFTER.sub(r"\1«size:\2»", _DESCRIPTION.sub(r'\1""', text))


def preserve(here: Path) -> dict[str, Any]:
    """Return what lies in a folder, raw frames and trees excepted."""
    marks = Marks(here)
    files = [path for path in sorted(here.rglob("*")) if path.is_symlink() or path.is_file()]
    for path in files:
        if path.suffix == ".fits" or path.name.startswith("product-"):
            marks.file(path, str(path.relative_to(here)))
    statements = dict(_statements(here))
    for plugin in _plugins(here):
        marks.plugin(plugin)
    for key in statements:
        marks.key(key)
    kept = [path for path in files if "reflex_input" not in path.parts]
    left = {_place(path.relative_to(here), marks): _left(path, marks) for path in kept}
    stated = {str(marks.keys[key]): json.loads(marks.replaced(text)) for key, text in statements.items()}
    return {"statements": stated, "files": left}


def _place(path: Path, marks: Marks) -> str:
    """Return where a file lies; folders that are named by the beginning of a key get a mark as well."""
    return re.sub(r"/[0-9a-f]{2}/«key:(\d+)»", r"/«key start:\1»/«key:\1»", marks.replaced(str(path)))


def _plugins(here: Path) -> set[Path]:
    links = (path.resolve() for path in here.rglob("*.so") if path.is_symlink())
    return set(links)


def _statements(here: Path) -> Iterator[tuple[str, str]]:
    """Yield key and statement of every step that is recorded."""
    for path in sorted(here.rglob("esorex_bridge.db")):
        with closing(sqlite3.connect(path)) as db:
            yield from db.execute("SELECT key, statement FROM steps ORDER BY made, rowid")
    for path in sorted(here.rglob("manifest.json")):
        manifest = json.loads(path.read_text())
        yield manifest["key"], json.dumps(manifest["statement"])


def _left(path: Path, marks: Marks) -> Any:
    if path.is_symlink():
        return {"link": marks.replaced(os.readlink(path))}  # noqa: PTH115
    if path.suffix == ".db":
        return {"sql": [marks.replaced(line) for line in _dump(path)]}
    if path.suffix == ".fits" or path.name.startswith("product-"):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        number = marks.numbers.setdefault(digest, len(marks.numbers) + 1)
        return {"fits": number, "category": _category(path)}
    text = marks.replaced(path.read_text("utf-8"))
    return {"text": "".join(text.splitlines(keepends=True)[:_FIRST_LINES]) if path.name in _LONG else text}


def _category(path: Path) -> str:
    found = re.search(rb"HIERARCH ESO PRO CATG *= *'([^']*?) *'", path.read_bytes())
    return found[1].decode() if found else ""


def _dump(path: Path) -> Iterator[str]:
    """Yield the commands that make a database; parameters of recipes are what EsoRex answers."""
    with closing(sqlite3.connect(path)) as db:
        for line in db.iterdump():
            yield _RECIPE.sub(r"\1'«answer:\2»');", line)
        yield f"PRAGMA user_version = {db.execute('PRAGMA user_version').fetchone()[0]};"


if __name__ == "__main__":
    FIXTURES.mkdir(exist_ok=True)
    document = preserve(Path(sys.argv[1]).absolute())
    (FIXTURES / f"{sys.argv[2]}.json").write_text(f"{rendered(document)}\n", encoding="utf-8")
