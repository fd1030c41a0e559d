"""The lineage of products as an indented text."""

from __future__ import annotations

from collections.abc import Iterator

from esorex_bridge.provenance.document import ProvenanceDocument
from esorex_bridge.provenance.lineage import Activity, Input, Lineage, kind_of
from esorex_bridge.reuse.key import StepKey

_SHORT_KEY = 12


def render(lineage: Lineage) -> Iterator[str]:
    """Yield the lines that say where products come from; a step that was described before is only named again."""
    seen: set[StepKey] = set()
    for product in lineage.targets:
        yield f"{product.path.name}  {product.category}"
        yield f"  {product.digest}"
        maker = lineage.maker_of(product)
        if maker is not None:
            yield from _step(lineage, maker, 1, seen)
    for key in lineage.lost:
        yield f"step {key[:_SHORT_KEY]} is not recorded any more: what it was made of is unknown"


def render_header(document: ProvenanceDocument) -> Iterator[str]:
    """Yield the lines that say what a product's header tells of it."""
    for step in document.steps:
        yield f"{step.products[0].file}  {step.products[0].category}"
        yield f"  made by {step.recipe}, {step.pipeline}, {step.made} (from the header alone)"
        for entry in step.inputs:
            yield f"    {entry.category}  {entry.file}  ({kind_of(entry.file)})"
        yield from (f"  {warning}" for warning in step.warnings)


def _step(lineage: Lineage, activity: Activity, depth: int, seen: set[StepKey]) -> Iterator[str]:
    pad = "  " * depth
    if activity.key in seen:
        yield f"{pad}made by {activity.step} (above)"
        return
    seen.add(activity.key)
    versions = ", ".join(filter(None, (activity.pipeline, activity.cpl)))
    yield f"{pad}made by {activity.step}: {activity.recipe}, {versions}, {activity.made}, of {activity.dataset}"
    for value in activity.chosen:
        yield f"{pad}  {value.name} = {value.value}  ({value.origin})"
    for entry in activity.inputs:
        yield from _input(lineage, entry, depth + 1, seen)


def _input(lineage: Lineage, entry: Input, depth: int, seen: set[StepKey]) -> Iterator[str]:
    pad = "  " * depth
    if entry.source is not None and entry.key is None:
        told = ", ".join(filter(None, (entry.source.kind, entry.association.words if entry.association else "")))
        yield f"{pad}{entry.category}  {entry.source.name}  ({told})"
        return
    told = entry.association.words if entry.association else ""
    yield f"{pad}{entry.category}  {entry.product}{f'  ({told})' if told else ''}"
    maker = lineage.activity(entry.key) if entry.key is not None else None
    if maker is not None:
        yield from _step(lineage, maker, depth + 1, seen)
