"""`esorex-bridge query`: raw frames of the archive that meet constraints."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from esorex_bridge.cli import archive, constraints, options, output
from esorex_bridge.cli.tables import Column
from esorex_bridge.errors import BridgeError, UserError

if TYPE_CHECKING:
    from astropy.table import Table

    from esorex_bridge.archive.client import ArchiveClient, Row
    from esorex_bridge.archive.query import Constraints

FORMATS = ("table", "csv", "votable", "ecsv")
_ASTROPY = {"votable": "votable", "ecsv": "ascii.ecsv"}
"""Forms that astropy writes, and its names of them."""

_SHOWN = {
    "dp_id": 0, "object": 1, "dp_type": 2, "dp_tech": 3, "exposure": 4, "prog_id": 5,
    "target_name": 1, "obs_collection": 2, "instrument_name": 3, "dataproduct_type": 4, "calib_level": 5,
}  # fmt: skip
"""The columns of a table for people, and which are left out first where there is no room."""

EXAMPLE = (
    "esorex-bridge query --program '098.C-0739(C)' --night 2016-09-25\n  esorex-bridge query --instrument naco "
    "--target 'HD 1' --format ecsv"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    constraints.configure(parser)
    parser.add_argument("--columns", metavar="A,B,…", help="columns of dbo.raw, or '*' (a table shows six by default)")
    parser.add_argument("--products", action="store_true", help="processed products (Phase 3) instead of raw frames")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--adql", action="store_true", help="print the query, and send nothing")
    form.add_argument("--format", choices=FORMATS, default="table", help="how to print the rows (default: table)")
    form.add_argument("--csv", dest="format", action="store_const", const="csv", help=argparse.SUPPRESS)
    form.add_argument("--votable", dest="format", action="store_const", const="votable", help=argparse.SUPPRESS)
    parser.add_argument("--async", dest="job", action="store_true", help="ask by an async job, for long queries")
    parser.add_argument(
        "--login",
        action="store_true",
        help="ask as a user: also finds protected metadata of own programmes, but slower",
    )
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Ask, and print the rows."""
    columns = tuple(name.strip() for name in args.columns.split(",")) if args.columns else None
    wanted = constraints.read_constraints(args, columns)
    from esorex_bridge.archive.query import adql, products_adql

    write = products_adql if args.products else adql
    text = write(wanted)
    if args.adql:
        from esorex_bridge.cli.documents.archive import QueryDocument

        output.emit_json(QueryDocument(adql=text)) if args.json else print(text)
        return 0
    with archive.client(args) as client:
        if args.login:
            client.authenticate()
        placed = client.locate(wanted)
        if placed != wanted and placed.ra is not None:
            output.note(f"{wanted.target}: {placed.ra:.5f} {placed.dec:+.5f}, within {placed.radius:g} degrees")
        if args.format in _ASTROPY:
            _write_table(_table(client, placed, args), args.format)
            return 0
        rows = client.products(placed) if args.products else _ask(client, placed, args.job)
        _refuse_columns(client, args)
        instead = _say_why(client, wanted) if not rows and not args.products else {}
    if args.max and len(rows) == args.max:
        output.note(f"stopped at --max {args.max}; there may be more")
    _print(rows, wanted.columns, write(placed), args, instead)
    return 0


def _ask(client: ArchiveClient, wanted: Constraints, job: bool) -> tuple[Row, ...]:
    """Return the rows; where a condition of the user's was not understood, say which names are no columns."""
    from esorex_bridge.archive.empty import hint_of_columns
    from esorex_bridge.archive.tap import QueryError

    try:
        return client.query(wanted, job, _tell_phase)
    except QueryError as error:
        try:
            hint = hint_of_columns(client, wanted.where) if wanted.where else ""
        except BridgeError:
            hint = ""
        if hint:
            raise UserError(f"--where {wanted.where}: {hint}") from error
        raise


def _refuse_columns(client: ArchiveClient, args: argparse.Namespace) -> None:
    """Refuse columns that a user named and that the archive does not have; of its own the bridge can do without."""
    from esorex_bridge.archive.empty import hint_of_columns

    if args.columns and (unknown := tuple(client.unknown_columns)):
        hint = "" if args.products else hint_of_columns(client, " ".join(unknown))
        said = hint or f"the archive has no column {', '.join(unknown)}"
        raise UserError(f"--columns {args.columns}: {said}; '--columns *' shows all")


def _table(client: ArchiveClient, wanted: Constraints, args: argparse.Namespace) -> Table:
    from esorex_bridge.archive.query import products_adql

    if args.products:
        return client.ask(products_adql(wanted), args.max, args.job, _tell_phase)
    return client.query_table(wanted, args.job, _tell_phase)


def _tell_phase(phase: str) -> None:
    output.note(f"job: {phase.lower()}")


def _say_why(client: ArchiveClient, wanted: Constraints) -> Mapping[str, object]:
    """Say which constraint it is that nothing meets, where one alone is, and return what to ask for instead."""
    from esorex_bridge.archive.empty import likely_reason

    try:
        reason = likely_reason(client, wanted)
    except BridgeError:
        return {}
    if reason.said:
        output.note(reason.said)
    return reason.changes


def _write_table(table: Table, form: str) -> None:
    stream = sys.stdout.buffer if form == "votable" else sys.stdout
    table.write(stream, format=_ASTROPY[form])
    sys.stdout.flush()


def _print(
    rows: Sequence[Row], asked: Sequence[str], text: str, args: argparse.Namespace, instead: Mapping[str, object]
) -> None:
    names = list(rows[0]) if rows else [] if args.products or asked == ("*",) else list(asked)
    if args.json:
        from esorex_bridge.cli.documents.archive import QueryDocument

        output.emit_json(QueryDocument(adql=text, rows=tuple(map(dict, rows))))
    elif args.format == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(row[name]) for name in names] for row in rows)
    else:
        _print_table(rows, names if args.columns else [name for name in _SHOWN if name in names])
        kind = "product" if args.products else "frame"
        output.close(f"{len(rows)} {kind}{'s' * (len(rows) != 1)}", _next(rows, args, instead))


def _print_table(rows: Sequence[Row], names: Sequence[str]) -> None:
    if rows:
        columns = [Column(name, "number" if name == "exposure" else "name", keep=_SHOWN.get(name, 0)) for name in names]
        output.table(columns, ([_cell(row[name]) for name in names] for row in rows))


def _next(rows: Sequence[Row], args: argparse.Namespace, instead: Mapping[str, object]) -> str:
    """Return the command to type now: what brings or reduces the rows; where there are none, what may find some."""
    from esorex_bridge.cli.next_command import follow

    more = ("--products",) if args.products else ()
    if rows and not args.products:
        named, asked = tuple(args.dp_id), constraints.words(args)
        if args.cat == "SCIENCE":
            return follow(args, "reduce", *named, *asked)
        return follow(args, "fetch", *(named or ("--from-query", *asked)), "--no-calibrations")
    if rows and (dp_id := rows[0].get("dp_id")):
        return follow(args, "ancillary", dp_id, "--fetch", "--into", "products")
    if rows:
        return follow(args, "query", *more, *constraints.words(args), "--columns", "dp_id")
    wider = (*(word for name in args.dp_id for word in ("--dp-id", name)), *constraints.words(args, instead))
    if instead and wider:
        columns = ("--columns", instead["columns"]) if "columns" in instead else ()
        return follow(args, "query", *wider, *columns)
    return "esorex-bridge query --help"


def _cell(value: Any) -> Any:
    return "" if value is None else value
