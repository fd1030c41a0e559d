"""Records of version 0.1.0, taken over: their statements had no libraries, so they lie under other keys.

A record counts still where its old key agrees, and all libraries that the recipe runs with are older than it: then they
are those that it was made with. Where one was replaced since, the step is made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace

from esorex_bridge.esorex.recipe import Recipe
from esorex_bridge.plan.plan import StepName
from esorex_bridge.reuse.key import older_keys
from esorex_bridge.reuse.record import TAKEN_OVER, Absent, Record
from esorex_bridge.reuse.resolve import ResolvedPlan
from esorex_bridge.store.step_store import SqliteStore

Found = Mapping[StepName, Record | Absent]


def take_over(ahead: ResolvedPlan, found: Found, store: SqliteStore) -> dict[StepName, Record | Absent]:
    """Return what was made before of the steps of a plan, with what version 0.1.0 recorded of them."""
    whole = dict(found)
    missing = [name for name, entry in found.items() if isinstance(entry, Absent) and not entry.reason]
    if not missing:
        return whole
    older = older_keys(ahead.stated, ahead.keys)
    records = store.find_all(older[name] for name in missing)
    recipes = {step.name: ahead.recipes[step.recipe] for step in ahead.plan.steps}
    for name in missing:
        record = records[older[name]]
        if older[name] == ahead.keys[name] or isinstance(record, Absent):
            continue
        if _is_older(recipes[name], record):
            taken = replace(record, key=ahead.keys[name], warnings=(*record.warnings, TAKEN_OVER))
            store.take_over(older[name], taken, ahead.stated[name])
            whole[name] = taken
    return whole


def _is_older(recipe: Recipe, record: Record) -> bool:
    """Tell whether all that a recipe runs with is older than a record."""
    if not recipe.changed_ns:
        return False
    return recipe.changed_ns < datetime.fromisoformat(record.made).timestamp() * 1e9
