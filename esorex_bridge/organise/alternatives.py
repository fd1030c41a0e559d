"""Choice among alternatives: calSelector lists several groups of one category, Reflex and a recipe want one.

The header decides first, time second: of two groups of darks the one whose settings agree with the frames it is for,
of equal ones the nearest in time. Where a header is not known its group counts as disagreeing in nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from math import inf
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile
from esorex_bridge.definitions.oca.evaluate import NOTHING, Keywords, equal, render_value
from esorex_bridge.organise.frames import time_of

SETTINGS = (
    "DET.DIT",
    "DET.NDIT",
    "DET.NCORRS.NAME",
    "DET.MODE.NAME",
    "DET.READ.CURNAME",
    "DET.READ.MODE",
    "DET.READ.SPEED",
    "DET.READ.CLOCK",
    "DET.WIN.NX",
    "DET.WIN.NY",
    "DET.WIN1.BINX",
    "DET.WIN1.BINY",
    "DET.WIN1.NX",
    "DET.WIN1.NY",
    "DET.CHIPS",
    "DET.CHIP1.ID",
    "INS.MODE",
    "INS.FILT1.NAME",
    "INS.FILT2.NAME",
    "INS.OPTI1.NAME",
    "INS.OPTI6.NAME",
    "INS.OPTI7.NAME",
    "INS.GRAT1.NAME",
    "INS.GRAT1.WLEN",
    "INS.GRAT2.NAME",
    "INS.GRAT2.WLEN",
    "INS.GRIS1.NAME",
    "INS.GRIS2.NAME",
    "INS.SLIT1.NAME",
    "OCS.CON.QUAD",
)
"""Settings of detector and instrument in which a calibration should agree with what it is for."""

_DARKNESS = ("DARK", "BIAS")


class Ranked(Struct, frozen=True):
    """An alternative, and what speaks for it.

    Parameters
    ----------
    action : Action
        The alternative group.
    disagreements : tuple of str
        Settings in which it differs, in words.
    days : float
        Time from the frames it is for; infinite where not known.
    """

    action: Action
    disagreements: tuple[str, ...]
    days: float


def rank_alternatives(
    parent: Action, alternatives: tuple[Action, ...], headers: Mapping[Path, Keywords]
) -> tuple[Ranked, ...]:
    """Return alternatives, the best first.

    Parameters
    ----------
    parent : Action
        What they are for.
    alternatives : tuple of Action
        Groups of one category.
    headers : mapping of Path to keywords
        As far as known.
    """
    own = _header(parent.files, headers)
    found = []
    for action in alternatives:
        theirs = _header(action.files, headers)
        distance = abs(time_of(theirs) - time_of(own))
        found.append(Ranked(action, _disagreements(action, theirs, own), inf if distance != distance else distance))
    return tuple(sorted(found, key=_goodness))


def _goodness(alternative: Ranked) -> tuple[int, bool, bool, float, str]:
    action = alternative.action
    first = action.files[0].name if action.files else ""
    return len(alternative.disagreements), not action.complete, action.match == "extended", alternative.days, first


def best_alternatives(dataset: Dataset, headers: Mapping[Path, Keywords]) -> Dataset:
    """Return a dataset in which each action has one action of a name below it, the best."""
    return replace(dataset, action=_with_best(dataset.action, headers))


def _with_best(action: Action, headers: Mapping[Path, Keywords]) -> Action:
    best = [choices[0].action for choices in alternatives_of(action, headers)]
    kept = [child for child in action.actions if any(child is chosen for chosen in best)]
    return replace(action, actions=tuple(dict.fromkeys(_with_best(child, headers) for child in kept)))


def alternatives_of(action: Action, headers: Mapping[Path, Keywords]) -> tuple[tuple[Ranked, ...], ...]:
    """Return the groups directly below an action by name, each with its alternatives, the best first."""
    named = sorted(enumerate(action.actions), key=lambda pair: (pair[1].name, pair[0]))
    return tuple(
        rank_alternatives(action, tuple(child for _, child in children), headers)
        for _, children in groupby(named, key=lambda pair: pair[1].name)
    )


def _header(files: tuple[DatasetFile, ...], headers: Mapping[Path, Keywords]) -> Keywords:
    paths = (file.path for file in files if file.path is not None)
    return next((headers[path] for path in paths if path in headers), NOTHING)


def _disagreements(action: Action, theirs: Keywords, own: Keywords) -> tuple[str, ...]:
    """Compare the settings; a dark or bias cares for the detector alone, other calibrations not for exposure time."""
    dark = any(word in file.category for file in action.files for word in _DARKNESS)
    keys = [key for key in SETTINGS if (key.startswith("DET.") if dark else key not in ("DET.DIT", "DET.NDIT"))]
    return tuple(
        f"{key} {render_value(theirs[key])} ≠ {render_value(own[key])}"
        for key in keys
        if theirs.get(key) is not None and own.get(key) is not None and not equal(theirs[key], own[key])
    )
