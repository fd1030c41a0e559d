"""The script for cron, as the documentation has it, in cron's own environment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.naco import naco_night
from tests.batch_runs import stand_in

pytestmark = pytest.mark.usefixtures("esorex")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "every-night.md"


def nightly(
    folder: Path, archive: str, night: str = "", fail: str = ""
) -> tuple[subprocess.CompletedProcess[str], Any]:
    """Run the script of the page, in folders of our own, and return how it ended with the document that it left."""
    (script,) = re.findall(r"```sh\n(#!/bin/sh\n.*?)```", PAGE.read_text(), re.DOTALL)
    tools = f"{fail + ':' if fail else ''}{Path(sys.executable).parent}"
    script = script.replace("/opt/esorex-bridge/bin", tools).replace("/data/naco", str(folder / "naco"))
    if night:
        script = script.replace("$(date -u -d yesterday +%Y-%m-%d)", night)
    path = folder / "reduce-night"
    path.write_text(script)
    environment = {"PATH": "/usr/bin:/bin", "HOME": os.environ["HOME"], "ESOREX_BRIDGE_ARCHIVE": archive}
    done = subprocess.run(["/bin/sh", path], capture_output=True, text=True, env=environment, check=False, cwd="/")
    documents = sorted((folder / "naco" / "nights").glob("*.json"))
    return done, json.loads(documents[-1].read_text())


def test_a_night_without_frames_is_no_failure_and_no_mail(tmp_path: Path, frames_folder: Path) -> None:
    with EmbeddedArchive([naco_night(npix=128)], frames_folder) as archive:
        done, document = nightly(tmp_path, archive.url)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    assert (document["verdict"], document["outcomes"]["nothing observed"]) == ("nothing observed", 1)
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    assert "nothing was observed" in (tmp_path / "naco" / "nights" / f"{yesterday}.log").read_text()


def test_an_archive_that_is_down_is_told_from_a_recipe_that_fails(
    tmp_path: Path, frames_folder: Path, esorex: str
) -> None:
    with EmbeddedArchive([naco_night(npix=128)], frames_folder) as archive:
        address = archive.url
        stand_in(tmp_path / "bin", esorex, 'case "$PWD" in *jitter*) exit 3;; esac')
        failed, document = nightly(tmp_path, address, "2016-03-01", fail=str(tmp_path / "bin"))
        assert failed.returncode == 1
        assert document["verdict"] in ("failed", "blocked"), document
        assert "failed: " in failed.stderr, "cron sends by mail what went wrong"
    down, document = nightly(tmp_path, address, "2016-03-02")
    assert down.returncode == 1
    assert (document["verdict"], document["outcomes"]["unreachable"]) == ("unreachable", 1)
    assert "batch resume" in str(document["next"])
