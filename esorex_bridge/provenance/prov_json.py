"""W3C PROV-JSON of a lineage: files are entities, steps activities, pipelines agents.

Follows the PROV-JSON submission: https://www.w3.org/submissions/prov-json/
"""

from __future__ import annotations

from typing import Any

from esorex_bridge.provenance.document import AssociationEntry, FileEntry, InputEntry, ProvenanceDocument, StepEntry
from esorex_bridge.values import plain

_PREFIXES = {"eb": "https://w3id.org/esorex-bridge/terms#", "file": "urn:sha256:", "step": "urn:esorex-bridge:step:"}

Relations = dict[str, dict[str, Any]]
ProductsOfSteps = dict[tuple[str, str | None], list[FileEntry]]


def prov_document(document: ProvenanceDocument) -> dict[str, Any]:
    """Return the PROV-JSON object of a provenance document."""
    made: Relations = {
        "entity": {},
        "activity": {},
        "agent": {},
        "used": {},
        "wasGeneratedBy": {},
        "wasDerivedFrom": {},
        "wasAssociatedWith": {},
    }
    for source in document.sources:
        made["entity"][_entity(source.sha256)] = _describe(source)
    products: ProductsOfSteps = {}
    for step in document.steps:
        for product in step.products:
            products.setdefault((step.key, product.category), []).append(product)
    for step in document.steps:
        _add_step(step, products, made)
    return {"prefix": _PREFIXES, **{name: entries for name, entries in made.items() if entries}}


def _add_step(step: StepEntry, products: ProductsOfSteps, made: Relations) -> None:
    name, agent = f"step:{step.key}", f"eb:{step.pipeline.replace('/', '-')}"
    made["activity"][name] = {
        "prov:endTime": step.made,
        "prov:label": step.step,
        "eb:recipe": step.recipe,
        "eb:dataset": step.dataset,
        "eb:parameter": [f"{value.name}={value.value}" for value in step.parameters],
    }
    made["agent"][agent] = {"prov:type": {"$": "prov:SoftwareAgent", "type": "xsd:QName"}, "eb:pipeline": step.pipeline}
    made["wasAssociatedWith"][f"_:a{len(made['wasAssociatedWith'])}"] = {"prov:activity": name, "prov:agent": agent}
    used = [(digest, entry) for entry in step.inputs for digest in _contents(entry, products)]
    for digest, entry in used:
        relation = {"prov:activity": name, "prov:entity": _entity(digest), "eb:category": entry.category}
        made["used"][f"_:u{len(made['used'])}"] = relation | _association(entry.association)
    for product in step.products:
        made["entity"][_entity(product.sha256)] = _describe(product)
        relation = {"prov:entity": _entity(product.sha256), "prov:activity": name, "prov:time": step.made}
        made["wasGeneratedBy"][f"_:g{len(made['wasGeneratedBy'])}"] = relation
        for digest, _ in used:
            derived = {"prov:generatedEntity": _entity(product.sha256), "prov:usedEntity": _entity(digest)}
            made["wasDerivedFrom"][f"_:d{len(made['wasDerivedFrom'])}"] = {**derived, "prov:activity": name}


def _association(found: AssociationEntry | None) -> dict[str, Any]:
    """Return what is known of an association, as attributes of the use."""
    return {f"eb:{name}": value for name, value in plain(found).items() if value is not None} if found else {}


def _contents(entry: InputEntry, products: ProductsOfSteps) -> tuple[str, ...]:
    if entry.sha256:
        return (entry.sha256,)
    return tuple(product.sha256 for product in products.get((entry.step, entry.product), ()))


def _entity(digest: str) -> str:
    return f"file:{digest}"


def _describe(entry: FileEntry) -> dict[str, Any]:
    told = {"prov:label": entry.file, "eb:kind": entry.kind, "eb:sha256": entry.sha256}
    return {**told, "eb:category": entry.category} if entry.category else told
