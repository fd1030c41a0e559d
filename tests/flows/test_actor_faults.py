"""Actors that cannot do what was asked say so in words, end with another status than 0, leave nothing half-written."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from reflex_actors.actors import NAMES
from reflex_actors.install import MODULES, install
from tests.batch_runs import await_that
from tests.commands import PATIENCE_S
from tests.flows.reflex_driver import ReflexDriver

SCIENCE = "NACO.2016-03-02T00:30:00.076"


@pytest.fixture(scope="module")
def reflex(tmp_path_factory: pytest.TempPathFactory, actors_folder: Path, empty_home: Path) -> ReflexDriver:
    return ReflexDriver(actors_folder, tmp_path_factory.mktemp("scratch"), empty_home)


@pytest.mark.parametrize("name", NAMES)
def test_every_actor_shows_its_ports(reflex: ReflexDriver, name: str) -> None:
    known = reflex.ports(f"{name}.py")
    assert known.inputs
    assert known.outputs


def said(reflex: ReflexDriver, script: str, **inputs: Any) -> str:
    ended = reflex.run(script, inputs)
    assert ended.status not in (0, 3), ended.stderr
    assert ended.outputs == {}
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_no_network(reflex: ReflexDriver) -> None:
    text = said(reflex, "query_archive.py", program="60.A-9999(A)", archive="http://127.0.0.1:9")
    assert "127.0.0.1:9" in text


@pytest.mark.parametrize(
    ("fault", "service", "text"),
    [
        ("login_page", "file", "instead of the file, as it does when a login has run out"),
        # A public file that is refused is asked for again for more than a minute.
        pytest.param("http_401", "file", "run 'esorex-bridge login'", marks=pytest.mark.slow),
        ("http_404", "file", "of 20 files could not be fetched; what came is kept"),
    ],
)
def test_an_archive_that_fails(
    reflex: ReflexDriver, small_archive: EmbeddedArchive, tmp_path: Path, fault: str, service: Any, text: str
) -> None:
    small_archive.fault(fault, service)
    words = {"data_dir": str(tmp_path), "dp_ids": SCIENCE, "archive": small_archive.url}
    assert text in said(reflex, "calselector_fetch.py", **words)
    assert not list(tmp_path.glob("*.fits"))


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("unsupported", "does not support this kind of file"),
        ("incomplete", "the association is incomplete"),
        ("uncertified", "not certified by ESO yet"),
        ("downgrade", "Raw2Master was asked for, Raw2Raw was carried out"),
    ],
)
def test_what_calselector_lacks_is_told_and_the_rest_is_fetched(
    reflex: ReflexDriver, small_archive: EmbeddedArchive, tmp_path: Path, fault: str, text: str
) -> None:
    small_archive.fault(fault, "calselector")
    words = {"data_dir": str(tmp_path), "dp_ids": SCIENCE, "archive": small_archive.url}
    found = reflex.ok("calselector_fetch.py", mode="master" if fault == "downgrade" else "raw", **words)
    assert text in found["messages"]
    assert (found["complete"], found["certified"]) == (
        "false" if fault in ("empty_tree", "unsupported", "incomplete") else "true",
        "false" if fault == "uncertified" else "true",
    )
    assert len(list(tmp_path.glob("*.fits"))) >= 5


def test_a_folder_without_data(reflex: ReflexDriver, tmp_path: Path) -> None:
    assert "No datasets have been created" in said(reflex, "organise_datasets.py", data_dir=str(tmp_path))
    assert "which is not a folder" in said(reflex, "organise_datasets.py", data_dir=str(tmp_path / "none"))
    assert "no science frames" in said(reflex, "calselector_fetch.py", data_dir=str(tmp_path))


def test_names_and_modes_that_are_none(reflex: ReflexDriver, tmp_path: Path) -> None:
    assert "no archive name" in said(reflex, "query_archive.py", dp_ids="../../etc/passwd")
    assert "it must be raw" in said(reflex, "calselector_fetch.py", data_dir=str(tmp_path), dp_ids="", mode="both")


def test_a_file_that_is_not_there(reflex: ReflexDriver, tmp_path: Path, esorex: str) -> None:
    sof = f"night|{tmp_path}/none.fits;CAL_DARK;DARK/OBJECT"
    text = said(reflex, "run_recipe.py", in_sof=sof, recipe="naco_img_dark")
    assert "none.fits" in text


def test_a_recipe_that_is_not_installed(reflex: ReflexDriver, tmp_path: Path, esorex: str) -> None:
    (tmp_path / "a.fits").touch()
    sof = f"night|{tmp_path}/a.fits;CAL_DARK;DARK/OBJECT"
    assert "not installed" in said(reflex, "run_recipe.py", in_sof=sof, recipe="no_such_recipe")


def test_a_failing_recipe_under_continue_gives_an_empty_set(reflex: ReflexDriver, tmp_path: Path, esorex: str) -> None:
    (tmp_path / "a.fits").touch()
    sof = f"night|{tmp_path}/a.fits;CAL_DARK;DARK/OBJECT"
    found = reflex.ok("run_recipe.py", in_sof=sof, recipe="naco_img_dark", failure_mode="Continue")
    assert found["out_sof"]["files"] == []
    assert found["errors"]


def test_an_interpreter_that_is_gone(tmp_path: Path, empty_home: Path) -> None:
    installed = install(tmp_path / "actors", interpreter="/no/such/python")
    ended = ReflexDriver(installed.folder, tmp_path, empty_home).run("query_archive.py", {})
    assert ended.status == 1
    assert "run 'esorex-bridge reflex install'" in ended.stderr


def test_a_python_too_old_is_named_by_own_actors(tmp_path: Path) -> None:
    package = install(tmp_path / "actors").folder / "reflex_actors"
    assert {path.stem for path in package.glob("*.py")} == {"__init__", *MODULES}
    old = "import sys; sys.version_info = (3, 6, 9); sys.path.insert(0, sys.argv[1]); import reflex_actors"
    done = subprocess.run(
        ["/usr/bin/python3", "-c", old, str(package.parent)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "needs Python 3.8 or later" in done.stderr


def test_a_folder_that_reflex_cannot_name_is_refused(tmp_path: Path) -> None:
    from esorex_bridge.errors import UserError

    with pytest.raises(UserError, match="symbolic link"):
        install(tmp_path / "a,b")


def test_a_signal_ends_actor_and_command(reflex: ReflexDriver, tmp_path: Path) -> None:
    mark = tmp_path / "started"
    (tmp_path / "a.fits").touch()
    command = f"sh -c 'touch {mark}; sleep 60'"
    words = ("--in_sof", f"d|{tmp_path}/a.fits;X;", "--command", command, "--products-dir", str(tmp_path))
    process = subprocess.Popen(reflex.command("run_command.py", *words), stderr=subprocess.PIPE)
    await_that(mark.exists)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143


def test_a_script_in_any_language_can_be_a_step(reflex: ReflexDriver, tmp_path: Path) -> None:
    script = tmp_path / "clean.sh"
    script.write_text(
        'while read -r path tag; do cp "$path" "clean_$(basename "$path")"; '
        'echo "clean_$(basename "$path") CLEAN_$tag" >> products.sof; done < "$1"\n'
    )
    (tmp_path / "a.fits").write_text("x")
    found = reflex.ok("run_command.py", in_sof=f"d|{tmp_path}/a.fits;RAW;RAW/SCI", command=f"sh {script}")
    (file,) = found["out_sof"]["files"]
    assert (file["category"], file["purposes"]) == ("CLEAN_RAW", ["SCI"])
    given = {"in_sof": f"d|{tmp_path}/a.fits;RAW;"}
    assert "ended with 3" in said(reflex, "run_command.py", command="sh -c 'exit 3'", **given)
    assert "cannot be started" in said(reflex, "run_command.py", command="/no/such/command", **given)
    assert "left no product" in said(reflex, "run_command.py", command="true", **given)
    assert reflex.ok("run_command.py", in_sof="d|", command="/no/such/command")["out_sof"]["files"] == []


def test_more_than_the_user_wants_is_not_fetched(
    reflex: ReflexDriver, small_archive: EmbeddedArchive, tmp_path: Path
) -> None:
    words = {"data_dir": str(tmp_path / "data"), "dp_ids": SCIENCE, "archive": small_archive.url}
    refused = said(reflex, "calselector_fetch.py", **words, max_frames="3")
    assert "20 files to fetch, about 0.00 GB" in refused
    assert "MAX_FRAMES is 3" in refused
    assert "it must be a number" in said(reflex, "calselector_fetch.py", **words, max_gb="many")
    assert not list((tmp_path / "data").glob("*.fits*")) if (tmp_path / "data").exists() else True
    found = reflex.run("calselector_fetch.py", {**words, "max_frames": "20", "max_gb": "1"})
    assert found.status == 0, found.stderr
    assert "[20/20] fetched" in found.stderr
