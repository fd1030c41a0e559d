"""`esorex-bridge reduce`: query, fetch, organise, plan and run, from names to products."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from esorex_bridge.cli import archive, constraints, options, output
from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from esorex_bridge.archive.acquisition import Acquisition
    from esorex_bridge.archive.calselector import AssociationReply
    from esorex_bridge.archive.query import Constraints
    from esorex_bridge.cli.documents.running import AnswerPart, ReduceDocument
    from esorex_bridge.disk.room import DiskNeed
    from esorex_bridge.progress.steps import FailureMode
    from esorex_bridge.run.report import DatasetReport
    from esorex_bridge.run.sof_files import SofFile
    from esorex_bridge.settings import Settings

EXAMPLE = (
    'esorex-bridge reduce --program "60.A-9999(A)" --night 2016-03-01 --root night\n'
    "  esorex-bridge reduce /data/raws --root night"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="DP_ID|DIR",
        help="science frames by their archive names; or folders of raws that are here already: nothing is fetched",
    )
    constraints.configure(parser, dp_ids=False)
    options.planning(parser, objects=True)
    options.running(parser)
    options.dry_run(parser)
    options.common(parser)


class ReductionResult(NamedTuple):
    """What came of the whole road.

    Parameters
    ----------
    acquired : Acquisition
        What was found, associated and fetched.
    reports : tuple of DatasetReport
        What came of each dataset.
    sofs : tuple of SofFile
        SOF files written for use by hand, where EsoRex is not installed.
    needs : tuple of DiskNeed
        What was estimated to come onto disks.
    """

    acquired: Acquisition
    reports: tuple[DatasetReport, ...]
    sofs: tuple[SofFile, ...] = ()
    needs: tuple[DiskNeed, ...] = ()


def run(args: argparse.Namespace) -> int:
    """Go the whole road, and print what came of it."""
    from msgspec.structs import replace

    from esorex_bridge.cli import arguments
    from esorex_bridge.cli.run_view import show
    from esorex_bridge.run.report import count_started

    given = constraints.read_constraints(args)
    folders = [word for word in args.words if Path(word).is_dir()]
    args.data += map(Path, folders)
    if named := next((word for word in args.words if Path(word).is_file()), None):
        raise UserError(f"{named} is a file; name its folder: 'esorex-bridge reduce {Path(named).parent}'")
    if args.data:
        _refuse_query(args, folders, given)
        return run_on_disk(args)
    wanted = replace(given, dp_ids=archive.checked_names(args.words))
    settings = arguments.settings(args)
    result = go(settings, wanted, args.dry_run, args.recipe_failure_mode)
    if args.json:
        output.emit_json(document(result))
    else:
        say_what_is_missing(result)
        show(result.reports, args, result.needs)
    if not args.dry_run:
        output.leave_report(settings, count_started(result.reports))
    return 1 if has_failed(result) or (args.dry_run and arguments.lacks_room(settings, result.needs)) else 0


def _refuse_query(args: argparse.Namespace, folders: list[str], given: Constraints) -> None:
    """Refuse to ask the archive for what is to be taken from folders."""
    from shlex import join

    from esorex_bridge.archive.query import Constraints

    other = next((word for word in args.words if word not in folders), None)
    if other is not None:
        raise UserError(f"'{other}' is not a folder; name folders of raws, or science frames, not both")
    if given != Constraints():
        query = join(constraints.words(args))
        raise UserError(f"with a folder of raws nothing is asked of the archive; leave out {query}, or the folder")


def run_on_disk(args: argparse.Namespace) -> int:
    """Organise, plan and run what lies in folders, as `run --data` does, and ask no archive."""
    from esorex_bridge.cli import run as verb

    args.datasets, args.explain, args.report, args.grid = [], False, True, []
    return verb.run(args)


def go(
    settings: Settings, wanted: Constraints, dry_run: bool = False, failure_mode: FailureMode = "Continue"
) -> ReductionResult:
    """Go the whole road.

    Raises
    ------
    UserError
        If no science frame meets the constraints.
    ArchiveError
        If a service failed.
    """
    from esorex_bridge.archive.acquisition import acquire
    from esorex_bridge.archive.breakpoints import refresh_breakpoints
    from esorex_bridge.datasets.dataset import missing_files
    from esorex_bridge.disk.room import Room
    from esorex_bridge.progress.steps import FetchProgress, Progress, report_rereading
    from esorex_bridge.session import Session

    with Session(settings) as session:
        room = Room("ignore" if dry_run else session.room_rule, *session.products_expected())
        planning, watcher = session.planning, FetchProgress()
        acquired = acquire(session.client, wanted, settings.mode, planning.destination, watcher, room, dry_run)
        if not acquired.rows:
            raise UserError(
                "the archive has no science frame that meets this; 'esorex-bridge query' shows what there is"
            )
        if acquired.report is not None:
            session.learn_digests(acquired.report)
            refresh_breakpoints(session.client.connection, session.workspace.root)
        datasets = planning.datasets_of(reply.tree for reply in acquired.replies if reply.tree is not None)
        if dry_run and any(missing_files(dataset) for dataset in datasets):
            return ReductionResult(acquired, (), needs=room.needs)
        planned, progress = planning.plans(datasets), Progress(failure_mode, settings.root)
        reports = session.run(planned, progress, datetime.now(), dry_run)
        report_rereading(session.store.rereading)
        sofs = () if dry_run or session.esorex else session.write_sofs(planned)
        return ReductionResult(acquired, reports, sofs, progress.needs)


def say_what_is_missing(result: ReductionResult) -> None:
    """Print a line for each frame without a tree and each file that is not here, and what is there for use by hand."""
    for reply in result.acquired.replies:
        if reply.tree is None:
            said = f" ({'; '.join(reply.messages)})" if reply.messages else ""
            output.say(f"not reduced: {reply.asked}: {reply.outcome.value.replace('_', ' ')}{said}")
    if result.acquired.report is None:
        output.say(f"would fetch {len(result.acquired.files)} files; existing files are skipped")
    else:
        for file in result.acquired.report.files:
            if not file.here:
                output.say(f"not fetched: {file.name}: {file.reason}")
    if result.sofs:
        print("EsoRex is not installed, so no recipe ran. What is here for running them by hand:")
        for sof in result.sofs:
            print(f"  {sof.command}")


def has_failed(result: ReductionResult) -> bool:
    """Tell whether anything that was asked for is not there."""
    report = result.acquired.report
    unfetched = report is not None and not report.complete
    treeless = any(reply.tree is None for reply in result.acquired.replies)
    return unfetched or treeless or any(dataset.failed for dataset in result.reports)


def document(result: ReductionResult) -> ReduceDocument:
    """Return all that came of a reduction."""
    from esorex_bridge.cli.documents import running
    from esorex_bridge.cli.documents.base import disk_part
    from esorex_bridge.run.report import count, count_started

    acquired = result.acquired
    return running.ReduceDocument(
        science_frames=tuple(row["dp_id"] for row in acquired.rows),
        associations=tuple(map(_answer, acquired.replies)),
        planned_files=acquired.files,
        files=tuple(
            running.NamedFilePart(
                file.name, file.status.value, file.reason or None, str(file.path) if file.path else None
            )
            for file in (acquired.report.files if acquired.report is not None else ())
        ),
        executed=count_started(result.reports),
        reused=count(result.reports, "reuse"),
        datasets=tuple(map(running.dataset_report, result.reports)),
        sofs=tuple(running.SofCommandPart(sof.step, sof.command) for sof in result.sofs),
        disk=tuple(map(disk_part, result.needs)),
    )


def _answer(reply: AssociationReply) -> AnswerPart:
    from esorex_bridge.cli.documents.running import AnswerPart

    return AnswerPart(
        asked=reply.asked,
        covers=reply.covers,
        outcome=reply.outcome.value,
        requested=reply.requested,
        requested_mode=reply.requested,
        mode=reply.executed,
        complete=reply.complete,
        certified=reply.certified,
        messages=reply.messages,
    )
