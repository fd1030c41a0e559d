"""A file that is odd in itself: fetched with a warning, and used by the run that follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from esorex_bridge.cli import main
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.archive.faults import Fault
from tests.flows.conftest import SMALL

SCIENCE = "NACO.2016-03-02T00:30:00.076"
DARK = "NACO.2016-03-01T16:00:00.076"


def test_a_file_with_a_wrong_sum_of_its_own_is_used_by_the_run_after_the_fetch(
    esorex: str,
    small_archive: EmbeddedArchive,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ESOREX_BRIDGE_PATIENCE", "0.002")
    small_archive.fault(Fault.BADSUM, "file", DARK)
    root = ["--root", str(tmp_path)]
    assert main(["fetch", SCIENCE, "--yes", "--archive", small_archive.url, *root]) == 0
    assert "warning: it came twice like this" in capsys.readouterr().out
    assert main(["run", *root, *SMALL]) == 0, capsys.readouterr().out
    assert "COADDED_IMG" in capsys.readouterr().out
    # A store that is lost is taught again by the files that are there.
    for path in (tmp_path / "reflex_book_keeping").glob("esorex_bridge.db*"):
        path.unlink()
    before = small_archive.count("file")
    assert main(["fetch", SCIENCE, "--yes", "--archive", small_archive.url, *root]) == 0
    assert main(["run", *root, "--lazy", "off", *SMALL]) == 0, capsys.readouterr().out
    assert small_archive.count("file") - before <= 1  # the size of the static
