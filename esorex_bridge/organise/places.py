"""Where the data of a root lie: one answer for all verbs and for the actors."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.datasets.association import Mode

if TYPE_CHECKING:
    from esorex_bridge.archive.trees import Folders
    from esorex_bridge.files import DpId

INPUT_FOLDER = "reflex_input"
DATA_FOLDERS: dict[Mode, str] = {"Raw2Raw": "data_with_raw_calibs", "Raw2Master": "data_with_processed_calibs"}
"""Folders that the bridge fetches into, by the kind of calibrations, as ESO's download scripts name them."""


def data_folder(root: Path, mode: Mode) -> Path:
    """Return the folder of data with one kind of calibrations."""
    return root / INPUT_FOLDER / DATA_FOLDERS[mode]


def destination(root: Path, mode: Mode) -> Folders:
    """Return where data go that are asked for in a mode: what is downgraded lies with the raw calibrations."""
    from esorex_bridge.archive.trees import Folders

    return Folders(data_folder(root, mode), data_folder(root, "Raw2Raw") if mode == "Raw2Master" else None)


def default_mode(root: Path) -> Mode | None:
    """Return the mode of a root's data where none is asked for; None where there is one folder of data alone.

    Raw calibrations go first, unless all of them were given where masters were asked for.
    """
    folder = data_folder(root, "Raw2Raw")
    if not folder.is_dir():
        return None
    downgraded = set(_list_downgraded_trees(root))
    if downgraded and downgraded.issuperset(folder.glob("*.xml")):
        return "Raw2Master"
    return "Raw2Raw"


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
    downgraded = _list_downgraded_places(root) if mode == "Raw2Master" else ()
    return (*((own,) if own.is_dir() else ()), *beside, *downgraded) or (own,)


def _list_downgraded_trees(root: Path) -> tuple[Path, ...]:
    """Return the trees with raw calibrations that were given where masters were asked for."""
    from esorex_bridge.archive.trees import trees_asked_for

    return trees_asked_for(data_folder(root, "Raw2Raw"), "Raw2Master")


def _list_downgraded_places(root: Path) -> tuple[Path, ...]:
    """Return the downgraded trees, and the files that they name: beside them lie those that were asked for as raw."""
    from esorex_bridge.disk.stamp import stamp_of
    from esorex_bridge.workspace.scan import scan

    trees = _list_downgraded_trees(root)
    if not trees:
        return ()
    here = scan(data_folder(root, "Raw2Raw")).files
    named: dict[Path, None] = {}
    for path in trees:
        names = _list_named(path, stamp_of(path))
        named.update(dict.fromkeys(here[name] for name in names if name in here))
    return (*trees, *named)


@cache
def _list_named(tree: Path, stamp: str) -> tuple[DpId, ...]:
    """Return the files that a tree names; a batch asks for them again for every dataset that has come."""
    from esorex_bridge.datasets.association import distinct_files
    from esorex_bridge.datasets.xml import UnreadableTreeError
    from esorex_bridge.workspace.tree_files import read_tree_file

    try:
        return tuple(file.name for file in distinct_files(read_tree_file(tree).root))
    except UnreadableTreeError:
        return ()
