"""The folders of static calibrations that a user names, and what lies in them by `PRO CATG`."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from esorex_bridge.datasets.dataset import DatasetFile
from esorex_bridge.definitions.folders import read_text, user_workflow_folder
from esorex_bridge.definitions.located import Located, read_yaml
from esorex_bridge.files import stem
from esorex_bridge.fits.scan import scan
from esorex_bridge.plan.statics import Preference, Static, StaticLibrary

STATICS_FILE = "statics.yaml"
CATEGORY, INSTRUMENT = "PRO.CATG", "INSTRUME"
PREFERENCES: tuple[Preference, ...] = ("archive", "kit")


class StaticFolders(Struct, frozen=True):
    """Where static calibrations lie, and whether they come before those of the archive."""

    folders: tuple[Path, ...] = ()
    first: Preference = "archive"


def static_folders(root: Path) -> StaticFolders:
    """Return what `statics.yaml` says, that of the data root before that of the user; nothing where there is none.

    Raises
    ------
    DefinitionError
        If the file says something that is not allowed.
    UserError
        If it cannot be read.
    """
    places = (root / STATICS_FILE, user_workflow_folder().parent / STATICS_FILE)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return StaticFolders()
    fields = read_yaml(read_text(path), str(path)).fields("statics", ("folders", "first"), required=("folders",))
    folders = []
    for given in fields["folders"].sequence("folders"):
        folder = (path.parent / Path(given.text("a folder")).expanduser()).resolve()
        if not folder.is_dir():
            raise given.complain(f"there is no folder {folder}; name one that holds static calibrations")
        folders.append(folder)
    return StaticFolders(tuple(folders), _preference(fields["first"]) if "first" in fields else "archive")


def read_shelf(named: StaticFolders) -> StaticLibrary:
    """Return the static calibrations below folders: FITS files that have a `PRO CATG`.

    Of files with one name and category, as in the folders of two versions of a kit, the last counts, by the numbers in
    its path.
    """
    found: dict[tuple[str, str], Static] = {}
    headers = scan(named.folders, (CATEGORY, INSTRUMENT)).headers
    for path in sorted(headers, key=_by_numbers):
        category = headers[path].get(CATEGORY)
        if category:
            file = DatasetFile(stem(path.name), str(category).strip(), path, "N/A")
            found[file.name, file.category] = Static(file, str(headers[path].get(INSTRUMENT) or "").strip())
    return StaticLibrary(tuple(found.values()), named.first)


def _preference(given: Located) -> Preference:
    word = given.text("first")
    found = next((known for known in PREFERENCES if known == word), None)
    if found is None:
        raise given.complain(f"first is '{word}'; allowed: {', '.join(PREFERENCES)}")
    return found


def _by_numbers(path: Path) -> list[tuple[int, str]]:
    """Return a key by which `naco-4.4.9` comes before `naco-4.4.11`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", str(path))]
