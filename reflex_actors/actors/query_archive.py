"""`query_archive`: constraints become the names of science frames."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from esorex_bridge.errors import UserError
from reflex_actors.protocol import Actor, Inputs, Port

if TYPE_CHECKING:
    from esorex_bridge.files import DpId

ACTOR = Actor(
    "query_archive",
    "Finds science frames in the ESO archive.",
    (
        Port("program", "programme or run, such as 60.A-9999(A)"),
        Port("target", "name of the object"),
        Port("instrument", "instrument"),
        Port("night", "date at dusk, YYYY-MM-DD"),
        Port("dp_ids", "names of frames, separated by blanks or commas"),
        Port("max", "at most so many frames"),
        Port("archive", "base address of an archive that is not ESO's"),
    ),
    (
        Port("out_dp_ids", "names of the frames, separated by blanks"),
        Port("n_frames", "how many"),
        Port("adql", "the query"),
    ),
)


def work(inputs: Inputs) -> dict[str, Any]:
    """Ask the archive; without any constraint nothing is asked and nothing found."""
    from esorex_bridge.archive.query import Constraints, adql
    from reflex_actors.archive import client

    wanted = Constraints(
        program=inputs.text("program") or None,
        target=inputs.text("target") or None,
        instrument=inputs.text("instrument") or None,
        night=inputs.text("night") or None,
        dp_ids=names_in(inputs.text("dp_ids")),
        limit=_limit(inputs.text("max")),
    )
    if wanted == Constraints(instrument=wanted.instrument, limit=wanted.limit):
        return {"out_dp_ids": "", "n_frames": 0, "adql": ""}
    with client(inputs.text("archive"), os.environ) as archive:
        rows = archive.query(wanted)
    if not rows:
        raise UserError("the archive has no science frame that meets this; loosen program, target or night")
    return {"out_dp_ids": " ".join(row["dp_id"] for row in rows), "n_frames": len(rows), "adql": adql(wanted)}


def names_in(text: str) -> tuple[DpId, ...]:
    """Return the archive names in a text.

    Raises
    ------
    UserError
        If a word is no archive name.
    """
    if not text.strip():
        return ()
    from esorex_bridge.cli.archive import checked_names

    return checked_names(text.replace(",", " ").split())


def _limit(text: str) -> int | None:
    if not text:
        return None
    if not text.isdigit() or int(text) == 0:
        raise UserError(f"max is '{text}'; it must be a number of frames")
    return int(text)
