"""`esorex-bridge status`: runs, hits and misses, what is recorded or adopted, disk used; files read anew."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from esorex_bridge.cli import options, output
from esorex_bridge.cli.tables import Column

if TYPE_CHECKING:
    from esorex_bridge.session import Session

EXAMPLE = "esorex-bridge status --root night --verify"

_TELL_EVERY = 100


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("--verify", action="store_true", help="read every file again and say what is not whole")
    parser.add_argument(
        "--rebuild", action="store_true", help="make a lost or damaged database again from the folders of runs"
    )
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Print the state of a root."""
    from esorex_bridge.cli import arguments
    from esorex_bridge.run.cleaning import disk_use
    from esorex_bridge.session import Session
    from esorex_bridge.store.audit import Audit, audit

    with Session(arguments.settings(args)) as session:
        session.require_root()
        if args.rebuild:
            _rebuild(session)
        store = session.store
        read = audit(store, session.planning.named_files(), _show_progress) if args.verify else Audit()
        runs, recipes, disk = store.runs(), store.recipes_made(), disk_use(session.workspace)
        adopted = store.list_adopted()
    if args.json:
        from esorex_bridge.cli.documents.history import StatusDocument

        document = StatusDocument(
            root=str(session.workspace.root),
            runs=runs,
            recipes=recipes,
            adopted=adopted,
            disk_bytes=disk,
            verified=read.steps if args.verify else None,
            verified_files=read.files if args.verify else None,
            files=read.counts() if args.verify else None,
            damaged=tuple(read.problems),
        )
        output.emit_json(document)
        return 1 if read.problems else 0
    output.table(
        ("run", "datasets", "executed", "reused", "failed", "seconds"),
        [(run.started, run.datasets, run.executed, run.reused, run.failed, run.seconds) for run in runs[-20:]],
    )
    output.table(
        ("recipe", "steps", "seconds", "last made", "MB"),
        [(r.recipe, r.steps, f"{r.seconds:.1f}", r.last_made, f"{r.size_bytes / 1e6:.1f}") for r in recipes],
    )
    if adopted:
        rows = [(each.step, each.recipe, each.made, each.sof) for each in adopted]
        output.table((Column("made by Reflex"), Column("recipe"), Column("made"), Column("SOF", keep=1)), rows)
    output.table(("folder", "MB"), [(name, f"{size / 1e6:.1f}") for name, size in disk.items()])
    hits = sum(run.reused for run in runs)
    said = f"{hits} of {hits + sum(run.executed for run in runs)} steps were reused"
    output.close(said, _next(args))
    if args.verify:
        for kind, states in read.counts().items():
            print(f"{kind}s: " + ", ".join(f"{number} {state}" for state, number in states.items() if number))
        print("\n".join(read.problems) or "everything that is recorded is whole")
    return 1 if read.problems else 0


def _next(args: argparse.Namespace) -> str:
    """Return the command that reads all files again; after it, the one that gives room back."""
    from esorex_bridge.cli.next_command import follow

    return follow(args, "clean") if args.verify else follow(args, "status", "--verify")


def _rebuild(session: Session) -> None:
    """Make the database again, and say what came of it."""
    from esorex_bridge.store.rebuild import rebuild

    rebuilt = rebuild(session.workspace.store, session.workspace.root, session.workspace.end_products)
    output.note(f"recorded again: steps {rebuilt.steps}, end products {rebuilt.end_products}")
    for text in rebuilt.left_out:
        output.note(f"left out: {text}")


def _show_progress(what: str, done: int, of: int) -> None:
    if done % _TELL_EVERY == 0:
        output.note(f"reading {what} again: {done} of {of} …")
