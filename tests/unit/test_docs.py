"""The documentation holds together: every page is reached from the index, every link leads somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from esorex_bridge.cli import VERBS, parser_of
from esorex_bridge.version import __version__
from tests.documented import documented_commands

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
GENERATED = {ROOT / "docs" / page for page in ("reference/cli.md", "explanation/measured.md")}
"""Pages that only the site has."""

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def targets(page: Path) -> set[Path]:
    """Return the files that a page links to."""
    links = LINK.findall(page.read_text(encoding="utf-8"))
    return {(page.parent / link).resolve() for link in links if "://" not in link}


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    assert [str(target) for target in targets(page) - GENERATED if not target.exists()] == []


def test_every_page_is_reached_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    assert set(PAGES) - targets(index) == {index}


def test_the_site_makes_the_pages_that_are_generated() -> None:
    made = (ROOT / "tools" / "site.py").read_text(encoding="utf-8")
    assert all(f'"{page.relative_to(ROOT / "docs")}"' in made for page in GENERATED)


def test_every_verb_is_named_in_the_documentation() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in [ROOT / "README.md", *PAGES])
    assert [verb for verb in VERBS if f"esorex-bridge {verb}" not in text and f"`{verb}`" not in text] == []


COMMANDS = sorted(set(documented_commands()))


def test_the_documentation_has_commands() -> None:
    assert len(COMMANDS) > 50


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=lambda each: each if isinstance(each, str) else each[0])
def test_every_documented_command_is_understood(page: str, words: tuple[str, ...]) -> None:
    if words[:1] == ("--version",):
        return
    left = list(words)
    name = left.pop(0)
    verb = VERBS[name]
    if left and left[0] in verb.sub:
        name, verb = f"{name} {left[0]}", verb.sub[left.pop(0)]
    parser_of(name, verb).read(left)


def test_the_site_is_built_strictly(tmp_path: Path) -> None:
    pytest.importorskip("mkdocstrings")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    reference = (tmp_path / "site" / "reference" / "cli.html").read_text(encoding="utf-8")
    assert [verb for verb in VERBS if f'id="{verb}"' not in reference] == []
    python = (tmp_path / "site" / "reference" / "python.html").read_text(encoding="utf-8")
    assert "Bring science frames" in python
    settings = python.partition('id="esorex_bridge.settings.Settings"')[2]
    assert "Raw2Raw" in settings.partition("how many recipes may run")[0]  # defaults of structs are shown


def test_the_citation_names_this_version() -> None:
    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
