"""What the documentation shows runs: its commands and its notebook, against the embedded archive."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.naco import naco_night
from tests.documented import ROOT, documented_commands
from tests.flows.conftest import SMALL

COMMANDS = sorted({words for _, words in documented_commands()})

ENDS_WITH_1 = {
    "ancillary": "the embedded archive has no such collections",
    "adopt": "there is nothing of Reflex or EDPS here",
    "associations": "the frame is not in the embedded archive",
    "compare": "there is nothing else to compare with",
    "datalink": "the frame is not in the embedded archive",
    "doctor": "says what is missing here, such as Slurm",
    "fetch": "the frames are not in the embedded archive",
    "night-log": "the frame is not in the embedded archive",
    "organise": "the conditions of the example are met by no dataset",
    "plan": "there is no such workflow package here",
    "provenance": "there is no such product here",
    "reduce": "the programme is not in the embedded archive",
    "reflex": "there is no such workflow file here",
    "review": "there is no such workflow package here",
    "run": "there is no such file of parameters or package here",
    "batch": "there is no such jobs file, batch or cluster here",
    "whoami": "nobody is logged in",
    "why": "there is no such file here",
    "workflows": "there is no such package here",
}
"""Verbs of which some documented command needs what is not here: it must refuse, with a reason."""

NEEDS_A_PERSON = ("login", "logout", "explore")
SERVES = {"--serve", "--web"}
ELSEWHERE = {"/shared/": "shared/", "/data/": "data/", "~/": "home/"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path, esorex: str) -> Iterator[tuple[Path, str]]:
    """Yield a folder with a reduced night, and the archive that it came from."""
    folder = tmp_path_factory.mktemp("documented")
    (folder / "JOBS.yaml").write_text("jobs: [{datasets: all}]\n")
    with EmbeddedArchive([naco_night(npix=128)], frames_folder) as archive:
        words = ("reduce", "--program", "60.A-9999(A)", "--root", "night", *SMALL)
        assert typed(words, folder, archive.url).returncode == 0
        shutil.copytree(folder / "night", folder / "demo_data")
        yield folder, archive.url


def typed(words: tuple[str, ...], folder: Path, archive: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the documentation in a folder."""
    command = str(Path(sys.executable).with_name("esorex-bridge"))
    env = {**os.environ, "ESOREX_BRIDGE_ARCHIVE": archive, "ESOREX_BRIDGE_PATIENCE": "0"}
    return subprocess.run(
        [command, *words], cwd=folder, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:70])
def test_every_documented_command_runs(words: tuple[str, ...], place: tuple[Path, str]) -> None:
    if words[0] in NEEDS_A_PERSON or SERVES & set(words):
        pytest.skip("asks a person, or serves until it is ended; its words are read in another test")
    for there, here in ELSEWHERE.items():
        words = tuple(word.replace(there, f"{place[0]}/{here}") for word in words)
    done = typed(words, *place)
    assert done.returncode in ((0, 1) if words[0] in ENDS_WITH_1 else (0,)), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert done.stderr.strip() or done.stdout.strip()


@pytest.mark.usefixtures("esorex")
def test_the_notebook_runs(naco_archive: EmbeddedArchive, tmp_path: Path) -> None:
    program = (
        "import sys, nbformat, nbclient\n"
        "book = nbformat.read(sys.argv[1], as_version=4)\n"
        "nbclient.NotebookClient(book, timeout=120, kernel_name='python3').execute()\n"
        "for cell in book.cells:\n"
        "    for output in cell.get('outputs', ()):\n"
        "        print(output.get('text') or ''.join(output.get('data', {})))\n"
    )
    env = {**os.environ, "ESOREX_BRIDGE_ARCHIVE": naco_archive.url}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    words = [sys.executable, "-c", program, str(ROOT / "docs" / "tutorial" / "notebook.ipynb")]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "text/html" in done.stdout
    assert re.search(r"^\(\d{3}, \d{3}\)$", done.stdout, re.MULTILINE)
