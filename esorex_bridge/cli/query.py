"""`esorex-bridge query`: raw frames of the archive that meet constraints."""

from __future__ import annotations

import argparse
import csv
import sys
from typing import TYPE_CHECKING, Any

from esorex_bridge.cli import archive, constraints, options, output

if TYPE_CHECKING:
    from astropy.table import Table

EXAMPLE = (
    "esorex-bridge query --program '098.C-0739(C)' --night 2016-09-25\n  esorex-bridge query --instrument naco "
    "--target 'HD 1' --adql"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    constraints.configure(parser)
    parser.add_argument("--columns", metavar="A,B,…", help="columns of dbo.raw, or '*'")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--adql", action="store_true", help="print the query, and send nothing")
    form.add_argument("--csv", action="store_true", help="print CSV")
    form.add_argument("--votable", action="store_true", help="print a VOTable")
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
    wanted = constraints.given(args, columns)
    from esorex_bridge.archive.query import adql

    text = adql(wanted)
    if args.adql:
        output.emit_json({"adql": text}) if args.json else print(text)
        return 0
    with archive.client(args) as client:
        if args.login:
            client.authenticate()
        table = client.query_table(wanted, args.job, lambda phase: output.note(f"job: {phase.lower()}"))
    if args.max and len(table) == args.max:
        output.note(f"stopped at --max {args.max}; there may be more")
    _print(table, text, args)
    return 0


def _print(table: Table, text: str, args: argparse.Namespace) -> None:
    from esorex_bridge.archive.tap import rows

    if args.json:
        output.emit_json({"adql": text, "rows": [dict(row) for row in rows(table)]})
    elif args.votable:
        table.write(sys.stdout.buffer, format="votable")
        sys.stdout.flush()
    elif args.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(table.colnames)
        writer.writerows([_cell(value) for value in row.values()] for row in rows(table))
    else:
        output.table(table.colnames, ([_cell(value) for value in row.values()] for row in rows(table)))
        print(f"{len(table)} frames")


def _cell(value: Any) -> Any:
    return "" if value is None else value
