"""`esorex-bridge workflows compare`: where two definitions, or a definition and a package of EDPS, differ."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from esorex_bridge.cli import edps_workflows, options, output
from esorex_bridge.cli.definition_view import choose_definitions
from esorex_bridge.definitions.edps.words import PREFIX
from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from esorex_bridge.definitions.differences import ComparedField
    from esorex_bridge.definitions.workflow import Workflow

EXAMPLE = "esorex-bridge {verb} naco edps:naco\n  esorex-bridge {verb} naco my_naco.yaml -v"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    options.definitions(parser, verbose="show what is equal too")


def run(args: argparse.Namespace) -> int:
    """Print where two definitions, or a definition and a package of EDPS, differ."""
    from msgspec.structs import astuple

    from esorex_bridge.definitions.differences import compare_workflows

    if len(args.names) != 2:
        raise UserError("compare takes two definitions, such as: esorex-bridge workflows compare naco edps:naco")
    left, right = (_side(name, args) for name in args.names)
    compared = compare_workflows(left, right)
    differing = [each for each in compared if not each.same]
    if args.json:
        from esorex_bridge.cli.documents.workflows import ComparedFieldPart, WorkflowsCompareDocument

        rows = tuple(ComparedFieldPart(each.same, *astuple(each)) for each in compared)
        document = WorkflowsCompareDocument(left=left.name, right=right.name, differ=len(differing), compared=rows)
        output.emit_json(document)
        return 0
    output.table(
        ("recipe", "steps", "calibration", "what", left.name, right.name),
        map(_compared_row, compared if args.verbose else differing),
    )
    print(f"compared: {len(compared)}; different: {len(differing)}{'' if args.verbose else ' (all with -v)'}")
    return 0


def _side(name: str, args: argparse.Namespace) -> Workflow:
    """Return a definition, or a package as one."""

    if not name.startswith(PREFIX):
        return choose_definitions([name])[0]
    (package,) = edps_workflows.open_packages([name], args)
    return package.workflow


def _compared_row(each: ComparedField) -> tuple[str, ...]:
    return (each.recipe, " / ".join(dict.fromkeys(each.steps)), each.category or "-", each.field, each.left, each.right)
