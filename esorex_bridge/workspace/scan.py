"""What lies in a data folder: FITS files by their archive names, and association trees."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from msgspec import Struct

from esorex_bridge.files import FITS_SUFFIXES, OUTPUT_FOLDERS, DpId, stem

_UNDERSCORED = re.compile(r"^(.+\.\d{4}-\d\d-\d\dT\d\d)_(\d\d)_(\d\d)")


class FolderContents(Struct, frozen=True):
    """The contents of a data folder.

    Parameters
    ----------
    files : dict of str to Path
        FITS files by dp_id (or by name without ending).
    trees : tuple of Path
        Documents that may be association trees, by name.
    """

    files: dict[DpId, Path]
    trees: tuple[Path, ...]


def scan(*places: Path) -> FolderContents:
    """Return what lies in folders and below, and files that are named themselves.

    Hidden and half-fetched files and folders of results are passed over. Where a file is there both packed and
    unpacked, the unpacked one counts, because every recipe reads it. Underscores that stand for the colons of a dp_id
    (as on systems that forbid colons) are read as colons.
    """
    paths = [path for place in places for path in _files_below(place)]
    trees = tuple(path for path in paths if path.suffix == ".xml")
    return FolderContents(by_archive_name(path for path in paths if path.name.endswith(FITS_SUFFIXES)), trees)


def by_archive_name(paths: Iterable[Path]) -> dict[DpId, Path]:
    """Return files by their archive names: of several of one name the first, or else an unpacked one."""
    files: dict[DpId, Path] = {}
    for path in paths:
        name = archive_name(path)
        if name not in files or (path.name.endswith(".fits") and not files[name].name.endswith(".fits")):
            files[name] = path
    return files


def _files_below(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    found: list[Path] = []
    seen: set[str] = set()
    for folder, folders, names in os.walk(place, followlinks=True, onerror=partial(_refuse, place)):
        if (real := os.path.realpath(folder)) in seen:
            folders.clear()  # a link that leads back
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".") and name not in OUTPUT_FOLDERS]
        found += (Path(folder, name) for name in names if not name.startswith("."))
    return sorted(found)


def _refuse(place: Path, error: OSError) -> None:
    """Raise an error about a folder that was asked for; one below it may be nobody's business (`lost+found`)."""
    if isinstance(error, PermissionError) and error.filename == str(place):
        raise error


def archive_name(path: Path) -> DpId:
    """Return the name under which the archive knows a file."""
    return DpId(_UNDERSCORED.sub(r"\1:\2:\3", stem(path.name)))
