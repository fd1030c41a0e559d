"""`esorex-bridge clean`: remove what no dataset needs; says what it would do unless told to do it."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from typing import TYPE_CHECKING

from esorex_bridge.cli import options, output

if TYPE_CHECKING:
    from esorex_bridge.batch.claims import Claim

_GOING_ON = "{} is going on in this root, which may need what would be removed; clean it when that has ended"

EXAMPLE = """\
esorex-bridge clean --root night
  esorex-bridge clean --root night --yes
  esorex-bridge clean --root night --keep end-products --yes"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("--yes", action="store_true", help="do it; without this it only says what it would do")
    parser.add_argument(
        "--keep",
        choices=("needed", "end-products"),
        default="needed",
        help="needed: all that the datasets are made of (default); end-products: of a dataset that is finished nothing "
        "but its end products and the records, so that it is not made again, but a change of a parameter makes all of "
        "it again; raws always stay",
    )
    parser.add_argument(
        "--without-batches",
        action="store_true",
        help="do not count what batches made with parameters of their own jobs",
    )
    options.planning(parser)
    options.dry_run(parser)
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Print what may go, and remove it where told to."""
    from esorex_bridge.batch.claims import claims, find_needed_by_batches
    from esorex_bridge.cli import arguments
    from esorex_bridge.run.cleaning import removable, remove
    from esorex_bridge.run.giving_back import returnable
    from esorex_bridge.session import Session
    from esorex_bridge.workspace.locks import locked_at_once

    doing = args.yes and not args.dry_run
    with Session(arguments.settings(args)) as session:
        session.require_root()
        left = claims(session.workspace)
        with locked_at_once(session.workspace.going_on, _going_on(left)) if doing else nullcontext():
            left = claims(session.workspace)
            claimed = tuple(folder for claim in left for folder in claim.folders)
            resolved = session.resolve_all()
            needed = session.needed_keys(resolved)
            batched = frozenset() if args.without_batches else find_needed_by_batches(session.workspace) - needed
            kept = len(batched.intersection(session.store.all_keys()))
            removals = removable(session.store, session.workspace, needed | batched, claimed)
            if args.keep == "end-products":
                removals += returnable(resolved, session.store, session.workspace, claimed)
            if doing:
                remove(removals, session.store, session.workspace)
    size = sum(removal.size_bytes for removal in removals)
    if args.json:
        from esorex_bridge.cli.documents.history import ClaimPart, CleanDocument, FolderPart

        document = CleanDocument(
            removed=doing,
            size_bytes=size,
            folders=tuple(FolderPart(str(each.path), each.size_bytes, each.reason) for each in removals),
            left_alone=tuple(ClaimPart(claim.batch, claim.state, len(claim.folders)) for claim in left),
            kept_for_batches=kept,
        )
        output.emit_json(document)
        return 0
    for removal in removals:
        output.say_lines([f"{removal.path}  {removal.size_bytes / 1e6:.1f} MB  {removal.reason}"])
    for claim in left:
        print(
            f"left alone: what the batch {claim.batch} ({claim.state}) made; 'esorex-bridge batch status {claim.batch}'"
        )
    if kept:
        print(f"kept: {kept} steps that batches need with parameters of their own (--without-batches removes them)")
    done = "removed" if doing else "would be removed (with --yes)"
    print(f"{len(removals)} folders, {size / 1e6:.1f} MB {done}")
    return 0


def _going_on(left: tuple[Claim, ...]) -> str:
    """Return what is said where somebody else is at work, by the names of batches that may be."""
    names = [f"the batch {claim.batch}" for claim in left if claim.state in ("running", "detached")]
    return _GOING_ON.format(", ".join(names) or "a run")
