"""The report served live: private, following what goes on, gone at the end."""

from __future__ import annotations

import json
import re
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from esorex_bridge.demo.nights.naco import naco_night
from tests.flows.conftest import SMALL, Ended, put_on_disk

pytestmark = pytest.mark.usefixtures("esorex")


@pytest.fixture
def root(tmp_path: Path, frames_folder: Path, bridge: Callable[..., Ended]) -> Path:
    """Return the root of a small NACO night that was reduced."""
    put_on_disk(naco_night(npix=128), frames_folder, tmp_path)
    assert bridge("run", "--root", tmp_path, *SMALL).code == 0
    return tmp_path


@pytest.fixture
def explorer(root: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Serve the report of the root; give the process and the file that leads there."""
    command = str(Path(sys.executable).with_name("esorex-bridge"))
    words = [command, "explore", "--root", str(root), "--no-browser", "--json"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = "".join(iter(process.stdout.readline, "}\n")) + "}"
        yield process, Path(json.loads(lines)["address_file"])
    finally:
        process.kill()
        process.communicate()


def read(address: str) -> str:
    with urllib.request.urlopen(address, timeout=20) as answer:
        return str(answer.read().decode())


def address_in(file: Path) -> str:
    found = re.search(r'href="([^"]+)"', file.read_text())
    assert found is not None
    return found.group(1)


def test_the_page_follows_a_run_and_is_private(
    root: Path, explorer: tuple[subprocess.Popen[str], Path], bridge: Callable[..., Ended]
) -> None:
    _, file = explorer
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    address = address_in(file)
    assert address.startswith("http://127.0.0.1:")
    assert "naco_img_jitter_1" in read(address)
    before = read(f"{address}version")
    assert bridge("run", "--root", root, *SMALL, "--set", "naco_img_jitter.oddeven=true").code == 0
    deadline = time.monotonic() + 30
    while read(f"{address}version") == before:
        assert time.monotonic() < deadline, "the page did not follow"
        time.sleep(0.2)
    # What was run with another parameter is not what the plan without it would make; the page shows the plan's.
    assert "naco_img_jitter_1" in read(address)


def test_ctrl_c_ends_it_and_takes_the_file_away(explorer: tuple[subprocess.Popen[str], Path]) -> None:
    process, file = explorer
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert not file.exists()
