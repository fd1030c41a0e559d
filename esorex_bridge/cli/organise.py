"""`esorex-bridge organise`: files on disk become datasets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esorex_bridge.cli import archive, options, output
from esorex_bridge.cli.tables import Column

if TYPE_CHECKING:
    from esorex_bridge.cli.documents.datasets import ActionPart, DatasetFilePart, DatasetPart, OrganiseDocument
    from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile
    from esorex_bridge.organise.organised_data import OrganisedData

_MOST_NAMED = 10
"""So many absent files are named."""

_COLUMNS = (
    Column("dataset"),
    Column("target", keep=2),
    Column("files", "number"),
    Column("state", "state"),
    Column("certified", "state", 3),
    Column("setup", "text", 4),
    Column("remarks", "text", 1),
)
EXAMPLE = (
    "esorex-bridge organise --root night\n"
    "  esorex-bridge organise night/raw night/calib --by oca --where 'INS.FILT1.NAME == \"Ks\"'\n"
    "  esorex-bridge organise --root night --reflex-json > datasets.json"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "places",
        nargs="*",
        type=Path,
        metavar="DIR",
        help="folders or files (default: reflex_input/ of the data root, or the root)",
    )
    options.organising(parser)
    group = parser.add_argument_group("selection")
    group.add_argument(
        "--select",
        choices=("all", "new", "reduced", "failed"),
        default="all",
        help="datasets by what happened to them so far",
    )
    group.add_argument("--name", metavar="PATTERN", help="datasets whose name matches, with * and ?")
    group.add_argument(
        "--where",
        metavar="CONDITION",
        help="datasets whose science files fulfil a condition, written as in OCA rules: 'INS.FILT1.NAME == \"Ks\"'",
    )
    group.add_argument(
        "--ask-archive",
        type=float,
        metavar="DAYS",
        help="ask the archive (TAP) for what is missing, within so many days of what it is for",
    )
    group.add_argument(
        "--reflex-json",
        action="store_true",
        help="print the datasets as ESO Reflex's datasets.json, and nothing else on stdout",
    )
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Organise, select, and print a table or a document."""
    from esorex_bridge.cli import arguments
    from esorex_bridge.cli.dataset_states import dataset_states
    from esorex_bridge.definitions.oca.expressions import keywords_in
    from esorex_bridge.organise import from_disk
    from esorex_bridge.organise.selection import Method, select

    where = None
    if args.where:
        from esorex_bridge.definitions.oca.grammar import parse_expression

        where = parse_expression(args.where, "--where")
    asked = tuple(keyword.name for keyword in keywords_in(where)) if where is not None else ()
    data = from_disk.load(arguments.request(args), args.places, asked)
    states = dataset_states(args.root, data.datasets) if args.select != "all" else {}
    chosen = select(data.datasets, Method(args.select), states, args.name, where, data.headers)
    if args.ask_archive is not None:
        with archive.client(args) as client:
            chosen = from_disk.fill_gaps(arguments.request(args), data, chosen, args.ask_archive, client)
    if args.reflex_json:
        output.emit_json(_reflex(args, chosen, data))
    elif args.json:
        output.emit_json(document(chosen, data))
    else:
        _print(chosen, data, args)
    return 0 if args.reflex_json or _can_reduce(chosen) else 1


def _can_reduce(datasets: tuple[Dataset, ...]) -> bool:
    """Tell whether science files of any dataset are here."""
    return any(file.path is not None for dataset in datasets for file in dataset.action.files)


def document(datasets: tuple[Dataset, ...], data: OrganisedData) -> OrganiseDocument:
    """Return what was organised."""
    from esorex_bridge.cli.documents.base import FaultPart
    from esorex_bridge.cli.documents.datasets import OrganiseDocument
    from esorex_bridge.organise.why import list_held_up

    return OrganiseDocument(
        datasets=tuple(map(describe_dataset, datasets)),
        not_on_this_machine={name: tuple(names) for name, names in list_held_up(datasets).items()},
        unclassified=tuple(str(frame.path) for known in data.organised for frame in known.unclassified),
        faults=tuple(FaultPart(str(fault.path), fault.reason) for fault in data.faults),
        warnings=tuple(data.warnings),
    )


def describe_dataset(dataset: Dataset) -> DatasetPart:
    """Return a dataset as a document has it."""
    from esorex_bridge.cli.documents.datasets import DatasetPart

    return DatasetPart(
        dataset=dataset.name,
        name=dataset.name,
        instrument=dataset.instrument,
        target=dataset.target or None,
        complete=dataset.complete,
        secondary=dataset.secondary,
        missing=dataset.missing,
        certified=dataset.certified,
        mode=dataset.mode,
        requested=dataset.requested,
        descriptors=dict(dataset.descriptors),
        action=_describe_action(dataset.action),
    )


