"""Plans, datasets, SOF files, decisions and keys of every synthetic night are as they were.

The nights lie on disk with their headers and without pixels, so that all of them take seconds. What follows from
headers and trees alone holds anywhere; what follows from rules and recipes holds for the pipelines of the golden file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.demo.nights.catalogue import NIGHTS
from tests.flows.bare_night import BareNight
from tests.golden_files import Golden
from tests.statements import (
    digest_of,
    installed_pipelines,
    key_of,
    libraries_of,
    pipeline_of,
    stated_by_content,
    stated_parameters,
)

DEFAULT = "recipe default"

Ask = Callable[..., Any]


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
        parameters = stated_by_content(stated)
        assert step["key"] == key_of(step["recipe"], parameters, inputs, libraries=libraries), step["step"]
