"""A synthetic night of which every file is a header without pixels, so that all of them take seconds to plan."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.cli import main
from esorex_bridge.demo.archive.tree_xml import tree_document
from esorex_bridge.demo.nights.catalogue import NIGHTS, make_night
from tests.tiny_fits import fits_of

FOLDERS = {"Raw2Raw": "data_with_raw_calibs", "Raw2Master": "data_with_processed_calibs"}


class BareNight:
    """A night on disk of which every file is a header, and what the commands say of it."""

    def __init__(self, name: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.listed, self.night = NIGHTS[name], make_night(name)
        self.root, self.capsys = root, capsys
        self.data = root / "reflex_input" / FOLDERS[self.listed.mode]
        self.data.mkdir(parents=True)
        for file in self.night.files:
            keywords = {_dotted(key): value for key, value in file.keywords}
            (self.data / f"{file.dp_id}.fits").write_bytes(fits_of(keywords))
        for tree in self.night.trees:
            if tree.mode == self.listed.mode:
                name = f"{tree.root.files[0].name}_{tree.mode.lower()}.xml"
                (self.data / name).write_text(tree_document(tree))

    @property
    def mode(self) -> tuple[str, ...]:
        return ("--mode", "master" if self.listed.mode == "Raw2Master" else "raw")

    @property
    def settings(self) -> tuple[str, ...]:
        return tuple(f"--set={text}" for text in self.listed.settings)

    def raw(self, *words: object) -> Any:
        """Return the JSON document of a command."""
        code = main([*map(str, words), "--json", "--root", str(self.root)])
        document = json.loads(self.capsys.readouterr().out)
        return {"exit code": code, **document} if code else document

    def ask(self, *words: object) -> Any:
        """Return the JSON document of a command without the name of the folder."""
        return self.portable(self.raw(*words))

    def portable(self, document: Any) -> Any:
        text = json.dumps(document, ensure_ascii=False)
        text = text.replace(str(self.data), "DATA").replace(str(self.root), "ROOT")
        text = re.sub(r'"free_bytes": \d+', '"free_bytes": 0', text)  # as it is on any disk
        return in_rows(json.loads(text))


ROWS = (
    ("name", "category", "path", "match", "certified"),
    ("category", "file"),
    ("category", "step", "product"),
    ("category", "content", "name"),
    ("name", "value", "origin"),
)
"""Keys of records that come by the hundred; in a golden file each is one line of its values."""


def in_rows(value: Any) -> Any:
    """Return a document with its many small records written as text; one with other keys stays as it is."""
    if isinstance(value, dict):
        if tuple(value) in ROWS and all(each is None or isinstance(each, str | bool) for each in value.values()):
            return " | ".join(map(str, value.values())).replace(f"DATA/{value.get('name')}.fits", "DATA/*.fits")
        return {key: in_rows(each) for key, each in value.items()}
    return [in_rows(each) for each in value] if isinstance(value, list) else value


def _dotted(keyword: str) -> str:
    return keyword.removeprefix("ESO ").replace(" ", ".") if keyword.startswith("ESO ") else keyword
