"""PythonActor, the scripts in Jython that ESO's kits hold, and the one command that they run."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from esorex_bridge.errors import BridgeError
from reflex_actors.actors import NAMES
from reflex_actors.actors.erase_folders import empty
from reflex_actors.headless.director import Fire
from reflex_actors.headless.network import RunningActor
from reflex_actors.headless.running import Firing, Running
from reflex_actors.headless.tokens import (
    Token,
    WorkflowError,
    first,
    json_of,
    text_of,
    value_from_json,
)
from reflex_actors.ports import ActorError, Inputs, Port, document, value_of
from reflex_actors.sof_json import EncodingError, SetOfFiles, sop_document

WINDOW_INPUTS = {"in_sof", "in_sop", "in_sof_rec_orig", "enable"}
"""Ports by which a script with a window between a recipe and its looper is known."""

ACTORS = "reflex_actors.actors"
EFFECTS = ("erase_folders", "calselector_fetch", "collect_products", "run_recipe", "run_command", "query_archive")
"""Our actors that do more than answer: a dry run passes them over."""

_ERASE = re.compile(
    r'\s*if \[ "x(\S*)" = "xtrue" \]; then\s+echo "[^"]*";((?:\s*rm -rf \S+/\* *;?)+)\s*else echo "[^"]*"; fi\s*'
)


def python_actor(node: RunningActor, run: Running) -> Fire:
    """Return how a PythonActor fires: ours here, a window by passing on what came, others as Reflex runs them."""
    own = own_actor(node)
    if not run.options.interactive and has_window(node):
        return lambda: _pass_through(node, run)
    if own:
        return lambda: _run_own(node, run, own)
    return lambda: _run_script(node, run)


def own_actor(node: RunningActor) -> str:
    """Return the name of our actor that a PythonActor runs; empty for another script."""
    script = Path(node.text("Python script"))
    folder = node.variables.owner("BRIDGE_ACTORS")
    ours = folder is not None and script.parent == Path(folder.text("BRIDGE_ACTORS"))
    return script.stem if ours and script.stem in NAMES else ""


def has_window(node: RunningActor) -> bool:
    """Tell whether a PythonActor shows products and parameters between a recipe and its looper."""
    return {port.name for port in node.entity.ports} >= WINDOW_INPUTS


def _pass_through(node: RunningActor, run: Running) -> None:
    tokens = {port: first(node.take(port)) for port in node.inputs}
    answer: dict[str, Token] = {
        "out_sof": tokens["in_sof"],
        "out_sop": tokens["in_sop"],
        "set_init_sop": tokens["in_sop"],
        "iteration_complete": "true",
        "set_enable": tokens.get("enable", "false"),
        "stdout": "",
    }
    run.account.begin(Firing(node.path, outcome="passed through"))
    for port, token in answer.items():
        node.send(port, token)


def _run_own(node: RunningActor, run: Running, name: str) -> None:
    tokens = {port: first(node.take(port)) for port in node.inputs}
    module = importlib.import_module(f"{ACTORS}.{name}")
    face = module.ACTOR
    known = {port.name: port for port in face.inputs}
    plain = {port: _plain(token, known[port].kind) for port, token in tokens.items()}
    number = run.account.begin(Firing(node.path, _dataset_of(tokens.values(), run)))
    try:
        given = {port.name: port.default for port in face.inputs if port.default is not None}
        values = {port: value_of(known[port], value) for port, value in {**given, **plain}.items()}
        if run.options.dry_run:
            if name in EFFECTS:
                run.account.end(number, "foreseen")
            # What is only foreseen has no files that could be looked at.
            answer = _foreseen(name, values) if name in EFFECTS else _work(run, module, Inputs(values))
            found = {port.name: _convert(port, answer.get(port.name)) for port in face.outputs}
        else:
            found = document(face, _work(run, module, Inputs(values, node.text("Products Dir") or None)))
    except (ActorError, EncodingError, BridgeError) as error:
        run.account.end(number, "failed", reason=str(error))
        if node.text("Recipe Failure Mode", "Stop") != "Continue":
            raise WorkflowError(f"{node.path}: {error}") from None
        found = {port.name: SetOfFiles().document() for port in face.outputs}
    if name == "collect_products" and not run.options.dry_run:
        _note_end_products(run, found)
    _answer(node, found)


def _work(run: Running, module: ModuleType, inputs: Inputs) -> dict[str, Any]:
    """Return what an actor sends; the plans that datasets were organised by are handed on to the recipes."""
    if module is not sys.modules.get(f"{ACTORS}.organise_datasets"):
        return dict(module.work(inputs))
    answer, plans = module.organise(inputs, quickly=True)
    run.recipes.learn(plans)
    return dict(answer)


def _convert(port: Port, value: Any) -> Any:
    if value is None:
        value = None if port.silent else port.empty
    if isinstance(value, SetOfFiles):
        return value.document()
    return sop_document(value) if port.kind == "sop" and value is not None else value


def _foreseen(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what one of our actors would send, as far as a dry run needs it."""
    if name == "calselector_fetch":
        return {"out_data_dir": values.get("data_dir", "")}
    if name in ("collect_products", "run_command"):
        return {"out_sof": SetOfFiles(getattr(values.get("in_sof"), "dataset", ""))}
    return {}


