"""`esorex-bridge datalink`: what belongs to a file of the archive."""

from __future__ import annotations

import argparse

from esorex_bridge.cli import archive, options, output

EXAMPLE = "esorex-bridge datalink ADP.2014-10-01T10:19:21.580"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("id", metavar="ID", help="a raw frame, a processed calibration, or a product")
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Print the links."""
    from msgspec.structs import asdict

    (name,) = archive.checked_names([args.id])
    with archive.client(args) as client:
        links = client.links(name)
    if args.json:
        from esorex_bridge.cli.documents.archive import LinkPart, LinksDocument

        output.emit_json(
            LinksDocument(id=name, links=tuple(LinkPart(**asdict(row), target=row.target) for row in links.rows))
        )
        return 0
    output.table(
        ("semantics", "content type", "bytes", "file or category", "address"),
        (
            (
                row.semantics.rpartition("#")[2],
                row.content_type,
                "" if row.size_bytes is None else row.size_bytes,
                row.file_name or row.category or row.description,
                row.access_url or row.service,
            )
            for row in links.rows
        ),
    )
    return 0
