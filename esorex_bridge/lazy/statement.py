"""What the products of a run depend on, stated as the bridge states it (`run.key`), without what takes time to import.

The set of files counts in the caller's order, because the first frame gives products their header.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from typing import Any

from esorex_bridge.lazy.content import FrameContent
from esorex_bridge.lazy.effective import Plugin, SetParameter, Settings
from esorex_bridge.lazy.lazy_store import LazyStore

STATEMENT_VERSION = 2
"""The same number as `run.key.STATEMENT_VERSION`; a test holds both together."""

FILE_WORD = "file "
"""Before the digest of a file that a parameter names; the same as `reuse.key.FILE_WORD`, as a test holds."""

_SIGNING = ("no-checksum", "no-datamd5")
"""Settings of EsoRex that change products; stated only where they differ from the usual FALSE."""


def statement_of(
    recipe: str, plugin: Plugin, parameters: Iterable[tuple[str, str]], inputs: Iterable[FrameContent]
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


def older_keys_of(statement: dict[str, Any], with_names: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Return the keys that a statement had in versions 0.2.0 and 0.1.0.

    Both stated the name of a file that a parameter names beside its content, and 0.1.0 no libraries.

    Parameters
    ----------
    statement : dict
        As it is now.
    with_names : iterable of (str, str)
        Its parameters, as `parameters_with_names` states them.
    """
    second = {**statement, "parameters": sorted([name, text] for name, text in with_names)}
    first = {name: value for name, value in second.items() if name != "libraries"}
    return key_of(second), key_of({**first, "version": 1})


def key_of(statement: dict[str, Any]) -> str:
    """Return the key of a statement: 64 hex digits."""
    text = json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def stated_parameters(
    parameters: Iterable[SetParameter], settings: Settings, plugin: Plugin, shelf: LazyStore
) -> Iterator[tuple[str, str]]:
    """Yield what is stated as parameters: each value, or the content of the file that it names; what is unusual."""
    for parameter in parameters:
        named = _names_file(parameter)
        yield parameter.name, f"{FILE_WORD}{shelf.digest_of(parameter.text)}" if named else parameter.text
    yield from _unusual(settings, plugin)


def parameters_with_names(
    parameters: Iterable[SetParameter], settings: Settings, plugin: Plugin, shelf: LazyStore
) -> Iterator[tuple[str, str]]:
    """Yield what versions before stated as parameters: of a file that a value names, its name and its content."""
    for parameter in parameters:
        yield parameter.name, parameter.text
        if _names_file(parameter):
            yield f"{parameter.name} (content)", shelf.digest_of(parameter.text)
    yield from _unusual(settings, plugin)


def _names_file(parameter: SetParameter) -> bool:
    return parameter.is_string and bool(parameter.text) and os.path.isfile(parameter.text)


def _unusual(settings: Settings, plugin: Plugin) -> Iterator[tuple[str, str]]:
    """Yield settings of EsoRex that change products, and variables by which a pipeline is told to work otherwise."""
    for name in _SIGNING:
        if settings[name]:
            yield f"esorex.{name}", "TRUE"
    own = f"{plugin.pipeline.partition('/')[0].upper()}_"  # as MUSE_BASICPROC_SKIP_NONLIN_CORR
    for variable in sorted(os.environ):
        if variable.startswith(own):
            yield f"variable {variable}", os.environ[variable]
