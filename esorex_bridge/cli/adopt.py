"""`esorex-bridge adopt`: a folder of files that came from the archive by other ways, verified and taken into use."""

from __future__ import annotations

import argparse
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.cli import options, output
from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from esorex_bridge.archive.package import Checked, PackageFolder
    from esorex_bridge.cli.documents.archive import AdoptedJobPart
    from esorex_bridge.reflex.adopt_edps import AdoptedRun

EXAMPLE = (
    "esorex-bridge adopt ~/Downloads/request_123456 --root night\n"
    "  esorex-bridge adopt --bookkeeping ~/reflex_data/reflex_book_keeping --root night"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "folder", nargs="?", type=Path, metavar="DIR", help="unpacked request package, or folder of downloads"
    )
    parser.add_argument(
        "--bookkeeping",
        type=Path,
        metavar="DIR",
        help="a history of ESO Reflex instead (its BOOKKEEPING_DIR): what it made is reused",
    )
    parser.add_argument(
        "--edps",
        type=Path,
        metavar="DIR",
        help="the data folder of EDPS instead (~/EDPS_data): its jobs are listed, and what they made is reused",
    )
    options.dry_run(parser)
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Verify what is there, link it into the data root, and say what is missing; or adopt a history."""
    if sum(each is not None for each in (args.folder, args.bookkeeping, args.edps)) != 1:
        raise UserError("name a folder of files, a history of Reflex with --bookkeeping, or jobs of EDPS with --edps")
    if args.edps is not None:
        return _edps(args)
    return _history(args) if args.folder is None else _package(args)


def _edps(args: argparse.Namespace) -> int:
    """List the jobs of EDPS, take what they made into the store, and say what came of each."""
    from esorex_bridge.cli import arguments
    from esorex_bridge.reflex.adopt_edps import adopt_edps
    from esorex_bridge.session import Session

    with Session(arguments.settings(args)) as session:
        if session.esorex is None:
            raise UserError("jobs can be adopted only where EsoRex and its recipes are installed")
        found = adopt_edps(args.edps.absolute(), session.store, session.esorex, args.dry_run)
    adopted = sum(each.adopted for each in found)
    if args.json:
        from esorex_bridge.cli.documents.archive import AdoptJobsDocument

        output.emit_json(AdoptJobsDocument(adopted=adopted, jobs=tuple(map(_describe_job, found))))
        return 0
    rows = (
        (each.run.task, each.run.folder.name, each.run.recipe or "-", f"{len(each.run.sof)} → {len(each.run.products)}",
         "adopted" if each.adopted else "not adopted", each.reason)
        for each in found
    )  # fmt: skip
    output.table(("task", "job", "recipe", "files", "result", "why"), rows)
    print(f"{adopted} of {len(found)} jobs were adopted")
    return 0


def _describe_job(each: AdoptedRun) -> AdoptedJobPart:
    from esorex_bridge.cli.documents.archive import AdoptedJobPart, TaggedFilePart

    run = each.run
    return AdoptedJobPart(
        instrument=run.instrument,
        task=run.task,
        folder=str(run.folder),
        made=f"{run.made:%Y-%m-%dT%H:%M:%SZ}",
        recipe=run.recipe or None,
        sof=tuple(TaggedFilePart(str(path), tag) for path, tag in run.sof),
        parameters=dict(run.given),
        products=tuple(TaggedFilePart(str(path), category) for path, category in run.products),
        result="adopted" if each.adopted else "not adopted",
        reason=each.reason or None,
    )


def _history(args: argparse.Namespace) -> int:
    """Take what ESO Reflex made into the store, as far as it can be trusted, and say what came of each execution."""
    from msgspec.structs import astuple

    from esorex_bridge.cli import arguments
    from esorex_bridge.cli.documents.archive import AdoptedExecutionPart, AdoptHistoryDocument
    from esorex_bridge.reflex.adopt import adopt_bookkeeping
    from esorex_bridge.session import Session

    with Session(arguments.settings(args)) as session:
        if session.esorex is None:
            raise UserError("a history can be adopted only where EsoRex and its recipes are installed")
        report = adopt_bookkeeping(args.bookkeeping.absolute(), session.store, session.esorex, args.dry_run)
    listed = tuple(
        AdoptedExecutionPart(
            found.execution.actor,
            f"{found.execution.made.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "adopted" if found.key else "not adopted",
            found.reason,
        )
        for found in report.adoptions
    )
    adopted = sum(found.key is not None for found in report.adoptions)
    if args.json:
        histories = tuple(str(history.folder) for history in report.histories)
        output.emit_json(AdoptHistoryDocument(histories=histories, adopted=adopted, executions=listed))
    else:
        output.table(("actor", "made", "result", "why"), map(astuple, listed))
        print(f"{adopted} of {len(listed)} executions of {len(report.histories)} workflows were adopted")
    return 0


def _package(args: argparse.Namespace) -> int:
    from esorex_bridge.archive.package import check, read_package

    package = read_package(args.folder.absolute())
    checked: list[Checked] = []
    linked = 0
    if not args.dry_run:
        for folder in package.folders:
            found = check(folder)
            checked += found
            linked += _link(folder, found, args.root.absolute())
    damaged = [item for item in checked if item.damage]
    if args.json:
        from esorex_bridge.cli.documents.archive import AdoptDocument, DamagedFilePart

        document = AdoptDocument(
            folders=tuple(str(folder.path) for folder in package.folders),
            files=sum(len(folder.files) for folder in package.folders),
            trees=tuple(str(tree.path) for folder in package.folders for tree in folder.trees),
            linked=linked,
            damaged=tuple(DamagedFilePart(item.name, str(item.path), item.damage) for item in damaged),
            missing=package.missing,
        )
        output.emit_json(document)
    else:
        for folder in package.folders:
            print(f"{folder.path}: {len(folder.files)} files, {len(folder.trees)} association trees")
        _complain(damaged, package.missing)
        if linked:
            from esorex_bridge.cli.next_command import follow

            said = f"{linked} files and trees are linked into {args.root.absolute() / 'reflex_input'}"
            output.close(said, follow(args, "organise"))
    return 1 if damaged or package.missing else 0


def _complain(damaged: list[Checked], missing: tuple[str, ...]) -> None:
    if damaged:
        output.table(("damaged file", "why"), ((item.path.name, item.damage) for item in damaged))
    for name in missing:
        print(f"missing: {name}")
    if damaged or missing:
        print("'esorex-bridge fetch' with the science frames brings what is missing or damaged")


def _link(folder: PackageFolder, checked: tuple[Checked, ...], root: Path) -> int:
    """Link the sound files and the trees of a folder into the data folder of the root; where they are, they stay."""
    target = root / "reflex_input" / _target_name(folder)
    if target.resolve() == folder.path.resolve():
        return 0
    paths = [(item.path, _name_in_archive(item.path, item.name)) for item in checked if not item.damage]
    paths += [(tree.path, tree.path.name) for tree in folder.trees]
    made = 0
    try:
        target.mkdir(parents=True, exist_ok=True)
        for path, name in paths:
            link = target / name
            if not link.exists():
                link.unlink(missing_ok=True)
                link.symlink_to(path)
                made += 1
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror or error}; choose another --root") from error
    return made


def _target_name(folder: PackageFolder) -> str:
    from esorex_bridge.archive.package import FOLDERS

    if folder.path.name in FOLDERS:
        return folder.path.name
    processed = bool(folder.trees) and all(tree.tree.mode == "Raw2Master" for tree in folder.trees)
    return FOLDERS[1] if processed else FOLDERS[0]


def _name_in_archive(path: Path, name: str) -> str:
    """Return the name of a file under its archive name, with the ending that it has."""
    from esorex_bridge.files import FITS_SUFFIXES

    ending = next((each for each in FITS_SUFFIXES if path.name.endswith(each)), path.name[len(name) :])
    return f"{name}{ending}"
