"""`run_command`: a script in any language as a step: a SOF in, products out."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

from esorex_bridge.errors import RecipeError, UserError
from esorex_bridge.fits.header import read_header
from esorex_bridge.plan.sof import of_entries, parse_sof, readable
from reflex_actors.protocol import Actor, Inputs, Port
from reflex_actors.purposes import STRIP_LAST, after_recipe
from reflex_actors.sof_json import FitsFile, SetOfFiles

ACTOR = Actor(
    "run_command",
    "Runs a command with a SOF as its last word; an empty set is handed on.",
    (
        Port("in_sof", "files", kind="sof", required=True),
        Port("command", "the command, such as 'Rscript /home/me/clean.R'", required=True),
        Port("purpose_processing", "Strip last, Do nothing or Set to universal", default=STRIP_LAST),
    ),
    (Port("out_sof", "products", kind="sof"), Port("logs", "what the command printed")),
)

ANSWER = "products.sof"
"""What a command may leave in its working directory: a line `path CATEGORY` for each product. Without it, products are
the FITS files there, each with its `PRO CATG`."""


def work(inputs: Inputs) -> dict[str, Any]:
    """Run the command in the folder for products, and read what it made."""
    sof = inputs.sof("in_sof")
    if not sof.files:
        return {"out_sof": sof}
    folder = inputs.products_dir / "command"
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in (folder / ANSWER, *folder.glob("*.fits")):
        earlier.unlink(missing_ok=True)
    entries, links = readable(of_entries((Path(file.name), file.category) for file in sof.files), folder / "in")
    for link in links:
        link.at.parent.mkdir(parents=True, exist_ok=True)
        link.at.unlink(missing_ok=True)
        link.at.symlink_to(link.to)
    (folder / "data.sof").write_text(entries.text(), encoding="utf-8")
    log = _run(_words(inputs.text("command")), folder)
    purposes = after_recipe(sof.purposes, inputs.text("purpose_processing"))
    return {"out_sof": _products(sof, folder, purposes), "logs": log}


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UserError(f"the command cannot be read ({error}): {command}") from None


def _run(words: list[str], folder: Path) -> str:
    try:
        process = subprocess.Popen(
            [*words, "data.sof"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise UserError(f"the command {words[0]} cannot be started: {error.strerror}; give its full path") from None
    try:
        said, _ = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    text = said.decode(errors="replace")
    if process.returncode:
        raise RecipeError(f"the command {words[0]} ended with {process.returncode} in {folder}: {text[-600:].strip()}")
    return text


def _products(sof: SetOfFiles, folder: Path, purposes: tuple[str, ...]) -> SetOfFiles:
    answer = folder / ANSWER
    if answer.exists():
        entries = parse_sof(answer.read_text(encoding="utf-8")).entries
        made = [(folder / entry.path, entry.category) for entry in entries]
    else:
        headers = ((path, read_header(path).get("PRO.CATG")) for path in sorted(folder.glob("*.fits")))
        made = [(path, str(category)) for path, category in headers if category]
    if not made:
        raise RecipeError(
            f"the command left no product in {folder}: FITS files with PRO CATG, or {ANSWER} with a line "
            "'path CATEGORY' for each"
        )
    return sof.with_files(FitsFile(str(path), category, purposes) for path, category in made)
