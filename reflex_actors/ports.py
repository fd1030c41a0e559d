"""Ports of actors: what they are called, what they carry, and values in and out of them.

Python 3.8 and the standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reflex_actors.sof_json import (
    EncodingError,
    RecipeParameter,
    SetOfFiles,
    read_sof,
    read_sop,
    refuse_separators,
    sop_document,
)

KINDS = ("text", "flag", "sof", "sop", "json")
"""What a port carries. A `json` value travels as text, which Reflex passes on unchanged."""


class ActorError(Exception):
    """An actor cannot do what was asked; the message is for the user."""


@dataclass(frozen=True)
class Port:
    """An input or an output.

    Parameters
    ----------
    name : str
        Name of the port in Reflex, of the option, and of the key in the files.
    help : str
        A few words.
    kind : str
        One of `KINDS`.
    default : str
        Of an input; None makes it absent unless it is given.
    short : str
        A letter for the short option.
    required : bool
        Whether an input must be given.
    silent : bool
        Of an output: nothing is sent where there is no value. Every other output is sent each time, empty where there
        is nothing, because actors behind it wait for a token.
    """

    name: str
    help: str = ""
    kind: str = "text"
    default: str | None = None
    short: str = ""
    required: bool = False
    silent: bool = False

    @property
    def empty(self) -> Any:
        """What the output carries where there is nothing."""
        return {"sof": SetOfFiles(), "sop": [], "json": "[]", "flag": "false"}.get(self.kind, "")


@dataclass(frozen=True)
class Actor:
    """The face of an actor: its name, a line about it, its ports."""

    name: str
    summary: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


class Inputs:
    """The values that an actor got.

    Parameters
    ----------
    values : mapping of str to value
        By port; ports without a value are not in it.
    products_dir : str
        Where the actor may put files; the working directory where Reflex names none.
    """

    def __init__(self, values: Mapping[str, Any], products_dir: str | None = None) -> None:
        self._values = dict(values)
        self.products_dir = Path(products_dir or "").absolute()

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str:
        """Return a text; empty where there is none."""
        return str(self._values.get(name, "")).strip()

    def flag(self, name: str) -> bool:
        """Return true or false."""
        return bool(self._values.get(name, False))

    def sof(self, name: str) -> SetOfFiles:
        """Return a set of files; an empty one where there is none."""
        value = self._values.get(name)
        return value if isinstance(value, SetOfFiles) else SetOfFiles()

    def sop(self, name: str) -> tuple[RecipeParameter, ...]:
        """Return recipe parameters; none where there are none."""
        return tuple(self._values.get(name, ()))

    def json(self, name: str) -> Any:
        """Return JSON values; None where there are none."""
        return self._values.get(name)


def value_of(port: Port, value: Any) -> Any:
    """Return a value in the type of its port.

    Raises
    ------
    ActorError
        If it is of another type, or a path in it cannot pass through Reflex.
    """
    try:
        if port.kind == "sof":
            return _checked_paths(read_sof(value))
        if port.kind == "sop":
            return read_sop(value)
    except EncodingError as error:
        raise ActorError(f"input {port.name}: {error}") from None
    if port.kind == "json":
        return _json_of(port, value)
    if port.kind == "flag":
        return _flag_of(port, value)
    return value if isinstance(value, str) else json.dumps(value)


def _json_of(port: Port, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.strip() else None
    except ValueError as error:
        raise ActorError(f"input {port.name} is no JSON: {error}") from None


def _flag_of(port: Port, value: Any) -> bool:
    text = str(value).strip().strip('"').lower()
    if text in ("true", "false", "yes", "no", ""):
        return text in ("true", "yes")
    raise ActorError(f"input {port.name} is {value!r}; it must be true or false")


def _checked_paths(sof: SetOfFiles) -> SetOfFiles:
    for file in sof.files:
        refuse_separators(file.name)
    return sof


def document(actor: Actor, answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON object of an actor's outputs.

    Raises
    ------
    ActorError
        If an output was not declared, or a set of files names one that Reflex would refuse.
    """
    ports = {port.name: port for port in actor.outputs}
    for name in answer:
        if name not in ports:
            listing = ", ".join(ports)
            raise ActorError(f"the actor has no output '{name}'; it declares: {listing}")
    found = {name: _encode(port, answer.get(name)) for name, port in ports.items()}
    return {name: value for name, value in found.items() if value is not None}


def _encode(port: Port, value: Any) -> Any:
    if value is None:
        if port.silent:
            return None
        value = port.empty
    if isinstance(value, SetOfFiles):
        return _deliverable(port, value).document()
    if port.kind == "sop":
        return sop_document(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _deliverable(port: Port, sof: SetOfFiles) -> SetOfFiles:
    for file in sof.files:
        refuse_separators(file.name)
        if not Path(file.name).is_absolute():
            raise ActorError(f"output {port.name}: {file.name} is no absolute path, and Reflex takes no other")
        if not Path(file.name).exists():
            raise ActorError(f"output {port.name}: {file.name} does not exist; Reflex refuses such a set of files")
    return sof
