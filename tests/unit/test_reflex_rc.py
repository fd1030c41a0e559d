"""Reflex's settings: what is there stays, what is missing is added, and a copy is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from reflex_actors.doctor import examine
from reflex_actors.install import install
from reflex_actors.rc_file import RcFile, rc_in_force, wanted_settings, write_rc

ESO = """# written by ESO's installation
esoreflex.inherit-environment=FALSE
esoreflex.workflow-path=~/KeplerData/workflows/MyWorkflows:${installation_dir}/share/reflex/workflows
esoreflex.esorex-command=/opt/eso/bin/esorex
esoreflex.path=/opt/eso/bin:/usr/bin
"""


def installation(folder: Path, text: str = ESO) -> dict[str, str]:
    """Make an installation of Reflex, and return the variables by which it is found."""
    (folder / "bin").mkdir(parents=True)
    (folder / "etc").mkdir()
    (folder / "bin" / "esoreflex").write_text("#!/bin/sh\n")
    (folder / "bin" / "esoreflex").chmod(0o755)
    (folder / "etc" / "esoreflex.rc").write_text(text)
    return {"PATH": f"{folder / 'bin'}:/usr/bin:/bin"}


def test_the_path_of_workflows_grows_and_what_is_set_stays() -> None:
    wanted = wanted_settings(RcFile(None, ESO), Path("/home/me/actors"), "/usr/bin/esorex")
    assert wanted == {
        "workflow-path": "~/KeplerData/workflows/MyWorkflows:${installation_dir}/share/reflex/workflows:"
        "/home/me/actors/workflows"
    }
    again = RcFile(None, RcFile(None, ESO).with_setting("workflow-path", wanted["workflow-path"]))
    assert wanted_settings(again, Path("/home/me/actors"), "/usr/bin/esorex") == {}


def test_without_any_settings_the_workflows_of_the_installation_stay_listed() -> None:
    wanted = wanted_settings(RcFile(None), Path("/a"), "/usr/bin/esorex")
    assert "${installation_dir}/share/reflex/workflows" in wanted["workflow-path"]
    assert wanted["esorex-command"] == "/usr/bin/esorex"


def test_the_users_file_begins_with_what_is_in_force_and_a_copy_is_kept(tmp_path: Path) -> None:
    home, variables = tmp_path / "home", installation(tmp_path / "eso")
    rc = rc_in_force(home, variables)
    assert rc.path == tmp_path / "eso" / "etc" / "esoreflex.rc"
    written, backup = write_rc(rc, {"workflow-path": "/x"}, home)
    assert backup is None
    assert "esoreflex.esorex-command=/opt/eso/bin/esorex" in written.read_text()
    assert rc_in_force(home, variables).path == written
    _, backup = write_rc(rc_in_force(home, variables), {"path": "/y"}, home)
    assert backup is not None
    assert "esoreflex.path=/opt/eso/bin" in backup.read_text()
    assert "esoreflex.path=/y\n" in written.read_text()
    assert written.read_text().count("esoreflex.path=") == 1


def test_the_doctor_finds_reflex_its_settings_and_interpreters_that_are_gone(tmp_path: Path) -> None:
    variables = installation(tmp_path / "eso", ESO + "esoreflex.esorex-config=TRUE\n")
    folder = install(tmp_path / "actors", "/nowhere/python").folder
    found = [(each.what, each.state, each.text) for each in examine(folder, tmp_path, variables, ())]
    assert ("Reflex", "ok", str(tmp_path / "eso" / "bin" / "esoreflex")) in found
    said = "\n".join(f"{state} {text}" for _, state, text in found)
    assert "mend esoreflex.esorex-config is TRUE" in said
    assert f"mend {folder / 'tune_recipe.py'} starts /nowhere/python, which is not there" in said


@pytest.mark.parametrize("variables", [{"PATH": "/nowhere"}, {}])
def test_without_reflex_the_doctor_says_what_runs_without_it(tmp_path: Path, variables: dict[str, str]) -> None:
    found = {each.what: each for each in examine(tmp_path, tmp_path, {"PATH": "/nowhere", **variables}, ())}
    assert "reflex run FILE" in found["Reflex"].text
