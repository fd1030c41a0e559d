"""The store of `esorex-lazy`: products of earlier runs by key, digests of files, and EsoRex's answers.

Plain files, because a look-up must cost next to nothing and because any number of processes may use it: whatever is
here was renamed into place whole, or is a line of text that stands for itself. Removing any of it costs time, never
truth. Layout: `steps/<kk>/<key>/` with `manifest.json` beside what the run left; `digests/<folder's hash>`, lines of
stamp, digest and name; `answers/<hash>.json`; `plugins/<hash>/<recipe>.so`, a link; `locks/<key>`; `scratch/`.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO

from esorex_bridge.disk.digest import UnsteadyError, read_digest
from esorex_bridge.disk.stamp import stamp_of
from esorex_bridge.lazy.command import DoubtError

_FORMAT = "2"
_SEPARATOR = "\t"
_ABANDONED_SECONDS = 14 * 86400


def stamp(path: str) -> str:
    """Return what changes when a file's content does.

    Raises
    ------
    DoubtError
        If there is no such file, or it is none.
    """
    if not os.path.isfile(path):
        raise DoubtError(f"{path} is no file, or is not there")
    return stamp_of(path)


def default_place(variables: Mapping[str, str]) -> str:
    """Return the folder of the store: `ESOREX_LAZY_STORE`, else `esorex-lazy` in the user's cache folder.

    Raises
    ------
    DoubtError
        If there is no home folder to hold it.
    """
    if chosen := variables.get("ESOREX_LAZY_STORE"):
        return os.path.abspath(chosen)
    home = variables.get("HOME", "")
    caches = variables.get("XDG_CACHE_HOME") or (f"{home}/.cache" if os.path.isabs(home) else "")
    if not os.path.isabs(caches):
        raise DoubtError("no folder for the store")
    return f"{caches}/esorex-lazy"


class LazyStore:
    """A store.

    Parameters
    ----------
    place : str
        Its folder, absolute; made where it is missing.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._known: dict[str, dict[str, tuple[str, str]]] = {}

    # ----- digests of files

    def digest_of(self, path: str) -> str:
        """Return the content digest of one file, as `digests_of`."""
        return self.digests_of([path])[path]

    def digests_of(self, paths: Iterable[str]) -> dict[str, str]:
        """Return the content digests of files, reading only what changed since it was read last.

        Raises
        ------
        DoubtError
            If one is not there, or cannot be read.
        """
        found: dict[str, str] = {}
        for path in paths:
            if path in found:
                continue
            folder, name = os.path.split(os.path.abspath(path))
            known = self._digests_below(folder)
            now = stamp(path)
            earlier = known.get(name)
            if earlier is not None and earlier[0] == now:
                found[path] = earlier[1]
                continue
            found[path], shown = _read(path)
            known[name] = (shown or now, found[path])
            if shown:
                self._append(folder, f"{shown}{_SEPARATOR}{found[path]}{_SEPARATOR}{name}\n")
        return found

    def _digests_below(self, folder: str) -> dict[str, tuple[str, str]]:
        if folder not in self._known:
            known: dict[str, tuple[str, str]] = {}
            try:
                with open(self._digest_file(folder), encoding="utf-8", errors="surrogateescape") as stream:
                    for line in stream:
                        parts = line.rstrip("\n").split(_SEPARATOR)
                        if len(parts) == 3 and len(parts[1]) == 71:
                            known[parts[2]] = (parts[0], parts[1])
            except OSError:
                pass
            self._known[folder] = known
        return self._known[folder]

    def _append(self, folder: str, line: str) -> None:
        if _SEPARATOR in line.rstrip("\n").split(_SEPARATOR, 2)[2] or line.count("\n") != 1:
            return
        path = self._digest_file(folder)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        target = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(target, line.encode("utf-8", "surrogateescape"))
        finally:
            os.close(target)

    def _digest_file(self, folder: str) -> str:
        return f"{self.place}/digests/{_FORMAT}-{_hash(folder)}"

    # ----- locks

    @contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Hold the lock of a key; wait while another process makes the same step."""
        import fcntl

        with self._lock_file(key) as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    @contextmanager
    def alone_in(self, folder: str) -> Iterator[Callable[[], bool]]:
        """Give a function that tells whether no other process has run a recipe in a folder since the beginning.

        Two runs in one working folder take each other's products, with exit code 0 (recipes write there first).
        The first comer holds a lock; who comes while it is held leaves a mark in it and is known as a visitor.
        """
        import fcntl

        state = os.stat(folder)
        name = f"in-{state.st_dev}-{state.st_ino}"
        with self._lock_file(name) as own, self._lock_file(f"{name}-visitors") as visitors:
            if _try_take(own) and _try_take(visitors):
                fcntl.flock(visitors, fcntl.LOCK_UN)
                size = os.fstat(own.fileno()).st_size
                yield lambda: os.fstat(own.fileno()).st_size == size
            else:
                os.write(own.fileno(), b".")
                fcntl.flock(visitors, fcntl.LOCK_SH)
                yield lambda: False

    def _lock_file(self, name: str) -> IO[bytes]:
        os.makedirs(f"{self.place}/locks", exist_ok=True)
        return open(f"{self.place}/locks/{name}", "ab")

    # ----- what EsoRex answered

    def answer(self, name: str) -> str | None:
        """Return what EsoRex answered to a question; None where it was not asked yet."""
        try:
            with open(f"{self.place}/answers/{name}.json", encoding="utf-8", errors="surrogateescape") as stream:
                return stream.read()
        except OSError:
            return None

    def keep_answer(self, name: str, text: str) -> None:
        """Keep an answer."""
        with self.scratch() as folder:
            with open(f"{folder}/answer", "w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(text)
            os.makedirs(f"{self.place}/answers", exist_ok=True)
            os.replace(f"{folder}/answer", f"{self.place}/answers/{name}.json")

    def narrow(self, recipe: str, plugin: str) -> str:
        """Return a folder that holds a link to one plugin and nothing else: EsoRex loads all that it finds."""
        folder = f"{self.place}/plugins/{_hash(plugin)}"
        if not os.path.islink(f"{folder}/{recipe}.so"):
            os.makedirs(folder, exist_ok=True)
            with suppress(FileExistsError):
                os.symlink(plugin, f"{folder}/{recipe}.so")
        return folder

    # ----- steps

    def step(self, key: str) -> str:
        """Return the folder of a step, which is there once the step is."""
        return f"{self.place}/steps/{key[:2]}/{key}"

    def publish(self, scratch: str, key: str) -> None:
        """Move what a step left from a scratch folder into its place, all at once; an earlier one gives way."""
        place = self.step(key)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        self.remove(key)
        os.rename(scratch, place)
        self._sweep()

    def _sweep(self) -> None:
        """Remove scratch folders that processes left which were killed long ago."""
        from shutil import rmtree

        with os.scandir(f"{self.place}/scratch") as entries:
            old = [entry.path for entry in entries if time.time() - entry.stat().st_mtime > _ABANDONED_SECONDS]
        for folder in old:
            rmtree(folder, ignore_errors=True)

    def rename(self, older: str, key: str, manifest: Mapping[str, object]) -> None:
        """Put a step under another key, with the manifest that says so."""
        import json

        place, folder = self.step(key), self.step(older)
        with open(f"{folder}/manifest.part", "w", encoding="utf-8") as stream:
            json.dump(manifest, stream, indent=1)
        os.replace(f"{folder}/manifest.part", f"{folder}/manifest.json")
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.rename(folder, place)

    def remove(self, key: str) -> None:
        """Take a step away: first out of sight, then off the disk."""
        with self.scratch() as folder, suppress(FileNotFoundError):
            os.rename(self.step(key), f"{folder}/removed")

    @contextmanager
    def scratch(self) -> Iterator[str]:
        """Give a private folder that is gone in the end, unless it was moved away."""
        number = 0
        while True:
            folder = f"{self.place}/scratch/{os.uname().nodename}-{os.getpid()}-{number}"
            try:
                os.makedirs(folder)
                break
            except FileExistsError:
                number += 1
        try:
            yield folder
        finally:
            if os.path.exists(folder):
                from shutil import rmtree

                rmtree(folder, ignore_errors=True)


def _try_take(stream: IO[bytes]) -> bool:
    import fcntl

    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(path: str) -> tuple[str, str]:
    """Return the digest of a file's content, or of what is packed in it, and the stamp to remember it under."""
    try:
        with open(path, "rb") as stream:
            packed = stream.read(2) in (b"\x1f\x8b", b"\x1f\x9d")
        return _read_packed(path) if packed else read_digest(path)
    except UnsteadyError as error:
        raise DoubtError(f"{path} is being written") from error
    except OSError as error:
        raise DoubtError(f"{path} cannot be read") from error


def _read_packed(path: str) -> tuple[str, str]:
    from pathlib import Path

    from esorex_bridge.errors import DataError
    from esorex_bridge.fits.verify import read_fits

    try:
        content, shown = read_fits(Path(path), checksums=False)
        return content.digest, shown
    except DataError as error:
        raise DoubtError(f"{path} is damaged") from error


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
