"""What is known of files: what they look like, the digest of their content, whether they were verified."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from esorex_bridge.errors import DataError
from esorex_bridge.files import Digest
from esorex_bridge.store.database import Database


class FileDigests(Database):
    """The part of the store that knows files; a file is read again when it looks other than before."""

    def stamps(self, files: Iterable[str]) -> dict[str, str]:
        """Return what changes when the content of files does; an empty text where there is no file."""
        return {file: stamp_of(file) for file in files}

    def digests(self, files: Iterable[str]) -> dict[str, Digest | DataError]:
        """Return the content digests of files, reading only those that changed; the error where one is damaged."""
        wanted = tuple(dict.fromkeys(files))
        known = self._known_digests(wanted)
        found: dict[str, Digest | DataError] = {}
        fresh: dict[str, Digest] = {}
        for file in wanted:
            stamp, digest = known.get(file, ("", ""))
            if stamp and stamp == stamp_of(file):
                found[file] = Digest(digest)
                continue
            try:
                found[file] = fresh[file] = _digest_of(file, checksums=False)
            except DataError as error:
                found[file] = error
        self.learn(fresh, verified=False)
        return found

    def read_new(self, files: Iterable[str]) -> None:
        """Read files that are not known, and hold them against their own checksums on the way.

        What is damaged stays unknown: it is told where the file is needed.
        """
        wanted = tuple(dict.fromkeys(files))
        known = self._known_digests(wanted)
        fresh: dict[str, Digest] = {}
        for file in wanted:
            if file not in known or known[file][0] != stamp_of(file):
                with suppress(DataError):
                    fresh[file] = _digest_of(file)
        self.learn(fresh)

    def _known_digests(self, files: Iterable[str]) -> dict[str, tuple[str, str]]:
        query = "SELECT path, stamp, digest FROM digests WHERE path"
        return {file: (stamp, digest) for file, stamp, digest in self._among(query, files, "path")}

    def verify(self, files: Iterable[str]) -> None:
        """Hold files against their own CHECKSUM and DATASUM, each once while it does not change.

        Raises
        ------
        DataError
            The data of a file differ from its DATASUM.
        """
        self.learn({file: _digest_of(file) for file in self.unverified(files)})

    def unverified(self, files: Iterable[str]) -> frozenset[str]:
        """Return the files that were not held against their own checksums since they changed."""
        wanted = frozenset(files)
        done = dict(self._among("SELECT path, stamp FROM digests WHERE verified AND path", wanted, "path"))
        return frozenset(file for file in wanted if file not in done or done[file] != stamp_of(file))

    def learn(self, digests: Mapping[str, Digest], verified: bool = True) -> None:
        """Remember digests, and whether the files were held against their own checksums."""
        if digests:
            with self._write():
                self._learn(digests, verified)

    def _learn(self, digests: Mapping[str, Digest], verified: bool = True) -> None:
        rows = [(file, stamp, digest, verified) for file, digest in digests.items() if (stamp := stamp_of(file))]
        self._db.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?)", rows)

    # ----- recipes

    def known_recipe(self, plugin: Path) -> tuple[Digest, str] | None:
        """Return the digest and the parameters (JSON) of a plugin, where it is the file that was looked at."""
        row = self._one("SELECT stamp, digest, parameters FROM recipes WHERE plugin = ?", (str(plugin),))
        return (Digest(row[1]), row[2]) if row is not None and row[0] == stamp_of(plugin) else None

    def learn_recipe(self, plugin: Path, digest: Digest, parameters: str) -> None:
        """Remember the digest and the parameters (JSON) of a plugin."""
        with self._write():
            row = (str(plugin), stamp_of(plugin), digest, parameters)
            self._db.execute("INSERT OR REPLACE INTO recipes VALUES (?, ?, ?, ?)", row)

    # ----- doubt

    def known_files(self) -> dict[str, tuple[str, str]]:
        """Return what files that are there, products excepted, looked like when they were read, and their digests."""
        products = {self._at(path) for (path,) in self._all("SELECT path FROM products", ())}
        rows = self._all("SELECT path, stamp, digest FROM digests ORDER BY path", ())
        return {file: (stamp, digest) for file, stamp, digest in rows if file not in products and stamp_of(file)}

    def doubt_all(self, fresh: Mapping[str, Digest]) -> None:
        """Forget what all files look like and contain, and the keys that follow from it, but for what was read anew."""
        with self._write():
            self._db.execute("DELETE FROM foreseen")
            self._db.execute("UPDATE products SET stamp = ''")
            self._db.execute("DELETE FROM digests")
            self._learn(fresh)


def stamp_of(path: str | Path) -> str:
    """Return what changes when a file's content does, its size first; empty where there is no file."""
    try:
        state = os.stat(path)  # noqa: PTH116  (ten thousand times in a no-op: a Path costs more than the call)
    except OSError:
        return ""
    return f"{state.st_size}:{state.st_mtime_ns}:{state.st_ino}"


def _digest_of(file: str, checksums: bool = True) -> Digest:
    """Read a file; what that takes is loaded here, because a run that finds all made reads none."""
    from esorex_bridge.fits.verify import verify_fits

    return verify_fits(Path(file), checksums).digest
