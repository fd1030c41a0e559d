"""What the products of a run depend on, stated as the bridge states it (`run.key`), without what takes time to import.

The set of files counts in the caller's order, because the first frame gives products their header.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from typing import Any

from esorex_bridge.lazy.content import Input
from esorex_bridge.lazy.effective import Plugin, RecipeParameter, Settings
from esorex_bridge.lazy.lazy_store import LazyStore

STATEMENT_VERSION = 2
"""The same number as `run.key.STATEMENT_VERSION`; a test holds both together."""

_SIGNING = ("no-checksum", "no-datamd5")
"""Settings of EsoRex that change products; stated only where they differ from the usual FALSE."""


def statement_of(
    recipe: str, plugin: Plugin, parameters: Iterable[tuple[str, str]], inputs: Iterable[Input]
) -> dict[str, Any]:
    """Return the statement of a run as a document that JSON can hold."""
    libraries = plugin.libraries.stated
    stated: dict[str, Any] = {
        "version": STATEMENT_VERSION if libraries else 1,
        "recipe": recipe,
        "pipeline": plugin.pipeline,
        "plugin": plugin.digest,
        "parameters": sorted([name, text] for name, text in parameters),
        "inputs": [[entry.tag, entry.digest] for entry in inputs],
    }
    if libraries:
        stated["libraries"] = [list(entry) for entry in libraries]
    return stated


def older_key_of(statement: dict[str, Any]) -> str:
    """Return the key that a statement had in version 0.1.0, without libraries."""
    return key_of({**{name: value for name, value in statement.items() if name != "libraries"}, "version": 1})


def key_of(statement: dict[str, Any]) -> str:
    """Return the key of a statement: 64 hex digits."""
    text = json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def stated_parameters(
    parameters: Iterable[RecipeParameter], settings: Settings, shelf: LazyStore
) -> Iterator[tuple[str, str]]:
    """Yield what is stated as parameters: each value, the content of a file that a value names, unusual signing."""
    for parameter in parameters:
        yield parameter.name, parameter.text
        if parameter.is_string and parameter.text and os.path.isfile(parameter.text):
            yield f"{parameter.name} (content)", shelf.digest_of(parameter.text)
    for name in _SIGNING:
        if settings[name]:
            yield f"esorex.{name}", "TRUE"
