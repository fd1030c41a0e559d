"""What a provenance document says whoever made the products: without keys, names of steps, times and who set what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def facts_beside(product: Path) -> dict[str, Any]:
    """Return the facts of the document beside an end product."""
    return facts_of(json.loads((product.parent / "provenance.json").read_text()))


def facts_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return sources, and of each recipe versions, parameters, inputs with associations and the data of products."""
    recipes = {step["key"]: step["recipe"] for step in document["steps"]}
    return {
        "products": [(product["category"], product["datasums"]) for product in document["products"]],
        "sources": sorted((source["file"].removesuffix(".fits"), source["sha256"]) for source in document["sources"]),
        "steps": sorted((_step(step, recipes) for step in document["steps"]), key=lambda step: str(step["recipe"])),
        "lost": document["lost"],
    }


def _step(step: dict[str, Any], recipes: dict[str, str]) -> dict[str, Any]:
    inputs = {json.dumps(_input(entry, recipes), sort_keys=True) for entry in step["inputs"]}
    return {
        **{name: step[name] for name in ("recipe", "pipeline", "plugin_sha256", "libraries")},
        "parameters": sorted((each["name"], each["value"]) for each in step["parameters"]),
        "inputs": sorted(inputs),
        "products": sorted((product["category"], *product["datasums"]) for product in step["products"]),
    }


def _input(entry: dict[str, Any], recipes: dict[str, str]) -> dict[str, Any]:
    association = entry.get("association")
    if "step" in entry:
        made = {"recipe": recipes[entry["step"]], "product": entry["product"]}
        return {"category": entry["category"], **made, "association": association}
    told = {"category": entry["category"], "file": entry["file"].removesuffix(".fits"), "sha256": entry["sha256"]}
    return {**told, "association": association}
