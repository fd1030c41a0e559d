"""`erase_folders`: what earlier runs of a workflow left is removed, where the user wants it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from esorex_bridge.errors import UserError
from reflex_actors.protocol import Actor, Inputs, Port

FOLDERS = ("bookkeeping_dir", "logs_dir", "products_dir")

ACTOR = Actor(
    "erase_folders",
    "Removes what earlier runs left, where it is asked to.",
    (
        Port("erase", "true: remove; anything else: leave all as it is"),
        Port("root_dir", "the data root, outside of which nothing is touched"),
        *(Port(name, "a folder to empty") for name in FOLDERS),
    ),
    (Port("done", "what was removed"),),
)


def work(inputs: Inputs) -> dict[str, Any]:
    """Empty the folders, or say that nothing was removed."""
    if inputs.text("erase").strip().lower() != "true":
        return {"done": "nothing was removed"}
    folders = [Path(text) for text in map(inputs.text, FOLDERS) if text]
    empty(folders, Path(inputs.text("root_dir")))
    return {"done": f"emptied {', '.join(map(str, folders))}"}


def empty(folders: Iterable[Path], root: Path) -> None:
    """Remove what folders hold; nothing at all where one of them is not meant to be emptied.

    Raises
    ------
    UserError
        If a folder is not below the data root, holds input data, or something cannot be removed.
    """
    top = root.expanduser().absolute()
    wanted = [Path(folder).expanduser().absolute() for folder in folders]
    for folder in wanted:
        if ".." in folder.parts or not folder.is_relative_to(top) or folder == top:
            raise UserError(f"EraseDirs would empty {folder}, which is not below ROOT_DATA_DIR ({top})")
        if "reflex_input" in folder.relative_to(top).parts:
            raise UserError(f"EraseDirs would empty {folder}, which is for input data")
    for folder in wanted:
        for path in folder.iterdir() if folder.is_dir() else ():
            try:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            except OSError as error:
                raise UserError(f"{path} cannot be removed: {error.strerror}") from None
