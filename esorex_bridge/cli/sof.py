"""`esorex-bridge sof`: write the SOF files, for use by hand with `esorex`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.cli import options, output

if TYPE_CHECKING:
    from esorex_bridge.cli.documents.planning import SofPart
    from esorex_bridge.run.sof_files import SofFile


EXAMPLE = (
    "esorex-bridge sof --root night --into sofs\n  esorex naco_img_dark sofs/NACO.2016-03-02T00:30:00.076_tpl/…sof"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("datasets", nargs="*", metavar="DATASET", help="names of datasets (default: all)")
    parser.add_argument("--into", type=Path, metavar="DIR", help="where to write (default: sof/ in the data root)")
    options.planning(parser)
    options.dry_run(parser)
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Write the files and print the commands that use them."""
    from esorex_bridge.cli import arguments
    from esorex_bridge.run.sof_files import foreseen_sofs
    from esorex_bridge.session import Session

    with Session(arguments.settings(args)) as session:
        folder = args.into.absolute() if args.into else session.workspace.root / "sof"
        planned = session.planning.plan_datasets(args.datasets)
        if args.dry_run:
            sofs = tuple(
                sof for data, plan in planned for sof in foreseen_sofs(plan, session.find_products(data, plan), folder)
            )
        else:
            sofs = session.write_sofs(planned, folder)
    if args.json:
        from esorex_bridge.cli.documents.planning import SofDocument

        output.emit_json(SofDocument(written=not args.dry_run, sofs=tuple(map(_describe, sofs))))
        return 0
    for sof in sofs:
        print(sof.command)
        for text in sof.lacking:
            print(f"#   waits: {text}")
    return 0


def _describe(sof: SofFile) -> SofPart:
    from esorex_bridge.cli.documents.planning import SofPart

    return SofPart(
        dataset=sof.dataset,
        step=sof.step,
        recipe=sof.recipe,
        sof=str(sof.path),
        arguments=sof.parameters,
        parameters=dict(option.removeprefix("--").split("=", 1) for option in sof.parameters),
        lacking=sof.lacking,
    )
