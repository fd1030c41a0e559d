"""The command as such: help, usage, exit codes, one JSON document."""

from __future__ import annotations

import json

import pytest

from esorex_bridge import __version__
from esorex_bridge.cli import VERBS, main


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        code = main(words)
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_help_lists_all_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert all(verb in out for verb in VERBS)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, verb, "--help")
    assert code == 0
    assert f"example:\n  esorex-bridge {verb}" in out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version")[1] == f"esorex-bridge {__version__}\n"


@pytest.mark.parametrize("words", [("fetsch",), ("--root", "x"), ("run", "--no-such"), ()])
def test_bad_usage_ends_with_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, *words)[0] == 2


def test_a_refusal_ends_with_1_says_why_and_is_json_where_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    code, out, err = run(capsys, "run", "--root", str(tmp_path), "--json")
    assert code == 1
    assert "no association tree" in json.loads(out)["error"]["message"]
    assert "fetch data first" in err


def test_a_setting_of_the_wrong_form_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "plan", "--set", "nonsense")
    assert code == 1
    assert "RECIPE.PARAM=VALUE" in err
