"""How verbs reach the archive: services, login, data folder."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from esorex_bridge.archive.auth import Credentials
    from esorex_bridge.archive.client import ArchiveClient
    from esorex_bridge.datasets.association import Mode

_VERSION = 1


def client(args: argparse.Namespace) -> ArchiveClient:
    """Return the client for a command line; it looks for credentials when a service wants them."""
    from esorex_bridge.archive.client import ArchiveClient
    from esorex_bridge.archive.services import Services

    services = Services.at(args.archive) if args.archive else Services()
    return ArchiveClient(services, credentials=lambda: credentials(os.environ, keyring=not args.archive))


def credentials(environment: Mapping[str, str], keyring: bool = True) -> Credentials | None:
    """Return user and password from the environment, or from the keyring for the user of the last login.

    An archive that is not ESO's is told nothing from the keyring.
    """
    from esorex_bridge.archive.auth import find_credentials

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
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.write_text(json.dumps({"version": _VERSION, "user": user}) + "\n", "utf-8")
        part.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}; set ESO_USERNAME instead") from error


def forget_user(environment: Mapping[str, str]) -> None:
    """Forget the user of the last login."""
    _login_file(environment).unlink(missing_ok=True)


def mode(args: argparse.Namespace) -> Mode:
    """Return the mode that `--mode` names."""
    return "Raw2Master" if args.mode == "master" else "Raw2Raw"


def add_mode(parser: argparse.ArgumentParser) -> None:
    """Add `--mode` and `--into`."""
    parser.add_argument("--mode", choices=("raw", "master"), default="raw",
                        help="calibrations as raw frames or as processed masters (default: raw)")
    parser.add_argument("--into", type=Path, metavar="DIR",
                        help="folder for data and trees (default: ROOT/reflex_input/data_with_raw_calibs, or "
                             "data_with_processed_calibs for --mode master)")


def data_folder(args: argparse.Namespace) -> Path:
    """Return the folder for data and trees."""
    into: Path | None = args.into
    if into is not None:
        return into.absolute()
    name = "data_with_processed_calibs" if args.mode == "master" else "data_with_raw_calibs"
    return Path(args.root).absolute() / "reflex_input" / name


def data_folders(root: Path) -> tuple[Path, ...]:
    """Return the data folders of a root that exist."""
    folders = (root.absolute() / "reflex_input" / name for name in
               ("data_with_raw_calibs", "data_with_processed_calibs"))
    return tuple(folder for folder in folders if folder.is_dir())


def checked_names(names: list[str]) -> tuple[str, ...]:
    """Return archive names as given on a command line, without FITS endings and with colons.

    Raises
    ------
    UserError
        One is no archive name.
    """
    from esorex_bridge.archive.services import is_archive_name
    from esorex_bridge.files import is_dp_id, stem

    found = []
    for name in names:
        plain = stem(name)
        if not is_dp_id(plain) or not is_archive_name(plain):
            raise UserError(f"'{name}' is no archive name; they look like NACO.2016-03-02T02:00:00.000")
        head, _, time = plain.rpartition("T")
        found.append(f"{head}T{time.replace('_', ':')}")
    return tuple(dict.fromkeys(found))


def _login_file(environment: Mapping[str, str]) -> Path:
    base = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "esorex-bridge" / "login.json"
