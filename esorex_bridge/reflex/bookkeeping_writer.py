"""Noting a finished run as ESO Reflex does: in its execution folder, and in the workflow's `bookkeeping.db`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from esorex_bridge.errors import DataError
from esorex_bridge.plan.sof import Sof
from esorex_bridge.reflex.bookkeeping_db import DATABASE_NAME, add_execution
from esorex_bridge.reflex.bookkeeping_records import NotedExecution, NotedFile, next_purpose, noted_parameter
from esorex_bridge.reflex.checksum import reflex_checksum
from esorex_bridge.reflex.execution_folders import write_folder
from esorex_bridge.reflex.finished_run import FinishedRun


def note_run(run: FinishedRun) -> tuple[str, ...]:
    """Note a run as Reflex would have, and return what could not be noted, in words; empty when all was.

    A run that is done stays done when its notes fail: the bridge's own store is what reuse is decided by.
    """
    execution, problems = note_in_folder(run)
    try:
        add_execution(run.folders.work.parent.parent / DATABASE_NAME, execution)
    except DataError as error:
        problems.append(str(error))
    return tuple(problems)


def read_ahead(sof: Sof, folder: Path) -> None:
    """Read what Reflex knows files by while a recipe runs on them in a folder: the note of the run wants it."""
    for entry in sof.entries:
        _file(_real(entry.path, folder), entry.category, (), [])


def note_in_folder(run: FinishedRun) -> tuple[NotedExecution, list[str]]:
    """Note a run in its own folder alone; return what was noted, and what could not be, in words.

    That is all that may be done where many machines run recipes at a time: the database has one writer.
    """
    problems: list[str] = []
    execution = describe_execution(run, problems)
    try:
        if run.products:
            run.folders.link_published(run.log)
        write_folder(execution, run.parameters)
    except OSError as error:
        problems.append(f"Reflex's files in {execution.folder} cannot be written: {error.strerror or error}")
    return execution, problems


def describe_execution(run: FinishedRun, problems: list[str]) -> NotedExecution:
    """Return what Reflex would note of a run; files that cannot be read have no checksum, and are told of."""
    folder = run.folders.work
    own, products = (run.purpose,) if run.purpose else (), next_purpose(run.purpose)
    return NotedExecution(
        actor=run.actor,
        recipe=run.recipe,
        made=datetime.fromisoformat(folder.name).astimezone(),
        command_line=_command_line(folder / "cmdline.sh"),
        folder=folder,
        exit_code=run.exit_code,
        parameters=tuple(noted_parameter(run.recipe, parameter) for parameter in run.parameters),
        inputs=tuple(_file(_real(entry.path, folder), entry.category, own, problems) for entry in run.sof.entries),
        outputs=tuple(_file(product.path, product.category, products, problems) for product in run.products),
    )


def _file(path: Path, category: str, purposes: tuple[str, ...], problems: list[str]) -> NotedFile:
    try:
        checksum = reflex_checksum(path)
    except DataError as error:
        problems.append(str(error))
        checksum = ""
    return NotedFile(path, category, checksum, purposes)


def _real(path: Path, folder: Path) -> Path:
    """Return the file that a link in the run's folder stands for, where its own path could not be written in a SOF."""
    if path.is_absolute() and not path.is_relative_to(folder):
        return path
    link = folder / path
    return link.readlink() if link.is_symlink() else link


def _command_line(script: Path) -> str:
    try:
        return script.read_text(encoding="utf-8", errors="replace").removeprefix("#!/bin/sh\n")
    except OSError:
        return ""
