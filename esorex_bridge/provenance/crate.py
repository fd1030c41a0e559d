"""A crate: a reduction to carry away, as an RO-Crate (Process Run Crate and Provenance Run Crate 0.5).

The metadata are plain JSON-LD: https://www.researchobject.org/workflow-run-crate/profiles/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

from msgspec import Struct

from esorex_bridge.provenance.document import FILE_NAME, FileEntry, InputEntry, ProvenanceDocument, StepEntry
from esorex_bridge.version import __version__

METADATA = "ro-crate-metadata.json"
WORKFLOW = "workflow.json"
README = "README.md"

_CONTEXT = ["https://w3id.org/ro/crate/1.1/context", {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}]
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
_PIPELINES = "https://www.eso.org/sci/software/pipelines/"

Entity = dict[str, Any]
ProductsOfSteps = dict[tuple[str, str | None], list[FileEntry]]


class CrateContents(Struct, frozen=True):
    """What lies in a crate, as paths in it.

    Parameters
    ----------
    products, sources : mapping of str to str
        Files by their content (64 hex digits).
    notes : mapping of str to tuple of str
        SOF, parameters and log of each step, by the step's key.
    """

    products: dict[str, str]
    sources: dict[str, str]
    notes: dict[str, tuple[str, ...]]


def folder_of(number: int, step: StepEntry) -> str:
    """Return the folder of a step's notes in a crate."""
    return f"steps/{number:02d}_{step.step}"


def metadata(document: ProvenanceDocument, contents: CrateContents, name: str, date: str) -> Entity:
    """Return the object of `ro-crate-metadata.json`.

    Parameters
    ----------
    document : ProvenanceDocument
        Of what the crate is about.
    contents : CrateContents
        What lies in it.
    name : str
        Of the dataset, or of the product.
    date : str
        When it was exported, ISO 8601 in UTC.
    """
    graph = [
        _descriptor(),
        *_profiles(),
        *_tools(document),
        *_workflow(document),
        *_files(document, contents),
        *_actions(document, contents),
        *_control(document, name),
    ]
    parts = [entity["@id"] for entity in graph if "File" in _types(entity) and not _is_web(entity["@id"])]
    mentions = [entity["@id"] for entity in graph if "CreateAction" in _types(entity)]
    return {"@context": _CONTEXT, "@graph": [*graph, _root(name, date, parts, mentions)]}


def workflow_document(document: ProvenanceDocument) -> str:
    """Return the steps as an abstract workflow: recipes, where their inputs come from, parameters."""
    names = {step.key: step.step for step in document.steps}
    steps = [
        {
            "name": step.step,
            "recipe": step.recipe,
            "pipeline": step.pipeline,
            "inputs": [_abstract(entry, names) for entry in step.inputs],
            "parameters": {value.name: value.value for value in step.parameters},
        }
        for step in document.steps
    ]
    return json.dumps({"esorex_bridge_workflow": 1, "steps": steps}, indent=1) + "\n"


def readme(document: ProvenanceDocument, name: str, date: str) -> str:
    """Return a page that says what a crate is, for somebody who has nothing else."""
    steps = "".join(f"| {step.step} | {step.recipe} | {step.pipeline} | {step.made} |\n" for step in document.steps)
    return (
        f"# Reduction of {name}\n\n"
        f"Exported {date} by esorex-bridge {__version__}.\n\n"
        "| step | recipe | pipeline | made |\n|---|---|---|---|\n"
        f"{steps}\n"
        f"- `{FILE_NAME}`: what every product was made from, down to the raw frames, with digests\n"
        "- `steps/`: the set of files, the parameters and the log of each step\n"
        f"- `{WORKFLOW}`: the steps alone; `{METADATA}`: all of it as RO-Crate metadata\n"
        "- `manifest-sha256.txt`: check with `esorex-bridge provenance verify DIR`, or "
        "`grep -v '^#' manifest-sha256.txt | sha256sum -c`\n\n"
        "To make the products again: `esorex-bridge provenance reproduce DIR --root NEW`.\n"
    )


def _abstract(entry: InputEntry, names: dict[str, str]) -> dict[str, str]:
    if entry.step:
        return {"category": entry.category, "step": names.get(entry.step, entry.step), "product": entry.product}
    return {"category": entry.category, "file": entry.file}


# ----- entities


def _ref(*ids: str) -> Any:
    """Return references to entities; one alone stands without a list, as RO-Crate 1.1 recommends."""
    listed = [{"@id": each} for each in dict.fromkeys(ids)]
    return listed[0] if len(listed) == 1 else listed


