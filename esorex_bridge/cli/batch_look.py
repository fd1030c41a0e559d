"""`esorex-bridge batch status`, `report` and `cancel`: how a batch stands, and ending it."""

from __future__ import annotations

import argparse

from esorex_bridge.cli import options, output

EXAMPLE = "esorex-bridge {verb} --root survey\n  esorex-bridge {verb} nightly --root survey --json"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("batch", nargs="?", default="", metavar="NAME", help="of the batch (default: the latest)")
    parser.add_argument("--name", default="", help=argparse.SUPPRESS)
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Tell how a batch stands; end it first where that is asked."""
    from esorex_bridge.batch.report import read_report
    from esorex_bridge.batch.start import cancel, find_batch, read_request
    from esorex_bridge.cli.batch_view import next_commands, show

    action = args.verb.split()[1]
    folder = find_batch(args.root, args.batch or args.name)
    report = cancel(folder) if action == "cancel" else read_report(folder)
    commands = next_commands(report, read_request(folder.about(), args.root), args)
    if args.json:
        from esorex_bridge.cli.documents.batch import batch_document

        output.emit_json(batch_document(report, commands))
    else:
        show(report, commands, whole=action != "status")
    return 1 if action == "report" and report.failed else 0
