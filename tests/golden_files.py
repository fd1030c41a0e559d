"""Golden files: documents as they were when somebody last looked at them, in text that is short and can be compared.

A part of a document that occurs twice is written once, under `shared`, and referred to as `{"$": "its number"}`. With
`pytest --update-goldens` the files are written instead of compared.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).with_name("golden")
OPTION = "--update-goldens"

_WIDTH = 118
_WORTH_SHARING = 160
_SHOWN = 60


def rendered(value: Any, indent: str = "", room: int = _WIDTH) -> str:
    """Return a value as JSON in lines that are as full as they can be."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + len(indent) <= room or not isinstance(value, dict | list) or not value:
        return flat
    deeper = indent + " "
    if isinstance(value, list):
        opening, closing, inner = "[", "]", [rendered(each, deeper, room) for each in value]
    else:
        opening, closing = "{", "}"
        inner = [f"{json.dumps(key)}: {rendered(each, deeper, room)}" for key, each in value.items()]
    lines = [""]
    for item in inner:
        if lines[-1] and "\n" not in lines[-1] + item and len(deeper + lines[-1] + item) + 3 <= room:
            lines[-1] += f", {item}"
        else:
            lines.append(item)
    body = f",\n{deeper}".join(lines[1:])
    return f"{opening}\n{deeper}{body}\n{indent}{closing}"


def shared(document: Any) -> dict[str, Any]:
    """Return a document with its repeated parts written once."""
    counts = Counter(_flat(part) for part in _parts(document))
    numbers: dict[str, str] = {}
    written: dict[str, Any] = {}

    def share(value: Any, top: bool = False) -> Any:
        key = _flat(value) if isinstance(value, dict | list) else ""
        if not top and counts[key] > 1 and len(key) >= _WORTH_SHARING:
            if key not in numbers:
                inside = share(value, top=True)
                numbers[key] = str(len(numbers) + 1)
                written[numbers[key]] = inside
            return {"$": numbers[key]}
        if isinstance(value, dict):
            return {name: share(each) for name, each in value.items()}
        return [share(each) for each in value] if isinstance(value, list) else value

    return {"document": share(document, top=True), "shared": written}


def whole(golden: Mapping[str, Any]) -> Any:
    """Return the document that `shared` made shorter."""

    def restore(value: Any) -> Any:
        if isinstance(value, dict):
            if value.keys() == {"$"}:
                return restore(golden["shared"][value["$"]])
            return {name: restore(each) for name, each in value.items()}
        return [restore(each) for each in value] if isinstance(value, list) else value

    return restore(golden["document"])


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for each in value.values() if isinstance(value, dict) else value:
            yield from _parts(each)


def _flat(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


class Golden:
    """One golden file of named parts.

    Parameters
    ----------
    name : str
        Of the file, without its ending.
    update : bool
        Whether to write instead of to compare.
    """

    def __init__(self, name: str, update: bool) -> None:
        self.path = FOLDER / f"{name}.json"
        self.update = update
        self._known: dict[str, Any] = {}

    @property
    def parts(self) -> dict[str, Any]:
        """The parts that the file has; none where there is no file."""
        return whole(json.loads(self.path.read_text("utf-8"))) if self.path.exists() else {}

    def hold(self, part: str, document: Any) -> None:
        """Compare a document with a part of the file, or write it there."""
        known = self._known or self.parts
        found = json.loads(json.dumps(document))
        if self.update:
            self.path.parent.mkdir(exist_ok=True)
            text = rendered(shared({**known, part: found}))
            self.path.write_text(f"{text}\n", encoding="utf-8")
            return
        self._known = known
        assert part in known, f"{self.path.name} has no part '{part}'; write it with pytest {OPTION}"
        if known[part] != found:
            pytest.fail(f"{self.path.name}, {part}: not as it was\n{_difference(known[part], found)}", pytrace=False)


def _difference(before: Any, now: Any) -> str:
    lines = unified_diff(rendered(before).splitlines(), rendered(now).splitlines(), "golden", "now", "", "", 2, "")
    listed = list(lines)
    rest = f"\n… and {len(listed) - _SHOWN} lines more" if len(listed) > _SHOWN else ""
    return "\n".join(listed[:_SHOWN]) + rest
