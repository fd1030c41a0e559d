"""`esorex-bridge workflows`: the definitions there are, whether they hold, and drafts from a pipeline's rules."""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import UNSET
from msgspec.structs import astuple

from esorex_bridge.cli import output
from esorex_bridge.cli.tables import Column
from esorex_bridge.definitions.edps.options import PREFIX
from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from esorex_bridge.cli.documents.workflows import ComparedAssociationPart, DefinedStepPart, DefinitionPart
    from esorex_bridge.definitions.comparison import ComparedAssociation
    from esorex_bridge.definitions.differences import ComparedField
    from esorex_bridge.definitions.inspection import DefinitionFinding
    from esorex_bridge.definitions.oca.rules import Rules
    from esorex_bridge.definitions.steps import StepDefinition
    from esorex_bridge.definitions.workflow import Workflow

_COLUMNS = (
    Column("name"),
    Column("state"),
    Column("versions", "text"),
    Column("what", "text"),
    Column("instruments", "text"),
    Column("sources", "text"),
)
EXAMPLE = (
    "esorex-bridge workflows\n  esorex-bridge workflows check naco my_hawki.yaml\n"
    "  esorex-bridge workflows import /usr/share/cpl-plugins/naco-4.4.11/gasgano/config/naco.oca > naco.yaml"
)
ACTIONS = ("list", "show", "check", "compare", "import", "export")
INSTRUMENTS = {"naco": ["NAOS+CONICA", "NACO"], "giraf": ["GIRAFFE", "GIRAF"]}
"""INSTRUME where it is not the name of the rule file in capitals."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="list", help="what to do (default: list)")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="names or files of definitions, or edps:PATH; for import, an OCA file",
    )
    parser.add_argument("--instrument", metavar="I", help="for import: INSTRUME (default: by the name of the OCA file)")
    parser.add_argument("--pipeline", metavar="P", help="for import: pipeline (default: the name of the OCA file)")
    parser.add_argument("--oca", type=Path, metavar="FILE", help="rules to check against, instead of the installed")
    parser.add_argument("--edps", type=Path, metavar="DIR", help="for export: the folder for packages")
    parser.add_argument(
        "--trust-package",
        action="store_true",
        help="execute a package of EDPS even where the kernel cannot fence it in",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout, and nothing else there")
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="with 'check': show what is worth a look too"
    )


def run(args: argparse.Namespace) -> int:
    """Do what was asked."""
    if args.action == "import":
        return _import(args)
    if args.action == "export":
        return _export(args)
    if args.action == "compare":
        return _compare(args)
    packages = [name for name in args.names if name.startswith(PREFIX)]
    if packages:
        return _packages(args, packages)
    chosen = _choose(args.names)
    if args.action == "check":
        return _check(args, chosen)
    from esorex_bridge.cli import edps_workflows

    if args.json:
        from esorex_bridge.cli.documents.workflows import WorkflowsDocument

        described = tuple(_describe(workflow, steps=args.action == "show") for workflow in chosen)
        found = () if args.names else edps_workflows.describe_found()
        output.emit_json(WorkflowsDocument(workflows=described, packages=found))
    elif args.action == "show":
        for workflow in chosen:
            _show(workflow)
    else:
        output.table(_COLUMNS, (*map(_row, chosen), *(() if args.names else edps_workflows.rows())))
    return 0


def _export(args: argparse.Namespace) -> int:
    """Write definitions as workflow packages of EDPS."""
    from esorex_bridge.edps.export import export_definition

    if args.edps is None or not args.names:
        raise UserError("export takes definitions and a folder: esorex-bridge workflows export naco --edps DIR")
    written = [export_definition(workflow, args.edps, args.oca) for workflow in _choose(args.names)]
    if args.json:
        from esorex_bridge.cli.documents.workflows import WorkflowsExportDocument

        output.emit_json(WorkflowsExportDocument(packages=tuple(map(str, written))))
    else:
        print("\n".join(map(str, written)))
    return 0


def _compare(args: argparse.Namespace) -> int:
    """Print where two definitions, or a definition and a package of EDPS, differ."""
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
    from esorex_bridge.cli import edps_workflows

    if not name.startswith(PREFIX):
        return _choose([name])[0]
    (package,) = edps_workflows.open_packages([name], args)
    return package.workflow


def _compared_row(each: ComparedField) -> tuple[str, ...]:
    return (each.recipe, " / ".join(dict.fromkeys(each.steps)), each.category or "-", each.field, each.left, each.right)


def _packages(args: argparse.Namespace, names: list[str]) -> int:
    """List, show or check workflow packages of EDPS."""
    from esorex_bridge.cli import edps_workflows
    from esorex_bridge.session import Session, Settings

    others = [name for name in args.names if name not in names]
    if others:
        raise UserError(f"give packages of EDPS and definitions apart: {', '.join(others)} is not a package")
    packages = edps_workflows.open_packages(names, args)
    if args.action == "check":
        with tempfile.TemporaryDirectory(prefix="esorex-bridge-") as scratch, Session(Settings(Path(scratch))) as here:
            return 1 if edps_workflows.check(packages, here.esorex, args.json) else 0
    if args.json:
        output.emit_json(edps_workflows.document(packages))
    else:
        edps_workflows.show(packages)
    return 0


def _import(args: argparse.Namespace) -> int:
    """Print a draft of a definition, made from rules and installed recipes."""
    from esorex_bridge.definitions.draft import draft_workflow
    from esorex_bridge.definitions.installed_rules import read_rules
    from esorex_bridge.definitions.workflow import parse_workflow
    from esorex_bridge.esorex.man_pages import recipes_of_pipeline

    if len(args.names) != 1:
        raise UserError("import takes one OCA file, such as /usr/share/cpl-plugins/naco-4.4.11/gasgano/config/naco.oca")
    path = Path(args.names[0])
    name = path.stem.removesuffix("_wkf")
    pipeline = args.pipeline or name
    instruments = [args.instrument] if args.instrument else INSTRUMENTS.get(name, [name.upper()])
    text = draft_workflow(read_rules(path), recipes_of_pipeline(pipeline), name, instruments, pipeline)
    parse_workflow(text, f"the draft from {path}")
    if args.json:
        from esorex_bridge.cli.documents.workflows import WorkflowsImportDocument

        output.emit_json(WorkflowsImportDocument(workflow=name, text=text))
    else:
        print(text, end="")
    return 0


def _choose(names: list[str]) -> tuple[Workflow, ...]:
    from esorex_bridge.definitions.folders import own_definitions

    definitions = own_definitions()
    if not names:
        return definitions.all()
    known = definitions.paths
    return tuple(definitions.named(name) if name in known else definitions.read(Path(name)) for name in names)


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


def _describe(workflow: Workflow, steps: bool) -> DefinitionPart:
    from esorex_bridge.cli.documents.workflows import DefinitionPart
    from esorex_bridge.definitions.ran_here import count_runs

    return DefinitionPart(
        name=workflow.name,
        title=workflow.title,
        instruments=tuple(workflow.instruments),
        applies={keyword: tuple(values) for keyword, values in workflow.applies},
        pipeline=workflow.pipeline,
        versions=tuple(workflow.versions),
        state=workflow.state,
        steps_that_ran=count_runs(workflow),
        extends=workflow.extends or None,
        sources=tuple(workflow.sources),
        file=workflow.source,
        steps=tuple(_describe_step(workflow, step) for step in workflow.steps) if steps else UNSET,
    )


def _describe_step(workflow: Workflow, step: StepDefinition) -> DefinedStepPart:
    from esorex_bridge.cli.documents.workflows import DefinedStepPart, WantedCalibrationPart
    from esorex_bridge.definitions.ran_here import state_of

    return DefinedStepPart(
        step=step.name,
        recipe=step.recipe,
        command=tuple(step.command) or None,
        main=tuple(step.main),
        calibrations=tuple(WantedCalibrationPart(each.category, each.required) for each in step.calibrations),
        parameters=dict(step.parameters),
        products=tuple(step.products),
        state=state_of(workflow, step.name),
    )


def _check(args: argparse.Namespace, chosen: tuple[Workflow, ...]) -> int:
    from esorex_bridge.definitions.comparison import compare_with_rules, find_looser
    from esorex_bridge.definitions.folders import workflow_folder
    from esorex_bridge.definitions.inspection import inspect, unknown_to_rules
    from esorex_bridge.esorex.check import check_recipes
    from esorex_bridge.session import Session, Settings

    findings: list[DefinitionFinding] = []
    compared: list[tuple[Workflow, ComparedAssociation]] = []
    with tempfile.TemporaryDirectory(prefix="esorex-bridge-") as scratch, Session(Settings(Path(scratch))) as session:
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
    columns = (
        "workflow",
        "associations",
        "by rules",
        "by grouping",
        "by neither",
        "loose, and why",
        "loose in silence",
    )
    output.table(columns, rows)


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
