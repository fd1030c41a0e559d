"""`esorex-bridge fetch`: science frames with all that calibrates them, verified, into a data folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from esorex_bridge.cli import archive, constraints, options, output
from esorex_bridge.errors import ArchiveError, UserError
from esorex_bridge.files import DpId

if TYPE_CHECKING:
    from esorex_bridge.archive.calselector import AssociationReply
    from esorex_bridge.archive.client import ArchiveClient
    from esorex_bridge.archive.download_list import Wanted, WantedFile
    from esorex_bridge.archive.report import FetchReport, FileReport
    from esorex_bridge.archive.trees import Folders
    from esorex_bridge.archive.unpack import Unpacking
    from esorex_bridge.cli.documents.archive import FetchDocument, FetchedFilePart, ListedFilePart

MANY = 100
"""From so many frames on, fetching begins before all associations are known."""

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
    options.room_rule(parser)
    constraints.configure(parser, dp_ids=False)
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Find out what is needed, show it, and fetch it; many frames are fetched while calSelector is asked about them."""
    from esorex_bridge.archive.calselector import all_answered

    folders = archive.destination(args)
    _refuse_unasked(args)
    with archive.client(args) as client:
        rows = _rows(args, client)
        names = tuple(rows) if args.from_query else archive.checked_names(args.dp_ids)
        result: _Result | None
        at_once = args.yes and not (args.list_only or args.no_calibrations) and len(names) > MANY
        if at_once:
            result = _fetch_while_asking(args, client, folders, names, rows)
        else:
            request = _request(args, client, folders, names, rows)
            if args.list_only:
                return _list(request, args)
            result = _fetch_listed(args, client, folders, request)
        if result is None:
            output.note("nothing was fetched")
            return 1
        if not args.into and not args.no_calibrations:
            _keep_breakpoints(client, args.root)
    if not args.into:
        _remember_digests(args, result.report)
    if args.json:
        output.emit_json(_document(result, folders))
    else:
        if at_once:
            _show_distances(result.replies)
        print_summary(result.report)
    return 0 if is_done(result.report) and all_answered(result.replies) else 1


class _Result(NamedTuple):
    replies: tuple[AssociationReply, ...]
    report: FetchReport


def _fetch_listed(
    args: argparse.Namespace, client: ArchiveClient, folders: Folders, request: _Request
) -> _Result | None:
    """Show what is wanted, and fetch it; None where the user does not want to."""
    from esorex_bridge.archive.acquisition import fetch_files
    from esorex_bridge.cli import arguments
    from esorex_bridge.progress.transfer import watching

    if not args.json:
        _show(request, folders)
    room = arguments.room(args)
    room.take_fetched(folders.asked, request.wanted.size_bytes)
    room.refuse()
    if not args.yes and not _ask_consent():
        return None
    files, replies = request.wanted.files, request.replies
    with watching(len(files)) as progress:
        report = fetch_files(client, files, folders, lambda: replies, args.parallel, progress, args.unpack)
    return _Result(request.replies, report)


def _fetch_while_asking(
    args: argparse.Namespace,
    client: ArchiveClient,
    folders: Folders,
    names: Sequence[DpId],
    rows: Mapping[DpId, dict[str, Any]],
) -> _Result:
    """Fetch the frames while calSelector is asked what calibrates them, and calibrations as it names them."""
    from esorex_bridge.archive.acquisition import FileStream
    from esorex_bridge.archive.sizes import DownloadSizes
    from esorex_bridge.cli import arguments
    from esorex_bridge.cli.associations import look_up_frames
    from esorex_bridge.progress.steps import FetchProgress
    from esorex_bridge.progress.transfer import watching

    known = rows or look_up_frames(client, names)
    output.note(f"{len(names)} science frames; calibrations are fetched as calSelector names them")
    sizes = DownloadSizes(client, folders.asked, known, arguments.room(args))
    stream = FileStream(client, names, archive.mode(args), known, folders, FetchProgress(), args.with_night_logs, sizes)
    with watching(len(names)) as progress:
        report = stream.fetch(args.parallel, progress, args.unpack)
    return _Result(stream.replies, report)


