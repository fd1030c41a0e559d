"""What lies in a data folder: FITS files by their archive names, and association trees."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from esorex_bridge.files import FITS_SUFFIXES, OUTPUT_FOLDERS, DpId, stem

_UNDERSCORED = re.compile(r"^(.+\.\d{4}-\d\d-\d\dT\d\d)_(\d\d)_(\d\d)")
_Default = TypeVar("_Default")


class FilesByName(Mapping[DpId, Path]):
    """Files by their archive names: of several of one name the first, or else an unpacked one.

    There may be a million. A path takes three times the room of a name, so it is put together where it is wanted.
    """

    def __init__(self) -> None:
        self._places: dict[DpId, tuple[str, str] | str] = {}
        self._known: dict[tuple[str, str], tuple[str, str]] = {}

    def add(self, folder: str, file: str) -> None:
        """Take in a file of a folder."""
        short = stem(file)
        name = _with_colons(short)
        if name in self._places and (not file.endswith(".fits") or str(self[name]).endswith(".fits")):
            return
        # Folder and ending of a name that is the file's own are those of many.
        parts = folder, file[len(short) :]
        self._places[name] = self._known.setdefault(parts, parts) if name == short else f"{folder}/{file}"

    def __getitem__(self, name: DpId) -> Path:
        place = self._places[name]
        return Path(place) if isinstance(place, str) else Path(f"{place[0]}/{name}{place[1]}")

    def get(self, name: DpId, default: _Default = None) -> Path | _Default:  # type: ignore[assignment]
        """Return where a file lies."""
        return self[name] if name in self._places else default

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[DpId]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class FolderContents(Struct, frozen=True):
    """The contents of a data folder.

    Parameters
    ----------
    files : mapping of str to Path
        FITS files by dp_id (or by name without ending).
    trees : tuple of str
        Paths of documents that may be association trees, by name.
    """

    files: Mapping[DpId, Path]
    trees: tuple[str, ...]


def scan(*places: Path) -> FolderContents:
    """Return what lies in folders and below, and files that are named themselves.

    Hidden and half-fetched files and folders of results are passed over. Where a file is there both packed and
    unpacked, the unpacked one counts, because every recipe reads it. Underscores that stand for the colons of a dp_id
    (as on systems that forbid colons) are read as colons.
    """
    files, trees = FilesByName(), []
    for folder, name in (found for place in places for found in _files_below(place)):
        if name.endswith(FITS_SUFFIXES):
            files.add(folder, name)
        elif name.endswith(".xml"):
            trees.append(f"{folder}/{name}")
    return FolderContents(files, tuple(trees))


def by_archive_name(paths: Iterable[Path]) -> Mapping[DpId, Path]:
    """Return files by their archive names."""
    files = FilesByName()
    for path in paths:
        files.add(str(path.parent), path.name)
    return files


def _files_below(place: Path) -> Iterator[tuple[str, str]]:
    """Yield the files of a place by folder and name, in the order of their paths."""
    if place.is_file():
        yield str(place.parent), place.name
    else:
        yield from _walk(str(place), place, set())


def _walk(folder: str, place: Path, seen: set[str]) -> Iterator[tuple[str, str]]:
    if (real := os.path.realpath(folder)) in seen:
        return  # a link that leads back
    seen.add(real)
    names, folders = [], set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    names.append(entry.name)
                    if _is_folder(entry):
                        folders.add(entry.name)
    except OSError as error:
        _refuse(place, error)
        return
    names.sort()
    for name in names:
        if name not in folders:
            yield folder, name
        elif name not in OUTPUT_FOLDERS:
            yield from _walk(f"{folder}/{name}", place, seen)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _refuse(place: Path, error: OSError) -> None:
    """Raise an error about a folder that was asked for; one below it may be nobody's business (`lost+found`)."""
    if isinstance(error, PermissionError) and error.filename == str(place):
        raise error


def archive_name(path: Path) -> DpId:
    """Return the name under which the archive knows a file."""
    return _with_colons(stem(path.name))


def _with_colons(name: DpId) -> DpId:
    return DpId(_UNDERSCORED.sub(r"\1:\2:\3", name)) if "_" in name else name
