"""A write to an SQLite database, whole or not there, and what is said where it cannot be made."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from threading import RLock

from esorex_bridge.errors import UserError

Waiting = tuple[str, list[Sequence[object]]]
"""A command, and the rows that it is to be carried out for."""


class StoreError(UserError):
    """The store cannot be read or written: the disk is full or read-only, or it is no store of ours."""


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Tell whether an error says that the file itself is not as it should be."""
    return type(error) is sqlite3.DatabaseError or "malformed" in str(error)


def describe_damage(path: Path, error: Exception) -> StoreError:
    """Return what to say of a database that cannot be read."""
    return StoreError(
        f"{path} is damaged ({error}); 'esorex-bridge status --rebuild' makes it again from the folders of runs"
    )


class Transaction:
    """A write transaction, whole or not there; one at a time among the threads that share a connection.

    Parameters
    ----------
    db : Connection
        The database.
    lock : RLock
        Held while it goes on.
    path : Path
        The file, for messages.
    waiting : list of (str, list)
        Commands with their rows that are to be written first, and are taken off the list then.
    """

    def __init__(self, db: sqlite3.Connection, lock: RLock, path: Path, waiting: list[Waiting]) -> None:
        self._db, self._lock, self._path, self._waiting = db, lock, path, waiting

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            self._lock.release()
            raise self._describe(error) from None
        try:
            for command, rows in self._waiting:
                self._db.executemany(command, rows)
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise self._describe(error) from None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self._db.execute("COMMIT" if error is None else "ROLLBACK")
            if error is None:
                self._waiting.clear()
        except sqlite3.Error as failure:
            raise self._describe(error or failure) from None
        finally:
            self._lock.release()
        if isinstance(error, sqlite3.Error):
            raise self._describe(error) from None

    def _describe(self, error: BaseException) -> BaseException:
        if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
            return describe_damage(self._path, error)
        if not isinstance(error, sqlite3.OperationalError):
            return error
        return StoreError(
            f"{self._path} cannot be written: {error}; make room or give yourself the right, and run again"
        )
