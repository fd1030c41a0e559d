"""Whom the last login was for, remembered in a file; the password never is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from esorex_bridge.archive.auth import Credentials, find_credentials
from esorex_bridge.disk.atomic import WriteError, write_whole
from esorex_bridge.errors import UserError

_VERSION = 1


def credentials(environment: Mapping[str, str], keyring: bool = True) -> Credentials | None:
    """Return user and password from the environment, or from the keyring for the user of the last login.

    An archive that is not ESO's is told nothing from the keyring.
    """
    return find_credentials(environment, remembered_user(environment), keyring)


def remembered_user(environment: Mapping[str, str]) -> str | None:
    """Return the user of the last login; None where there was none."""
    try:
        found = json.loads(_login_file(environment).read_text("utf-8"))
        return str(found["user"]) if found["version"] == _VERSION else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember_user(environment: Mapping[str, str], user: str) -> None:
    """Remember the user (never the password) for later commands."""
    path = _login_file(environment)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, json.dumps({"version": _VERSION, "user": user}) + "\n")
    except (OSError, WriteError) as error:
        raise UserError(f"{path} cannot be written; set ESO_USERNAME instead") from error


def forget_user(environment: Mapping[str, str]) -> None:
    """Forget the user of the last login."""
    _login_file(environment).unlink(missing_ok=True)


def _login_file(environment: Mapping[str, str]) -> Path:
    base = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "esorex-bridge" / "login.json"
