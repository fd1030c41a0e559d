"""What lies in a data folder: FITS files by their archive names, and association trees."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from esorex_bridge.files import FITS_SUFFIXES, stem

_UNDERSCORED = re.compile(r"^(.+\.\d{4}-\d\d-\d\dT\d\d)_(\d\d)_(\d\d)")


class Inputs(Struct, frozen=True):
    """The contents of a data folder.

    Parameters
    ----------
    files : dict of str to Path
        FITS files by dp_id (or by name without ending).
    trees : tuple of Path
        Documents that may be association trees, by name.
    """

    files: dict[str, Path]
    trees: tuple[Path, ...]


def scan(folder: Path) -> Inputs:
    """Return what lies in a folder and below; hidden files and half-fetched ones are passed over.

    Where a file is there both packed and unpacked, the unpacked one counts, because every recipe reads it. Underscores
    that stand for the colons of a dp_id (as on systems that forbid colons) are read as colons.
    """
    files: dict[str, Path] = {}
    trees: list[Path] = []
    for path in sorted(folder.rglob("*")):
        if path.name.startswith("."):
            continue
        if path.name.endswith(FITS_SUFFIXES):
            name = archive_name(path)
            if name not in files or path.name.endswith(".fits"):
                files[name] = path
        elif path.suffix == ".xml":
            trees.append(path)
    return Inputs(files, tuple(trees))


def archive_name(path: Path) -> str:
    """Return the name under which the archive knows a file."""
    return _UNDERSCORED.sub(r"\1:\2:\3", stem(path.name))
