"""Purposes handled as Reflex's own actors handle them, as functions on sets of files.

A purpose is a path of actions, own action first and target action last: `BIAS/FLAT/SCIENCE` is a bias for the flat of
the science frames. Rules: ESO's documentation of RecipeExecuter, SofSplitter, SofAccumulator, SofCombiner and
FitsRouter, and recorded runs where it is silent. Python 3.8 and the standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from reflex_actors.sof_json import EncodingError, FitsFile, SetOfFiles

STRIP_LAST, DO_NOTHING, SET_TO_UNIVERSAL = "Strip last", "Do nothing", "Set to universal"
"""RecipeExecuter's values of `File Purpose Processing`; the first is its default."""


def strip_last(purpose: str) -> str | None:
    """Return a purpose without the step that is done; None, universal, where that was its only section.

    Reflex calls the section of the finished step the last one; it stands first in the text.

    >>> strip_last("BIAS/IFU_CAL/SCI_IFU")
    'IFU_CAL/SCI_IFU'
    """
    return purpose.partition("/")[2] or None


def after_recipe(purposes: Iterable[str], processing: str = STRIP_LAST) -> tuple[str, ...]:
    """Return the purposes of a recipe's products from those of its inputs."""
    if processing == SET_TO_UNIVERSAL:
        return ()
    if processing == DO_NOTHING:
        return tuple(sorted(set(purposes)))
    return tuple(sorted({left for left in map(strip_last, purposes) if left}))


def unite_purposes(files: Iterable[FitsFile]) -> tuple[FitsFile, ...]:
    """Return each (file, category) once with all its purposes; universal once is universal for good."""
    found: dict[tuple[str, str], FitsFile] = {}
    for file in files:
        key = (file.name, file.category)
        earlier = found.get(key)
        if earlier is None:
            found[key] = file
        elif earlier.universal or file.universal:
            found[key] = replace(earlier, purposes=())
        else:
            found[key] = replace(earlier, purposes=earlier.purposes + file.purposes)
    return tuple(found.values())


def split(sof: SetOfFiles, group_purposes: bool = True) -> tuple[SetOfFiles, ...]:
    """Return one SoF a purpose, as SofSplitter does; an empty SoF gives one empty group.

    Universal files stand in every group. Groups of the same files are merged by `group_purposes`; the merged group has
    the purposes of all.
    """
    groups = [sof.with_files(_serving(sof.files, purpose)) for purpose in sof.purposes]
    if not groups:
        return (sof,)
    if not group_purposes:
        return tuple(groups)
    merged: dict[frozenset[tuple[str, str]], SetOfFiles] = {}
    for group in groups:
        key = frozenset((file.name, file.category) for file in group.files)
        merged[key] = group.with_files(unite_purposes((*merged[key].files, *group.files))) if key in merged else group
    return tuple(merged.values())


def accumulate(sofs: Iterable[SetOfFiles], same_dataset: bool = True) -> SetOfFiles:
    """Return the files of several SoFs in one, as SofAccumulator does.

    Raises
    ------
    EncodingError
        If they are not of one dataset, and `same_dataset` wants them to be.
    """
    listed = tuple(sofs)
    names = tuple(dict.fromkeys(sof.dataset for sof in listed))
    if same_dataset and len(names) > 1:
        listing = ", ".join(names)
        raise EncodingError(f"sets of files of several datasets were to be put together: {listing}")
    return SetOfFiles(names[0] if names else "", unite_purposes(file for sof in listed for file in sof.files))


def combine(sofs: Iterable[SetOfFiles], optional: Iterable[SetOfFiles] = ()) -> SetOfFiles:
    """Return the files whose purposes are in all SoFs, as SofCombiner does.

    Empty SoFs are ignored, universal files are always collected; a SoF of universal files only does not restrict.
    Optional ones add files and do not restrict either.
    """
    needed, extra = tuple(sofs), tuple(optional)
    named = [set(sof.purposes) for sof in needed if sof.purposes]
    common = set.intersection(*named) if named else None
    everything = [file for sof in (*needed, *extra) for file in sof.files]
    kept = (
        everything
        if common is None
        else [
            replace(file, purposes=tuple(common.intersection(file.purposes)))
            for file in everything
            if file.universal or common.intersection(file.purposes)
        ]
    )
    dataset = next((sof.dataset for sof in (*needed, *extra) if sof.dataset), "")
    return SetOfFiles(dataset, unite_purposes(kept))


@dataclass(frozen=True)
class Route:
    """A port of FitsRouter.

    Parameters
    ----------
    port : str
        Its name; stands for the category where there are no patterns.
    patterns : tuple of str
        Regular expressions for categories (`<PORT>_config`).
    minimum, maximum : int or None
        Limits on the number of files (`<PORT>_min_number`, `<PORT>_max_number`).
    """

    port: str
    patterns: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None

    def takes(self, category: str) -> bool:
        """Tell whether files of a category go to this port."""
        if not self.patterns:
            return category == self.port
        return any(re.fullmatch(pattern, category) for pattern in self.patterns)


def patterns_of(text: str) -> tuple[str, ...]:
    """Return the expressions of a `<PORT>_config`: a list separated by commas or blanks.

    >>> patterns_of("BIAS_UVB, BIAS_VIS")
    ('BIAS_UVB', 'BIAS_VIS')
    """
    return tuple(word for word in re.split(r"[,\s]+", text) if word)


def route(sof: SetOfFiles, routes: Iterable[Route]) -> tuple[dict[str, SetOfFiles], SetOfFiles]:
    """Return a SoF for each port, empty ones included, and the rejected files, as FitsRouter does.

    Raises
    ------
    EncodingError
        If a port gets fewer files than its minimum.
    """
    listed = tuple(routes)
    ports = {}
    for each in listed:
        files = [file for file in sof.files if each.takes(file.category)]
        if each.minimum is not None and len(files) < each.minimum:
            raise EncodingError(f"port {each.port} gets {len(files)} files and wants at least {each.minimum}")
        ports[each.port] = sof.with_files(files[: each.maximum])
    rejected = [file for file in sof.files if not any(each.takes(file.category) for each in listed)]
    return ports, sof.with_files(rejected)


def of_step(sof: SetOfFiles, step: str) -> SetOfFiles:
    """Return a SoF without the purposes that are marked for another step, and the files that then have none left.

    Where several steps have main files of one category, the bridge marks the action with the step: `FLAT.recipe_1`.
    """
    kept = []
    for file in sof.files:
        left = tuple(purpose for purpose in file.purposes if _marked_step(purpose) in ("", step))
        if left or file.universal:
            kept.append(replace(file, purposes=left))
    return sof.with_files(kept)


def _marked_step(purpose: str) -> str:
    return purpose.partition("/")[0].partition(".")[2]


def own_purposes(sof: SetOfFiles, others: SetOfFiles) -> SetOfFiles:
    """Return a SoF without the purposes that other files have, and without the files that then have none left.

    A raw category can be the main input of one step and direct input of another (a dark for a flat). FitsRouter knows
    categories only; the step's own groups are those whose purpose the other step's main files do not have.
    """
    taken = set(others.purposes)
    kept = []
    for file in sof.files:
        left = tuple(purpose for purpose in file.purposes if purpose not in taken)
        if left or file.universal:
            kept.append(replace(file, purposes=left))
    return sof.with_files(kept)


def _serving(files: Iterable[FitsFile], purpose: str) -> list[FitsFile]:
    return [
        replace(file, purposes=() if file.universal else (purpose,))
        for file in files
        if file.universal or purpose in file.purposes
    ]
