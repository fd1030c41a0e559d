"""Reflex's settings file `esoreflex.rc`: which one is in force, what it says, and how a setting is added to it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from esorex_bridge.disk.atomic import write_whole

USER_FILE = Path(".esoreflex/esoreflex.rc")
"""Below the home directory; it is in force where it is there."""

SYSTEM_FILE = Path("/etc/esoreflex.rc")
SHIPPED_WORKFLOWS = "${installation_dir}/share/reflex/workflows"
_SETTING = re.compile(r"^[ \t]*(esoreflex\.[\w-]+)[ \t]*=[ \t]*(.*?)[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RcFile:
    """The settings in force.

    Parameters
    ----------
    path : Path or None
        Where they stand; None where there is no such file.
    text : str
        What it says.
    """

    path: Path | None
    text: str = ""

    @property
    def settings(self) -> dict[str, str]:
        """Its settings by name."""
        return dict(_SETTING.findall(self.text))

    def value(self, name: str) -> str:
        """Return a setting, without `esoreflex.`; empty where it is not set."""
        return self.settings.get(f"esoreflex.{name}", "")

    def with_setting(self, name: str, value: str) -> str:
        """Return the text with a setting: changed where it stands, or at the end."""
        line = f"esoreflex.{name}={value}"
        pattern = re.compile(rf"^[ \t]*esoreflex\.{re.escape(name)}[ \t]*=.*$", re.MULTILINE)
        if pattern.search(self.text):
            return pattern.sub(lambda _: line, self.text)
        return f"{self.text.rstrip()}\n{line}\n".lstrip("\n")


def esoreflex_command(environment: Mapping[str, str]) -> Path | None:
    """Return the command that starts Reflex; None where it is not found."""
    found = shutil.which("esoreflex", path=environment.get("PATH"))
    return Path(found) if found else None


def rc_in_force(home: Path, environment: Mapping[str, str]) -> RcFile:
    """Return the settings that Reflex reads: the user's, the system's, or those of the installation."""
    command = esoreflex_command(environment)
    installed = (command.resolve().parents[1] / "etc" / "esoreflex.rc",) if command else ()
    for path in (home / USER_FILE, SYSTEM_FILE, *installed):
        if path.is_file():
            return RcFile(path, path.read_text(encoding="utf-8", errors="replace"))
    return RcFile(None)


def wanted_settings(rc: RcFile, folder: Path, esorex: str | None) -> dict[str, str]:
    """Return the settings to add, by name: nothing that is set is changed but the path of workflows, which grows.

    Parameters
    ----------
    rc : RcFile
        What is in force.
    folder : Path
        Where the actors and workflows are.
    esorex : str or None
        The EsoRex command, where one was found.
    """
    found: dict[str, str] = {}
    ours = str(folder / "workflows")
    paths = rc.value("workflow-path") or f"~/KeplerData/workflows/MyWorkflows:{SHIPPED_WORKFLOWS}"
    if ours not in paths.split(":"):
        found["workflow-path"] = f"{paths}:{ours}"
    if esorex and not rc.value("esorex-command"):
        found["esorex-command"] = esorex
    if esorex and not rc.value("path"):
        found["path"] = str(Path(esorex).parent)
    return found


def write_rc(rc: RcFile, wanted: Mapping[str, str], home: Path) -> tuple[Path, Path | None]:
    """Write the user's settings file with what is wanted, and return it with the copy of what was there before.

    Where the user has none, it begins with the text of the file in force, so that nothing of that is lost.
    """
    target = home / USER_FILE
    backup = _backup(target) if target.exists() else None
    for name, value in wanted.items():
        rc = RcFile(rc.path, rc.with_setting(name, value))
    write_whole(target, rc.text)
    return target, backup


def _backup(path: Path) -> Path:
    number = 1
    while (copy := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    shutil.copy2(path, copy)
    return copy
