"""What is known of files: what they look like, the digest of their content, whether they were verified."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from esorex_bridge.disk.digest import Reading
from esorex_bridge.disk.stamp import size_in
from esorex_bridge.errors import DataError
from esorex_bridge.files import Digest
from esorex_bridge.store.database import Database


class Rereading(Struct):
    """Files that were known and had to be read again, because their stamps changed."""

    files: int = 0
    size_bytes: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        files = "1 file was" if self.files == 1 else f"{self.files} files were"
        size, seconds = f"{self.size_bytes / 1e6:.1f} MB", f"{self.seconds:.1f} s"
        return f"{files} read again ({size}, {seconds}), because their time stamps had changed"


class _Known(NamedTuple):
    """What is known of a file: what it looked like, its digest, and whether it was held against its own checksums."""

    stamp: str
    digest: str
    verified: bool


class FileDigests(Database):
    """The part of the store that knows files; a file is read again when it looks other than before."""

    def __init__(self, path: Path, root: Path, trust_ctime: bool = True) -> None:
        super().__init__(path, root, trust_ctime)
        self.rereading = Rereading()
        self._fresh: dict[str, _Known] = {}
        """What was learnt and is not written yet, by path."""

    def stamps(self, files: Iterable[str]) -> dict[str, str]:
        """Return what changes when the content of files does; an empty text where there is no file."""
        look = self._look
        return {file: look(file) for file in files}

    def digests(self, files: Iterable[str], known: bool = False) -> dict[str, Digest | DataError]:
        """Return the content digests of files, reading only those that changed; the error where one is damaged.

        Those that are `known` by other records count as read again, where they must be read.
        """
        wanted = tuple(dict.fromkeys(files))
        remembered = self._known_digests(wanted)
        found: dict[str, Digest | DataError] = {}
        fresh: dict[str, Reading] = {}
        for file in wanted:
            stamp, digest = remembered.get(file, ("", ""))
            if stamp and stamp == self._look(file):
                found[file] = Digest(digest)
                continue
            try:
                fresh[file] = self._read(file, known or bool(stamp), checksums=False)
                found[file] = fresh[file].digest
            except DataError as error:
                found[file] = error
        self.learn(fresh, verified=False)
        return found

    def _read(self, file: str, known: bool, checksums: bool = True) -> Reading:
        """Read a file, and count it where it was known."""
        began = time.monotonic()
        reading = _reading_of(file, checksums)
        if known:
            self.count_reading(file, time.monotonic() - began)
        return reading

    def count_reading(self, file: str, seconds: float) -> None:
        """Count a file that was known and had to be read again."""
        with self._lock:
            self.rereading.files += 1
            self.rereading.size_bytes += max(0, size_in(self._look(file)))
            self.rereading.seconds += seconds

    def read_new(self, files: Iterable[str]) -> None:
        """Read files that are not known, and hold them against their own checksums on the way.

        What is damaged stays unknown: it is told where the file is needed.
        """
        wanted = tuple(dict.fromkeys(files))
        known = self._known_digests(wanted)
        fresh: dict[str, Reading] = {}
        for file in wanted:
            if file not in known or known[file][0] != self._look(file):
                with suppress(DataError):
                    fresh[file] = self._read(file, file in known)
        self.learn(fresh)

    def _known_digests(self, files: Iterable[str]) -> dict[str, tuple[str, str]]:
        return {file: (known.stamp, known.digest) for file, known in self._recall(files).items()}

    def _recall(self, files: Iterable[str]) -> dict[str, _Known]:
        with self._lock:
            if not self._waiting:
                self._fresh.clear()
            wanted = {self._relative(file): file for file in files}
            found = {file: self._fresh[path] for path, file in wanted.items() if path in self._fresh}
        others = [path for path, file in wanted.items() if file not in found]
        if others:
            rows = self._among("SELECT path, stamp, digest, verified FROM digests WHERE path", others, "path")
            found.update({self._at(path): _Known(*known) for path, *known in rows})
        return found

    def verify(self, files: Iterable[str]) -> None:
        """Hold files against their own CHECKSUM and DATASUM, each once while it does not change.

        Raises
        ------
        DataError
            If the data of a file differ from its DATASUM.
        """
        self.learn({file: _reading_of(file) for file in self.find_unverified(files)})

    def find_unverified(self, files: Iterable[str]) -> frozenset[str]:
        """Return the files that were not held against their own checksums since they changed."""
        wanted = frozenset(files)
        done = {file: known.stamp for file, known in self._recall(wanted).items() if known.verified}
        return frozenset(file for file in wanted if file not in done or done[file] != self._look(file))

    def trusts(self, stamps: Mapping[str, str]) -> bool:
        """Tell whether the content of all files is known under these stamps, so that what follows may be remembered."""
        known = self._known_digests(stamps)
        return all(file in known and known[file][0] == stamp for file, stamp in stamps.items())

    def learn(self, readings: Mapping[str, Reading], verified: bool = True) -> None:
        """Remember what was read of files, and whether they were held against their own checksums.

        A file that changed a moment ago is not remembered: its next change might not show.
        """
        rows = [
            (self._relative(file), self._strip_stamp(reading.stamp), reading.digest, verified)
            for file, reading in readings.items()
            if reading.stamp
        ]
        if rows and self.writable:
            with self._lock:
                self._fresh.update({path: _Known(stamp, digest, known) for path, stamp, digest, known in rows})
                self._remember("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?)", rows)

    def learn_verified(self, digests: Mapping[str, Digest]) -> None:
        """Remember that files were held against their own checksums elsewhere, where they are the files known here."""
        rows = [(self._relative(file), digest) for file, digest in digests.items()]
        if rows and self.writable:
            with self._lock:
                for path, digest in rows:
                    if path in self._fresh and self._fresh[path].digest == digest:
                        self._fresh[path] = self._fresh[path]._replace(verified=True)
                self._remember("UPDATE digests SET verified = 1 WHERE path = ? AND digest = ?", rows)

    # ----- doubt

    def known_files(self) -> dict[str, tuple[str, str]]:
        """Return what files that are there, products excepted, looked like when they were read, and their digests."""
        query = "SELECT path FROM products UNION SELECT path FROM end_products"
        products = {path for (path,) in self._all(query, ())}
        rows = self._all("SELECT path, stamp, digest FROM digests ORDER BY path", ())
        known = {self._at(file): (stamp, digest) for file, stamp, digest in rows if file not in products}
        return {file: entry for file, entry in known.items() if self._look(file)}

    def doubt_all(self, fresh: Mapping[str, Reading]) -> None:
        """Forget what all files look like and contain, and the keys that follow from it, but for what was read anew."""
        if not self.writable:
            return
        with self._write():
            self._db.execute("DELETE FROM foreseen")
            self._db.execute("UPDATE products SET stamp = ''")
            self._db.execute("DELETE FROM digests")
        self.learn(fresh)


def _reading_of(file: str, checksums: bool = True) -> Reading:
    """Read a file; what that takes is loaded here, because a run that finds all made reads none."""
    from esorex_bridge.fits.verify import read_fits

    content, stamp = read_fits(Path(file), checksums)
    return Reading(content.digest, stamp)
