"""`rename_categories`: files get the tags by which a recipe knows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from esorex_bridge.errors import UserError
from reflex_actors.protocol import Actor, Inputs, Port

ACTOR = Actor(
    "rename_categories",
    "Gives files the tags that a recipe knows.",
    (
        Port("in_sof", "files", kind="sof", required=True),
        Port("names", "OLD=NEW, separated by blanks or commas", required=True),
    ),
    (Port("out_sof", "the same files with their new tags", kind="sof"),),
)


def work(inputs: Inputs) -> dict[str, Any]:
    """Rename."""
    names = names_in(inputs.text("names"))
    sof = inputs.sof("in_sof")
    files = (replace(file, category=names.get(file.category, file.category)) for file in sof.files)
    return {"out_sof": sof.with_files(files)}


def names_in(text: str) -> dict[str, str]:
    """Return new tags by old ones.

    Raises
    ------
    UserError
        A word is not of the form OLD=NEW.
    """
    found = {}
    for word in text.replace(",", " ").split():
        old, equals, new = word.partition("=")
        if not (old and equals and new):
            raise UserError(f"names holds '{word}', which is not of the form OLD=NEW")
        found[old] = new
    return found
