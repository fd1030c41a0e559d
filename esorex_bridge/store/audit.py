"""Reading again every file that the store knows, to find what changed without a trace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from esorex_bridge.disk.digest import Reading
from esorex_bridge.errors import DataError
from esorex_bridge.fits.verify import read_fits
from esorex_bridge.reuse.record import Absent
from esorex_bridge.store.step_store import SqliteStore


class Reread(Struct, frozen=True):
    """What came of it: how many files and recorded steps were looked at, and what is wrong, in words."""

    files: int
    steps: int
    problems: tuple[str, ...]


def read_again(store: SqliteStore, told: Callable[[str, int, int], None] = lambda what, done, of: None) -> Reread:
    """Read every raw frame, product and end product that the store knows and that is there, whole.

    A file whose content is another one than remembered counts with its new content from now on: what depends on it is
    made again. `told` is called before each file and step: what they are, the number of those done, and of all.
    """
    known = store.known_files()
    fresh: dict[str, Reading] = {}
    problems = []
    for number, (file, (stamp, digest)) in enumerate(known.items()):
        told("files", number, len(known))
        seen = store.stamps((file,))[file]
        try:
            content, shown = read_fits(Path(file))
        except DataError as error:
            problems.append(str(error))
            continue
        fresh[file] = Reading(content.digest, shown)
        if seen == stamp and content.digest != digest:
            problems.append(f"{file} was changed without a trace: its sha256 differs, its size and time do not")
    store.doubt_all(fresh)
    keys = store.all_keys()
    for number, key in enumerate(keys):
        told("the products of steps", number, len(keys))
        found = store.find(key)
        if isinstance(found, Absent):
            problems.append(found.reason)
    return Reread(len(known), len(keys), tuple(sorted(problems)))
