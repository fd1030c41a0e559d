"""Workflow definitions and packages, as the verbs of `esorex-bridge workflows` choose and describe them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.cli import edps_workflows, output
from esorex_bridge.errors import UnknownNameError

if TYPE_CHECKING:
    from esorex_bridge.cli.documents.workflows import DefinedStepPart, DefinitionPart
    from esorex_bridge.definitions.folders import Definitions
    from esorex_bridge.definitions.steps import StepDefinition
    from esorex_bridge.definitions.workflow import Workflow


def choose_definitions(names: Sequence[str]) -> tuple[Workflow, ...]:
    """Return the definitions of these names, instruments or files, all where none is named."""
    from esorex_bridge.definitions.folders import own_definitions

    definitions = own_definitions()
    if not names:
        return definitions.all()
    found = [_definitions_of(definitions, name) for name in names]
    return tuple(dict.fromkeys(each for several in found for each in several))


def _definitions_of(definitions: Definitions, name: str) -> tuple[Workflow, ...]:
    if stems := definitions.stems_of(name) if name in definitions.paths or not Path(name).exists() else ():
        return tuple(definitions.read(definitions.paths[stem]) for stem in stems)
    if not Path(name).exists() and Path(name).name == Path(name).stem == name:
        raise UnknownNameError("definition", name, sorted(definitions.paths), lister="esorex-bridge workflows --help")
    return (definitions.read(Path(name)),)


def show_packages(args: argparse.Namespace, names: list[str]) -> int:
    """Show workflow packages of EDPS."""
    packages = edps_workflows.open_packages(names, args)
    if args.json:
        output.emit_json(edps_workflows.document(packages))
    else:
        edps_workflows.show(packages)
    return 0


def describe(workflow: Workflow, steps: bool) -> DefinitionPart:
    """Return what a definition says, with its steps where they are asked for."""
    from msgspec import UNSET

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
