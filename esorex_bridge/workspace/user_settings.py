"""What a user sets once for a data root, or for all of them: `settings.yaml`.

trust_ctime: false      # other programs change the ctime of my files: do not read them again for that
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

SETTINGS_FILE = "settings.yaml"


class UserSettings(Struct, frozen=True):
    """What is set.

    Parameters
    ----------
    trust_ctime : bool
        Whether a file whose ctime changed is read again. With false, an edit in place that keeps size and time is
        not noticed until `status --verify`.
    """

    trust_ctime: bool = True


def read_user_settings(root: Path, folder: Path) -> UserSettings:
    """Return the settings of a data root, else those in the user's own folder, else the defaults.

    Raises
    ------
    DefinitionError
        If the file says something that is not allowed.
    UserError
        If it cannot be read.
    """
    path = next((place for place in (root / SETTINGS_FILE, folder / SETTINGS_FILE) if place.is_file()), None)
    if path is None:
        return UserSettings()
    from esorex_bridge.definitions.folders import read_text
    from esorex_bridge.definitions.located import read_yaml

    fields = read_yaml(read_text(path), str(path)).fields("settings", ("trust_ctime",))
    given = fields.get("trust_ctime")
    if given is None:
        return UserSettings()
    value = given.scalar("trust_ctime")
    if not isinstance(value, bool):
        raise given.complain(f"trust_ctime is '{value}'; it must be true or false")
    return UserSettings(trust_ctime=value)
