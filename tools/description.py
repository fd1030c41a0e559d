"""The description of the package: the README, with no link that leads nowhere once it has left the checkout.

A link to a file of the repository becomes an address, where pyproject.toml says where its files are shown (`files` of
this hook); without that, it becomes the name of the file, which lies in the source distribution.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z][a-z0-9+.-]*:|#)([^)\s]+)\)", re.IGNORECASE)
"""An inline link or picture of Markdown that leads to a file."""


class DescriptionHook(MetadataHookInterface):
    """Gives the description when a distribution is built."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the description."""
        text = Path(self.root, "README.md").read_text("utf-8")
        place = self.config.get("files", "")
        metadata["readme"] = {"content-type": "text/markdown", "text": describe(text, place)}


def describe(readme: str, place: str) -> str:
    """Return a README for those who read it elsewhere; `place` is the address of the repository's files."""

    def absolute(link: re.Match[str]) -> str:
        sign, words, target = link.groups()
        if place:
            return f"{sign}[{words}]({place.rstrip('/')}/{target})"
        return words if words == target else f"{words} (`{target}`)"

    return LINK.sub(absolute, readme)
