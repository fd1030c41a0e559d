"""Definitions drafted from a pipeline's rules and its recipes' manual pages reduce a night as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from esorex_bridge.cli.demo import PROGRAM
from esorex_bridge.definitions.workflow_yaml import parse_workflow
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.hawki import hawki_night
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.demo.nights.night import DemoNight
from tests.flows.conftest import SMALL, Ended

RULES = Path("/usr/share/cpl-plugins")


def rules_of(pipeline: str) -> Path:
    found = sorted(RULES.glob(f"{pipeline}-*/gasgano/config/{pipeline}.oca"))
    if not found:
        pytest.skip(f"the rules of pipeline {pipeline} are not installed")
    return found[-1]


def reduced_with_draft(
    bridge: Callable[..., Ended], night: DemoNight, pipeline: str, folder: Path, *words: str
) -> Ended:
    draft = bridge("workflows", "import", rules_of(pipeline))
    assert draft.code == 0, draft.err
    definition = folder / f"{pipeline}_draft.yaml"
    definition.write_text(draft.out)
    with EmbeddedArchive([night], folder / "archive") as archive:
        return bridge(
            "reduce", "--program", PROGRAM, "--instrument", night.instrument, "--workflow", definition,
            "--root", folder / "data", "--archive", archive.url, "--json", *words,
        )  # fmt: skip


def test_a_drafted_naco_definition_reduces_a_night(bridge: Callable[..., Ended], tmp_path: Path, esorex: str) -> None:
    done = reduced_with_draft(bridge, naco_night(128), "naco", tmp_path, *SMALL)
    assert done.code == 0, done.err
    assert done.decisions["naco_img_twflat"] == done.decisions["naco_img_jitter"] == "execute"
    assert [product["category"] for product in done.step("naco_img_jitter")["products"]] == ["COADDED_IMG"]


@pytest.mark.slow
def test_a_drafted_hawki_definition_reduces_a_night_and_asks_no_server(
    bridge: Callable[..., Ended], tmp_path: Path, esorex: str
) -> None:
    done = reduced_with_draft(bridge, hawki_night(), "hawki", tmp_path)
    assert done.code == 0, done.err
    made = {product["category"] for product in done.step("hawki_science_process")["products"]}
    assert {"JITTERED_IMAGE_SCI", "OBJECT_CATALOGUE_JITTERED"} <= made


@pytest.mark.parametrize("pipeline", ["amber", "giraf", "muse", "uves", "vimos", "visir"])
def test_the_draft_of_any_pipeline_is_a_definition(bridge: Callable[..., Ended], pipeline: str, esorex: str) -> None:
    done = bridge("workflows", "import", rules_of(pipeline))
    workflow = parse_workflow(done.out, "draft")
    assert workflow.state == "from documentation"
    assert all(step.main for step in workflow.steps)


def test_a_pipeline_that_is_not_installed_is_named(bridge: Callable[..., Ended], tmp_path: Path) -> None:
    rules = tmp_path / "nosuch.oca"
    rules.write_text('action A { recipe no_such; }\nif DPR.CATG == "X" then { REFLEX.CATG = "X"; }\n')
    done = bridge("workflows", "import", rules)
    assert done.code != 0
    assert "pipeline 'nosuch' are not installed" in done.err


def test_import_without_a_file_says_what_it_takes(bridge: Callable[..., Ended]) -> None:
    done = bridge("workflows", "import")
    assert done.code != 0
    assert "one OCA file" in done.err
