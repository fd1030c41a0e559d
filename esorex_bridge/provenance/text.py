"""The lineage of products as an indented text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from esorex_bridge.plan.facts import ProductMade, StepForgotten
from esorex_bridge.provenance.document import ProvenanceDocument, hex_of
from esorex_bridge.provenance.lineage import Activity, Input, Lineage, kind_of
from esorex_bridge.reuse.key import StepKey

_SHORT_KEY = 12


def render(lineage: Lineage) -> Iterator[str]:
    """Yield the lines that say where products come from; a step that was described before is only named again."""
    return chain.from_iterable(fact.text.split("\n") for fact in explain_products(lineage))


def explain_products(lineage: Lineage) -> Iterator[ProductMade | StepForgotten]:
    """Yield where products come from, and which steps on the way are not recorded any more."""
    seen: set[StepKey] = set()
    for product in lineage.targets:
        maker = lineage.maker_of(product)
        lines = [f"{product.path.name}  {product.category}", f"  {product.digest}"]
        lines += _step(lineage, maker, 1, seen) if maker is not None else ()
        yield ProductMade(
            "\n".join(lines),
            file=product.path.name,
            category=product.category,
            sha256=hex_of(product.digest),
            dataset=maker.dataset if maker is not None else None,
            step=maker.step if maker is not None else None,
            recipe=maker.recipe if maker is not None else None,
            raws=tuple(sorted(_raws_below(lineage, maker, set()))) if maker is not None else (),
        )
    for key in lineage.lost:
        said = f"step {key[:_SHORT_KEY]} is not recorded any more: what it was made of is unknown"
        yield StepForgotten(said, key)


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


def _raws_below(lineage: Lineage, activity: Activity, seen: set[StepKey]) -> set[str]:
    """Return the names of the raw frames that a step, and all before it, took; `seen` are the steps looked at."""
    seen.add(activity.key)
    found: set[str] = set()
    for entry in activity.inputs:
        maker = lineage.activity(entry.key) if entry.key is not None else None
        if maker is not None and maker.key not in seen:
            found |= _raws_below(lineage, maker, seen)
        elif entry.key is None and entry.source is not None and entry.source.kind == "raw":
            found.add(entry.source.name)
    return found


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
