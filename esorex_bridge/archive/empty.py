"""Empty: why a query may have found nothing, found out by asking again with one constraint less."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from esorex_bridge.archive.query import INSTRUMENTS, Constraints, instrument_name

if TYPE_CHECKING:
    from esorex_bridge.archive.client import ArchiveClient

KNOWN_INSTRUMENTS = (
    *sorted(set(INSTRUMENTS.values())),
    "AMBER",
    "EFOSC",
    "ERIS",
    "FORS1",
    "FORS2",
    "HARPS",
    "HAWKI",
    "ISAAC",
    "KMOS",
    "MIDI",
    "MUSE",
    "NIRPS",
    "OMEGACAM",
    "SOFI",
    "UVES",
    "VIRCAM",
    "VISIR",
)
"""Values of INSTRUME, to find the nearest name; others are asked for too."""

_OPTIONS = {
    "night": "--night",
    "program": "--program",
    "target": "--target",
    "begin": "--from",
    "end": "--to",
    "type": "--type",
    "tech": "--tech",
    "where": "--where",
    "instrument": "--instrument",
    "category": "--cat",
}


def likely_reason(client: ArchiveClient, wanted: Constraints) -> str:
    """Return why nothing was found, in words; empty where no single constraint is the reason.

    Raises
    ------
    ArchiveError
        If the archive does not answer.
    """
    if wanted.instrument and instrument_name(wanted.instrument) not in KNOWN_INSTRUMENTS:
        known = (*INSTRUMENTS, *KNOWN_INSTRUMENTS)
        near = difflib.get_close_matches(wanted.instrument.upper(), known, 1, 0.5)
        if near:
            return f"nothing is known of an instrument '{wanted.instrument}'; did you mean {near[0]}?"
    for field, option in _OPTIONS.items():
        given = getattr(wanted, field)
        if given and (found := _without(client, wanted, field)):
            return _in_words(option, str(given), found)
    return ""


def _without(client: ArchiveClient, wanted: Constraints, field: str) -> dict[str, Any] | None:
    """Return a frame that meets all but one constraint."""
    columns = ("dp_id", "prog_id", "dp_cat", "exp_start", "instrument")
    wider = replace(wanted, columns=columns, limit=1, **{field: None})
    if wider == Constraints(columns=columns, limit=1, category=wider.category):
        return None  # without it nothing is asked for
    return next(iter(client.query(wider)), None)


def _in_words(option: str, given: str, found: dict[str, Any]) -> str:
    seen = {
        "--cat": f"there are others, of category {found['dp_cat']}; --cat any asks for all",
        "--program": f"there is one of {found['prog_id']}",
        "--instrument": f"there is one of {found['instrument']}",
        "--night": f"there is one of {found['exp_start']}; a night is named by its date at dusk",
    }
    return f"no frame meets {option} {given}; without it {seen.get(option, 'there is ' + str(found['dp_id']))}"
