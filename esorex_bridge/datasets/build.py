"""An association tree becomes a dataset: nothing is lost, and statics join the action that uses them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from esorex_bridge.datasets.association import Association, AssociationTree, Mode, is_secondary
from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile
from esorex_bridge.datasets.shared import Shared
from esorex_bridge.errors import DataError
from esorex_bridge.files import DpId, is_processed

TEMPLATE = "_tpl"
"""The end of a dataset's name that is that of a whole template."""


def dataset_from_tree(
    tree: AssociationTree,
    paths: Mapping[DpId, Path],
    instrument: str | None = None,
    requested: Mode | None = None,
    shared: Shared | None = None,
) -> Dataset:
    """Return the dataset that an association tree means.

    A group that holds nothing but processed files (`M.*`) and has no calibrations of its own needs no processing: its
    files join the statics of the action above it, with their match and certification, and what calSelector says about
    the group is said about that action. Equal sub-trees become one value.

    Parameters
    ----------
    tree : AssociationTree
        As calSelector answered.
    paths : mapping of str to Path
        Where the files lie, by dp_id; a file that is not in it is not on this machine.
    instrument : str, optional
        FITS `INSTRUME` of the science files; the prefix of the first dp_id by default.
    requested : {'Raw2Raw', 'Raw2Master'}, optional
        The mode asked for, where it is known.
    shared : Shared, optional
        The actions that other trees have too, with the same paths.

    Raises
    ------
    DataError
        If the tree names no science file.
    """
    return Dataset(
        name=dataset_name(tree),
        instrument=instrument or tree.root.files[0].name.split(".")[0],
        action=_action(tree.root, paths, shared or Shared()),
        mode=tree.mode,
        requested=requested,
    )


def dataset_name(tree: AssociationTree) -> str:
    """Return a dataset's name as Reflex gives it: the first science file, with `_tpl` where it is a whole template.

    Raises
    ------
    DataError
        If the tree names no science file.
    """
    if not tree.root.files:
        raise DataError(f"the association tree '{tree.root.category}' names no science file; ask calSelector again")
    first = min(file.name for file in tree.root.files)
    return f"{first}{TEMPLATE}" if len(tree.root.files) > 1 else first


def _action(node: Association, paths: Mapping[DpId, Path], shared: Shared) -> Action:
    ready = [child for child in node.associated if _is_ready_made(child)]
    others = (child for child in node.associated if not _is_ready_made(child))
    return Action(
        name=node.category,
        files=_files(node, paths),
        statics=tuple(dict.fromkeys(file for child in ready for file in _files(child, paths))),
        actions=tuple(shared.once(child, partial(_action, child, paths, shared)) for child in others),
        complete=node.complete and all(child.complete for child in ready),
        auxiliary=node.kind == "auxiliary",
        certified=node.certified,
        match=node.match,
        messages=node.messages + tuple(text for child in ready for text in child.messages),
        secondary=not node.complete and is_secondary(node),
    )


def _is_ready_made(node: Association) -> bool:
    processed = all(is_processed(file.name) for file in node.files)
    return processed and not node.associated and node.kind == "main"


def _files(node: Association, paths: Mapping[DpId, Path]) -> tuple[DatasetFile, ...]:
    return tuple(
        DatasetFile(file.name, file.category, paths.get(file.name), node.match, node.certified) for file in node.files
    )
