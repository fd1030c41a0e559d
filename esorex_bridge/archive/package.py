"""Package: a folder of files that came from the archive by other ways: its request packages and download scripts.

Known forms: files flat or in `data_with_raw_calibs/` and `data_with_processed_calibs/`; trees named `<dp_id>.xml`,
`<dp_id>_raw2raw.xml` or `<dp_id>_raw2master.xml`; colons as they are or as underscores; the list of files in
`downloadRequest…script.sh` or `downloadScript_….sh`. Source: the archive's own read-me files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from msgspec import Struct

from esorex_bridge.archive.file_fetcher import existing
from esorex_bridge.archive.manifest import Manifest
from esorex_bridge.archive.services import is_archive_name
from esorex_bridge.archive.trees import SavedTree, saved_trees
from esorex_bridge.archive.verify_stream import digest_of
from esorex_bridge.datasets.association import distinct_files
from esorex_bridge.disk.stamp import stamp_of, steady_stamp
from esorex_bridge.errors import DataError, UserError
from esorex_bridge.files import FITS_SUFFIXES, is_dp_id, stem
from esorex_bridge.fits.header import read_header

FOLDERS = ("data_with_raw_calibs", "data_with_processed_calibs")

_SCRIPTS = ("downloadRequest*script.sh", "downloadScript_*.sh")
_SCRIPT_LIMIT = 16 * 1024 * 1024
_LISTED = re.compile(r"https?://[^\s\"']+/(?:dataPortal(?:_new)?/file|SAF)/([^\s\"'/]+)")


class PackageFolder(Struct, frozen=True):
    """One folder of a package.

    Parameters
    ----------
    path : Path
        The folder.
    files : tuple of (str, Path)
        Data files by archive name.
    trees : tuple of SavedTree
        Its association trees.
    """

    path: Path
    files: tuple[tuple[str, Path], ...]
    trees: tuple[SavedTree, ...]


class RequestPackage(Struct, frozen=True):
    """What lies in a folder of files from the archive.

    Parameters
    ----------
    folders : tuple of PackageFolder
        Those with data or trees.
    listed : tuple of str
        Archive names that download scripts list.
    """

    folders: tuple[PackageFolder, ...]
    listed: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Archive names that trees or scripts want and no folder has."""
        here = {name for folder in self.folders for name, _ in folder.files}
        trees = (tree for folder in self.folders for tree in folder.trees)
        named = (file.name for tree in trees for file in distinct_files(tree.tree.root))
        return tuple(name for name in dict.fromkeys((*self.listed, *named)) if name not in here)


class Checked(Struct, frozen=True):
    """A file of a package after a look at its content.

    Parameters
    ----------
    name : str
        Archive name.
    path : Path
        Where it lies.
    damage : str
        What is wrong with it; empty where it is sound.
    """

    name: str
    path: Path
    damage: str = ""


def read_package(folder: Path) -> RequestPackage:
    """Return what lies in a folder.

    Raises
    ------
    UserError
        If the folder does not exist, or nothing in it is of the archive.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name that of a download, of Reflex or of EDPS")
    places = (folder, *(folder / name for name in FOLDERS))
    folders = tuple(found for place in places if place.is_dir() and ((found := _read(place)).files or found.trees))
    listed = _list_folder(folder)
    if not folders and not listed:
        raise UserError(
            f"{folder} holds no files of the archive: no FITS file with an archive name, no association "
            "tree, no download script"
        )
    return RequestPackage(folders, listed)


def check(folder: PackageFolder) -> tuple[Checked, ...]:
    """Verify the files of a folder and note them in its manifest, so that they are not read again.

    Raises
    ------
    UserError
        If the folder cannot be written.
    """
    manifest = Manifest(folder.path)
    try:
        return tuple(_check(name, path, manifest) for name, path in folder.files)
    except OSError as error:
        raise UserError(
            f"{folder.path} cannot be written: {error.strerror or error}; copy the package to where it can"
        ) from error


def _check(name: str, path: Path, manifest: Manifest) -> Checked:
    if manifest.digest(path) is not None:
        return Checked(name, path)
    stamp = stamp_of(path)
    try:
        digest = digest_of(path)
    except DataError as error:
        return Checked(name, path, str(error))
    manifest.record(path, digest, steady_stamp(path, stamp))
    return Checked(name, path)


def _read(place: Path) -> PackageFolder:
    named = ((_archive_name(name, path), path) for name, path in existing(place).items())
    files = {name: path for name, path in named if is_dp_id(name.removesuffix(".NL"))}
    return PackageFolder(place, tuple(files.items()), saved_trees(place))


def _archive_name(name: str, path: Path) -> str:
    """Return the archive's name of a file: the one that it has, else what ARCFILE in the header of a raw says."""
    if is_dp_id(name.removesuffix(".NL")) or not path.name.endswith(FITS_SUFFIXES):
        return name
    try:
        header = read_header(path)
    except DataError:
        return name
    given = stem(str(header.get("ARCFILE") or ""))
    # A product carries the ARCFILE of its first raw.
    return given if header.get("PRO.CATG") is None and is_dp_id(given) and is_archive_name(given) else name


def _list_folder(folder: Path) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for pattern in _SCRIPTS:
        for script in sorted(folder.glob(pattern)):
            if script.stat().st_size <= _SCRIPT_LIMIT:
                names.update(dict.fromkeys(_names(_LISTED.findall(script.read_text("utf-8", "replace")))))
    return tuple(names)


def _names(found: Iterable[str]) -> Iterable[str]:
    return (name for name in map(unquote, found) if is_archive_name(name) and is_dp_id(name.removesuffix(".NL")))
