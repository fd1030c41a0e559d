"""The rules for what lies on disk: those given or installed, completed by what definitions know of recipes."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from esorex_bridge.definitions.oca.rules import Rules
    from esorex_bridge.definitions.oca.supplement import Need, RecipeFacts
    from esorex_bridge.definitions.steps import Calibration
    from esorex_bridge.definitions.workflow import Workflow

_GIVE_RULES = "give a file with --oca"


def find_rules(
    oca: Path | None, instruments: tuple[str, ...], workflows: tuple[Workflow, ...]
) -> tuple[dict[str, Rules], tuple[str, ...]]:
    """Return the rules for each instrument, completed by what is known of recipes, and what is missing."""
    from esorex_bridge.definitions.installed_rules import read_rules, rule_files
    from esorex_bridge.definitions.oca.library import rule_file
    from esorex_bridge.definitions.oca.supplement import supplement_rules

    found: dict[str, Rules] = {}
    warnings = []
    for instrument in instruments:
        path = oca or rule_file(instrument, rule_files())
        if path is None:
            warnings.append(f"No OCA rules for {instrument} are installed: {_where_from(instrument, workflows)}.")
            continue
        found[instrument] = supplement_rules(read_rules(path), _facts(instrument, workflows))
    return found, tuple(warnings)


def _where_from(instrument: str, workflows: tuple[Workflow, ...]) -> str:
    pipelines = sorted({workflow.pipeline for workflow in workflows if instrument in workflow.instruments})
    packages = " or ".join(f"cpl-plugin-{pipeline}" for pipeline in pipelines)
    return f"install its pipeline (Debian: {packages}), or give a file with --oca" if packages else _GIVE_RULES


def _facts(instrument: str, workflows: tuple[Workflow, ...]) -> Iterator[RecipeFacts]:
    from esorex_bridge.definitions.oca.library import archive_prefix
    from esorex_bridge.definitions.oca.supplement import RecipeFacts

    names = {instrument, archive_prefix(instrument)}
    for workflow in workflows:
        if names.isdisjoint(name.upper() for name in workflow.instruments):
            continue
        for step in workflow.steps:
            yield RecipeFacts(
                step.recipe,
                step.products,
                tuple(map(_need, step.calibrations)),
                step.main,
                step.group_by,
                step.each,
                step.always,
                step.minimum,
            )


def _need(calibration: Calibration) -> Need:
    """Return what rules have to find: in the widest range of time, by what all ranges compare."""
    from esorex_bridge.definitions.oca.supplement import Need

    ways = calibration.validity
    match = [key for key in calibration.match if all(way.match is None or key in way.match for way in ways)]
    return Need(
        calibration.category,
        calibration.required,
        tuple(match),
        calibration.limit,
        calibration.sources,
        tuple(key for key in calibration.strict if key in match),
        (min((way.days[0] for way in ways), default=-inf), max((way.days[1] for way in ways), default=inf)),
    )
