"""Definitions that were read once are recalled by their content, and never in place of another content."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from esorex_bridge.definitions.folders import Definitions, _parse_whole, definition_folders, workflow_folder
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.errors import UserError

TEXT = (workflow_folder() / "naco.yaml").read_text(encoding="utf-8")


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "esorex-bridge" / "definitions"


def read(path: Path) -> Workflow:
    _parse_whole.cache_clear()  # as in another process
    return Definitions((path.parent, workflow_folder())).read(path)


def test_all_definitions_are_recalled_as_they_were_read(memory: Path) -> None:
    _parse_whole.cache_clear()
    first = Definitions(definition_folders()).all()
    times = {kept: kept.stat().st_mtime_ns for kept in memory.iterdir()}
    _parse_whole.cache_clear()
    assert repr(Definitions(definition_folders()).all()) == repr(first)
    assert {kept: kept.stat().st_mtime_ns for kept in memory.iterdir()} == times


def test_another_content_or_place_is_read_anew(memory: Path, tmp_path: Path) -> None:
    path = tmp_path / "own" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(TEXT)
    title = read(path).title
    path.write_text(TEXT.replace(title, "another title"))
    assert read(path).title == "another title"
    moved = path.rename(path.with_name("moved.yaml"))
    assert read(moved).source == str(moved)


def test_what_extends_another_follows_it(memory: Path, tmp_path: Path) -> None:
    base, own = tmp_path / "base.yaml", tmp_path / "own.yaml"
    base.write_text(TEXT)
    own.write_text("workflow: own\nextends: base\n")
    title = read(own).title
    base.write_text(TEXT.replace(title, "another title"))
    assert read(own).title == "another title"


@pytest.mark.parametrize("name", ["harps", "harps_fp", "NIRPS"])
def test_no_definition_that_was_read_once_loads_yaml_again(name: str, memory: Path) -> None:
    """Those that extend others neither: the choice for an instrument reads all that may serve it."""
    program = (
        "import sys\nfrom esorex_bridge.definitions.folders import own_definitions\n"
        "known = own_definitions()\n"
        f"known.find({name!r}), known.choose({name.partition('_')[0].upper()!r}, {{}})\nprint('yaml' in sys.modules)"
    )
    first, again = (subprocess.run([sys.executable, "-c", program], capture_output=True, text=True) for _ in range(2))
    assert (first.stdout.strip(), again.stdout.strip()) == ("True", "False"), again.stderr


def test_what_extends_another_is_recalled_as_it_was_read(memory: Path, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(TEXT)
    own = tmp_path / "own.yaml"
    own.write_text("workflow: own\nextends: base  # and no more\n")
    first = read(own)
    kept = set(memory.iterdir())
    assert repr(read(own)) == repr(first)
    assert set(memory.iterdir()) == kept and len(kept) == 2


def test_what_is_wrong_is_told_each_time(memory: Path, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(TEXT.replace("title:", "titel:"))
    for _ in range(2):
        with pytest.raises(UserError, match="titel"):
            read(path)


@pytest.mark.parametrize("damage", ["", "{", "\xc1", "[" * 5000])
def test_a_memory_that_is_damaged_is_made_again(memory: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT)
    first = read(path)
    (kept,) = memory.iterdir()
    kept.write_text(damage)
    assert read(path) == first
