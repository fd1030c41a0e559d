"""`esorex-bridge night-log`: the observer's report for a frame, and its grade."""

from __future__ import annotations

import argparse

from esorex_bridge.cli import archive, options, output

EXAMPLE = "esorex-bridge night-log SPHER.2016-09-26T03:04:09.308"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("dp_id", metavar="DP_ID", help="a raw frame")
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Print the text, and the grade on stderr."""
    (name,) = archive.checked_names([args.dp_id])
    with archive.client(args) as client:
        log = client.night_log(name)
    if args.json:
        from esorex_bridge.cli.documents.archive import NightLogDocument

        output.emit_json(NightLogDocument(dp_id=name, grade=log.grade, grades=tuple(log.grades), text=log.text))
        return 0
    print(output.escape_line(log.text.rstrip().replace("\t", "    ")))
    output.note(f"grade: {log.grade or 'none given'}")
    return 0
