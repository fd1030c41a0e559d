"""`esorex-bridge provenance`: what a product was made from, down to the raws."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.cli import options, output
from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from esorex_bridge.provenance.lineage import Lineage

EXAMPLE = (
    "esorex-bridge provenance NACO.2016-03-02T00:30:00.076_tpl --root night\n"
    "  esorex-bridge provenance copied.fits --root night --prov copied.prov.json"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "what",
        metavar="PRODUCT|DATASET|STEP",
        help="a product by its path (wherever it was copied) or its name; a dataset, for its end products; a step, a "
        "recipe or a step's key",
    )
    parser.add_argument("--from-header", action="store_true", help="go by nothing but the header of the product")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="also write it as a page that loads nothing from anywhere"
    )
    parser.add_argument("--prov", type=Path, metavar="FILE", help="also write W3C PROV-JSON")
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Trace back what was named, and print it."""
    from esorex_bridge.disk.atomic import written_whole
    from esorex_bridge.provenance.document import document_of, encode
    from esorex_bridge.provenance.header import document_of_header
    from esorex_bridge.provenance.prov_json import prov_document
    from esorex_bridge.provenance.text import render, render_header

    if args.from_header:
        if args.html:
            raise UserError("a header alone makes no page; leave out --html or --from-header")
        document = document_of_header(Path(args.what))
        lines = render_header(document)
    else:
        lineage = lineage_of(args)
        document = document_of(lineage)
        lines = render(lineage)
        if args.html:
            _write_page(args.html.absolute(), lineage, Path(args.what).name)
    if args.prov:
        import json

        with written_whole(args.prov.absolute()) as part:
            part.write_text(json.dumps(prov_document(document), indent=1) + "\n", encoding="utf-8")
    if args.json:
        print(encode(document).decode(), end="")
    else:
        output.say_lines(lines)
    return 0


def _write_page(file: Path, lineage: Lineage, title: str) -> None:
    from esorex_bridge.disk.atomic import write_whole
    from esorex_bridge.pages.lineage import view_lineage
    from esorex_bridge.pages.render import render_report

    write_whole(file, render_report(view_lineage(lineage, title)))


def lineage_of(args: argparse.Namespace) -> Lineage:
    """Return the lineage of what a command line names."""
    from esorex_bridge.provenance.side import lineage_in

    return lineage_in(args.what, args.root)
