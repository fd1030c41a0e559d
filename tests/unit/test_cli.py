"""The command as such: help, usage, exit codes, one JSON document."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from esorex_bridge import __version__
from esorex_bridge.batch.report import BatchReport, DatasetOutcome
from esorex_bridge.batch.start import BatchRequest
from esorex_bridge.cli import VERBS, main, output
from esorex_bridge.cli.batch import _leave_page
from esorex_bridge.settings import Settings


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


def test_help_fits_one_screen(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--help")
    assert max(map(len, out.splitlines())) <= 80
    assert len(out.splitlines()) <= 24
    first, _, rest = out.partition("all verbs")
    assert [line.split()[0] for line in first.splitlines() if line.startswith("  ")] == ["demo", "reduce", "report"]
    assert set(VERBS) <= set(rest.split())


def test_help_all_says_what_each_verb_does(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "help", "all")
    assert code == 0
    assert all(f"  {verb.summary}\n" in out for verb in VERBS.values())


def test_a_misspelt_verb_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "fetsch")
    assert code == 2
    assert "did you mean 'fetch'?" in err


def test_options_may_stand_before_the_verb(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    after = run(capsys, "status", "--root", str(tmp_path), "--json")
    assert run(capsys, "--root", str(tmp_path), "status", "--json") == after


def test_help_of_a_verb_is_the_same_by_either_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "help", "run") == run(capsys, "run", "--help")


def test_the_package_runs_as_a_module() -> None:
    words = [sys.executable, "-m", "esorex_bridge", "--version"]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[0] == f"esorex-bridge {__version__}"


SUB_VERBS = [f"{name} {sub}" for name, verb in VERBS.items() for sub in verb.sub]


ENDING = """
import atexit, sys, threading
from esorex_bridge.cli import main
atexit.register(print, "asked to be called")
over = threading.Event()
if {late}:
    threading.Thread(target=lambda: (over.wait(), print("went on"))).start()
sys.argv = ["esorex-bridge", "--help"]
main()
over.set()
sys.exit("taken apart")
"""


def test_a_command_ends_the_process_and_calls_what_asked_for_it() -> None:
    done = subprocess.run([sys.executable, "-c", ENDING.format(late=False)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage") and done.stdout.endswith("asked to be called\n")


def test_a_command_does_not_end_what_goes_on_in_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", ENDING.format(late=True)], capture_output=True, text=True)
    assert done.stderr == "taken apart\n"
    assert done.stdout.endswith("went on\nasked to be called\n")


@pytest.mark.parametrize("verb", [*sorted(VERBS), *SUB_VERBS])
def test_every_verb_has_help_with_an_example_that_fits(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(capsys, *verb.split(), "--help")
    assert code == 0
    assert f"example:\n  esorex-bridge {verb}" in out
    assert [line for line in out.splitlines() if len(line) > 80] == []


def test_help_of_a_sub_verb_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "batch", "status", "--help")
    assert len(out.splitlines()) < 30
    assert "--recipe-failure-mode" not in out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version")[1].splitlines()[0] == f"esorex-bridge {__version__}"


def test_the_versions_of_pipelines_are_told(capsys: pytest.CaptureFixture[str], esorex: str) -> None:
    assert {"EsoRex", "naco"} <= {line.split()[0] for line in run(capsys, "--version")[1].splitlines()}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_shells_get_completion_of_verbs_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    code, out, _ = run(capsys, "completion", shell)
    assert code == 0
    assert "reduce" in out
    assert "recipe-failure-mode" in out


def test_the_manual_page_is_roff_with_all_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "completion", "man")
    assert out.startswith(".TH ESOREX-BRIDGE 1")
    assert [verb for verb in VERBS if f'.SS "{verb}"' not in out] == []


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


def test_the_settings_name_root_archive_workflows_and_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "config" / "esorex-bridge"
    own.mkdir(parents=True)
    for name in ("root", "mine", "cache"):
        (tmp_path / name).mkdir()
    lines = [f"{key}: {tmp_path / name}" for key, name in (("root", "root"), ("workflows", "mine"), ("cache", "cache"))]
    (own / "settings.yaml").write_text("\n".join([*lines, "archive: http://127.0.0.1:9", ""]))
    (tmp_path / "mine" / "toy.yaml").write_text("workflow: toy\nnonsense: 1\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def settings(**variables: str) -> str:
        environment = {**os.environ, "ESOREX_BRIDGE_PATIENCE": "0", **variables}
        words = [sys.executable, "-m", "esorex_bridge", "doctor", "--json"]
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
        (said,) = (check["said"] for check in json.loads(done.stdout)["checks"] if check["name"] == "settings")
        return str(said)

    said = settings()
    assert f"root {tmp_path / 'root'};" in said and "archive http://127.0.0.1:9;" in said
    assert f"workflow definitions {tmp_path / 'mine'}," in said and f"cache {tmp_path / 'cache'};" in said
    named = {f"ESOREX_BRIDGE_{name.upper()}": str(tmp_path / f"my_{name}") for name in ("root", "workflows", "cache")}
    said = settings(**named, ESOREX_BRIDGE_ARCHIVE="http://127.0.0.1:8")
    assert all(path in said for path in named.values()) and "archive http://127.0.0.1:8;" in said
    words = [sys.executable, "-m", "esorex_bridge", "workflows", "show", "toy"]
    told = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert f"{tmp_path / 'mine' / 'toy.yaml'}:2" in told.stderr, "a definition of that folder was not read"


def test_a_long_document_is_written_in_parts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"name": "α Centauri – ü", "number": number} for number in range(20)]
    monkeypatch.setattr(output, "_WRITTEN_AT_ONCE", 7)
    output.emit_json(rows)
    assert capsys.readouterr().out == json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


def test_a_batch_of_very_many_datasets_leaves_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = BatchRequest(Settings(tmp_path / "nothing"))
    datasets = tuple(DatasetOutcome(f"D{number}", "job 1", "done") for number in range(1001))
    report = BatchReport("b", "done", 1, "", "", datasets, (), {"made": 3}, 0, 0, (), ())
    _leave_page(report, asked)
    assert "no page is left of more than 1,000 datasets" in capsys.readouterr().err
    _leave_page(replace(report, datasets=datasets[:1000], steps={}), asked)
    assert capsys.readouterr().err == ""
