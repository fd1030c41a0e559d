"""`esorex-bridge workflows check`: whether definitions hold against recipes and rules, and what packages leave open."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.cli import edps_workflows, options, output
from esorex_bridge.cli.definition_view import choose_definitions

if TYPE_CHECKING:
    from esorex_bridge.cli.documents.workflows import ComparedAssociationPart
    from esorex_bridge.definitions.comparison import ComparedAssociation
    from esorex_bridge.definitions.inspection import DefinitionFinding
    from esorex_bridge.definitions.oca.rules import Rules
    from esorex_bridge.definitions.workflow import Workflow

EXAMPLE = "esorex-bridge {verb} naco my_hawki.yaml\n  esorex-bridge {verb} edps:crires"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    options.definitions(parser, verbose="show what is worth a look too")
    parser.add_argument("--oca", type=Path, metavar="FILE", help="rules to check against, instead of the installed")


def run(args: argparse.Namespace) -> int:
    """Check definitions or packages."""
    packages = edps_workflows.packages_in(args.names)
    return _check_packages(args, packages) if packages else _check_definitions(args, choose_definitions(args.names))


def _check_packages(args: argparse.Namespace, names: list[str]) -> int:
    from tempfile import TemporaryDirectory

    from esorex_bridge.session import Session
    from esorex_bridge.settings import Settings

    packages = edps_workflows.open_packages(names, args)
    with TemporaryDirectory(prefix="esorex-bridge-") as scratch, Session(Settings(Path(scratch))) as here:
        return 1 if edps_workflows.check(packages, here.esorex, args.json) else 0


def _check_definitions(args: argparse.Namespace, chosen: tuple[Workflow, ...]) -> int:
    from tempfile import TemporaryDirectory

    from esorex_bridge.definitions.comparison import compare_with_rules, find_looser
    from esorex_bridge.definitions.folders import workflow_folder
    from esorex_bridge.definitions.inspection import inspect, unknown_to_rules
    from esorex_bridge.esorex.check import check_recipes
    from esorex_bridge.session import Session
    from esorex_bridge.settings import Settings

    findings: list[DefinitionFinding] = []
    compared: list[tuple[Workflow, ComparedAssociation]] = []
    with TemporaryDirectory(prefix="esorex-bridge-") as scratch, Session(Settings(Path(scratch))) as session:
        for workflow in chosen:
            findings += inspect(workflow)
            findings += check_recipes(workflow, session.esorex)
            rules = _rules(workflow, args.oca)
            findings += unknown_to_rules(workflow, rules) if rules else ()
            findings += find_looser(workflow, rules, grave=Path(workflow.source).parent == workflow_folder())
            compared += ((workflow, each) for each in compare_with_rules(workflow, rules))
    grave = [finding for finding in findings if finding.grave]
    if args.json:
        from esorex_bridge.cli.documents.workflows import WorkflowsCheckDocument

        document = WorkflowsCheckDocument(
            checked=tuple(workflow.name for workflow in chosen),
            findings=tuple(findings),
            associations=tuple(_describe_association(workflow, each) for workflow, each in compared),
        )
        output.emit_json(document)
    else:
        _summary_table(chosen, compared)
        if args.verbose:
            _compared_table(compared)
        for finding in findings if args.verbose else grave:
            print(f"{finding.place}: {'' if finding.grave else 'worth a look: '}{finding.problem}")
        worth = len(findings) - len(grave)
        print(f"definitions checked: {len(chosen)}; mistakes: {len(grave)}; worth a look: {worth} (shown with -v)")
    return 1 if grave else 0


def _summary_table(chosen: tuple[Workflow, ...], compared: list[tuple[Workflow, ComparedAssociation]]) -> None:
    """Print how many associations of each definition were held against what, and how many compare less."""
    rows = []
    for workflow in chosen:
        mine = [each for other, each in compared if other is workflow]
        origins = Counter(each.origin for each in mine)
        loose = sum(bool(each.calibration.loose) for each in mine)
        looser = sum(bool(each.looser) for each in mine)
        rows.append((workflow.name, len(mine), origins["rules"], origins["group_by"], origins[""], loose, looser))
    output.table(("workflow", "associations", "by rules", "grouped", "neither", "loose", "unsaid"), rows)


def _compared_table(compared: list[tuple[Workflow, ComparedAssociation]]) -> None:
    """Print what each association of the definitions compares, beside what its rules or its maker's grouping do."""
    rows = (
        (
            workflow.name,
            each.step.name,
            each.calibration.category,
            ", ".join(each.calibration.match) or "-",
            f"{', '.join(each.against)} ({each.origin})" if each.against else "-",
            "; ".join(f"{keyword}: {why}" for keyword, why in each.calibration.loose) or "-",
        )
        for workflow, each in compared
    )
    columns = ("workflow", "step", "calibration", "matched by", "rules or grouping compare", "loose because")
    output.table(columns, rows)


def _describe_association(workflow: Workflow, each: ComparedAssociation) -> ComparedAssociationPart:
    from esorex_bridge.cli.documents.workflows import ComparedAssociationPart

    return ComparedAssociationPart(
        workflow=workflow.name,
        step=each.step.name,
        calibration=each.calibration.category,
        match=tuple(each.calibration.match),
        match_from=each.calibration.match_from or None,
        compared=tuple(each.against),
        compared_by=each.origin or None,
        loose=dict(each.calibration.loose),
        looser=tuple(each.looser),
    )


def _rules(workflow: Workflow, given: Path | None) -> Rules | None:
    """Return the rules for a workflow: those given, or those of the installed pipeline."""
    from esorex_bridge.definitions.installed_rules import read_rules, rules_for

    return rules_for(workflow) if given is None else read_rules(given)
