"""`esorex-bridge provenance export`: a reduction to carry away, as an RO-Crate."""

from __future__ import annotations

import argparse
from pathlib import Path

from esorex_bridge.cli import options, output
from esorex_bridge.cli.provenance import lineage_of

EXAMPLE = "esorex-bridge provenance export NACO.2016-03-02T00:30:00.076_tpl --root night --crate naco --with-products"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("what", metavar="PRODUCT|DATASET|STEP", help="as for provenance")
    parser.add_argument("--crate", type=Path, required=True, metavar="DIR", help="the new folder to write")
    parser.add_argument("--with-products", action="store_true", help="put the products into it")
    parser.add_argument("--with-raws", action="store_true", help="put all files into it that no step made")
    parser.add_argument("--sign", type=Path, metavar="KEY", help="sign it with this private key of SSH (ssh-keygen)")
    options.dry_run(parser)
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Write the crate, and say what it holds."""
    from esorex_bridge.provenance.export import CrateOptions, export_crate

    lineage = lineage_of(args)
    folder = args.crate.absolute()
    if args.dry_run:
        files: tuple[Path, ...] = ()
    else:
        files = export_crate(lineage, args.what, folder, CrateOptions(args.with_products, args.with_raws, args.sign))
    size = sum(path.stat().st_size for path in files)
    counts = {"steps": len(lineage.activities), "products": len(lineage.targets), "sources": len(lineage.sources)}
    if args.json:
        from esorex_bridge.cli.documents.provenance import CrateDocument

        names = tuple(str(path.relative_to(folder)) for path in files)
        output.emit_json(
            CrateDocument(
                crate=str(folder),
                steps=counts["steps"],
                products=counts["products"],
                sources=counts["sources"],
                files=names,
                size_bytes=size,
            )
        )
        return 0
    told = ", ".join(f"{number} {name}" for name, number in counts.items())
    print(
        f"would write {folder}: {told}"
        if args.dry_run
        else f"{folder}: {told}; {len(files)} files, {size / 1e6:.1f} MB"
    )
    return 0
