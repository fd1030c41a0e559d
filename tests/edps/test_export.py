"""Definitions written as packages of EDPS, and read back."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path

import pytest
from msgspec.structs import replace

from esorex_bridge.cli import main
from esorex_bridge.definitions.edps.as_workflow import workflow_of
from esorex_bridge.definitions.folders import own_definitions
from esorex_bridge.definitions.installed_rules import installed_rules
from esorex_bridge.definitions.oca.classify import Classifier
from esorex_bridge.definitions.workflow import STATES, Workflow
from esorex_bridge.definitions.workflow_yaml import parse_workflow
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.demo.nights.night import FrameFolder
from esorex_bridge.edps.export import export_definition
from esorex_bridge.edps.find import locate_package
from esorex_bridge.edps.read import read_package
from esorex_bridge.edps.sources import gather_sources
from tests.edps.test_run_package import call

RULES = """
if DPR.CATG == "CALIB" and DPR.TYPE like "%DARK%" then { DO.CATG = "DARK"; }
if DPR.CATG == "CALIB" and (DPR.TYPE == "FLAT" or DPR.TYPE == "LAMP") then { DO.CATG = "FLAT"; }
if DPR.TYPE == "OBJECT" and INS.MODE is undefined then { DO.CATG = "OBJECT"; }
if PRO.CATG == "MASTER_DARK" then { DO.CATG = "MASTER_DARK"; }
"""
DEFINITION = """
workflow: mini
title: A definition with all there is
instruments: [MINI, MIN]
applies: {INS.MODE: [IMG]}
pipeline: mini
state: from documentation
versions: [1.2]
sources: [the manual]
steps:
  - recipe: mini_object
    main: [OBJECT]
    tags: {OBJECT: SCI}
    each: true
    threads: 2
    memory_mb: 300
    calibrations:
      MASTER_FLAT: {required: true, match: [INS.FILT], strict: [INS.FILT], loose: {DET.READ: it does not matter}}
      MASTER_DARK:
        match: [DET.DIT]
        limit: all
        validity:
          - {days: [-1, 1]}
          - {days: [-7, 7], level: 1, match: [DET.DIT, DET.READ]}
          - {days: [-.inf, .inf], level: 3}
      DARK: {limit: 3, match: [DET.DIT], noted: false}
      STATIC_MAP: {sources: [OLD_MAP]}
    products: [IMAGE, WEIGHT]
    parameters: {clean: true, kappa: 3.5, method: mean}
  - recipe: mini_dark
    main: [DARK]
    minimum: 3
    maximum: 9
    group_by: [DET.DIT, DET.READ]
    products: [MASTER_DARK]
  - recipe: mini_flat
    main: [FLAT]
    group_by: [INS.FILT]
    always: true
    products: [MASTER_FLAT]
