"""`esorex-bridge provenance reproduce`: make products again from what is known of them, and compare."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.cli import options, output
from esorex_bridge.errors import BridgeError, UserError
from esorex_bridge.values import plain

if TYPE_CHECKING:
    from esorex_bridge.provenance.document import ProvenanceDocument
    from esorex_bridge.reproduce import Reproduction

EXAMPLE = (
    "esorex-bridge provenance reproduce naco_crate --root again\n"
    "  esorex-bridge provenance reproduce product.fits --from-header --root again --data raws"
)

_VERSIONS = "{recipe}: {what} was {then}, here it is {now}"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "what",
        metavar="CRATE|PRODUCT",
        help="a crate, a provenance.json or the folder that holds one; a product; with --from-root a dataset, step or "
        "recipe as well",
    )
    parser.add_argument("--from-root", type=Path, metavar="DIR", help="the data root that made it")
    parser.add_argument("--from-header", action="store_true", help="go by nothing but the header of the product")
    parser.add_argument(
        "--data", action="append", type=Path, default=[], metavar="DIR", help="where raws may lie; may be repeated"
    )
    parser.add_argument("--offline", action="store_true", help="do not fetch what is not at hand")
    options.dry_run(parser)
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Reproduce, print the verdict on each product, and exit with 0 where all data are identical."""

    from datetime import datetime

    from msgspec.structs import replace

    from esorex_bridge.cli import arguments
    from esorex_bridge.progress.steps import Progress
    from esorex_bridge.reproduce import Reproduction, gather_sources, reproduce
    from esorex_bridge.reuse.decide import Policy
    from esorex_bridge.session import Session

    document, candidates = read(args)
    # What lies in the root shall not be handed out as made again.
    settings = replace(arguments.settings(args), policy=Policy(lazy="off"))
    with Session(settings) as session:
        sources = gather_sources(document, (*candidates, *args.data), session, not (args.offline or args.dry_run))
        if args.dry_run:
            result = Reproduction(document.steps[-1].dataset, (), sources.problems, (), ())
        else:
            result = reproduce(document, sources, session, Progress(), datetime.now())
    if args.json:
        from esorex_bridge.cli.documents.provenance import ReproduceDocument

        document_of_result = ReproduceDocument(
            identical=result.identical,
            dataset=result.dataset,
            versions=result.versions,
            problems=result.problems,
            products=result.products,
            delivered=result.delivered,
        )
        output.emit_json(document_of_result)
    else:
        print("\n".join(_render(result, args.dry_run, document)))
    return 0 if (not result.problems if args.dry_run else result.identical) else 1


def read(args: argparse.Namespace) -> tuple[ProvenanceDocument, tuple[Path, ...]]:
    """Return what is known of the products, and where their sources may lie.

    Raises
    ------
    UserError
        If the new data root is the one that made them, or nothing says where they come from.
    """
    from esorex_bridge.provenance.document import document_of
    from esorex_bridge.provenance.header import document_of_header
    from esorex_bridge.provenance.side import lineage_in, root_above
    from esorex_bridge.provenance.verify_crate import read_document

    path = Path(args.what).absolute()
    if args.from_header:
        return document_of_header(path), (path.parent,)
    if path.is_dir() or path.name.endswith(".json"):
        return read_document(path), ((path if path.is_dir() else path.parent) / "raws",)
    root = args.from_root or root_above(path)
    if root is None:
        try:
            return read_document(path.parent), (path.parent,)
        except BridgeError:
            raise UserError(
                f"{path} lies in no data root and beside no provenance.json; give --from-root, or --from-header to go "
                "by its header alone"
            ) from None
    if root.resolve() == args.root.resolve():
        raise UserError(f"{root} made it; give another --root, so that it is really made again")
    lineage = lineage_in(args.what, root)
    return document_of(lineage), tuple(Path(source.file) for source in lineage.sources if source.file)


def _render(result: Reproduction, dry_run: bool, document: ProvenanceDocument) -> list[str]:
    lines = [_VERSIONS.format(**plain(each)) for each in result.versions]
    lines += result.problems
    lines += [f"{each.verdict}: {each.category} of {each.step}  {each.made}" for each in result.products]
    lines += [f"new end product: {path}" for path in result.delivered]
    if dry_run:
        steps = ", ".join(step.recipe for step in document.steps)
        lines.append(f"would run {steps}" if not result.problems else "cannot be reproduced from what is at hand")
    elif not result.products:
        lines.append("nothing was run")
    else:
        same = sum(each.verdict == "identical" for each in result.products)
        lines.append(f"{same} of {len(result.products)} products are identical in their data (DATASUM)")
    return lines
