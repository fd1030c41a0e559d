"""Where the data of a root lie: one answer for all verbs and for the actors."""

from __future__ import annotations

from pathlib import Path

from esorex_bridge.datasets.association import Mode

INPUT_FOLDER = "reflex_input"
DATA_FOLDERS: dict[Mode, str] = {"Raw2Raw": "data_with_raw_calibs", "Raw2Master": "data_with_processed_calibs"}
"""Folders that the bridge fetches into, by the mode that was asked for, as ESO's download scripts name them."""


def data_folder(root: Path, mode: Mode) -> Path:
    """Return the folder that data are fetched into."""
    return root / INPUT_FOLDER / DATA_FOLDERS[mode]


def data_places(root: Path, mode: Mode | None = None) -> tuple[Path, ...]:
    """Return where data lie in a root: all of its input folder, or the root itself where it has none.

    Where a mode is asked for, the folder of the other mode is left out, and the mode's own comes first: a workflow of
    Reflex, or a person, may have put data beside it.
    """
    below = root / INPUT_FOLDER
    if not below.is_dir():
        return (root,)
    if mode is None:
        return (below,)
    own = data_folder(root, mode)
    others = {data_folder(root, other) for other in DATA_FOLDERS}
    beside = sorted(path for path in below.iterdir() if path not in others and not path.name.startswith("."))
    return (*((own,) if own.is_dir() else ()), *beside) or (own,)
