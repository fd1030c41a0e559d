"""`bookkeeping.db`, the database of a Reflex workflow: rows written and read. Reflex's schema is the only one.

Reflex may hold it open: transactions are short, wait for others, and only add rows; nothing that is there is ever
changed. What Reflex replaces as it goes (`last_executions`) is left alone.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from esorex_bridge.disk.atomic import make_database_file
from esorex_bridge.errors import DataError
from esorex_bridge.reflex.bookkeeping_records import NotedExecution, NotedFile, NotedParameter

DATABASE_NAME = "bookkeeping.db"
_WAIT_SECONDS = 5.0

_TABLES = {
    "datasets": "name VARCHAR(512) NOT NULL, date DATETIME NOT NULL, description VARCHAR(1024) NULL, "
    "keywords VARCHAR(1024) NOT NULL",
    "execution_input_files": "execution_id INTEGER NOT NULL, file_id INTEGER NOT NULL",
    "execution_output_files": "execution_id INTEGER NOT NULL, file_id INTEGER NOT NULL",
    "execution_parameters": "execution_id INTEGER NOT NULL, parameter_id INTEGER NOT NULL, value VARCHAR(255) NOT NULL",
    "executions": "actor_name VARCHAR(64) NOT NULL, type VARCHAR(6) NOT NULL, date DATE NOT NULL, "
    "command_line VARCHAR(512) NOT NULL, bookkeeping_dir VARCHAR(255) NOT NULL, exit_code INT NOT NULL, "
    "script_checksum INTEGER NULL",
    "files": "name VARCHAR(512) NOT NULL, category VARCHAR(64) NOT NULL, checksum VARCHAR(128) NOT NULL",
    "final_products": "dataset_id INTEGER NOT NULL, alias VARCHAR(512) NOT NULL, name VARCHAR(512) NOT NULL",
    "last_executions": "actor_name VARCHAR(512) NOT NULL, dataset_name VARCHAR(512) NOT NULL, "
    "purposes VARCHAR(1024) NOT NULL, parameters VARCHAR(2048) NOT NULL, "
    "UNIQUE(actor_name, dataset_name, purposes) ON CONFLICT REPLACE",
    "parameters": "recipe VARCHAR(64) NOT NULL, name VARCHAR(64) NOT NULL, display_name VARCHAR(64) NOT NULL, "
    "description VARCHAR(255) NOT NULL, valtype VARCHAR(10) NOT NULL, partype VARCHAR(10) NOT NULL, "
    "valmin VARCHAR(255) NULL, valmax VARCHAR(255) NULL, valenum VARCHAR(255) NULL",
    "python_execution_input_parameters": "execution_id INTEGER NOT NULL, name VARCHAR(64) NOT NULL, "
    "value VARCHAR(255) NOT NULL",
    "python_execution_output_parameters": "execution_id INTEGER NOT NULL, name VARCHAR(64) NOT NULL, "
    "value VARCHAR(255) NOT NULL",
}
_INDEXES = {
    "f_n_index": "files(name)",
    "eif_e_index": "execution_input_files(execution_id)",
    "eif_f_index": "execution_input_files(file_id)",
    "eof_e_index": "execution_output_files(execution_id)",
    "eof_f_index": "execution_output_files(file_id)",
    "date_index": "executions(date)",
    "ex_type_index": "executions(type)",
}
_PARAMETER_COLUMNS = "recipe, name, display_name, description, valtype, partype, valmin, valmax, valenum"


class FinalProduct(Struct, frozen=True):
    """An end product: its dataset, where it lies, and the product that it is a copy of."""

    dataset: str
    alias: str
    name: str


def add_execution(database: Path, *executions: NotedExecution) -> None:
    """Add executions with their parameters and files, in one transaction; a database that is missing is made.

    Raises
    ------
    DataError
        If it is locked for too long, cannot be written, or is none of Reflex's.
    """
    with _adding(database) as db:
        for execution in executions:
            _add_execution(db, execution)


def _add_execution(db: sqlite3.Connection, execution: NotedExecution) -> None:
    number = db.execute(
        "INSERT INTO executions (actor_name, type, date, command_line, bookkeeping_dir, exit_code, script_checksum)"
        " VALUES (?, ?, ?, ?, ?, ?, 0)",
        (execution.actor, execution.kind, _milliseconds(execution.made), execution.command_line,
         str(execution.folder), execution.exit_code),
    ).lastrowid  # fmt: skip
    db.executemany(
        "INSERT INTO execution_parameters (execution_id, parameter_id, value) VALUES (?, ?, ?)",
        [(number, _parameter(db, parameter), parameter.value) for parameter in execution.parameters],
    )
    for table, files in (("input", execution.inputs), ("output", execution.outputs)):
        db.executemany(
            f"INSERT INTO execution_{table}_files (execution_id, file_id) VALUES (?, ?)",
            [(number, _file(db, file)) for file in files],
        )


def add_final_products(database: Path, renamed: Mapping[str, Mapping[Path, Path]], now: datetime) -> None:
    """Add the end products of datasets: each under its new path, with the product that it is a copy of.

    Raises
    ------
    DataError
        As `add_execution`.
    """
    with _adding(database) as db:
        numbers = _datasets(db, renamed, "[]", now)
        db.executemany(
            "INSERT INTO final_products (dataset_id, alias, name) VALUES (?, ?, ?)",
            [
                (numbers[dataset], str(alias), str(product))
                for dataset, ends in renamed.items()
                for alias, product in ends.items()
            ],
        )


def read_database(database: Path, actor: str | None = None) -> tuple[NotedExecution, ...]:
    """Return the executions in a database, of one actor or all, the oldest first. Nothing is written.

    Raises
    ------
    DataError
        If it cannot be read, or is none of Reflex's.
    """
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=_WAIT_SECONDS)) as db:
            return tuple(_executions(db, actor))
    except sqlite3.Error as error:
        raise DataError(f"{database} cannot be read as Reflex's bookkeeping: {error}") from None


def read_final_products(database: Path) -> tuple[FinalProduct, ...]:
    """Return the end products in a database, the oldest first. Nothing is written.

    Raises
    ------
    DataError
        If it cannot be read, or is none of Reflex's.
    """
    query = "SELECT datasets.name, alias, final_products.name FROM final_products JOIN datasets ON datasets.id = "
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=_WAIT_SECONDS)) as db:
            rows = db.execute(f"{query}dataset_id ORDER BY final_products.id").fetchall()
    except sqlite3.Error as error:
        raise DataError(f"{database} cannot be read as Reflex's bookkeeping: {error}") from None
    return tuple(FinalProduct(*map(str, row)) for row in rows)


@contextmanager
def _adding(database: Path) -> Iterator[sqlite3.Connection]:
    """Give a database within one transaction, whole or not there."""
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        make_database_file(database)
        with closing(sqlite3.connect(database, timeout=_WAIT_SECONDS, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                _make_tables(db)
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        raise DataError(f"Reflex's bookkeeping {database} cannot be written: {error}") from None


def _make_tables(db: sqlite3.Connection) -> None:
    there = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    for table, columns in _TABLES.items():
        if table not in there:
            db.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY NOT NULL, {columns})")
    for index, columns in _INDEXES.items():
        if index not in there:
            db.execute(f"CREATE INDEX {index} ON {columns}")


def _parameter(db: sqlite3.Connection, parameter: NotedParameter) -> int:
    values = (
        parameter.recipe, parameter.name, parameter.display_name, parameter.description, parameter.valtype,
        parameter.partype, parameter.valmin, parameter.valmax, parameter.valenum,
    )  # fmt: skip
    return _find_or_add(db, "parameters", _PARAMETER_COLUMNS, values)


def _file(db: sqlite3.Connection, file: NotedFile) -> int:
    return _find_or_add(db, "files", "name, category, checksum", (str(file.path), file.category, file.checksum))


def _datasets(db: sqlite3.Connection, names: Iterable[str], keywords: str, now: datetime) -> dict[str, int]:
    """Return the numbers of datasets; those that are not there by that name are added.

    Reflex has no index of their names: all are looked for at once.
    """
    wanted = tuple(names)
    there = db.execute(f"SELECT name, max(id) FROM datasets WHERE name IN ({_marks(wanted)}) GROUP BY name", wanted)
    numbers = {str(name): int(number) for name, number in there}
    insert = "INSERT INTO datasets (name, date, keywords) VALUES (?, ?, ?)"
    for name in wanted:
        if name not in numbers:
            numbers[name] = _number(db.execute(insert, (name, _milliseconds(now), keywords)))
    return numbers


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _find_or_add(db: sqlite3.Connection, table: str, columns: str, values: tuple[str | None, ...]) -> int:
    same = " AND ".join(f"{column} IS ?" for column in columns.split(", "))
    row = db.execute(f"SELECT id FROM {table} WHERE {same} LIMIT 1", values).fetchone()
    if row is not None:
        return int(row[0])
    return _number(db.execute(f"INSERT INTO {table} ({columns}) VALUES ({_marks(values)})", values))


def _number(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _executions(db: sqlite3.Connection, actor: str | None) -> Iterator[NotedExecution]:
    query = (
        "SELECT id, actor_name, type, date, command_line, bookkeeping_dir, exit_code FROM executions "
        "WHERE ?1 IS NULL OR actor_name = ?1 ORDER BY date, id"
    )
    for number, name, kind, date, command, folder, code in db.execute(query, (actor,)).fetchall():
        parameters = tuple(_parameters_of(db, number))
        yield NotedExecution(
            actor=str(name),
            recipe=next((parameter.recipe for parameter in parameters), "") or recipe_in(str(command)),
            made=datetime.fromtimestamp(int(date) / 1000, UTC),
            command_line=str(command),
            folder=Path(str(folder)),
            exit_code=int(code),
            parameters=parameters,
            inputs=tuple(_files_of(db, "input", number)),
            outputs=tuple(_files_of(db, "output", number)),
            kind=str(kind),
        )


def recipe_in(command: str) -> str:
    """Return the recipe that a command line of Reflex names, before its set of files; empty where it names none."""
    found = re.search(r"(?:^|\s)(\w+)\s+\S+\.sof\s*$", command)
    return found.group(1) if found else ""


def _parameters_of(db: sqlite3.Connection, execution: int) -> Iterable[NotedParameter]:
    query = (
        f"SELECT {_PARAMETER_COLUMNS}, value FROM execution_parameters AS e "
        "JOIN parameters AS p ON p.id = parameter_id WHERE execution_id = ? ORDER BY e.id"
    )
    for row in db.execute(query, (execution,)):
        recipe, name, display_name, description, valtype, partype = map(str, row[:6])
        low, high, choices = (None if limit is None else str(limit) for limit in row[6:9])
        yield NotedParameter(recipe, name, display_name, description, valtype, partype, low, high, choices, str(row[9]))


def _files_of(db: sqlite3.Connection, table: str, execution: int) -> Iterable[NotedFile]:
    query = (
        f"SELECT name, category, checksum FROM execution_{table}_files AS e JOIN files AS f ON f.id = file_id "
        "WHERE execution_id = ? ORDER BY e.id"
    )
    for name, category, checksum in db.execute(query, (execution,)):
        yield NotedFile(Path(str(name)), str(category), str(checksum))


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
