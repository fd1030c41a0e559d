"""What is in force for a run: EsoRex's own settings and the recipe's parameters, by EsoRex's own precedence.

EsoRex is asked by `--create-config`, so that settings files, variables and options count exactly as they do in a run.
Each answer is kept under all that it depends on: the files by their content, because callers such as Reflex write a
new one for each run. EsoRex's options on the command line come last in the precedence, so they are laid over here.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from esorex_bridge.esorex.libraries import Libraries, Linker, libraries_in, question_of, read_libraries
from esorex_bridge.lazy.command import Call, DoubtError
from esorex_bridge.lazy.lazy_store import LazyStore, stamp
from esorex_bridge.lazy.real import ask

_UNSEEN = {
    "mem-check": False, "output-readonly": False, "paf-config": "", "params": False, "recipes": False,
    "suppress-link": True,
}  # fmt: skip
"""Settings that change what a run does in ways that are not reproduced; with any other value it is left to EsoRex."""

_LEVELS = ("debug", "info", "warning", "error", "off")
_OUTPUT_FOLDER = re.compile(r"\.|/.*|(\.\./|\./)?[^./~$][^$]*")
_PLAIN_TEXT = re.compile(r"[\w./:+=@,~-]*", re.ASCII)

Settings = Mapping[str, Any]
"""EsoRex's own settings by name, without dashes: bools and texts."""


class SetParameter(NamedTuple):
    """A parameter of a recipe with the value that it will run with."""

    name: str
    text: str
    is_string: bool


_NO_LIBRARIES = Libraries()


class Plugin(NamedTuple):
    """The plugin file of a recipe, the folder that holds nothing but a link to it, and the libraries it runs with."""

    path: str
    digest: str
    narrow: str
    libraries: Libraries = _NO_LIBRARIES

    @property
    def pipeline(self) -> str:
        """Name and version of its pipeline, which its folder carries (`naco-4.4.11` → `naco/4.4.11`)."""
        folder = os.path.basename(os.path.dirname(self.path))
        found = re.fullmatch(r"(.+)-(\d[\w.]*)", folder)
        return f"{found.group(1)}/{found.group(2)}" if found else folder


def settings_of(call: Call, real: str, shelf: LazyStore) -> Settings:
    """Return EsoRex's settings for a call.

    Raises
    ------
    DoubtError
        If EsoRex does not accept them, an option is abbreviated or has an odd value, or a setting is one whose effects
        are not reproduced.
    """
    given = call.option("config")
    config = given if given is not None else os.environ.get("ESOREX_CONFIG", "")
    home = os.environ.get("HOME")
    if not home:
        raise DoubtError("no HOME, where EsoRex would look for settings")
    question = {
        "esorex": [real, stamp(real)],
        "variables": sorted((name, value) for name, value in os.environ.items() if _counts(name)),
        "files": [_content(path) for path in (f"{home}/.esorex/esorex.rc", *_installed_settings(real))],
        "config": _named_content(config),
    }
    options = [f"--config={config}"] if given else []
    answer = _ask_once(shelf, question, real, options, [])
    base = {entry["display_name"]: entry["value"] for entry in answer}
    given_here = dict(_option(base, *option) for option in call.options if option[0] != "config")
    settings = {**base, **given_here}
    for name, plain in _UNSEEN.items():
        if settings.get(name, plain) != plain:
            raise DoubtError(f"--{name} is set")
    _check_texts(settings)
    return settings


def parameters_of(call: Call, settings: Settings, plugin: Plugin, real: str, shelf: LazyStore) -> list[SetParameter]:
    """Return every parameter of the recipe with the value that the call gives it.

    Raises
    ------
    DoubtError
        If EsoRex does not accept them, or one is given that it does not list.
    """
    home = os.environ["HOME"]
    question = {
        "esorex": [real, stamp(real)],
        "plugin": plugin.digest,
        "names": os.environ.get("ESOREX_USE_PARAM_NAME"),
        "files": [_content(f"{home}/.esorex/{call.recipe}.rc"), _named_content(settings["recipe-config"])],
        "given": call.parameters,
    }
    options = [f"--recipe-dir={plugin.narrow}", "--log-level=off", "--msg-level=off"]
    options += [f"--{name}={value}" for name in ("config", "recipe-config") if (value := call.option(name)) is not None]
    entries = _ask_once(shelf, question, real, options, [call.recipe, *call.parameters])
    known = {entry[name] for entry in entries for name in ("name", "display_name")}
    for word in call.parameters:
        if word[2:].partition("=")[0] not in known:
            raise DoubtError(f"{word} is not among the parameters that EsoRex lists")
    return [
        SetParameter(entry["name"], _text(entry["value"], entry["valtype"]), entry["valtype"] == "string")
        for entry in entries
    ]


