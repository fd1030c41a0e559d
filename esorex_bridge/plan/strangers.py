"""Files that another frame hides behind: they are not the files that the dataset means."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Action, Dataset
from esorex_bridge.fits.identity import other_frame
from esorex_bridge.plan.plan import HeadersByPath


def find_strangers(action: Action, headers: HeadersByPath) -> dict[Path, str]:
    """Return the raws of an action whose headers name another frame, and which."""
    return {
        path: said
        for file in (*action.files, *action.statics)
        if (path := file.path) is not None and (said := other_frame(file.name, headers[path]))
    }


def leave_out_strangers(dataset: Dataset, strangers: Mapping[Path, str]) -> Dataset:
    """Return a dataset in which raws that are other frames are not on this machine, with what is to be done.

    Parameters
    ----------
    dataset : Dataset
        As organised.
    strangers : mapping of Path to str
        What the header of each says.
    """
    return replace(dataset, action=_without(dataset.action, strangers)) if strangers else dataset


def _without(action: Action, strangers: Mapping[Path, str]) -> Action:
    files, messages = [], list(action.messages)
    for file in action.files:
        if file.path is not None and file.path in strangers:
            said = f"{file.path} is another frame than its name says ({strangers[file.path]})"
            messages.append(f"{said}: rename it, and fetch {file.name} again")
            file = replace(file, path=None)
        files.append(file)
    children = tuple(_without(child, strangers) for child in action.actions)
    return replace(action, files=tuple(files), messages=tuple(messages), actions=children)
