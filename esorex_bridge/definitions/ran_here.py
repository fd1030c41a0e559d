"""Which steps of the definitions ran with the real recipes, as `make tables` wrote it down from runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct

from esorex_bridge.definitions.folders import read_text, workflow_folder
from esorex_bridge.definitions.workflow import Workflow

FILE_NAME = "ran_here.json"


class StepRun(Struct, frozen=True):
    """Where a step ran.

    Parameters
    ----------
    pipeline : str
        Name and version: `naco/4.4.11`.
    nights : tuple of str
        Synthetic nights that it was run on.
    """

    pipeline: str
    nights: tuple[str, ...]


Runs = Mapping[str, Mapping[str, StepRun]]
"""By workflow, then by step."""


def read_runs(text: str) -> dict[str, dict[str, StepRun]]:
    """Read the text of the file of runs."""
    return msgspec.json.decode(text, type=dict[str, dict[str, StepRun]])


@cache
def known_runs() -> Runs:
    """Return what ran of the definitions that come with the bridge."""
    return read_runs(read_text(workflow_folder() / FILE_NAME))


def state_of(workflow: Workflow, step: str) -> str:
    """Return the state of a step: what it ran with here, or that it is from documentation alone."""
    run = _runs_of(workflow).get(step)
    return f"ran here with {run.pipeline}" if run is not None else "from documentation"


def count_runs(workflow: Workflow) -> int:
    """Return how many steps of a definition ran here."""
    return sum(step.name in _runs_of(workflow) for step in workflow.steps)


def _runs_of(workflow: Workflow) -> Mapping[str, StepRun]:
    """Return the runs of a definition; what the user wrote or changed did not run here."""
    return known_runs().get(workflow.name, {}) if Path(workflow.source).parent == workflow_folder() else {}
