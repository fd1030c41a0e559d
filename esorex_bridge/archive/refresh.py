"""Refresh: which trees are worth asking for again, and what a new answer changes. Decides only.

ESO associates uncertified calibrations within hours and certified ones after some days; the set of static calibrations
changes even years later.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

from esorex_bridge.archive.calselector import AssociationReply, Outcome, outcome_of
from esorex_bridge.archive.trees import SavedTree
from esorex_bridge.datasets.association import AssociationTree, Mode, distinct_files

_WORSE = frozenset((Outcome.UNANSWERED, Outcome.DENIED, Outcome.NO_TREE, Outcome.EMPTY, Outcome.NOT_SUPPORTED))


class Due(Struct, frozen=True):
    """A tree to ask for again, and why.

    Parameters
    ----------
    saved : SavedTree
        The tree.
    reason : str
        In words.
    """

    saved: SavedTree
    reason: str


class TreeChange(Struct, frozen=True):
    """What a new answer changes.

    Parameters
    ----------
    saved : SavedTree
        The tree of before.
    added, removed : tuple of str
        Archive names of files.
    remarks : tuple of str
        Certification, completeness, mode, and why a new answer was not taken.
    take : bool
        Whether the new tree replaces the old one.
    """

    saved: SavedTree
    added: tuple[str, ...]
    removed: tuple[str, ...]
    remarks: tuple[str, ...]
    take: bool


def due(trees: Iterable[SavedTree], now: datetime, days: float) -> tuple[Due, ...]:
    """Return the trees that are worth asking for again.

    Parameters
    ----------
    trees : iterable of SavedTree
        Those in the data folders.
    now : datetime
        With its time zone.
    days : float
        Age from which any tree is asked for again.
    """
    found = []
    for saved in trees:
        if not saved.tree.root.certified:
            found.append(Due(saved, "not certified"))
        elif not saved.tree.root.complete:
            found.append(Due(saved, "incomplete"))
        elif saved.mode != saved.tree.mode:
            found.append(Due(saved, f"{saved.mode} was asked for, {saved.tree.mode} given"))
        elif now - saved.asked >= timedelta(days=days):
            found.append(Due(saved, f"{(now - saved.asked).days} days old"))
    return tuple(found)


def change(saved: SavedTree, reply: AssociationReply) -> TreeChange:
    """Return what an answer changes; an answer with less than the tree that is there does not replace it."""
    if reply.tree is None or (reply.outcome in _WORSE and outcome_of(saved.tree) not in _WORSE):
        said = "; ".join((reply.outcome.value.replace("_", " "), *reply.messages))
        return TreeChange(saved, (), (), (f"calSelector has no tree now ({said}); the tree of before is kept",), False)
    before, after = _names(saved.tree), _names(reply.tree)
    return TreeChange(
        saved,
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        remarks=tuple(_flags(saved.tree, reply.tree, reply.executed or reply.tree.mode)),
        take=True,
    )


def _names(tree: AssociationTree) -> dict[str, None]:
    return dict.fromkeys(file.name for file in distinct_files(tree.root))


def _flags(before: AssociationTree, after: AssociationTree, mode: Mode) -> Iterable[str]:
    if before.root.certified != after.root.certified:
        yield "certified now" if after.root.certified else "not certified any more"
    if before.root.complete != after.root.complete:
        yield "complete now" if after.root.complete else "incomplete now"
    if before.mode != mode:
        yield f"{mode} now instead of {before.mode}"
