"""The protocol of Reflex's PythonActor, kept in one process."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reflex_actors.protocol import Actor, ActorError, Inputs, Port, parser_of, run
from reflex_actors.sof_json import FitsFile, SetOfFiles, parameter

ACTOR = Actor(
    "pass_on",
    "Hands files on.",
    (
        Port("in_sof", "files", kind="sof", short="i"),
        Port("in_sop", "parameters", kind="sop"),
        Port("word", "a text", default="default"),
        Port("enable", "true or false", kind="flag", default="false"),
        Port("datasets", "datasets", kind="json"),
    ),
    (
        Port("out_sof", "files", kind="sof", short="o"),
        Port("out_sop", "parameters", kind="sop"),
        Port("word", "a text"),
        Port("enable", "true or false", kind="flag"),
        Port("datasets", "datasets", kind="json"),
        Port("loop", "only when repeating", silent=True),
    ),
)


def pass_on(inputs: Inputs) -> Mapping[str, Any]:
    print("a word to the user")
    given = {"word": inputs.text("word"), "enable": inputs.flag("enable")}
    if "in_sof" in inputs:
        given["out_sof"] = inputs.sof("in_sof")
    if "in_sop" in inputs:
        given["out_sop"] = inputs.sop("in_sop")
    if "datasets" in inputs:
        given["datasets"] = inputs.json("datasets")
    return given


@pytest.fixture
def fits(tmp_path: Path) -> Path:
    path = tmp_path / "a.fits"
    path.touch()
    return path


def outputs(tmp_path: Path, *words: str, given: object = None, work: Any = pass_on) -> dict[str, Any]:
    made = tmp_path / "out.json"
    if given is not None:
        (tmp_path / "in.json").write_text(json.dumps(given))
        words = ("--input-parameters-file", str(tmp_path / "in.json"), *words)
    assert run(ACTOR, work, ("--output-parameters-file", str(made), *words)) == 0
    found: dict[str, Any] = json.loads(made.read_text())
    return found


def test_the_help_page_is_that_of_optparse_with_a_section_of_outputs() -> None:
    page = parser_of(ACTOR).format_help()
    assert page.startswith("Usage: pass_on [options]\n")
    options, outputs = page.split("\noutputs:\n")
    assert "\nOptions:\n  -h, --help " in options
    assert "  --input-parameters-file=INPUT_PARAMETERS_FILE\n" in options
    assert re.findall(r"--(\w+)=", options)[-5:] == ["in_sof", "in_sop", "word", "enable", "datasets"]
    assert re.findall(r"--(\w+)=", outputs) == ["out_sof", "out_sop", "word", "enable", "datasets", "loop"]
    assert "  -i IN_SOF, --in_sof=IN_SOF\n" in options
    assert "  -o OUT_SOF, --out_sof=OUT_SOF\n" in outputs


def test_help_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ACTOR, pass_on, ["--help"]) == 0
    assert "outputs:" in capsys.readouterr().out


def test_the_command_line_wins_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    assert outputs(tmp_path)["word"] == "default"
    assert outputs(tmp_path, given={"word": "file"})["word"] == "file"
    assert outputs(tmp_path, "--word", "line", given={"word": "file"})["word"] == "line"


def test_a_text_that_looks_like_a_set_of_files_stays_a_text(tmp_path: Path) -> None:
    assert outputs(tmp_path, given={"word": "a|b;c;d"})["word"] == "a|b;c;d"
    assert outputs(tmp_path, "--word", "a:b=c")["word"] == "a:b=c"


def test_json_and_text_form_mean_the_same(tmp_path: Path, fits: Path) -> None:
    sof = SetOfFiles("night", (FitsFile(str(fits), "BIAS", ("BIAS/SCI",)),))
    by_text = outputs(tmp_path, "-i", sof.text(), "--in_sop", "r:p=1")
    by_file = outputs(tmp_path, given={"in_sof": sof.document(), "in_sop": [parameter("r", "p", "1").document()]})
    assert by_text == by_file
    assert by_file["out_sof"] == sof.document()


def test_every_output_is_sent_except_those_that_may_be_silent(tmp_path: Path) -> None:
    found = outputs(tmp_path, work=lambda inputs: {})
    assert set(found) == {"out_sof", "out_sop", "word", "enable", "datasets"}
    assert found["out_sof"]["files"] == []
    assert found["enable"] == "false"


def test_what_travels_is_text_and_datasets_come_and_go_as_text_or_values(tmp_path: Path) -> None:
    for given in ([{"name": "a"}], '[{"name": "a"}]'):
        found = outputs(tmp_path, given={"datasets": given, "enable": True, "word": 3})
        assert json.loads(found["datasets"]) == [{"name": "a"}]
        assert (found["enable"], found["word"]) == ("true", "3")


def test_outputs_are_sorted_json(tmp_path: Path) -> None:
    outputs(tmp_path)
    text = (tmp_path / "out.json").read_text()
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=2) + "\n"


def test_without_an_output_file_stdout_holds_the_answer_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ACTOR, pass_on, []) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["word"] == "default"
    assert "a word to the user" in said.err


def test_stdout_and_stderr_are_also_written_to_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs(tmp_path, "--stdout-file", str(tmp_path / "o"), "--stderr-file", str(tmp_path / "e"))
    assert (tmp_path / "o").read_text() == capsys.readouterr().out == "a word to the user\n"
    assert (tmp_path / "e").read_text() == ""


def refused(tmp_path: Path, *words: str, given: str | None = None, work: Any = pass_on) -> int:
    if given is not None:
        (tmp_path / "in.json").write_text(given)
        words = ("--input-parameters-file", str(tmp_path / "in.json"), *words)
    status = run(ACTOR, work, ("--output-parameters-file", str(tmp_path / "out.json"), *words))
    assert not (tmp_path / "out.json").exists()
    assert not list(tmp_path.glob("*.part"))
    return status


def test_an_unknown_key_ends_as_in_esos_module(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(tmp_path, given='{"nothing": 1}') == 255
    assert "in.json: error: no such option: nothing" in capsys.readouterr().err


def test_an_unknown_option_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(tmp_path, "--nothing=1") == 2
    assert refused(tmp_path, "word") == 2
    assert "no such option: --nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{broken", "is no JSON"),
        ("[1]", "one JSON object"),
        ('{"in_sof": "no bar"}', "input in_sof: a set of files as text"),
        ('{"in_sof": {"files": [{"name": "/a,b.fits", "category": "X"}]}}', "make a symbolic link"),
        ('{"enable": "perhaps"}', "it must be true or false"),
        ('{"datasets": "[1"}', "input datasets is no JSON"),
        ('{"in_sop": "nothing"}', "recipe:parameter=value"),
    ],
)
def test_bad_input_is_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str, said: str
) -> None:
    assert refused(tmp_path, given=given) == 1
    assert said in capsys.readouterr().err


def test_a_missing_input_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ACTOR, pass_on, ["--input-parameters-file", str(tmp_path / "none.json")]) == 1
    assert "none.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/nowhere/a.fits", "does not exist; Reflex refuses"),
        ("relative.fits", "no absolute path"),
        ("/with;semicolon.fits", "make a symbolic link"),
    ],
)
def test_a_set_of_files_that_reflex_would_refuse_is_not_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    assert refused(tmp_path, work=lambda inputs: {"out_sof": SetOfFiles("d", (FitsFile(name, "X"),))}) == 1
    assert said in capsys.readouterr().err


def test_an_output_that_was_not_declared_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(tmp_path, work=lambda inputs: {"other": 1}) == 1
    assert "no output 'other'" in capsys.readouterr().err


def test_an_input_that_must_be_given_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needy = Actor("needy", "", (Port("must", required=True),), ())
    assert run(needy, lambda inputs: {}, []) == 1
    assert "link the port, or give --must" in capsys.readouterr().err


def test_a_refusal_says_the_reason_and_a_bug_says_that_it_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(inputs: Inputs) -> Mapping[str, Any]:
        raise ActorError("the disk is full")

    def stumble(inputs: Inputs) -> Mapping[str, Any]:
        raise RuntimeError("oops")

    assert refused(tmp_path, work=refuse) == 1
    assert capsys.readouterr().err == "pass_on: the disk is full\n"
    assert refused(tmp_path, work=stumble) == 3
    assert "internal error" in capsys.readouterr().err
