"""How verbs reach the archive: services, login, data folder."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from esorex_bridge.archive.client import ArchiveClient
    from esorex_bridge.archive.trees import Folders
    from esorex_bridge.datasets.association import Mode
    from esorex_bridge.files import DpId


def client(args: argparse.Namespace) -> ArchiveClient:
    """Return the client for a command line; it looks for credentials when a service wants them."""
    from esorex_bridge.archive.opening import open_client

    return open_client(args.archive, os.environ, trace=args.trace_http)


def mode(args: argparse.Namespace) -> Mode:
    """Return the mode that `--mode` names."""
    return "Raw2Master" if args.mode == "master" else "Raw2Raw"


def add_mode(parser: argparse.ArgumentParser) -> None:
    """Add `--mode` and `--into`."""
    parser.add_argument(
        "--mode",
        choices=("raw", "master"),
        default="raw",
        help="calibrations as raw frames or as processed masters (default: raw)",
    )
    parser.add_argument(
        "--into",
        type=Path,
        metavar="DIR",
        help="folder for data and trees (default: ROOT/reflex_input/data_with_raw_calibs, or "
        "data_with_processed_calibs for --mode master where masters are given)",
    )


def destination(args: argparse.Namespace) -> Folders:
    """Return where data and trees go: those of downgraded datasets to the raw calibrations, but for `--into`."""
    from esorex_bridge.archive.trees import Folders
    from esorex_bridge.organise import places

    into: Path | None = args.into
    return Folders(into.absolute()) if into is not None else places.destination(Path(args.root).absolute(), mode(args))


def data_folders(root: Path) -> tuple[Path, ...]:
    """Return the data folders of a root that exist."""
    from esorex_bridge.organise.places import DATA_FOLDERS, data_folder

    folders = (data_folder(root.absolute(), kind) for kind in DATA_FOLDERS)
    return tuple(folder for folder in folders if folder.is_dir())


def checked_names(names: list[str]) -> tuple[DpId, ...]:
    """Return archive names as given on a command line, without FITS endings and with colons.

    Raises
    ------
    UserError
        If one is no archive name.
    """
    from esorex_bridge.archive.services import is_archive_name
    from esorex_bridge.datasets.build import TEMPLATE
    from esorex_bridge.files import DpId, is_dp_id, stem

    found = []
    for name in names:
        plain = stem(name)
        if plain.endswith(TEMPLATE) and is_dp_id(plain.removesuffix(TEMPLATE)):
            raise UserError(f"'{name}' is a dataset, not a frame; if it is here: 'esorex-bridge run {name}'")
        if not is_dp_id(plain) or not is_archive_name(plain):
            raise UserError(f"'{name}' is no archive name; they look like NACO.2016-03-02T02:00:00.000")
        head, _, time = plain.rpartition("T")
        found.append(DpId(f"{head}T{time.replace('_', ':')}"))
    return tuple(dict.fromkeys(found))
