"""`demo --serve` as a command of its own: it serves the night that was asked for, and no other."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from esorex_bridge.cli import main
from tests.commands import PATIENCE_S

SERVE = "import sys; from esorex_bridge.cli import main; sys.exit(main(sys.argv[1:]))"


def test_the_archive_serves_only_the_instrument_that_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("demo", "--serve", "--instrument", "VISIR", "--json", "--root", str(tmp_path / "served"))
    with subprocess.Popen([sys.executable, "-c", SERVE, *words], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            printed = next(line for line in server.stdout if "http" in line)
            url = re.search(r"http://[^\s\"]+", printed)
            assert url is not None
            main(
                ["query", "--program", "60.A-9999(A)", "--json", "--archive", url[0], "--root", str(tmp_path / "root")]
            )
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(PATIENCE_S)
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["instrument"] for row in rows} == {"VISIR"}
