"""The folder of an execution as ESO Reflex lays it out: written beside what EsoRex left there, and read.

`<bookkeeping>/<actor>/<yyyy-MM-ddTHH:mm:ss.SSS>/` with `data.sof`, `<recipe>.rc`, `cmdline.sh`, `parameters.json`,
`input_sof.json`, `output_sof.json`, `products_sof.json`, `exitcode.txt`, links to products and log; beside it `latest`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from esorex_bridge.definitions.parameters import Parameter
from esorex_bridge.reflex.bookkeeping_db import recipe_in
from esorex_bridge.reflex.bookkeeping_records import (
    NotedExecution,
    NotedFile,
    NotedParameter,
    parameter_document,
    parameter_of_document,
)


def write_folder(execution: NotedExecution, parameters: Iterable[Parameter]) -> None:
    """Write Reflex's files of an execution into its folder, and point `latest` to it."""
    folder = execution.folder
    documents = [parameter_document(execution.recipe, parameter) for parameter in parameters]
    _write(folder / "parameters.json", json.dumps(documents, indent=2, ensure_ascii=False))
    inputs, outputs = ([file.document() for file in files] for files in (execution.inputs, execution.outputs))
    _write(folder / "input_sof.json", json.dumps(inputs, indent=2, ensure_ascii=False))
    _write(folder / "output_sof.json", json.dumps(outputs, separators=(",", ":"), ensure_ascii=False))
    if execution.outputs:
        _write(folder / "products_sof.json", products_text(execution.outputs))
    _write(folder / "exitcode.txt", str(execution.exit_code))
    point_latest(folder)


def products_text(products: Iterable[NotedFile]) -> str:
    """Return a list of products as EsoRex writes it."""
    entries = ",\n".join(
        f'  {{\n    "name": {_escape(str(product.path))},\n    "category": {_escape(product.category)}\n  }}'
        for product in products
    )
    return f"[\n{entries}\n]\n"


def point_latest(folder: Path) -> None:
    """Let the link `latest` beside an execution folder lead to it; it is never missing while it changes."""
    link = folder.with_name(f".latest-{folder.name}")
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)
    link.replace(folder.with_name("latest"))


def read_folders(workflow: Path) -> Iterator[NotedExecution]:
    """Yield what the execution folders of a workflow tell, actor by actor; those that tell nothing are passed over."""
    for folder in sorted(workflow.glob("*/*T*:*:*.*")):
        if folder.is_dir() and not folder.is_symlink() and (execution := read_folder(folder)) is not None:
            yield execution


def read_folder(folder: Path) -> NotedExecution | None:
    """Return what an execution folder tells; None where it is none, or was left half-written."""
    try:
        made = datetime.fromisoformat(folder.name).astimezone()
        exit_code = int((folder / "exitcode.txt").read_text(encoding="utf-8").strip())
        inputs = tuple(_files(folder / "input_sof.json"))
        outputs = tuple(_files(folder / "output_sof.json"))
        parameters = tuple(_parameters(folder / "parameters.json"))
        script = (folder / "cmdline.sh").read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    command = script.removeprefix("#!/bin/sh\n")
    recipe = next((parameter.recipe for parameter in parameters), "") or recipe_in(command)
    return NotedExecution(folder.parent.name, recipe, made, command, folder, exit_code, parameters, inputs, outputs)


def _files(path: Path) -> Iterator[NotedFile]:
    for entry in _documents(path):
        purposes = tuple(str(purpose) for purpose in entry.get("purposes") or ())
        yield NotedFile(Path(str(entry["name"])), str(entry["category"]), str(entry.get("checksum") or ""), purposes)


def _parameters(path: Path) -> Iterator[NotedParameter]:
    # A failed run of Reflex can lack the file.
    return map(parameter_of_document, _documents(path)) if path.exists() else iter(())


def _documents(path: Path) -> list[dict[str, Any]]:
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ValueError(f"{path} is no list of objects")
    return found


def _escape(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("/", "\\/")


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)  # to write over a file makes some file systems bring it to the disk at once
    path.write_text(text, encoding="utf-8")
