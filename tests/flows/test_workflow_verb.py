"""`esorex-bridge workflows`: what there is, and whether it holds against the installed recipes and rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from esorex_bridge.definitions.workflow import STATES
from tests.flows.conftest import Ended

INSTALLED = {"naco", "hawki", "visir", "uves", "vimos", "vimos_spectra", "giraf", "muse", "amber"}


def test_all_definitions_are_listed_with_state_and_sources(bridge: Callable[..., Ended]) -> None:
    done = bridge("workflows", "--json")
    listed = {workflow["name"]: workflow for workflow in done.json["workflows"]}
    assert done.code == 0
    assert set(listed) >= INSTALLED | {"fors", "xshooter", "kmos", "espresso", "harps", "sphere_irdis", "gravity"}
    for workflow in listed.values():
        assert workflow["state"] in STATES
        assert workflow["sources"], workflow["name"]
        assert workflow["versions"] or workflow["state"] == "from documentation"


def test_the_list_shows_state_versions_and_sources(bridge: Callable[..., Ended]) -> None:
    blocks = re.split(r"\n(?=\S)", bridge("workflows").out)
    lines = {block.split()[0]: " ".join(block.split()) for block in blocks}
    assert lines["name"].split()[:3] == ["name", "state", "versions"]
    assert "verified on real recipes" in lines["naco"]
    assert "4.4.11" in lines["naco"]
    assert "from documentation" in lines["sinfoni"]
    assert "manual pages of the recipes" in lines["sinfoni"]


def test_all_definitions_hold(bridge: Callable[..., Ended], esorex: str) -> None:
    done = bridge("workflows", "check", "--json")
    assert done.code == 0, done.out
    problems = [finding["problem"] for finding in done.json["findings"] if "not checked" in finding["problem"]]
    assert not any(f"pipeline {name}" in problem for problem in problems for name in INSTALLED)


def test_every_recipe_that_takes_raws_is_reached_by_the_rules_of_its_pipeline(
    bridge: Callable[..., Ended], esorex: str
) -> None:
    done = bridge(
        "workflows", "check", "naco", "visir", "uves", "giraf", "muse", "vimos_spectra", "hawki", "amber", "--json"
    )
    unreached = [finding["problem"] for finding in done.json["findings"] if "never reach" in finding["problem"]]
    assert unreached == []


def test_a_mistake_is_told_with_file_and_line(bridge: Callable[..., Ended], tmp_path: Path, esorex: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "workflow: mine\nextends: naco\nchange:\n  naco_img_twflat:\n    parameters: {bpn: true}\n"
        "  naco_img_jitter:\n    tune: {sky_planes: 24, rejj: 2 2}\n"
        "steps:\n  - {recipe: naco_img_gone, main: [X], products: [Y]}\n"
    )
    done = bridge("workflows", "check", path)
    assert done.code == 1
    assert f"{path}:5: recipe naco_img_twflat has no parameter 'bpn'" in done.out
    assert f"{path}:7: tune says sky_planes is 24 by default, but it is 25" in done.out
    assert f"{path}:7: recipe naco_img_jitter has no parameter 'rejj'" in done.out
    assert f"{path}:9: recipe naco_img_gone is not installed" in done.out


def test_a_definition_of_the_user_is_listed_before_ours(bridge: Callable[..., Ended], tmp_path: Path) -> None:
    folder = tmp_path / "esorex-bridge" / "workflows"
    folder.mkdir(parents=True)
    (folder / "naco.yaml").write_text("workflow: naco\nextends: naco\ntitle: My own NACO\n")
    done = bridge("workflows", "show", "naco", env={"XDG_CONFIG_HOME": str(tmp_path)})
    assert done.out.startswith("naco: My own NACO (verified on real recipes)")
    assert "naco_img_jitter_1" in done.out


@pytest.mark.parametrize(
    ("name", "said"), [("gone", "there is no definition 'gone'"), ("gone.yaml", "cannot be read"), ("nacoo", "'naco'?")]
)
def test_a_name_that_is_none_is_refused(name: str, said: str, bridge: Callable[..., Ended]) -> None:
    done = bridge("workflows", "show", name)
    assert done.code == 1
    assert said in done.err


@pytest.mark.parametrize(
    ("spelling", "names"),
    [
        ("HAWK-I", ["hawki"]),
        ("hawki", ["hawki"]),
        ("GIRAFFE", ["giraf"]),
        ("NAOS+CONICA", ["naco"]),
        ("X-shooter", ["xshooter"]),
        ("SPHERE", ["sphere_ifs", "sphere_irdis", "sphere_zimpol"]),
        ("FORS2", ["fors", "fors_spectra"]),
    ],
)
def test_definitions_are_named_by_instruments_as_eso_spells_them(
    spelling: str, names: list[str], bridge: Callable[..., Ended]
) -> None:
    listed = bridge("workflows", "show", spelling, "--json").json["workflows"]
    assert sorted(each["name"] for each in listed) == names


def test_an_instrument_with_several_definitions_is_no_name_of_one(bridge: Callable[..., Ended], tmp_path: Path) -> None:
    ended = bridge("reflex", "workflow", "SPHERE")
    assert ended.code == 1
    assert "SPHERE has 3 definitions, for its modes; name one of sphere_ifs, sphere_irdis, sphere_zimpol" in ended.err
    assert bridge("plan", "--workflow", "SPHERE", "--root", tmp_path).code == 1
    assert bridge("reflex", "workflow", "HAWK-I").code == 0


def test_a_draft_names_its_instrument_as_headers_do(bridge: Callable[..., Ended], esorex: str) -> None:
    (rules,) = Path("/usr/share/cpl-plugins").glob("giraf-*/gasgano/config/giraf.oca")
    drafted = bridge("workflows", "import", rules, "--instrument", "Giraffe")
    assert "instruments: [GIRAFFE, GIRAF]" in drafted.out, drafted.err
