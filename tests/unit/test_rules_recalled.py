"""Rule files that were read once are recalled by their content, and never in place of another content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.definitions.installed_rules import read_rules, rule_files
from esorex_bridge.definitions.oca.grammar import parse_rules
from esorex_bridge.definitions.oca.rules import Rules

TEXT = """if DPR.TYPE == "DARK" then
{
  DO.CATG = "DARK";
}
select execute(DARK) from inputFiles where DO.CATG == "DARK" group by TPL.START as (TPL_A,tpl);
action DARK
{
  minRet = 0; maxRet = 3
  select file as BIAS from calibFiles where DO.CATG == "BIAS" and MJD-OBS between inputFile.MJD-OBS - 1.5 and T;
  recipe dark;
}
"""


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    read_rules.cache_clear()
    return tmp_path / "cache" / "esorex-bridge" / "rules"


def whole(rules: Rules) -> Any:
    """Return all that rules say, with what does not count when two are compared."""
    lines = [(each.line, str(each)) for each in (*rules.classifications, *rules.executions, *rules.actions)]
    return rules, lines, [each.line for action in rules.actions for each in action.selections], rules.remarks


def recalled(path: Path) -> Rules:
    read_rules.cache_clear()
    return read_rules(path)


@pytest.mark.parametrize("path", rule_files(), ids=lambda path: path.name)
def test_rules_of_installed_pipelines_are_recalled_as_they_were_read(memory: Path, path: Path) -> None:
    first = read_rules(path)
    (kept,) = memory.iterdir()
    before = kept.stat().st_mtime_ns
    assert whole(recalled(path)) == whole(first)
    assert whole(first) == whole(parse_rules(path.read_text(encoding="utf-8", errors="replace"), path.name))
    assert kept.stat().st_mtime_ns == before


def test_another_content_or_name_is_read_anew(memory: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.oca"
    path.write_text(TEXT)
    assert recalled(path).remarks
    path.write_text(TEXT.replace('"BIAS"', '"FLAT"'))
    assert recalled(path).actions[0].selections[0].category == "BIAS"
    assert 'DO.CATG == "FLAT"' in str(recalled(path))
    other = path.rename(tmp_path / "b.oca")
    assert recalled(other).name == "b.oca"
    assert len(list(memory.iterdir())) == 3


def test_a_memory_that_is_damaged_is_made_again(memory: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.oca"
    path.write_text(TEXT)
    first = recalled(path)
    (kept,) = memory.iterdir()
    for damage in ("", "{", '{"classifications": 1}', "[" * 5000):
        kept.write_text(damage)
        assert whole(recalled(path)) == whole(first)


def test_no_place_to_remember_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "a.oca").write_text(TEXT)
    assert recalled(tmp_path / "a.oca").name == "a.oca"