def _remember_digests(args: argparse.Namespace, report: FetchReport) -> None:
    """Remember the digests of files that were read, so that later runs need not read and verify them again."""
    from esorex_bridge.cli import arguments
    from esorex_bridge.session import Session

    if any(file.here for file in report.files):
        with Session(arguments.settings(args)) as session:
            session.learn_digests(report)


def _keep_breakpoints(client: ArchiveClient, root: Path) -> None:
    from esorex_bridge.archive.breakpoints import FILE, refresh_breakpoints

    if refresh_breakpoints(client.connection, root.absolute()):
        output.note(f"breakpoints: {root / FILE}")


def fetch_watched(
    client: ArchiveClient,
    files: Sequence[DpId | WantedFile],
    folder: Path,
    parallel: int,
    unpacking: Unpacking = "auto",
) -> FetchReport:
    """Fetch files, with progress on stderr."""
    from esorex_bridge.progress.transfer import watching

    with watching(len(files)) as progress:
        return client.fetch(files, folder, parallel, progress, unpacking)


def is_done(report: FetchReport) -> bool:
    """Tell whether all is there that can be: a night log that the archive does not have is no failure."""
    from esorex_bridge.archive.download_list import NIGHT_LOG
    from esorex_bridge.archive.transfer import FileStatus

    return all(
        file.here or (file.status is FileStatus.MISSING and file.name.endswith(NIGHT_LOG)) for file in report.files
    )


def print_summary(report: FetchReport) -> None:
    """Print the files that are not there with their reasons, then how many ended how."""
    from esorex_bridge.archive.transfer import FileStatus

    said = [(file.name, file.status.value, file.reason) for file in report.files if file.reason]
    if said:
        output.table(("file", "result", "why"), said)
    counts = ", ".join(f"{len(found)} {status.value}" for status in FileStatus if (found := report.with_status(status)))
    print(f"{len(report.files)} files: {counts or 'none'}")


class _Request(NamedTuple):
    science: tuple[DpId, ...]
    replies: tuple[AssociationReply, ...]
    wanted: Wanted


def _request(
    args: argparse.Namespace,
    client: ArchiveClient,
    folders: Folders,
    names: Sequence[DpId],
    rows: Mapping[DpId, dict[str, Any]],
) -> _Request:
    from esorex_bridge.archive.acquisition import access_of, ask, rows_of_siblings
    from esorex_bridge.archive.download_list import list_files
    from esorex_bridge.cli.associations import look_up_frames

    replies: tuple[AssociationReply, ...] = ()
    known = rows or look_up_frames(client, names)
    if not args.no_calibrations:
        replies = ask(client, names, archive.mode(args), known, None if args.list_only else folders)
    present = _present(replies, folders)
    first = list_files(names, replies, args.with_night_logs, present=present)
    sizes = _sizes(client, [file.name for file in first.files if not file.present])
    access = access_of({**known, **rows_of_siblings(known, replies)})
    return _Request(tuple(names), replies, list_files(names, replies, args.with_night_logs, sizes, present, access))


def _present(replies: tuple[AssociationReply, ...], folders: Folders) -> frozenset[str]:
    """Return the files that are here: of downgraded datasets also those in their own folder."""
    from esorex_bridge.archive.file_fetcher import existing

    used = dict.fromkeys((folders.asked, *map(folders.of, replies)))
    return frozenset(name for folder in used if folder.is_dir() for name in existing(folder))


def _rows(args: argparse.Namespace, client: ArchiveClient) -> dict[DpId, dict[str, Any]]:
    """Return the rows of the query by dp_id; none where frames were named."""
    if args.from_query == bool(args.dp_ids):
        raise UserError("name science frames (DP_ID…), or give --from-query with the options of a query")
    if not args.from_query:
        return {}
    rows = client.query(constraints.read_constraints(args))
    if not rows:
        raise UserError("the query finds no frames; 'esorex-bridge query' with the same options helps to widen it")
    return {row["dp_id"]: row for row in rows}


