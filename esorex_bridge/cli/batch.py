"""`esorex-bridge batch`: many datasets at once, on this machine or on a cluster; unattended, and able to go on."""

from __future__ import annotations

import argparse
import os
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esorex_bridge.cli import constraints, options, output
from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from esorex_bridge.batch.report import BatchReport
    from esorex_bridge.batch.start import BatchRequest
    from esorex_bridge.executors.batch_folder import BatchFolder

EXAMPLE = (
    "esorex-bridge batch JOBS.yaml --root survey --jobs 8 --keep-going\n"
    "  esorex-bridge batch --program '60.A-9999(A)' --root survey\n"
    "  esorex-bridge batch JOBS.yaml --root survey --on slurm --site cluster.yaml --detach\n"
    "  esorex-bridge batch status --root survey"
)

_MOST_ON_PAGE = 1000
"""So many datasets of a batch are shown on a page without being asked."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "words", nargs="?", default="", metavar="JOBS.yaml", help="a jobs file (or a query, or folders, by options)"
    )
    parser.add_argument("--from-query", action="store_true", help="the frames that a query finds (options below)")
    parser.add_argument("--name", help="of the batch (default: that of the jobs file, and the time)")
    group = parser.add_argument_group("carrying out")
    group.add_argument("--on", choices=("local", "parsl", "slurm"), default="local", help="what runs the recipes")
    group.add_argument("--site", type=Path, metavar="FILE", help="how the cluster is asked (YAML)")
    add_processors(group)
    options.memory(group)
    options.room_rule(group)
    group.add_argument("--resume", action="store_true", help="go on with the latest batch of these jobs")
    group.add_argument("--keep-going", action="store_true", help="after a failure, make what does not need it")
    group.add_argument("--retries", type=int, default=2, metavar="N", help="for steps whose worker was lost (2)")
    group.add_argument("--detach", action="store_true", help="leave when all is handed in (with --on slurm)")
    options.reuse(parser.add_argument_group("reuse"))
    options.dry_run(parser)
    options.planning(parser, objects=True)
    constraints.configure(parser, dp_ids=False)
    options.common(parser)


def add_processors(parser: argparse._ActionsContainer) -> None:
    """Add `--jobs`."""
    parser.add_argument(
        "--jobs",
        type=options.at_least_one,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processors to keep busy here (default: all)",
    )


def run(args: argparse.Namespace) -> int:
    """Begin a batch, or say what it would make."""
    return _preview(args) if args.dry_run else carry_on(args, *_begin(args))


def _preview(args: argparse.Namespace) -> int:
    """Say what a batch would make, fetch and reuse; nothing is changed."""
    from esorex_bridge.batch.preview import preview
    from esorex_bridge.cli import arguments
    from esorex_bridge.cli.next_command import type_again

    source, text = _jobs(args)
    asked = _read_request(args, source)
    found = preview(text, asked)
    code = 1 if arguments.lacks_room(asked.settings, found.needs) or found.problems else 0
    if args.json:
        from esorex_bridge.cli.documents.batch import preview_document

        output.emit_json(preview_document(found))
        return code
    times = {recipe: f"~{seconds:.1f}" for recipe, seconds in found.expected_seconds.items()}
    rows = [(recipe, runs, times.get(recipe, "")) for recipe, runs in sorted(found.recipes.items())]
    if rows:
        output.table(("recipe", "would run", "seconds"), rows)
    for line in found.problems:
        output.say(f"not reduced: {line}")
    if _query(args) and not found.frames:
        output.say("from the archive: no science frame meets this; 'esorex-bridge query' says why")
    if found.frames:
        output.say(f"from the archive: {found.frames} science frames, {found.files} files; existing ones are skipped")
    output.show_needs(found.needs)
    made = f"{sum(found.recipes.values())} steps to make, {found.reused} to reuse"
    datasets = f"{found.datasets} dataset{'s' * (found.datasets != 1)} here"
    output.close(f"{datasets}: {made}", type_again(args, "--dry-run"))
    return code


def _begin(args: argparse.Namespace) -> tuple[BatchFolder, BatchRequest]:
    from esorex_bridge.batch.jobs import read_jobs
    from esorex_bridge.batch.refusals import refuse_wrong_parameters
    from esorex_bridge.batch.start import latest_from, new_batch

    source, text = _jobs(args)
    asked = _read_request(args, source)
    earlier = latest_from(args.root, source) if args.resume else None
    if earlier is not None:
        refuse_wrong_parameters(read_jobs(text, source).jobs, asked.settings)
        earlier.jobs.write_text(text, encoding="utf-8")
        return earlier, asked
    own = args.name or read_jobs(text, source).name
    stem = Path(source).stem if args.words else "query"
    return new_batch(args.root, own or _fresh_name(stem), text, asked, numbered=not own), asked


def _jobs(args: argparse.Namespace) -> tuple[str, str]:
    """Return where the jobs come from, and their text."""
    from esorex_bridge.definitions.folders import read_text

    query = _query(args)
    if args.words and query:
        raise UserError(f"give either {args.words}, or a query by options")
    if args.words:
        path = Path(args.words).absolute()
        _refuse_odd_file(args.words)
        return str(path), read_text(path)
    if not query and not args.data:
        raise UserError("give a jobs file, folders of raws (--data DIR), or a query (--program, --night, --target …)")
    if query and args.data:
        raise UserError("give either folders of raws (--data), or a query by options")
    import yaml

    text: str = yaml.safe_dump({"jobs": [query or {"datasets": "all"}]}, sort_keys=True, allow_unicode=True)
    return f"the {'query' if query else 'data'} {text.strip()}", text


def _refuse_odd_file(word: str) -> None:
    """Refuse what is no jobs file: a verb misspelt, or a folder of raws."""
    from esorex_bridge.cli import VERBS
    from esorex_bridge.errors import nearest_name

    if Path(word).is_dir():
        raise UserError(f"{word} is a folder; give --data {word} to reduce the raws in it, or a jobs file")
    near = nearest_name(word, VERBS["batch"].sub)
    if near and not Path(word).exists():
        raise UserError(f"there is no jobs file '{word}'; did you mean 'esorex-bridge batch {near}'?")


def _query(args: argparse.Namespace) -> dict[str, Any]:
    names = {"program": "program", "target": "target", "instrument": "instrument", "night": "night", "ra": "ra",
             "dec": "dec", "radius": "radius", "begin": "from", "end": "to", "type": "type", "tech": "tech",
             "where": "where", "max": "max"}  # fmt: skip
    found = {field: value for name, field in names.items() if (value := getattr(args, name)) is not None}
    if args.cat != "SCIENCE":
        found["category"] = args.cat
    if found and args.mode != "raw":
        found["mode"] = args.mode
    return found


def _read_request(args: argparse.Namespace, source: str) -> BatchRequest:
    from msgspec.structs import replace

    from esorex_bridge.batch.start import BatchRequest
    from esorex_bridge.cli import arguments

    if args.detach and args.on != "slurm":
        raise UserError("--detach needs --on slurm: the other engines end with the bridge")
    return BatchRequest(
        settings=replace(arguments.settings(args), root=args.root.absolute()),
        engine=args.on,
        site=_read_site(args.site) if args.site else "",
        source=source,
        processors=args.jobs,
        memory_mb=args.memory,
        keep_going=args.keep_going,
        detach=args.detach,
        retries=args.retries,
    )


def _read_site(path: Path) -> str:
    """Return the text of a site file that says nothing wrong."""
    from esorex_bridge.definitions.folders import read_text
    from esorex_bridge.executors.site import read_site

    text = read_text(path)
    read_site(text, str(path))
    return text


def _fresh_name(stem: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]", "_", stem).lstrip(".-") or "batch"
    return f"{name}-{datetime.now():%Y%m%dT%H%M%S}"


def carry_on(args: argparse.Namespace, folder: BatchFolder, asked: BatchRequest, retry: bool = False) -> int:
    """Carry a batch out, and print what came of it."""
    from esorex_bridge.batch.start import carry_out
    from esorex_bridge.cli.batch_view import watching
    from esorex_bridge.workspace.folders import Workspace

    output.note(f"batch {folder.name}: {folder.path}")
    with watching(Workspace(asked.settings.root).bookkeeping) as watcher:
        report = carry_out(folder, asked, watcher, retry)
    _print(report, asked, args)
    _leave_page(report, asked)
    return 1 if report.failed and report.state != "detached" else 0


def _leave_page(report: BatchReport, asked: BatchRequest) -> None:
    """Leave the page of a batch, which holds all plans of the root at once, unless there are too many to look at."""
    made = report.steps.get("made", 0)
    if len(report.datasets) <= _MOST_ON_PAGE:
        output.leave_report(asked.settings, made)
    elif made:
        output.note(f"no page is left of more than {_MOST_ON_PAGE:,} datasets; esorex-bridge report would make it")


def _print(report: BatchReport, asked: BatchRequest, args: argparse.Namespace) -> None:
    from esorex_bridge.cli.batch_view import next_commands, show

    commands = next_commands(report, asked, args)
    if args.json:
        from esorex_bridge.cli.documents.batch import batch_document

        output.emit_json(batch_document(report, commands))
    else:
        show(report, commands)
