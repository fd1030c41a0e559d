"""Merge the datasets of one template: calSelector describes each science file, a dataset is a whole template."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Action, Dataset

if TYPE_CHECKING:
    from esorex_bridge.definitions.oca.evaluate import Keywords

_T = TypeVar("_T")


def merge_templates(datasets: Iterable[Dataset], headers: Mapping[Path, Keywords]) -> tuple[Dataset, ...]:
    """Merge datasets whose science files are of one template.

    Calibrations are united: what is equal is one, what differs stays beside each other as alternatives. A science file
    whose header is not known stays by itself.

    Parameters
    ----------
    datasets : iterable of Dataset
        From association trees, one per science file or per template.
    headers : mapping of Path to keywords
        Of the files on this machine, with TPL.START and TPL.ID.
    """
    together: dict[tuple[object, ...], list[Dataset]] = defaultdict(list)
    for dataset in datasets:
        together[_template(dataset, headers)].append(dataset)
    return tuple(_merge(parts) for parts in together.values())


def _template(dataset: Dataset, headers: Mapping[Path, Keywords]) -> tuple[object, ...]:
    first = min(dataset.action.files, key=lambda file: file.name, default=None)
    header = headers.get(first.path) if first and first.path else None
    start = header.get("TPL.START") if header else None
    if header is None or start is None:
        return (dataset.name,)
    return dataset.instrument, dataset.action.name, dataset.mode, start, header.get("TPL.ID")


def _merge(parts: list[Dataset]) -> Dataset:
    if len(parts) == 1:
        return parts[0]
    parts = sorted(parts, key=lambda part: part.name)
    actions = [part.action for part in parts]
    files = sorted(
        {file.name: file for action in actions for file in action.files}.values(), key=lambda file: file.name
    )
    if len(files) == len(actions[0].files):
        return parts[0]
    merged = Action(
        name=actions[0].name,
        files=tuple(files),
        statics=_unite(action.statics for action in actions),
        actions=_unite(action.actions for action in actions),
        complete=all(action.complete for action in actions),
        auxiliary=any(action.auxiliary for action in actions),
        certified=all(action.certified for action in actions),
        match=actions[0].match,
        messages=_unite(action.messages for action in actions),
        secondary=_is_secondary(actions),
    )
    return replace(parts[0], name=f"{files[0].name}_tpl", action=merged)


def _unite(parts: Iterable[tuple[_T, ...]]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(value for part in parts for value in part))


def _is_secondary(actions: list[Action]) -> bool:
    lacking = [action for action in actions if not action.complete]
    return bool(lacking) and all(action.secondary for action in lacking)
