"""What Reflex needs of a machine to run our actors, looked at one by one, and what to mend."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reflex_actors.actors import NAMES
from reflex_actors.rc_file import RcFile, esoreflex_command, rc_in_force

State = Literal["ok", "note", "mend"]
_SECONDS = 20


@dataclass(frozen=True, slots=True)
class ReflexCheck:
    """One thing that was looked at.

    Parameters
    ----------
    what : str
        Its name.
    state : {'ok', 'note', 'mend'}
        Fine; worth knowing; must be mended before actors work.
    text : str
        What was found, and what to do.
    """

    what: str
    state: State
    text: str


def examine(
    folder: Path, home: Path, environment: Mapping[str, str], workflows: Iterable[Path]
) -> tuple[ReflexCheck, ...]:
    """Look at everything.

    Parameters
    ----------
    folder : Path
        Where the actors are installed.
    home : Path
        The home directory.
    environment : mapping
        Variables.
    workflows : iterable of Path
        Workflow files to look at.
    """
    rc = rc_in_force(home, environment)
    settings = rc.settings
    return (
        *_launchers(folder),
        *_reflex(environment, rc),
        _python(settings),
        *_esorex(settings),
        _login(environment),
        _java(settings),
        _display(environment),
        *(check for path in workflows for check in _workflow(path)),
    )


def read_settings(home: Path, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the settings of Reflex that are in force."""
    return rc_in_force(home, os.environ if environment is None else environment).settings


def _reflex(environment: Mapping[str, str], rc: RcFile) -> Iterator[ReflexCheck]:
    command = esoreflex_command(environment)
    if command is None:
        text = "esoreflex is not found on PATH; workflow files run without it: esorex-bridge reflex run FILE"
        yield ReflexCheck("Reflex", "note", text)
    else:
        yield ReflexCheck("Reflex", "ok", str(command))
    yield ReflexCheck(
        "settings", "ok" if rc.path else "note", str(rc.path or "there is no esoreflex.rc; Reflex has defaults")
    )
    if rc.value("esorex-config").upper() == "TRUE":
        yield ReflexCheck(
            "settings",
            "mend",
            f"esoreflex.esorex-config is TRUE in {rc.path}, where the path of a file belongs, so EsoRex finds no "
            "recipes; remove the line",
        )


def _interpreters(folder: Path) -> Iterator[ReflexCheck]:
    """Yield each interpreter of a launcher that is not there."""
    for name in NAMES:
        path = folder / f"{name}.py"
        found = re.search(r"^INTERPRETER = '([^']*)'", path.read_text(encoding="utf-8"), re.MULTILINE)
        if found and not os.access(found.group(1), os.X_OK):
            text = f"{path} starts {found.group(1)}, which is not there; run 'esorex-bridge reflex install' again"
            yield ReflexCheck("actors", "mend", text)


def _launchers(folder: Path) -> Iterator[ReflexCheck]:
    missing = [name for name in NAMES if not (folder / f"{name}.py").is_file()]
    if missing:
        yield ReflexCheck(
            "actors",
            "mend",
            f"not installed in {folder}: {', '.join(missing)}; run 'esorex-bridge reflex install --into {folder}'",
        )
        return
    yield from _interpreters(folder)
    status, said = _run([str(folder / "query_archive.py"), "--help"])
    if status != 0 or "outputs:" not in said:
        last = said.strip().splitlines()[-1:] or ["no answer"]
        yield ReflexCheck(
            "actors",
            "mend",
            f"the launchers in {folder} do not work ({last[0]}); run 'esorex-bridge reflex install' again",
        )
    else:
        yield ReflexCheck("actors", "ok", f"{len(NAMES)} in {folder}")


def _python(settings: Mapping[str, str]) -> ReflexCheck:
    command = settings.get("esoreflex.python-command") or "/usr/bin/python3"
    status, said = _run([command, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
    if status != 0:
        advice = "set esoreflex.python-command in esoreflex.rc"
        return ReflexCheck("Reflex's Python", "mend", f"{command} does not start; {advice}")
    version = tuple(int(word) for word in said.strip().split("."))
    if version < (3, 8):
        return ReflexCheck("Reflex's Python", "note", f"{command} is {said.strip()}: our actors run, own ones need 3.8")
    return ReflexCheck("Reflex's Python", "ok", f"{command} {said.strip()}")


def _esorex(settings: Mapping[str, str]) -> Iterator[ReflexCheck]:
    command = settings.get("esoreflex.esorex-command") or "esorex"
    found = shutil.which(command)
    if found is None:
        yield ReflexCheck(
            "EsoRex",
            "mend",
            f"'{command}' is not found; install it (Debian: apt-get install esorex), or set "
            "esoreflex.esorex-command in esoreflex.rc",
        )
        return
    _, said = _run([found, "--version"])
    version = re.search(r"version (\d[\w.]*)", said)
    yield ReflexCheck("EsoRex", "ok", f"{found} {version.group(1) if version else ''}".strip())
    _, said = _run([found, "--recipes"])
    number = len(re.findall(r"^\s{2}(\w+)\s+:", said, re.MULTILINE))
    if number == 0:
        yield ReflexCheck(
            "recipes", "mend", "none is installed; install a pipeline (Debian: apt-get install cpl-plugin-…)"
        )
    else:
        yield ReflexCheck("recipes", "ok", f"{number}")


def _login(environment: Mapping[str, str]) -> ReflexCheck:
    from esorex_bridge.archive.saved_login import remembered_user

    user = remembered_user(environment)
    if user is None:
        return ReflexCheck(
            "login",
            "note",
            "nobody is logged in; public data need no login, for others run 'esorex-bridge "
            "login' (Reflex hands on no variables, so ESO_USERNAME does not reach actors)",
        )
    return ReflexCheck("login", "ok", user)


def _java(settings: Mapping[str, str]) -> ReflexCheck:
    command = settings.get("esoreflex.java-command") or "java"
    found = shutil.which(command)
    if found is None:
        return ReflexCheck(
            "Java", "note", f"'{command}' is not found; Reflex needs Java 8 to 11, our headless road none"
        )
    _, said = _run([found, "-version"])
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    number = int(version.group(1)) if version else 0
    if not 8 <= number <= 11:
        return ReflexCheck("Java", "note", f"{found} is Java {number or 'unknown'}; ESO supports 8 to 11")
    return ReflexCheck("Java", "ok", f"{found} {number}")


def _display(environment: Mapping[str, str]) -> ReflexCheck:
    if environment.get("DISPLAY"):
        return ReflexCheck("display", "ok", environment["DISPLAY"])
    return ReflexCheck(
        "display",
        "note",
        "DISPLAY is not set; Reflex needs one even without windows (xvfb-run -a "
        "esoreflex …), our interactive actors pass through without",
    )


def _workflow(path: Path) -> Iterator[ReflexCheck]:
    from reflex_actors.moml.check import check
    from reflex_actors.moml.read import read_file

    read = read_file(path)
    for finding in check(read.root, read.oddities):
        yield ReflexCheck(path.name, "mend", f"{finding.place}: {finding.text}")
    for name in ("BRIDGE_ACTORS", "ROOT_DATA_DIR"):
        value = (read.root.value(name) or "").replace("$HOME", str(Path.home()))
        if value and "$" not in value and not Path(value).is_dir():
            yield ReflexCheck(path.name, "note", f"{name} is {value}, which is not there yet")


def _run(command: list[str]) -> tuple[int, str]:
    variables = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": os.environ.get("HOME", "/")}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            env=variables,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, done.stdout + done.stderr
