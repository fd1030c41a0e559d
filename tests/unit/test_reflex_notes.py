"""Notes for Reflex wait while a step is to begin, and are all taken in the end."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from esorex_bridge.plan.sof import Sof
from esorex_bridge.reflex.finished_run import FinishedRun
from esorex_bridge.run.reflex_notes import ReflexNotes
from esorex_bridge.workspace.folders import RunFolders
from tests.commands import PATIENCE_S


def finished_run(root: Path, time: str) -> FinishedRun:
    work = root / "naco" / "naco_img_dark_1" / time
    work.mkdir(parents=True)
    return FinishedRun("naco_img_dark_1", "naco_img_dark", "", (), Sof(()), RunFolders(work, work, work))


def is_noted(run: FinishedRun) -> bool:
    return (run.folders.work / "input_sof.json").exists()


def test_notes_wait_while_a_step_is_to_begin(tmp_path: Path) -> None:
    notes, run, through = ReflexNotes(lambda: True), finished_run(tmp_path, "2026-01-02T03:04:05.678"), Event()
    notes.note(run)
    assert not is_noted(run)
    notes.go_on(through.set)
    assert through.wait(PATIENCE_S)
    assert is_noted(run)


def test_what_waits_is_noted_in_the_end(tmp_path: Path) -> None:
    notes, run = ReflexNotes(lambda: True), finished_run(tmp_path, "2026-01-02T03:04:05.678")
    notes.note(run)
    assert notes.finish() == {}
    assert is_noted(run)


def test_what_cannot_be_noted_is_told_with_its_folder(tmp_path: Path) -> None:
    notes, run = ReflexNotes(lambda: False), finished_run(tmp_path, "2026-01-02T03:04:05.678")
    (tmp_path / "naco" / "bookkeeping.db").mkdir()
    notes.note(run)
    assert [folder for folder, said in notes.finish().items() if said] == [run.folders.work]