def _note_end_products(run: Running, found: Mapping[str, Any]) -> None:
    sof = found.get("out_sof")
    if isinstance(sof, dict):
        files = [(str(file["name"]), str(file["category"])) for file in sof["files"]]
        run.account.end_products.setdefault(str(sof["datasetName"]), []).extend(files)


def _plain(token: Token, kind: str) -> Any:
    return text_of(token) if kind in ("text", "flag") else json_of(token)


def _dataset_of(tokens: Any, run: Running) -> str:
    for token in tokens:
        if isinstance(token, SetOfFiles):
            return token.dataset
    return ""


def _answer(node: RunningActor, found: Mapping[str, Any]) -> None:
    for port in node.outputs:
        if found.get(port) is not None:
            node.send(port, value_from_json(found[port]))
        elif port == "stdout":
            node.send(port, "")


def _run_script(node: RunningActor, run: Running) -> None:
    """Run a script as Reflex does: inputs and outputs in files, the environment rebuilt."""
    tokens = {port: first(node.take(port)) for port in node.inputs}
    number = run.account.begin(Firing(node.path, _dataset_of(tokens.values(), run)))
    if run.options.dry_run:
        run.account.end(number, "foreseen", reason="a dry run starts no scripts, so what it would send is not known")
        for port in node.outputs:
            node.send(port, SetOfFiles())
        return
    found, problem = _start(node, {port: json_of(token) for port, token in tokens.items()})
    if problem:
        run.account.end(number, "failed", reason=problem)
        if node.text("Recipe Failure Mode", "Stop") != "Continue":
            raise WorkflowError(f"{node.path}: {problem}")
        found = {port: SetOfFiles().document() for port in node.outputs if port != "stdout"}
    _answer(node, found)


def _start(node: RunningActor, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return what a script wrote, and what went wrong."""
    from tempfile import TemporaryDirectory

    script = node.text("Python script")
    with TemporaryDirectory(prefix="esorex-bridge-") as scratch:
        given, made = Path(scratch, "inputs.json"), Path(scratch, "outputs.json")
        given.write_text(json.dumps(inputs), encoding="utf-8")
        products = Path(node.text("Products Dir") or scratch, node.name)
        products.mkdir(parents=True, exist_ok=True)
        files = ("--input-parameters-file", str(given), "--output-parameters-file", str(made))
        command = [*python_command(), script, *files, "--products-dir", str(products)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), cwd=scratch)
        if done.returncode != 0 or not made.exists():
            last = (done.stderr.strip().splitlines() or ["it wrote no outputs"])[-1]
            return {}, f"{script} ended with status {done.returncode}: {last}"
        found = json.loads(made.read_text(encoding="utf-8"))
    found["stdout"] = done.stdout
    return found, ""


def python_command() -> list[str]:
    """Return the interpreter that Reflex is set to use, or ours."""
    from reflex_actors.doctor import read_settings

    return [read_settings(Path.home()).get("esoreflex.python-command") or sys.executable]


def environment() -> dict[str, str]:
    """Return the variables that a script gets: those that Reflex hands on, and its path of Python modules."""
    from reflex_actors.doctor import read_settings

    kept = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "DISPLAY", "XAUTHORITY")
    path = read_settings(Path.home()).get("esoreflex.python-path", "")
    return {name: os.environ[name] for name in kept if name in os.environ} | ({"PYTHONPATH": path} if path else {})


def erases(script: str) -> bool:
    """Tell whether a shell script is the one of ESO's kits that removes what earlier runs left."""
    return _ERASE.fullmatch(script) is not None


def erase(node: RunningActor, run: Running) -> Fire:
    """Return how the command that removes what earlier runs left fires; no shell is started."""
    fired = 0

    def fire() -> bool:
        nonlocal fired
        fired += 1
        found = _ERASE.fullmatch(text_of(first(node.take("input"))))
        wanted = found is not None and found.group(1) == "true"
        if found is not None and wanted and not run.options.dry_run:
            folders = map(Path, re.findall(r"rm -rf (\S+)/\*", found.group(2)))
            empty(folders, Path(run.variables.text("ROOT_DATA_DIR")))
        node.send("output", "Deleting files\n" if wanted else "Will not delete files\n")
        node.send("error", "")
        node.send("exitCode", 0)
        limit = node.variables.value("firingCountLimit") if "firingCountLimit" in node.variables else 0
        return fired != limit

    return fire
