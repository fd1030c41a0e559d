"""`esorex-bridge why`: in words, why a file is used or not, and what a dataset or category still needs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.cli import options, output
from esorex_bridge.errors import BridgeError, UnknownNameError
from esorex_bridge.files import stem

if TYPE_CHECKING:
    from esorex_bridge.organise.organised_data import OrganisedData
    from esorex_bridge.plan.facts import KnownFact
    from esorex_bridge.run.explanation import StepFact

EXAMPLE = (
    "esorex-bridge why NACO.2016-03-02T00:30:00.076_tpl --root night\n"
    "  esorex-bridge why NACO.2016-03-01T16:00:00.000 --root night\n"
    "  esorex-bridge why CAL_DARK --root night\n"
    "  esorex-bridge why naco_img_dark_1 --root night --set naco_img_dark.nsamples=50"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "what",
        metavar="DATASET|FILE|CATEGORY|STEP|PRODUCT",
        help="a dataset's name, a file, a category, a step, or a product by path or name",
    )
    parser.add_argument(
        "--data",
        action="append",
        type=Path,
        default=[],
        metavar="DIR",
        help="folder of the data; may be repeated (default: reflex_input/ of the data root)",
    )
    options.organising(parser)
    options.parameters(parser.add_argument_group("what a step would run with"))
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Look everywhere for the name, and print what is known."""
    from esorex_bridge.cli import arguments
    from esorex_bridge.organise.from_disk import load
    from esorex_bridge.plan.facts import lines_of

    data = load(arguments.request(args), args.data)
    facts = _about_job(args) or (*explain(data, args.what), *_in_plans(args)) or _about_step(args)
    facts = facts or _about_product(args)
    if not facts:
        known = (*(dataset.name for dataset in data.datasets), *_steps(args))
        raise UnknownNameError("dataset, file, category, step or product", args.what, known)
    if args.json:
        from esorex_bridge.cli.documents.datasets import WhyDocument

        output.emit_json(WhyDocument(about=args.what, reasons=facts, lines=lines_of(facts)))
    else:
        output.say_lines(lines_of(facts))
    return 0


def _in_plans(args: argparse.Namespace) -> tuple[KnownFact, ...]:
    """Return which steps take a file, or why none does; nothing where no plan knows it."""
    from esorex_bridge.cli import arguments
    from esorex_bridge.plan.accounting import explain_file
    from esorex_bridge.session import Session

    name = stem(Path(args.what).name)
    try:
        with Session(arguments.settings(args)) as session:
            plans = [plan for _, plan in session.planning.plan_datasets()]
    except BridgeError:
        return ()  # what cannot be planned has been explained already
    return tuple(fact for plan in plans for fact in explain_file(plan, name))


def _about_job(args: argparse.Namespace) -> tuple[KnownFact, ...]:
    """Return what a workflow package of EDPS makes of a file, dataset or task; nothing where none is used."""
    from esorex_bridge.cli import arguments
    from esorex_bridge.session import Session

    with Session(arguments.settings(args)) as session:
        package, data = session.planning.edps, session.planning.data
        return package.explain(data, args.what) if package is not None else ()


def _about_step(args: argparse.Namespace) -> tuple[StepFact, ...]:
    """Return what is known of the steps of a name, or of a recipe; nothing where there are none."""
    from esorex_bridge.cli import arguments
    from esorex_bridge.run.explanation import StepFact, render
    from esorex_bridge.session import Session

    try:
        with Session(arguments.settings(args)) as session:
            accounts = session.accounts(session.planning.plan_datasets())
    except BridgeError:
        if args.set or args.parameters:
            raise
        return ()  # what cannot be planned has no steps to tell of
    named = (each for each in accounts if args.what in (each.step, each.recipe))
    return tuple(StepFact("\n".join(render(each)), each) for each in named)


def _about_product(args: argparse.Namespace) -> tuple[KnownFact, ...]:
    """Return where a product of this root comes from, as `provenance` tells it; nothing where it made none such."""
    from esorex_bridge.provenance.side import lineage_in
    from esorex_bridge.provenance.text import explain_products

    try:
        return tuple(explain_products(lineage_in(args.what, args.root)))
    except BridgeError:
        return ()


def explain(data: OrganisedData, what: str) -> tuple[KnownFact, ...]:
    """Return what is known of a dataset, file or category; nothing where there is none of that name."""
    from esorex_bridge.organise import why
    from esorex_bridge.plan.facts import FileUnusable

    facts: list[KnownFact] = []
    dataset = data.dataset(what)
    if dataset is not None:
        facts += why.why_tree(dataset) if dataset.mode else ()
        known = data.of(what)
        facts += why.why_dataset(known, dataset) if known else ()
    name = stem(Path(what).name)
    facts += [FileUnusable(fault.reason, name) for fault in data.faults if stem(fault.path.name) == name]
    for known in data.organised:
        facts += why.why_file(known, name) if dataset is None else ()
        facts += why.why_category(known, what)
    return tuple(dict.fromkeys(facts))


def _steps(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the names of all steps, to propose the nearest; none where nothing can be planned."""
    from esorex_bridge.cli import arguments
    from esorex_bridge.session import Session

    try:
        with Session(arguments.settings(args)) as session:
            return tuple(dict.fromkeys(s.name for _, plan in session.planning.plan_datasets() for s in plan.steps))
    except BridgeError:
        return ()
