"""`esorex-bridge ancillary`: the files of processed products: previews, weight maps, tables, …"""

from __future__ import annotations

import argparse
from pathlib import Path

from esorex_bridge.cli import archive, constraints, options, output
from esorex_bridge.errors import UserError

EXAMPLE = (
    "esorex-bridge ancillary ADP.2014-10-01T10:19:21.580\n  esorex-bridge ancillary --collection MUSE "
    "--category ANCILLARY.PREVIEW --max 20 --fetch --into previews\n"
    "  esorex-bridge ancillary --target 'NGC 1365' --radius 0.1"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("product", nargs="?", metavar="ADP_ID", help="a product: all its files are listed")
    parser.add_argument("--collection", metavar="C", help="a collection, such as MUSE or ESPRESSO")
    constraints.add_place(parser)
    parser.add_argument("--category", metavar="CAT", help="eso_category, such as ANCILLARY.PREVIEW or 'ANCILLARY.%%'")
    parser.add_argument("--max", type=int, metavar="N", help="at most so many rows")
    parser.add_argument("--adql", action="store_true", help="print the query, and send nothing")
    parser.add_argument("--fetch", action="store_true", help="fetch the files too")
    parser.add_argument("--into", type=Path, metavar="DIR", help="folder to fetch into (with --fetch)")
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """List the files, and fetch them where asked."""
    from esorex_bridge.archive.query import product_files_adql
    from esorex_bridge.archive.tap import rows
    from esorex_bridge.cli.documents.archive import AncillaryDocument
    from esorex_bridge.cli.fetch import describe_file, fetch_watched, is_done, print_summary

    product = archive.checked_names([args.product])[0] if args.product else None
    category = args.category or ("ANCILLARY.%" if args.collection and not product else None)
    place = constraints.place(args)
    if args.fetch and args.into is None:
        raise UserError("--fetch needs --into DIR")
    if args.adql:
        text = product_files_adql(product, args.collection, category, args.max, place)
        output.emit_json(AncillaryDocument(adql=text)) if args.json else print(text)
        return 0
    with archive.client(args) as client:
        text = product_files_adql(product, args.collection, category, args.max, client.locate(place))
        table = client.ask(text, args.max)
        found = rows(table)
        report = None
        if args.fetch:
            report = fetch_watched(client, [row["archive_id"] for row in found], args.into, 4, "never")
    if args.json:
        files = tuple(map(describe_file, report.files)) if report else ()
        output.emit_json(AncillaryDocument(adql=text, rows=tuple(map(dict, found)), files=files))
    else:
        output.table(table.colnames, (["" if value is None else value for value in row.values()] for row in found))
        if report:
            print_summary(report)
        else:
            print(f"{len(found)} files")
    return 0 if report is None or is_done(report) else 1
