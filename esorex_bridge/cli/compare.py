"""`esorex-bridge compare`: what differs between two products, deliveries, datasets or crates."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.cli import options, output

if TYPE_CHECKING:
    from esorex_bridge.provenance.compare import Comparison, ProductPair
    from esorex_bridge.provenance.pixels import HduDifference
    from esorex_bridge.provenance.side import Side

EXAMPLE = (
    "esorex-bridge compare first.fits second.fits --root night\n"
    "  esorex-bridge compare night/reflex_end_products/2026-11-20T09:10:11/DATASET "
    "night/reflex_end_products/2026-11-21T09:10:11/DATASET --root night"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    for name in ("a", "b"):
        parser.add_argument(
            name,
            metavar=name.upper(),
            help="a product, a folder of end products, a crate, or a dataset, step or recipe of the data root",
        )
    parser.add_argument(
        "--other-root", type=Path, metavar="DIR", help="the data root of B, where it is another than that of A"
    )
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Compare, print, and exit with 0 whether they differ or not."""
    from esorex_bridge.provenance.compare import compare
    from esorex_bridge.provenance.side import read_side

    a = read_side(args.a, args.root)
    b = read_side(args.b, args.other_root or args.root)
    comparison = compare(a.document, b.document)
    pixels = [_pixels(pair, a, b) for pair in comparison.products]
    if args.json:
        from esorex_bridge.cli.documents.provenance import CompareDocument, ComparedPairPart

        products = tuple(
            ComparedPairPart(pair.category, pair.a, pair.b, pair.same_data, each)
            for pair, each in zip(comparison.products, pixels, strict=True)
        )
        output.emit_json(CompareDocument(same=comparison.same, steps=comparison.steps, products=products))
    else:
        print("\n".join(_render(comparison, pixels)))
    return 0


def _pixels(pair: ProductPair, a: Side, b: Side) -> tuple[HduDifference, ...]:
    """Return the statistics of the difference; nothing where the data are the same, or a file is gone."""
    from esorex_bridge.provenance.pixels import difference

    if pair.same_data or pair.a is None or pair.b is None:
        return ()
    one, other = a.files.get(pair.a.sha256), b.files.get(pair.b.sha256)
    return difference(one, other) if one and other else ()


def _render(comparison: Comparison, pixels: list[tuple[HduDifference, ...]]) -> list[str]:
    lines = []
    for step in comparison.steps:
        if step.same:
            continue
        lines.append(f"{step.step} ({step.recipe})")
        lines += [f"  {change.what}: {change.a or '-'} -> {change.b or '-'}" for change in step.changes]
    if comparison.same:
        lines.append("made by the same steps: same content, parameters and versions")
    for pair, differences in zip(comparison.products, pixels, strict=True):
        lines.append(f"{pair.category}: {_state(pair)}")
        lines += [f"  {each.words}" for each in differences if each.words]
    return lines


def _state(pair: ProductPair) -> str:
    if pair.a is None or pair.b is None:
        return f"only in {'b' if pair.a is None else 'a'}"
    words = {True: "same data", False: "other data", None: "no DATASUM to compare"}
    return f"{words[pair.same_data]}  {pair.a.file} | {pair.b.file}"
