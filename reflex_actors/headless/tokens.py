"""What travels between actors of a running workflow, and how one kind of value is read as another."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Literal

from esorex_bridge.errors import BridgeError
from reflex_actors.dataset_json import ReflexAction, ReflexDataset, read_datasets
from reflex_actors.sof_json import (
    EncodingError,
    FitsFile,
    RecipeParameter,
    SetOfFiles,
    read_sof,
    read_sop,
    sop_document,
)

Flatten = Literal["last", "merge"]
"""What becomes of the purposes of a file that stands in several actions of a dataset: Reflex 2.9 keeps the last."""


class WorkflowError(BridgeError):
    """A workflow cannot be run, or ended with an error."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """A set of recipe parameters (SoP)."""

    listed: tuple[RecipeParameter, ...]


Value = str | int | float | bool | tuple[Any, ...] | SetOfFiles | Parameters | ReflexDataset
"""A value at rest. A tuple is an array of Ptolemy."""


class Pending:
    """A value that is still being worked out; whoever needs it waits for it.

    Parameters
    ----------
    work_out : callable
        Returns the value; called at most once at a time, and never again after it has returned.
    """

    def __init__(self, work_out: Callable[[], Value]) -> None:
        self._work_out: Callable[[], Value] | None = work_out
        self._value: Value = ""

    def value(self) -> Value:
        """Return the value, waiting for it where it must."""
        if self._work_out is not None:
            self._value = self._work_out()
            self._work_out = None
        return self._value


Token = Value | Pending


def settle(token: Token) -> Value:
    """Return the value of a token, waiting for it where it must."""
    return token.value() if isinstance(token, Pending) else token


def after(future: Future[Any], choose: Callable[[Any], Value]) -> Pending:
    """Return what will be chosen from the result of work that has been started."""
    return Pending(lambda: choose(future.result()))


def text_of(token: Token) -> str:
    """Return a token as text, as an actor of Ptolemy that takes texts sees it."""
    value = settle(token)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "{" + ", ".join(map(text_of, value)) + "}"
    if isinstance(value, (SetOfFiles, ReflexDataset)):
        return json.dumps(value.document())
    if isinstance(value, Parameters):
        return json.dumps(sop_document(value.listed))
    return str(value)


def flag_of(token: Token) -> bool:
    """Return a token as true or false."""
    value = settle(token)
    return value if isinstance(value, bool) else text_of(value).strip().lower() == "true"


def number_of(token: Token) -> float:
    """Return a token as a number.

    Raises
    ------
    WorkflowError
        If it is none.
    """
    value = settle(token)
    try:
        return value if isinstance(value, (int, float)) else float(text_of(value))
    except ValueError:
        raise WorkflowError(f"a number was expected, not {brief(value)}") from None


def sof_of(token: Token, flatten: Flatten) -> SetOfFiles:
    """Return a token as a set of files; a dataset is flattened.

    Raises
    ------
    WorkflowError
        If it is neither.
    """
    value = settle(token)
    if isinstance(value, SetOfFiles):
        return value
    if isinstance(value, ReflexDataset):
        return flatten_dataset(value, flatten)
    try:
        found = json.loads(text_of(value))
        if isinstance(found, dict) and "rawFiles" in found:
            return flatten_dataset(read_datasets(found)[0], flatten)
        return read_sof(found)
    except (EncodingError, ValueError):
        raise WorkflowError(f"a set of files was expected, not {brief(value)}") from None


def parameters_of(token: Token) -> Parameters:
    """Return a token as recipe parameters.

    Raises
    ------
    WorkflowError
        If it holds none.
    """
    value = settle(token)
    if isinstance(value, Parameters):
        return value
    try:
        return Parameters(read_sop(text_of(value)))
    except EncodingError as error:
        raise WorkflowError(str(error)) from None


def flatten_dataset(dataset: ReflexDataset, how: Flatten) -> SetOfFiles:
    """Return all files of a dataset in one set, its own files first, then those of its actions, depth first."""
    if how == "merge":
        return dataset.sof()
    found: dict[tuple[str, str], FitsFile] = {}
    for action in dataset.action.walk():
        for file in action.files:
            key = (file.name, file.category)
            found[key] = replace(found.get(key, file), purposes=file.purposes)
    return SetOfFiles(dataset.name, tuple(found.values()))


def value_from_json(found: Any) -> Value:
    """Return the value that an actor wrote as JSON: a set of files, parameters, or a text.

    A text stays a text: what it holds shows where it is read.
    """
    if isinstance(found, dict) and "files" in found:
        return read_sof(found)
    if isinstance(found, list) and found and all(_is_parameter(each) for each in found):
        return Parameters(read_sop(found))
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _is_parameter(found: object) -> bool:
    return isinstance(found, dict) and "display_name" in found


def json_of(token: Token) -> Any:
    """Return a token as the JSON value that a Python actor is given."""
    value = settle(token)
    if isinstance(value, (SetOfFiles, ReflexDataset)):
        return value.document()
    if isinstance(value, Parameters):
        return sop_document(value.listed)
    return text_of(value)


def datasets_in(token: Token) -> tuple[ReflexDataset, ...]:
    """Return the datasets in a list of them.

    Raises
    ------
    WorkflowError
        If it is none.
    """
    try:
        return read_datasets(json.loads(text_of(token)))
    except (EncodingError, ValueError) as error:
        raise WorkflowError(f"a list of datasets was expected, not {brief(token)}: {error}") from None


def whole(action: ReflexAction) -> bool:
    """Tell whether nothing is missing in an action and all below."""
    return all(each.complete for each in action.walk())


def brief(token: Token) -> str:
    """Return a token in a few words."""
    value = settle(token)
    if isinstance(value, SetOfFiles):
        return f"{len(value.files)} files of {value.dataset or 'no dataset'}"
    if isinstance(value, ReflexDataset):
        return f"dataset {value.name}"
    if isinstance(value, Parameters):
        return f"{len(value.listed)} parameters"
    text = " ".join(text_of(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def first(tokens: Sequence[Token]) -> Token:
    """Return the first of the tokens on a port.

    Raises
    ------
    WorkflowError
        If the port is linked to nothing.
    """
    if not tokens:
        raise WorkflowError("an input that is needed is linked to nothing")
    return tokens[0]
