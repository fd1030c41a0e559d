"""What installed recipes say of themselves: manual pages, and the words in their plugins that look like tags."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

from esorex_bridge.definitions.draft import RecipeText
from esorex_bridge.errors import RecipeError
from esorex_bridge.esorex.runner import PLUGIN_FOLDERS, environment, find_plugins, pipeline_of

_TAG = r"[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+|DARK|BIAS|FLAT|ARC|OBJECT|SKY|STD"
_TAG_IN_TEXT = re.compile(rf"(?<![A-Za-z0-9_.])(?:{_TAG})(?![A-Za-z0-9_])")
_TAG_IN_PLUGIN = re.compile(rb"(?<![A-Za-z0-9_])[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+(?![A-Za-z0-9_])")
_PARAMETER = re.compile(r"^ +--([A-Za-z0-9_.-]+) *:", re.MULTILINE)
_SECONDS = 60.0


def recipes_of_pipeline(pipeline: str) -> Mapping[str, RecipeText]:
    """Return what the recipes of an installed pipeline (`naco`) say of themselves.

    Raises
    ------
    RecipeError
        If EsoRex or the pipeline is not installed.
    """
    plugins = {
        name: path
        for name, path in find_plugins(PLUGIN_FOLDERS).items()
        if pipeline_of(path).partition("/")[0] == pipeline
    }
    esorex = shutil.which("esorex")
    if esorex is None or not plugins:
        raise RecipeError(f"the recipes of pipeline '{pipeline}' are not installed (Debian: cpl-plugin-{pipeline})")
    with ThreadPoolExecutor(cpu_count() or 1, "manual") as pool:
        pages = dict(zip(plugins, pool.map(lambda name: _page(esorex, name, plugins[name]), plugins), strict=True))
    return {name: _text(pages[name], plugins[name].read_bytes()) for name in plugins}


def _page(esorex: str, recipe: str, plugin: Path) -> str:
    with tempfile.TemporaryDirectory(prefix="esorex-bridge-") as made:
        folder = Path(made)
        (folder / "plugin").mkdir()
        (folder / "plugin" / plugin.name).symlink_to(plugin.resolve())
        command = (esorex, f"--recipe-dir={folder}/plugin", "--log-level=off", "--msg-level=off", "--man-page", recipe)
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        return done.stdout.decode(errors="replace")


def _text(page: str, plugin: bytes) -> RecipeText:
    description = page.partition("\nDESCRIPTION")[2].partition("\nOPTIONS")[0]
    options = page.partition("\nOPTIONS")[2].partition("\nAUTHOR")[0]
    return RecipeText(
        takes=frozenset(_TAG_IN_TEXT.findall(description)),
        holds=frozenset(word.decode("ascii") for word in _TAG_IN_PLUGIN.findall(plugin)),
        parameters=tuple(dict.fromkeys(_PARAMETER.findall(options))),
    )
