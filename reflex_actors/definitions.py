"""The workflow definitions that actors and workflow files follow: those of the bridge, and the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.definitions.edps.words import PREFIX
from esorex_bridge.errors import DataError, UserError

if TYPE_CHECKING:
    from esorex_bridge.definitions.steps import StepDefinition
    from esorex_bridge.definitions.workflow import Workflow
    from esorex_bridge.planning.planning import Planning
    from reflex_actors.sof_json import SetOfFiles


def definitions() -> tuple[Workflow, ...]:
    """Return all definitions, the user's own first; errors as `Definitions.read`."""
    from esorex_bridge.definitions.folders import own_definitions

    return own_definitions().all()


def definition_named(name: str) -> Workflow:
    """Return a definition by its name, from a file, or as a workflow package of EDPS has it (`edps:…`).

    Raises
    ------
    UserError
        If there is none.
    DataError
        If the package failed or was ended.
    """
    if name.startswith(PREFIX):
        from esorex_bridge.edps.workflow import EdpsWorkflow

        return EdpsWorkflow(name).workflow
    from esorex_bridge.definitions.folders import own_definitions

    known = own_definitions()
    if name in known.paths or (not Path(name).exists() and known.stems_of(name)):
        return known.find(name)
    if not Path(name).is_file():
        raise UserError(f"there is no workflow '{name}'; there are: {', '.join(known.paths)}, or name a file")
    return known.read(Path(name))


def find_definition(planning: Planning, recipe: str, sof: SetOfFiles) -> tuple[Workflow | None, StepDefinition | None]:
    """Return the workflow for a set of files, and how it has a recipe: of several steps, that which takes most tags.

    The first file whose header leads to a workflow that takes the set counts: a table may tell an instrument and not
    which of its detectors.
    """
    tags = {file.category for file in sof.files}
    first: Workflow | None = None
    for workflow in _find_workflows(planning, sof):
        steps = [step for step in workflow.steps if step.recipe == recipe]
        taken = [step for step in steps if tags.intersection(map(step.tag, step.main))]
        if taken:
            return workflow, max(taken, key=lambda step: len(tags.intersection(map(step.tag, step.main))))
        first = first or workflow
    return first, next((step for step in first.steps if step.recipe == recipe), None) if first else None


def _find_workflows(planning: Planning, sof: SetOfFiles) -> Iterator[Workflow]:
    """Yield the workflows that the headers of files lead to."""
    from esorex_bridge.fits.header import read_header

    if planning.named_workflow is not None:
        yield planning.workflows[0]
        return
    for file in sof.files:
        with suppress(UserError, DataError):
            header = read_header(Path(file.name))
            yield planning.definitions.choose(str(header.get("INSTRUME") or "").strip(), header)