def _describe_action(action: Action) -> ActionPart:
    from esorex_bridge.cli.documents.datasets import ActionPart

    return ActionPart(
        name=action.name,
        complete=action.complete,
        secondary=action.secondary,
        auxiliary=action.auxiliary,
        certified=action.certified,
        match=action.match,
        messages=action.messages,
        replaced=action.replaced,
        files=tuple(map(_describe_file, action.files)),
        statics=tuple(map(_describe_file, action.statics)),
        actions=tuple(map(_describe_action, action.actions)),
    )


def _describe_file(file: DatasetFile) -> DatasetFilePart:
    from esorex_bridge.cli.documents.datasets import DatasetFilePart

    path = str(file.path) if file.path else None
    return DatasetFilePart(file.name, file.category, path, file.match, file.certified)


def _reflex(args: argparse.Namespace, datasets: tuple[Dataset, ...], data: OrganisedData) -> list[dict[str, Any]]:
    from esorex_bridge.cli import arguments
    from esorex_bridge.reflex_export import export_for_reflex
    from esorex_bridge.session import Session

    with Session(arguments.settings(args)) as session:
        export = export_for_reflex(session.planning, datasets, data.headers)
    for text in export.left_out:
        output.note(f"left out: {text}")
    return export.datasets


def _print(datasets: tuple[Dataset, ...], data: OrganisedData, args: argparse.Namespace) -> None:
    if datasets:
        output.table(_COLUMNS, map(_row, datasets))
    for fault in data.faults:
        output.note(f"cannot be used: {fault.reason}")
    unclassified = [frame for known in data.organised for frame in known.unclassified]
    if unclassified:
        files = "1 file has" if len(unclassified) == 1 else f"{len(unclassified)} files have"
        output.note(
            f"{files} no category, first {unclassified[0].path}; 'esorex-bridge why {unclassified[0].name}' tells why"
        )
    for warning in data.warnings:
        output.note(warning)
    _close(datasets, args, unclassified[0].name if unclassified else "")


def _close(datasets: tuple[Dataset, ...], args: argparse.Namespace, odd: str) -> None:
    """Print what is not on this machine, how many datasets are complete, and what to do next.

    `odd` is a file without a category, if there is one.
    """
    from esorex_bridge.cli.next_command import OF_DATASETS, follow
    from esorex_bridge.organise.why import list_held_up

    absent = list_held_up(datasets)
    for name, names in list(absent.items())[:_MOST_NAMED]:
        output.say(f"not on this machine: {name}, needed by {', '.join(names)}")
    if len(absent) > _MOST_NAMED:
        output.say(f"not on this machine: {len(absent) - _MOST_NAMED} more files (--json names them)")
    whole = sum(dataset.complete and not dataset.missing for dataset in datasets)
    counts = f"{len(datasets)} dataset{'s' * (len(datasets) != 1)}, {whole} complete"
    if not datasets:
        command = follow(args, "why", odd, over=OF_DATASETS) if odd else "esorex-bridge fetch --help"
    elif fetchable := [dataset for dataset in datasets if dataset.mode and dataset.missing]:
        frame, mode = fetchable[0].action.files[0].name, fetchable[0].requested or fetchable[0].mode
        command = follow(args, "fetch", frame, "--yes", *(("--mode", "master") if mode == "Raw2Master" else ()))
    elif lacking := next((each for each in datasets if not (each.complete or each.secondary)), None):
        command = follow(args, "why", lacking.name, over=OF_DATASETS)
    else:
        command = follow(args, "plan", over=OF_DATASETS)
    output.close(counts, command)


def _row(dataset: Dataset) -> tuple[object, ...]:
    from esorex_bridge.datasets.dataset import walk_actions

    setup = [
        f"{key}={value}"
        for key, value in dataset.descriptors
        if not key.startswith(("OBS.", "TPL.")) and value != "UNDEFINED"
    ]
    messages = dict.fromkeys(text for action, _ in walk_actions(dataset.action) for text in action.messages)
    extended = sorted({action.name for action, _ in walk_actions(dataset.action) if action.match == "extended"})
    if dataset.requested is not None and dataset.mode is not None and dataset.requested != dataset.mode:
        messages[f"{dataset.requested} was asked for, calSelector executed {dataset.mode}"] = None
    if extended:
        messages[f"of the extended calibration plan: {', '.join(extended)}"] = None
    return (
        dataset.name,
        dataset.target or "-",
        dataset.number_of_files,
        _state(dataset),
        ("yes" if dataset.certified else "no") if dataset.mode else "-",
        " ".join(setup) or "-",
        "; ".join(messages) or "-",
    )


def _state(dataset: Dataset) -> str:
    """Return whether a dataset can be reduced as it is: files that are not here count as what is missing."""
    missing = len(dataset.missing)
    if missing:
        return f"not here: {missing}"
    if dataset.secondary:
        return "nothing needed is missing"
    return "complete" if dataset.complete else "incomplete"
