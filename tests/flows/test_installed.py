"""The wheel as it is installed: in an environment of its own, over version 0.1.0, on a root that 0.1.0 left."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.version import __version__
from tests.flows.conftest import SMALL, put_on_disk
from tests.statements import installed_pipelines
from tests.upgrade.restore import Restored

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("esorex_bridge", "reflex_actors", "workflows", "tools", "pyproject.toml", "README.md", "LICENSE")
LINK = re.compile(r"\]\(\s*([^)\s]*)|^\[[^\]]+\]:\s*(\S+)|(?:href|src)=[\"']?([^\"'\s>]+)", re.MULTILINE)
"""Links of Markdown and of HTML."""


def wheel(folder: Path, version: str, files: str = "") -> Path:
    """Build a wheel that calls itself a version, and return it; `files` is the address of the repository's files."""
    source = folder / f"source-{version}"
    source.mkdir()
    for name in SOURCES:
        path = ROOT / name
        copy = shutil.copytree if path.is_dir() else shutil.copy2
        copy(path, source / name)
    for name in ("pyproject.toml", "esorex_bridge/version.py"):
        text = (source / name).read_text()
        (source / name).write_text(text.replace(f'"{__version__}"', f'"{version}"'))
    if files:
        text = (source / "pyproject.toml").read_text()
        hook = 'path = "tools/description.py"\n'
        (source / "pyproject.toml").write_text(text.replace(hook, f'{hook}files = "{files}"\n'))
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*words, "--wheel-dir", str(folder), str(source)], check=True, capture_output=True)
    return next(folder.glob(f"esorex_bridge-{version}-*.whl"))


def environment(folder: Path) -> Path:
    """Make a virtual environment that has what the bridge needs, but not the bridge, and return its programs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    own = next((folder / "lib").glob("python*/site-packages"))
    # A folder named in a .pth file is searched, but the .pth files in it are not read: so not our checkout.
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


@pytest.mark.parametrize("files", ["", "https://example.org/files/"])
def test_no_link_of_the_description_needs_the_repository(tmp_path: Path, files: str) -> None:
    with zipfile.ZipFile(wheel(tmp_path, __version__, files)) as built:
        (name,) = [name for name in built.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = message_from_bytes(built.read(name))
    text = metadata.get_payload()
    assert isinstance(text, str)
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "make demo" in text
    assert "docs/how-to/install.md" in text
    links = ["".join(found) for found in LINK.findall(text)]
    assert [link for link in links if "://" not in link] == []
    assert bool(links) is bool(files)
    assert "https://example.org/files/docs/how-to/install.md" in links or not files


@pytest.mark.slow
@pytest.mark.usefixtures("esorex")
def test_the_wheel_replaces_0_1_0_and_reuses_what_it_made(tmp_path: Path, frames_folder: Path) -> None:
    programs = environment(tmp_path / "venv")
    put_on_disk(naco_night(npix=128), frames_folder, tmp_path / "night")
    put_on_disk(naco_night(npix=128), frames_folder, tmp_path / "second")
    Restored("0.1.0", tmp_path)
    python = str(programs / "python")
    for version in ("0.1.0", __version__):
        words = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps"]
        subprocess.run([*words, str(wheel(tmp_path, version))], check=True, capture_output=True)
        told = subprocess.run([programs / "esorex-bridge", "--version"], capture_output=True, text=True, check=True)
        assert told.stdout.splitlines()[0] == f"esorex-bridge {version}"
    where = [python, "-c", "import esorex_bridge; print(esorex_bridge.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert str(tmp_path / "venv") in found
    words = [str(programs / "esorex-bridge"), "run", "--root", str(tmp_path / "night"), "--json", *SMALL[:-1]]
    ran = subprocess.run(words, capture_output=True, text=True, env=dict(os.environ), check=False)
    assert ran.returncode == 0, ran.stderr
    if installed_pipelines().get("naco") == "4.4.11":  # of another one everything is made again
        assert json.loads(ran.stdout)["executed"] == 0


@pytest.mark.slow
def test_the_image_is_built_where_a_builder_is(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        pytest.skip("no docker that runs")
    subprocess.run([docker, "build", "-t", "esorex-bridge-test", str(ROOT)], check=True, timeout=1200)
    told = subprocess.run(
        [docker, "run", "--rm", "esorex-bridge-test", "--version"], capture_output=True, text=True, check=True
    )
    assert told.stdout.startswith(f"esorex-bridge {__version__}")
