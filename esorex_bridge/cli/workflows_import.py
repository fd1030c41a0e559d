"""`esorex-bridge workflows import`: a draft of a definition, from the rules of a pipeline."""

from __future__ import annotations

import argparse
from pathlib import Path

from esorex_bridge.cli import options, output
from esorex_bridge.errors import UserError

EXAMPLE = "esorex-bridge {verb} /usr/share/cpl-plugins/naco-4.4.11/gasgano/config/naco.oca > naco.yaml"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("names", nargs="*", metavar="FILE", help="an OCA file")
    parser.add_argument(
        "--instrument",
        metavar="I",
        help="the instrument, in any of ESO's spellings (default: by the name of the OCA file)",
    )
    parser.add_argument("--pipeline", metavar="P", help="the pipeline (default: the name of the OCA file)")
    options.json_and_verbose(parser)


def run(args: argparse.Namespace) -> int:
    """Print a draft of a definition, made from rules and installed recipes."""
    from esorex_bridge.definitions.draft import draft_workflow
    from esorex_bridge.definitions.installed_rules import read_rules
    from esorex_bridge.definitions.spelling import instrument_names
    from esorex_bridge.definitions.workflow_yaml import parse_workflow
    from esorex_bridge.esorex.man_pages import recipes_of_pipeline

    if len(args.names) != 1:
        raise UserError("import takes one OCA file, such as /usr/share/cpl-plugins/naco-4.4.11/gasgano/config/naco.oca")
    path = Path(args.names[0])
    name = path.stem.removesuffix("_wkf")
    pipeline = args.pipeline or name
    instruments = list(instrument_names(args.instrument or name))
    text = draft_workflow(read_rules(path), recipes_of_pipeline(pipeline), name, instruments, pipeline)
    parse_workflow(text, f"the draft from {path}")
    if args.json:
        from esorex_bridge.cli.documents.workflows import WorkflowsImportDocument

        output.emit_json(WorkflowsImportDocument(workflow=name, text=text))
    else:
        print(text, end="")
    return 0
