"""Plans, datasets, SOF files, decisions and keys of every synthetic night are as they were.

The nights lie on disk with their headers and without pixels, so that all of them take seconds. What follows from
headers and trees alone holds anywhere; what follows from rules and recipes holds for the pipelines of the golden file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.cli import main
from esorex_bridge.demo.archive.tree_xml import tree_document
from esorex_bridge.demo.nights.catalogue import NIGHTS, make_night
from tests.golden_files import Golden
from tests.statements import digest_of, installed_pipelines, key_of, libraries_of, pipeline_of, stated_parameters
from tests.tiny_fits import fits_of

FOLDERS = {"Raw2Raw": "data_with_raw_calibs", "Raw2Master": "data_with_processed_calibs"}
DEFAULT = "recipe default"

Ask = Callable[..., Any]


class BareNight:
    """A night on disk of which every file is a header, and what the commands say of it."""

    def __init__(self, name: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.listed, self.night = NIGHTS[name], make_night(name)
        self.root, self.capsys = root, capsys
        self.data = root / "reflex_input" / FOLDERS[self.listed.mode]
        self.data.mkdir(parents=True)
        for file in self.night.files:
            keywords = {_dotted(key): value for key, value in file.keywords}
            (self.data / f"{file.dp_id}.fits").write_bytes(fits_of(keywords))
        for tree in self.night.trees:
            if tree.mode == self.listed.mode:
                name = f"{tree.root.files[0].name}_{tree.mode.lower()}.xml"
                (self.data / name).write_text(tree_document(tree))

    @property
    def mode(self) -> tuple[str, ...]:
        return ("--mode", "master" if self.listed.mode == "Raw2Master" else "raw")

    @property
    def settings(self) -> tuple[str, ...]:
        return tuple(f"--set={text}" for text in self.listed.settings)

    def raw(self, *words: object) -> Any:
        """Return the JSON document of a command."""
        code = main([*map(str, words), "--json", "--root", str(self.root)])
        document = json.loads(self.capsys.readouterr().out)
        return {"exit code": code, **document} if code else document

    def ask(self, *words: object) -> Any:
        """Return the JSON document of a command without the name of the folder."""
        return self.portable(self.raw(*words))

    def portable(self, document: Any) -> Any:
        text = json.dumps(document, ensure_ascii=False)
        text = text.replace(str(self.data), "DATA").replace(str(self.root), "ROOT")
        return in_rows(json.loads(text))


ROWS = (
    ("name", "category", "path", "match", "certified"),
    ("category", "file"),
    ("category", "step", "product"),
    ("category", "content", "name"),
    ("name", "value", "origin"),
)
"""Keys of records that come by the hundred; in a golden file each is one line of its values."""


def in_rows(value: Any) -> Any:
    """Return a document with its many small records written as text; one with other keys stays as it is."""
    if isinstance(value, dict):
        if tuple(value) in ROWS and all(each is None or isinstance(each, str | bool) for each in value.values()):
            return " | ".join(map(str, value.values())).replace(f"DATA/{value.get('name')}.fits", "DATA/*.fits")
        return {key: in_rows(each) for key, each in value.items()}
    return [in_rows(each) for each in value] if isinstance(value, list) else value


def _dotted(keyword: str) -> str:
    return keyword.removeprefix("ESO ").replace(" ", ".") if keyword.startswith("ESO ") else keyword


@pytest.fixture(params=NIGHTS)
def bare(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> BareNight:
    return BareNight(request.param, tmp_path / "root", capsys)


@pytest.fixture
def golden(request: pytest.FixtureRequest, bare: BareNight, update_goldens: bool) -> Golden:
    return Golden(request.node.callspec.params["bare"], update_goldens)


def require_the_pipelines_of(golden: Golden) -> None:
    """Skip where the pipelines are not those of the golden file; another version has other parameters and rules."""
    if not golden.update:
        for name, version in golden.parts.get("pipelines", {}).items():
            if installed_pipelines().get(name) != version:
                there = installed_pipelines().get(name, "not installed")
                pytest.skip(f"the golden file is of {name} {version}; here it is {there}")


def test_trees_become_the_same_datasets_plans_and_sof_files(bare: BareNight, golden: Golden) -> None:
    by = ("--by", "calselector")
    golden.hold("plan by trees", bare.ask("plan", *by, *bare.mode, *bare.settings))
    golden.hold("organise by trees", bare.ask("organise", *by))
    plans = bare.raw("plan", *by, *bare.mode, *bare.settings)["datasets"]
    steps = [step for plan in plans for step in plan["steps"]]
    sofs = bare.raw("sof", *by, *bare.mode, *bare.settings)["sofs"]
    golden.hold("sof", bare.portable(sofs))
    for step, sof in zip(steps, sofs, strict=True):
        files = [f"{entry['file']} {entry['category']}" for entry in step["inputs"] if "file" in entry]
        lines = Path(sof["sof"]).read_text().splitlines()
        assert [line for line in lines if not line.startswith("#")] == files
        assert [line for line in lines if line.startswith("#")] == [f"# {text}" for text in sof["lacking"]]


def test_rules_become_the_same_datasets_and_plans(bare: BareNight, golden: Golden, esorex: str) -> None:
    require_the_pipelines_of(golden)
    for by in ("both", "oca"):
        golden.hold(f"organise by {by}", bare.ask("organise", "--by", by))
        plan = bare.ask("plan", "--by", by, *bare.mode, *bare.settings)
        golden.hold(f"plan by {by}", plan)
    for dataset in bare.raw("organise", "--by", "both")["datasets"]:
        name = dataset["name"]
        golden.hold(f"why {name}", bare.ask("why", name, "--by", "both"))
        golden.hold(f"review {name}", bare.ask("review", name, "--by", "both"))


def test_decisions_and_what_every_step_depends_on_are_the_same(bare: BareNight, golden: Golden, esorex: str) -> None:
    require_the_pipelines_of(golden)
    words = ("run", "--by", "calselector", *bare.mode, *bare.settings)
    steps = bare.raw(*words, "--explain")["steps"]
    pipelines = dict(sorted(pipeline_of(step["recipe"]).split("/") for step in steps))
    golden.hold("pipelines", pipelines)
    golden.hold("run --dry-run", bare.ask(*words, "--dry-run"))
    names = {step["key"]: step["step"] for step in steps}
    golden.hold("run --explain", bare.portable([portable_account(step, names) for step in steps]))


def portable_account(step: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Return the account of a step without what differs with each build of a pipeline: what is left is in its key."""
    given = [each for each in step["parameters"] if each["origin"] != DEFAULT]
    told = {name: value for name, value in step.items() if name not in ("key", "plugin", "pipeline")}
    inputs = [{**entry, "content": portable_content(entry["content"], names)} for entry in step["inputs"]]
    return {**told, "parameters": given, "inputs": inputs}


def portable_content(content: str, names: dict[str, str]) -> str:
    """Return a content with a step's name for its key, and the first digits of a digest."""
    match = re.fullmatch(r"step:(\w{64})/(.*)", content)
    return f"step:{names[match[1]]}/{match[2]}" if match else content[: len("sha256:") + 12]


def test_every_key_is_the_hash_of_what_the_rule_says(bare: BareNight, esorex: str) -> None:
    steps = bare.raw("run", "--by", "calselector", *bare.mode, *bare.settings, "--explain")["steps"]
    assert steps
    for step in steps:
        assert step["pipeline"] == pipeline_of(step["recipe"])
        given = {each["name"]: each["value"] for each in step["parameters"] if each["origin"] != DEFAULT}
        stated = stated_parameters(step["recipe"], given)
        assert [each["value"] for each in step["parameters"]] == [value for _, value in stated]
        inputs = [(entry["category"], entry["content"]) for entry in step["inputs"]]
        for entry in step["inputs"]:
            if entry["content"].startswith("sha256:"):
                assert entry["content"] == digest_of(bare.data / f"{entry['name']}.fits")
        libraries = libraries_of(step["recipe"])
        assert step["key"] == key_of(step["recipe"], stated, inputs, libraries=libraries), step["step"]
