"""`esorex-bridge workflows show`: the steps of definitions, and the tasks of EDPS packages."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from esorex_bridge.cli import edps_workflows, options, output
from esorex_bridge.cli.definition_view import choose_definitions, describe, show_packages

if TYPE_CHECKING:
    from esorex_bridge.definitions.workflow import Workflow

EXAMPLE = "esorex-bridge {verb} naco\n  esorex-bridge {verb} edps:crires --json"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    options.definitions(parser)


def run(args: argparse.Namespace) -> int:
    """Show definitions or packages."""
    packages = edps_workflows.packages_in(args.names)
    if packages:
        return show_packages(args, packages)
    chosen = choose_definitions(args.names)
    if args.json:
        from esorex_bridge.cli.documents.workflows import WorkflowsDocument

        found = () if args.names else edps_workflows.describe_found()
        output.emit_json(
            WorkflowsDocument(workflows=tuple(describe(each, steps=True) for each in chosen), packages=found)
        )
    else:
        for workflow in chosen:
            _show(workflow)
    return 0


def _show(workflow: Workflow) -> None:
    from esorex_bridge.definitions.ran_here import state_of

    print(f"{workflow.name}: {workflow.title} ({workflow.state})")
    rows = (
        (
            step.name,
            ", ".join(step.main),
            ", ".join(f"{each.category}{'' if each.required else '?'}" for each in step.calibrations) or "-",
            ", ".join(step.products) or "-",
            state_of(workflow, step.name),
        )
        for step in workflow.steps
    )
    output.table(("step", "takes", "with (? if there is one)", "makes", "state"), rows)
    print(f"  file: {workflow.source}")
    for source in workflow.sources:
        print(f"  source: {source}")
