"""The options that say which frames are meant."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from esorex_bridge.archive.query import Constraints


_OPTIONS = {
    name: {"from": "begin", "to": "end"}.get(name, name)
    for name in ("program", "target", "ra", "dec", "radius", "instrument", "night", "from", "to", "type", "tech", "cat",
                 "where", "max")
}  # fmt: skip
"""The options that say which frames are meant, and where their values are kept."""

_FIELDS = {"cat": "category", "max": "limit"}
"""What constraints call a value, where the command line calls it otherwise."""


def configure(parser: argparse.ArgumentParser, dp_ids: bool = True) -> None:
    """Add the options of a query."""
    group = parser.add_argument_group("which frames")
    group.add_argument("--program", metavar="P", help="run '098.C-0739(C)', or programme '098.C-0739' with all runs")
    add_place(group)
    group.add_argument(
        "--instrument", metavar="I", help="common name (naco, HAWK-I, sphere, …), dp_id prefix or INSTRUME"
    )
    group.add_argument("--night", metavar="YYYY-MM-DD", help="date at dusk: noon UT to noon UT of the next day")
    group.add_argument("--from", dest="begin", metavar="DATE", help="not before this date or time (UT)")
    group.add_argument("--to", dest="end", metavar="DATE", help="not after; a date includes that day")
    if dp_ids:
        group.add_argument("--dp-id", action="append", default=[], metavar="ID", help="this frame; may be repeated")
    group.add_argument("--type", metavar="T", help="dp_type, such as OBJECT or 'OBJECT,%%'")
    group.add_argument("--tech", metavar="T", help="dp_tech, such as IMAGE,JITTER")
    group.add_argument("--cat", default="SCIENCE", metavar="C", help="dp_cat (default: SCIENCE); 'any' for all")
    group.add_argument("--where", metavar="ADQL", help="a further condition on dbo.raw")
    group.add_argument("--max", type=int, metavar="N", help="at most so many rows")


def add_place(group: argparse._ActionsContainer) -> None:
    """Add the options that name a place on the sky."""
    group.add_argument("--target", metavar="NAME", help="object, found by its position, or by its name in the header")
    group.add_argument("--ra", metavar="RA", help="right ascension of a position (ICRS): degrees, or 05:35:17")
    group.add_argument("--dec", metavar="DEC", help="declination: degrees, or -05:23:28")
    group.add_argument("--radius", type=float, metavar="DEG", help="radius about position or target (degrees)")


def place(args: argparse.Namespace) -> Constraints:
    """Return the place that a command line names."""
    from esorex_bridge.archive.query import Constraints
    from esorex_bridge.archive.sky import read_dec, read_ra

    return Constraints(
        target=args.target,
        ra=None if args.ra is None else read_ra(args.ra),
        dec=None if args.dec is None else read_dec(args.dec),
        radius=args.radius,
    )


def read_constraints(args: argparse.Namespace, columns: tuple[str, ...] | None = None) -> Constraints:
    """Return the constraints of a command line."""
    from msgspec.structs import replace

    from esorex_bridge.archive.query import COLUMNS
    from esorex_bridge.cli.archive import checked_names

    return replace(
        place(args),
        program=args.program,
        instrument=args.instrument,
        night=args.night,
        begin=args.begin,
        end=args.end,
        dp_ids=checked_names(getattr(args, "dp_id", [])),
        type=args.type,
        tech=args.tech,
        category=None if args.cat.lower() == "any" else args.cat,
        where=args.where,
        columns=columns or COLUMNS,
        limit=args.max,
    )


def words(args: argparse.Namespace, changes: Mapping[str, object] | None = None) -> tuple[str, ...]:
    """Return the options of a query as they are typed, those that say something.

    `changes` are other values, by the fields of the constraints; None leaves one out.
    """
    found: list[str] = []
    for option, name in _OPTIONS.items():
        value = (changes or {}).get(_FIELDS.get(name, name), getattr(args, name, None))
        if value is not None and (option, value) != ("cat", "SCIENCE"):
            found += (f"--{option}={value}",) if str(value).startswith("-") else (f"--{option}", str(value))
    return tuple(found)
