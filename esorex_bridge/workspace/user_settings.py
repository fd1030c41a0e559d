"""What a user sets once, for a data root or for all of them: the environment and `settings.yaml`.

root: /data/night          # the data root where --root does not name one (in the user's own file alone)
archive: http://…          # one base address for all archive services
trust_ctime: false         # other programs change the ctime of my files: do not read them again for that
room: ignore               # fetch and run also what the disk seems to have no room for
workflows: ~/mine:/team    # folders of workflow definitions, before those that come with the bridge
cache: /scratch/cache      # where is kept what took long to work out (in the user's own file alone)

An option goes before the environment, the environment before the file in the data root, that before the user's own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from esorex_bridge.definitions.located import Scalar
    from esorex_bridge.disk.room import RoomRule

SETTINGS_FILE = "settings.yaml"
ROOT_VARIABLE = "ESOREX_BRIDGE_ROOT"
ARCHIVE_VARIABLE = "ESOREX_BRIDGE_ARCHIVE"
_FIELDS = ("root", "archive", "trust_ctime", "room", "workflows", "cache")
_ROOM_RULES = ("check", "ignore")


class UserSettings(Struct, frozen=True):
    """What is set.

    Parameters
    ----------
    trust_ctime : bool
        Whether a file whose ctime changed is read again. With false, an edit in place that keeps size and time is
        not noticed until `status --verify`.
    archive : str or None
        One base address for all archive services; None for ESO's own.
    room : {'check', 'ignore'}
        Whether what the disks have no room for is refused.
    """

    trust_ctime: bool = True
    archive: str | None = None
    room: RoomRule = "check"


def user_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of the user's own settings, `esorex-bridge` where settings are kept."""
    base = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "esorex-bridge"


def default_root(environment: Mapping[str, str]) -> Path:
    """Return the data root that the environment or the user's settings name, else the current folder."""
    if named := environment.get(ROOT_VARIABLE):
        return Path(named)
    return Path(str(_read(user_folder(environment) / SETTINGS_FILE).get("root", "."))).expanduser()


def fill_environment(environment: MutableMapping[str, str], root: Path) -> None:
    """Let the settings say where the environment does not which folders hold workflow definitions, and the cache.

    Commands that are started from here, workers of a batch among them, find the same.
    """
    if not settings_files(environment, root):
        return
    from esorex_bridge.definitions.folders import WORKFLOWS_VARIABLE
    from esorex_bridge.disk.remembered import CACHE_VARIABLE

    own = user_folder(environment)
    given = {**_read(own / SETTINGS_FILE), **_read(root / SETTINGS_FILE)}
    if (folders := given.get("workflows")) and not environment.get(WORKFLOWS_VARIABLE):
        named = (str(Path(folder).expanduser()) for folder in str(folders).split(os.pathsep) if folder)
        environment[WORKFLOWS_VARIABLE] = os.pathsep.join(named)
    if (cache := _read(own / SETTINGS_FILE).get("cache")) and not environment.get(CACHE_VARIABLE):
        environment[CACHE_VARIABLE] = str(Path(str(cache)).expanduser())


def settings_files(environment: Mapping[str, str], root: Path) -> tuple[Path, ...]:
    """Return the files of settings that there are, the user's own first."""
    files = (user_folder(environment) / SETTINGS_FILE, root / SETTINGS_FILE)
    return tuple(file for file in files if file.is_file())


def default_archive(environment: Mapping[str, str], root: Path) -> str | None:
    """Return the address of the archive that the environment or the settings name; None for ESO's own."""
    return environment.get(ARCHIVE_VARIABLE) or read_user_settings(root, user_folder(environment)).archive


def read_user_settings(root: Path, folder: Path) -> UserSettings:
    """Return the settings of a data root, for what they leave out those in the user's own folder, else the defaults.

    Raises
    ------
    DefinitionError
        If a file says something that is not allowed.
    UserError
        If it cannot be read.
    """
    given = {**_read(folder / SETTINGS_FILE), **_read(root / SETTINGS_FILE)}
    archive = given.get("archive")
    room: RoomRule = "ignore" if given.get("room") == "ignore" else "check"
    return UserSettings(bool(given.get("trust_ctime", True)), None if archive is None else str(archive), room)


def _read(path: Path) -> dict[str, Scalar]:
    if not path.is_file():
        return {}
    from esorex_bridge.definitions.folders import read_text
    from esorex_bridge.definitions.located import read_yaml

    fields = read_yaml(read_text(path), str(path)).fields("settings", _FIELDS)
    values = {name: given.scalar(name) for name, given in fields.items()}
    for name, value in values.items():
        wanted = bool if name == "trust_ctime" else str
        if not isinstance(value, wanted):
            raise fields[name].complain(
                f"{name} is '{value}'; it must be {'true or false' if wanted is bool else 'text'}"
            )
        if name == "room" and value not in _ROOM_RULES:
            raise fields[name].complain(f"room is '{value}'; it must be {' or '.join(_ROOM_RULES)}")
    return values