"""


def exported(workflow: Workflow, folder: Path, oca: Path | None = None) -> Workflow:
    place = export_definition(workflow, folder, oca)
    found = locate_package(f"edps:{place}")
    package = read_package(gather_sources(found.folder, found.module), cache=folder / "cache")
    assert package.description.not_understood == () and package.unknown_tasks() == ()
    return workflow_of(package)


def comparable(workflow: Workflow) -> Workflow:
    """Leave out where things stand, and write values of parameters as texts, which is what EDPS has."""
    steps = tuple(
        replace(
            step,
            source="",
            line=0,
            parameters=tuple((name, str(each).upper() if isinstance(each, bool) else str(each))
                             for name, each in step.parameters),
        )
        for step in workflow.steps
    )  # fmt: skip
    return replace(workflow, source="", steps=steps)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    place = tmp_path / "mini.oca"
    place.write_text(RULES)
    return place


def test_a_definition_reads_back_as_an_equal_one(tmp_path: Path, rules: Path) -> None:
    workflow = parse_workflow(DEFINITION, "mini.yaml")
    assert comparable(exported(workflow, tmp_path, rules)) == comparable(workflow)


def test_what_a_package_can_say_is_said_in_python_and_not_beside_it(tmp_path: Path, rules: Path) -> None:
    workflow = parse_workflow(DEFINITION, "mini.yaml")
    place = export_definition(workflow, tmp_path, rules)
    (place / "esorex_bridge.json").unlink()
    found = locate_package(f"edps:{place}")
    alone = workflow_of(read_package(gather_sources(found.folder, found.module), cache=tmp_path / "cache"))
    by_name = {step.name: step for step in alone.steps}
    dark, science = by_name["mini_dark_1"], by_name["mini_object_1"]
    assert (dark.recipe, dark.main, dark.minimum, dark.group_by) == ("mini_dark", ("DARK",), 3, ("DET.DIT", "DET.READ"))
    assert dict(science.tags) == {"OBJECT": "SCI"} and dict(science.parameters)["kappa"] == "3.5"
    master = next(each for each in science.calibrations if each.category == "MASTER_DARK")
    assert (master.required, master.limit, master.match) == (False, None, ("DET.DIT",))
    assert [(way.days, way.level) for way in master.validity] == [((-1, 1), 0), ((-7, 7), 1), ((-inf, inf), 3)]
    assert [each.limit for each in science.calibrations if each.category == "DARK"] == [3]


VERIFIED = [each.name for each in own_definitions().all() if each.state == STATES[0]]


@pytest.mark.parametrize("name", VERIFIED)
def test_verified_definitions_read_back_as_equal_ones(tmp_path: Path, name: str) -> None:
    workflow = own_definitions().find(name)
    if installed_rules(workflow.instruments[0]) is None:
        pytest.skip("the pipeline's rules are not installed")
    assert comparable(exported(workflow, tmp_path)) == comparable(workflow)


def test_an_exported_package_classifies_as_the_rules_do(tmp_path: Path) -> None:
    rules = installed_rules("NAOS+CONICA")
    if rules is None:
        pytest.skip("the pipeline's rules are not installed")
    place = export_definition(own_definitions().find("naco"), tmp_path)
    module: dict[str, object] = {}
    exec((place / "naco_rules.py").read_text(), module)
    tag = module["tag"]
    assert callable(tag)
    classify = Classifier(rules)
    seen = set()
    for file in naco_night(npix=128).files:
        header = {key.removeprefix("ESO ").replace(" ", "."): value for key, value in file.keywords}
        lower = {key.lower(): value for key, value in header.items()}
        found = tag(type("File", (), {"__getitem__": lambda self, key, here=lower: here.get(key)})())
        assert found == classify(header).category
        seen.add(found)
    assert {"CAL_DARK", "CAL_FLAT_TW", "IM_JITTER_OBJ"} <= seen


def test_an_exported_package_plans_the_night_as_the_definition_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if installed_rules("NAOS+CONICA") is None:
        pytest.skip("the pipeline's rules are not installed")
    folder = FrameFolder(tmp_path / "root" / "reflex_input")
    night = naco_night(npix=128)
    for file in night.files:
        folder.fits(night, file)
    assert main(["workflows", "export", "naco", "--edps", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    words = ("plan", "--root", str(tmp_path / "root"))
    ours = call(capsys, *words, "--by", "oca", "--workflow", "naco")
    theirs = call(capsys, *words, "--workflow", f"edps:{tmp_path}/out/naco")

    def science(document: dict[str, object]) -> list[str]:
        datasets = document["datasets"]
        assert isinstance(datasets, list)
        steps = [step for each in datasets for step in each["steps"] if step["recipe"] == "naco_img_jitter"]
        return sorted({entry["category"] for step in steps for entry in step["inputs"]})

    assert science(theirs) == science(ours)


def test_export_refuses_what_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workflows", "export", "naco"]) == 1
    assert "export takes definitions and a folder" in capsys.readouterr().err
    (tmp_path / "naco").mkdir()
    assert main(["workflows", "export", "naco", "--edps", str(tmp_path), "--json"]) == 1
    message = json.loads(capsys.readouterr().out)["error"]["message"]
    assert "is there already" in message or "no OCA rules" in message
