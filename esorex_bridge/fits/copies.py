"""Copies of one file in two places: one content is one file, as ESO's rules confuse two.

Only files of one name, or processed files with equal headers, are compared; the rest of a night is not read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from esorex_bridge.errors import DataError
from esorex_bridge.files import Digest, stem
from esorex_bridge.fits.card import Value
from esorex_bridge.fits.verify import verify_fits


class Copies(Struct, frozen=True):
    """Files that seem to be one.

    Parameters
    ----------
    kept : Path
        The one to use: unpacked before packed, then the first by path.
    others : tuple of Path
        The others.
    same : bool
        Whether their contents are equal; if not, two different files have one name.
    """

    kept: Path
    others: tuple[Path, ...]
    same: bool

    def __str__(self) -> str:
        others = ", ".join(map(str, self.others))
        if self.same:
            return f"{self.kept} is used; the same content lies at {others}."
        return f"Two different files are called {stem(self.kept.name)}: {self.kept} is used, {others} is not."


def find_copies(headers: Mapping[Path, Mapping[str, Value]]) -> tuple[Copies, ...]:
    """Return the copies among files whose headers are known."""
    found = []
    taken: set[Path] = set()
    for paths in _suspects(headers):
        paths = [path for path in paths if path not in taken]
        same_name = len({stem(path.name) for path in paths}) == 1
        for alike in _by_content(paths):
            if len(alike) > 1:
                found.append(Copies(alike[0], tuple(alike[1:]), same=True))
                taken.update(alike[1:])
        rest = [path for path in paths if path not in taken]
        if same_name and len(rest) > 1:
            found.append(Copies(rest[0], tuple(rest[1:]), same=False))
            taken.update(rest[1:])
    return tuple(found)


def _suspects(headers: Mapping[Path, Mapping[str, Value]]) -> Iterator[list[Path]]:
    named: dict[object, list[Path]] = defaultdict(list)
    for path, header in headers.items():
        named[stem(path.name)].append(path)
        if header.get("PRO.CATG") is not None:
            named[tuple(sorted((key, str(value)) for key, value in header.items() if key != "ARCFILE"))].append(path)
    return (sorted(paths, key=_preference) for paths in named.values() if len(paths) > 1)


def _preference(path: Path) -> tuple[bool, str]:
    return path.suffix in (".Z", ".gz", ".fz"), str(path)


def _by_content(paths: Iterable[Path]) -> list[list[Path]]:
    contents: dict[Digest | Path, list[Path]] = defaultdict(list)
    for path in paths:
        try:
            contents[verify_fits(path, checksums=False).digest].append(path)
        except DataError:
            contents[path].append(path)
    return list(contents.values())
