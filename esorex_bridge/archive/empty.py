"""Empty: why a query may have found nothing, found out by asking again with one constraint less."""

from __future__ import annotations

import difflib
import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.archive.query import Constraints
from esorex_bridge.archive.tap import ask_rows
from esorex_bridge.definitions.spelling import INSTRUMENTS, KNOWN_INSTRUMENTS, instrument_name

if TYPE_CHECKING:
    from esorex_bridge.archive.client import ArchiveClient

_PREFIXES = frozenset(name for name in INSTRUMENTS if name not in ("NACO",))
_SEEN = ("dp_id", "prog_id", "dp_cat", "exp_start", "instrument")
_KEYWORDS = {
    "exptime": "exposure",
    "instrume": "instrument",
    "dpr_catg": "dp_cat",
    "dpr_type": "dp_type",
    "dpr_tech": "dp_tech",
    "obs_prog_id": "prog_id",
    "obs_targ_name": "target",
    "obs_id": "ob_id",
    "arcfile": "dp_id",
    "telescop": "telescope",
}
"""Columns of `dbo.raw` that have other names than the keywords of the header."""
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_NAME = re.compile(r"(?<![0-9A-Za-z_.])[A-Za-z_][A-Za-z0-9_.]*(?!\s*\()\b")
_ADQL_WORDS = frozenset(
    ("AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "IS", "NULL", "SELECT", "FROM", "WHERE", "DISTINCT", "TOP", "AS")
)

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


class LikelyReason(Struct, frozen=True):
    """Why nothing was found.

    Parameters
    ----------
    said : str
        In words; empty where no single constraint is the reason.
    changes : dict of str to str, float or None
        What to ask for instead, by the fields of the constraints; None where one is to be left out.
    """

    said: str
    changes: dict[str, str | float | None] = {}


def likely_reason(client: ArchiveClient, wanted: Constraints) -> LikelyReason:
    """Return why nothing was found, and what would find something.

    Raises
    ------
    ArchiveError
        If the archive does not answer.
    """
    if wanted.instrument and instrument_name(wanted.instrument) not in KNOWN_INSTRUMENTS:
        known = (*INSTRUMENTS, *KNOWN_INSTRUMENTS)
        near = difflib.get_close_matches(wanted.instrument.upper(), known, 1, 0.6)
        said = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted({*known} - _PREFIXES))}"
        instead = near[0].lower() if near else None
        return LikelyReason(f"nothing is known of an instrument '{wanted.instrument}'; {said}", {"instrument": instead})
    if beside := _night_beside(client, wanted):
        return beside
    for field, option in _OPTIONS.items():
        given = getattr(wanted, field)
        if given and (found := _without(client, wanted, field)):
            return LikelyReason(_in_words(option, str(given), found), {field: "any" if field == "category" else None})
    return _nothing_like_it(client, wanted)


def _night_beside(client: ArchiveClient, wanted: Constraints) -> LikelyReason | None:
    """Return that a night is named by its evening, where that of the day before has what is wanted."""
    if wanted.night is None:
        return None
    before = f"{date.fromisoformat(wanted.night) - timedelta(days=1)}"
    if _first(client, replace(wanted, night=before)) is None:
        return None
    said = f"no frame of the night of {wanted.night}, but of --night {before}: a night is named by its date at dusk"
    return LikelyReason(said, {"night": before})


