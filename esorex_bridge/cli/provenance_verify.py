"""`esorex-bridge provenance verify`: whether a crate is what was exported."""

from __future__ import annotations

import argparse
from pathlib import Path

from esorex_bridge.cli import options, output

EXAMPLE = "esorex-bridge provenance verify naco --signers allowed_signers"

_SIGNATURES = {
    "none": "not signed",
    "good": "signed by {}",
    "not checked": "signed; --signers FILE checks by whom",
    "bad": "the signature is not valid",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("crate", type=Path, metavar="CRATE", help="the folder of a crate")
    parser.add_argument(
        "--signers", type=Path, metavar="FILE", help="allowed signers (ssh-keygen's format); the crate must be signed"
    )
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Check the crate, and exit with 1 where it is not whole."""
    from esorex_bridge.provenance.verify_crate import verify_crate

    report = verify_crate(args.crate.absolute(), args.signers)
    if args.json:
        from esorex_bridge.cli.documents.provenance import VerifyDocument

        document = VerifyDocument(
            crate=str(args.crate),
            whole=report.whole,
            files=report.files,
            findings=report.findings,
            signature=report.signature,
            signer=report.signer,
        )
        output.emit_json(document)
        return 0 if report.whole else 1
    for finding in report.findings:
        print(f"{finding.file} {finding.problem}")
    state = "whole" if report.whole else f"not whole, {len(report.findings)} problems"
    print(f"{args.crate}: {report.files} files, {state}; {_SIGNATURES[report.signature].format(report.signer)}")
    return 0 if report.whole else 1
