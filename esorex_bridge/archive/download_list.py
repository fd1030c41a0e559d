"""Wanted: the files that a reduction of some science frames needs, and what to know before fetching them.

Decides only; sizes and presence are given.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from esorex_bridge.archive.access import Access
from esorex_bridge.archive.calselector import AssociationReply, Outcome
from esorex_bridge.datasets.association import walk
from esorex_bridge.files import DpId

NIGHT_LOG = ".NL"
"""What is appended to the archive name of a raw frame for its night log."""

_REMARKS = {
    Outcome.INCOMPLETE: "the association is incomplete",
    Outcome.INCOMPLETE_AUXILIARY: "only auxiliary files are missing, nothing that a recipe needs",
    Outcome.EMPTY: "calSelector associates nothing (outside of its coverage in time, or a fault of the service)",
    Outcome.NOT_SUPPORTED: "calSelector does not support this kind of file",
    Outcome.DENIED: "calSelector denies access",
    Outcome.NO_TREE: "calSelector gives no tree; files can be fetched, but not organised by it",
    Outcome.UNANSWERED: "calSelector did not answer; its calibrations are unknown, run again later",
}


class WantedFile(Struct, frozen=True):
    """A file to be there.

    Parameters
    ----------
    name : str
        Archive name.
    categories : tuple of str
        Its SOF tags; several where it serves in several roles.
    role : {'science', 'calibration', 'night log'}
        Why it is wanted.
    size_bytes : int or None
        Estimate of the archive; None where it has none.
    present : bool
        Whether a file of this name lies in the folder already.
    access : {'public', 'protected', 'unknown'}
        Who should be able to have it.
    downgraded : bool
        Whether only datasets want it for which raw calibrations were given in the place of masters.
    """

    name: DpId
    categories: tuple[str, ...]
    role: str
    size_bytes: int | None = None
    present: bool = False
    access: Access = "unknown"
    downgraded: bool = False


class Wanted(Struct, frozen=True):
    """All files to be there, and the warnings.

    Parameters
    ----------
    files : tuple of WantedFile
        Each once; science first.
    warnings : tuple of str
        About incomplete, uncertified and downgraded associations, per dataset.
    """

    files: tuple[WantedFile, ...]
    warnings: tuple[str, ...]

    @property
    def names(self) -> tuple[DpId, ...]:
        """The archive names, in the order of fetching."""
        return tuple(file.name for file in self.files)

    @property
    def size_bytes(self) -> int:
        """Sum of the sizes that are known, of files that are not there yet."""
        return sum(file.size_bytes or 0 for file in self.files if not file.present)

    @property
    def unknown_sizes(self) -> int:
        """How many files that are not there yet have no known size."""
        return sum(file.size_bytes is None for file in self.files if not file.present)


def list_files(
    science: Sequence[DpId],
    replies: Iterable[AssociationReply],
    night_logs: bool = False,
    sizes: Mapping[DpId, int] | None = None,
    present: Collection[str] = (),
    access: Callable[[DpId, str], Access] = lambda name, role: "unknown",
) -> Wanted:
    """Return the files for science frames: themselves, siblings and calibrations of calSelector, night logs.

    Parameters
    ----------
    science : sequence of str
        The dp_ids asked for.
    replies : iterable of AssociationReply
        calSelector's answers; none to fetch science frames alone.
    night_logs : bool
        Whether the night logs of all science frames are wanted too.
    sizes : mapping, optional
        Bytes, by archive name.
    present : collection of str
        Names that lie in the folder.
    access : callable
        Returns who should be able to have a file, by its name and role.
    """
    answers = tuple(replies)
    categories: dict[DpId, dict[str, None]] = {name: {} for name in science}
    frames = dict.fromkeys(science)
    for answer in answers:
        frames.update(dict.fromkeys(answer.covers))
        for name in answer.covers:
            categories.setdefault(name, {})
        for file in answer.listed:
            categories.setdefault(file.name, {}).update({file.category: None} if file.category else {})
    known, apart = sizes or {}, _list_downgraded(answers)
    names = [*frames, *(name for name in categories if name not in frames)]
    roles = [(name, "science" if name in frames else "calibration") for name in names]
    files = [
        WantedFile(
            name, tuple(categories[name]), role, known.get(name), name in present, access(name, role), name in apart
        )
        for name, role in roles
    ]
    if night_logs:
        logs = ((name, DpId(name + NIGHT_LOG)) for name in frames)
        files += [
            WantedFile(log, (), "night log", None, log in present, downgraded=name in apart) for name, log in logs
        ]
    return Wanted(tuple(files), tuple(line for answer in answers for line in remarks(answer)))


def _list_downgraded(answers: Iterable[AssociationReply]) -> frozenset[str]:
    """Return the files that downgraded answers name, and no other."""
    named: dict[bool, set[str]] = {True: set(), False: set()}
    for answer in answers:
        named[answer.downgraded].update(answer.covers, (file.name for file in answer.listed))
    return frozenset(named[True] - named[False])


def remarks(reply: AssociationReply) -> tuple[str, ...]:
    """Return what a user should know of an answer before trusting it, in words; nothing where all is well."""
    lines = []
    if reply.downgraded:
        lines.append(
            f"{reply.requested} was asked for, {reply.executed} was carried out, "
            "as calSelector does where a master calibration is missing"
        )
    if reply.outcome in _REMARKS:
        said = f": {'; '.join(reply.messages)}" if reply.messages else ""
        lines.append(_REMARKS[reply.outcome] + said)
    extended = _extend(reply)
    if extended:
        lines.append(f"of the extended calibration plan: {', '.join(extended)}")
    if reply.executed is not None and not reply.certified:
        lines.append("not certified by ESO yet; 'esorex-bridge refresh' asks again")
    return tuple(f"{reply.asked}: {line}" for line in lines)


def _extend(reply: AssociationReply) -> tuple[str, ...]:
    """Return the groups, other than auxiliary ones, that keep to the extended calibration plan alone."""
    if reply.tree is None:
        return ()
    nodes = (node for node in walk(reply.tree.root) if node.match == "extended" and node.kind == "main")
    return tuple(dict.fromkeys(node.category for node in nodes))
