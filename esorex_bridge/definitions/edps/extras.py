"""What a package cannot say of a definition: written beside it on export, put back when it is read."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from esorex_bridge.definitions.steps import Calibration, StepDefinition, Validity
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.errors import UserError

EXTRAS_FILE = "esorex_bridge.json"

STEP_EXTRAS = (
    "products",
    "minima",
    "maximum",
    "each",
    "always",
    "delivered",
    "threads",
    "memory_mb",
    "cases",
    "tune",
)
"""Fields of a step that a package cannot say, or not all of."""

CALIBRATION_EXTRAS = ("sources", "noted", "instead", "strict", "loose", "match_from")
"""Fields of a calibration that a package cannot say."""

WORKFLOW_EXTRAS = (
    "name",
    "instruments",
    "pipeline",
    "state",
    "versions",
    "sources",
    "applies",
    "unsupported",
    "several_makers",
    "extends",
)
"""Fields of a definition that a package cannot say."""

_EACH = "MJD-OBS"


def extras_of(workflow: Workflow) -> str:
    """Return what a package cannot say of a definition, as JSON text."""
    steps = {
        step.name: {
            **{field: getattr(step, field) for field in STEP_EXTRAS},
            "calibrations": {
                each.category: {field: getattr(each, field) for field in CALIBRATION_EXTRAS}
                for each in step.calibrations
            },
        }
        for step in workflow.steps
    }
    whole = {"version": 1, "workflow": {field: getattr(workflow, field) for field in WORKFLOW_EXTRAS}, "steps": steps}
    return msgspec.json.format(msgspec.json.encode(whole), indent=1).decode() + "\n"


def with_extras(workflow: Workflow, text: str) -> Workflow:
    """Return a definition with what stands beside the package, and without what only packages say.

    Raises
    ------
    UserError
        If it is not what `extras_of` wrote.
    """
    try:
        found = msgspec.json.decode(text)
        steps = {step.name: _step(step, found["steps"][step.name]) for step in workflow.steps}
        ordered = tuple(steps[name] for name in found["steps"] if name in steps)
        plain = {
            **_plain(workflow, "steps"),
            **_keep_known(found["workflow"], WORKFLOW_EXTRAS),
            "steps": (),
            "sets": (),
        }
        return replace(msgspec.convert(plain, Workflow), steps=ordered)
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{EXTRAS_FILE} beside {workflow.source} cannot be read: {error}") from None


def _plain(value: msgspec.Struct, without: str) -> dict[str, Any]:
    fields = {name: getattr(value, name) for name in value.__struct_fields__ if name != without}
    plain: dict[str, Any] = msgspec.to_builtins(fields)
    return plain


def _keep_known(found: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    # What an earlier version wrote lacks fields that came later.
    return {name: found[name] for name in names if name in found}


def _step(step: StepDefinition, extras: dict[str, Any]) -> StepDefinition:
    plain = {**_plain(step, "calibrations"), **_keep_known(extras, STEP_EXTRAS), "terms": None}
    if plain["each"]:
        plain["group_by"] = [key for key in plain["group_by"] if key != _EACH]
    known = {each.category: each for each in step.calibrations}
    calibrations = tuple(
        _calibration(known[category], more) for category, more in extras["calibrations"].items() if category in known
    )
    return replace(msgspec.convert({**plain, "calibrations": ()}, StepDefinition), calibrations=calibrations)


def _calibration(calibration: Calibration, extras: dict[str, Any]) -> Calibration:
    """Return a calibration; what a definition leaves out, a package says as any time at level 0."""
    plain = {**_plain(calibration, "validity"), **_keep_known(extras, CALIBRATION_EXTRAS)}
    ways = () if calibration.validity == (Validity(),) else calibration.validity
    return replace(msgspec.convert(plain, Calibration), validity=ways)
