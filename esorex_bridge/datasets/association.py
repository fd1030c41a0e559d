"""The association tree, calSelector's answer to "which calibration calibrates what", as values.

Grammar and attributes: ESO calSelector documentation. Equal sub-trees are equal values (and hash alike), so that
`dict.fromkeys(walk(tree))` turns a tree, in which sub-trees repeat literally, into the graph that it means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.files import DpId

Mode = Literal["Raw2Raw", "Raw2Master"]
"""Calibrations as raw frames, or as processed masters."""

Match = Literal["calib_plan", "extended", "N/A"]
"""How well an association keeps to the calibration plan; `N/A` for files without validity, such as statics."""

LEVELS: dict[Match | None, int] = {"calib_plan": 0, "extended": 1}
"""Levels of calSelector's associations, where a definition gives no validity."""

Kind = Literal["main", "auxiliary"]
"""`auxiliary` groups are of use to a person, not to a recipe."""

_MISSING = re.compile(r"Missing (\S+) for ")


class AssociatedFile(Struct, frozen=True, gc=False):
    """One file of an association.

    Parameters
    ----------
    name : str
        The dp_id, without extension.
    category : str
        The tag that the file has in a SOF.
    """

    name: DpId
    category: str


class Association(Struct, frozen=True, gc=False, cache_hash=True):
    """One node of the tree: files of one kind, and what calibrates them.

    Parameters
    ----------
    category : str
        Names the association; often differs from the category of its files.
    files : tuple of AssociatedFile
        `mainFiles`, in the order of the document.
    associated : tuple of Association
        `associatedFiles`: what calibrates this node.
    messages : tuple of str
        What calSelector says is missing or odd.
    complete, certified : bool
        As stated. Only the root's `certified` counts; auxiliary groups are uncertified as a rule.
    match : {'calib_plan', 'extended', 'N/A'} or None
        None at the root, which has none.
    kind : {'main', 'auxiliary'}
        The attribute `type`; `ancillary` in some documents is read as `auxiliary`.
    """

    category: str
    files: tuple[AssociatedFile, ...]
    associated: tuple[Association, ...] = ()
    messages: tuple[str, ...] = ()
    complete: bool = True
    certified: bool = True
    match: Match | None = None
    kind: Kind = "main"


class AssociationTree(Struct, frozen=True):
    """A whole answer of calSelector for one template of science files.

    Parameters
    ----------
    root : Association
        The science files and all that calibrates them.
    mode : {'Raw2Raw', 'Raw2Master'}
        The mode that was *executed*; it may be lower than the one asked for.
    """

    root: Association
    mode: Mode


def rename_science(tree: AssociationTree, names: Iterable[str]) -> AssociationTree:
    """Return a tree with other names of its science files."""
    pairs = zip(names, tree.root.files, strict=False)
    files = tuple(AssociatedFile(DpId(name), file.category) for name, file in pairs)
    return AssociationTree(replace(tree.root, files=files), tree.mode)


def walk(association: Association) -> Iterator[Association]:
    """Yield an association and all below it, parents first, in the order of the document, repetitions included."""
    yield association
    for child in association.associated:
        yield from walk(child)


def distinct_files(association: Association) -> tuple[AssociatedFile, ...]:
    """Return every file named at or below an association, once each, in the order of first mention."""
    return tuple(dict.fromkeys(file for node in walk(association) for file in node.files))


def is_secondary(association: Association) -> bool:
    """Tell whether an association is incomplete in nothing that a recipe needs.

    calSelector calls the whole incomplete also where only auxiliary groups are: acquisition images, images through the
    slit, standard stars in other filters (MASSOC and RASSOC of the old request pages).
    """
    nodes = tuple(walk(association))
    main = {node.category for node in nodes if node.kind == "main"}
    only_auxiliary = {node.category for node in nodes if node.kind == "auxiliary"} - main
    needed = [node for node in nodes if node.kind == "main"]
    for text in (text for node in needed for text in node.messages):
        named = _MISSING.match(text)
        if named is None or named[1] not in only_auxiliary:
            return False
    # A parent is incomplete when a child is; look for the nodes where it begins.
    begins = (
        not node.complete and not node.messages and all(child.complete for child in node.associated) for node in needed
    )
    return not association.complete and not any(begins)
