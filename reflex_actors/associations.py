"""How well the inputs of a recipe fit: Reflex hands on files and tags, so the plan of the dataset is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from esorex_bridge.errors import BridgeError
from esorex_bridge.files import stem
from esorex_bridge.plan.plan import AssociatedInput, FileInput, Plan, Step
from esorex_bridge.planning.planning import Planning


def plan_of_dataset(planning: Planning, dataset: str) -> Plan | None:
    """Return the plan that the bridge has for a dataset; None where it knows none of that name, or no workflow."""
    with suppress(BridgeError):
        (planned,) = planning.plan_datasets((dataset,))
        return planned[1]
    return None


def add_associations(plan: Plan, whole: Plan | None) -> Plan:
    """Return a plan of one step with the associations that the plan of its dataset has for the same files.

    Parameters
    ----------
    plan : Plan
        As Reflex asks for it.
    whole : Plan or None
        Of the dataset; where it would take other files, Reflex chose them, and nothing is known of how.
    """
    (step,) = plan.steps
    alike = next((each for each in whole.steps if _is_alike(each, step)), None) if whole is not None else None
    if alike is None:
        return plan
    return replace(plan, steps=(replace(step, associations=tuple(_associations(alike, step))),))


def _is_alike(planned: Step, asked: Step) -> bool:
    """Tell whether two steps run one recipe on the same files, products of other steps aside."""
    named = {stem(Path(entry.file).name) for entry in planned.inputs if isinstance(entry, FileInput)}
    given = {stem(Path(entry.file).name) for entry in asked.inputs if isinstance(entry, FileInput)}
    return planned.recipe == asked.recipe and bool(named) and named <= given


def _associations(planned: Step, asked: Step) -> Iterator[AssociatedInput]:
    """Yield associations under the names that files have in the step that is asked for; of products by their tag."""
    files = {entry.name for entry in planned.inputs if isinstance(entry, FileInput)}
    known = (*planned.raw_associations, *planned.associations)
    by_file = {(each.category, each.source): each for each in known if each.source in files}
    by_tag = {each.category: each for each in known if each.source not in files}
    for entry in asked.inputs:
        if isinstance(entry, FileInput):
            named: str = stem(Path(entry.file).name)
            source: str = entry.name
            found = by_file.get((entry.category, named)) or (None if named in files else by_tag.get(entry.category))
        else:
            source, found = entry.step, by_tag.get(entry.category)
        if found is not None:
            yield replace(found, source=source)
