"""Datasets as ESO Reflex's DataOrganizer writes them: its `datasets.json`.

Layout and order of the keys are those of a real run. One thing differs on purpose: every occurrence of a file carries
all purposes that it serves. Reflex keeps the purpose met last when it flattens a dataset, which empties the SOFs of the
other steps; with united purposes both ways of flattening give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile, Purpose, walk_actions

Checksum = Callable[[Path], str | None]
"""Returns Reflex's checksum of a file, None where it cannot be told."""


def datasets_json(datasets: Iterable[Dataset], checksum: Checksum) -> list[dict[str, Any]]:
    """Return the document that Reflex's DataOrganizer would write.

    Files that are not on this machine are left out: Reflex needs absolute paths that exist. What they belong to is
    marked incomplete, with a message.

    Parameters
    ----------
    datasets : iterable of Dataset
        Of any source.
    checksum : callable
        Gives the checksum of a file, as Reflex's lazy mode compares it.
    """
    return [_dataset(dataset, checksum) for dataset in datasets]


def _dataset(dataset: Dataset, checksum: Checksum) -> dict[str, Any]:
    united = _united_purposes(dataset)
    top = _action(dataset.action, united, checksum)
    complete = dataset.complete and not _absent(dataset.action)
    return {
        "rawFiles": top["rawFiles"],
        "descriptors": [{"value": value, "key": key} for key, value in dataset.descriptors],
        "nightlogFile": _night_log(dataset),
        "auxiliary": dataset.action.auxiliary or not complete,
        "name": dataset.action.name,
        "datasetName": dataset.name,
        "messages": top["messages"],
        "complete": complete,
        "class": "org.eso.domain.Dataset",
        "actions": top["actions"],
    }


def _action(action: Action, united: dict[str, list[Purpose]], checksum: Checksum) -> dict[str, Any]:
    absent = [file for file in (*action.files, *action.statics) if file.path is None]
    return {
        "rawFiles": [_file(file, united, checksum) for file in (*action.files, *action.statics) if file.path],
        "auxiliary": action.auxiliary,
        "name": action.name,
        "messages": [*action.messages, *(f"Missing file {file.name}" for file in absent)],
        "complete": action.complete and not absent,
        "class": "org.eso.domain.Action",
        "actions": [_action(child, united, checksum) for child in action.actions],
    }


def _file(file: DatasetFile, united: dict[str, list[Purpose]], checksum: Checksum) -> dict[str, Any]:
    return {
        "purposes": list(united[file.name]),
        "name": str(file.path),
        "checksum": checksum(file.path) if file.path else None,
        "category": file.category,
        "class": "org.eso.domain.FitsFile",
    }


def _united_purposes(dataset: Dataset) -> dict[str, list[Purpose]]:
    """Return all purposes of each file, by its name: Reflex's flattening goes by the name as well."""
    found: dict[str, set[Purpose]] = {}
    for action, purpose in walk_actions(dataset.action):
        for file in (*action.files, *action.statics):
            found.setdefault(file.name, set()).add(purpose)
    return {name: sorted(served) for name, served in found.items()}


def _absent(action: Action) -> bool:
    return any(file.path is None for child, _ in walk_actions(action) for file in (*child.files, *child.statics))


def _night_log(dataset: Dataset) -> str:
    """Return the archive's night log of the first science file that is here, where it was fetched; else nothing."""
    beside = (file.path.with_name(f"{file.name}.NL.txt") for file in dataset.action.files if file.path)
    first = next(beside, None)
    return str(first) if first is not None and first.is_file() else ""
