"""Merge the datasets of one template: calSelector describes each science file, a dataset is a whole template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from esorex_bridge.datasets.build import TEMPLATE
from esorex_bridge.datasets.dataset import Action, Dataset

if TYPE_CHECKING:
    from esorex_bridge.definitions.oca.evaluate import Keywords

_T = TypeVar("_T")


def template_of(name: str, kind: tuple[object, ...], header: Keywords | None) -> tuple[object, ...]:
    """Return what the datasets of one template have in common, by the header of the first science file.

    A dataset, called by its name, whose header is not known stays by itself; `kind` is what they must have in common
    besides.
    """
    start = header.get("TPL.START") if header else None
    if header is None or start is None:
        return (name,)
    return *kind, start, header.get("TPL.ID")


def merged_name(names: Sequence[str]) -> str:
    """Return the name of a dataset that is made of parts with these names: that of the first file of all."""
    return names[0] if len(names) == 1 else f"{min(name.removesuffix(TEMPLATE) for name in names)}{TEMPLATE}"


def merge(parts: Sequence[Dataset]) -> Dataset:
    """Return the dataset of one template, of which each part has a tree of its own.

    Calibrations are united: what is equal is one, what differs stays beside each other as alternatives.
    """
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
    return replace(parts[0], name=f"{files[0].name}{TEMPLATE}", action=merged)


def _unite(parts: Iterable[tuple[_T, ...]]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(value for part in parts for value in part))


def _is_secondary(actions: list[Action]) -> bool:
    lacking = [action for action in actions if not action.complete]
    return bool(lacking) and all(action.secondary for action in lacking)