def plugin_of(recipe: str, settings: Settings, real: str, shelf: LazyStore) -> Plugin:
    """Return the plugin of a recipe: the one file of its name below the recipe folders.

    Raises
    ------
    DoubtError
        If there is none, or several, of which EsoRex takes its own choice.
    """
    if not re.fullmatch(r"\w+", recipe):
        raise DoubtError("an odd name of a recipe")
    found = {
        os.path.realpath(path)
        for folder in settings["recipe-dir"].split(":")
        for path in _below(folder, f"{recipe}.so", 4)
    }
    if len(found) != 1:
        raise DoubtError(f"{len(found)} plugins are called {recipe}.so")
    (path,) = found
    return Plugin(path, shelf.digest_of(path), shelf.narrow(recipe, path), _libraries(real, path, shelf))


def _libraries(real: str, plugin: str, shelf: LazyStore) -> Libraries:
    """Return the libraries that a plugin runs with, asking the dynamic linker where anything changed."""
    question = question_of(real, plugin, os.environ)
    name = f"libraries-{hashlib.sha256(question.encode('utf-8', 'surrogateescape')).hexdigest()}"
    kept = shelf.answer(name)
    known = read_libraries(kept) if kept is not None else None
    if known is not None:
        return known
    try:
        answer = Linker(os.environ).find(real, plugin)
    except OSError as error:
        raise DoubtError(f"a library cannot be read ({error})") from error
    shelf.keep_answer(name, answer)
    return libraries_in(answer)


def _below(folder: str, name: str, depth: int) -> list[str]:
    try:
        with os.scandir(folder or ".") as entries:
            listed = [entry for entry in entries if not entry.name.startswith(".")]
        found = [entry.path for entry in listed if entry.name == name]
        if depth:
            for entry in listed:
                if entry.is_dir():
                    found += _below(entry.path, name, depth - 1)
    except OSError:
        return []
    return found


def _ask_once(
    shelf: LazyStore, question: object, real: str, options: list[str], words: list[str]
) -> list[dict[str, Any]]:
    name = hashlib.sha256(json.dumps([question, bool(words)]).encode()).hexdigest()
    known = shelf.answer(name)
    if known is None:
        with shelf.scratch() as folder:
            path = f"{folder}/answer.json"
            code = ask(real, [*options, f"--create-config={path}", *words])
            if code != 0 or not os.path.exists(path):
                raise DoubtError(f"EsoRex answers {code} to a question about its settings")
            with open(path, encoding="utf-8", errors="surrogateescape") as stream:
                known = stream.read()
        shelf.keep_answer(name, known)
    entries: list[dict[str, Any]] = json.loads(known)
    return entries


def _installed_settings(real: str) -> tuple[str, str]:
    """Return where an installation can have its settings: Debian's place, and that of its own prefix."""
    return "/etc/esorex.rc", f"{os.path.dirname(os.path.dirname(os.path.realpath(real)))}/etc/esorex.rc"


def _counts(variable: str) -> bool:
    return variable.startswith("ESOREX_") and not variable.startswith("ESOREX_LAZY")


def _content(path: str) -> str | None:
    """Return what stands for a settings file in a question; None where there is none."""
    try:
        with open(path, "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()
    except OSError:
        return None


def _named_content(path: str) -> str | None:
    """Return what stands for a settings file that is named; None where none is."""
    content = _content(path) if path else None
    if path and content is None:
        raise DoubtError(f"the settings in {path} cannot be read as they are named")
    return content


def _option(base: Settings, name: str, text: str | None) -> tuple[str, Any]:
    """Return an option of the command line with its value in the type of the setting."""
    if name not in base:
        raise DoubtError(f"--{name} is unknown or abbreviated")
    if not isinstance(base[name], bool):
        return name, text or ""
    if text not in (None, "TRUE", "true", "FALSE", "false"):
        raise DoubtError(f"--{name} is neither TRUE nor FALSE")
    return name, text in (None, "TRUE", "true")


def _check_texts(settings: Settings) -> None:
    if not _OUTPUT_FOLDER.fullmatch(settings["output-dir"]) or settings["output-dir"].endswith("//"):
        raise DoubtError("an output folder that EsoRex would spell in its own way")
    if any(settings[name].startswith(("~", "$")) for name in ("products-sof", "log-dir", "output-prefix")):
        raise DoubtError("a path that EsoRex would expand")
    if not _PLAIN_TEXT.fullmatch(settings["output-dir"]) and settings["products-sof"].endswith(".json"):
        raise DoubtError("an output folder that JSON would write in its own way")
    if "/" in settings["log-file"] or "/" in settings["output-prefix"] or not settings["log-file"]:
        raise DoubtError("a name that is a path")
    if not {settings["log-level"], settings["msg-level"]} <= set(_LEVELS):
        raise DoubtError("an unknown level of messages")


def _text(value: bool | float | str, valtype: str) -> str:
    """Return a parameter's value as a statement has it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return str(float(value)) if valtype == "double" else str(value)
