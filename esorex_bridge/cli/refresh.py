"""`esorex-bridge refresh`: trees asked for again that were uncertified, incomplete or old, and what changed."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.cli import archive, options, output

if TYPE_CHECKING:
    from esorex_bridge.archive.client import ArchiveClient
    from esorex_bridge.archive.refresh import Due, TreeChange
    from esorex_bridge.cli.documents.archive import ChangedTreePart

EXAMPLE = "esorex-bridge refresh --root night --days 30"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "--days",
        type=float,
        default=30,
        metavar="N",
        help="ask again for any tree older than N days (default: 30; 0 for all)",
    )
    parser.add_argument("--into", type=Path, metavar="DIR", help="a data folder (default: those of the root)")
    options.dry_run(parser)
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Ask again, keep the new trees, and print what changed."""
    from esorex_bridge.archive.refresh import due
    from esorex_bridge.archive.trees import saved_trees

    folders = (args.into,) if args.into else archive.data_folders(args.root)
    found = due((tree for folder in folders for tree in saved_trees(folder)), datetime.now(UTC), args.days)
    changes: tuple[TreeChange, ...] = ()
    if not args.dry_run and found:
        with archive.client(args) as client:
            changes = _refresh(client, found, args)
    if args.json:
        from esorex_bridge.cli.documents.archive import DuePart, RefreshDocument

        listed = tuple(DuePart(str(item.saved.path), item.reason) for item in found)
        output.emit_json(RefreshDocument(due=listed, changes=tuple(map(_describe, changes))))
        return 0
    for item in found if args.dry_run else ():
        print(f"{item.saved.path}: {item.reason}")
    for changed in changes:
        _show(changed)
    trees = "1 tree" if len(found) == 1 else f"{len(found)} trees"
    differ = sum(bool(item.added or item.removed or item.remarks) for item in changes)
    output.say(f"{trees} {'to be asked for again' if args.dry_run else 'asked for again'}, {differ} changed")
    if not found:
        output.say("none is here that is recent or incomplete; 'esorex-bridge fetch' brings trees with their frames")
    if any(item.added for item in changes):
        print("'esorex-bridge fetch' with the same frames brings the files that were added")
    return 0


def _refresh(client: ArchiveClient, found: tuple[Due, ...], args: argparse.Namespace) -> tuple[TreeChange, ...]:
    from esorex_bridge.archive.refresh import change
    from esorex_bridge.archive.trees import save_trees
    from esorex_bridge.organise.places import destination

    changes = []
    for mode in dict.fromkeys(item.saved.mode for item in found):
        trees = [item.saved for item in found if item.saved.mode == mode]
        replies = client.associations([saved.dp_id for saved in trees], mode)
        for saved in trees:
            reply = next(reply for reply in replies if saved.dp_id in (reply.asked, *reply.covers))
            changed = change(saved, reply)
            if changed.take:
                # Another mode carried out now is another folder; a tree that stays what it was stays where it was.
                moves = reply.executed != saved.tree.mode and not args.into
                folder = destination(args.root.absolute(), mode).of(reply) if moves else saved.path.parent
                (path,) = save_trees((reply,), folder, datetime.now(UTC))
                if path != saved.path:
                    saved.path.unlink(missing_ok=True)
            changes.append(changed)
    return tuple(changes)


def _show(change: TreeChange) -> None:
    if not (change.added or change.removed or change.remarks):
        return
    print(f"{change.saved.path.name}: {'; '.join(change.remarks) or 'other files'}")
    for name in change.added:
        print(f"  + {name}")
    for name in change.removed:
        print(f"  - {name}")


def _describe(change: TreeChange) -> ChangedTreePart:
    from esorex_bridge.cli.documents.archive import ChangedTreePart

    return ChangedTreePart(str(change.saved.path), change.added, change.removed, change.remarks, change.take)
