"""The hash that a key is, worked out once more: by the documented rule, from EsoRex's answers and plain files."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

PLUGIN_FOLDERS = ("usr/lib/*/cpl/plugins/*", "usr/lib/cpl/plugins/*", "usr/*/esopipes-plugins/*")


@cache
def plugin_of(recipe: str) -> Path | None:
    """Return the plugin file of a recipe; None where its pipeline is not installed."""
    found = (path for pattern in PLUGIN_FOLDERS for path in sorted(Path("/").glob(f"{pattern}/{recipe}.so")))
    return next(found, None)


@cache
def installed_pipelines() -> dict[str, str]:
    """Return the versions of the installed pipelines by name."""
    folders = (path for pattern in PLUGIN_FOLDERS for path in sorted(Path("/").glob(pattern)))
    return {name: version for path in folders for name, _, version in (path.name.rpartition("-"),) if name}


@cache
def pipeline_of(recipe: str) -> str:
    """Return name and version of a recipe's pipeline (`naco/4.4.11`)."""
    plugin = plugin_of(recipe)
    assert plugin is not None, recipe
    return "/".join(plugin.parent.name.rsplit("-", 1))


@cache
def plugin_digest(recipe: str) -> str:
    """Return the digest of a recipe's plugin file."""
    plugin = plugin_of(recipe)
    assert plugin is not None, recipe
    return digest_of(plugin)


def digest_of(content: Path | bytes) -> str:
    """Return the digest of a file that is not compressed, or of its content."""
    data = content if isinstance(content, bytes) else content.read_bytes()
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@cache
def answer_of(recipe: str) -> str:
    """Return what EsoRex answers about a recipe's parameters (JSON)."""
    plugin = plugin_of(recipe)
    assert plugin is not None, recipe
    with TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.json"
        (Path(folder) / plugin.name).symlink_to(plugin)
        command = ["esorex", f"--recipe-dir={folder}", f"--create-config={path}", "--log-level=off", recipe]
        subprocess.run(command, cwd=folder, env={"PATH": "/usr/bin", "HOME": folder}, check=True, capture_output=True)
        return path.read_text("utf-8", "replace")


def defaults_of(recipe: str) -> tuple[tuple[str, str, str], ...]:
    """Return a recipe's parameters: name on the command line, full name, own value as text."""
    listed = json.loads(answer_of(recipe))
    return tuple((each["display_name"], each["name"], _text(each["value"], each["valtype"])) for each in listed)


def _text(value: object, kind: str) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    return repr(float(str(value))) if kind == "double" else str(value)


@cache
def libraries_of(recipe: str) -> tuple[tuple[str, str], ...]:
    """Return the libraries of a recipe that count: those of pipelines and CPL by digest, general ones by file name."""
    plugin = plugin_of(recipe)
    assert plugin is not None, recipe
    said = subprocess.run(["ldd", plugin, "/usr/bin/esorex"], check=True, capture_output=True, text=True).stdout
    found = dict(re.findall(r"^\s*(lib\S+) => (/\S+)", said, re.MULTILINE))
    stated = {}
    for name, path in found.items():
        if name.startswith(("libcfitsio.", "libwcs.", "libgsl", "libfftw3")):
            stated[name] = Path(path).resolve().name
        elif name.startswith(("libcpl", "libcext.", "libqfits.")) or path.count("/") > 4:
            stated[name] = digest_of(Path(path))
    return tuple(sorted(stated.items()))


def key_of(
    recipe: str,
    parameters: Iterable[tuple[str, str]],
    inputs: Iterable[tuple[str, str]],
    pipeline: str = "",
    libraries: tuple[tuple[str, str], ...] = (),
) -> str:
    """Return the key of a step of which every parameter (full name) and every input (tag, content) is given.

    Without libraries it is the key that version 0.1.0 had.
    """
    statement = {
        "version": 2 if libraries else 1,
        "recipe": recipe,
        "pipeline": pipeline or pipeline_of(recipe),
        "plugin": plugin_digest(recipe),
        "parameters": sorted(list(pair) for pair in parameters),
        "inputs": [list(pair) for pair in inputs],
        **({"libraries": [list(pair) for pair in libraries]} if libraries else {}),
    }
    text = json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def stated_by_content(parameters: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return parameters with what is in a file for its path, where one names a file."""
    return [
        (name, f"file {digest_of(Path(value))}" if value.startswith("/") and Path(value).is_file() else value)
        for name, value in parameters
    ]


def stated_parameters(recipe: str, given: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return all parameters of a recipe by their full names, where some (by their short names) are not its own."""
    return [(name, given.get(short, value)) for short, name, value in defaults_of(recipe)]
