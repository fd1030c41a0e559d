"""A program of the user's own between two recipes, in a definition that extends ours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from astropy.io import fits

from esorex_bridge.definitions.parameters import ParameterError, ParameterSetting
from esorex_bridge.run.report import DatasetReport
from esorex_bridge.run.reporter import SilentReporter
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings
from tests.flows.conftest import Ended
from tests.programs import first_lines

PROGRAM = f"""{first_lines()}import sys
from astropy.io import fits

*parameters, sof = sys.argv[1:]
factor = float(dict(word.lstrip("-").split("=") for word in parameters)["factor"])
for line in open(sof):
    path, tag = line.split()
    assert tag == "MASTER_IMG_FLAT", tag
    with fits.open(path) as hdus:
        hdus[0].data = hdus[0].data * factor
        hdus[0].header["HIERARCH ESO PRO CATG"] = "OWN_FLAT"
        hdus.writeto("own_flat.fits")
"""
DEFINITION = """
workflow: naco
extends: naco
change:
  naco_img_dark: {parameters: {r: "8 8 8 8"}}
  naco_img_twflat: {parameters: {r: "8 8 8 8"}}
  naco_img_jitter:
    calibrations:
      MASTER_IMG_FLAT: {from: OWN_FLAT}
    parameters: {xcorr: "12 12 20 20"}
steps:
  - name: scale_flat
    command: [./scale_flat.py]
    main: [MASTER_IMG_FLAT]
    parameters: {factor: 1.0}
    products: [OWN_FLAT]
"""


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    program = tmp_path / "scale_flat.py"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    path = tmp_path / "my_naco.yaml"
    path.write_text(DEFINITION)
    return path


def reduced(root: Path, definition: Path, *settings: ParameterSetting) -> DatasetReport:
    with Session(Settings(root, workflow=definition, parameters=settings)) as session:
        (report,) = session.run(session.planning.plan_datasets(), SilentReporter(), datetime(2020, 1, 1))
    return report


def decisions(report: DatasetReport) -> dict[str | None, str]:
    return {step.recipe: step.decision for step in report.steps if step.products}


def test_the_program_runs_between_the_recipes_and_again_only_when_it_changes(
    root: Path, definition: Path, esorex: str
) -> None:
    first = reduced(root, definition)
    assert [step.error for step in first.steps if step.error] == []
    assert decisions(first)["scale_flat"] == "execute"
    assert set(decisions(reduced(root, definition)).values()) == {"reuse"}
    program = definition.with_name("scale_flat.py")
    program.write_text(program.read_text() + "# another version\n")
    changed = decisions(reduced(root, definition))
    assert {recipe for recipe, decision in changed.items() if decision == "execute"} == {
        "scale_flat", "naco_img_jitter",
    }  # fmt: skip


def test_what_the_program_makes_reaches_the_recipe_under_its_tag(root: Path, definition: Path, esorex: str) -> None:
    report = reduced(root, definition, ParameterSetting("scale_flat", "factor", "2.0", "--set"))
    steps = {step.recipe: step for step in report.steps}
    (own,) = steps["scale_flat"].products
    (flat,) = [product for product in steps["naco_img_twflat"].products if product.category == "MASTER_IMG_FLAT"]
    assert fits.getdata(own.path).mean() == pytest.approx(2 * fits.getdata(flat.path).mean(), rel=1e-5)
    sof = steps["naco_img_jitter"].sof
    assert sof is not None
    assert f"{own.path.name} MASTER_IMG_FLAT\n" in sof.read_text()


def test_a_program_that_fails_is_told_with_its_last_words(root: Path, definition: Path, esorex: str) -> None:
    definition.with_name("scale_flat.py").write_text("#!/bin/sh\necho no such luck\nexit 3\n")
    report = reduced(root, definition)
    errors = {step.recipe: step.error for step in report.steps if step.error}
    assert "ended with 3: no such luck" in errors["scale_flat"]
    assert "naco_img_jitter" in errors


def test_a_program_that_is_not_there_is_named_before_anything_runs(root: Path, definition: Path, esorex: str) -> None:
    definition.with_name("scale_flat.py").unlink()
    report = reduced(root, definition)
    assert not any(step.products for step in report.steps)
    assert any("there is no program" in step.reason + step.error for step in report.steps)


def test_a_parameter_that_the_definition_does_not_have_is_refused(root: Path, definition: Path, esorex: str) -> None:
    with pytest.raises(ParameterError, match="recipe scale_flat has no parameter 'facter'"):
        reduced(root, definition, ParameterSetting("scale_flat", "facter", "2.0", "--set"))


def test_a_review_plans_by_the_definition_that_is_the_users_own(
    root: Path, definition: Path, bridge: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESOREX_BRIDGE_WORKFLOWS", str(definition.parent))
    (planned,) = bridge("plan", "--root", root, "--json").json["datasets"]
    assert "scale_flat" in {step["recipe"] for step in planned["steps"]}
    done = bridge("review", planned["dataset"], "--root", root, "--set", "scale_flat.factor=2")
    assert done.code == 0, done.err
    assert "scale_flat" in (root / "choices.yaml").read_text()
