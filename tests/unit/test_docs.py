"""The documentation holds together: every page is reached from the index, every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from esorex_bridge.cli import VERBS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def targets(page: Path) -> set[Path]:
    """Return the files that a page links to."""
    links = LINK.findall(page.read_text(encoding="utf-8"))
    return {(page.parent / link).resolve() for link in links if "://" not in link}


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    assert [str(target) for target in targets(page) if not target.exists()] == []


def test_every_page_is_reached_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    assert set(PAGES) - targets(index) == {index}


def test_every_verb_is_named_in_the_documentation() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in [ROOT / "README.md", *PAGES])
    assert [verb for verb in VERBS if f"esorex-bridge {verb}" not in text and f"`{verb}`" not in text] == []
