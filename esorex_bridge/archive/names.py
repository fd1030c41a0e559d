"""Names: positions of objects by their names, from CDS's name service Sesame (SIMBAD, NED, VizieR)."""

from __future__ import annotations

import re
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.archive.connection import Connection
from esorex_bridge.archive.query import Constraints
from esorex_bridge.errors import ArchiveError
from esorex_bridge.log import logger
from esorex_bridge.values import visible

RADIUS_DEG = 0.05
"""How far from its position frames of an object are looked for: 3 arc minutes, as much as most fields."""

_POSITION = re.compile(r"^%J\s+([0-9]{1,3}(?:\.[0-9]+)?)\s+([+-]?[0-9]{1,2}(?:\.[0-9]+)?)", re.MULTILINE)

_log = logger(__name__)


class Position(Struct, frozen=True):
    """A place on the sky.

    Parameters
    ----------
    ra, dec : float
        ICRS, degrees.
    """

    ra: float
    dec: float


def find_position(connection: Connection, name: str) -> Position | None:
    """Return the position of an object; None where the service knows no such name.

    Raises
    ------
    ArchiveError
        If the service fails.
    """
    url = f"{connection.services.sesame}/-oI/A?{quote(' '.join(name.split()))}"
    answer = connection.get(url, attempts=2)
    return read_position(answer.body) if answer.status == 200 else None


def read_position(document: bytes) -> Position | None:
    """Return the position that Sesame states; None where it states none."""
    match = _POSITION.search(document.decode("utf-8", "replace"))
    if match is None:
        return None
    position = Position(float(match[1]), float(match[2]))
    return position if position.ra < 360 and abs(position.dec) <= 90 else None


def resolve_names(connection: Connection, constraints: Constraints) -> Constraints:
    """Return constraints that ask for a position instead of a name, where a name service knows the name.

    Names that it does not know (fields, planets, what a proposal invented) are compared with those in the headers.
    """
    if not constraints.target or (constraints.ra, constraints.dec) != (None, None):
        return constraints
    try:
        position = find_position(connection, constraints.target)
    except ArchiveError as error:
        _log.warning("the target is looked for by its name alone: %s", visible(str(error), 300))
        return replace(constraints, radius=None)
    if position is None:
        return replace(constraints, radius=None)
    radius = constraints.radius or RADIUS_DEG
    _log.info("%s lies at %.5f %+.5f; frames within %g degrees", constraints.target, position.ra, position.dec, radius)
    return replace(constraints, target=None, ra=position.ra, dec=position.dec, radius=radius)
