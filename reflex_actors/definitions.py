"""The workflow definitions that actors and workflow files follow: those of the bridge, and the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.definitions.edps.options import PREFIX
from esorex_bridge.errors import DataError, UserError

if TYPE_CHECKING:
    from esorex_bridge.definitions.steps import StepDefinition
    from esorex_bridge.definitions.workflow import Workflow
    from esorex_bridge.planning import Planning
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
    """Return the workflow for the first file, and how it has a recipe: of several steps, that which takes most tags."""
    from esorex_bridge.fits.header import read_header

    try:
        header = read_header(Path(sof.files[0].name))
        if planning.named_workflow is not None:
            workflow = planning.workflows[0]
        else:
            workflow = planning.definitions.choose(str(header.get("INSTRUME") or "").strip(), header)
    except (UserError, DataError):
        return None, None
    tags = {file.category for file in sof.files}
    steps = [step for step in workflow.steps if step.recipe == recipe]
    return workflow, max(steps, key=lambda step: len(tags.intersection(map(step.tag, step.main))), default=None)
