"""Reflex's datasets as values: what DataOrganizer writes and DataSetChooser hands on, read and written back equal.

Python 3.8 and the standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reflex_actors.purposes import unite_purposes
from reflex_actors.sof_json import EncodingError, FitsFile, SetOfFiles, read_file

DATASET = "org.eso.domain.Dataset"
ACTION = "org.eso.domain.Action"


@dataclass(frozen=True)
class ReflexAction:
    """A group of files with what calibrates it.

    Parameters
    ----------
    name : str
        Name of the action.
    files : tuple of FitsFile
        Its main files, and the static ones it uses.
    actions : tuple of ReflexAction
        What calibrates it.
    complete, auxiliary : bool
        As stated.
    messages : tuple of str
        What is missing or odd.
    """

    name: str
    files: tuple[FitsFile, ...]
    actions: tuple[ReflexAction, ...] = ()
    complete: bool = True
    auxiliary: bool = False
    messages: tuple[str, ...] = ()

    def walk(self) -> Iterator[ReflexAction]:
        """Yield this action and all below, parents first."""
        yield self
        for child in self.actions:
            yield from child.walk()

    def document(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "class": ACTION,
            "name": self.name,
            "rawFiles": [file.document() for file in self.files],
            "actions": [child.document() for child in self.actions],
            "complete": self.complete,
            "auxiliary": self.auxiliary,
            "messages": list(self.messages),
        }


@dataclass(frozen=True)
class ReflexDataset:
    """A dataset.

    Parameters
    ----------
    name : str
        `datasetName`.
    action : ReflexAction
        The science action.
    night_log : str
        Path of a night log, or nothing.
    descriptors : tuple of (str, str)
        Keywords to be displayed.
    """

    name: str
    action: ReflexAction
    night_log: str = ""
    descriptors: tuple[tuple[str, str], ...] = ()

    def sof(self) -> SetOfFiles:
        """Return all files in one set, each once with all its purposes."""
        return SetOfFiles(self.name, unite_purposes(file for action in self.action.walk() for file in action.files))

    def messages(self) -> tuple[str, ...]:
        """Return what is said about it and all its parts, once each."""
        return tuple(dict.fromkeys(text for action in self.action.walk() for text in action.messages))

    def document(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            **self.action.document(),
            "class": DATASET,
            "datasetName": self.name,
            "nightlogFile": self.night_log,
            "descriptors": [{"key": key, "value": value} for key, value in self.descriptors],
        }


def read_datasets(value: Any) -> tuple[ReflexDataset, ...]:
    """Read a list of datasets, or one, from JSON values.

    Raises
    ------
    EncodingError
        If it is none.
    """
    listed = [value] if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise EncodingError("not a list of datasets; one comes from organise_datasets or DataOrganizer")
    return tuple(map(_read_dataset, listed))


def _read_dataset(value: Any) -> ReflexDataset:
    try:
        shown = tuple((str(each["key"]), str(each["value"])) for each in value.get("descriptors") or ())
        return ReflexDataset(
            str(value["datasetName"]), _read_action(value), str(value.get("nightlogFile") or ""), shown
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise EncodingError(f"not a dataset of Reflex: {error} is missing or of another type") from None


def _read_action(value: Any) -> ReflexAction:
    return ReflexAction(
        str(value["name"]),
        tuple(map(read_file, value["rawFiles"])),
        tuple(map(_read_action, value.get("actions") or ())),
        bool(value.get("complete", True)),
        bool(value.get("auxiliary", False)),
        tuple(map(str, value.get("messages") or ())),
    )
