"""An account of a step: what it depends on, what was decided, and how it differs from the nearest earlier run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from esorex_bridge.definitions.parameters import RECIPE_DEFAULT
from esorex_bridge.reuse.decide import Decision, Execute, Reuse
from esorex_bridge.reuse.resolve import ResolvedPlan


def account(foreseen: ResolvedPlan, decision: Decision) -> dict[str, Any]:
    """Return all that a step depends on and what was decided, as JSON values."""
    step = decision.step
    statement = foreseen.stated[step.name]
    return {
        "dataset": foreseen.plan.dataset,
        "step": step.name,
        "recipe": step.recipe,
        "key": foreseen.keys[step.name],
        "decision": "reuse"
        if isinstance(decision, Reuse)
        else "execute"
        if isinstance(decision, Execute)
        else "not_needed",
        "reason": decision.reason,
        "pipeline": statement.pipeline,
        "plugin": statement.plugin,
        "parameters": [
            {"name": each.schema.display_name, "value": each.text, "origin": each.origin}
            for each in foreseen.parameters[step.name]
        ],
        "inputs": [
            {"category": each.category, "content": each.content, "name": each.label} for each in statement.inputs
        ],
        "warnings": list(step.warnings),
        "gaps": list(step.gaps),
    }


def render(told: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of an account for a person; parameters that have the recipe's own value are left out."""
    yield f"{told['step']} of {told['dataset']}: {told['decision'].replace('_', ' ')}: {told['reason']}"
    yield f"  recipe {told['recipe']} of {told['pipeline']}, key {told['key'][:16]}…"
    for parameter in told["parameters"]:
        if parameter["origin"] != RECIPE_DEFAULT:
            yield f"  parameter {parameter['name']} = {parameter['value']} ({parameter['origin']})"
    for entry in told["inputs"]:
        yield f"  {entry['category']}: {entry['name']}"
    for text in told["warnings"]:
        yield f"  warning: {text}"
    for text in told["gaps"]:
        yield f"  cannot run: {text}"
