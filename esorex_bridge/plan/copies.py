"""Equal content twice in one group: it counts once, because two equal frames are no two measurements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile, Purpose
from esorex_bridge.plan.plan import HeadersByPath, UnusedFile

WHEN = ("DATE-OBS", "MJD-OBS")
"""Frames of equal content have equal times; where these differ, nothing need be read."""


def suspects(action: Action, headers: HeadersByPath) -> tuple[Path, ...]:
    """Return the files of an action that may be copies of others in it, by the times in their headers."""
    groups: dict[tuple[object, ...], list[Path]] = defaultdict(list)
    for file in action.files:
        if file.path is not None and any(when := tuple(headers[file.path].get(key) for key in WHEN)):
            groups[file.category, *when].append(file.path)
    return tuple(dict.fromkeys(path for paths in groups.values() if len(paths) > 1 for path in paths))


def leave_out_copies(dataset: Dataset, contents: Mapping[Path, str]) -> tuple[Dataset, tuple[UnusedFile, ...]]:
    """Return a dataset in whose groups each content is once, and the files that are left out.

    Parameters
    ----------
    dataset : Dataset
        As organised.
    contents : mapping of Path to str
        What stands for the content of the files that may be copies.
    """
    left_out: dict[tuple[str, str], UnusedFile] = {}
    action = _without(dataset.action, (), contents, left_out)
    return replace(dataset, action=action), tuple(left_out.values())


def _without(
    action: Action, above: tuple[str, ...], contents: Mapping[Path, str], left_out: dict[tuple[str, str], UnusedFile]
) -> Action:
    here = (action.name, *above)
    kept: list[DatasetFile] = []
    for file, original in _originals(action, contents):
        if original is None:
            kept.append(file)
        else:
            purpose = Purpose("/".join(here))
            unused = UnusedFile(file.name, file.category, str(file.path), purpose, "same content", f"as {original}")
            left_out.setdefault((file.name, file.category), unused)
    children = tuple(_without(child, here, contents, left_out) for child in action.actions)
    return replace(action, files=tuple(kept), actions=children)


def _originals(action: Action, contents: Mapping[Path, str]) -> Iterator[tuple[DatasetFile, str | None]]:
    """Yield the files of a group, each with the name of an earlier one of its content and category, where there is."""
    first: dict[tuple[str, str], str] = {}
    for file in action.files:
        content = contents.get(file.path) if file.path is not None else None
        original = first.setdefault((file.category, content), file.name) if content else file.name
        yield file, None if original == file.name else original
