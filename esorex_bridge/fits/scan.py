"""The headers of all FITS files below folders: what can be read, and what cannot, with the reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from esorex_bridge.disk.stamp import stamp_of_status
from esorex_bridge.errors import DataError
from esorex_bridge.files import FITS_SUFFIXES, OUTPUT_FOLDERS
from esorex_bridge.fits.cache import HeaderCache
from esorex_bridge.fits.card import Value
from esorex_bridge.fits.header import read_header
from esorex_bridge.fits.stream import MAGIC_BYTES, packing_of

_SUFFIXES = tuple(suffix.lower() for suffix in FITS_SUFFIXES)


class FileFault(Struct, frozen=True):
    """A file that looks like FITS and cannot be read.

    Parameters
    ----------
    path : Path
        Where it lies.
    reason : str
        Why, and what to do.
    """

    path: Path
    reason: str


class Scan(Struct, frozen=True):
    """What lies below some folders.

    Parameters
    ----------
    found : mapping of str to keywords
        By path, of every FITS file, all keywords asked for, None for what it does not have; in the order of the paths.
    faults : tuple of FileFault
        Files named like FITS that are none, or are cut off, or cannot be read.
    others : tuple of Path
        Files that are not FITS and do not claim to be.
    """

    found: Mapping[str, Mapping[str, Value]]
    faults: tuple[FileFault, ...] = ()
    others: tuple[Path, ...] = ()

    @property
    def headers(self) -> dict[Path, Mapping[str, Value]]:
        """The same by `Path`, which takes longer to make than to look a file up in the cache."""
        return {Path(path): header for path, header in self.found.items()}


def scan(places: Iterable[Path], keys: tuple[str, ...], cache: HeaderCache | None = None) -> Scan:
    """Read the headers of all FITS files in places; nothing found there stops the rest.

    Parameters
    ----------
    places : iterable of Path
        Folders, searched to any depth (hidden ones and folders of results left out), or files.
    keys : tuple of str
        Keywords to keep.
    cache : HeaderCache, optional
        Made for the same keywords; saved at the end.
    """
    headers: dict[str, Mapping[str, Value]] = {}
    faults: list[FileFault] = []
    others: list[Path] = []
    for path, stamp in _files(places, faults):
        known = cache.get(path, stamp) if cache else None
        if known is not None:
            headers[path] = known
            continue
        if not path.lower().endswith(_SUFFIXES) and not _starts_like_fits(path):
            others.append(Path(path))
            continue
        try:
            header = read_header(Path(path)).select(keys)
        except DataError as error:
            faults.append(FileFault(Path(path), str(error)))
            continue
        headers[path] = {key: header.get(key) for key in keys}
        if cache:
            cache.put(path, stamp, header)
    if cache:
        cache.save()
    return Scan(headers, tuple(faults), tuple(others))


_Found = tuple[str, str]


def _files(places: Iterable[Path], faults: list[FileFault]) -> list[_Found]:
    """Return the files of all places once each, by path, with their stamps."""
    seen: set[tuple[int, int]] = set()
    found: list[_Found] = []
    for place in places:
        _look_at(place.absolute(), found, seen, faults)
    return sorted(set(found))


def _look_at(place: Path, found: list[_Found], seen: set[tuple[int, int]], faults: list[FileFault]) -> None:
    try:
        status = place.stat()
    except OSError as error:
        faults.append(FileFault(place, f"{place} cannot be read: {error.strerror}"))
        return
    if not place.is_dir():
        found.append((str(place), stamp_of_status(status)))
    elif (status.st_dev, status.st_ino) not in seen:
        seen.add((status.st_dev, status.st_ino))
        _look_into(str(place), found, seen, faults)


def _look_into(folder: str, found: list[_Found], seen: set[tuple[int, int]], faults: list[FileFault]) -> None:
    try:
        with os.scandir(folder) as listing:
            entries = list(listing)
    except OSError as error:
        faults.append(FileFault(Path(folder), f"{folder} cannot be read: {error.strerror}"))
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            if entry.is_file():
                status = entry.stat()
                found.append((entry.path, stamp_of_status(status)))
            elif entry.is_dir():
                if entry.name not in OUTPUT_FOLDERS:
                    _look_at(Path(entry.path), found, seen, faults)
            else:
                faults.extend(_odd(entry))
        except OSError as error:
            faults.append(FileFault(Path(entry.path), f"{entry.path} cannot be read: {error.strerror}"))


def _odd(entry: os.DirEntry[str]) -> Iterator[FileFault]:
    """Tell a FITS name that leads nowhere; sockets and the like do not matter."""
    if entry.is_symlink() and entry.name.lower().endswith(_SUFFIXES):
        yield FileFault(Path(entry.path), f"{entry.path} is a link to a file that is not there")


def _starts_like_fits(path: str) -> bool:
    try:
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 — ten thousand times
            return packing_of(stream.read(MAGIC_BYTES)) == "fits"
    except OSError:
        return False


def probe(
    places: Iterable[Path], keys: tuple[str, ...], most: int, kind: Callable[[str], str]
) -> tuple[Mapping[str, Value], ...]:
    """Return the headers of a few files, one of each kind of name, at most so many.

    Parameters
    ----------
    places : iterable of Path
        As for `scan`.
    keys : tuple of str
        Keywords to keep.
    most : int
        Most files to read.
    kind : callable
        Tells from a file's name what kind it is.
    """
    found: dict[str, Mapping[str, Value]] = {}
    tried = 0
    for path, _ in _files(places, []):
        name = kind(Path(path).name)
        if name in found or tried >= most or not path.lower().endswith(_SUFFIXES):
            continue
        tried += 1
        try:
            found[name] = read_header(Path(path)).select(keys)
        except DataError:
            continue
    return tuple(found.values())
