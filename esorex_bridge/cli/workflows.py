"""`esorex-bridge workflows`: the definitions that there are, and the workflow packages of EDPS."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from esorex_bridge.cli import definition_view, options, output
from esorex_bridge.cli.tables import Column

if TYPE_CHECKING:
    from esorex_bridge.definitions.workflow import Workflow

_COLUMNS = (
    Column("name"),
    Column("state"),
    Column("versions", "text"),
    Column("what", "text"),
    Column("instruments", "text"),
    Column("sources", "text"),
)
EXAMPLE = "esorex-bridge {verb}\n  esorex-bridge {verb} naco hawki --json"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    options.definitions(parser)


def run(args: argparse.Namespace) -> int:
    """List definitions and packages."""
    from esorex_bridge.cli import edps_workflows

    packages = edps_workflows.packages_in(args.names)
    if packages:
        return definition_view.show_packages(args, packages)
    chosen = definition_view.choose_definitions(args.names)
    if args.json:
        from esorex_bridge.cli.documents.workflows import WorkflowsDocument

        found = () if args.names else edps_workflows.describe_found()
        described = tuple(definition_view.describe(workflow, steps=False) for workflow in chosen)
        output.emit_json(WorkflowsDocument(workflows=described, packages=found))
    else:
        output.table(_COLUMNS, (*map(_row, chosen), *(() if args.names else edps_workflows.rows())))
    return 0


def _row(workflow: Workflow) -> tuple[str, ...]:
    from esorex_bridge.definitions.ran_here import count_runs

    ran = count_runs(workflow)
    return (
        workflow.name,
        f"{workflow.state}: {ran} of {len(workflow.steps)} steps" if ran else workflow.state,
        ", ".join(workflow.versions) or "-",
        workflow.title,
        ", ".join(workflow.instruments),
        "; ".join(workflow.sources) or workflow.source,
    )
