"""`esorex-bridge run`: carry out the plans of datasets that are on disk."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.cli import options, output
from esorex_bridge.process import load_later

if TYPE_CHECKING:
    from esorex_bridge.run.explanation import ExplainedStep


EXAMPLE = "esorex-bridge run --root night\n  esorex-bridge run --root night --dry-run --set naco_img_twflat.prop=true"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("datasets", nargs="*", metavar="DATASET", help="names of datasets (default: all)")
    parser.add_argument(
        "--explain", action="store_true", help="tell of every step what it depends on and why it would run; run nothing"
    )
    options.planning(parser)
    options.running(parser, "--from")
    parser.add_argument(
        "--grid",
        action="append",
        default=[],
        metavar="RECIPE.PARAM=A,B,…",
        help="run once for each of several values of a recipe parameter, and compare what comes of them; may be "
        "repeated, for all combinations",
    )
    parser.add_argument("--report", action="store_true", help="write the page of the report afterwards")
    options.dry_run(parser)
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Run what must run and print one line a step."""
    from datetime import datetime

    from esorex_bridge.cli import arguments

    if not (args.dry_run or args.explain):
        _prepare(args.root)
    from esorex_bridge.progress.steps import Progress, report_rereading
    from esorex_bridge.session import Session

    settings = arguments.settings(args)
    if args.grid:
        from esorex_bridge.cli.run_grid import run_grid

        return run_grid(args, settings)
    load_later("esorex_bridge.cli.documents.running" if args.json else "esorex_bridge.cli.run_view")
    progress = Progress(args.recipe_failure_mode, args.root)
    with Session(settings) as session:
        planned = session.planning.plan_datasets(args.datasets)
        if args.explain:
            return _explain(session.accounts(planned), args.json)
        reports = session.run(planned, progress, datetime.now(), args.dry_run)
        report_rereading(session.store.rereading)
    if args.json:
        from esorex_bridge.cli.documents.running import run_document

        output.emit_json(run_document(reports, progress.needs))
    else:
        from esorex_bridge.cli.run_view import show

        show(reports, args, progress.needs)
    if args.report and not args.dry_run:
        from esorex_bridge.run.report import count_started

        output.leave_report(settings, count_started(reports))
    refused = args.dry_run and arguments.lacks_room(settings, progress.needs)
    return 1 if refused or any(report.failed or not report.could_run for report in reports) else 0


def _prepare(root: Path) -> None:
    """Start what starts recipes, where nothing was ever made: it takes as long to come up as a plan to be made."""
    from esorex_bridge.workspace.folders import Workspace

    if not Workspace(root.absolute()).store.exists():
        from esorex_bridge.esorex.supervisor import supervisor

        supervisor()


def _explain(accounts: tuple[ExplainedStep, ...], as_json: bool) -> int:
    from esorex_bridge.run.explanation import render

    if as_json:
        from esorex_bridge.cli.documents.running import ExplainDocument

        output.emit_json(ExplainDocument(steps=accounts))
    else:
        for each in accounts:
            print("\n".join(render(each)))
    return 0