def _nothing_like_it(client: ArchiveClient, wanted: Constraints) -> LikelyReason:
    """Return what there is beside what was asked for, where that was one thing alone."""
    if wanted.program:
        programme = wanted.program.partition("(")[0]
        other = _first(client, Constraints(program=programme, category=None)) if "(" in wanted.program else None
        if other is not None:
            said = f"no frame of run {wanted.program}, but of {other['prog_id']}; --program {programme} finds all"
            return LikelyReason(said, {"program": programme})
        return LikelyReason(
            f"the archive lists no frame of {wanted.program}; programmes look like 098.C-0739 or 110.23XY, runs like "
            "098.C-0739(C); protected ones are listed to those who may see them (--login)"
        )
    placed = client.locate(wanted)
    if placed.target:
        said = f"no name service knows '{wanted.target}', and no header names it so; give --ra, --dec and --radius"
        return LikelyReason(said)
    if placed.radius is not None:
        for radius in (placed.radius * 5, placed.radius * 25):
            if radius <= 90 and (found := _first(client, replace(placed, radius=radius))):
                said = f"no frame within {placed.radius:g} degrees; within {radius:g} there is {found['dp_id']}"
                return LikelyReason(said, {"radius": radius})
        return LikelyReason(f"no frame within {placed.radius:g} degrees, nor about it")
    if wanted.where:
        names = ",".join(dict.fromkeys(_names_in(wanted.where)))
        command = f"esorex-bridge query --columns {names} --max 20"
        said = f"no frame meets --where {wanted.where}; '{command}' shows what stands there"
        return LikelyReason(said, {"where": None, "columns": names, "limit": 20})
    alone = ((option, getattr(wanted, field)) for field, option in _OPTIONS.items() if field != "category")
    said = " ".join(f"{option} {given}" for option, given in alone if given)
    return LikelyReason(f"the archive lists no frame of {said}" if said else "")


def hint_of_columns(client: ArchiveClient, condition: str) -> str:
    """Return which names of a condition are no columns of `dbo.raw`, with those nearest to them; empty where all are.

    Raises
    ------
    ArchiveError
        If the archive does not answer.
    """
    text = "SELECT column_name FROM TAP_SCHEMA.columns WHERE table_name = 'dbo.raw'"
    there = {str(row["column_name"]).lower() for row in ask_rows(client.connection, text)}
    lacking = {name: _nearest(name, there) for name in _names_in(condition) if name.lower() not in there}
    if not there or not lacking:
        return ""
    said = [f"'{name}'" + (f" (did you mean {near}?)" if near else "") for name, near in lacking.items()]
    return f"dbo.raw has no column {', '.join(said)}; it holds few keywords of the headers, under names of its own"


def _names_in(condition: str) -> list[str]:
    """Return the names of columns in a condition."""
    return [name for name in _NAME.findall(_LITERAL.sub(" ", condition)) if name.upper() not in _ADQL_WORDS]


def _nearest(name: str, columns: set[str]) -> str:
    """Return the column that is meant by a misspelt one, or by a keyword of the header; empty where none is near."""
    plain = re.sub(r"^(?:hierarch[._])?(?:eso[._])?", "", name.lower()).replace(".", "_")
    near = difflib.get_close_matches(plain, columns | _KEYWORDS.keys(), 1, 0.6)
    return _KEYWORDS.get(near[0], near[0]) if near else ""


def _without(client: ArchiveClient, wanted: Constraints, field: str) -> dict[str, Any] | None:
    """Return a frame that meets all but one constraint."""
    wider = replace(wanted, **{field: None, **({"radius": None} if field == "target" else {})})
    if replace(wider, columns=(), limit=None) == Constraints(columns=(), category=wider.category):
        return None  # without it nothing is asked for
    return _first(client, wider)


def _first(client: ArchiveClient, wanted: Constraints) -> dict[str, Any] | None:
    return next(iter(client.query(replace(wanted, columns=_SEEN, limit=1))), None)


def _in_words(option: str, given: str, found: dict[str, Any]) -> str:
    seen = {
        "--cat": f"there are others, of category {found['dp_cat']}; --cat any asks for all",
        "--program": f"there is one of {found['prog_id']}",
        "--instrument": f"there is one of {found['instrument']}",
        "--night": f"there is one of {found['exp_start']}; a night is named by its date at dusk",
    }
    return f"no frame meets {option} {given}; without it {seen.get(option, 'there is ' + str(found['dp_id']))}"
