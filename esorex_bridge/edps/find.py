"""Where workflow packages lie: where ESO's distributions put them, where EDPS is told to look, and our own folder."""

from __future__ import annotations

import configparser
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from esorex_bridge.definitions.edps.words import PREFIX
from esorex_bridge.errors import UserError

_SUFFIX = "_wkf.py"
_PREFIXES = ("/usr", "/usr/local", "/opt/local", "/opt/homebrew", "/home/linuxbrew/.linuxbrew")


class FoundPackage(Struct, frozen=True):
    """A workflow that was found and not executed.

    Parameters
    ----------
    name : str
        `<folder>.<module>`.
    folder : Path
        The package's folder.
    origin : str
        What named the place.
    """

    name: str
    folder: Path
    origin: str

    @property
    def module(self) -> str:
        """The workflow's module."""
        return self.name.partition(".")[2]


def own_folder() -> Path:
    """Return the folder of the user's packages, `esorex-bridge/edps` where settings are kept."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "esorex-bridge" / "edps"


def search_roots() -> tuple[tuple[Path, str], ...]:
    """Return the folders in which packages are searched, each with what names it, the user's own first."""
    found = [(own_folder(), "configuration")]
    found += [(root, "application.properties") for root in _from_properties()]
    prefixes = [Path(prefix) for prefix in _PREFIXES]
    command = shutil.which("esorex")
    if command is not None:
        prefixes.append(Path(command).resolve().parent.parent)
    for prefix in dict.fromkeys(prefixes):
        place = prefix / "share" / "esopipes" / "workflows"
        roots = sorted((root for root in place.glob("*") if root.is_dir()), key=_version, reverse=True)
        found += [(root, "installed") for root in roots]
    return tuple(found)


def _version(root: Path) -> tuple[str, tuple[int, ...]]:
    """Return what `<pipeline>-<version>` sorts by: of several versions the latest counts."""
    pipeline, _, version = root.name.rpartition("-")
    return pipeline, tuple(map(int, re.findall(r"\d+", version)))


def _from_properties() -> tuple[Path, ...]:
    """Return `workflow_dir` of EDPS' own configuration."""
    path = Path.home() / ".edps" / "application.properties"
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error):
        return ()
    values = (parser.get(section, "workflow_dir", fallback="") for section in parser.sections())
    return tuple(Path(word.strip()).expanduser() for value in values for word in value.split(",") if word.strip())


def find_packages() -> tuple[FoundPackage, ...]:
    """Return all workflows that are found; none is executed. Of one name, the first found counts."""
    found: dict[str, FoundPackage] = {}
    for root, origin in search_roots():
        for package in _below(root, origin):
            found.setdefault(package.name, package)
    return tuple(found.values())


def _below(root: Path, origin: str) -> Iterator[FoundPackage]:
    for path in sorted(root.glob(f"*/*{_SUFFIX}")):
        if path.name.startswith(path.parent.name):
            yield FoundPackage(f"{path.parent.name}.{path.stem}", path.parent, origin)


def locate_package(given: str) -> FoundPackage:
    """Return the workflow that a user names: `edps:` and a folder, a `*_wkf.py`, or a name.

    Raises
    ------
    UserError
        If there is none, or several.
    """
    name = given.removeprefix(PREFIX)
    path = Path(name).expanduser()
    if path.is_file() and path.name.endswith(_SUFFIX):
        return _at(path.absolute())
    if path.is_dir():
        return _in_folder(path.absolute())
    found = [each for each in find_packages() if name in (each.name, each.module, each.name.partition(".")[0])]
    exact = [each for each in found if name == each.name or each.module == f"{name}_wkf"]
    if len(exact) == 1 or len(found) == 1:
        return (exact or found)[0]
    if found:
        raise UserError(f"there are several workflows {name}: {', '.join(PREFIX + each.name for each in found)}")
    known = ", ".join(PREFIX + each.name for each in find_packages()) or "none was found"
    raise UserError(f"there is no workflow package '{name}'; give its folder, or one of those found ({known})")


def _at(path: Path) -> FoundPackage:
    folder = path.parent
    if not folder.name.isidentifier():
        raise UserError(f"{folder} is not a valid name of a Python package; EDPS names a workflow by its folder")
    return FoundPackage(f"{folder.name}.{path.stem}", folder, "path")


def _in_folder(folder: Path) -> FoundPackage:
    """Return the workflow of a folder, or of the only package in it."""
    files = sorted(folder.glob(f"*{_SUFFIX}")) or sorted(folder.glob(f"*/*{_SUFFIX}"))
    main = [path for path in files if path.stem == f"{path.parent.name}_wkf"]
    if len(main) == 1 or len(files) == 1:
        return _at((main or files)[0])
    if files:
        raise UserError(f"{folder} has several workflows: {', '.join(str(path) for path in files)}; give one of them")
    raise UserError(f"{folder} has no workflow: EDPS looks for <folder>/<folder>*{_SUFFIX}")