def _types(entity: Entity) -> list[str]:
    found = entity["@type"]
    return found if isinstance(found, list) else [found]


def _is_web(name: str) -> bool:
    return "://" in name or name.startswith("#")


def _descriptor() -> Entity:
    conforms = _ref("https://w3id.org/ro/crate/1.1", "https://w3id.org/workflowhub/workflow-ro-crate/1.0")
    return {"@id": METADATA, "@type": "CreativeWork", "about": {"@id": "./"}, "conformsTo": conforms}


def _root(name: str, date: str, parts: list[str], mentions: list[str]) -> Entity:
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Reduction of {name}",
        "description": f"Products of {name} with the steps that made them: recipes, versions, parameters, inputs",
        "datePublished": date,
        "license": {"@id": "#licence"},
        "conformsTo": _ref(*_PROFILES),
        "mainEntity": {"@id": WORKFLOW},
        "hasPart": _ref(*parts),
        "mentions": _ref("#run", *mentions),
    }


def _profiles() -> Iterator[Entity]:
    for uri, name in _PROFILES.items():
        yield {"@id": uri, "@type": "CreativeWork", "name": name, "version": uri.rpartition("/")[2]}
    yield {
        "@id": "#licence",
        "@type": "CreativeWork",
        "name": "ESO data access policy",
        "description": "Data of the ESO archive are used under ESO's data access policy",
        "url": "https://www.eso.org/sci/archive/policies.html",
    }


def _tools(document: ProvenanceDocument) -> Iterator[Entity]:
    yield {
        "@id": "#esorex-bridge",
        "@type": "SoftwareApplication",
        "name": "esorex-bridge",
        "softwareVersion": __version__,
    }
    for step in {step.recipe: step for step in document.steps}.values():
        pipeline, _, version = step.pipeline.partition("/")
        yield {
            "@id": _tool(step),
            "@type": "SoftwareApplication",
            "name": step.recipe,
            "softwareVersion": version or "unknown",
            "description": f"Recipe of the ESO pipeline {pipeline}",
            "url": _PIPELINES,
            "input": _ref(*(f"#{step.recipe}-in-{tag}" for tag in _tags(step))),
            "output": _ref(*(f"#{step.recipe}-out-{product.category}" for product in step.products)),
        }
        yield from _formal_parameters(step)


def _tool(step: StepEntry) -> str:
    return f"#{step.recipe}"


def _tags(step: StepEntry) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry.category for entry in step.inputs))


def _formal_parameters(step: StepEntry) -> Iterator[Entity]:
    uses = {f"#{step.recipe}-in-{tag}": tag for tag in _tags(step)}
    makes = {f"#{step.recipe}-out-{product.category}": product.category for product in step.products}
    for identifier, tag in {**uses, **makes}.items():
        yield {"@id": identifier, "@type": "FormalParameter", "name": tag, "additionalType": "File"}


def _workflow(document: ProvenanceDocument) -> Iterator[Entity]:
    yield {
        "@id": WORKFLOW,
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
        "name": "steps of the reduction",
        "encodingFormat": "application/json",
        "programmingLanguage": {"@id": "#language"},
        "hasPart": _ref(*map(_tool, document.steps)),
        "step": _ref(*(f"#step-{number}" for number, _ in enumerate(document.steps, 1))),
        "input": _ref("#raw-frames"),
        "output": _ref("#products"),
    }
    yield {"@id": "#language", "@type": "ComputerLanguage", "name": "esorex-bridge workflow"}
    for identifier, name in (("#raw-frames", "raw frames"), ("#products", "products")):
        yield {"@id": identifier, "@type": "FormalParameter", "name": name, "additionalType": "File"}
    for number, step in enumerate(document.steps, 1):
        yield {
            "@id": f"#step-{number}",
            "@type": "HowToStep",
            "name": step.step,
            "position": str(number),
            "workExample": {"@id": _tool(step)},
        }


def _files(document: ProvenanceDocument, contents: CrateContents) -> Iterator[Entity]:
    tags, examples = _tags_by_content(document), _examples(document)
    for source in document.sources:
        told = _file(source, contents.sources.get(source.sha256), tags.get(source.sha256, ()))
        yield {**told, "exampleOfWork": _ref("#raw-frames", *examples.get(source.sha256, ()))}
    for product in {product.sha256: product for step in document.steps for product in step.products}.values():
        told = _file(product, contents.products.get(product.sha256), (product.category or "",))
        yield {**told, "exampleOfWork": _ref("#products", *examples.get(product.sha256, ()))}
    for paths in contents.notes.values():
        for path in paths:
            yield {"@id": path, "@type": "File", "name": PurePosixPath(path).name, "encodingFormat": "text/plain"}
    yield {"@id": README, "@type": "File", "name": "README", "encodingFormat": "text/markdown", "about": {"@id": "./"}}
    yield {"@id": FILE_NAME, "@type": "File", "name": "provenance", "encodingFormat": "application/json"}


