"""`esorex-bridge associations`: what calibrates science frames, asked of calSelector."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from esorex_bridge.cli import archive, options, output
from esorex_bridge.errors import ArchiveError
from esorex_bridge.files import DpId

if TYPE_CHECKING:
    from esorex_bridge.archive.client import ArchiveClient, Row

EXAMPLE = "esorex-bridge associations NACO.2016-03-02T00:30:00.076 --mode master"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("dp_ids", nargs="+", metavar="DP_ID", help="science frames")
    archive.add_mode(parser)
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Ask, keep the trees, and print the cascades."""
    from esorex_bridge.archive.acquisition import ask, keep_trees
    from esorex_bridge.archive.calselector import all_answered
    from esorex_bridge.cli.cascade_text import cascade_lines, describe_reply

    names = archive.checked_names(args.dp_ids)
    with archive.client(args) as client:
        replies = ask(client, names, archive.mode(args), look_up_frames(client, names))
    paths = keep_trees(replies, archive.destination(args))
    if args.json:
        from esorex_bridge.cli.documents.archive import AssociationsDocument

        answers = tuple(map(describe_reply, replies))
        output.emit_json(AssociationsDocument(associations=answers, trees=tuple(map(str, paths))))
    else:
        for reply in replies:
            output.say_lines(cascade_lines(reply))
        for path in paths:
            print(path)
    return 0 if all_answered(replies) else 1


def look_up_frames(client: ArchiveClient, names: Sequence[DpId]) -> dict[DpId, Row]:
    """Return what the archive says of frames that were named: template, category, release date."""
    from esorex_bridge.archive.query import Constraints

    columns = ("dp_id", "dp_cat", "tpl_start", "release_date")
    try:
        rows = client.query(Constraints(dp_ids=tuple(names), columns=columns, category=None))
    except ArchiveError as error:
        output.note(f"the frames' templates are unknown: {error}")
        return {}
    return {row["dp_id"]: row for row in rows}
