"""`esorex-bridge fetch`: science frames with all that calibrates them, verified, into a data folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esorex_bridge.cli import archive, constraints, options, output
from esorex_bridge.errors import ArchiveError, UserError

if TYPE_CHECKING:
    from esorex_bridge.archive.calselector import AssociationReply
    from esorex_bridge.archive.client import ArchiveClient
    from esorex_bridge.archive.download_list import Wanted, WantedFile
    from esorex_bridge.archive.report import FetchReport, FileReport
    from esorex_bridge.archive.unpack import Unpacking

EXAMPLE = (
    "esorex-bridge fetch NACO.2016-03-02T00:30:00.076 --yes\n"
    "  esorex-bridge fetch --from-query --instrument naco --night 2016-03-01 --list-only"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("dp_ids", nargs="*", metavar="DP_ID", help="science frames")
    parser.add_argument("--from-query", action="store_true", help="the frames that a query finds (options below)")
    archive.add_mode(parser)
    parser.add_argument("--with-night-logs", action="store_true", help="the night logs of the science frames too")
    parser.add_argument("--no-calibrations", action="store_true", help="the frames alone; calSelector is not asked")
    parser.add_argument("--list-only", action="store_true", help="list the files, and fetch nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask before fetching")
    parser.add_argument(
        "--parallel",
        type=int,
        default=4,
        metavar="N",
        choices=range(1, 17),
        help="connections at a time, 1 to 16 (default: 4)",
    )
    parser.add_argument(
        "--unpack",
        choices=("auto", "always", "never"),
        default="auto",
        help="unpack .Z and .gz: by default where the recipes cannot read them",
    )
    constraints.configure(parser, dp_ids=False)
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Find out what is needed, show it, and fetch it."""
    from esorex_bridge.archive.trees import save_trees

    folder = archive.data_folder(args)
    with archive.client(args) as client:
        request = _request(args, client, folder)
        if args.list_only:
            return _list(request, args)
        if not args.json:
            _show(request.wanted, folder)
        if not args.yes and not _agreed(args):
            output.note("nothing was fetched")
            return 1
        trees = save_trees(request.replies, folder, datetime.now(UTC))
        report = fetch_watched(client, request.wanted.names, folder, args.parallel, args.unpack)
    if args.json:
        output.emit_json(_document(request, report, folder, trees))
    else:
        summary(report)
    return 0 if is_done(report) else 1


def fetch_watched(
    client: ArchiveClient, names: Sequence[str], folder: Path, parallel: int, unpacking: Unpacking = "auto"
) -> FetchReport:
    """Fetch files, with progress on stderr."""
    from esorex_bridge.cli.transfer_progress import watching

    with watching(len(names)) as progress:
        return client.fetch(names, folder, parallel, progress, unpacking)


def is_done(report: FetchReport) -> bool:
    """Tell whether all is there that can be: a night log that the archive does not have is no failure."""
    from esorex_bridge.archive.download_list import NIGHT_LOG
    from esorex_bridge.archive.transfer import FileStatus

    return all(
        file.here or (file.status is FileStatus.MISSING and file.name.endswith(NIGHT_LOG)) for file in report.files
    )


def summary(report: FetchReport) -> None:
    """Print the files that are not there with their reasons, then how many ended how."""
    from esorex_bridge.archive.transfer import FileStatus

    said = [(file.name, file.status.value, file.reason) for file in report.files if file.reason]
    if said:
        output.table(("file", "result", "why"), said)
    counts = ", ".join(f"{len(found)} {status.value}" for status in FileStatus if (found := report.with_status(status)))
    print(f"{len(report.files)} files: {counts or 'none'}")


class _Request(Struct, frozen=True):
    science: tuple[str, ...]
    replies: tuple[AssociationReply, ...]
    wanted: Wanted