def _sizes(client: ArchiveClient, names: Sequence[DpId]) -> dict[DpId, int]:
    """Return the sizes of files as the archive tells them; none where it does not."""
    from esorex_bridge.archive.sizes import estimated_sizes

    try:
        return estimated_sizes(client, names)
    except ArchiveError as error:
        output.note(f"sizes are unknown: {error}")
        return {}


def _list(request: _Request, args: argparse.Namespace) -> int:
    wanted = request.wanted
    if args.json:
        from esorex_bridge.cli.cascade_text import describe_reply
        from esorex_bridge.cli.documents.archive import FetchListDocument

        listed = tuple(map(_describe_wanted, wanted.files))
        answers = tuple(map(describe_reply, request.replies))
        output.emit_json(FetchListDocument(files=listed, warnings=tuple(wanted.warnings), associations=answers))
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
    _show_distances(request.replies)
    for line in wanted.warnings:
        output.note(f"warning: {line}")
    return 0


def _show(request: _Request, folders: Folders) -> None:
    wanted = request.wanted
    due = [file for file in wanted.files if not file.present]
    roles = ", ".join(
        f"{number} {role}"
        for role in ("science", "calibration", "night log")
        if (number := sum(file.role == role for file in wanted.files))
    )
    files = "1 file" if len(wanted.files) == 1 else f"{len(wanted.files)} files"
    output.say(f"{files} ({roles}) for {folders.asked}")
    if apart := sum(file.downgraded for file in wanted.files):
        print(f"{apart} of them, of datasets with raw calibrations, for {folders.downgraded or folders.asked}")
    unknown = f", and {wanted.unknown_sizes} of unknown size" if wanted.unknown_sizes else ""
    print(
        f"{len(due)} to fetch (about {wanted.size_bytes / 1e6:.1f} MB{unknown}), "
        f"{len(wanted.files) - len(due)} there already"
    )
    _show_distances(request.replies)
    for line in wanted.warnings:
        output.note(f"warning: {line}")


def _show_distances(replies: tuple[AssociationReply, ...]) -> None:
    """Print how well the calibrations keep to the calibration plan, as far as names and calSelector tell."""
    from esorex_bridge.cli.cascade_text import DISTANCE_COLUMNS, distance_rows

    if rows := tuple(distance_rows(replies)):
        output.table(DISTANCE_COLUMNS, rows)


def _refuse_unasked(args: argparse.Namespace) -> None:
    if not (args.yes or args.list_only) and (args.json or not sys.stdin.isatty()):
        raise UserError("cannot prompt: not a terminal; give --yes to fetch, or --list-only to see the files")


def _ask_consent() -> bool:
    print("fetch them? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _document(result: _Result, folders: Folders) -> FetchDocument:
    from esorex_bridge.archive.calselector import all_answered
    from esorex_bridge.archive.download_list import remarks
    from esorex_bridge.cli.cascade_text import describe_reply
    from esorex_bridge.cli.documents.archive import FetchDocument

    return FetchDocument(
        folder=str(folders.asked),
        complete=is_done(result.report),
        answered=all_answered(result.replies),
        warnings=tuple(line for reply in result.replies for line in remarks(reply)),
        associations=tuple(map(describe_reply, result.replies)),
        trees=tuple(str(folders.of(reply) / reply.file_name) for reply in result.replies if reply.file_name),
        files=tuple(map(describe_file, result.report.files)),
    )


def describe_file(file: FileReport) -> FetchedFilePart:
    """Return a file's report as a document has it."""
    from esorex_bridge.cli.documents.archive import FetchedFilePart

    return FetchedFilePart(
        name=file.name,
        status=file.status,
        reason=file.reason,
        path=str(file.path) if file.path else None,
        size_bytes=file.size_bytes,
        sha256=file.digest.rpartition(":")[2] if file.digest else None,
        digest=file.digest,
    )


def _describe_wanted(file: WantedFile) -> ListedFilePart:
    from esorex_bridge.cli.documents.archive import ListedFilePart

    return ListedFilePart(file.name, file.categories, file.role, file.size_bytes, file.present)
