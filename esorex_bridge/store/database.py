"""The database of a data root: one SQLite file, whose paths below the root are kept relative to it."""

from __future__ import annotations

import os
import re
import sqlite3
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from operator import itemgetter
from pathlib import Path
from threading import RLock
from typing import Any

from esorex_bridge.disk.atomic import make_database_file
from esorex_bridge.disk.stamp import stamp_of, stamp_without_ctime
from esorex_bridge.store.schema import bring_up, is_later
from esorex_bridge.store.transaction import StoreError, Transaction, Waiting, describe_damage, is_damage

_WAIT_SECONDS = 60.0
_VALUES_A_QUERY = 10_000
_MANY = 1000
_LONGEST_PATH = 500
"""SQLite takes 512 bytes, with the ending of its journal."""


def _connect(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        make_database_file(path)
        return sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        if len(str(path)) > _LONGEST_PATH:
            raise StoreError(f"{path} is too long a path for a database; use a data root with a shorter one") from None
        what = "is a folder" if path.is_dir() else f"cannot be opened ({getattr(error, 'strerror', None) or error})"
        raise StoreError(
            f"the database {path} {what}; move it away and run 'esorex-bridge status --rebuild', or get the right to "
            "read and write it"
        ) from None


class Database:
    """An open database, shared by the threads of a process.

    Parameters
    ----------
    path : Path
        The file; made with its folder where it is missing.
    root : Path
        The data root. Files below it are remembered relative to it, so that a root that was moved still hits.
    trust_ctime : bool
        Whether a file whose ctime changed is read again; where other programs change it, that can be too often.

    Raises
    ------
    StoreError
        If the file is no store, or one of a later version of the bridge.
    """

    def __init__(self, path: Path, root: Path, trust_ctime: bool = True) -> None:
        self._path = path
        self._look = stamp_of if trust_ctime else stamp_without_ctime
        self._trust_ctime = trust_ctime
        self._inside = f"{root}/"
        self._lock = RLock()
        self._waiting: list[Waiting] = []
        self._db = _connect(path)
        self.writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
        try:
            self._open(path)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise describe_damage(path, error) from None
        except BaseException:
            self._db.close()
            raise

    def _open(self, path: Path) -> None:
        self._db.execute("PRAGMA foreign_keys = ON")
        with self._write():
            version = bring_up(self._db, self._inside)
        if is_later(version):
            self._db.close()
            raise StoreError(
                f"{path} was written by a later version of esorex-bridge (format {version}); use that version"
            )

    def _write(self) -> Transaction:
        return Transaction(self._db, self._lock, self._path, self._waiting)

    def _remember(self, command: str, rows: Iterable[Sequence[object]]) -> None:
        """Have written what spares work another time; who may only read does without.

        Each transaction waits for the disk several times. What may be lost waits for the next one, for who reads its
        table, or for the end.
        """
        if not self.writable:
            return
        with self._lock:
            self._waiting.append((command, list(rows)))
            if sum(len(rows) for _, rows in self._waiting) >= _MANY:
                self._write_waiting()

    def _write_waiting(self) -> None:
        if self._waiting:
            with self._write():
                pass

    def _waits_for(self, query: str) -> bool:
        """Tell whether something is still to be written into a table that a query names."""
        return any(
            set(re.findall(r"(?:INTO|UPDATE) (\w+)", command)) & set(query.split()) for command, _ in self._waiting
        )

    def _one(self, query: str, values: tuple[str, ...]) -> Any:
        with self._lock, self._reading():
            if self._waits_for(query):
                self._write_waiting()
            return self._db.execute(query, values).fetchone()

    def _all(self, query: str, values: Sequence[str]) -> list[Any]:
        with self._lock, self._reading():
            if self._waits_for(query):
                self._write_waiting()
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                raise describe_damage(self._path, error) from None
            raise StoreError(f"{self._path} cannot be read: {error}; run again") from None

    def _among(self, query: str, values: Iterable[str], order: str) -> list[Any]:
        """Return the rows of a query that ends in the name of its first column, where that has one of these values.

        `order` begins with that column. Many values are looked for by reading all between the least and the greatest:
        that takes half the time where most of it is wanted, and is given up where it is not.
        """
        listed, found = sorted(values), []
        if len(listed) >= _MANY:
            wanted, most = frozenset(listed), 2 * len(listed)
            ends = listed[0], listed[-1]
            rows = self._all(f"{query} BETWEEN ? AND ? ORDER BY {order} LIMIT {most}", ends)
            rest = len(rows) if len(rows) < most else bisect_left(rows, rows[-1][0], key=itemgetter(0))
            found = [row for row in islice(rows, rest) if row[0] in wanted]
            if rest == len(rows):
                return found
            listed = listed[bisect_left(listed, rows[rest][0]) :]
        for start in range(0, len(listed), _VALUES_A_QUERY):
            part = listed[start : start + _VALUES_A_QUERY]
            found += self._all(f"{query} IN ({','.join('?' * len(part))}) ORDER BY {order}", part)
        return found

    def close(self) -> None:
        """Close the database; what cannot be written any more is read or worked out again another time."""
        try:
            with suppress(StoreError):
                self._write_waiting()
        finally:
            self._db.close()

    def _at(self, path: str) -> str:
        """Return where a path of the store lies."""
        return path if path.startswith("/") else f"{self._inside}{path}"

    def _relative(self, path: str) -> str:
        return path.removeprefix(self._inside)

    def _strip_stamp(self, stamp: str) -> str:
        """Return a stamp as it is kept: without ctime where that is not trusted."""
        return stamp if self._trust_ctime else stamp.rpartition(":")[0]
