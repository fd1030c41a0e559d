"""A data root that several people work in: what one of them makes others may change, as the root itself says."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from esorex_bridge.errors import UserError
from esorex_bridge.workspace.folders import Workspace

_GROUP = 0o070
_GROUP_WRITES = 0o020


class UnwritableError(UserError):
    """Something in the data root that a run has to write belongs to somebody else."""


def share_with_group(root: Path) -> None:
    """Let what this process and its recipes make from now on take the group bits of a root that a group may write.

    As git's `core.sharedRepository`, whatever the user's umask says. That the files belong to the group is the business
    of the root's set-group-ID bit, which folders pass on.
    """
    try:
        mode = root.stat().st_mode
    except OSError:
        return  # It is not there yet, and is made as its owner makes folders.
    if mode & _GROUP_WRITES:
        before = os.umask(0)
        os.umask(before & ~(mode & _GROUP))


def refuse_unwritable(workspace: Workspace, runs: Iterable[tuple[str, str]]) -> None:
    """Refuse to begin what could not be recorded in the end.

    Parameters
    ----------
    workspace : Workspace
        Of the data root.
    runs : iterable of (str, str)
        Workflow and actor of what is to run.

    Raises
    ------
    UnwritableError
        If something that is written in the course of that is there and cannot be written.
    """
    trees = (workspace.bookkeeping, workspace.tmp_products, workspace.logs)
    places = [workspace.root, *trees, workspace.end_products, workspace.locks, workspace.going_on, workspace.store]
    for workflow, actor in dict.fromkeys(runs):
        places += [place for tree in trees for place in (tree / workflow, tree / workflow / actor)]
        places.append(workspace.reflex_database(workflow))
    for place in places:
        if place.exists() and not os.access(place, os.W_OK):
            raise UnwritableError(_describe(place, workspace.root))


def _describe(place: Path, root: Path) -> str:
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        return f"nothing was run, because {place} is mounted read-only; mount it for writing, or name another root"
    owner = _name_of(place.stat().st_uid)
    return (
        f"nothing was run, because {place} belongs to {owner} and cannot be written by {_name_of(os.getuid())}; "
        f"'chmod -R g+w {root}' by {owner} lets the group write (docs/how-to/root-for-a-team.md)"
    )


def _name_of(user: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