def _request(args: argparse.Namespace, client: ArchiveClient, folder: Path) -> _Request:
    from esorex_bridge.archive.download import existing
    from esorex_bridge.archive.download_list import wanted
    from esorex_bridge.cli.associations import ask

    rows = _rows(args, client)
    science = tuple(rows) if args.from_query else archive.checked_names(args.dp_ids)
    replies: tuple[AssociationReply, ...] = ()
    if not args.no_calibrations:
        replies = ask(client, science, archive.mode(args), rows if args.from_query else None)
    present = existing(folder) if folder.is_dir() else {}
    first = wanted(science, replies, args.with_night_logs, present=present)
    sizes = _sizes(client, [file.name for file in first.files if not file.present])
    return _Request(science, replies, wanted(science, replies, args.with_night_logs, sizes, present))


def _rows(args: argparse.Namespace, client: ArchiveClient) -> dict[str, dict[str, Any]]:
    """Return the rows of the query by dp_id; none where frames were named."""
    if args.from_query == bool(args.dp_ids):
        raise UserError("name science frames (DP_ID…), or give --from-query with the options of a query")
    if not args.from_query:
        return {}
    rows = client.query(constraints.given(args))
    if not rows:
        raise UserError("the query finds no frames; 'esorex-bridge query' with the same options helps to widen it")
    return {row["dp_id"]: row for row in rows}


def _sizes(client: ArchiveClient, names: Sequence[str]) -> dict[str, int]:
    """Return the sizes of raw frames as the archive estimates them; none where it does not tell."""
    from esorex_bridge.archive.query import Constraints
    from esorex_bridge.files import is_dp_id, is_processed

    raw = tuple(name for name in names if is_dp_id(name) and not is_processed(name))
    if not raw:
        return {}
    try:
        rows = client.query(Constraints(dp_ids=raw, columns=("dp_id", "access_estsize"), category=None))
    except ArchiveError as error:
        output.note(f"sizes are unknown: {error}")
        return {}
    return {row["dp_id"]: int(row["access_estsize"]) * 1024 for row in rows if row["access_estsize"]}


def _list(request: _Request, args: argparse.Namespace) -> int:
    wanted = request.wanted
    if args.json:
        output.emit_json({"files": [_listed(file) for file in wanted.files], "warnings": list(wanted.warnings)})
        return 0
    output.table(
        ("file", "category", "role", "bytes", ""),
        (
            (
                file.name,
                ", ".join(file.categories),
                file.role,
                "" if file.size_bytes is None else file.size_bytes,
                "there" if file.present else "",
            )
            for file in wanted.files
        ),
    )
    for line in wanted.warnings:
        output.note(f"warning: {line}")
    return 0


def _show(wanted: Wanted, folder: Path) -> None:
    due = [file for file in wanted.files if not file.present]
    roles = ", ".join(
        f"{number} {role}"
        for role in ("science", "calibration", "night log")
        if (number := sum(file.role == role for file in wanted.files))
    )
    print(f"{len(wanted.files)} files ({roles}) for {folder}")
    unknown = f", and {wanted.unknown_sizes} of unknown size" if wanted.unknown_sizes else ""
    print(
        f"{len(due)} to fetch (about {wanted.size_bytes / 1e6:.1f} MB{unknown}), "
        f"{len(wanted.files) - len(due)} there already"
    )
    for line in wanted.warnings:
        output.note(f"warning: {line}")


def _agreed(args: argparse.Namespace) -> bool:
    if args.json or not sys.stdin.isatty():
        raise UserError("nobody is there to be asked; give --yes to fetch, or --list-only to see the files")
    print("fetch them? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _document(request: _Request, report: FetchReport, folder: Path, trees: Sequence[Path]) -> dict[str, Any]:
    from esorex_bridge.cli.cascade_text import document

    return {
        "folder": str(folder),
        "complete": is_done(report),
        "warnings": list(request.wanted.warnings),
        "associations": [document(reply) for reply in request.replies],
        "trees": [str(path) for path in trees],
        "files": [file_document(file) for file in report.files],
    }


def file_document(file: FileReport) -> dict[str, Any]:
    """Return a file's report as JSON values."""
    return {
        "name": file.name,
        "status": file.status.value,
        "reason": file.reason,
        "path": str(file.path) if file.path else None,
        "size_bytes": file.size_bytes,
        "digest": file.digest,
    }


def _listed(file: WantedFile) -> dict[str, Any]:
    return {
        "name": file.name,
        "categories": list(file.categories),
        "role": file.role,
        "size_bytes": file.size_bytes,
        "present": file.present,
    }
