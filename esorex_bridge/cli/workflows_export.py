"""`esorex-bridge workflows export`: definitions as workflow packages of EDPS."""

from __future__ import annotations

import argparse
from pathlib import Path

from esorex_bridge.cli import options, output
from esorex_bridge.cli.definition_view import choose_definitions
from esorex_bridge.errors import UserError

EXAMPLE = "esorex-bridge {verb} naco --edps packages"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="names or files of definitions")
    parser.add_argument("--edps", type=Path, metavar="DIR", help="the folder for packages")
    parser.add_argument("--oca", type=Path, metavar="FILE", help="rules that classify, instead of the installed")
    options.json_and_verbose(parser)


def run(args: argparse.Namespace) -> int:
    """Write definitions as workflow packages of EDPS."""
    from esorex_bridge.edps.export import export_definition

    if args.edps is None or not args.names:
        raise UserError("export takes definitions and a folder: esorex-bridge workflows export naco --edps DIR")
    written = [export_definition(workflow, args.edps, args.oca) for workflow in choose_definitions(args.names)]
    if args.json:
        from esorex_bridge.cli.documents.workflows import WorkflowsExportDocument

        output.emit_json(WorkflowsExportDocument(packages=tuple(map(str, written))))
    else:
        print("\n".join(map(str, written)))
    return 0
