"""The report served live: private, following what goes on, gone at the end."""

from __future__ import annotations

import json
import re
import signal
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from esorex_bridge.demo.nights.naco import naco_night
from tests.batch_runs import await_that, make_root, recorded, running, stand_in
from tests.commands import PATIENCE_S
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
        yield process, served_by(process)
    finally:
        process.kill()
        process.communicate()


def served_by(process: subprocess.Popen[str]) -> Path:
    """Return the file that leads to the page, once it is served."""
    assert process.stdout is not None
    lines = "".join(iter(process.stdout.readline, "}\n")) + "}"
    return Path(json.loads(lines)["address_file"])


def read(address: str) -> str:
    with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
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
    await_that(lambda: read(f"{address}version") != before)
    # What was run with another parameter is not what the plan without it would make; the page shows the plan's.
    assert "naco_img_jitter_1" in read(address)


def test_the_page_follows_a_batch_while_it_runs(tmp_path: Path, frames_folder: Path, esorex: str) -> None:
    root = make_root(tmp_path / "root", frames_folder, 1)
    hold = tmp_path / "hold"
    hold.touch()
    env = stand_in(
        tmp_path / "bin", esorex, f'case "$*" in *jitter*sof) while [ -e {hold} ]; do sleep 0.1; done;; esac'
    )
    with running("batch", root / "jobs.yaml", "--root", root, "--name", "b", env=env) as batch:
        await_that(lambda: recorded(root))
        with running("explore", "--root", root, "--no-browser", "--json") as explorer:
            address = address_in(served_by(explorer))
            # The flat is recorded, and shown as made, long before the science that waits for it.
            await_that(lambda: "MASTER_IMG_FLAT" in read(address))
            assert batch.poll() is None
            assert "COADDED_IMG" not in end_products_in(read(address))
            hold.unlink()
            assert batch.wait(PATIENCE_S) == 0
            await_that(lambda: "COADDED_IMG" in end_products_in(read(address)))


def end_products_in(page: str) -> str:
    """Return the part of a page that shows end products; empty where there are none."""
    return page.partition("<h3>End products</h3>")[2].partition("<h3>Steps</h3>")[0]


def test_ctrl_c_ends_it_and_takes_the_file_away(explorer: tuple[subprocess.Popen[str], Path]) -> None:
    process, file = explorer
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 130
    assert not file.exists()