def _file(entry: FileEntry, path: str | None, tags: Iterable[str]) -> Entity:
    return {
        "@id": path or _content(entry.sha256),
        "@type": "File" if path else "CreativeWork",
        "name": entry.file,
        "sha256": entry.sha256,
        "identifier": entry.file.removesuffix(".fits"),
        "additionalType": " ".join(tags) or entry.kind,
        "encodingFormat": "application/fits",
    }


def _content(digest: str) -> str:
    return f"#sha256-{digest}"


def _tags_by_content(document: ProvenanceDocument) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for step in document.steps:
        for entry in step.inputs:
            if entry.sha256 and entry.category not in found.get(entry.sha256, ()):
                found[entry.sha256] = (*found.get(entry.sha256, ()), entry.category)
    return found


def _examples(document: ProvenanceDocument) -> dict[str, tuple[str, ...]]:
    """Return the formal parameters that each file stands for, by its content."""
    found: dict[str, tuple[str, ...]] = {}
    products = _products(document)
    for step in document.steps:
        pairs = [(digest, f"in-{each.category}") for each in step.inputs for digest in _contents(each, products)]
        pairs += [(product.sha256, f"out-{product.category}") for product in step.products]
        for digest, name in pairs:
            found[digest] = (*found.get(digest, ()), f"#{step.recipe}-{name}")
    return found


def _products(document: ProvenanceDocument) -> ProductsOfSteps:
    found: ProductsOfSteps = {}
    for step in document.steps:
        for product in step.products:
            found.setdefault((step.key, product.category), []).append(product)
    return found


def _actions(document: ProvenanceDocument, contents: CrateContents) -> Iterator[Entity]:
    products = _products(document)
    for step in document.steps:
        parameters = [f"#{step.key[:12]}-{value.name}" for value in step.parameters]
        for identifier, value in zip(parameters, step.parameters, strict=True):
            yield {"@id": identifier, "@type": "PropertyValue", "name": value.name, "value": value.value}
        used = [digest for entry in step.inputs for digest in _contents(entry, products)]
        yield {
            "@id": _action(step),
            "@type": "CreateAction",
            "name": f"{step.step} of {step.dataset}",
            "instrument": {"@id": _tool(step)},
            "object": _ref(*(_place(digest, contents) for digest in used), *parameters),
            "result": _ref(*(_place(product.sha256, contents) for product in step.products)),
            "endTime": step.made,
            "actionStatus": "http://schema.org/CompletedActionStatus",
            "agent": {"@id": "#esorex-bridge"},
            "subjectOf": _ref(*contents.notes.get(step.key, ())),
        }


def _contents(entry: InputEntry, products: ProductsOfSteps) -> list[str]:
    if entry.sha256:
        return [entry.sha256]
    return [product.sha256 for product in products.get((entry.step, entry.product), [])]


def _place(digest: str, contents: CrateContents) -> str:
    return contents.products.get(digest) or contents.sources.get(digest) or _content(digest)


def _action(step: StepEntry) -> str:
    return f"#{step.key}"


def _control(document: ProvenanceDocument, name: str) -> Iterator[Entity]:
    controls = [f"#control-{number}" for number, _ in enumerate(document.steps, 1)]
    for number, (identifier, step) in enumerate(zip(controls, document.steps, strict=True), 1):
        yield {
            "@id": identifier,
            "@type": "ControlAction",
            "name": f"orchestrate {step.step}",
            "instrument": {"@id": f"#step-{number}"},
            "object": {"@id": _action(step)},
        }
    yield {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"reduction of {name}",
        "instrument": {"@id": WORKFLOW},
        "endTime": max((step.made for step in document.steps), default=""),
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "agent": {"@id": "#esorex-bridge"},
        "object": [],
        "result": [],
    }
    yield {
        "@id": "#organise",
        "@type": "OrganizeAction",
        "name": "esorex-bridge carries out the steps",
        "instrument": {"@id": "#esorex-bridge"},
        "result": {"@id": "#run"},
        "object": _ref(*controls),
    }
