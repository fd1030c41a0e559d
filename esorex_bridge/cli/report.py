"""`esorex-bridge report`: one page that shows what was made, of what, and what is missing."""

from __future__ import annotations

import argparse
from pathlib import Path

from esorex_bridge.cli import options, output

EXAMPLE = "esorex-bridge report --root night --html night.html --open"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="where to write it (default: reflex_book_keeping/report.html)"
    )
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    parser.add_argument("--no-previews", action="store_true", help="leave out pictures")
    options.planning(parser)
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Write the page, and print its address."""
    from esorex_bridge.cli import arguments
    from esorex_bridge.pages.files import PageLimits
    from esorex_bridge.pages.report_file import write_report
    from esorex_bridge.session import Session

    with Session(arguments.settings(args)) as session:
        limits = PageLimits(previews=False) if args.no_previews else None
        target, view = write_report(session, args.html, limits)
    if args.json:
        from esorex_bridge.cli.documents.history import ReportDocument

        states = {dataset.name: dataset.state for dataset in view.datasets}
        size = target.stat().st_size
        output.emit_json(ReportDocument(report=str(target), size_bytes=size, datasets=states))
    else:
        print(target.as_uri())
    if args.open:
        import webbrowser

        webbrowser.open(target.as_uri())
    return 0
