"""Dataset: the science files to be processed together, with the tree of actions that calibrate them.

One type, whether it comes from a calSelector tree or from the OCA rules of a pipeline applied to files on disk. The
words are those of ESO Reflex's DataOrganizer: an *action* is a group of files that go into one kind of processing; a
*purpose* is the path of actions a file serves, its own action first (`BIAS/FLAT/SCIENCE`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NewType

from msgspec import Struct, field

from esorex_bridge.datasets.association import Match, Mode
from esorex_bridge.files import DpId

Purpose = NewType("Purpose", str)
"""A path of actions, own action first and target action last, as Reflex writes it."""


class DatasetFile(Struct, frozen=True, cache_hash=True):
    """A file in its role within an action.

    Parameters
    ----------
    name : str
        dp_id, or the file's name without ending where it did not come from the archive.
    category : str
        The tag that the file has in a SOF.
    path : Path or None
        Where it lies; None while it is not on this machine.
    match : {'calib_plan', 'extended', 'N/A'} or None
        How calSelector matched it, where it did.
    certified : bool
        Whether ESO certified the association that brought it.
    """

    name: DpId
    category: str
    path: Path | None = None
    match: Match | None = None
    certified: bool = True


class Action(Struct, frozen=True, cache_hash=True):
    """A group of files that is processed together, and what calibrates it.

    Parameters
    ----------
    name : str
        calSelector's association category, or the name of the OCA action.
    files : tuple of DatasetFile
        The main files: those that are processed.
    statics : tuple of DatasetFile
        Files used as they are: static calibrations and processed calibrations of the archive. They have the purpose of
        this action (as in Reflex) and need no step of their own.
    actions : tuple of Action
        What calibrates this action. Several of one name are alternatives or several sets.
    complete, auxiliary, certified : bool
        As calSelector or the rules state them.
    secondary : bool
        Whether it is incomplete in nothing that a recipe needs: auxiliary groups, what a recipe can do without.
    match : {'calib_plan', 'extended', 'N/A'} or None
        How calSelector matched the group.
    messages : tuple of str
        What is missing or odd, in words.
    replaced : tuple of str
        Categories of statics that the user put in place of what would be made: nothing else of these is used here.
    """

    name: str
    files: tuple[DatasetFile, ...]
    statics: tuple[DatasetFile, ...] = ()
    actions: tuple[Action, ...] = ()
    complete: bool = True
    auxiliary: bool = False
    certified: bool = True
    match: Match | None = None
    messages: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    secondary: bool = False


class Dataset(Struct, frozen=True):
    """One science group with its calibration cascade.

    Parameters
    ----------
    name : str
        As Reflex gives it: the first science file without ending, with `_tpl` when a template was grouped.
    instrument : str
        FITS `INSTRUME` (`NAOS+CONICA`), or the prefix of the dp_id where no header is known yet.
    action : Action
        The science action; its `actions` are the cascade.
    mode : {'Raw2Raw', 'Raw2Master'} or None
        What calSelector executed; None when rules on disk made the dataset.
    requested : {'Raw2Raw', 'Raw2Master'} or None
        What was asked for; differs from `mode` after a downgrade.
    descriptors : tuple of (str, str)
        Keywords to be displayed, with their values.
    chosen : tuple of str
        Files that the user's choices name, to use them, to leave them out or to replace others by them.
    parameters : tuple of (str, str, value)
        (recipe, parameter, value): what the user chose for the recipes of this dataset.
    dropped : tuple of (DatasetFile, Purpose)
        Files that the user's choices took out, and where they were.
    final : bool
        Whether rules made for Reflex associated it: then nothing is added to it, and nothing chosen again.
    """

    name: str
    instrument: str
    action: Action
    mode: Mode | None = None
    requested: Mode | None = None
    descriptors: tuple[tuple[str, str], ...] = field(default=())
    chosen: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str, str | int | float | bool], ...] = ()
    dropped: tuple[tuple[DatasetFile, Purpose], ...] = ()
    final: bool = False

    @property
    def complete(self) -> bool:
        """Whether calSelector or the rules found everything."""
        return self.action.complete

    @property
    def secondary(self) -> bool:
        """Whether it is incomplete in nothing that a recipe needs."""
        return self.action.secondary

    @property
    def certified(self) -> bool:
        """Whether ESO certified the association (only the root's statement counts)."""
        return self.action.certified

    @property
    def target(self) -> str:
        """The object that was observed, as the header names it; empty where that is not known."""
        name = dict(self.descriptors).get("OBS.TARG.NAME", "UNDEFINED")
        return "" if name == "UNDEFINED" else name

    @property
    def missing(self) -> tuple[DpId, ...]:
        """The names of the files that are not on this machine."""
        return tuple(file.name for file in missing_files(self))

    @property
    def number_of_files(self) -> int:
        """How many files it has, each counted once."""
        return len({file.name for file in files_of(self)})

    def __repr__(self) -> str:
        """Return name, target and how much of it is here."""
        missing = len(self.missing)
        here = f"{self.number_of_files} files" + (f", {missing} of them not on this machine" if missing else "")
        of = f" of {self.target}" if self.target else ""
        return f"<Dataset {self.name}: {self.instrument}{of}, {here}{'' if self.complete else ', incomplete'}>"

    def _repr_html_(self) -> str:
        from esorex_bridge.values import html_table

        rows = [
            (file.name, file.category, ", ".join(served), file.path or "not on this machine")
            for file, served in purposes(self).items()
        ]
        return html_table(("file", "category", "purposes", "path"), rows, repr(self)[1:-1])


def walk_actions(action: Action, path: tuple[str, ...] = ()) -> Iterator[tuple[Action, Purpose]]:
    """Yield every action at or below one, parents first, with its purpose (`BIAS/FLAT/SCIENCE`)."""
    here = (action.name, *path)
    yield action, Purpose("/".join(here))
    for child in action.actions:
        yield from walk_actions(child, here)


def purposes(dataset: Dataset) -> dict[DatasetFile, tuple[Purpose, ...]]:
    """Return each file of a dataset once, with all purposes it serves, merged and sorted (Reflex keeps a sorted set).

    Keeping only the last purpose of a file is the trap that empties SOFs further down in Reflex.
    """
    found: dict[DatasetFile, set[Purpose]] = {}
    for action, purpose in walk_actions(dataset.action):
        for file in (*action.files, *action.statics):
            found.setdefault(file, set()).add(purpose)
    return {file: tuple(sorted(served)) for file, served in found.items()}


def files_of(dataset: Dataset) -> tuple[DatasetFile, ...]:
    """Return every file of a dataset once, in the order of first mention."""
    actions = walk_actions(dataset.action)
    return tuple(dict.fromkeys(file for action, _ in actions for file in (*action.files, *action.statics)))


def missing_files(dataset: Dataset) -> tuple[DatasetFile, ...]:
    """Return the files that are not on this machine, in the order of first mention."""
    return tuple(file for file in files_of(dataset) if file.path is None)
