"""What is said to have run: steps that there are, on nights that there are, and of our definitions alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from esorex_bridge.cli import main
from esorex_bridge.definitions.folders import own_definitions, read_workflow
from esorex_bridge.definitions.ran_here import count_runs, known_runs, state_of
from esorex_bridge.definitions.workflow import STATES
from esorex_bridge.demo.nights.catalogue import NIGHTS


def test_every_step_that_ran_is_one_of_a_definition_and_every_night_is_there() -> None:
    assert known_runs()
    for name, runs in known_runs().items():
        steps = {step.name for step in own_definitions().find(name).steps}
        assert runs.keys() <= steps
        for run in runs.values():
            assert run.nights and set(run.nights) <= NIGHTS.keys()


@pytest.mark.parametrize("name", sorted(own_definitions().paths))
def test_a_definition_is_called_verified_where_a_step_of_it_ran_and_nowhere_else(name: str) -> None:
    definition = own_definitions().find(name)
    assert (count_runs(definition) > 0) == (definition.state == STATES[0])


def test_workflows_say_of_each_step_whether_it_ran(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workflows", "show", "naco", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    states = {
        step["step"]: step["state"]
        for step in (document["workflows"][0] if "workflows" in document else document)["steps"]
    }
    assert states["naco_img_jitter_1"].startswith("ran here with naco/")
    assert states["naco_img_lampflat_1"] == "from documentation"


def test_what_a_user_wrote_under_a_name_of_ours_did_not_run_here(tmp_path: Path) -> None:
    path = tmp_path / "naco.yaml"
    path.write_bytes(own_definitions().paths["naco"].read_bytes())
    mine = read_workflow(path)
    assert count_runs(mine) == 0
    assert state_of(mine, "naco_img_jitter_1") == "from documentation"
