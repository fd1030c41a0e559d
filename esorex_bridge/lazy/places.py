"""Where EsoRex puts the products of a call, and how it names them there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from esorex_bridge.lazy.effective import Settings


class Place(NamedTuple):
    """The place of a product.

    Parameters
    ----------
    path : str
        As the list of products has it.
    message : str
        As the messages have it.
    """

    path: str
    message: str


def places_of(own_names: Sequence[str], settings: Settings) -> list[Place]:
    """Return the places of products that the recipe gave these names."""
    names = own_names if settings["suppress-prefix"] else _add_prefix(own_names, settings["output-prefix"])
    folder = _spelt(settings["output-dir"])
    if os.path.realpath(folder) == os.getcwd() and list(names) == list(own_names):
        return [Place(name, f"{name} (in place)") for name in names]
    return [Place(f"{folder}/{name}", f"{folder}/{name}") for name in names]


def list_of_products(places: Sequence[Place], categories: Sequence[str], as_json: bool) -> str:
    """Return the text of `--products-sof`."""
    pairs = list(zip(places, categories, strict=True))
    if not as_json:
        return "\n".join(f"{place.path}     {category}" for place, category in pairs)
    entries = ",\n".join(
        f'  {{\n    "name": "{_slashes(place.path)}",\n    "category": "{_slashes(category)}"\n  }}'
        for place, category in pairs
    )
    return f"[\n{entries}\n]\n"


def _add_prefix(names: Sequence[str], prefix: str) -> list[str]:
    return [f"{prefix}_{number:04d}{os.path.splitext(name)[1]}" for number, name in enumerate(names)]


def _spelt(folder: str) -> str:
    """Return an output folder as EsoRex spells it: no slash at its end, a leading dot made absolute."""
    if folder == ".":
        return os.getcwd()
    if folder.startswith(("./", "../")):
        folder = f"{os.getcwd()}/{folder.removeprefix('./')}"
    return folder[:-1] if folder.endswith("/") and len(folder) > 1 else folder


def _slashes(text: str) -> str:
    return text.replace("/", "\\/")
